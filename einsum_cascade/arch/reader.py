"""From the values of a file to a draft of an architecture: shape and units are told, what is left out is filled in.

The draft may have holes, and nothing in it has been compared yet: that is the checker's matter.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from types import NoneType
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

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
from einsum_cascade.arch.schema import (
    HOLE,
    ArchitectureSpec,
    ComponentSpec,
    EngineSpec,
    MemorySpec,
    OperationSpec,
    PerCycle,
    RegisterSpec,
)
from einsum_cascade.arch.tree import Path, Tree
from einsum_cascade.errors import Diagnostic
from einsum_cascade.units import BITS, BYTES

__all__ = ["did_you_mean", "owner", "read_draft"]

_KINDS = {"memories": "memory", "engines": "engine", "components": "component", "operations": "operation"}
_SPECS = {"memories": MemorySpec, "engines": EngineSpec, "components": ComponentSpec, "operations": OperationSpec}


def read_draft(tree: Tree) -> tuple[Architecture, list[Diagnostic]]:
    """Return the architecture of a file, with holes where it says nothing that can be read, and what is wrong."""
    spec, diagnostics = _read_spec(tree)
    if spec is HOLE:
        return HOLE, diagnostics
    return _Filling(tree, spec, diagnostics).architecture(), diagnostics


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint at the nearest known name, or the known names."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(map(repr, names))}" if names else ""


def owner(path: Path) -> str:
    """Return what a place in a file belongs to: `engine '2d'`.

    Examples
    --------
    >>> owner(("engines", "2d", "operations", "max"))
    "operation 'max' of engine '2d'"

    """
    match path:
        case ():
            return "the architecture"
        case (kind, name):
            return f"{_KINDS[str(kind)]} {name!r}"
        case (*outer, "operations", name):
            return f"operation {name!r} of {owner(tuple(outer))}"
        case (*outer, "registers"):
            return f"the registers of {owner(tuple(outer))}"
        case (*outer, key):
            return f"{str(key)!r} of {owner(tuple(outer))}"


def _read_spec(tree: Tree) -> tuple[ArchitectureSpec, list[Diagnostic]]:
    """Read the keys and values; what is wrong is cut out, so that the rest is a whole of its own."""
    diagnostics = list(tree.diagnostics)
    if tree.diagnostics and tree.root is None:
        return HOLE, diagnostics
    root = _copied(tree.root)
    while True:
        try:
            return ArchitectureSpec.model_validate(root), diagnostics
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                diagnostics.append(_diagnostic(tree, detail))
                root = _without(root, detail)


def _copied(value: Any) -> Any:
    match value:
        case dict():
            return {key: _copied(item) for key, item in cast("dict[str, Any]", value).items()}
        case list():
            return [_copied(item) for item in cast("list[Any]", value)]
        case _:
            return value


def _without(root: Any, detail: ErrorDetails) -> Any:
    """Put a hole where something is wrong, or drop what must not be there."""
    if not detail["loc"]:
        return HOLE
    *outer, last = detail["loc"]
    around = root
    for step in outer:
        around = around[step]
    if detail["type"] == "extra_forbidden":
        del around[last]
    else:
        around[last] = HOLE
    return root


def _diagnostic(tree: Tree, detail: ErrorDetails) -> Diagnostic:
    path: Path = tuple(detail["loc"])
    of = f" of {owner(path[:-1])}" if path else ""
    name = repr(path[-1]) if path and isinstance(path[-1], str) else f"item {int(path[-1]) + 1}" if path else "the file"
    match detail["type"]:
        case "missing":
            return Diagnostic(f"{name}{of} must be given{_example(str(path[-1]))}", tree.span(path[:-1], key=True))
        case "extra_forbidden":
            known = _keys(path[:-1])
            message = f"{owner(path[:-1])} must not have the key {name}{did_you_mean(str(path[-1]), known)}"
            return Diagnostic(message, tree.span(path, key=True))
        case "value_error":
            expected = detail["msg"].removeprefix("Value error, ")
        case "list_type":
            expected = "a list, such as [broadcast, reduce]"
        case _:
            expected = "a mapping of keys to values"
    return Diagnostic(f"{name}{of} must be {expected}, not {_shown(detail['input'])}", tree.span(path))


def _example(key: str) -> str:
    examples = {"capacity": "16 MiB", "access": "4096 b", "word": "16 b", "clock": "940 MHz", "energy": "17.1645 pJ"}
    examples |= {"area": "1545 um2", "interval_cycles": "1", "latency_cycles": "1", "rows": "256", "columns": "256"}
    return f", such as '{key}: {examples[key]}'" if key in examples else ""


def _shown(value: Any) -> str:
    match value:
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case NoneType():
            return "nothing"
        case _:
            return repr(value)


def _keys(path: Path) -> Iterable[str]:
    match path:
        case ():
            return ArchitectureSpec.model_fields
        case (*_, "registers"):
            return RegisterSpec.model_fields
        case (*_, kind, _):
            return _SPECS[str(kind)].model_fields
        case _:
            return ()


class _Filling:
    """Turns what a file says into a draft: words such as `published` and `unlimited` become values."""

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
        known = ", ".join(map(repr, PUBLISHED_COMPONENTS))
        message = f"{owner(path)} must be given its energy and area, because {CITATION} publishes none but {known}"
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
                assert spec.read_energy is not None and spec.write_energy is not None
                return Energies(spec.read_energy, spec.write_energy, "")
            case _:
                had = " and ".join(map(repr, given)) or "none of them"
                message = f"{owner(path)} must have either 'energy', or 'read_energy' and 'write_energy', but has {had}"
                self.report(message, path, key=True)
                return Energies(HOLE, HOLE, "")

    def memory_energies(self, path: Path, spec: MemorySpec, capacity: int | None) -> Energies:
        if HOLE in (spec.energy, capacity, spec.access):
            return Energies(HOLE, HOLE, "")
        if spec.energy == "scaled" and capacity is not None and capacity > 0 and spec.access > 0:
            return scaled_memory(capacity, spec.access)
        if spec.energy == "scaled":
            self.report(f"'energy' of {owner(path)} can be scaled only if its capacity is limited", (*path, "energy"))
            return Energies(HOLE, HOLE, "")
        found = published_memory(capacity, spec.access)
        if found is None:
            known = ", ".join(_described(capacity, access) for capacity, access in PUBLISHED_MEMORIES)
            message = f"'energy' of {owner(path)} must be given, or 'scaled', because {CITATION} publishes only {known}"
            self.report(f"{message}, not {_described(capacity, spec.access)}", (*path, "energy"))
        return found or Energies(HOLE, HOLE, "")

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
        if HOLE in (spec.energy, spec.words) or spec.words < 1:
            return Energies(HOLE, HOLE, "")
        return register_file_energies(spec.words)

    def register_area(self, path: Path, spec: RegisterSpec) -> float:
        if spec.area != "published":
            return spec.area
        if HOLE in (spec.words, spec.word) or spec.words < 1:
            return HOLE
        if spec.word > 32:
            shown = BITS.format(spec.word)
            message = f"'area' of {owner(path)} must be given, because {CITATION} publishes words of up to 32 b only"
            return self.report(f"{message}, not {shown}", (*path, "area"))
        return register_file_area_um2(spec.words)


def _links(names: list[str]) -> Any:
    return HOLE if names is HOLE or HOLE in names else frozenset(names)


def _described(capacity: int | None, access: int) -> str:
    held = "a memory without limit" if capacity is None else BYTES.format(capacity)
    return f"{held} with accesses of {access} b"
