"""Exhaustive search for a schedule of a given interval, by branch and bound on the order of uses around the interval.

Two uses of a resource that has no room for both lie apart modulo the interval: the difference of their starts is in
`[low, high] + q * interval` for a whole number q. The search chooses q pair by pair. Once all are chosen only
differences are left, and the longest ways between pieces tell whether they can be met, so every branch is decided.

Pieces that do not depend on one another in a cycle can be moved by whole intervals, later ones far enough to meet any
difference between them. So whether an interval is feasible is decided with the differences inside of cycles alone, and
with one piece of each cycle within an interval of the first piece of all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from einsum_cascade.schedule.interval_bounds import components
from einsum_cascade.schedule.problem import Problem
from einsum_cascade.schedule.table import ReservationTable

__all__ = ["Verdict", "fit_alone", "search", "search_latency"]

type Verdict = list[int] | Literal["refuted", "open"]
"""Starts of all pieces; or that there are none; or that it is not known."""

type _Longest = npt.NDArray[np.int64]
"""The least difference of starts by source and target."""

_UNBOUNDED = -(1 << 50)


def search(problem: Problem, interval: int, nodes: int) -> Verdict:
    """Decide whether an interval is feasible for pieces that fit alone, buffers left aside.

    Parameters
    ----------
    problem
        What to schedule.
    interval
        In quanta.
    nodes
        How many branches to visit at most.

    """
    groups = components(len(problem.pieces), problem.edges)
    group_of = {piece: at for at, group in enumerate(groups) for piece in group}
    longest = _unrelated(len(problem.pieces))
    _require(longest, problem, interval, group_of)
    roots = [min(group) for group in groups]
    for root in roots[1:]:
        longest[roots[0], root] = max(0, longest[roots[0], root])
        longest[root, roots[0]] = max(1 - interval, longest[root, roots[0]])
    found = _branch(problem, interval, longest, nodes)
    if isinstance(found, str):
        return found
    return _meet_differences(problem, interval, found)


def search_latency(problem: Problem, interval: int, latency: int, nodes: int) -> Verdict:
    """Decide whether an interval is feasible with every tile done within a latency, buffers left aside."""
    count = len(problem.pieces)
    longest = _unrelated(count)
    _require(longest, problem, interval, dict.fromkeys(range(count), 0))
    durations = np.array([piece.duration for piece in problem.pieces])
    # Any two pieces lie in the same window, so a difference is at most the latency less the duration of the later one.
    np.maximum(longest, (durations - latency)[:, None], out=longest)
    return _branch(problem, interval, longest, nodes)


def _unrelated(count: int) -> _Longest:
    longest = np.full((count, count), _UNBOUNDED, dtype=np.int64)
    np.fill_diagonal(longest, 0)
    return longest


def _require(longest: _Longest, problem: Problem, interval: int, group_of: dict[int, int]) -> None:
    for edge in problem.edges:
        if group_of[edge.source] == group_of[edge.target]:
            least = edge.weight - edge.distance * interval
            longest[edge.source, edge.target] = max(least, longest[edge.source, edge.target])


def fit_alone(problem: Problem, interval: int) -> bool:
    """Tell whether every piece fits beside itself in other tiles."""
    table = ReservationTable(interval, problem.capacities)
    return all(table.first_fit(piece.uses, 0, 0) is not None for piece in problem.pieces)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Pairs of pieces, and the differences of their starts that keep two uses apart, up to whole intervals."""

    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    low: npt.NDArray[np.int64]
    high: npt.NDArray[np.int64]


def _pairs(problem: Problem, interval: int) -> _Pairs:
    rows = np.array([*_rows(problem, interval)], dtype=np.int64).reshape(-1, 4)
    return _Pairs(rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3])


def _rows(problem: Problem, interval: int) -> Iterator[tuple[int, int, int, int]]:
    uses = [(at, use) for at, piece in enumerate(problem.pieces) for use in piece.uses]
    for position, (first, one) in enumerate(uses):
        for second, other in uses[position + 1 :]:
            is_shared = one.resource == other.resource and first != second
            if is_shared and one.amount + other.amount > problem.capacities[one.resource]:
                shift = one.offset - other.offset
                yield first, second, one.duration + shift, interval - other.duration + shift


def _branch(problem: Problem, interval: int, longest: _Longest, nodes: int) -> Verdict:
    for via in range(len(longest)):
        np.maximum(longest, longest[:, via, None] + longest[None, via, :], out=longest)
    pairs = _pairs(problem, interval)
    if np.any(pairs.low > pairs.high):
        return "refuted"
    verdict: Verdict = "refuted"
    waiting = [longest]
    while waiting:
        if nodes == 0:
            return "open"
        nodes -= 1
        longest = waiting.pop()
        settled = _propagate(longest, pairs, interval)
        if settled is None:
            continue
        if not settled:
            starts = _earliest(longest)
            if _fits(problem, interval, starts):
                return starts
            verdict = "open"
        else:
            waiting += settled
    return verdict


def _propagate(longest: _Longest, pairs: _Pairs, interval: int) -> list[_Longest] | None:
    """Tighten differences until nothing changes.

    Returns None if they cannot be met; otherwise the branches of a pair that is open, most promising last; none if all
    pairs are settled.
    """
    while True:
        if np.any(longest.diagonal() > 0):
            return None
        least = longest[pairs.first, pairs.second]
        most = -longest[pairs.second, pairs.first]
        lowest, highest = -((pairs.high - least) // interval), (most - pairs.low) // interval
        if np.any(lowest > highest):
            return None
        from_below = pairs.low + lowest * interval
        to_above = pairs.high + highest * interval
        tighter = np.flatnonzero((from_below > least) | (to_above < most))
        if not tighter.size:
            break
        at = int(tighter[0])
        _bracket(longest, pairs, at, int(from_below[at]), int(to_above[at]))
    choices = highest - lowest
    undecided = np.flatnonzero(choices)
    if not undecided.size:
        return []
    at = int(undecided[np.argmin(choices[undecided])])
    branches: list[_Longest] = []
    for turn in range(int(highest[at]), int(lowest[at]) - 1, -1):
        branch = longest.copy()
        _bracket(branch, pairs, at, int(pairs.low[at]) + turn * interval, int(pairs.high[at]) + turn * interval)
        branches.append(branch)
    return branches


def _bracket(longest: _Longest, pairs: _Pairs, at: int, least: int, most: int) -> None:
    """Require that the difference of a pair lies in a range."""
    first, second = int(pairs.first[at]), int(pairs.second[at])
    _tighten(longest, first, second, least)
    _tighten(longest, second, first, -most)


def _tighten(longest: _Longest, source: int, target: int, least: int) -> None:
    if least > longest[source, target]:
        np.maximum(longest, longest[:, source, None] + (least + longest[None, target, :]), out=longest)


def _earliest(longest: _Longest) -> list[int]:
    """Return the earliest starts after that of the piece which may be first."""
    starts = longest[0]
    return [int(start) for start in starts - starts.min()]


def _fits(problem: Problem, interval: int, starts: Sequence[int]) -> bool:
    table = ReservationTable(interval, problem.capacities)
    for piece, start in zip(problem.pieces, starts, strict=True):
        if table.first_fit(piece.uses, start, start) is None:
            return False
        table.add(piece.uses, start)
    return True


def _meet_differences(problem: Problem, interval: int, starts: list[int]) -> list[int]:
    """Move pieces later by whole intervals until all differences are met."""
    moved = list(starts)
    changed = True
    while changed:
        changed = False
        for edge in problem.edges:
            lacking = moved[edge.source] + edge.weight - edge.distance * interval - moved[edge.target]
            if lacking > 0:
                moved[edge.target] += -(-lacking // interval) * interval
                changed = True
    return moved
