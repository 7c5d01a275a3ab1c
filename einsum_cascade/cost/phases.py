"""The time of a mapping: phases that follow one another, each with the bytes that move in it and the time they take.

Every byte is in one phase. What operations read and write while they run streams beside them. What a level is filled
with, or drained of, is moved while nothing inside runs if there is one copy, and beside what runs inside if there are
two: then only the first tile's move is waited for.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, cast

import numpy as np

from einsum_cascade.arch.ir import Architecture
from einsum_cascade.cost.accesses import AccessCounter, Accesses
from einsum_cascade.cost.array_time import ArrayTime
from einsum_cascade.mapping.counts import Count, array_of, check_numbers, maximum, per, scaled
from einsum_cascade.mapping.ir import Block, Compute, Step, leaves
from einsum_cascade.mapping.residency import Site, Sites
from einsum_cascade.mapping.spread import instances_used
from einsum_cascade.schedule.whole import EngineTime

__all__ = ["Moved", "PhaseCost", "PhaseCounter", "moved_seconds"]


_BUSY = 0.9
"""The share of the time from which on the busiest engine decides, and not what waits for it or it waits for."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Bytes read from and written to a memory.

    Parameters
    ----------
    read, written
        Of all instances.
    each_read, each_written
        Of one of the instances that are used side by side.

    """

    read: Any = 0
    written: Any = 0
    each_read: Any = 0
    each_written: Any = 0

    def plus(self, other: "Moved") -> "Moved":
        """Return the bytes of both."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__slots__)
        return Moved(*(own + more for own, more in pairs))

    def times(self, repeats: int) -> "Moved":
        """Return the bytes of so many runs."""
        return Moved(*(getattr(self, name) * repeats for name in self.__slots__))

    @property
    def total(self) -> Any:
        """All bytes."""
        return self.read + self.written


@dataclass(frozen=True, slots=True)
class PhaseCost:
    """A part of a mapping that no other part overlaps with.

    Parameters
    ----------
    tasks
        Its tasks, in order of the tree; none of a phase in which tensors move and nothing runs.
    tensors
        What moves in a phase in which nothing runs.
    cycles
        Its time on the engines, from the first start to the last end.
    busy_cycles
        By engine: how long it is occupied.
    compute_s
        Seconds on the engines.
    moved
        By memory, the bytes that move.
    memory_s
        By memory of limited bandwidth: seconds for its bytes.
    seconds
        How long it takes: at least as long as on the engines and in every memory.

    """

    tasks: tuple[str, ...]
    tensors: tuple[str, ...]
    cycles: Count
    busy_cycles: Mapping[str, Count]
    compute_s: Any
    moved: Mapping[str, Moved]
    memory_s: Mapping[str, Any]
    seconds: Any

    @property
    def name(self) -> str:
        """What it is called: its tasks, or what moves."""
        return ", ".join(self.tasks) or f"moves of {', '.join(self.tensors)}"

    @property
    def slowest(self) -> str:
        """The engine that is occupied longest."""
        check_numbers("which engine is occupied longest", self.busy_cycles.values())
        return max(self.busy_cycles, key=lambda name: float(array_of(self.busy_cycles[name]).max()))

    @property
    def limit(self) -> str:
        """What decides: a memory, an engine, or `waiting` where engines wait for one another."""
        check_numbers("what bounds a phase", (self.compute_s, *self.memory_s.values()))
        for name, seconds in sorted(self.memory_s.items(), key=lambda item: -float(np.max(item[1]))):
            if np.all(seconds > self.compute_s):
                return name
        if not self.busy_cycles:
            return next(iter(self.moved), "waiting")
        busiest = self.busy_cycles[self.slowest]
        return self.slowest if np.all(busiest >= _BUSY * np.asarray(self.cycles)) else "waiting"

    def times(self, repeats: int) -> "PhaseCost":
        """Return the phase of so many runs, one after the other."""
        return replace(
            self,
            cycles=self.cycles * repeats,
            busy_cycles={name: cycles * repeats for name, cycles in self.busy_cycles.items()},
            compute_s=self.compute_s * repeats,
            moved={name: moved.times(repeats) for name, moved in self.moved.items()},
            memory_s={name: seconds * repeats for name, seconds in self.memory_s.items()},
            seconds=self.seconds * repeats,
        )


def moved_seconds(architecture: Architecture, moved: Mapping[str, Moved]) -> dict[str, Any]:
    """Return by memory of limited bandwidth the seconds that its bytes take."""
    found: dict[str, Any] = {}
    for memory in architecture.memories:
        own = moved.get(memory.name, Moved())
        reading, writing = memory.read_bytes_per_s, memory.write_bytes_per_s
        if reading is None or writing is None:
            continue
        if memory.is_shared:
            found[memory.name] = per(own.each_read + own.each_written, reading)
        else:
            found[memory.name] = maximum(per(own.each_read, reading), per(own.each_written, writing))
    return found


class PhaseCounter:
    """Makes the phases of a mapping.

    Parameters
    ----------
    architecture, sites
        What runs where, and what is held where: of the normalised tree.
    counter
        Counts what moves.
    word_bits
        By tensor.
    engines
        Counts cycles.
    array
        What an array takes for all of it, which is then the time of the root; None if none runs the mapping.

    """

    def __init__(
        self,
        architecture: Architecture,
        sites: Sites,
        counter: AccessCounter,
        word_bits: Mapping[str, int],
        engines: EngineTime,
        array: ArrayTime | None = None,
    ) -> None:
        """Sort sites by where they stand."""
        self.array = array
        self.architecture, self.counter, self.word_bits, self.engines = architecture, counter, word_bits, engines
        self.uses = sites.uses
        self.sites: dict[tuple[int, ...], list[Site]] = {}
        for site in sites.sites:
            if site.outer is not None:
                self.sites.setdefault(site.position, []).append(site)

    def of(self, root: Block) -> tuple[PhaseCost, ...]:
        """Return the phases of the tree."""
        self._root = root
        return self._of(root, (), (), is_scheduled=False)

    def _of(
        self, node: Block | Compute, above: tuple[Step, ...], position: tuple[int, ...], *, is_scheduled: bool
    ) -> tuple[PhaseCost, ...]:
        """Return the phases of a part of the tree; the cycles of what is inside one schedule come from that."""
        if isinstance(node, Compute):
            return (self._task(node, above),)
        first, is_parallel = len(node.steps), node.order != "sequence"
        parts = [
            self._of(part, (*above, *node.steps), (*position, first + at), is_scheduled=is_scheduled or is_parallel)
            for at, part in enumerate(node.body)
        ]
        found = tuple(phase for part in parts for phase in part)
        if is_parallel:
            found = (self._parallel(node, above, parts, is_scheduled=is_scheduled),)
        for at in reversed(range(first)):
            for site in reversed(self.sites.get((*position, at), [])):
                found = self._around(site, found)
        return found

    def _task(self, leaf: Compute, above: tuple[Step, ...]) -> PhaseCost:
        uses = tuple(use for use in self.uses if use.task.name == leaf.task)
        cycles = self.engines.cycles(leaf, above)
        return self._phase((leaf.task,), (), cycles, {leaf.engine: cycles}, self._moved(Sites((), uses)))

    def _parallel(
        self, block: Block, above: tuple[Step, ...], parts: Iterable[tuple[PhaseCost, ...]], *, is_scheduled: bool
    ) -> PhaseCost:
        """Return what parts that overlap are together: an engine stands still where one of its parts does.

        An array has places for what comes and for what leaves, so that none of its engines does.
        """
        each = tuple(parts)
        own = tuple(phase for part in each for phase in part)
        cycles, taken = self._engines(block, above, own, is_scheduled=is_scheduled)
        found = self._phase(*_names(own), cycles, taken, _moved(own))
        if self.array is not None:
            return found
        busy = {name: taken / self.architecture.clock_hz for name, taken in found.busy_cycles.items()}
        stalled = dict(busy)
        for part in each:
            for name in _busy(part).keys() & stalled.keys():
                stalled[name] = stalled[name] + sum(phase.seconds - phase.compute_s for phase in part)
        lost = reduce(maximum, stalled.values()) - reduce(maximum, busy.values())
        return replace(found, seconds=maximum(found.seconds, found.compute_s + lost))

    def _engines(
        self, block: Block, above: tuple[Step, ...], own: tuple[PhaseCost, ...], *, is_scheduled: bool
    ) -> tuple[Count, Mapping[str, Count]]:
        """Return the cycles of a block, and those by engine in which it has something to do."""
        if is_scheduled:
            return self.engines.steady_cycles(block), _busy(own)
        if self.array is not None:
            return self.engines.told(block, self.array.cycles), self.array.busy_cycles
        return self.engines.cycles(block, above), _busy(own)

    def _around(self, site: Site, inside: tuple[PhaseCost, ...]) -> tuple[PhaseCost, ...]:
        """Return phases with what a site is filled with and drained of around them."""
        moved = self._moved(Sites((site,), ()))
        move = self._phase((), (site.tensor,), 0, {}, moved)
        if site.copies < 2 and self.array is None:
            return (move, *inside)
        both = (*inside, move)
        found = self._phase(*_names(both), _cycles(inside), _busy(inside), _moved(both))
        inner = _seconds(inside)
        waited = self.counter.first_share(site, self._path(site))
        together = reduce(maximum, (inner, *found.memory_s.values()))
        return (replace(found, seconds=together * (1 - waited) + (inner + move.seconds) * waited),)

    def _path(self, site: Site) -> tuple[Step, ...]:
        """Return the steps above the tile that is waited for: that of a site, or of the program of an array."""
        if self.array is None:
            return site.path
        users = {use.task.name for use in self.uses if use.access.tensor == site.tensor} & site.tasks
        return _shared_by(self._root, users)

    def _phase(
        self,
        tasks: tuple[str, ...],
        tensors: tuple[str, ...],
        cycles: Count,
        busy: Mapping[str, Count],
        moved: Mapping[str, Moved],
    ) -> PhaseCost:
        compute = cycles / self.architecture.clock_hz
        memory_s = moved_seconds(self.architecture, moved)
        seconds = reduce(maximum, memory_s.values(), compute)
        return PhaseCost(tasks, tensors, cycles, busy, compute, moved, memory_s, seconds)

    def _moved(self, sites: Sites) -> dict[str, Moved]:
        """Return by memory the bytes that some sites and uses move."""
        found: dict[str, Moved] = {}
        memories = {memory.name: memory for memory in self.architecture.memories}
        tasks = {task for site in sites.sites for task in site.tasks} | {use.task.name for use in sites.uses}
        pes = reduce(maximum, (self.engines.bounds[task].pes for task in sorted(tasks)))
        for (level, tensor), entry in self.counter.count(sites).items():
            if level in memories:
                used = instances_used(memories[level].instances, pes)
                own = _bytes(entry, self.word_bits[tensor], used)
                found[level] = found.get(level, Moved()).plus(own)
        return found


def _shared_by(block: Block, tasks: AbstractSet[str]) -> tuple[Step, ...]:
    """Return the steps above some tasks that are above others, too: those of the tiles of a program."""
    for part in block.body:
        own = [leaf.task for leaf in leaves(part)]
        if isinstance(part, Block) and len(own) > 1 and tasks <= set(own):
            return (*block.steps, *_shared_by(part, tasks))
    return block.steps


def _bytes(entry: Accesses, bits: int, instances: Count) -> Moved:
    read, written = scaled(entry.read, bits, 8), scaled(entry.written, bits, 8)
    if isinstance(instances, int) and instances == 1:
        return Moved(read, written, read, written)
    return Moved(read, written, read / instances, written / instances)


def _names(phases: Iterable[PhaseCost]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    own = tuple(phases)
    tasks = tuple(task for phase in own for task in phase.tasks)
    return tasks, tuple(dict.fromkeys(tensor for phase in own for tensor in phase.tensors))


def _cycles(phases: Iterable[PhaseCost]) -> Count:
    return cast(Count, sum(phase.cycles for phase in phases))


def _seconds(phases: Iterable[PhaseCost]) -> Any:
    return sum(phase.seconds for phase in phases)


def _busy(phases: Iterable[PhaseCost]) -> dict[str, Count]:
    found: dict[str, Count] = {}
    for phase in phases:
        for engine, cycles in phase.busy_cycles.items():
            found[engine] = found.get(engine, 0) + cycles
    return found


def _moved(phases: Iterable[PhaseCost]) -> dict[str, Moved]:
    found: dict[str, Moved] = {}
    for phase in phases:
        for memory, moved in phase.moved.items():
            found[memory] = found.get(memory, Moved()).plus(moved)
    return found
