"""The two machines of the evaluation, and how work on them becomes a row."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache

from einsum_cascade.arch.ir import Architecture, Engine, Memory, RegisterFile
from einsum_cascade.arch.presets import load_architecture
from einsum_cascade.reproduction.published import BANKED, PES, QUIRKS, WRAPS
from einsum_cascade.reproduction.workloads import PublishedWorkload

__all__ = ["AttentionRow", "PublishedMachine", "Work", "columns_of", "lost_share", "machine_of", "tiles_of"]

type Number = int | Fraction


@dataclass(frozen=True, slots=True)
class AttentionRow:
    """A row of the evaluation's table of attention.

    Parameters
    ----------
    configuration, model, seq
        Which row.
    traffic_bytes
        To and from DRAM.
    latency_s, energy_pj
        Of one layer's attention for the whole batch.
    util_2d, util_1d
        Utilisation of the arrays.

    """

    configuration: str
    model: str
    seq: str
    traffic_bytes: float
    latency_s: float
    energy_pj: float
    util_2d: float
    util_1d: float


@dataclass(frozen=True, slots=True)
class Work:
    """What a configuration does for a workload, all heads together.

    Parameters
    ----------
    phases
        Cycles and DRAM words of each part; the parts follow one another, and a part is bound by either.
    busy_2d, busy_1d
        Cycles of the arrays, times the fraction of PEs in use.
    actions
        By component.
    rows_read, rows_written
        Rows of the buffer.
    steps_2d
        Multiply-add steps whose three operands pass through the register file of a PE of the 2D array.
    vector_pj
        Register file of one PE of the 1D array, and vectors of one row.

    """

    phases: tuple[tuple[Number, Number], ...]
    busy_2d: Number
    busy_1d: Number
    actions: Mapping[str, int]
    rows_read: Number
    rows_written: Number
    steps_2d: Number
    vector_pj: float


@dataclass(frozen=True, slots=True)
class PublishedMachine:
    """An architecture, read for this evaluation, and the quirks and refinements that are on."""

    architecture: Architecture
    options: frozenset[str] = field(default=frozenset(QUIRKS))

    @property
    def dram(self) -> Memory:
        """The outermost memory."""
        return self.architecture.memories[0]

    @property
    def buffer(self) -> Memory:
        """The global buffer."""
        return self.architecture.memories[-1]

    @property
    def capacity_bytes(self) -> int:
        """Bytes that the buffer holds."""
        assert self.buffer.capacity_bytes is not None
        return self.buffer.capacity_bytes

    @property
    def capacity_words(self) -> int:
        """Words that the buffer holds."""
        return int(self.capacity_bytes / self.architecture.word_bytes)

    def has(self, option: str) -> bool:
        """Tell whether a quirk or a refinement is on."""
        return option in self.options

    @property
    def state_words(self) -> int:
        """Words of an operand's width that an element of running state takes."""
        return 2 if self.has("fp32-state") else 1

    def seconds(self, phases: Iterable[tuple[Number, Number]]) -> float:
        """Return the time of phases that follow one another, each bound by its cycles or by DRAM."""
        clock, word_bytes = self.architecture.clock_hz, self.architecture.word_bytes
        bandwidth = self.dram.read_bytes_per_s
        assert bandwidth is not None
        return sum(max(float(cycles) / clock, float(words * word_bytes / bandwidth)) for cycles, words in phases)

    def row(self, configuration: str, workload: PublishedWorkload, work: Work) -> AttentionRow:
        """Return the row of a configuration."""
        latency = self.seconds(work.phases)
        cycles = latency * self.architecture.clock_hz
        words = sum(words for _, words in work.phases)
        traffic = float(words * self.architecture.word_bytes)
        utilisation = float(work.busy_2d) / cycles, float(work.busy_1d) / cycles
        return AttentionRow(
            configuration, workload.model.name, workload.seq, traffic, latency, self.energy_pj(work), *utilisation
        )

    def energy_pj(self, work: Work) -> float:
        """Return the energy of work."""
        words = float(sum(words for _, words in work.phases))
        per_access = self.dram.access_bits / self.architecture.word_bits
        actions = sum(self._action_pj(name) * count for name, count in work.actions.items())
        buffer = float(work.rows_read) * self.buffer.read_pj + float(work.rows_written) * self.buffer.write_pj
        return words / per_access * self.dram.read_pj + buffer + actions + self._register_pj(work)

    def _action_pj(self, name: str) -> float:
        component = self.architecture.component(name)
        return component.energy_pj

    def _register_pj(self, work: Work) -> float:
        registers = self.engine("2d").registers
        array_pj = 3 * (registers.read_pj + registers.write_pj) * float(work.steps_2d)
        if self.has("one-register-file"):
            return array_pj + work.vector_pj
        return array_pj * PES * PES + work.vector_pj * PES

    def engine(self, name: str) -> Engine:
        """Return an engine that the machine has."""
        engine = self.architecture.engine(name)
        return engine


def tiles_of(workload: PublishedWorkload) -> int:
    """Return the tiles of 256 keys by 256 queries of all heads."""
    return workload.heads * (workload.tokens // PES) ** 2


def columns_of(workload: PublishedWorkload) -> int:
    """Return how often all heads take 256 queries."""
    return workload.heads * (workload.tokens // PES)


def lost_share(machine: PublishedMachine, name: str, tensor: str, workload: PublishedWorkload) -> Fraction:
    """Return the share of first reads of the scores, or of the numerator, that the overflow fails to elide."""
    if not machine.has("overflow"):
        return Fraction(0)
    unique = tiles_of(workload) * PES * (PES if tensor == "scores" else workload.head)
    return 1 - Fraction(unique % WRAPS[name, tensor], unique)


@cache
def machine_of(name: str, options: frozenset[str]) -> PublishedMachine:
    """Return a machine of the evaluation by the name of its architecture."""
    architecture = load_architecture(name)
    buffer = architecture.memories[-1]
    if "costly-buffer" not in options:
        like = load_architecture("fusemax-cloud").memories[-1]
        buffer = replace(buffer, read_pj=like.read_pj, write_pj=like.write_pj)
    if "banked-buffer" in options:
        buffer = replace(buffer, read_pj=buffer.read_pj * BANKED[0], write_pj=buffer.write_pj * BANKED[1])
    engines = architecture.engines
    if "unshared-area" not in options:
        engines = tuple(replace(engine, registers=_shared(engine.registers)) for engine in engines)
    return PublishedMachine(
        replace(architecture, memories=(*architecture.memories[:-1], buffer), engines=engines), options
    )


def _shared(registers: RegisterFile) -> RegisterFile:
    """Return a register file with its share of the area of one of 64 words, the least that there is."""
    return replace(registers, area_um2=registers.area_um2 * min(1.0, registers.words / 64))
