"""Softmax and normalisations by themselves: what surrounds attention in a transformer, with the same kind of passes."""

from einsum_cascade.cascade.builder import CascadeBuilder, RankHandle, TensorHandle, cascade
from einsum_cascade.cascade.functions import exp, rsqrt, square

__all__ = ["layernorm", "layernorm_matmul", "rmsnorm", "softmax"]

_EPSILON = 1e-5


@cascade
def softmax(c: CascadeBuilder, M: RankHandle, P: RankHandle) -> TensorHandle:
    """Numerically stable softmax over M, three passes (FuseMax, arXiv 2406.10491, Equations 34 to 37)."""
    m, p = c.ranks(m=M, p=P)
    X = c.input("X", m, p)
    c.GM[p] = X[m, p].max(m)
    c.SN[m, p] = exp(X[m, p] - c.GM[p])
    c.SD[p] = c.SN[m, p].sum(m)
    c.A[m, p] = c.SN[m, p] / c.SD[p]
    return c.A


def _layernorm(c: CascadeBuilder, D: RankHandle, N: RankHandle) -> TensorHandle:
    d, n = c.ranks(d=D, n=N)
    X, GAMMA, BETA = c.input("X", d, n), c.param("GAMMA", d), c.param("BETA", d)
    c.MU[n] = X[d, n] / D
    c.XC[d, n] = X[d, n] - c.MU[n]
    c.SS[n] = square(c.XC[d, n]).sum(d)
    c.R[n] = rsqrt(c.SS[n] / D + _EPSILON)
    c.Y[d, n] = c.XC[d, n] * c.R[n] * GAMMA[d] + BETA[d]
    return c.Y


@cascade
def layernorm(c: CascadeBuilder, D: RankHandle, N: RankHandle) -> TensorHandle:
    """Layer normalisation over D, three passes (Ba et al., arXiv 1607.06450, Section 3, Equations 3 and 4).

    We differ in adding 1e-5 under the root, as implementations do.
    """
    return _layernorm(c, D, N)


@cascade
def rmsnorm(c: CascadeBuilder, D: RankHandle, N: RankHandle) -> TensorHandle:
    """Root mean square normalisation over D, two passes (Zhang and Sennrich, arXiv 1910.07467, Equation 4).

    We differ in adding 1e-5 under the root, as implementations do.
    """
    d, n = c.ranks(d=D, n=N)
    X, GAMMA = c.input("X", d, n), c.param("GAMMA", d)
    c.SS[n] = square(X[d, n]).sum(d)
    c.R[n] = rsqrt(c.SS[n] / D + _EPSILON)
    c.Y[d, n] = X[d, n] * c.R[n] * GAMMA[d]
    return c.Y


@cascade
def layernorm_matmul(c: CascadeBuilder, D: RankHandle, N: RankHandle, O: RankHandle) -> TensorHandle:  # noqa: E741 - the output rank of the equations
    """Layer normalisation over D and the projection that reads it, three passes (Ba et al., arXiv 1607.06450).

    The projection shares the third pass over D with the normalisation. 1e-5 is added under the root.
    """
    Y = _layernorm(c, D, N)
    d, n, o = c.ranks(d=D, n=N, o=O)
    W = c.param("W", o, d)
    c.Z[o, n] = W[o, d] * Y[d, n]
    return c.Z
