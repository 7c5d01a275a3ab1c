"""The tiles of one Einsum: at every level as large as fit, found by doubling.

A tile is some coordinates of every rank variable. It begins with what the engine does side by side, and every variable
in turn is doubled until none can be: a tile need not divide anything. A tile that moves is kept twice where that fits,
to fetch one while the other is used.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice

from einsum_cascade.arch.ir import Architecture
from einsum_cascade.cascade.extent import constant
from einsum_cascade.mapper.recurrences import is_inside
from einsum_cascade.mapper.spreading import Spreading, sizes_of
from einsum_cascade.mapping.demand import demands
from einsum_cascade.mapping.ir import Axis, Block, Compute, Keep, Loop, Step
from einsum_cascade.mapping.ir import Mapping as Tree
from einsum_cascade.mapping.workload import Task, Workload

__all__ = ["Level", "bits_at", "spatial_loops", "tiled"]

type Tile = dict[str, int]
"""Coordinates by rank variable."""


@dataclass(frozen=True, slots=True)
class Level:
    """A memory that tiles may be kept in.

    Parameters
    ----------
    name
        Of the memory.
    number
        Counted from the outermost memory, which is 0.
    free_bits
        What an instance has left; None if it is not limited.

    """

    name: str
    number: int
    free_bits: int | None

    def has_room(self, bits: int, share: Fraction = Fraction(1)) -> bool:
        """Tell whether so much fits into a share of what is left."""
        return self.free_bits is None or bits <= share * self.free_bits

    def without(self, bits: int) -> "Level":
        """Return the level with so much less left."""
        return self if self.free_bits is None else replace(self, free_bits=self.free_bits - bits)


def bits_at(
    workload: Workload, architecture: Architecture, root: Block, extents: Mapping[str, int], number: int
) -> int:
    """Return what the memory of a number holds in a tree when it is fullest, tensors at home aside."""
    found = demands(workload, architecture, Tree("", root), extents)
    (demand,) = islice(found, number, number + 1)
    return sum(held.amount for held in demand.tiles if held.position)


def spatial_loops(workload: Workload, task: Task, spreading: Spreading) -> tuple[Loop, ...]:
    """Return the loops in space of a task, outer parts of partitions first."""
    axes: Mapping[str, Axis] = {name: axis for name, (axis, _) in spreading.pes.items()}
    return tuple(Loop(name, axis=axes[name]) for name in _order(workload, task) if name in axes)


def tiled(
    workload: Workload,
    architecture: Architecture,
    extents: Mapping[str, int],
    task: Task,
    spreading: Spreading,
    around: tuple[Loop, ...],
    levels: tuple[Level, ...],
    held: Mapping[str, int],
) -> Block:
    """Return a task in its tiles.

    Parameters
    ----------
    workload, architecture, extents
        What runs, on what, and how large it is.
    task, spreading
        The task and where it runs.
    around
        The loops that it shares with others, over single coordinates.
    levels
        The memories inside the outermost one, outermost first.
    held
        By tensor, the number of the memory that has it.

    """
    return _Tiling(workload, architecture, extents, task, spreading, around).block(levels, held)


class _Tiling:
    def __init__(
        self,
        workload: Workload,
        architecture: Architecture,
        extents: Mapping[str, int],
        task: Task,
        spreading: Spreading,
        around: tuple[Loop, ...],
    ) -> None:
        self.workload, self.architecture, self.extents = workload, architecture, extents
        self.task, self.spreading, self.around = task, spreading, around
        self.order = _order(workload, task)
        self.whole = sizes_of(workload, extents, task, frozenset(loop.variable for loop in around))
        self.accesses = (*task.reads, task.write)

    def block(self, levels: tuple[Level, ...], held: Mapping[str, int]) -> Block:
        """Return the loops in time, level by level, those in space, and what is kept between."""
        steps: tuple[Step, ...] = tuple(Loop(name) for name in self.order if self._is_alone(name))
        tile = dict(self.whole)
        for level in levels:
            names = [n for n in dict.fromkeys(a.tensor for a in self.accesses) if held.get(n, 0) < level.number]
            found = self._fitting(level, steps, tile, names)
            if found is not None:
                inner, keeps = found
                steps, tile = (*steps, *self._loops(tile, inner), *keeps), inner
        return Block((*steps, *self._innermost(tile)), (Compute(self.task.name, self.spreading.engine.name),))

    def _is_alone(self, name: str) -> bool:
        """Tell whether an outer part of a partition has one coordinate, which inner parts must be in a loop over."""
        is_outer = any(is_inside(self.workload, other, name) for other in self.order)
        return is_outer and self.whole[name] == 1 and all(loop.variable != name for loop in self.around)

    def _fitting(
        self, level: Level, steps: tuple[Step, ...], outer: Tile, names: list[str]
    ) -> tuple[Tile, tuple[Keep, ...]] | None:
        """Return the tile of a level and what it keeps: of all tensors if possible, twice if possible."""
        least = {name: min(outer[name], self.spreading.width(name)) for name in outer}
        names = list(names)
        while names:
            for copies in (2, 1):

                def fits(tile: Tile, copies: int = copies) -> bool:
                    return level.has_room(
                        self._bits(level, steps, outer, tile, self._keeps(level, names, tile, copies))
                    )

                if level.free_bits is None or fits(outer):
                    return outer, self._keeps(level, names, outer, copies)
                if fits(least):
                    tile = self._grown(least, outer, fits)
                    return tile, self._keeps(level, names, tile, copies)
            keeps = {name: (Keep(level.name, (name,)),) for name in names}
            largest = max(names, key=lambda name: self._bits(level, steps, outer, least, keeps[name]))
            names.remove(largest)
        return None

    def _grown(self, tile: Tile, outer: Tile, fits: Callable[[Tile], bool]) -> Tile:
        """Double one variable after the other until none can be.

        Those that let a tensor be used again come first, in turn; of the others, which all tensors have, the innermost.
        """
        riding = [name for name in self.order if all(name in access.variables for access in self.accesses)]
        turns = [[name for name in self.order if name not in riding], *([name] for name in reversed(riding))]
        for names in (*turns, self.order):
            is_done = False
            while not is_done:
                is_done = True
                for name in names:
                    larger = {**tile, name: min(2 * tile[name], outer[name])}
                    if larger != tile and self._is_nested(larger, name) and fits(larger):
                        tile, is_done = larger, False
        return tile

    def _is_nested(self, tile: Tile, name: str) -> bool:
        """Tell whether the inner parts of a partition are whole where an outer one has several coordinates."""
        inner = (other for other in tile if is_inside(self.workload, other, name))
        return all(tile[other] == self.whole[other] for other in inner)

    def _keeps(self, level: Level, names: list[str], tile: Tile, copies: int) -> tuple[Keep, ...]:
        """Return the steps that keep tensors: those that move so often, the others once."""
        moving = [name for name in names if self._is_moving(name, tile)] if copies > 1 else []
        resting = tuple(name for name in names if name not in moving)
        return (
            *((Keep(level.name, resting),) if resting else ()),
            *((Keep(level.name, tuple(moving), copies),) if moving else ()),
        )

    def _is_moving(self, tensor: str, tile: Tile) -> bool:
        own = {name for access in self.accesses if access.tensor == tensor for name in access.variables}
        is_around = any(loop.variable in own for loop in self.around)
        return is_around or any(tile[name] < self.whole[name] for name in own)

    def _bits(self, level: Level, steps: tuple[Step, ...], outer: Tile, tile: Tile, keeps: tuple[Keep, ...]) -> int:
        path = (*self.around, *steps, *self._loops(outer, tile), *keeps, *self._innermost(tile))
        root = Block(path, (Compute(self.task.name, self.spreading.engine.name),))
        return bits_at(self.workload, self.architecture, root, self.extents, level.number)

    def _loops(self, outer: Tile, inner: Tile) -> tuple[Loop, ...]:
        return tuple(Loop(name, constant(inner[name])) for name in self.order if inner[name] < outer[name])

    def _innermost(self, tile: Tile) -> tuple[Step, ...]:
        """Return what cuts a tile into what runs side by side, and the results that stay in the PEs."""
        last = {name: min(tile[name], self.spreading.width(name)) for name in tile}
        space = spatial_loops(self.workload, self.task, self.spreading)
        steps = (*self._loops(tile, last), *(loop for loop in space if last[loop.variable] > 1))
        own = self.task.write
        is_again = any(last[name] < tile[name] for name in tile if name not in own.variables)
        if not (self.spreading.holds_result and is_again):
            return steps
        return (*steps, Keep(self.spreading.engine.name, (own.tensor,)))


def _order(workload: Workload, task: Task) -> tuple[str, ...]:
    """Return the variables of a task, those of the result first; outer parts of partitions before inner ones."""
    left = sorted(task.variables, key=lambda name: name not in task.write.variables)
    found: list[str] = []
    while left:
        name = next(n for n in left if not any(is_inside(workload, n, other) for other in left))
        left.remove(name)
        found.append(name)
    return tuple(found)
