"""The cycles of a mapping on its engines, every part in the order that the mapping gives it.

Parts of a block in sequence follow one another. Parts that overlap or run in lock-step take what their schedule does,
from the first start to the last end. Work is counted exactly, tiles at the edges included.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, reduce
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.analysis.symbolic import is_expression, share_symbol
from einsum_cascade.arch.ir import Architecture
from einsum_cascade.mapping.binding import BoundTask
from einsum_cascade.mapping.counts import Count, is_array, maximum
from einsum_cascade.mapping.ir import Block, Compute, Loop, Step, leaves
from einsum_cascade.mapping.live import Live, left_of
from einsum_cascade.mapping.nest import Nests
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.schedule.ir import Schedule
from einsum_cascade.schedule.lockstep import LockstepSchedule, lockstep_schedule
from einsum_cascade.schedule.lowering import TileGraph, TileGraphs, parallel_parts, shared_steps, tile_graphs
from einsum_cascade.schedule.modulo import modulo_schedule
from einsum_cascade.schedule.operation import Cycles, exact
from einsum_cascade.schedule.staging import stage_loads, staging_of

__all__ = ["EngineTime", "TileTime", "busy_by_engine", "scheduled_graphs", "tile_time"]


@dataclass(frozen=True, slots=True)
class TileTime:
    """When the tiles of a block run.

    Parameters
    ----------
    schedule
        Of one tile.
    interval
        Cycles from one tile to the next: those of the schedule, or more if there are too few places for its tiles.
    tiles
        How many there are.
    latency_cycles
        Cycles of one tile, of given stages in whole stages.
    skew_cycles
        Cycles from the first PE of an array to the last.

    """

    schedule: Schedule | LockstepSchedule
    interval: Cycles
    tiles: int
    latency_cycles: Cycles
    skew_cycles: int = 0

    @property
    def cycles(self) -> int:
        """Cycles of all tiles, from the first start to the last end, which is in a whole cycle."""
        if not self.tiles:
            return 0
        return math.ceil(self.latency_cycles + (self.tiles - 1) * self.interval) + self.skew_cycles


@cache
def tile_time(tile: TileGraph) -> TileTime:
    """Return when the tiles of a block run, in the order that the mapping gives it.

    In lock-step, a tile whose places are not free yet begins a whole period later.
    """
    if tile.order != "lock-step":
        found = modulo_schedule(tile.graph)
        return TileTime(found, found.interval, tile.tiles, found.latency_cycles)
    free = replace(tile.graph, contexts=())
    staged = lockstep_schedule(free, tile.stages or None)
    given = tile if tile.stages else replace(tile, stages=_names(staged))
    staging, loads = staging_of(given), stage_loads(given)
    latency, turns = staging.latency(loads), staging.turns(loads)
    return TileTime(staged, exact(Fraction(sum(loads)) * turns), tile.tiles, latency)


def _names(found: LockstepSchedule) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(staged.operation for staged in stage.operations) for stage in found.stages)


class EngineTime:
    """The cycles of the parts of a mapping.

    Parameters
    ----------
    workload, architecture
        What runs where.
    bounds
        What each task occupies.
    values
        Of ranks and parameters: numbers, arrays with an entry per candidate, or expressions.
    inputs
        What filters read, by name.
    beside
        Tasks that take no slot of their engine.

    """

    def __init__(
        self,
        workload: Workload,
        architecture: Architecture,
        bounds: Sequence[BoundTask],
        values: Mapping[str, Any],
        inputs: Mapping[str, NDArray[Any]] | None = None,
        beside: frozenset[str] = frozenset(),
    ) -> None:
        """Take a mapping; nothing is scheduled yet."""
        self.inputs = inputs
        self.workload, self.architecture, self.values = workload, architecture, values
        each = (replace(bound, steps=0, overhead_cycles=0) if bound.task in beside else bound for bound in bounds)
        self.bounds = {bound.task: bound for bound in each}
        self.fills: dict[str, Any] = {}

    def cycles(self, node: Block | Compute, above: tuple[Step, ...]) -> Count:
        """Return the cycles of a part of a normalised tree.

        What a block takes beyond its steady state, the cycles in which its busiest engine waits, depends on all that
        its schedule meets: in formulas it is a symbol, and a number of `fills` beside numbers.
        """
        if isinstance(node, Compute):
            return self.bounds[node.task].busy_cycles
        if node.order == "sequence":
            return _total(self.cycles(part, (*above, *node.steps)) for part in node.body)
        own, steady = [self.bounds[leaf.task] for leaf in leaves(node)], self.steady_cycles(node)
        if not self._waits(node, own):
            return steady
        is_formula = any(map(is_expression, self.values.values()))
        return self.told(node, None if is_formula else self._scheduled(node, above))

    def told(self, block: Block, cycles: Any) -> Count:
        """Return cycles of a block that are known from elsewhere, and keep what is beyond its steady state.

        In formulas, what is beyond it is a symbol.
        """
        steady = self.steady_cycles(block)
        if any(map(is_expression, self.values.values())):
            return steady + self._fill(None)
        self._fill(cycles - steady)
        return cycles

    def _fill(self, cycles: Any) -> Any:
        name = f"FILL{len(self.fills) + 1}"
        self.fills[name] = share_symbol(name) if cycles is None else cycles
        return self.fills[name]

    def steady_cycles(self, block: Block) -> Count:
        """Return the cycles of a block while no part waits: of its busiest engine, or of its stages."""
        own = [self.bounds[leaf.task] for leaf in leaves(block)]
        stages = {bound.stage for bound in own} if block.order == "lock-step" else {None}
        groups = ([b for b in own if stage is None or b.stage == stage] for stage in stages)
        return _total(reduce(maximum, busy_by_engine(group).values()) for group in groups)

    def whole_cycles(self, block: Block, above: tuple[Step, ...]) -> Fraction:
        """Return `cycles`, of numbers."""
        return Fraction(cast("Fraction", self.cycles(block, above)))

    def _waits(self, block: Block, own: Sequence[BoundTask]) -> bool:
        """Tell whether an engine can wait for another one, for a stage, for its own pipeline or for a context."""
        if _is_staged(block) and any(bound.stage for bound in own):
            return True
        engines = {bound.engine for bound in own}
        found = [engine for engine in self.architecture.engines if engine.name in engines]
        deep = (op.latency_cycles > op.interval_cycles for engine in found for op in engine.operations)
        return len(engines) > 1 or any(engine.contexts is not None for engine in found) or any(deep)

    def _scheduled(self, block: Block, above: tuple[Step, ...]) -> Any:
        lengths = [len(value) for value in self.values.values() if is_array(value)]
        if not lengths:
            return self._of(tuple(self.bounds.values()), self.values, block, above)
        if self._is_quick(block):
            return self._staged(block, above, lengths[0])
        found: list[Any] = []
        for at in range(lengths[0]):
            values = {name: _at(value, at) for name, value in self.values.items()}
            bounds = [_bound_at(bound, at) for bound in self.bounds.values()]
            found.append(self._of(bounds, values, block, above))
        return np.array(found, np.int64)

    def _is_quick(self, block: Block) -> bool:
        """Tell whether stages are given to single tasks on engines without pipelines."""
        parts, own = parallel_parts(block), [self.bounds[leaf.task] for leaf in leaves(block)]
        deep = any(
            op.latency_cycles > op.interval_cycles
            for engine in self.architecture.engines
            if engine.name in {bound.engine for bound in own}
            for op in engine.operations
        )
        is_given = block.order == "lock-step" and any(bound.stage for bound in own)
        return is_given and not deep and all(isinstance(part, Compute) or _is_leaf(part) for part in parts)

    def _staged(self, block: Block, above: tuple[Step, ...], length: int) -> NDArray[np.int64]:
        """Return the cycles of candidates, those together whose stages work on the same tiles."""
        own = [self.bounds[leaf.task] for leaf in leaves(block)]
        stages = sorted({bound.stage for bound in own})
        loads = [
            np.broadcast_to(reduce(maximum, busy_by_engine(b for b in own if b.stage == stage).values()), length)
            for stage in stages
        ]
        tiles, apart = self._tiles_apart(block, above, len(own), length)
        _, chosen, of = np.unique(apart, axis=0, return_index=True, return_inverse=True)
        found = np.zeros(length, np.int64)
        for number, at in enumerate(chosen):
            values = {name: _at(value, at) for name, value in self.values.items()}
            bounds = [_bound_at(bound, at) for bound in self.bounds.values()]
            tile = TileGraphs(self.workload, self.architecture, bounds, values).of(block, above)
            alike = of.reshape(-1) == number
            found[alike] = staging_of(tile).total([load[alike] for load in loads], tiles[alike])
        return found

    def _tiles_apart(
        self, block: Block, above: tuple[Step, ...], most: int, length: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the tiles of every candidate, and those between iterations of loops that carry state, up to some."""
        path, nests = shared_steps(block, above), Nests(self.workload, self.values)
        live = Live(self.workload, self.values, self.inputs)
        tasks = [leaf.task for leaf in leaves(block)]
        whole: Any = nests.steps(path)
        stepped = {
            index.stepped for task in tasks for index in self.workload.task[task].write.indices if index.offset.terms
        }
        ends = [at for at, step in enumerate(path) if isinstance(step, Loop) and step.variable in stepped]
        between = [np.minimum(np.maximum(whole // nests.steps(path[: at + 1]), 1), most) for at in ends]
        tiles = np.maximum(left_of(whole, live.share(tasks, path)), 1)
        columns = [np.broadcast_to(each, length) for each in between] or [np.zeros(length, np.int64)]
        return np.broadcast_to(tiles, length), np.stack(columns, axis=1)

    def _of(self, bounds: Sequence[BoundTask], values: Mapping[str, int], block: Block, above: tuple[Step, ...]) -> int:
        own = EngineTime(self.workload, self.architecture, bounds, values, self.inputs)
        live = Live(self.workload, values, self.inputs)
        graphs = TileGraphs(self.workload, self.architecture, bounds, values, own.whole_cycles, live)
        return tile_time(graphs.of(block, above)).cycles


def scheduled_graphs(
    workload: Workload,
    architecture: Architecture,
    root: Block,
    bounds: Sequence[BoundTask],
    values: Mapping[str, int],
    inputs: Mapping[str, NDArray[Any]] | None = None,
) -> tuple[TileGraph, ...]:
    """Return `lowering.tile_graphs`, parts in other orders inside them with the cycles of their own schedules."""
    own, live = EngineTime(workload, architecture, bounds, values, inputs), Live(workload, values, inputs)
    return tile_graphs(workload, architecture, root, tuple(bounds), values, own.whole_cycles, live)


def busy_by_engine(bounds: Iterable[BoundTask]) -> dict[str, Count]:
    """Return by engine how long some tasks occupy it."""
    found: dict[str, Count] = {}
    for bound in bounds:
        found[bound.engine] = found.get(bound.engine, 0) + bound.busy_cycles
    return found


def _is_staged(node: Block | Compute) -> bool:
    return isinstance(node, Block) and (node.order == "lock-step" or any(map(_is_staged, node.body)))


def _is_leaf(node: Block | Compute) -> bool:
    return isinstance(node, Compute) or (len(node.body) == 1 and _is_leaf(node.body[0]))


def _at(value: Any, at: int) -> Any:
    return int(value[at]) if isinstance(value, np.ndarray) else value


def _bound_at(bound: BoundTask, at: int) -> BoundTask:
    fields = {name: _at(getattr(bound, name), at) for name in ("points", "steps", "pes", "overhead_cycles")}
    return replace(bound, **fields)


def _total(counts: Iterable[Count]) -> Count:
    total: Any = 0
    for count in counts:
        total = total + count
    return total
