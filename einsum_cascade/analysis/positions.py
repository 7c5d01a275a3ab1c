"""Where along a fiber a point reads: what an affine index says about the order of a traversal."""

from dataclasses import dataclass
from enum import Enum, IntEnum

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.extent import ONE, Extent, symbol
from einsum_cascade.cascade.ir import Cascade

__all__ = ["Order", "Phase", "Position", "position_of"]


class Order(Enum):
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
    if len(index.terms) > 1 and (tiles := _tiles(cascade, index)) is not None:
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


def _tiles(cascade: Cascade, index: Affine) -> tuple[str, ...] | None:
    """Return the variables of `m1*M0 + m0`, outermost first, None for any other index."""
    if index.offset:
        return None
    stride, found, rest = ONE, list[str](), dict(index.terms)
    while rest:
        name = next((name for name, c in rest.items() if _same(cascade, c, stride)), None)
        if name is None:
            return None
        del rest[name]
        found.insert(0, name)
        stride *= symbol(cascade.rank_of[name])
    return tuple(found)


def _same(cascade: Cascade, first: Extent, second: Extent) -> bool:
    return first == second or _expanded(cascade, first) == _expanded(cascade, second)


def _expanded(cascade: Cascade, extent: Extent) -> Extent:
    values = {
        name: cascade.rank[name].extent or symbol(cascade.base_rank(name))
        for name in extent.names
        if cascade.rank[name].extent is not None or cascade.rank[name].alias_of is not None
    }
    return _expanded(cascade, extent.substitute(values)) if values else extent
