"""Iterative modulo scheduling: place pieces by priority at the first fit, evict what is in the way.

It is fast and proves nothing: where it fails, a schedule may still exist. Source: B. R. Rau, Iterative modulo
scheduling, MICRO 1994. We differ in trying the starts that no placed piece forbids first, before evicting any.
"""

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from einsum_cascade.schedule.problem import Problem
from einsum_cascade.schedule.table import ReservationTable

__all__ = ["place"]

_NEVER = 1 << 62
_TRIES = 6


def place(problem: Problem, interval: int) -> list[int] | None:
    """Return the start of every piece in quanta; None if it was given up.

    Parameters
    ----------
    problem
        What to schedule.
    interval
        In quanta, at least the recurrence bound.

    """
    heights = _longest_ways(problem, interval, [piece.duration for piece in problem.pieces])
    by_height = [-height for height in heights]
    starts = _Placer(problem, interval, by_height).run()
    if starts is None and any(edge.context for edge in problem.edges):
        least_slack = [*zip(_slacks(problem, interval), by_height, strict=True)]
        starts = _Placer(problem, interval, _ranks(least_slack)).run()
        if starts is None:
            starts = _Placer(problem, interval, _ranks(_busiest_first(problem, interval))).run()
    return starts


def _ranks(keys: Sequence[Any]) -> list[int]:
    order = sorted(range(len(keys)), key=keys.__getitem__)
    return [rank for _, rank in sorted(zip(order, range(len(order)), strict=True))]


def _busiest_first(problem: Problem, interval: int) -> list[tuple[bool, int]]:
    """Rank what is on the resource with the most to do first, each in the order in which it could start."""
    earliest = _longest_ways(_turned(problem), interval, [0] * len(problem.pieces))
    load: Counter[int] = Counter()
    for piece in problem.pieces:
        for use in piece.uses:
            load[use.resource] += use.duration * use.amount
    busiest = max(load, key=lambda resource: Fraction(load[resource], problem.capacities[resource]), default=None)
    return [
        (all(use.resource != busiest for use in piece.uses), start)
        for piece, start in zip(problem.pieces, earliest, strict=True)
    ]


def _turned(problem: Problem) -> Problem:
    """Return the problem with every edge the other way round, so that the longest way on is the one up to a piece."""
    return replace(problem, edges=tuple(replace(e, source=e.target, target=e.source) for e in problem.edges))


def _longest_ways(problem: Problem, interval: int, ways: list[int]) -> list[int]:
    """Return the longest way from each piece on, given how long it is at the least."""
    before: list[list[tuple[int, int]]] = [[] for _ in ways]
    for edge in problem.edges:
        before[edge.target].append((edge.source, edge.weight - edge.distance * interval))
    waiting = [piece for piece, way in enumerate(ways) if way > -_NEVER]
    while waiting:
        piece = waiting.pop()
        for source, least in before[piece]:
            if ways[piece] + least > ways[source]:
                ways[source] = ways[piece] + least
                waiting.append(source)
    return ways


def _slacks(problem: Problem, interval: int) -> list[int]:
    """Return by how much each piece can be late before a tile has no context left; never is a large number."""
    slacks = [_NEVER] * len(problem.pieces)
    turned = _turned(problem)
    for edge in problem.edges:
        if edge.context is not None:
            never = [-_NEVER] * len(slacks)
            never[edge.source] = 0
            to_end = _longest_ways(problem, interval, never)
            never = [-_NEVER] * len(slacks)
            never[edge.target] = 0
            from_begin = _longest_ways(turned, interval, never)
            allowed = edge.distance * interval - edge.weight
            slacks = [min(*own) for own in zip(slacks, _left(allowed, to_end, from_begin), strict=True)]
    return slacks


def _left(allowed: int, to_end: list[int], from_begin: list[int]) -> Iterator[int]:
    for after, before in zip(to_end, from_begin, strict=True):
        yield allowed - after - before if min(after, before) > -_NEVER // 2 else _NEVER


class _Placer:
    def __init__(self, problem: Problem, interval: int, priorities: list[int]) -> None:
        count = len(problem.pieces)
        self.priorities, self.interval = priorities, interval
        self.table = ReservationTable(interval, problem.capacities)
        self.uses = [piece.uses for piece in problem.pieces]
        self.after: list[list[tuple[int, int]]] = [[] for _ in range(count)]
        self.before: list[list[tuple[int, int]]] = [[] for _ in range(count)]
        for edge in problem.edges:
            if edge.source != edge.target:
                least = edge.weight - edge.distance * interval
                self.after[edge.source].append((edge.target, least))
                self.before[edge.target].append((edge.source, least))
        self.starts: list[int | None] = [None] * count
        self.last = [-_NEVER] * count

    def run(self) -> list[int] | None:
        count = len(self.uses)
        waiting = [(self.priorities[piece], piece) for piece in range(count)]
        heapq.heapify(waiting)
        for _ in range(_TRIES * count):
            if not waiting:
                break
            _, piece = heapq.heappop(waiting)
            for evicted in self._place(piece):
                heapq.heappush(waiting, (self.priorities[evicted], evicted))
        return [start for start in self.starts if start is not None] if not waiting else None

    def _place(self, piece: int) -> list[int]:
        """Place a piece, and return those that had to give way."""
        earliest, latest = self._window(piece)
        start = self.table.first_fit(self.uses[piece], earliest, latest)
        if start is None:
            start = self.table.first_fit(self.uses[piece], earliest, _NEVER)
            if start is None or start == self.last[piece]:
                start = max(earliest, self.last[piece] + 1)
        evicted = self._evict(piece, start)
        self.table.add(self.uses[piece], start)
        self.starts[piece] = self.last[piece] = start
        return evicted

    def _window(self, piece: int) -> tuple[int, int]:
        """Return the first and the last start that the placed pieces allow."""
        placed = self.starts
        earliest = [at + least for other, least in self.before[piece] if (at := placed[other]) is not None]
        latest = [at - least for other, least in self.after[piece] if (at := placed[other]) is not None]
        last = min(latest, default=_NEVER)
        return max(earliest, default=0 if last >= 0 else last - self.interval + 1), last

    def _evict(self, piece: int, start: int) -> list[int]:
        evicted: list[int] = []
        for other, least in self.after[piece]:
            self._give_way(other, least + start, _NEVER, evicted)
        for other, least in self.before[piece]:
            self._give_way(other, -_NEVER, start - least, evicted)
        resources = {use.resource for use in self.uses[piece]}
        for other, placed in enumerate(self.starts):
            if self.table.first_fit(self.uses[piece], start, start) is not None:
                break
            if placed is not None and any(use.resource in resources for use in self.uses[other]):
                self._remove(other, evicted)
        return evicted

    def _give_way(self, other: int, earliest: int, latest: int, evicted: list[int]) -> None:
        placed = self.starts[other]
        if placed is not None and not earliest <= placed <= latest:
            self._remove(other, evicted)

    def _remove(self, other: int, evicted: list[int]) -> None:
        start = self.starts[other]
        assert start is not None
        self.table.remove(self.uses[other], start)
        self.starts[other] = None
        evicted.append(other)
