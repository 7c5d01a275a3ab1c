"""Schedule the tiles of a plan, and say what came out."""

from dataclasses import dataclass, replace
from typing import Any

from einsum_cascade.cost.array import array_time
from einsum_cascade.errors import ScheduleError
from einsum_cascade.lowering.submissions import ArrayProgram
from einsum_cascade.mapper.planning import Plan
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.schedule.gantt import to_text
from einsum_cascade.schedule.ir import Schedule
from einsum_cascade.schedule.lockstep import LockstepSchedule, lockstep_schedule
from einsum_cascade.schedule.lowering import TileGraph
from einsum_cascade.schedule.modulo import modulo_schedule
from einsum_cascade.schedule.whole import TileTime, scheduled_graphs, tile_time

__all__ = ["Scheduled", "schedule_report", "schedule_text", "schedules_of"]


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
            "but all its parts follow one another"
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


def schedule_report(scheduled: Scheduled) -> dict[str, Any]:
    """Return the schedules as plain values."""
    pipelined = scheduled.pipelined
    lockstep = {
        name: {
            "interval_cycles": float(found.interval),
            "proof": found.proof,
            "stages": [[staged.operation for staged in stage.operations] for stage in found.stages],
        }
        for name, found in (("given", scheduled.given), ("found", scheduled.found))
        if found is not None
    }
    return {
        "tiles": scheduled.tile.tiles,
        "interval_cycles": float(pipelined.interval),
        "proof": pipelined.proof,
        "resource_bound": {
            "cycles": float(pipelined.resource_bound.cycles),
            "resource": pipelined.resource_bound.resource,
        },
        "recurrence_bound": {
            "cycles": float(pipelined.recurrence_bound.cycles),
            "operations": list(pipelined.recurrence_bound.operations),
        },
        "gap_cycles": float(pipelined.gap),
        "obstacle": pipelined.obstacle,
        "latency_cycles": float(pipelined.latency_cycles),
        "tiles_in_flight": pipelined.tiles_in_flight,
        "prologue_cycles": float(pipelined.prologue_cycles),
        "epilogue_cycles": float(pipelined.epilogue_cycles),
        "order": scheduled.tile.order,
        "cycles": scheduled.time.cycles,
        "starts": {p.operation: [float(start) for start in p.starts] for p in pipelined.placements},
        "lockstep": lockstep,
    }


def schedule_text(scheduled: Scheduled, width: int) -> str:
    """Return what was found, in sentences, and the drawing."""
    pipelined, tiles = scheduled.pipelined, scheduled.tile.tiles
    lines = [
        f"{tiles:,} tiles, one every {float(pipelined.interval):.6g} cycles: {_proof(pipelined)}",
        f"each takes {float(pipelined.latency_cycles):.6g} cycles, {pipelined.tiles_in_flight} in flight; "
        f"{float(pipelined.cycles(tiles)):,.6g} cycles in all",
        f"in the mapping's order, {scheduled.tile.order}: {_all_cycles(scheduled.time)}",
    ]
    for what, found in (("the stages of the mapping", scheduled.given), ("the best stages", scheduled.found)):
        if found is not None:
            ratio = float(found.interval / pipelined.interval)
            lines.append(f"in lock-step, {what}: {float(found.interval):.6g} cycles, {ratio:.4f} of the above")
    return "\n".join([*lines, "", to_text(pipelined, tiles=3, width=width)])


def _all_cycles(time: TileTime) -> str:
    skew = f", {time.skew_cycles} of them from the first PE of the array to the last" if time.skew_cycles else ""
    return f"{time.cycles:,} cycles in all{skew}"


def _proof(schedule: Schedule) -> str:
    if schedule.proof == "bound":
        resource, recurrence = schedule.resource_bound, schedule.recurrence_bound
        if resource.cycles >= recurrence.cycles:
            return f"as {resource.resource} is busy all the time, no schedule is faster"
        return f"as {' -> '.join(recurrence.operations)} must follow one another, no schedule is faster"
    if schedule.proof == "exhausted":
        return "every shorter interval was refuted"
    return f"a schedule faster by {float(schedule.gap):.6g} cycles may exist: {schedule.obstacle}"
