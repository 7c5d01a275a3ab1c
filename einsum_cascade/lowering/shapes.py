"""The array of an architecture."""

from dataclasses import replace

from einsum_cascade.arch.ir import Architecture
from einsum_cascade.array.numbers import Numbers
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.errors import InfeasibleMappingError

__all__ = ["shape_of"]

_MOST_DIVIDERS = 8
_LEAST_KERNEL_ROWS = 512
_MORE_SLOTS = 32
"""Of maxima, sums, and exponentials, sigmoids or features, the longest of which has 17."""


def shape_of(
    architecture: Architecture,
    numbers: Numbers | None = None,
    *,
    product_steps: int = 64,
    output_steps: int = 64,
    slots: int | None = None,
) -> ArrayShape:
    """Return the array of an architecture.

    Parameters
    ----------
    architecture
        With a matrix engine of PEs that hold contexts, and a buffer.
    numbers
        Its number formats.
    product_steps, output_steps
        The longest key and value.
    slots
        Tiles that the buffer holds; what fits the architecture's buffer if not given.

    Raises
    ------
    InfeasibleMappingError
        The architecture is no such array, the array would be too large or too small, or its buffer holds no tile.

    """
    array = architecture.matrix_engine
    mac = array.operation("mac")
    if mac is None or array.contexts is None:
        what = f"engine {array.name!r} of {architecture.name!r}"
        raise InfeasibleMappingError([f"{what} must have 'mac' and contexts to be an array; use fusemax-NxN"])
    try:
        one = ArrayShape(
            array.rows,
            array.columns,
            mac.latency_cycles,
            contexts=array.contexts,
            queue=array.contexts,
            product_steps=product_steps,
            output_steps=max(output_steps, array.rows),
            slots=1,
            kernel_rows=_kernel_rows(product_steps + max(output_steps, array.rows)),
            dividers=_dividers(array.columns),
            numbers=Numbers() if numbers is None else numbers,
        )
    except ValueError as error:
        raise InfeasibleMappingError([f"{error}; change {architecture.name!r} or make the extents smaller"]) from None
    return replace(one, slots=_fitting(architecture, one) if slots is None else slots)


def _kernel_rows(slots: int) -> int:
    """Return rows for a kernel with so many slots of products and values, and some of exponentials: a power of two."""
    return max(_LEAST_KERNEL_ROWS, 1 << (slots + _MORE_SLOTS - 1).bit_length())


def _fitting(architecture: Architecture, one: ArrayShape) -> int:
    """Return how many tiles the buffer of an architecture holds, given the array with room for one."""
    capacity = architecture.memories[-1].capacity_bytes
    if capacity is None:
        raise InfeasibleMappingError(
            [f"the buffer of {architecture.name!r} must have a capacity for the array to be built; give it one"]
        )
    fitting = min(one.most_slots, capacity // (one.bank_beats * one.beat_bytes * one.rows))
    if fitting < 1:
        raise InfeasibleMappingError(
            [f"the buffer of {architecture.name!r} must hold a tile, but has {capacity} B; give it more"]
        )
    return fitting


def _dividers(columns: int) -> int:
    """Return a power of two that divides the columns: up to a quarter of them, and no more than a few."""
    most = max(1, min(columns // 4, _MOST_DIVIDERS))
    return max(count for count in (1, 2, 4, 8) if count <= most and columns % count == 0)
