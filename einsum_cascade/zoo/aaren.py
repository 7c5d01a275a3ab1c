"""Attention as a recurrent network: one learned query, and an output at every prefix of the tokens."""

import math

from einsum_cascade.cascade.builder import CascadeBuilder, RankHandle, TensorHandle, cascade
from einsum_cascade.cascade.functions import exp, expsub, maximum

__all__ = ["attention_aaren"]


@cascade
def attention_aaren(c: CascadeBuilder, E: RankHandle, F: RankHandle, N: RankHandle) -> TensorHandle:
    """Attention of one query to every prefix of the tokens, one pass (Feng et al., arXiv 2405.13956, Section 3).

    RM, U and W are the paper's (m, u, w): maximum, denominator and numerator of a prefix. The paper scans them in
    parallel with an associative operator; here they are the recurrence that the scan evaluates, and generation 0 is
    the operator's identity (-inf, 0, 0). There is no 1/sqrt(E), as in the paper.
    """
    e, f, n = c.ranks(e=E, f=F, n=N)
    Q, K, V = c.param("Q", e), c.input("K", e, n), c.input("V", f, n)
    c.S[n] = Q[e] * K[e, n]
    c.init.RM[0] = -math.inf
    c.init.U[0] = 0
    c.init.W[f, 0] = 0
    c.RM[n + 1] = maximum(c.RM[n], c.S[n])
    c.SN[n] = exp(c.S[n] - c.RM[n + 1])
    c.PRM[n] = expsub(c.RM[n], c.RM[n + 1])
    c.U[n + 1] = c.U[n] * c.PRM[n] + c.SN[n]
    c.W[f, n + 1] = c.W[f, n] * c.PRM[n] + c.SN[n] * V[f, n]
    c.O[f, n] = c.W[f, n + 1] / c.U[n + 1]
    return c.O
