"""What would make an infeasible mapping fit: found by trying tiles, so what is said is true."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import chain

from einsum_cascade.arch.ir import Architecture
from einsum_cascade.cascade.extent import constant
from einsum_cascade.mapping import ir
from einsum_cascade.mapping.counts import evaluated
from einsum_cascade.mapping.demand import Demand, Held, demands
from einsum_cascade.mapping.ir import Block, Compute, Loop, Step
from einsum_cascade.mapping.mapped import Branch, Position, branches_of, loops_of
from einsum_cascade.mapping.workload import Workload

__all__ = ["remedy"]


def remedy(
    workload: Workload, architecture: Architecture, mapping: ir.Mapping, extents: Mapping[str, int], demand: Demand
) -> str:
    """Return a clause that says what would make a demand meet its bound.

    Parameters
    ----------
    workload, architecture, mapping, extents
        What is mapped, onto what, how, and how large.
    demand
        What is too much.

    """
    trial = _Trial(workload, architecture, mapping, extents, demand)
    if demand.loops:
        return trial.larger_tile()
    largest = sorted(demand.tiles, key=lambda held: -held.amount)
    clauses = chain(map(trial.smaller_tile, largest), map(trial.new_loop, largest))
    return next((clause for clause in clauses if clause), trial.otherwise(largest[0]))


class _Trial:
    def __init__(
        self,
        workload: Workload,
        architecture: Architecture,
        mapping: ir.Mapping,
        extents: Mapping[str, int],
        demand: Demand,
    ) -> None:
        self.workload, self.architecture, self.mapping = workload, architecture, mapping
        self.extents, self.demand = extents, demand
        self.values = {**mapping.numbers, **extents}

    def larger_tile(self) -> str:
        """Find the smallest tile of a spatial loop that needs no more PEs than there are."""
        for position, loop in self._loops(self.demand.loops):
            now = int(evaluated(loop.tile, self.values))
            most = int(self.workload.parts[loop.variable].limit.evaluate(self.extents))
            tile = _first(range(now + 1, most + 1), lambda tile, at=position: self._fits(at, tile))
            if tile is not None:
                return f"'{loop}' fits with tiles of {tile} coordinates or more"
        return "loop over something in time instead"

    def smaller_tile(self, held: Held) -> str:
        """Find the largest tile of a loop around a tensor that lets everything fit."""
        branch = next(branch for branch in branches_of(self.mapping.root) if _is_below(branch, held.position))
        around = [placed.position for placed in branch.steps if placed.position < held.position]
        indices = self._variables(held.tensor)
        for position, loop in self._loops(tuple(around)):
            if loop.variable in indices and loop.axis is None:
                now = int(evaluated(loop.tile, self.values))
                most = min(now - 1, int(self.workload.parts[loop.variable].limit.evaluate(self.extents)))
                tile = _first(range(most, 0, -1), lambda tile, at=position: self._fits(at, tile))
                if tile is not None:
                    return f"'{loop}' fits with tiles of {tile} coordinates or less"
        return ""

    def otherwise(self, held: Held) -> str:
        """Return what to do where no tile helps."""
        return f"no tile of one loop makes it fit, and {held.tensor!r} takes the most; keep less of it there"

    def new_loop(self, held: Held) -> str:
        """Find a loop to put right above where a tensor is kept."""
        if not held.position:
            return ""
        branch = next(branch for branch in branches_of(self.mapping.root) if _is_below(branch, held.position))
        inside = [
            self.workload.task[other.leaf.task]
            for other in branches_of(self.mapping.root)
            if _is_below(other, held.position)
        ]
        keep = next(placed.step for placed in branch.steps if placed.position == held.position)
        for name in sorted(self._variables(held.tensor)):
            if all(name in task.variables for task in inside):
                most = int(self.workload.parts[name].limit.evaluate(self.extents)) - 1
                tile = _first(range(most, 0, -1), lambda tile, own=name: self._fits(held.position, tile, own))
                if tile is not None:
                    return f"with a loop '{Loop(name, constant(tile))}' above '{keep}' it fits"
        return ""

    def _variables(self, tensor: str) -> frozenset[str]:
        tasks = (*self.workload.writers[tensor], *self.workload.readers[tensor])
        accesses = (access for task in tasks for access in (*task.reads, task.write) if access.tensor == tensor)
        return frozenset(name for access in accesses for name in access.variables)

    def _loops(self, positions: tuple[Position, ...]) -> Iterator[tuple[Position, Loop]]:
        told: set[Position] = set()
        for branch in branches_of(self.mapping.root):
            for position, loop in loops_of(branch.steps):
                if position in positions and position not in told:
                    told.add(position)
                    yield position, loop

    def _fits(self, position: Position, tile: int, variable: str | None = None) -> bool:
        """Try another tile of a loop, or a loop over a variable above a step."""

        def change(step: Step) -> tuple[Step, ...]:
            if variable is not None:
                return Loop(variable, constant(tile)), step
            assert isinstance(step, Loop)
            return (replace(step, tile=constant(tile)),)

        root = _changed(self.mapping.root, position, change)
        tried = replace(self.mapping, root=root)
        found = demands(self.workload, self.architecture, tried, self.extents)
        own = next(other for other in found if other.resource == self.demand.resource)
        return own.bound is None or own.amount <= own.bound


def _is_below(branch: Branch, position: Position) -> bool:
    return not position or any(placed.position == position for placed in branch.steps)


def _changed(block: Block, position: Position, change: Callable[[Step], tuple[Step, ...]]) -> Block:
    """Return a tree with other steps in place of one."""
    at, *further = position
    if not further:
        return replace(block, steps=(*block.steps[:at], *change(block.steps[at]), *block.steps[at + 1 :]))
    number = at - len(block.steps)
    part = block.body[number]
    assert not isinstance(part, Compute)
    new = _changed(part, tuple(further), change)
    return replace(block, body=(*block.body[:number], new, *block.body[number + 1 :]))


def _first(tiles: range, fits: Callable[[int], bool]) -> int | None:
    """Return the first tile that fits, where all after one that fits do so, too."""
    if not tiles or not fits(tiles[-1]):
        return None
    low, high = 0, (tiles[-1] - tiles[0]) // tiles.step  # len would not count so many
    while low < high:
        middle = (low + high) // 2
        if fits(tiles[middle]):
            high = middle
        else:
            low = middle + 1
    return tiles[low]
