"""From the specification of a file to a draft of an architecture: words such as `published` become figures.

The draft may have holes, and nothing in it has been compared yet: that is the checker's matter.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, cast

from einsum_cascade.arch.components import (
    CITATION,
    PUBLISHED_COMPONENTS,
    PUBLISHED_MEMORIES,
    Energies,
    published_memory,
    register_file_area_um2,
    register_file_energies,
    scaled_memory,
)
from einsum_cascade.arch.ir import Architecture, Component, Engine, Memory, Operation, RegisterFile
from einsum_cascade.arch.reader import owner, read_spec
from einsum_cascade.arch.schema import (
    ArchitectureSpec,
    ComponentSpec,
    EngineSpec,
    MemorySpec,
    OperationSpec,
    PerCycle,
    RegisterSpec,
)
from einsum_cascade.arch.tree import HOLE, Path, Tree, has_hole
from einsum_cascade.errors import Diagnostic
from einsum_cascade.units import BYTES
from einsum_cascade.wording import quoted

__all__ = ["read_draft"]

_UNREAD = Energies(HOLE, HOLE, "")


def read_draft(tree: Tree) -> tuple[Architecture, list[Diagnostic]]:
    """Return the architecture of a file, with holes where it says nothing that can be read, and what is wrong."""
    spec, diagnostics = read_spec(tree)
    if spec is HOLE:
        return HOLE, diagnostics
    return _Filling(tree, spec, diagnostics).architecture(), diagnostics


class _Filling:
    """Makes the parts of a draft, and notes which words stand for nothing."""

    def __init__(self, tree: Tree, spec: ArchitectureSpec, diagnostics: list[Diagnostic]) -> None:
        self.tree, self.spec, self.diagnostics = tree, spec, diagnostics

    def report(self, message: str, path: Path, *, key: bool = False) -> Any:
        self.diagnostics.append(Diagnostic(message, self.tree.span(path, key=key)))
        return HOLE

    def architecture(self) -> Architecture:
        spec = self.spec
        return Architecture(
            spec.name,
            spec.clock,
            spec.word,
            self.each(("memories",), spec.memories, self.memory),
            self.each(("engines",), spec.engines, self.engine),
            self.each(("components",), spec.components, self.component),
            spec.source,
        )

    def each[S, V](self, path: Path, specs: Mapping[str, S], fill: Callable[[Path, str, S], V]) -> tuple[V, ...]:
        if specs is HOLE:
            return HOLE
        return tuple(fill((*path, name), name, spec) for name, spec in specs.items())

    def component(self, path: Path, name: str, spec: ComponentSpec | str) -> Component:
        if isinstance(spec, ComponentSpec):
            return Component(name, spec.energy, spec.area, spec.source)
        if spec is HOLE:
            return Component(name, HOLE, HOLE, HOLE)
        if name in PUBLISHED_COMPONENTS:
            return PUBLISHED_COMPONENTS[name]
        known = quoted(PUBLISHED_COMPONENTS)
        message = f"{owner(path)} must be given its energy and area: the published ones ({CITATION}) are {known}"
        self.report(message, path)
        return Component(name, HOLE, HOLE, HOLE)

    def memory(self, path: Path, name: str, spec: MemorySpec) -> Memory:
        if spec is HOLE:
            return Memory(name, HOLE, HOLE, HOLE, HOLE, HOLE, HOLE, HOLE, HOLE, HOLE, HOLE)
        capacity = None if spec.capacity == "unlimited" else spec.capacity
        energies = self.energies(path, spec, lambda: self.memory_energies(path, spec, capacity))
        read, write = self.rates(path, spec)
        return Memory(
            name,
            capacity,
            spec.access,
            read,
            write,
            spec.read_bandwidth is None and spec.write_bandwidth is None,
            spec.instances,
            energies.read_pj,
            energies.write_pj,
            spec.area,
            spec.source or energies.source,
        )

    def rates(self, path: Path, spec: MemorySpec) -> tuple[Fraction | None, Fraction | None]:
        given = [key for key in ("bandwidth", "read_bandwidth", "write_bandwidth") if getattr(spec, key) is not None]
        if given not in (["bandwidth"], ["read_bandwidth", "write_bandwidth"]):
            had = " and ".join(map(repr, given)) or "none of them"
            message = (
                f"{owner(path)} must have either 'bandwidth', which reads and writes share, or 'read_bandwidth' and "
            )
            self.report(f"{message}'write_bandwidth', but has {had}", path, key=True)
            return HOLE, HOLE
        first, last = self.rate(getattr(spec, given[0])), self.rate(getattr(spec, given[-1]))
        return first, last

    def rate(self, value: Any) -> Any:
        if isinstance(value, PerCycle):
            return HOLE if self.spec.clock is HOLE else Fraction(value) * self.spec.clock
        return None if value == "unlimited" else value

    def energies(self, path: Path, spec: MemorySpec | RegisterSpec, look_up: Callable[[], Energies]) -> Energies:
        """Return the energies that are given, or those that a word stands for."""
        given = [key for key in ("energy", "read_energy", "write_energy") if getattr(spec, key) is not None]
        match given:
            case ["energy"]:
                return look_up()
            case ["read_energy", "write_energy"]:
                return Energies(cast("float", spec.read_energy), cast("float", spec.write_energy), "")
            case _:
                had = " and ".join(map(repr, given)) or "none of them"
                message = f"{owner(path)} must have either 'energy', or 'read_energy' and 'write_energy', but has {had}"
                self.report(message, path, key=True)
                return _UNREAD

    def memory_energies(self, path: Path, spec: MemorySpec, capacity: int | None) -> Energies:
        if has_hole(spec.energy, capacity, spec.access) or spec.access < 1 or (capacity is not None and capacity < 1):
            return _UNREAD
        if spec.energy == "scaled" and capacity is not None:
            return scaled_memory(capacity, spec.access)
        if spec.energy == "scaled":
            message = f"'energy' of {owner(path)} must not be 'scaled', because its capacity is unlimited"
            self.report(f"{message}; give 'read_energy' and 'write_energy'", (*path, "energy"))
            return _UNREAD
        like = _described(capacity, spec.access)
        if spec.energy == "published":
            found = published_memory(capacity, spec.access)
            known = ", ".join(_described(each.capacity_bytes, each.access_bits) for each in PUBLISHED_MEMORIES.values())
            message = f"'energy' of {owner(path)} must be given, or 'scaled', because the published ones "
            message += f"({CITATION}) are of {known}, not {like}"
        else:
            named = PUBLISHED_MEMORIES[cast("str", spec.energy)]
            own = _described(named.capacity_bytes, named.access_bits)
            found = named if own == like else None
            message = f"'energy' of {owner(path)} must be that of a memory like it, but {spec.energy!r} is of {own}"
            message += f", not {like}; give 'read_energy' and 'write_energy'"
        if found is None:
            self.report(message, (*path, "energy"))
            return _UNREAD
        return found.energies

    def engine(self, path: Path, name: str, spec: EngineSpec) -> Engine:
        if spec is HOLE:
            return Engine(name, HOLE, HOLE, HOLE, HOLE, HOLE, HOLE, HOLE)
        return Engine(
            name,
            spec.rows,
            spec.columns,
            self.each((*path, "operations"), spec.operations, self.operation),
            self.registers((*path, "registers"), spec.registers),
            None if spec.contexts == "unlimited" else spec.contexts,
            _links(spec.along_rows),
            _links(spec.along_columns),
        )

    def operation(self, path: Path, name: str, spec: OperationSpec) -> Operation:
        if spec is HOLE:
            return Operation(name, HOLE, HOLE, HOLE)
        components = HOLE if spec.components is HOLE else tuple(spec.components.items())
        return Operation(name, spec.interval_cycles, spec.latency_cycles, components)

    def registers(self, path: Path, spec: RegisterSpec) -> RegisterFile:
        if spec is HOLE:
            return HOLE
        found = self.energies(path, spec, lambda: self.register_energies(spec))
        source = spec.source or found.source or (CITATION if spec.area == "published" else "")
        return RegisterFile(
            spec.words, spec.word, found.read_pj, found.write_pj, self.register_area(path, spec), source
        )

    def register_energies(self, spec: RegisterSpec) -> Energies:
        if has_hole(spec.energy, spec.words) or spec.words < 1:
            return _UNREAD
        return register_file_energies(spec.words)

    def register_area(self, path: Path, spec: RegisterSpec) -> float:
        if spec.area != "published":
            return spec.area
        if has_hole(spec.words, spec.word) or spec.words < 1:
            return HOLE
        if spec.word > 32:
            message = f"'area' of {owner(path)} must be given, because the published ones "
            message += f"({CITATION}) are of words up to 32 b"
            return self.report(f"{message}, not {spec.word} b", (*path, "area"))
        return register_file_area_um2(spec.words)


def _links(names: list[str]) -> Any:
    return HOLE if names is HOLE or has_hole(*names) else frozenset(names)


def _described(capacity: int | None, access: int) -> str:
    held = "one without limit" if capacity is None else BYTES.format(capacity)
    return f"{held} with accesses of {access} b"
