"""Replay a schedule and report all that it breaks.

Nothing here is shared with the schedulers but the values they are given and return. Every tile of a run is replayed
with its own starts, nothing is taken modulo the interval, and what is taken, held or kept is summed up by time.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from einsum_cascade.schedule.graph import Dependence, OperationGraph
from einsum_cascade.schedule.ir import Schedule
from einsum_cascade.schedule.operation import Cycles

__all__ = ["Violation", "check_schedule"]

type _Starts = dict[str, tuple[Cycles, ...]]


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must hold and does not.

    Parameters
    ----------
    kind
        What is broken: the placements as such, a resource, a buffer, a dependence, or a context.
    subject
        Name of the operation, resource or context; `producer -> consumer` of a dependence.
    tile, cycle
        Where it shows first.
    message
        A sentence.

    """

    kind: Literal["placement", "resource", "buffer", "dependence", "context"]
    subject: str
    tile: int
    cycle: Cycles
    message: str

    def __str__(self) -> str:
        return self.message


def check_schedule(graph: OperationGraph, schedule: Schedule, tiles: int | None = None) -> tuple[Violation, ...]:
    """Return what a schedule breaks, the first time that it does; nothing if it is legal.

    Parameters
    ----------
    graph
        What had to be scheduled.
    schedule
        Interval and placements; nothing else of it is believed.
    tiles
        How many tiles to replay; by default so many that every two which may meet do.

    """
    starts = {placement.operation: placement.starts for placement in schedule.placements}
    wrong = [*_wrong_placements(graph, starts, schedule.interval)]
    if wrong:
        return tuple(wrong)
    if tiles is None:
        tiles = _enough_tiles(graph, starts, schedule.interval)
    replay = _Replay(graph, starts, schedule.interval, tiles)
    return (*replay.resources(), *replay.buffers(), *replay.dependences(), *replay.contexts())


def _wrong_placements(graph: OperationGraph, starts: _Starts, interval: Cycles) -> Iterator[Violation]:
    if interval <= 0:
        yield Violation("placement", "interval", 0, 0, f"The interval must be above 0, not {interval}.")
    for name in sorted(starts.keys() ^ graph.operation.keys()):
        yield Violation("placement", name, 0, 0, f"Operation {name!r} must be both in the graph and in the schedule.")
    for operation in graph.operations:
        own = starts.get(operation.name, ())
        if own and len(own) != operation.slots:
            message = f"Operation {operation.name!r} must have {operation.slots} starts, not {len(own)}."
            yield Violation("placement", operation.name, 0, own[0], message)
        for before, after in itertools.pairwise(own):
            if after - before < operation.spacing:
                message = (
                    f"Slots of {operation.name!r} must be {operation.spacing} cycles apart, "
                    f"but start at {before} and {after}."
                )
                yield Violation("placement", operation.name, 0, after, message)
                break


def _enough_tiles(graph: OperationGraph, starts: _Starts, interval: Cycles) -> int:
    """Return twice the intervals that anything of one tile may last, and the longest distance."""
    first = min(own[0] for own in starts.values())
    last = max(
        starts[operation.name][-1]
        + max(operation.duration, *(use.offset + use.duration for use in operation.all_uses), 0)
        for operation in graph.operations
    )
    farthest = max((dependence.distance for dependence in graph.dependences), default=0)
    return 2 * (math.ceil(Fraction(last - first) / interval) + farthest) + 1


class _Replay:
    def __init__(self, graph: OperationGraph, starts: _Starts, interval: Cycles, tiles: int) -> None:
        self.graph, self.starts, self.interval, self.tiles = graph, starts, interval, tiles

    def begin(self, name: str, tile: int, slot: int = 0) -> Cycles:
        return self.starts[name][slot] + tile * self.interval

    def end(self, name: str, tile: int) -> Cycles:
        return self.begin(name, tile, -1) + self.graph.operation[name].duration

    def resources(self) -> Iterator[Violation]:
        taken: defaultdict[str, list[_Change]] = defaultdict(list)
        for tile in range(self.tiles):
            for operation in self.graph.operations:
                for slot in range(operation.slots):
                    at = self.begin(operation.name, tile, slot)
                    for use in operation.all_uses:
                        begin = at + use.offset
                        taken[use.resource] += _changes(begin, begin + use.duration, use.amount, tile)
        for name, changes in taken.items():
            capacity = self.graph.resource[name].capacity
            for change, level in _above(changes, capacity):
                message = f"Resource {name!r} must have {level} units in cycle {change.cycle}, but has {capacity}."
                yield Violation("resource", name, change.tile, change.cycle, message)

    def buffers(self) -> Iterator[Violation]:
        held: defaultdict[str, list[_Change]] = defaultdict(list)
        for operation in self.graph.operations:
            for hold in operation.holds:
                for tile in range(self.tiles):
                    begin, end = self.begin(operation.name, tile), self._last_need(operation.name, tile)
                    held[hold.resource] += _changes(begin, end, hold.amount, tile)
        for name, changes in held.items():
            capacity = self.graph.resource[name].capacity
            for change, level in _above(changes, capacity):
                message = f"Buffer {name!r} must hold {level} units in cycle {change.cycle}, but has {capacity}."
                yield Violation("buffer", name, change.tile, change.cycle, message)

    def dependences(self) -> Iterator[Violation]:
        for dependence in self.graph.dependences:
            for tile in range(dependence.distance, self.tiles):
                late = next(self._too_early(dependence, tile), None)
                if late is not None:
                    subject = f"{dependence.producer} -> {dependence.consumer}"
                    cycle, needed, what = late
                    message = (
                        f"{what} of {dependence.consumer!r} in tile {tile} must not be before cycle {needed}, "
                        f"because of {dependence.producer!r} in tile {tile - dependence.distance}, but is at {cycle}."
                    )
                    yield Violation("dependence", subject, tile, cycle, message)
                    break

    def contexts(self) -> Iterator[Violation]:
        for context in self.graph.contexts:
            kept: list[_Change] = []
            for tile in range(self.tiles):
                end = max(self.end(name, tile) for name in context.released_by)
                kept += _changes(self.begin(context.taken_by, tile), end, 1, tile)
            for change, level in _above(kept, context.count):
                needed = f"{level} copies in cycle {change.cycle}"
                message = f"Context {context.name!r} must have {needed}, but has {context.count}."
                yield Violation("context", context.name, change.tile, change.cycle, message)

    def _last_need(self, name: str, tile: int) -> Cycles:
        ends = [self.end(name, tile)]
        for dependence in self.graph.dependences:
            if dependence.producer == name:
                ends.append(self.end(dependence.consumer, tile + dependence.distance))
        return max(ends)

    def _too_early(self, dependence: Dependence, tile: int) -> Iterator[tuple[Cycles, Cycles, str]]:
        """Yield what happens before it may: when it does, when it may, and what it is."""
        producer, consumer, from_tile = dependence.producer, dependence.consumer, tile - dependence.distance
        for cycle, needed, what in self._moments(dependence, producer, consumer, from_tile, tile):
            if cycle < needed + dependence.latency:
                yield cycle, needed + dependence.latency, what

    def _moments(
        self, dependence: Dependence, producer: str, consumer: str, from_tile: int, tile: int
    ) -> Iterator[tuple[Cycles, Cycles, str]]:
        made, used = len(self.starts[producer]), len(self.starts[consumer])
        if dependence.kind == "finish":
            yield self.begin(consumer, tile), self.end(producer, from_tile), "The start"
        elif made > 1 and used > 1:
            for slot in range(used):
                # So many of the producer's slots that their share of its chain is at least that of slots 0 to `slot`.
                share = next(count for count in range(1, made + 1) if count * used >= (slot + 1) * made)
                yield self.begin(consumer, tile, slot), self.begin(producer, from_tile, share - 1), f"Slot {slot}"
        else:
            yield self.begin(consumer, tile), self.begin(producer, from_tile), "The start"
            yield self.end(consumer, tile), self.end(producer, from_tile), "The end"


@dataclass(frozen=True, slots=True)
class _Change:
    """Units taken or, if negative, given back."""

    cycle: Cycles
    units: int
    tile: int


def _changes(begin: Cycles, end: Cycles, units: int, tile: int) -> list[_Change]:
    return [_Change(begin, units, tile), _Change(end, -units, tile)] if begin < end else []


def _above(changes: list[_Change], capacity: int) -> Iterator[tuple[_Change, int]]:
    """Yield the first change after which more units are taken than there are, and how many are."""
    level = 0
    # What is given back in a cycle can be taken in that cycle.
    for change in sorted(changes, key=lambda change: (change.cycle, change.units)):
        level += change.units
        if level > capacity:
            yield change, level
            return
