"""Exhaustive search for the lock-step stages with the least interval.

First every operation is given its lag, in all ways that the needs allow. What remains of the needs orders the
operations of one period, and the least interval is found by dynamic programming over the sets that are done: a stage
may be any set whose strict needs are done. A stage is only tried if nothing more fits into it for free, since doing an
operation earlier for free never costs anything later.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from einsum_cascade.schedule.lockstep_rules import Lockstep, Need, arranged, needs_within, stage_length

__all__ = ["FoundStages", "search_stages"]


@dataclass(frozen=True, slots=True)
class FoundStages:
    """Stages as bits of operations, the lags, the interval in quanta, and whether it is the least of all."""

    stages: tuple[int, ...]
    lags: tuple[int, ...]
    interval: int
    is_complete: bool


class _Exhausted(Exception):
    """The effort is spent."""


def search_stages(rules: Lockstep, tiles_in_flight: int, floor: int, effort: int) -> FoundStages:
    """Return the stages with the least interval that were found.

    Parameters
    ----------
    rules
        What lock-step demands.
    tiles_in_flight
        Most tiles that are worked on in one period.
    floor
        An interval that none is below: the search ends when it is met.
    effort
        Stages that are tried at most.

    """
    best = _one_tile(rules)
    counter = [effort]
    try:
        for lags in _lags(rules, tiles_in_flight, []):
            within = needs_within(rules, lags)
            assert within is not None
            found = _Period(rules, within, counter).run(best.interval)
            if found is not None:
                best = FoundStages(found[1], tuple(lags), found[0], False)
            if best.interval <= floor:
                break
    except _Exhausted:
        return replace(best, is_complete=best.interval <= floor)
    return replace(best, is_complete=True)


def _one_tile(rules: Lockstep) -> FoundStages:
    """Return stages for one tile at a time, each with all that can be done."""
    lags = [0] * len(rules.durations)
    within = needs_within(rules, lags)
    assert within is not None
    stages: list[int] = []
    left = set(range(len(lags)))
    while left:
        stage: set[int] = set()
        waiting = left
        while ready := {at for at in waiting if not any(_keeps_waiting(need, at, left, stage) for need in within)}:
            stage |= ready
            waiting = waiting - ready
        stages.append(sum(1 << at for at in stage))
        left = left - stage
    interval = sum(stage_length(rules, arranged(rules, stage, within)) for stage in stages)
    return FoundStages(tuple(stages), tuple(lags), interval, False)


def _keeps_waiting(need: Need, at: int, left: set[int], stage: set[int]) -> bool:
    return need.target == at and need.source in left and (need.is_strict or need.source not in stage)


def _lags(rules: Lockstep, tiles: int, lags: list[int]) -> Iterator[list[int]]:
    """Yield all lags below the number of tiles that no need forbids, least first."""
    at = len(lags)
    if at == len(rules.durations):
        if min(lags) == 0:
            yield list(lags)
        return
    for lag in range(tiles):
        lags.append(lag)
        if all(
            lags[need.target] + need.distance >= lags[need.source]
            for need in rules.needs
            if max(need.source, need.target) == at
        ):
            yield from _lags(rules, tiles, lags)
        lags.pop()


class _Period:
    """The dynamic programming for given lags."""

    def __init__(self, rules: Lockstep, within: Sequence[Need], counter: list[int]) -> None:
        count = len(rules.durations)
        self.rules, self.within, self.counter = rules, within, counter
        self.all = (1 << count) - 1
        self.needed = [0] * count
        self.strict = [0] * count
        for need in within:
            self.needed[need.target] |= 1 << need.source
            self.strict[need.target] |= (1 << need.source) if need.is_strict else 0
        # Only where one engine follows another within a stage can the stage last longer than its engines work.
        self.streaming = sum({1 << need.target for need in within if rules.is_crossing(need)})
        self.best: dict[int, tuple[int, int]] = {self.all: (0, 0)}
        self.lengths: dict[int, int] = {}
        self.loads: dict[int, int] = {}

    def run(self, limit: int) -> tuple[int, tuple[int, ...]] | None:
        """Return the least interval below the limit and its stages; None if there is none."""
        if self._load(self.all) >= limit:
            return None
        interval = self._least(0)
        if interval >= limit:
            return None
        stages: list[int] = []
        done = 0
        while done != self.all:
            stages.append(self.best[done][1])
            done |= stages[-1]
        return interval, tuple(stages)

    def _least(self, done: int) -> int:
        """Return the least cycles in which the rest of a period can be done."""
        if done in self.best:
            return self.best[done][0]
        floor = self._load(self.all & ~done)
        least, chosen = -1, 0
        for stage in self._stages(done):
            length = self._length(stage)
            if least >= 0 and length + self._load(self.all & ~done & ~stage) >= least:
                continue
            cycles = length + self._least(done | stage)
            if least < 0 or cycles < least:
                least, chosen = cycles, stage
            if least == floor:
                break
        self.best[done] = least, chosen
        return least

    def _stages(self, done: int) -> Iterator[int]:
        """Yield the sets that may come next, the largest first."""
        ready = [at for at in range(len(self.needed)) if not done >> at & 1 and not self.strict[at] & ~done]
        for stage in self._subsets(ready, done, 0):
            self.counter[0] -= 1
            if self.counter[0] < 0:
                raise _Exhausted
            if not self._takes_more(stage, done, ready):
                yield stage

    def _subsets(self, ready: list[int], done: int, stage: int) -> Iterator[int]:
        """Yield every set of ready operations that has what its members need, once."""
        able = [at for at in ready if not stage >> at & 1 and not self.needed[at] & ~done & ~stage]
        if able:
            at = able[0]
            yield from self._subsets(ready, done, stage | 1 << at)
            # Without `at`, nothing that needs it can be in the set either.
            yield from self._subsets([other for other in ready if other != at], done, stage)
        elif stage:
            yield stage

    def _takes_more(self, stage: int, done: int, ready: list[int]) -> bool:
        """Tell whether an operation could join a stage without making it longer."""
        length = self._length(stage)
        return any(
            self._length(stage | 1 << at) == length
            for at in ready
            if not stage >> at & 1 and not self.needed[at] & ~done & ~stage
        )

    def _length(self, stage: int) -> int:
        if not stage & self.streaming:
            return self._load(stage)
        if stage not in self.lengths:
            self.lengths[stage] = stage_length(self.rules, arranged(self.rules, stage, self.within))
        return self.lengths[stage]

    def _load(self, members: int) -> int:
        if members not in self.loads:
            self.loads[members] = self.rules.load(members)
        return self.loads[members]
