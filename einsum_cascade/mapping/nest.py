"""Paths of a mapping with numbers: loops in coordinates of their range, and what is added up over their iterations."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from einsum_cascade.analysis.tiling import settled
from einsum_cascade.mapping.counts import Count, Split, Splitter, check_counts, evaluated, identity, split
from einsum_cascade.mapping.ir import Axis, Loop, Step
from einsum_cascade.mapping.workload import Workload

__all__ = [
    "NestLoop",
    "Nests",
    "count_pes",
    "count_steps",
    "fold_nest",
    "nest_of",
    "range_sizes",
]


@dataclass(frozen=True, slots=True)
class NestLoop:
    """A loop of a nest, in coordinates of its range.

    Parameters
    ----------
    variable
        The rank variable.
    range
        The range that it is part of.
    tile
        Coordinates of the range that one iteration covers.
    axis
        The dimension of the engine that it is spread over; None for time.

    """

    variable: str
    range: str
    tile: Count
    axis: Axis | None


class Nests:
    """The nests of a mapping with numbers: every tile and every division is worked out once, whatever needs it."""

    def __init__(self, workload: Workload, values: Mapping[str, Count]) -> None:
        """Take the values of ranks and parameters: arrays for many mappings together, expressions for formulas."""
        check_counts(values)
        self.workload, self.values = workload, values
        self.sizes = range_sizes(workload, values)
        self._loops: dict[Step, tuple[NestLoop, ...]] = {}
        self._splits: dict[tuple[Hashable, Hashable], tuple[Split, Count, Count]] = {}
        self._steps: dict[tuple[Step, ...], Count] = {}
        self._pes: dict[tuple[Step, ...], Count] = {}

    def of(self, steps: Iterable[Step]) -> tuple[NestLoop, ...]:
        """Return the loops among some steps, outermost first."""
        found: list[NestLoop] = []
        for step in steps:
            if step not in self._loops:
                self._loops[step] = nest_of(self.workload, (step,), self.values)
            found += self._loops[step]
        return tuple(found)

    def split(self, size: Count, tile: Count) -> Split:
        """Cut a size into tiles. Arrays are told apart by identity, and kept so that it stays theirs."""
        key = identity(size), identity(tile)
        if key not in self._splits:
            self._splits[key] = split(size, tile), size, tile
        return self._splits[key][0]

    def steps(self, steps: Iterable[Step]) -> Count:
        """Count the iterations of all loops in time; PEs run side by side."""
        path = tuple(step for step in steps if isinstance(step, Loop))
        if path not in self._steps:
            self._steps[path] = count_steps(self.of(path), self.sizes, self.split)
        return self._steps[path]

    def pes(self, steps: Iterable[Step]) -> Count:
        """Count the PEs that the loops in space spread over."""
        path = tuple(step for step in steps if isinstance(step, Loop))
        if path not in self._pes:
            self._pes[path] = count_pes(self.of(path), self.sizes, self.split)
        return self._pes[path]


def nest_of(workload: Workload, steps: Iterable[Step], values: Mapping[str, Count]) -> tuple[NestLoop, ...]:
    """Return the loops among some steps, with numbers for their tiles.

    Parameters
    ----------
    workload
        Whose variables the loops are over.
    steps
        A path, outermost first.
    values
        Of ranks and parameters; an array where many mappings are looked at together.

    """
    found: list[NestLoop] = []
    for step in steps:
        if isinstance(step, Loop):
            part = workload.parts[step.variable]
            tile = evaluated(step.tile, values) * evaluated(part.unit, values)
            found.append(NestLoop(step.variable, part.range, tile, step.axis))
    return tuple(found)


def range_sizes(workload: Workload, values: Mapping[str, Count]) -> dict[str, Count]:
    """Return the coordinates of every range."""
    return {part.range: evaluated(part.extent, values) for part in workload.parts.values()}


def count_steps(nest: Sequence[NestLoop], sizes: Mapping[str, Count], splitter: Splitter = split) -> Count:
    """Count the iterations of all loops in time; PEs run side by side.

    Ranges do not depend on one another, so that the count is a product over them.
    """
    total: Any = 1
    for name in dict.fromkeys(loop.range for loop in nest):
        own = [loop for loop in nest if loop.range == name]
        total = total * fold_nest(own, sizes, frozenset(), lambda _: 1, _steps_of, splitter)
    return settled(total)


def count_pes(nest: Sequence[NestLoop], sizes: Mapping[str, Count], splitter: Splitter = split) -> Count:
    """Count the PEs that the loops in space spread the first, which is the largest, iteration of those in time over."""
    total: Any = 1
    for name in dict.fromkeys(loop.range for loop in nest if loop.axis):
        own = [loop for loop in nest if loop.range == name]
        total = total * fold_nest(own, sizes, frozenset(), lambda _: 1, _pes_of, splitter)
    return settled(total)


def _pes_of(loop: NestLoop, found: Split, whole: Count | None, edge: Count | None) -> Count:
    return found.total(whole, edge) if loop.axis else found.first(whole, edge)


def _steps_of(loop: NestLoop, found: Split, whole: Count | None, edge: Count | None) -> Count:
    # PEs wait for the first of them, which never has less to do than another one.
    return found.first(whole, edge) if loop.axis else found.total(whole, edge)


def fold_nest[T](
    nest: Sequence[NestLoop],
    sizes: Mapping[str, Count],
    ranges: frozenset[str],
    leaf: Callable[[Mapping[str, Count]], T],
    combine: Callable[[NestLoop, Split, T | None, T | None], T],
    splitter: Splitter = split,
) -> T:
    """Work from the innermost iterations outwards: combine what a whole tile and the tile at the edge give, per loop.

    Parameters
    ----------
    nest
        The loops, outermost first.
    sizes
        Coordinates of every range around the nest.
    ranges
        The ranges whose sizes `leaf` looks at.
    leaf
        What is inside all loops, by the coordinates that are left of every range.
    combine
        What a loop makes of it: its loop, how many tiles there are, and what a whole tile and the one at the edge give;
        None if no candidate has such a tile.
    splitter
        What cuts sizes into tiles.

    """
    below = [ranges.union(loop.range for loop in nest[at:]) for at in range(len(nest) + 1)]
    known: dict[tuple[int, tuple[str, ...]], T] = {}

    def fold(at: int, sizes: Mapping[str, Count], pieces: Mapping[str, str]) -> T:
        key = at, tuple(piece for name, piece in pieces.items() if name in below[at])
        if key not in known:
            known[key] = leaf(sizes) if at == len(nest) else step(at, sizes, pieces)
        return known[key]

    def step(at: int, sizes: Mapping[str, Count], pieces: Mapping[str, str]) -> T:
        loop = nest[at]
        found = splitter(sizes[loop.range], loop.tile)

        def inside(size: Count, piece: str) -> T:
            return fold(at + 1, {**sizes, loop.range: size}, {**pieces, loop.range: piece})

        # A whole tile is the same wherever it is cut from; what is left at an edge is not.
        whole = inside(loop.tile, f"{at}") if found.is_cut else None
        edge = inside(found.rest, f"{pieces[loop.range]}<{at}") if found.is_edged else None
        return combine(loop, found, whole, edge)

    return fold(0, sizes, dict.fromkeys(sizes, ""))
