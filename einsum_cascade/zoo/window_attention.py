"""Sliding-window attention: a query meets the W keys that end at its own position, in the four forms of attention.

The window is that of Longformer (Beltagy et al., arXiv 2004.05150), Section 3.1; the forms are those of FuseMax (Nayak
et al., MICRO 2024, arXiv 2406.10491). We differ in looking back only, over W keys with the query's own, where
Longformer looks W/2 to each side. A query without any key, p >= M + W - 1, is an error.
"""

from einsum_cascade.cascade.builder import CascadeBuilder, RankHandle, TensorHandle, cascade
from einsum_cascade.zoo.attention import deferred, three_pass
from einsum_cascade.zoo.operands import Filter, cross_operands
from einsum_cascade.zoo.tiled_attention import one_pass, two_pass

__all__ = ["attention_1pass_window", "attention_2pass_window", "attention_deferred_window", "attention_window"]


def window(W: RankHandle) -> Filter:
    """Keep the W keys that end at the query's own position."""
    return lambda m, p: (p - W < m) & (m <= p)


@cascade
def attention_window(
    c: CascadeBuilder, E: RankHandle, F: RankHandle, M: RankHandle, P: RankHandle, W: RankHandle
) -> TensorHandle:
    """Attention to the keys p - W < m <= p, three passes.

    Window: Longformer (arXiv 2004.05150), Section 3.1; equations: FuseMax (arXiv 2406.10491), Cascade 4.
    """
    return three_pass(c, cross_operands(c, E, F, M, P), window(W))


@cascade
def attention_deferred_window(
    c: CascadeBuilder, E: RankHandle, F: RankHandle, M: RankHandle, P: RankHandle, W: RankHandle
) -> TensorHandle:
    """Attention to the keys p - W < m <= p, division deferred, two passes.

    Window: Longformer (arXiv 2004.05150), Section 3.1; equations: FuseMax (arXiv 2406.10491), Eq. 31 and 32.
    """
    return deferred(c, cross_operands(c, E, F, M, P), window(W))


@cascade
def attention_2pass_window(
    c: CascadeBuilder, E: RankHandle, F: RankHandle, M: RankHandle, P: RankHandle, M0: RankHandle, W: RankHandle
) -> TensorHandle:
    """Attention to the keys p - W < m <= p, maxima per tile, two passes.

    Window: Longformer (arXiv 2004.05150), Section 3.1; equations: FuseMax (arXiv 2406.10491), Section IV.
    """
    return two_pass(c, cross_operands(c, E, F, M, P), M0, window(W))


@cascade
def attention_1pass_window(
    c: CascadeBuilder, E: RankHandle, F: RankHandle, M: RankHandle, P: RankHandle, M0: RankHandle, W: RankHandle
) -> TensorHandle:
    """Attention to the keys p - W < m <= p, running maxima, one pass.

    Window: Longformer (arXiv 2004.05150), Section 3.1; equations: FuseMax (arXiv 2406.10491), Cascade 5.
    """
    return one_pass(c, cross_operands(c, E, F, M, P), M0, window(W))
