"""The architecture: memory levels from the outermost to the innermost, engines, and what an action costs.

Values only; `arch.validation` is the way from raw values to these, `arch.codec` the way from and to files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from einsum_cascade.errors import UsageError
from einsum_cascade.wording import did_you_mean

__all__ = ["Architecture", "Component", "Engine", "Link", "Memory", "Operation", "RegisterFile"]

type Link = Literal["broadcast", "reduce", "shift"]
"""What neighbouring PEs can do along a row or a column: `broadcast`, `reduce` or `shift`."""


@dataclass(frozen=True, slots=True)
class Component:
    """A functional unit.

    Parameters
    ----------
    name
        What actions are counted under, such as `mac`.
    energy_pj
        Energy of one action.
    area_um2
        Area of one unit.
    source
        Where the figures are from.

    """

    name: str
    energy_pj: float
    area_um2: float
    source: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """What an engine can do at one point.

    Parameters
    ----------
    name
        The operator: one of the registry such as `max` or `expsub`, or `mac` for a product that is added to a sum.
    interval_cycles
        Issue slots that one application takes in a PE.
    latency_cycles
        Cycles until the result can be used.
    components
        Actions that one application makes, by component.

    """

    name: str
    interval_cycles: int
    latency_cycles: int
    components: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class RegisterFile:
    """The register file of one PE.

    Parameters
    ----------
    words, word_bits
        Its depth and width.
    read_pj, write_pj
        Energy per word.
    area_um2
        Area of one.
    source
        Where the figures are from.

    """

    words: int
    word_bits: int
    read_pj: float
    write_pj: float
    area_um2: float
    source: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """A memory level.

    Parameters
    ----------
    name
        Its name.
    capacity_bytes
        What one instance holds; None if it is not limited.
    access_bits
        Width of one access.
    read_bytes_per_s, write_bytes_per_s
        Bandwidth of one instance; None if it is not limited. Where `is_shared`, both are the one that is shared.
    is_shared
        Whether reads and writes share their bandwidth.
    instances
        How many there are.
    read_pj, write_pj
        Energy per access.
    area_um2
        Area of one instance; None if it is not known, or off the chip.
    source
        Where the figures are from.

    """

    name: str
    capacity_bytes: int | None
    access_bits: int
    read_bytes_per_s: Fraction | None
    write_bytes_per_s: Fraction | None
    is_shared: bool
    instances: int
    read_pj: float
    write_pj: float
    area_um2: float | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Engine:
    """An array of PEs that work in step: a 2D array, or a row of them.

    Parameters
    ----------
    name
        Its name.
    rows, columns
        Its shape.
    operations
        What a PE can do.
    registers
        The register file of a PE.
    contexts
        Tiles whose scores a PE can hold in flight; None if it is not limited.
    along_rows, along_columns
        What a row and what a column can do: `broadcast`, `reduce`, `shift`.

    """

    name: str
    rows: int
    columns: int
    operations: tuple[Operation, ...]
    registers: RegisterFile
    contexts: int | None
    along_rows: frozenset[Link]
    along_columns: frozenset[Link]

    @property
    def pes(self) -> int:
        """Number of PEs."""
        return self.rows * self.columns

    def operation(self, name: str) -> Operation | None:
        """Return an operation by name; None if the engine cannot do it."""
        return next((operation for operation in self.operations if operation.name == name), None)


@dataclass(frozen=True, slots=True, repr=False)
class Architecture:
    """A machine.

    Parameters
    ----------
    name
        Its name.
    clock_hz
        The clock of all engines.
    word_bits
        Width of an operand.
    memories
        The levels, the outermost (DRAM) first.
    engines
        The engines, which all read and write the innermost memory.
    components
        The functional units.
    source
        What it is after.

    """

    name: str
    clock_hz: int
    word_bits: int
    memories: tuple[Memory, ...]
    engines: tuple[Engine, ...]
    components: tuple[Component, ...]
    source: str = ""

    @property
    def word_bytes(self) -> Fraction:
        """Bytes of an operand."""
        return Fraction(self.word_bits, 8)

    @property
    def matrix_engine(self) -> Engine:
        """The engine for products: of those that are arrays the one with the most PEs, else the one that has most."""
        return max(self.engines, key=lambda engine: (engine.rows > 1 and engine.columns > 1, engine.pes))

    @property
    def vector_engine(self) -> Engine | None:
        """The engine beside the one for products with the most PEs; None if there is no other."""
        others = [engine for engine in self.engines if engine is not self.matrix_engine]
        return max(others, key=lambda engine: engine.pes, default=None)

    @property
    def roles(self) -> dict[str, str]:
        """The names of what mappings call by role: the engines `2d` and `1d`, the memories `dram` and `buffer`."""
        found = {"2d": self.matrix_engine.name}
        if self.vector_engine is not None:
            found["1d"] = self.vector_engine.name
        if self.memories:
            found |= {"dram": self.memories[0].name, "buffer": self.memories[-1].name}
        return found

    def memory(self, name: str) -> Memory:
        """Return a memory level by name.

        Raises
        ------
        UsageError
            There is none such.

        """
        return self._known(self.find_memory(name), "memory", name, self.memories)

    def engine(self, name: str) -> Engine:
        """Return an engine by name.

        Raises
        ------
        UsageError
            There is none such.

        """
        return self._known(self.find_engine(name), "engine", name, self.engines)

    def component(self, name: str) -> Component:
        """Return a component by name.

        Raises
        ------
        UsageError
            There is none such.

        """
        return self._known(self.find_component(name), "component", name, self.components)

    def find_memory(self, name: str) -> Memory | None:
        """Return a memory level by name; None if there is none such."""
        return next((memory for memory in self.memories if memory.name == name), None)

    def find_engine(self, name: str) -> Engine | None:
        """Return an engine by name; None if there is none such."""
        return next((engine for engine in self.engines if engine.name == name), None)

    def find_component(self, name: str) -> Component | None:
        """Return a component by name; None if there is none such."""
        return next((component for component in self.components if component.name == name), None)

    def _known[T](self, found: T | None, what: str, name: str, those: Sequence[Memory | Engine | Component]) -> T:
        if found is None:
            hint = did_you_mean(name, (each.name for each in those))
            raise UsageError(f"{self.name} must have the {what} that is asked for, but has no {name!r}{hint}")
        return found

    def __repr__(self) -> str:
        engines = ", ".join(f"{engine.name} {engine.rows} x {engine.columns}" for engine in self.engines)
        memories = ", ".join(memory.name for memory in self.memories)
        return f"<Architecture {self.name}: {engines}; {memories}>"
