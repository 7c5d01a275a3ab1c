"""Softmax attention over tiles of keys: two passes with maxima per tile, one pass with running maxima.

After FuseMax (Nayak et al., MICRO 2024, arXiv 2406.10491): Cascade 5, which is FlashAttention-2 (arXiv 2307.08691,
Algorithm 1), and the 2-pass cascade that the paper describes in prose only. As there, the scores are not scaled by
1/sqrt(E). We differ where a filter leaves a tile without keys: the correction of a running maximum is expsub, which is
1 as long as both maxima are -inf, where exp(-inf + inf) would not be a number.
"""

import math

from einsum_cascade.cascade.builder import CascadeBuilder, RankHandle, TensorHandle, Value, cascade
from einsum_cascade.cascade.functions import exp, expsub, log, maximum
from einsum_cascade.zoo.operands import Filter, Operands, cross_operands, every, filtered

__all__ = ["attention_1pass", "attention_1pass_lse", "attention_2pass", "one_pass", "two_pass"]


def two_pass(c: CascadeBuilder, on: Operands, M0: RankHandle, keep: Filter = every) -> TensorHandle:
    """Write the 2-pass cascade: the first pass is relative to the maximum of each tile, the second corrects it."""
    q, f, p = on.q, on.f, on.p
    _, m1, m0 = _tiles(c, on, M0, keep)
    c.LM[*q, m1, p] = c.BQK[*q, m1, m0, p].max(m0)
    c.GM[*q, p] = c.LM[*q, m1, p].max(m1)
    c.SLN[*q, m1, m0, p] = exp(c.BQK[*q, m1, m0, p] - c.LM[*q, m1, p])
    c.SLD[*q, m1, p] = c.SLN[*q, m1, m0, p].sum(m0)
    c.PRM[*q, m1, p] = expsub(c.LM[*q, m1, p], c.GM[*q, p])
    c.GD[*q, p] = c.SLD[*q, m1, p] * c.PRM[*q, m1, p]
    c.CN[*q, m1, m0, p] = c.SLN[*q, m1, m0, p] * c.PRM[*q, m1, p]
    c.A[*q, m1, m0, p] = c.CN[*q, m1, m0, p] / c.GD[*q, p]
    c.AV[*q, f, p] = c.A[*q, m1, m0, p] * c.BV[*on.kv, f, m1, m0]
    return c.AV


def one_pass(c: CascadeBuilder, on: Operands, M0: RankHandle, keep: Filter = every) -> TensorHandle:
    """Write FuseMax's Cascade 5 (Equations 39 to 56): maximum, denominator and numerator run along with the tiles."""
    q, f, p = on.q, on.f, on.p
    M1, m1, m0 = _tiles(c, on, M0, keep)
    c.init.RM[*q, 0, p] = -math.inf
    c.init.RD[*q, 0, p] = 0
    c.init.RNV[*q, f, 0, p] = 0
    c.LM[*q, m1, p] = c.BQK[*q, m1, m0, p].max(m0)
    c.RM[*q, m1 + 1, p] = maximum(c.RM[*q, m1, p], c.LM[*q, m1, p])
    c.SLN[*q, m1, m0, p] = exp(c.BQK[*q, m1, m0, p] - c.RM[*q, m1 + 1, p])
    c.SLD[*q, m1, p] = c.SLN[*q, m1, m0, p].sum(m0)
    c.SLNV[*q, f, m1, p] = c.SLN[*q, m1, m0, p] * c.BV[*on.kv, f, m1, m0]
    c.PRM[*q, m1, p] = expsub(c.RM[*q, m1, p], c.RM[*q, m1 + 1, p])
    c.SPD[*q, m1, p] = c.RD[*q, m1, p] * c.PRM[*q, m1, p]
    c.RD[*q, m1 + 1, p] = c.SLD[*q, m1, p] + c.SPD[*q, m1, p]
    c.SPNV[*q, f, m1, p] = c.RNV[*q, f, m1, p] * c.PRM[*q, m1, p]
    c.RNV[*q, f, m1 + 1, p] = c.SLNV[*q, f, m1, p] + c.SPNV[*q, f, m1, p]
    c.AV[*q, f, p] = c.RNV[*q, f, M1, p] / c.RD[*q, M1, p]
    return c.AV


def _tiles(c: CascadeBuilder, on: Operands, M0: RankHandle, keep: Filter) -> tuple[RankHandle, Value, Value]:
    """Partition the keys and values into tiles of M0 and write the scores of each tile."""
    Q, K, V = on.tensors
    e, f, _, p = on.variables
    M1 = c.rank("M1", on.M / M0)
    m1, m0 = c.ranks(m1=M1, m0=M0)
    m = m1 * M0 + m0
    c.BK[*on.kv, e, m1, m0] = K[*on.kv, e, m]
    c.BV[*on.kv, f, m1, m0] = V[*on.kv, f, m]
    c.BQK[*on.q, m1, m0, p] = filtered(Q[*on.q, e, p] * c.BK[*on.kv, e, m1, m0], keep(m, p))
    return M1, m1, m0


@cascade
def attention_2pass(
    c: CascadeBuilder, E: RankHandle, F: RankHandle, M: RankHandle, P: RankHandle, M0: RankHandle
) -> TensorHandle:
    """Softmax attention with maxima per tile, two passes (FuseMax, arXiv 2406.10491, Section IV).

    The paper describes it in prose only; the equations are ours.
    """
    return two_pass(c, cross_operands(c, E, F, M, P), M0)


@cascade
def attention_1pass(
    c: CascadeBuilder, E: RankHandle, F: RankHandle, M: RankHandle, P: RankHandle, M0: RankHandle
) -> TensorHandle:
    """Softmax attention with running maxima, one pass (FuseMax, arXiv 2406.10491, Cascade 5; FlashAttention-2)."""
    return one_pass(c, cross_operands(c, E, F, M, P), M0)


@cascade
def attention_1pass_lse(
    c: CascadeBuilder, E: RankHandle, F: RankHandle, M: RankHandle, P: RankHandle, M0: RankHandle
) -> tuple[TensorHandle, TensorHandle]:
    """Softmax attention, one pass, and the log-sum-exp of its scores.

    FuseMax (arXiv 2406.10491), Cascade 5, with the second output L of FlashAttention-2 (arXiv 2307.08691, Algorithm 1).
    """
    AV = one_pass(c, on := cross_operands(c, E, F, M, P), M0)
    M1 = RankHandle("M1")
    c.LSE[on.p] = c.RM[M1, on.p] + log(c.RD[M1, on.p])
    return AV, c.LSE
