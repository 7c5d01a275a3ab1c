"""How often a tile moves: the counting rules of loop nests, exact for tiles that do not divide their range.

A holder (a memory, the registers of each PE) keeps one tile per tensor and is filled whole when a loop above it moves
the tile; loops inside the last one that does are free. PEs that need the same tile at the same time share one read of
the level above where their links can broadcast. A PE that gets no part of an outer tile does not keep its own.

Source: the semantics of Timeloop as FuseMax (arXiv 2406.10491) uses them. We differ in counting tiles at the edges by
their true size and number; where every tile divides its range the numbers are the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from einsum_cascade.analysis.tiling import settled
from einsum_cascade.mapping.counts import Count, Split, Splitter, is_number, split
from einsum_cascade.mapping.ir import Axis
from einsum_cascade.mapping.nest import NestLoop, fold_nest
from einsum_cascade.mapping.tile_footprint import TileFootprint

__all__ = ["Moves", "count_moves"]


@dataclass(frozen=True, slots=True)
class Moves:
    """Elements that move between a level and what is inside it.

    Parameters
    ----------
    outer
        As the outer level sees them: what is shared counts once.
    inner
        As the inner level sees them: once for every PE.

    """

    outer: Count
    inner: Count

    @property
    def is_shared(self) -> bool:
        """Whether both sides are one number, which is then worked out once."""
        return self.outer is self.inner

    def __add__(self, other: "Moves") -> "Moves":
        if self is _NOTHING or other is _NOTHING:
            return other if self is _NOTHING else self
        outer = self.outer + other.outer
        return Moves(outer, outer if self.is_shared and other.is_shared else self.inner + other.inner)

    def times(self, factor: Count) -> "Moves":
        """Return so many times the moves."""
        if self is _NOTHING or is_number(factor, 0):
            return _NOTHING
        if is_number(factor, 1):
            return self
        outer = self.outer * factor
        return Moves(outer, outer if self.is_shared else self.inner * factor)


_NOTHING = Moves(0, 0)


@dataclass(frozen=True, slots=True)
class _Tally:
    """The moves inside one iteration: of tiles that stay as long as nothing else moves them, and of all others."""

    staying: Moves
    moving: Moves

    @property
    def total(self) -> Moves:
        return self.staying + self.moving


_EMPTY = _Tally(_NOTHING, _NOTHING)


def count_moves(
    nest: Sequence[NestLoop],
    footprint: TileFootprint,
    variables: frozenset[str],
    sizes: Mapping[str, Count],
    *,
    shared: frozenset[Axis],
    is_held: bool,
    splitter: Splitter = split,
) -> Moves:
    """Count the elements that move between a level and the holder or the operations below some loops.

    Parameters
    ----------
    nest
        The loops between the root and the inner side, outermost first.
    footprint
        The elements of the tensor per piece of the iteration space.
    variables
        The rank variables that index the tensor.
    sizes
        Coordinates of every range at the root.
    shared
        The axes of the engine along which one transfer serves all PEs.
    is_held
        Whether the inner side keeps its tile; operations do not, and what each of them sees is not counted.
    splitter
        What cuts sizes into tiles.

    """
    counter = _Counter(variables, shared)
    if is_held:
        found = fold_nest(nest, sizes, footprint.ranges, _tile(footprint), counter.held, splitter).total
        return Moves(settled(found.outer), settled(found.inner))
    # Operations take what they need in every iteration, so that ranges do not depend on one another.
    factors = {factor.ranges: factor for factor in footprint.factors()}
    rest = {loop.range for loop in nest}.difference(*factors)
    total: Any = 1
    for names in (*factors, *(frozenset({name}) for name in sorted(rest))):
        own = [loop for loop in nest if loop.range in names]
        leaf = factors[names].elements if names in factors else _one
        total = total * fold_nest(own, sizes, names, leaf, counter.used, splitter)
    return Moves(settled(total), 0)


def _one(_: Mapping[str, Count]) -> Count:
    return 1


def _tile(footprint: TileFootprint) -> Callable[[Mapping[str, Count]], _Tally]:
    """Return what a holder keeps when every range covers so many coordinates."""

    def leaf(sizes: Mapping[str, Count]) -> _Tally:
        elements = footprint.elements(sizes)
        return _Tally(Moves(elements, elements), _NOTHING)

    return leaf


@dataclass(frozen=True, slots=True)
class _Counter:
    """What a loop makes of the moves inside: `variables` index the tensor, along `shared` axes one transfer will do."""

    variables: frozenset[str]
    shared: frozenset[Axis]

    def _is_shared(self, loop: NestLoop) -> bool:
        return loop.axis in self.shared and loop.variable not in self.variables

    def used(self, loop: NestLoop, found: Split, whole: Count | None, edge: Count | None) -> Count:
        """Combine what operations take."""
        if self._is_shared(loop):
            return found.first(whole, edge)
        return found.total(whole, edge)

    def held(self, loop: NestLoop, found: Split, whole: _Tally | None, edge: _Tally | None) -> _Tally:
        """Combine what holders keep."""
        whole, edge = whole or _EMPTY, edge or _EMPTY
        staying = _joined(found.total, whole.staying, edge.staying)
        moving = _joined(found.total, whole.moving, edge.moving)
        if self._is_shared(loop):
            once_staying = _joined(found.first, whole.staying, edge.staying)
            once_moving = _joined(found.first, whole.moving, edge.moving)
            return _Tally(Moves(once_staying.outer, staying.inner), Moves(once_moving.outer, moving.inner))
        if loop.axis:
            return _Tally(staying, moving)
        if loop.variable not in self.variables:
            return _Tally(_joined(found.first, whole.staying, edge.staying), moving)
        return _Tally(staying.times(found.is_single), moving + staying.times(1 - found.is_single))


def _joined(join: Callable[[Count | None, Count | None], Count], whole: Moves, edge: Moves) -> Moves:
    """Join the moves of whole tiles and of the one at the edge, both sides alike."""
    if whole is _NOTHING and edge is _NOTHING:
        return _NOTHING
    outer = join(_outer(whole), _outer(edge))
    return Moves(outer, outer if whole.is_shared and edge.is_shared else join(_inner(whole), _inner(edge)))


def _outer(moves: Moves) -> Count | None:
    return None if moves is _NOTHING else moves.outer


def _inner(moves: Moves) -> Count | None:
    return None if moves is _NOTHING else moves.inner
