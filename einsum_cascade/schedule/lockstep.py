"""Schedules in lock-step: the discipline of published bindings, given stages evaluated or the best ones found.

Source: FuseMax (arXiv 2406.10491), whose binding is a sequence of such stages. We differ in finding them.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import networkx as nx

from einsum_cascade.errors import ScheduleError
from einsum_cascade.schedule.graph import OperationGraph
from einsum_cascade.schedule.interval_bounds import recurrence_bound, resource_bound
from einsum_cascade.schedule.ir import Placement, Schedule
from einsum_cascade.schedule.lockstep_rules import Lockstep, arranged, needs_within, regulated, stage_length
from einsum_cascade.schedule.operation import Cycles, exact
from einsum_cascade.schedule.problem import lower
from einsum_cascade.schedule.stages import search_stages

__all__ = ["LockstepSchedule", "Stage", "StagedOperation", "lockstep_schedule"]


@dataclass(frozen=True, slots=True)
class StagedOperation:
    """An operation in a stage.

    Parameters
    ----------
    operation
        Its name.
    lag
        How many tiles behind the newest one its tile is.
    start
        Cycles from the start of the stage.

    """

    operation: str
    lag: int
    start: Cycles


@dataclass(frozen=True, slots=True)
class Stage:
    """What all engines do together, and the cycles of the slowest of them."""

    operations: tuple[StagedOperation, ...]
    cycles: Cycles


@dataclass(frozen=True, slots=True)
class LockstepSchedule:
    """A schedule whose steady state is a cyclic sequence of stages.

    Parameters
    ----------
    stages
        One period.
    schedule
        The same as starts of operations. Its bounds are those of any schedule, in lock-step or not.
    tiles_in_flight
        The limit on tiles that are worked on in one period; None if there was none.
    proof
        Why no shorter interval in lock-step exists within the limit: it equals a bound, or all others were tried.
        `given` for stages that were not searched, `open` if the search was cut off.

    """

    stages: tuple[Stage, ...]
    schedule: Schedule
    tiles_in_flight: int | None
    proof: Literal["given", "bound", "exhausted", "open"]

    @property
    def interval(self) -> Cycles:
        """Cycles of a period, which finishes one tile: the sum over the stages."""
        return self.schedule.interval

    @property
    def lag(self) -> int:
        """How many tiles behind the newest one the oldest in a period is."""
        return max(staged.lag for stage in self.stages for staged in stage.operations)

    @property
    def lost_cycles(self) -> Cycles:
        """Cycles of a period beyond what the bounds of any schedule ask for."""
        return exact(self.interval - self.schedule.bound)

    def cycles(self, tiles: int) -> Cycles:
        """Return the cycles of a number of tiles, from the first start to the last end."""
        return self.schedule.cycles(tiles)


def lockstep_schedule(
    graph: OperationGraph,
    stages: Sequence[Sequence[str]] | None = None,
    tiles_in_flight: int | None = None,
    effort: int = 50_000,
) -> LockstepSchedule:
    """Evaluate given stages, or find those with the least interval.

    Parameters
    ----------
    graph
        Blocks, each on an engine that does one at a time.
    stages
        Names of operations, each in one stage. Which tiles they work on follows: the newest that their needs allow.
        None to search.
    tiles_in_flight
        Most tiles that are worked on in one period: 1 for one tile at a time; None for no limit, in which case fewer
        tiles are preferred where the interval is the same.
    effort
        Stages that the search tries at most.

    Raises
    ------
    ScheduleError
        The graph has something that lock-step does not know, or the given stages break its rules.

    Examples
    --------
    >>> from einsum_cascade.schedule.graph import Dependence, TileOperation, Resource
    >>> load, add = TileOperation("load", "port", 3), TileOperation("add", "adder", 2)
    >>> graph = OperationGraph((Resource("port"), Resource("adder")), (load, add), (Dependence("load", "add"),))
    >>> lockstep_schedule(graph, tiles_in_flight=1).interval, lockstep_schedule(graph).interval
    (5, 3)

    """
    rules = regulated(graph)
    if tiles_in_flight is not None and tiles_in_flight < 1:
        raise ValueError(f"tiles_in_flight must be at least 1, not {tiles_in_flight!r}")
    if stages is not None:
        members = _members(graph, stages)
        lags = _lags(rules, members)
        if tiles_in_flight is not None and max(lags) >= tiles_in_flight:
            raise ScheduleError(
                f"The given stages must work on at most {tiles_in_flight} tiles in a period, but need {max(lags) + 1}; "
                "allow more, or order the stages as a tile goes through them."
            )
        return _schedule(rules, members, lags, tiles_in_flight, "given")
    return _searched(rules, tiles_in_flight, effort)


def _searched(rules: Lockstep, limit: int | None, effort: int) -> LockstepSchedule:
    """Search with more and more tiles until a bound is met."""
    floor = _floor(rules)
    best, is_complete = None, True
    count = len(rules.durations)
    for tiles in range(1, count + 1) if limit is None else (limit,):
        found = search_stages(rules, tiles, floor, effort)
        is_complete = is_complete and found.is_complete
        if best is None or found.interval < best.interval:
            best = found
        if best.interval <= floor:
            break
    assert best is not None
    proof = "bound" if best.interval <= floor else "exhausted" if is_complete else "open"
    return _schedule(rules, best.stages, best.lags, limit, proof)


def _floor(rules: Lockstep) -> int:
    problem = lower(rules.graph)
    return max(math.ceil(bound.cycles * rules.scale) for bound in (resource_bound(problem), recurrence_bound(problem)))


def _members(graph: OperationGraph, stages: Sequence[Sequence[str]]) -> tuple[int, ...]:
    """Return given stages as bits."""
    given = [name for stage in stages for name in stage]
    wrong = sorted(
        {name for name in {*given, *graph.operation} if given.count(name) != 1 or name not in graph.operation}
    )
    if wrong:
        raise ScheduleError(
            f"The stages must name every operation of the graph once, which does not hold for {', '.join(wrong)}; "
            "name each in the stage that it belongs to."
        )
    numbers = {operation.name: at for at, operation in enumerate(graph.operations)}
    return tuple(sum(1 << numbers[name] for name in stage) for stage in stages)


def _lags(rules: Lockstep, stages: Sequence[int]) -> tuple[int, ...]:
    """Return the least lags that meet all needs."""
    count = len(rules.durations)
    stage_of = [next(at for at, stage in enumerate(stages) if stage >> operation & 1) for operation in range(count)]
    lags = [0] * count
    cause: dict[int, int] = {}
    for _ in range(count + 1):
        changed = False
        for need in rules.needs:
            later = stage_of[need.target] < stage_of[need.source] + need.is_strict
            least = lags[need.source] - need.distance + later
            if least > lags[need.target]:
                lags[need.target], changed = least, True
                cause[need.target] = need.source
        if not changed:
            return tuple(lags)
    around = [rules.graph.operations[at].name for at in sorted(_cycle(cause))]
    raise ScheduleError(
        f"The stages must let every tile follow the one before, but {', '.join(around)} wait for one another "
        "for more tiles than lie between them; put them into stages in the order in which they need one another."
    )


def _cycle(cause: dict[int, int]) -> set[int]:
    edges: nx.DiGraph[int] = nx.DiGraph((source, target) for target, source in cause.items())
    return {
        at for part in nx.strongly_connected_components(edges) for at in part if len(part) > 1 or at == cause.get(at)
    }


def _schedule(
    rules: Lockstep,
    members: Sequence[int],
    lags: Sequence[int],
    limit: int | None,
    proof: Literal["given", "bound", "exhausted", "open"],
) -> LockstepSchedule:
    placed = [*_placed(rules, members, lags)]
    lengths = [stage_length(rules, starts) for starts in placed]
    interval = max(1, sum(lengths))
    at = [0] * len(rules.durations)
    stages: list[Stage] = []
    for number, starts in enumerate(placed):
        for operation, start in starts.items():
            at[operation] = sum(lengths[:number]) + start + lags[operation] * interval
        staged = [
            StagedOperation(rules.graph.operations[operation].name, lags[operation], _cycles(rules, start))
            for operation, start in sorted(starts.items(), key=lambda item: (item[1], item[0]))
        ]
        stages.append(Stage(tuple(staged), _cycles(rules, lengths[number])))
    return LockstepSchedule(tuple(stages), _as_starts(rules, at, interval), limit, proof)


def _placed(rules: Lockstep, members: Sequence[int], lags: Sequence[int]) -> Iterator[dict[int, int]]:
    within = needs_within(rules, lags)
    assert within is not None
    for stage in members:
        yield arranged(rules, stage, within)


def _as_starts(rules: Lockstep, at: Sequence[int], interval: int) -> Schedule:
    problem = lower(rules.graph)
    bounds = resource_bound(problem), recurrence_bound(problem)
    floor = max(1, _floor(rules))
    placements = tuple(
        Placement(operation.name, (_cycles(rules, start - min(at)),))
        for operation, start in zip(rules.graph.operations, at, strict=True)
    )
    return Schedule(
        graph=rules.graph,
        interval=_cycles(rules, interval),
        placements=placements,
        resource_bound=bounds[0],
        recurrence_bound=bounds[1],
        quantum=exact(problem.quantum),
        proof="bound" if interval == floor else "open",
        floor=_cycles(rules, floor),
        obstacle="" if interval == floor else "Engines wait for the slowest at the end of each stage.",
    )


def _cycles(rules: Lockstep, quanta: int) -> Cycles:
    return exact(Fraction(quanta, rules.scale))
