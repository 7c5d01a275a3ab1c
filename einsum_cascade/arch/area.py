"""The area of an architecture by part.

A PE has one unit of each component that its operations use: an exponential of six multiply-adds takes six turns of one
unit. What is not known is named, and left out of the sum.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from einsum_cascade.arch.ir import Architecture, Engine

__all__ = ["Area", "AreaPart", "area"]


@dataclass(frozen=True, slots=True)
class AreaPart:
    """The area of one kind of part.

    Parameters
    ----------
    owner
        The memory or engine that the parts belong to.
    kind
        `memory`, `registers`, or the component of a PE.
    name
        What one part is called.
    count
        How many there are.
    each_um2
        Area of one; None if it is not known.

    """

    owner: str
    kind: Literal["memory", "registers", "component"]
    name: str
    count: int
    each_um2: float | None

    @property
    def total_um2(self) -> float:
        """Area of all of them, 0 if it is not known."""
        return self.count * (self.each_um2 or 0.0)


@dataclass(frozen=True, slots=True)
class Area:
    """The parts of an architecture."""

    parts: tuple[AreaPart, ...]

    @property
    def total_um2(self) -> float:
        """Area of all parts whose area is known."""
        return sum(part.total_um2 for part in self.parts)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of the parts whose area is not known, DRAM among them unless it is given one."""
        return tuple(part.name for part in self.parts if part.each_um2 is None)

    def of(self, owner: str) -> float:
        """Return the known area of one memory or engine, in um2."""
        return sum(part.total_um2 for part in self.parts if part.owner == owner)


def area(architecture: Architecture) -> Area:
    """Return the area of every memory, and of the PEs and register files of every engine.

    Examples
    --------
    >>> from einsum_cascade.arch.presets import load_architecture
    >>> report = area(load_architecture("fusemax-cloud"))
    >>> round(report.of("2d") / 256**2, 2), report.unknown
    (18431.87, ('dram', 'buffer'))

    """
    memories = [AreaPart(it.name, "memory", it.name, it.instances, it.area_um2) for it in architecture.memories]
    parts = [part for engine in architecture.engines for part in _engine(architecture, engine)]
    return Area((*memories, *parts))


def _engine(architecture: Architecture, engine: Engine) -> Iterator[AreaPart]:
    used = {name for operation in engine.operations for name, _ in operation.components}
    for component in architecture.components:
        if component.name in used:
            yield AreaPart(engine.name, "component", component.name, engine.pes, component.area_um2)
    yield AreaPart(engine.name, "registers", "registers", engine.pes, engine.registers.area_um2)
