"""The modulo scheduler: the least interval at which every tile can do the same, one interval after the other.

Intervals are tried from the bound upwards. At each, pieces are placed at the first fit; where that fails and the graph
is small, an exhaustive search decides. The schedule says which of both it owes its interval to, and claims no optimum
that is not proved. Latency is shortened where the graph is small, and not claimed to be least.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from einsum_cascade.errors import ScheduleError
from einsum_cascade.schedule.exact import Verdict, fit_alone, search, search_latency
from einsum_cascade.schedule.graph import OperationGraph
from einsum_cascade.schedule.interval_bounds import recurrence_bound, resource_bound
from einsum_cascade.schedule.ir import Placement, Proof, RecurrenceBound, ResourceBound, Schedule
from einsum_cascade.schedule.lease_shortening import delayed
from einsum_cascade.schedule.leases import overfull, peak
from einsum_cascade.schedule.operation import exact
from einsum_cascade.schedule.placement import place
from einsum_cascade.schedule.problem import Problem, lower

__all__ = ["modulo_schedule"]

_SMALL = 24
_SINGLE_STEPS = 64


def modulo_schedule(graph: OperationGraph, effort: int = 1000) -> Schedule:
    """Find a schedule with the least interval that can be found, and say what is proved of it.

    Parameters
    ----------
    graph
        The operations of one tile.
    effort
        Branches that the exhaustive search visits per interval at most. It searches graphs of up to 24 blocks and
        slots; larger ones are only placed.

    Raises
    ------
    ScheduleError
        No schedule was found whose results fit their buffer, not even with one tile after the other.

    Examples
    --------
    >>> from einsum_cascade.schedule.graph import Dependence, TileOperation, Resource
    >>> ports = Resource("port"), Resource("adder")
    >>> load, add = TileOperation("load", "port", 3), TileOperation("add", "adder", 2)
    >>> found = modulo_schedule(OperationGraph(ports, (load, add), (Dependence("load", "add"),)))
    >>> found.interval, found.tiles_in_flight, found.proof, found.resource_bound.resource
    (3, 2, 'bound', 'port')

    """
    problem = lower(graph)
    bounds = resource_bound(problem), recurrence_bound(problem)
    lowest = max(1, *(math.ceil(bound.cycles * problem.scale) for bound in bounds))
    floor, why = lowest, ""
    for interval in _candidates(problem, lowest):
        attempt = _attempt(problem, interval, effort)
        if attempt.starts is not None:
            starts = _shortened(problem, interval, attempt.starts, effort // 4)
            return _schedule(problem, interval, starts, bounds, floor, why)
        if attempt.is_refuted and interval == floor:
            floor += 1
        why = attempt.why
    raise ScheduleError(f"{why} with tiles one after the other; give the buffer more, or make the tile smaller.")


@dataclass(frozen=True, slots=True)
class _Attempt:
    starts: list[int] | None
    is_refuted: bool = False
    why: str = ""


def _candidates(problem: Problem, lowest: int) -> Iterator[int]:
    """Yield intervals: one by one, then in growing steps up to the time of a tile that does one thing after another."""
    serial = sum(
        max(piece.duration, *(use.offset + use.duration for use in piece.uses), 0) for piece in problem.pieces
    ) + sum(max(0, edge.weight) for edge in problem.edges)
    interval, step = lowest, 1
    while interval < max(lowest, serial):
        yield interval
        if interval - lowest >= _SINGLE_STEPS:
            step *= 2
        interval += step
    yield max(lowest, serial)


def _attempt(problem: Problem, interval: int, effort: int) -> _Attempt:
    if not fit_alone(problem, interval):
        return _Attempt(
            None, True, f"An operation meets itself in another tile at interval {_cycles(problem, interval)}"
        )
    starts = place(problem, interval)
    full = None if starts is None else overfull(problem, interval, starts)
    if starts is not None and full is None:
        return _Attempt(starts)
    verdict: Verdict = search(problem, interval, effort) if len(problem.pieces) <= _SMALL else "open"
    if verdict == "refuted":
        return _Attempt(None, True, f"No order of the operations meets interval {_cycles(problem, interval)}")
    for candidate in (starts, verdict):
        if candidate is not None and candidate != "open":
            candidate = _shortened(problem, interval, candidate, effort // 4)
            starts = delayed(problem, interval, candidate) if problem.leases else candidate
            full = overfull(problem, interval, starts)
            if full is None:
                return _Attempt(starts)
    return _Attempt(None, False, _reason(problem, interval, starts, full))


def _reason(problem: Problem, interval: int, starts: Sequence[int] | None, full: int | None) -> str:
    if full is None or starts is None:
        return f"Interval {_cycles(problem, interval)} was neither met by placing nor refuted by searching"
    buffer = problem.graph.resources[full]
    units = peak(problem, interval, starts, full)
    return f"Buffer {buffer.name!r} must hold at most its {buffer.capacity} units, but was found to need {units}"


def _shortened(problem: Problem, interval: int, starts: list[int], effort: int) -> list[int]:
    """Return starts with a shorter latency if the search finds any, and if they fill no buffer that these do not."""
    lowest, best = 0, starts
    is_full = overfull(problem, interval, starts) is not None
    while len(problem.pieces) <= _SMALL and lowest < (highest := _latency(problem, best)):
        middle = (lowest + highest) // 2
        verdict = search_latency(problem, interval, middle, effort)
        if isinstance(verdict, str) or (not is_full and overfull(problem, interval, verdict) is not None):
            lowest = middle + 1
        else:
            best = verdict
    return best


def _latency(problem: Problem, starts: Sequence[int]) -> int:
    ends = [start + piece.duration for start, piece in zip(starts, problem.pieces, strict=True)]
    return max(ends) - min(starts)


def _schedule(
    problem: Problem,
    interval: int,
    starts: Sequence[int],
    bounds: tuple[ResourceBound, RecurrenceBound],
    floor: int,
    why: str,
) -> Schedule:
    first = min(starts)
    slots: dict[int, list[Fraction]] = {}
    for piece, start in zip(problem.pieces, starts, strict=True):
        slots.setdefault(piece.operation, []).append(Fraction(start - first, problem.scale))
    placements = tuple(
        Placement(operation.name, tuple(map(exact, slots[at]))) for at, operation in enumerate(problem.graph.operations)
    )
    lowest = max(1, *(math.ceil(bound.cycles * problem.scale) for bound in bounds))
    proof: Proof = "bound" if interval == lowest else "exhausted" if interval == floor else "open"
    return Schedule(
        graph=problem.graph,
        interval=_cycles(problem, interval),
        placements=placements,
        resource_bound=bounds[0],
        recurrence_bound=bounds[1],
        quantum=exact(problem.quantum),
        proof=proof,
        floor=_cycles(problem, floor),
        obstacle=f"{why}." if why else "",
    )


def _cycles(problem: Problem, quanta: int) -> int | Fraction:
    return exact(Fraction(quanta, problem.scale))
