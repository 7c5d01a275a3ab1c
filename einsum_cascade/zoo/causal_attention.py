"""Causal attention: a query meets the keys up to its own position, in the four forms of attention.

The mask is that of the decoder of Vaswani et al. (arXiv 1706.03762), Section 3.2.3; the forms are those of FuseMax
(Nayak et al., MICRO 2024, arXiv 2406.10491). Where the former sets scores to -inf, ours are absent.
"""

from einsum_cascade.cascade.builder import CascadeBuilder, RankHandle, TensorHandle, Value, cascade
from einsum_cascade.zoo.attention import deferred, three_pass
from einsum_cascade.zoo.operands import cross_operands
from einsum_cascade.zoo.tiled_attention import one_pass, two_pass

__all__ = ["attention_1pass_causal", "attention_2pass_causal", "attention_causal", "attention_deferred_causal"]


def causal(m: Value, p: Value) -> Value:
    """Keep the keys up to the query's own position."""
    return m <= p


@cascade
def attention_causal(c: CascadeBuilder, E: RankHandle, F: RankHandle, M: RankHandle, P: RankHandle) -> TensorHandle:
    """Attention to the keys m <= p, three passes.

    Mask: arXiv 1706.03762, Section 3.2.3; equations: FuseMax (arXiv 2406.10491), Cascade 4.
    """
    return three_pass(c, cross_operands(c, E, F, M, P), causal)


@cascade
def attention_deferred_causal(
    c: CascadeBuilder, E: RankHandle, F: RankHandle, M: RankHandle, P: RankHandle
) -> TensorHandle:
    """Attention to the keys m <= p, division deferred, two passes.

    Mask: arXiv 1706.03762, Section 3.2.3; equations: FuseMax (arXiv 2406.10491), Eq. 31 and 32.
    """
    return deferred(c, cross_operands(c, E, F, M, P), causal)


@cascade
def attention_2pass_causal(
    c: CascadeBuilder, E: RankHandle, F: RankHandle, M: RankHandle, P: RankHandle, M0: RankHandle
) -> TensorHandle:
    """Attention to the keys m <= p, maxima per tile, two passes.

    Mask: arXiv 1706.03762, Section 3.2.3; equations: FuseMax (arXiv 2406.10491), Section IV.
    """
    return two_pass(c, cross_operands(c, E, F, M, P), M0, causal)


@cascade
def attention_1pass_causal(
    c: CascadeBuilder, E: RankHandle, F: RankHandle, M: RankHandle, P: RankHandle, M0: RankHandle
) -> TensorHandle:
    """Attention to the keys m <= p, running maxima, one pass.

    Mask: arXiv 1706.03762, Section 3.2.3; equations: FuseMax (arXiv 2406.10491), Cascade 5.
    """
    return one_pass(c, cross_operands(c, E, F, M, P), M0, causal)
