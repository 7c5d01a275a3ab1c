"""Grouped-query attention: R query heads share each of the G key heads, in the four forms of attention.

After Ainslie et al. (arXiv 2305.13245), Section 2.2; the forms are those of FuseMax (Nayak et al., MICRO 2024,
arXiv 2406.10491). R = 1 is multi-head attention, G = 1 multi-query attention. Batch and heads only ride along.
"""

from einsum_cascade.cascade.builder import CascadeBuilder, RankHandle, TensorHandle, cascade
from einsum_cascade.zoo.attention import deferred, three_pass
from einsum_cascade.zoo.operands import grouped_operands
from einsum_cascade.zoo.tiled_attention import one_pass, two_pass

__all__ = ["attention_1pass_gqa", "attention_2pass_gqa", "attention_deferred_gqa", "attention_gqa"]


@cascade
def attention_gqa(
    c: CascadeBuilder,
    B: RankHandle,
    G: RankHandle,
    R: RankHandle,
    E: RankHandle,
    F: RankHandle,
    M: RankHandle,
    P: RankHandle,
) -> TensorHandle:
    """Grouped-query attention, three passes.

    Heads: arXiv 2305.13245, Section 2.2; equations: FuseMax (arXiv 2406.10491), Cascade 4.
    """
    return three_pass(c, grouped_operands(c, B, G, R, E, F, M, P))


@cascade
def attention_deferred_gqa(
    c: CascadeBuilder,
    B: RankHandle,
    G: RankHandle,
    R: RankHandle,
    E: RankHandle,
    F: RankHandle,
    M: RankHandle,
    P: RankHandle,
) -> TensorHandle:
    """Grouped-query attention with the division deferred, two passes.

    Heads: arXiv 2305.13245, Section 2.2; equations: FuseMax (arXiv 2406.10491), Eq. 31 and 32.
    """
    return deferred(c, grouped_operands(c, B, G, R, E, F, M, P))


@cascade
def attention_2pass_gqa(
    c: CascadeBuilder,
    B: RankHandle,
    G: RankHandle,
    R: RankHandle,
    E: RankHandle,
    F: RankHandle,
    M: RankHandle,
    P: RankHandle,
    M0: RankHandle,
) -> TensorHandle:
    """Grouped-query attention with maxima per tile, two passes.

    Heads: arXiv 2305.13245, Section 2.2; equations: FuseMax (arXiv 2406.10491), Section IV.
    """
    return two_pass(c, grouped_operands(c, B, G, R, E, F, M, P), M0)


@cascade
def attention_1pass_gqa(
    c: CascadeBuilder,
    B: RankHandle,
    G: RankHandle,
    R: RankHandle,
    E: RankHandle,
    F: RankHandle,
    M: RankHandle,
    P: RankHandle,
    M0: RankHandle,
) -> TensorHandle:
    """Grouped-query attention with running maxima, one pass.

    Heads: arXiv 2305.13245, Section 2.2; equations: FuseMax (arXiv 2406.10491), Cascade 5.
    """
    return one_pass(c, grouped_operands(c, B, G, R, E, F, M, P), M0)
