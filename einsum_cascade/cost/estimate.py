"""The estimate: accesses, traffic, actions, energy, cycles, latency, utilisation of a mapping, and what bounds it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.analysis.symbolic import is_expression
from einsum_cascade.arch.ir import Architecture, Memory
from einsum_cascade.cost.accesses import AccessCounter, Accesses
from einsum_cascade.cost.array_time import ArrayTime, array_time
from einsum_cascade.cost.phases import PhaseCost, PhaseCounter
from einsum_cascade.errors import MappingError
from einsum_cascade.mapping.binding import BoundTask, bound_tasks
from einsum_cascade.mapping.counts import (
    FIRST_LONG,
    Count,
    array_of,
    check_counts,
    check_numbers,
    maximum,
    minimum,
    scaled,
)
from einsum_cascade.mapping.ir import Mapping as Tree
from einsum_cascade.mapping.ir import normalised
from einsum_cascade.mapping.live import Live
from einsum_cascade.mapping.nest import range_sizes
from einsum_cascade.mapping.residency import sites_of
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.schedule.whole import EngineTime
from einsum_cascade.units import written

__all__ = ["CostEstimate", "EnergyItem", "estimate"]

_SLACK = 16
"""Of what is counted for a tensor: both its directions, tiles that are larger at the edge, cycles of a point."""


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


@dataclass(frozen=True, slots=True, repr=False)
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
        Parts that follow one another, all runs. Every byte is in one of them.
    traffic_bytes
        By memory.
    fills
        By name in formulas, cycles of one run in which the busiest engine of a block waits; symbols in formulas.
    kept
        By name in formulas, the share of an iteration space that masks leave; symbols in formulas.
    array
        What an array takes that runs the mapping as a program; None if none does.

    """

    architecture: Architecture
    mapping: Tree
    repeats: int
    bounds: tuple[BoundTask, ...]
    accesses: Mapping[tuple[str, str], Accesses]
    energy: tuple[EnergyItem, ...]
    phases: tuple[PhaseCost, ...]
    traffic_bytes: Mapping[str, Any]
    fills: Mapping[str, Any]
    kept: Mapping[str, Any]
    array: ArrayTime | None = None

    def __repr__(self) -> str:
        return f"<CostEstimate of {self.mapping.name} on {self.architecture.name}>"

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
        """Cycles on the engines, from the first start to the last end, as if memory kept up with them."""
        return sum(phase.cycles for phase in self.phases)

    def busy_cycles(self, engine: str) -> Any:
        """Return the cycles that an engine is occupied."""
        return sum(phase.busy_cycles.get(engine, 0) for phase in self.phases)

    def utilisation(self, engine: str) -> Any:
        """Return the share of an engine's issue slots that hold an operation.

        Of a mapping that needs more PEs than there are, it is that of an engine that has them.
        """
        found = self.architecture.engine(engine)
        own = [bound for bound in self.bounds if bound.engine == engine]
        work = sum(bound.work_cycles for bound in own) * self.repeats
        needed = [bound.pes for bound in own if not is_expression(bound.pes)]
        pes: Any = reduce(maximum, needed, found.pes)
        cycles = self.latency_s * self.architecture.clock_hz
        if is_expression(cycles):
            return work / (cycles * pes)
        # An array does some of it beside its slots, such as dividing what leaves; of no time, no share is used.
        return minimum(work / pes, self.busy_cycles(engine)) / np.where(cycles == 0, np.inf, cycles)

    @property
    def limit(self) -> str:
        """What bounds the longest phase."""
        check_numbers("what bounds a mapping", (phase.seconds for phase in self.phases))
        return max(self.phases, key=lambda phase: float(np.max(phase.seconds))).limit


def estimate(
    workload: Workload,
    architecture: Architecture,
    mapping: Tree,
    extents: Mapping[str, Count],
    repeats: int = 1,
    inputs: Mapping[str, NDArray[Any]] | None = None,
    array: ArrayTime | None = None,
) -> CostEstimate:
    """Estimate what a mapping costs.

    Parameters
    ----------
    workload, architecture, mapping
        What runs where.
    extents
        Of all ranks, and the values of all parameters that the mapping gives by a rule (see `mapper.planning`). Arrays
        for parameters estimate many mappings at once.
    repeats
        How often the cascade runs, one after the other.
    inputs
        What filters read, by name.
    array
        What an array takes for the mapping, in formulas for one that an array runs. With numbers it is found.

    Raises
    ------
    MappingError
        Arrays of candidates have so large extents that counts may not fit NumPy's numbers.

    """
    values: dict[str, Count] = {**mapping.numbers, **extents}
    _refuse_long_counts(workload, values, repeats)
    tree = replace(mapping, root=normalised(mapping.root))
    sites = sites_of(workload, architecture, tree)
    live = Live(workload, values, inputs)
    bounds = bound_tasks(workload, architecture, mapping.root, values, live)
    counter = AccessCounter(workload, architecture, sites, values, live)
    accesses = counter.count(sites)
    word_bits = {name: architecture.word_bits for name in workload.tensors} | dict(mapping.word_bits)
    array = array or array_time(workload, architecture, mapping, values, inputs)
    engines = EngineTime(workload, architecture, bounds, values, inputs, array.beside if array else frozenset())
    phases = PhaseCounter(architecture, sites, counter, word_bits, engines, array).of(tree.root)
    return CostEstimate(
        architecture,
        mapping,
        repeats,
        bounds,
        accesses,
        tuple(_energy(architecture, accesses, bounds, word_bits, repeats)),
        tuple(phase.times(repeats) for phase in phases),
        {memory.name: repeats * _bytes(memory, accesses, word_bits) for memory in architecture.memories},
        engines.fills,
        live.kept,
        array,
    )


def _refuse_long_counts(workload: Workload, values: Mapping[str, Count], repeats: int) -> None:
    """Refuse arrays of candidates whose counts may be beyond NumPy's numbers, which would be others without a word."""
    if not any(isinstance(value, np.ndarray) for value in values.values()):
        return
    check_counts(values)
    sizes = {name: int(array_of(size).max()) for name, size in range_sizes(workload, values).items()}
    most = repeats * max(prod(sizes[name] for name in ranges) for ranges in map(frozenset, _ranges(workload)))
    if most * _SLACK >= FIRST_LONG:
        message = f"many candidates together must have at most {FIRST_LONG // _SLACK} points, all runs together"
        raise MappingError(f"{message}, but these may have {written(most)}; estimate one at a time, or fewer repeats")


def _ranges(workload: Workload) -> Iterator[Iterator[str]]:
    """Yield for every tensor the ranges of the tasks that use it: it moves at most once in every point of them all."""
    for name in workload.tensors:
        tasks = (*workload.writers[name], *workload.readers[name])
        yield (workload.parts[variable].range for task in tasks for variable in task.variables)


def _bytes(memory: Memory, accesses: Mapping[tuple[str, str], Accesses], word_bits: Mapping[str, int]) -> Any:
    own = [(entry, word_bits[tensor]) for (level, tensor), entry in accesses.items() if level == memory.name]
    return sum(scaled(entry.read, bits, 8) + scaled(entry.written, bits, 8) for entry, bits in own)


def _energy(
    architecture: Architecture,
    accesses: Mapping[tuple[str, str], Accesses],
    bounds: tuple[BoundTask, ...],
    word_bits: Mapping[str, int],
    repeats: int,
) -> list[EnergyItem]:
    items: list[EnergyItem] = []
    for (level, tensor), entry in accesses.items():
        read_pj, write_pj, access_bits = _access_cost(architecture, level)
        read, written = (scaled(n, word_bits[tensor] * repeats, access_bits) for n in (entry.read, entry.written))
        items.append(EnergyItem(level, tensor, "read", read, read_pj))
        items.append(EnergyItem(level, tensor, "write", written, write_pj))
    actions: dict[tuple[str, str], Any] = Counter()
    for bound in bounds:
        for component, times in bound.components.items():
            actions[bound.engine, component] += bound.points * times * repeats
    for (engine, name), count in actions.items():
        component = architecture.component(name)
        items.append(EnergyItem(engine, name, "action", count, component.energy_pj))
    return items


def _access_cost(architecture: Architecture, level: str) -> tuple[float, float, int]:
    """Return the energy of a read and a write, and the bits of an access."""
    memory = architecture.find_memory(level)
    if memory is not None:
        return memory.read_pj, memory.write_pj, memory.access_bits
    engine = architecture.engine(level)
    return engine.registers.read_pj, engine.registers.write_pj, engine.registers.word_bits
