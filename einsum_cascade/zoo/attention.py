"""Softmax attention that keeps whole rows of scores: three passes, and two once the division is deferred.

After FuseMax (Nayak et al., MICRO 2024, arXiv 2406.10491), Cascade 4 and Equations 31 and 32. As there, the scores are
not scaled by 1/sqrt(E); scale Q to have it.
"""

from einsum_cascade.cascade.builder import CascadeBuilder, RankHandle, TensorHandle, cascade
from einsum_cascade.cascade.functions import exp, log
from einsum_cascade.zoo.operands import Filter, Operands, cross_operands, every, filtered

__all__ = ["attention", "attention_deferred", "attention_lse", "deferred", "three_pass"]


def three_pass(c: CascadeBuilder, on: Operands, keep: Filter = every) -> TensorHandle:
    """Write FuseMax's Cascade 4 (Equations 33 to 38)."""
    _, _, V = on.tensors
    _, f, m, p = on.variables
    _numerator(c, on, keep)
    c.A[*on.q, m, p] = c.SN[*on.q, m, p] / c.SD[*on.q, p]
    c.AV[*on.q, f, p] = c.A[*on.q, m, p] * V[*on.kv, f, m]
    return c.AV


def deferred(c: CascadeBuilder, on: Operands, keep: Filter = every) -> TensorHandle:
    """Write Cascade 4 with the division after the sum over the keys (Equations 31 and 32)."""
    _, _, V = on.tensors
    _, f, m, p = on.variables
    _numerator(c, on, keep)
    c.SNV[*on.q, f, p] = c.SN[*on.q, m, p] * V[*on.kv, f, m]
    c.AV[*on.q, f, p] = c.SNV[*on.q, f, p] / c.SD[*on.q, p]
    return c.AV


def _numerator(c: CascadeBuilder, on: Operands, keep: Filter) -> None:
    """Write the scores, their maximum, and numerator and denominator of the softmax (Equations 33 to 36)."""
    Q, K, _ = on.tensors
    e, _, m, p = on.variables
    c.QK[*on.q, m, p] = filtered(Q[*on.q, e, p] * K[*on.kv, e, m], keep(m, p))
    c.GM[*on.q, p] = c.QK[*on.q, m, p].max(m)
    c.SN[*on.q, m, p] = exp(c.QK[*on.q, m, p] - c.GM[*on.q, p])
    c.SD[*on.q, p] = c.SN[*on.q, m, p].sum(m)


@cascade
def attention(c: CascadeBuilder, E: RankHandle, F: RankHandle, M: RankHandle, P: RankHandle) -> TensorHandle:
    """Numerically stable softmax attention, three passes (FuseMax, arXiv 2406.10491, Cascade 4)."""
    return three_pass(c, cross_operands(c, E, F, M, P))


@cascade
def attention_deferred(c: CascadeBuilder, E: RankHandle, F: RankHandle, M: RankHandle, P: RankHandle) -> TensorHandle:
    """Softmax attention, divided after the sum over the keys: two passes (FuseMax, arXiv 2406.10491, Eq. 31 and 32)."""
    return deferred(c, cross_operands(c, E, F, M, P))


@cascade
def attention_lse(
    c: CascadeBuilder, E: RankHandle, F: RankHandle, M: RankHandle, P: RankHandle
) -> tuple[TensorHandle, TensorHandle]:
    """Softmax attention, three passes, and the log-sum-exp of its scores.

    FuseMax (arXiv 2406.10491), Cascade 4; the second output is the L that FlashAttention-2 (arXiv 2307.08691,
    Algorithm 1) keeps for the backward pass.
    """
    AV = three_pass(c, on := cross_operands(c, E, F, M, P))
    c.LSE[on.p] = c.GM[on.p] + log(c.SD[on.p])
    return AV, c.LSE
