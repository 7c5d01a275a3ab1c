"""Self-attention: keys, values and queries are projections of the same tokens X, in the four forms of attention.

The forms are those of FuseMax (Nayak et al., MICRO 2024, arXiv 2406.10491); the projections are those of Vaswani et al.
(arXiv 1706.03762), Section 3.2.2, for one head. X is read by m for keys and values and by p for queries.
"""

from einsum_cascade.cascade.builder import CascadeBuilder, RankHandle, TensorHandle, cascade
from einsum_cascade.zoo.attention import deferred, three_pass
from einsum_cascade.zoo.operands import self_operands
from einsum_cascade.zoo.tiled_attention import one_pass, two_pass

__all__ = ["attention_1pass_self", "attention_2pass_self", "attention_deferred_self", "attention_self"]


@cascade
def attention_self(c: CascadeBuilder, D: RankHandle, E: RankHandle, F: RankHandle, N: RankHandle) -> TensorHandle:
    """Self-attention, three passes.

    Projections: arXiv 1706.03762, Section 3.2.2; equations: FuseMax (arXiv 2406.10491), Cascade 4.
    """
    return three_pass(c, self_operands(c, D, E, F, N))


@cascade
def attention_deferred_self(
    c: CascadeBuilder, D: RankHandle, E: RankHandle, F: RankHandle, N: RankHandle
) -> TensorHandle:
    """Self-attention with the division deferred, two passes.

    Projections: arXiv 1706.03762, Section 3.2.2; equations: FuseMax (arXiv 2406.10491), Eq. 31 and 32.
    """
    return deferred(c, self_operands(c, D, E, F, N))


@cascade
def attention_2pass_self(
    c: CascadeBuilder, D: RankHandle, E: RankHandle, F: RankHandle, N: RankHandle, M0: RankHandle
) -> TensorHandle:
    """Self-attention with maxima per tile, two passes.

    Projections: arXiv 1706.03762, Section 3.2.2; equations: FuseMax (arXiv 2406.10491), Section IV.
    """
    return two_pass(c, self_operands(c, D, E, F, N), M0)


@cascade
def attention_1pass_self(
    c: CascadeBuilder, D: RankHandle, E: RankHandle, F: RankHandle, N: RankHandle, M0: RankHandle
) -> TensorHandle:
    """Self-attention with running maxima, one pass.

    Projections: arXiv 1706.03762, Section 3.2.2; equations: FuseMax (arXiv 2406.10491), Cascade 5.
    """
    return one_pass(c, self_operands(c, D, E, F, N), M0)
