"""Iterative modulo scheduling: place pieces by priority at the first fit, evict what is in the way.

It is fast and proves nothing: where it fails, a schedule may still exist. Source: B. R. Rau, Iterative modulo
scheduling, MICRO 1994. We differ in trying the starts that no placed piece forbids first, before evicting any.
"""

import heapq

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
    return _Placer(problem, interval).run()


class _Placer:
    def __init__(self, problem: Problem, interval: int) -> None:
        count = len(problem.pieces)
        self.problem, self.interval = problem, interval
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
        heights = self._heights()
        waiting = [(-heights[piece], piece) for piece in range(count)]
        heapq.heapify(waiting)
        for _ in range(_TRIES * count):
            if not waiting:
                break
            _, piece = heapq.heappop(waiting)
            for evicted in self._place(piece):
                heapq.heappush(waiting, (-heights[evicted], evicted))
        return [start for start in self.starts if start is not None] if not waiting else None

    def _heights(self) -> list[int]:
        """Return the longest way from each piece to the end."""
        heights = [piece.duration for piece in self.problem.pieces]
        waiting = list(range(len(heights)))
        while waiting:
            piece = waiting.pop()
            for source, least in self.before[piece]:
                if heights[piece] + least > heights[source]:
                    heights[source] = heights[piece] + least
                    waiting.append(source)
        return heights

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
