"""The report of `schedule`: the interval of every block whose parts overlap, what bounds it, and a drawing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from einsum_cascade.cost.array_time import array_time
from einsum_cascade.errors import ScheduleError
from einsum_cascade.lowering.submissions import ArrayProgram
from einsum_cascade.mapper.objectives import Plan
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.schedule.gantt import to_text
from einsum_cascade.schedule.ir import Schedule
from einsum_cascade.schedule.lockstep import LockstepSchedule, lockstep_schedule
from einsum_cascade.schedule.lowering import TileGraph
from einsum_cascade.schedule.modulo import modulo_schedule
from einsum_cascade.schedule.whole import TileTime, scheduled_graphs, tile_time
from einsum_cascade.study.report import Report
from einsum_cascade.study.tables import Note, Table

__all__ = [
    "BlockSchedule",
    "IntervalBound",
    "ScheduleReport",
    "Scheduled",
    "StagedSchedule",
    "report_of_schedules",
    "schedules_of",
]


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A tile graph with its schedules.

    Parameters
    ----------
    tile
        The graph.
    pipelined
        Free of stages.
    given, found
        In lock-step, contexts not limited: the stages of the mapping, if it has any, and the best that were found.
    time
        When the tiles run in the order that the mapping gives them: pipelined if that is `overlap`.

    """

    tile: TileGraph
    pipelined: Schedule
    given: LockstepSchedule | None
    found: LockstepSchedule | None
    time: TileTime


def schedules_of(workload: Workload, plan: Plan) -> tuple[Scheduled, ...]:
    """Return the schedules of every block of a mapping whose parts overlap or run in lock-step.

    Of a mapping that an array runs, they are those of its programs.

    Raises
    ------
    ScheduleError
        No part of the mapping overlaps with another.

    """
    estimate = plan.estimate
    array = array_time(workload, estimate.architecture, plan.mapping, plan.values, plan.inputs)
    if array is not None:
        return tuple(map(_of_program, array.programs))
    graphs = scheduled_graphs(
        workload, estimate.architecture, plan.mapping.root, estimate.bounds, plan.values, plan.inputs
    )
    if not graphs:
        raise ScheduleError(
            f"mapping {plan.mapping.name!r} must have a block in the order 'overlap' or 'lock-step' to be scheduled, "
            "but all its parts follow one another, each for the cycles that `cost` tells; give one an order"
        )
    return tuple(_scheduled(tile) for tile in graphs)


def _of_program(each: ArrayProgram) -> Scheduled:
    found, program = each.lowered.schedule, each.lowered.program
    tile = TileGraph(found.graph, program.tile_count, (), "overlap")
    time = TileTime(found, found.interval, tile.tiles, found.latency_cycles, program.shape.depth_cycles)
    return Scheduled(tile, found, None, None, time)


def _scheduled(tile: TileGraph) -> Scheduled:
    free = replace(tile.graph, contexts=())
    given = lockstep_schedule(free, tile.stages) if tile.stages else None
    found = lockstep_schedule(free) if tile.stages else None
    return Scheduled(tile, modulo_schedule(tile.graph), given, found, tile_time(tile))


@dataclass(frozen=True, slots=True)
class IntervalBound:
    """Cycles below which no interval can be, and what needs them: a resource, or operations that follow one another."""

    cycles: float
    what: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StagedSchedule:
    """A schedule in stages that start together.

    Parameters
    ----------
    interval_cycles
        From tile to tile.
    proof
        Why no faster one exists, or that one may.
    stages
        The operations of each.

    """

    interval_cycles: float
    proof: str
    stages: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class BlockSchedule:
    """The schedule of a block of a mapping, or of a program.

    Parameters
    ----------
    tiles
        How many there are.
    interval_cycles
        From the start of a tile to that of the next.
    proof
        `bound`: no schedule is faster; `exhausted`: every shorter interval was refuted; else one may exist.
    resource_bound, recurrence_bound
        What the interval cannot be below.
    gap_cycles, obstacle
        How far the interval is above the best that may exist, and what is in the way.
    latency_cycles, tiles_in_flight
        Of a tile, from its first start to its last end, and how many are under way at once.
    prologue_cycles, epilogue_cycles
        Before and after the steady state.
    order
        How the mapping orders the parts.
    cycles, skew_cycles
        Of all tiles in that order, and how much of it is from the first PE of an array to the last.
    all_cycles
        Of all tiles one interval after another.
    starts
        By operation, of one tile.
    lockstep
        With stages that start together: those `given` by the mapping, and the best that were `found`.
    drawing
        Three tiles.

    """

    tiles: int
    interval_cycles: float
    proof: str
    resource_bound: IntervalBound
    recurrence_bound: IntervalBound
    gap_cycles: float
    obstacle: str
    latency_cycles: float
    tiles_in_flight: int
    prologue_cycles: float
    epilogue_cycles: float
    order: str
    cycles: int
    skew_cycles: int
    all_cycles: float
    starts: Mapping[str, tuple[float, ...]]
    lockstep: Mapping[str, StagedSchedule]
    drawing: str

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was found."""
        return tuple(self._sentences())

    def _sentences(self) -> Iterator[str]:
        yield f"{self.tiles:,} tiles, one every {self.interval_cycles:.6g} cycles: {self._why}"
        yield (
            f"each takes {self.latency_cycles:.6g} cycles, {self.tiles_in_flight} in flight; "
            f"{self.all_cycles:,.6g} cycles in all"
        )
        skew = f", {self.skew_cycles} of them from the first PE of the array to the last" if self.skew_cycles else ""
        yield f"in the mapping's order, {self.order}: {self.cycles:,} cycles in all{skew}"
        for name, what in (("given", "the stages of the mapping"), ("found", "the best stages")):
            if name in self.lockstep:
                interval = self.lockstep[name].interval_cycles
                yield f"in lock-step, {what}: {interval:.6g} cycles, {interval / self.interval_cycles:.4f} of the above"

    @property
    def _why(self) -> str:
        if self.proof == "bound":
            resource, recurrence = self.resource_bound, self.recurrence_bound
            if resource.cycles >= recurrence.cycles:
                return f"as {resource.what[0]} is busy all the time, no schedule is faster"
            return f"as {' -> '.join(recurrence.what)} must follow one another, no schedule is faster"
        if self.proof == "exhausted":
            return "every shorter interval was refuted"
        return f"a schedule faster by {self.gap_cycles:.6g} cycles may exist: {self.obstacle}"


@dataclass(frozen=True, repr=False)
class ScheduleReport(Report):
    """The schedules of a plan.

    Parameters
    ----------
    cascade, architecture, mapping
        Their names.
    blocks
        Of every block whose parts overlap or run in lock-step; of a mapping that an array runs, of its programs.
    infeasible
        What the mapping demands beyond the architecture, a sentence each.

    """

    kind: ClassVar[str] = "schedule"

    cascade: str
    architecture: str
    mapping: str
    blocks: tuple[BlockSchedule, ...]
    infeasible: tuple[str, ...]

    @property
    def headline(self) -> str:
        """The intervals."""
        told = ", ".join(f"{block.interval_cycles:.6g} cycles" for block in self.blocks)
        return f"{self.mapping} on {self.architecture}: a tile every {told}"

    def parts(self) -> tuple[Table | Note, ...]:
        """Return sentences and a drawing of each block."""
        return tuple(self._parts())

    def _parts(self) -> Iterator[Table | Note]:
        for at, block in enumerate(self.blocks):
            yield from (Note(sentence) for sentence in (*([""] if at else []), *block.sentences, ""))
            yield from (Note(line, is_drawn=True) for line in block.drawing.splitlines())
        yield from (Note(f"{self.mapping} does not fit: {why}") for why in self.infeasible)


def report_of_schedules(workload: Workload, plan: Plan, width: int = 100) -> ScheduleReport:
    """Return the schedules of a plan, drawn in so many columns.

    Raises
    ------
    ScheduleError
        No part of the mapping overlaps with another.

    """
    blocks = tuple(_block(each, width) for each in schedules_of(workload, plan))
    names = workload.cascade.name, plan.estimate.architecture.name, plan.mapping.name
    return ScheduleReport(*names, blocks, tuple(map(str, plan.infeasibilities)))


def _block(scheduled: Scheduled, width: int) -> BlockSchedule:
    pipelined, tiles, time = scheduled.pipelined, scheduled.tile.tiles, scheduled.time
    resource, recurrence = pipelined.resource_bound, pipelined.recurrence_bound
    lockstep = {"given": scheduled.given, "found": scheduled.found}
    return BlockSchedule(
        tiles,
        float(pipelined.interval),
        pipelined.proof,
        IntervalBound(float(resource.cycles), () if resource.resource is None else (resource.resource,)),
        IntervalBound(float(recurrence.cycles), tuple(recurrence.operations)),
        float(pipelined.gap),
        pipelined.obstacle,
        float(pipelined.latency_cycles),
        pipelined.tiles_in_flight,
        float(pipelined.prologue_cycles),
        float(pipelined.epilogue_cycles),
        scheduled.tile.order,
        time.cycles,
        time.skew_cycles,
        float(pipelined.cycles(tiles)),
        {placed.operation: tuple(map(float, placed.starts)) for placed in pipelined.placements},
        {name: _stages(found) for name, found in lockstep.items() if found is not None},
        to_text(pipelined, tiles=3, width=width),
    )


def _stages(found: LockstepSchedule) -> StagedSchedule:
    stages = tuple(tuple(staged.operation for staged in stage.operations) for stage in found.stages)
    return StagedSchedule(float(found.interval), found.proof, stages)
