"""How often a tile moves: the counting rules of loop nests, exact for tiles that do not divide their range.

A holder (a memory, the registers of each PE) keeps one tile per tensor and is filled whole when a loop above it moves
the tile; loops inside the last one that does are free. PEs that need the same tile at the same time share one read of
the level above where their links can broadcast. A PE that gets no part of an outer tile does not keep its own.

Source: the semantics of Timeloop as FuseMax (arXiv 2406.10491) uses them. We differ in counting tiles at the edges by
their true size and number; where every tile divides its range the numbers are the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from einsum_cascade.mapping.footprint import Count, Footprint
from einsum_cascade.mapping.ir import Axis
from einsum_cascade.mapping.nest import NestLoop

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

    def __add__(self, other: "Moves") -> "Moves":
        return Moves(cast(Any, self.outer) + other.outer, cast(Any, self.inner) + other.inner)

    def times(self, factor: Count) -> "Moves":
        """Return so many times the moves."""
        return Moves(cast(Any, self.outer) * factor, cast(Any, self.inner) * factor)


_NOTHING = Moves(0, 0)


@dataclass(frozen=True, slots=True)
class _Tally:
    """The moves inside one iteration: of tiles that stay as long as nothing else moves them, and of all others."""

    staying: Moves
    moving: Moves

    @property
    def total(self) -> Moves:
        return self.staying + self.moving


def count_moves(
    nest: Sequence[NestLoop],
    footprint: Footprint,
    variables: frozenset[str],
    sizes: Mapping[str, Count],
    *,
    shared: frozenset[Axis],
    is_held: bool,
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
        Whether the inner side keeps its tile; operations do not.

    """
    counter = _Counter(tuple(nest), footprint, variables, shared, is_held)
    return counter.tally(0, dict(sizes), dict.fromkeys(sizes, "")).total


class _Counter:
    def __init__(
        self,
        nest: tuple[NestLoop, ...],
        footprint: Footprint,
        variables: frozenset[str],
        shared: frozenset[Axis],
        is_held: bool,
    ) -> None:
        self.nest, self.footprint, self.variables = nest, footprint, variables
        self.shared, self.is_held = shared, is_held
        self.known: dict[tuple[int, tuple[str, ...]], _Tally] = {}

    def tally(self, at: int, sizes: dict[str, Count], pieces: dict[str, str]) -> _Tally:
        """Count from one loop inwards; `pieces` names the piece of each range, so that none is counted twice."""
        key = at, tuple(pieces.values())
        if key not in self.known:
            self.known[key] = self._tally(at, sizes, pieces)
        return self.known[key]

    def _tally(self, at: int, sizes: dict[str, Count], pieces: dict[str, str]) -> _Tally:
        if at == len(self.nest):
            elements = self.footprint.elements(sizes)
            return _Tally(Moves(elements, elements), _NOTHING)
        loop = self.nest[at]
        size = cast(Any, sizes[loop.range])
        full, rest = size // loop.tile, size % loop.tile
        whole, edge = self._inside(at, sizes, pieces, loop.tile, "w"), self._inside(at, sizes, pieces, rest, "e")
        combine = self._in_space if loop.axis else self._in_time
        return combine(loop, whole, edge, full, rest > 0)

    def _inside(self, at: int, sizes: dict[str, Count], pieces: dict[str, str], size: Count, piece: str) -> _Tally:
        if not np.any(size):
            return _Tally(_NOTHING, _NOTHING)
        name = self.nest[at].range
        return self.tally(at + 1, {**sizes, name: size}, {**pieces, name: f"{pieces[name]}{at}{piece}"})

    def _in_time(self, loop: NestLoop, whole: _Tally, edge: _Tally, full: Count, has_edge: Any) -> _Tally:
        is_moved = loop.variable in self.variables or not self.is_held
        moving = whole.moving.times(full) + edge.moving.times(has_edge)
        if not is_moved:
            return _Tally(_first(whole.staying, edge.staying, full), moving)
        staying = whole.staying.times(full) + edge.staying.times(has_edge)
        is_single: Any = (full + has_edge <= 1) * 1
        return _Tally(staying.times(is_single), moving + staying.times(1 - is_single))

    def _in_space(self, loop: NestLoop, whole: _Tally, edge: _Tally, full: Count, has_edge: Any) -> _Tally:
        staying = whole.staying.times(full) + edge.staying.times(has_edge)
        moving = whole.moving.times(full) + edge.moving.times(has_edge)
        if loop.variable in self.variables or loop.axis not in self.shared:
            return _Tally(staying, moving)
        once_staying = _first(whole.staying, edge.staying, full)
        once_moving = _first(whole.moving, edge.moving, full)
        return _Tally(Moves(once_staying.outer, staying.inner), Moves(once_moving.outer, moving.inner))


def _first(whole: Moves, edge: Moves, full: Count) -> Moves:
    """Return the moves of the first iteration: a whole tile, unless there is none."""
    is_whole = (cast(Any, full) > 0) * 1
    return whole.times(is_whole) + edge.times(1 - is_whole)
