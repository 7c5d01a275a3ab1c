"""The reservation table: which units of which resource are taken at which residue of the interval.

A set of residues is an integer with a bit per residue, so that all places where a use fits are found at once.
"""

from collections.abc import Iterable

from einsum_cascade.errors import ScheduleError
from einsum_cascade.schedule.problem import PieceUse

__all__ = ["ReservationTable"]

_MOST_RESIDUES = 1 << 30
"""A bit each, of which there are a few sets for every resource."""


class ReservationTable:
    """Reservations modulo the interval.

    Parameters
    ----------
    interval
        In quanta.
    capacities
        Units of each resource.

    """

    def __init__(self, interval: int, capacities: Iterable[int]) -> None:
        """Begin with nothing reserved; a ScheduleError says that the interval is too long for it."""
        if interval > _MOST_RESIDUES:
            message = (
                f"a tile must be scheduled in an interval of at most {_MOST_RESIDUES} quanta, but needs {interval}"
            )
            raise ScheduleError(f"{message}; use smaller tiles")
        self.interval = interval
        self._all = (1 << interval) - 1
        # The residues at which more than k units of a resource are taken, for each k below its capacity.
        self._above = [[0] * capacity for capacity in capacities]

    def first_fit(self, uses: tuple[PieceUse, ...], earliest: int, latest: int) -> int | None:
        """Return the first start in a range at which a piece fits, None if there is none."""
        latest = min(latest, earliest + self.interval - 1)
        if latest < earliest:
            return None
        fits = self._all
        for use in uses:
            fits &= self._rotated(self._starts(use), -use.offset)
        ahead = self._rotated(fits, -(earliest % self.interval)) & ((1 << (latest - earliest + 1)) - 1)
        is_alone = len({use.resource for use in uses}) == len(uses)
        while ahead:
            start = earliest + (ahead & -ahead).bit_length() - 1
            if is_alone or self._fit_together(uses, start):
                return start
            ahead &= ahead - 1
        return None

    def add(self, uses: Iterable[PieceUse], start: int) -> None:
        """Reserve what a piece uses; it must fit."""
        for use in uses:
            for residues in self._spans(use, start):
                self._take(use.resource, residues)

    def remove(self, uses: Iterable[PieceUse], start: int) -> None:
        """Give back what a piece uses."""
        for use in uses:
            above = self._above[use.resource]
            for residues in self._spans(use, start):
                for units in range(len(above)):
                    more = above[units + 1] if units + 1 < len(above) else 0
                    above[units] = above[units] & ~residues | more & residues

    def _fit_together(self, uses: tuple[PieceUse, ...], start: int) -> bool:
        """Tell whether uses that may meet one another fit."""
        done: list[PieceUse] = []
        for use in uses:
            if self.first_fit((use,), start, start) is None:
                break
            self.add((use,), start)
            done.append(use)
        self.remove(done, start)
        return len(done) == len(uses)

    def _take(self, resource: int, residues: int) -> None:
        above = self._above[resource]
        for units in range(len(above) - 1, 0, -1):
            above[units] |= above[units - 1] & residues
        above[0] |= residues

    def _spans(self, use: PieceUse, start: int) -> Iterable[int]:
        """Return the residues of one unit at a time, as often as they are taken."""
        turns, rest = divmod(use.duration, self.interval)
        spans = [self._all] * turns
        if rest:
            spans.append(self._rotated((1 << rest) - 1, start + use.offset))
        return spans * use.amount

    def _starts(self, use: PieceUse) -> int:
        """Return the residues at which a use may start."""
        turns, rest = divmod(use.duration, self.interval)
        above = self._above[use.resource]
        room = len(above) - turns * use.amount
        if room < 0 or (turns and room < len(above) and above[room]):
            return 0
        if not rest:
            return self._all
        if room < use.amount:
            return 0
        return self._runs(self._all & ~above[room - use.amount], rest)

    def _runs(self, free: int, length: int) -> int:
        """Return the residues at which `length` free ones in a row begin."""
        done = 1
        while done < length:
            step = min(done, length - done)
            free &= self._rotated(free, -step)
            done += step
        return free

    def _rotated(self, residues: int, by: int) -> int:
        """Move residues later, around the interval."""
        by %= self.interval
        return (residues << by | residues >> (self.interval - by)) & self._all
