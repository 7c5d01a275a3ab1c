"""The arrays that are synthesised."""

from einsum_cascade.array.numbers import Multiplier, Numbers
from einsum_cascade.array.shape import ArrayShape

__all__ = ["STAGES", "shape_of"]

STAGES = range(1, 9)


def shape_of(stages: int, multiplier: Multiplier, **more: bool) -> ArrayShape:
    """Return a small array: banks are flip-flops where gates are counted, and would hide the rest."""
    numbers = Numbers(multiplier=multiplier, **more)
    return ArrayShape(4, 4, stages, product_steps=16, output_steps=16, slots=2, kernel_rows=64, numbers=numbers)
