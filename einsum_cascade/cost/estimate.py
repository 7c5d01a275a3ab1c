"""The estimate: accesses, traffic, actions, energy, cycles, latency, utilisation of a mapping, and what bounds it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np

from einsum_cascade.arch.ir import Architecture, Memory
from einsum_cascade.cost.accesses import AccessCounter, Accesses
from einsum_cascade.mapping.binding import Bound, bound_tasks
from einsum_cascade.mapping.counts import Count, check_numbers, maximum, per, scaled
from einsum_cascade.mapping.ir import Block, Compute, leaves
from einsum_cascade.mapping.ir import Mapping as Tree
from einsum_cascade.mapping.sites import Sites, sites_of
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.schedule.phases import Phase, parts_of, phases_of

__all__ = ["CostEstimate", "EnergyItem", "PhaseCost", "estimate"]


@dataclass(frozen=True, slots=True)
class EnergyItem:
    """Energy of one kind.

    Parameters
    ----------
    where
        A memory, an engine's registers, or an engine.
    what
        A tensor, or a component.
    kind
        `read`, `write` or `action`.
    count
        Accesses (fractions allowed) or actions.
    each_pj
        Energy of one.

    """

    where: str
    what: str
    kind: Literal["read", "write", "action"]
    count: Any
    each_pj: float

    @property
    def total_pj(self) -> Any:
        """Energy of all."""
        return self.count * self.each_pj


@dataclass(frozen=True, slots=True)
class PhaseCost:
    """A phase: its time on the engines, its time in every memory, and which is longer.

    Parameters
    ----------
    phase
        Its tasks and cycles.
    compute_s
        Seconds on the engines.
    memory_s
        By memory of limited bandwidth: seconds for its bytes.

    """

    phase: Phase
    compute_s: Any
    memory_s: Mapping[str, Any]

    @property
    def seconds(self) -> Any:
        """The longest of them."""
        longest = self.compute_s
        for seconds in self.memory_s.values():
            longest = maximum(longest, seconds)
        return longest

    @property
    def limit(self) -> str:
        """What decides: a memory, an engine, or `lock-step` where stages wait for one another."""
        check_numbers("what bounds a phase", (self.compute_s, *self.memory_s.values()))
        for name, seconds in self.memory_s.items():
            if np.all(seconds >= self.seconds) and np.all(seconds > self.compute_s):
                return name
        busiest = self.phase.busy_cycles[self.phase.slowest]
        return self.phase.slowest if np.all(np.asarray(busiest) >= self.phase.cycles) else "lock-step"


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What a mapping costs. Every number may be an array, one entry per candidate.

    Parameters
    ----------
    architecture, mapping
        What is estimated.
    repeats
        How often the cascade runs: heads and sequences that ride along.
    bounds
        What each task occupies.
    accesses
        By level and tensor, elements, of one run.
    energy
        All items, of all runs.
    phases
        Parts that follow one another, all runs.
    traffic_bytes
        By memory.

    """

    architecture: Architecture
    mapping: Tree
    repeats: int
    bounds: tuple[Bound, ...]
    accesses: Mapping[tuple[str, str], Accesses]
    energy: tuple[EnergyItem, ...]
    phases: tuple[PhaseCost, ...]
    traffic_bytes: Mapping[str, Any]

    @property
    def latency_s(self) -> Any:
        """Seconds."""
        return sum(phase.seconds for phase in self.phases)

    @property
    def energy_pj(self) -> Any:
        """Picojoules."""
        return sum(item.total_pj for item in self.energy)

    @property
    def cycles(self) -> Any:
        """Cycles of the engines, memories left out."""
        return sum(cast(Any, cost.phase.cycles) for cost in self.phases)

    def busy_cycles(self, engine: str) -> Any:
        """Return the cycles that an engine is occupied."""
        return sum(cast(Any, cost.phase.busy_cycles.get(engine, 0)) for cost in self.phases)

    def utilisation(self, engine: str) -> Any:
        """Return the share of an engine's issue slots that hold an operation."""
        found = self.architecture.engine(engine)
        assert found is not None, engine
        work = sum(cast(Any, bound.work_cycles) for bound in self.bounds if bound.engine == engine) * self.repeats
        return work / (self.latency_s * self.architecture.clock_hz * found.pes)

    @property
    def limit(self) -> str:
        """What bounds the longest phase."""
        check_numbers("what bounds a mapping", (cost.seconds for cost in self.phases))
        return max(self.phases, key=lambda cost: float(np.max(cost.seconds))).limit


def estimate(
    workload: Workload, architecture: Architecture, mapping: Tree, extents: Mapping[str, Count], repeats: int = 1
) -> CostEstimate:
    """Estimate what a mapping costs.

    Parameters
    ----------
    workload, architecture, mapping
        What runs where.
    extents
        Of all ranks, and the values of all parameters that the mapping gives by a rule (see `cost.planning`). Arrays
        for parameters estimate many mappings at once.
    repeats
        How often the cascade runs, one after the other.

    """
    values: dict[str, Count] = {**mapping.numbers, **extents}
    sites = sites_of(workload, architecture, mapping)
    bounds = bound_tasks(workload, architecture, mapping.root, values)
    counter = AccessCounter(workload, architecture, sites, values)
    accesses = counter.count(sites)
    word_bits = {name: architecture.word_bits for name in workload.tensors} | dict(mapping.word_bits)
    parts = tuple(
        _phase_cost(architecture, counter.count(_within(sites, part)), phase, word_bits, repeats)
        for part, phase in zip(parts_of(mapping.root), phases_of(mapping.root, bounds), strict=True)
    )
    return CostEstimate(
        architecture,
        mapping,
        repeats,
        bounds,
        accesses,
        tuple(_energy(architecture, accesses, bounds, word_bits, repeats)),
        parts,
        {memory.name: repeats * _bytes(memory, accesses, word_bits) for memory in architecture.memories},
    )


def _within(sites: Sites, part: Block | Compute) -> Sites:
    """Keep the sites and uses of some tasks."""
    tasks = {leaf.task for leaf in leaves(part)}
    return Sites(
        tuple(site for site in sites.sites if site.tasks <= tasks),
        tuple(use for use in sites.uses if use.task.name in tasks),
    )


def _phase_cost(
    architecture: Architecture,
    accesses: Mapping[tuple[str, str], Accesses],
    phase: Phase,
    word_bits: Mapping[str, int],
    repeats: int,
) -> PhaseCost:
    seconds: dict[str, Any] = {}
    for memory in architecture.memories:
        if memory.read_bytes_per_s is not None:
            seconds[memory.name] = repeats * _seconds(memory, accesses, word_bits)
    whole = Phase(
        phase.tasks,
        cast(Any, phase.cycles) * repeats,
        {name: cast(Any, cycles) * repeats for name, cycles in phase.busy_cycles.items()},
    )
    return PhaseCost(whole, cast(Any, whole.cycles) / architecture.clock_hz, seconds)


def _moved(
    memory: Memory, accesses: Mapping[tuple[str, str], Accesses], word_bits: Mapping[str, int]
) -> tuple[Any, Any]:
    """Return the bytes read from and written to a memory."""
    own = [(entry, word_bits[tensor]) for (level, tensor), entry in accesses.items() if level == memory.name]
    read = sum(scaled(entry.read, bits, 8) for entry, bits in own)
    return read, sum(scaled(entry.written, bits, 8) for entry, bits in own)


def _bytes(memory: Memory, accesses: Mapping[tuple[str, str], Accesses], word_bits: Mapping[str, int]) -> Any:
    read, written = _moved(memory, accesses, word_bits)
    return read + written


def _seconds(memory: Memory, accesses: Mapping[tuple[str, str], Accesses], word_bits: Mapping[str, int]) -> Any:
    read, written = _moved(memory, accesses, word_bits)
    reading = cast(Any, memory.read_bytes_per_s) * memory.instances
    if memory.is_shared:
        return per(read + written, reading)
    return maximum(per(read, reading), per(written, cast(Any, memory.write_bytes_per_s) * memory.instances))


def _energy(
    architecture: Architecture,
    accesses: Mapping[tuple[str, str], Accesses],
    bounds: tuple[Bound, ...],
    word_bits: Mapping[str, int],
    repeats: int,
) -> list[EnergyItem]:
    items: list[EnergyItem] = []
    for (level, tensor), entry in accesses.items():
        read_pj, write_pj, access_bits = _access_cost(architecture, level)
        for kind, count, each in (("read", entry.read, read_pj), ("write", entry.written, write_pj)):
            per_access = scaled(count, word_bits[tensor] * repeats, access_bits)
            items.append(EnergyItem(level, tensor, cast(Any, kind), per_access, each))
    actions: dict[tuple[str, str], Any] = Counter()
    for bound in bounds:
        for component, times in bound.components.items():
            actions[bound.engine, component] += cast(Any, bound.points) * times * repeats
    for (engine, name), count in actions.items():
        component = architecture.component(name)
        assert component is not None, name
        items.append(EnergyItem(engine, name, "action", count, component.energy_pj))
    return items


def _access_cost(architecture: Architecture, level: str) -> tuple[float, float, int]:
    """Return the energy of a read and a write, and the bits of an access."""
    memory = architecture.memory(level)
    if memory is not None:
        return memory.read_pj, memory.write_pj, memory.access_bits
    engine = architecture.engine(level)
    assert engine is not None, level
    return engine.registers.read_pj, engine.registers.write_pj, engine.registers.word_bits
