"""What the rank variables of a cascade count: coordinates of one rank, singly or by tiles.

An alias and a `var` count the coordinates of their rank, the outer variable of a partition (`m1*M0 + m0`) counts tiles
of `M0` of them. Variables of one root run along the same fiber, each by its stride.
"""

from collections.abc import Iterator

from einsum_cascade.analysis.positions import Order, position_of
from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.extent import ONE, Extent, symbol
from einsum_cascade.cascade.ir import Cascade, Read

__all__ = ["Coordinates", "indices_of"]


class Coordinates:
    """The root rank and the stride of every rank variable.

    Parameters
    ----------
    cascade
        A checked cascade.

    """

    def __init__(self, cascade: Cascade) -> None:
        """Find the partitions."""
        self._cascade = cascade
        self._tiles: dict[str, tuple[str, Extent] | None] = {}
        for index, rank in indices_of(cascade):
            position = position_of(cascade, index, rank)
            if position.order is Order.TILES:
                outer = position.variables[0]
                self._add(cascade.base_rank(cascade.rank_of[outer]), cascade.base_rank(rank), index.coefficient(outer))

    def _add(self, outer: str, whole: str, stride: Extent) -> None:
        """Note a partition; a rank that counts tiles of several kinds is its own root."""
        is_known = self._tiles.setdefault(outer, (whole, stride)) == (whole, stride)
        if not is_known or outer == whole:
            self._tiles[outer] = None

    def _rank(self, variable: str) -> str:
        return self._cascade.base_rank(self._cascade.rank_of[variable])

    def root(self, variable: str) -> str:
        """Return the rank along which a variable runs."""
        return self.root_of_rank(self._cascade.rank_of[variable])

    def root_of_rank(self, rank: str) -> str:
        """Return the rank whose coordinates a rank counts, singly or by tiles."""
        base = self._cascade.base_rank(rank)
        tiles = self._tiles.get(base)
        return tiles[0] if tiles else base

    def stride(self, variable: str) -> Extent:
        """Return how many coordinates of its root a variable steps over."""
        tiles = self._tiles.get(self._rank(variable))
        return tiles[1] if tiles else ONE

    def extent(self, variable: str) -> Extent:
        """Return how many coordinates a variable has."""
        return symbol(self._cascade.rank_of[variable])

    def is_bounded(self, value: Affine, root: str) -> bool:
        """Tell whether a value does not grow with a rank."""
        extents = value.offset.names.union(*(coefficient.names for _, coefficient in value.terms))
        return all(self.root_of_rank(name) != root for name in extents) and all(
            self.root(name) != root for name in value.variables
        )


def indices_of(cascade: Cascade) -> Iterator[tuple[Affine, str]]:
    """Yield every index of a cascade, left or right, with the rank of its dimension."""
    for einsum in cascade.einsums:
        for access in (Read(einsum.tensor, einsum.indices), *einsum.all_reads):
            for index, dimension in zip(access.indices, cascade.tensor[access.tensor].dimensions, strict=True):
                yield index, dimension.rank
