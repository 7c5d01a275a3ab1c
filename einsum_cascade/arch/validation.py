"""The rules that an architecture keeps; `check` is the only way to one that may be used.

What is checked here is what values must be, alone and together. How a file writes them is the codec's matter: it calls
`check` with the places of its values, and with holes where it could not read one. All mistakes are told at once.
"""

import linecache
import math
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from einsum_cascade.arch.ir import Architecture, Component, Engine, Link, Memory, Operation, RegisterFile
from einsum_cascade.arch.reader import owner
from einsum_cascade.arch.tree import HOLE, has_hole
from einsum_cascade.arch.tree import Path as TreePath
from einsum_cascade.cascade.operators import OPERATORS
from einsum_cascade.errors import ArchitectureError, Diagnostic, Span
from einsum_cascade.wording import did_you_mean, quoted

__all__ = ["check"]

type Locate = Callable[[TreePath, bool], Span]
"""Finds the place of a value, or of its key."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)
_SIGNS = {"add": "+", "sub": "-", "subtract": "-", "mul": "*", "multiply": "*", "div": "/", "divide": "/", "mac": "mac"}


def check(architecture: Architecture, locate: Locate | None = None, found: Sequence[Diagnostic] = ()) -> Architecture:
    """Return the architecture if it keeps every rule.

    Parameters
    ----------
    architecture
        What to check.
    locate
        Where its values are written; without it, mistakes are told at the line of the caller.
    found
        Mistakes that are known already.

    Raises
    ------
    ArchitectureError
        A rule is broken, or `found` is not empty; all mistakes are told.

    """
    if locate is None:
        caller = _caller()
        locate = lambda path, key: caller  # noqa: E731 - a place for every path
    rules = _Rules(locate, list(found))
    if architecture is not HOLE:
        rules.architecture(architecture)
    if rules.diagnostics:
        raise ArchitectureError(rules.diagnostics)
    return architecture


def _caller() -> Span:
    """Return the line of the user's code: the innermost frame outside this package."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage] - inspect.currentframe may return None
    while frame.f_back is not None and Path(frame.f_code.co_filename).parent == Path(__file__).parent:
        frame = frame.f_back
    file = frame.f_code.co_filename
    return Span(file, frame.f_lineno, text=linecache.getline(file, frame.f_lineno).rstrip("\n"))


class _Rules:
    """Reads a draft and notes what breaks a rule; a rule that needs a hole is left out."""

    def __init__(self, locate: Locate, diagnostics: list[Diagnostic]) -> None:
        self.locate, self.diagnostics = locate, diagnostics

    def report(self, message: str, path: TreePath, *, key: bool = False) -> None:
        self.diagnostics.append(Diagnostic(message, self.locate(path, key)))

    def architecture(self, it: Architecture) -> None:
        self.name(it.name, ("name",), "the architecture")
        self.positive(it.clock_hz, ("clock",), "Hz")
        self.positive(it.word_bits, ("word",), "b")
        for memory in self.several(it.memories, ("memories",), "memory level"):
            self.memory(memory, ("memories", memory.name), it.word_bits)
        for engine in self.several(it.engines, ("engines",), "engine"):
            self.engine(engine, ("engines", engine.name), it.components)
        for component in self.unique(it.components, ("components",)):
            self.component(component, ("components", component.name))

    def memory(self, it: Memory, path: TreePath, word_bits: int) -> None:
        self.name(it.name, path, "a memory level")
        self.positive(it.capacity_bytes, (*path, "capacity"), "B")
        self.positive(it.access_bits, (*path, "access"), "b")
        self.positive(it.instances, (*path, "instances"))
        read, write = ("bandwidth",) * 2 if it.is_shared is True else ("read_bandwidth", "write_bandwidth")
        self.positive(it.read_bytes_per_s, (*path, read), "B/s")
        if write != read:
            self.positive(it.write_bytes_per_s, (*path, write), "B/s")
        elif it.write_bytes_per_s != it.read_bytes_per_s:
            message = f"reads and writes of {owner(path)} share a bandwidth, so both must have the same one, not "
            self.report(f"{message}{it.read_bytes_per_s} B/s and {it.write_bytes_per_s} B/s", (*path, read))
        self.energies(it, path)
        self.cost(it.area_um2, (*path, "area"), "um2")
        self.rows(it, path)
        if self.can_divide(it.access_bits, word_bits) and it.access_bits % word_bits:
            message = f"an access of {owner(path)} must hold whole words of {word_bits} b, unlike {it.access_bits} b"
            self.report(message, (*path, "access"))

    def rows(self, it: Memory, path: TreePath) -> None:
        capacity = it.capacity_bytes
        if capacity is None or not self.can_divide(capacity, it.access_bits) or 8 * capacity % it.access_bits == 0:
            return
        message = f"{owner(path)} must hold whole rows of {it.access_bits} b, unlike {capacity} B"
        near = math.lcm(8, it.access_bits) // 8
        self.report(f"{message}; the next capacity is {-(-capacity // near) * near} B", (*path, "capacity"))

    def engine(self, it: Engine, path: TreePath, components: Iterable[Component]) -> None:
        self.name(it.name, path, "an engine")
        self.positive(it.rows, (*path, "rows"))
        self.positive(it.columns, (*path, "columns"))
        self.positive(it.contexts, (*path, "contexts"))
        self.links(it.along_rows, (*path, "along_rows"))
        self.links(it.along_columns, (*path, "along_columns"))
        if it.registers is not HOLE:
            self.registers(it.registers, (*path, "registers"))
        for operation in self.several(it.operations, (*path, "operations"), "operation", f" of {owner(path)}"):
            self.operation(operation, (*path, "operations", operation.name), components)

    def registers(self, it: RegisterFile, path: TreePath) -> None:
        self.positive(it.words, (*path, "words"))
        self.positive(it.word_bits, (*path, "word"), "b")
        self.energies(it, path)
        self.cost(it.area_um2, (*path, "area"), "um2")

    def operation(self, it: Operation, path: TreePath, components: Iterable[Component]) -> None:
        if it.name not in OPERATORS and it.name != "mac":
            hint = f"; did you mean {_SIGNS[it.name]!r}?" if it.name in _SIGNS else did_you_mean(it.name, _operators())
            message = f"{owner(path)} must be 'mac' or an operator of the registry, unlike {it.name!r}"
            self.report(message + hint, path, key=True)
        self.positive(it.interval_cycles, (*path, "interval_cycles"))
        self.positive(it.latency_cycles, (*path, "latency_cycles"))
        if it.components is HOLE:
            return
        known = None if components is HOLE else [component.name for component in components]
        for name, count in it.components:
            self.positive(count, (*path, "components", name))
            if known is not None and name not in known:
                hint = did_you_mean(name, known) or "; declare it under 'components'"
                self.report(
                    f"{owner(path)} must use declared components, unlike {name!r}{hint}",
                    (*path, "components", name),
                    key=True,
                )
        for name in _repeated(name for name, _ in it.components):
            self.report(
                f"{owner(path)} must name component {name!r} once, with a count", (*path, "components"), key=True
            )

    def component(self, it: Component, path: TreePath) -> None:
        self.name(it.name, path, "a component")
        self.cost(it.energy_pj, (*path, "energy"), "pJ")
        self.cost(it.area_um2, (*path, "area"), "um2")

    def energies(self, it: Memory | RegisterFile, path: TreePath) -> None:
        self.cost(it.read_pj, (*path, "read_energy"), "pJ")
        self.cost(it.write_pj, (*path, "write_energy"), "pJ")

    def links(self, links: Iterable[str], path: TreePath) -> None:
        if links is HOLE:
            return
        known = get_args(Link.__value__)
        for link in sorted(set(links) - set(known)):
            self.report(f"{owner(path)} must be of {quoted(known)}, unlike {link!r}", path, key=True)

    def several[T: (Memory, Engine, Operation)](
        self, items: Sequence[T], path: TreePath, noun: str, of: str = ""
    ) -> Sequence[T]:
        if items is not HOLE and not items:
            self.report(f"there must be at least one {noun}{of or ' of the architecture'}", path, key=True)
        return self.unique(items, path)

    def unique[T: (Memory, Engine, Operation, Component)](self, items: Sequence[T], path: TreePath) -> Sequence[T]:
        if items is HOLE:
            return ()
        for name in _repeated(item.name for item in items):
            self.report(
                f"{owner((*path, name))} must have a name of its own; rename one of the two", (*path, name), key=True
            )
        return items

    def name(self, name: str, path: TreePath, noun: str) -> None:
        if name is not HOLE and not _NAME.fullmatch(name):
            rule = "must be letters, digits, '_', '-' and '.', and start with a letter or a digit"
            self.report(f"the name of {noun} {rule}, unlike {name!r}", path, key=path != ("name",))

    def positive(self, value: Any, path: TreePath, unit: str = "") -> None:
        if value is not None and value is not HOLE and value <= 0:
            shown = f"{value} {unit}".rstrip()
            self.report(
                f"{path[-1]!r} of {owner(path[:-1])} must be above 0{f' {unit}' if unit else ''}, not {shown}", path
            )

    def cost(self, value: float | None, path: TreePath, unit: Literal["pJ", "um2"]) -> None:
        if value is not None and value is not HOLE and not (math.isfinite(value) and value >= 0):
            message = f"{path[-1]!r} of {owner(path[:-1])} must be a finite number of {unit} from 0 up, not {value!r}"
            self.report(message, path)

    def can_divide(self, value: int, by: int) -> bool:
        return not has_hole(value, by) and value > 0 and by > 0


def _operators() -> list[str]:
    return ["mac", *OPERATORS]


def _repeated(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)
