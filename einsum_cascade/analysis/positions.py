"""Where along a fiber a point reads: what an affine index says about the order of a traversal."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.extent import ONE, Extent, symbol
from einsum_cascade.cascade.ir import Cascade
from einsum_cascade.cascade.partition import partition_of

__all__ = ["Order", "Phase", "Position", "position_of"]


class Order(StrEnum):
    """How the coordinate of a read runs while its variables ascend."""

    ALONG = "along"
    """Ascending with one rank variable, up to a bounded offset."""
    TILES = "tiles"
    """Ascending with the outer variable of a partition; the tile's interior is free."""
    START = "start"
    """A constant near coordinate 0."""
    END = "end"
    """A constant near the extent."""
    LOOSE = "loose"
    """Any other order: only a lower bound can be told."""


class Phase(IntEnum):
    """When within a traversal."""

    START = 0
    ALONG = 1
    END = 2


@dataclass(frozen=True, slots=True)
class Position:
    """Where a read sits on a fiber.

    Parameters
    ----------
    order
        How it runs.
    variables
        The rank variables that decide it, the outermost of a partition first.

    """

    order: Order
    variables: tuple[str, ...] = ()


def position_of(cascade: Cascade, index: Affine, rank: str) -> Position:
    """Return where an index reads along a dimension of the given rank."""
    if not index.terms:
        return Position(_constant_order(cascade, index.offset, rank))
    if (tiles := partition_of(index, cascade.rank_of, cascade.rank)) is not None:
        return Position(Order.TILES, tiles)
    base = cascade.base_rank(rank)
    along = [name for name in index.variables if cascade.base_rank(cascade.rank_of[name]) == base]
    if len(along) == 1 and index.coefficient(along[0]) == ONE and _is_bounded(cascade, index, along[0], base):
        return Position(Order.ALONG, (along[0],))
    return Position(Order.LOOSE, index.variables)


def _constant_order(cascade: Cascade, value: Extent, rank: str) -> Order:
    if value.value is not None:
        return Order.START
    return Order.END if (value - symbol(rank)).value is not None else Order.LOOSE


def _is_bounded(cascade: Cascade, index: Affine, along: str, base: str) -> bool:
    """Tell whether the offset from the variable is made of constants and of extents of other ranks."""
    others = [(cascade.rank_of[name], c) for name, c in index.terms if name != along]
    names = index.offset.names.union(*(c.names for _, c in others), *({rank} for rank, _ in others))
    return all(cascade.base_rank(name) != base for name in names)
