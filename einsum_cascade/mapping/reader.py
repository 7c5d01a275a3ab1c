"""From the values of a file to a mapping: keys, and the writing of each value, every mistake told.

Whether the names are those of a cascade and an architecture is the matter of `legality`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, cast, get_args

from einsum_cascade.arch.reader import shown
from einsum_cascade.arch.tree import HOLE, Path, Tree
from einsum_cascade.cascade.extent import ZERO
from einsum_cascade.errors import Diagnostic, SourceError, Span
from einsum_cascade.mapping import ir
from einsum_cascade.mapping.ir import Block, Compute, Order
from einsum_cascade.mapping.parameters import Rule
from einsum_cascade.mapping.rules import parse_rule
from einsum_cascade.mapping.sentences import parse_compute, parse_step, parse_tile
from einsum_cascade.units import BITS
from einsum_cascade.wording import did_you_mean, quoted

__all__ = ["read_mapping_tree"]

_COMPUTE_KEYS = ("compute", "stage", "overhead_cycles")
_BLOCK_KEYS = ("steps", "order", "body", *_COMPUTE_KEYS)
_FILE_KEYS = ("name", "cascade", "source", "parameters", "words", *_BLOCK_KEYS)
_ORDERS: tuple[str, ...] = get_args(Order.__value__)


def read_mapping_tree(tree: Tree) -> tuple[ir.Mapping, list[Diagnostic]]:
    """Return what a file says, and what is wrong with it; the mapping is only one if nothing is."""
    reader = _Reader(tree)
    if tree.diagnostics and tree.root is None:
        return HOLE, reader.diagnostics
    return reader.mapping(tree.root), reader.diagnostics


class _Reader:
    def __init__(self, tree: Tree) -> None:
        self.tree, self.diagnostics = tree, list(tree.diagnostics)

    def report(self, message: str, path: Path, *, key: bool = False) -> Any:
        self.diagnostics.append(Diagnostic(message, self.tree.span(path, key=key)))
        return HOLE

    def mapping(self, value: Any) -> ir.Mapping:
        if not isinstance(value, dict):
            return self.report("a mapping file must have keys such as 'name', 'steps' and 'body'", ())
        own = cast("dict[str, Any]", value)
        self.known_keys(own, (), _FILE_KEYS, "a mapping")
        if "name" not in own:
            self.report("'name' of a mapping must be given, such as 'name: weight-stationary'", ())
        texts = {key: self.text(own[key], (key,)) for key in ("name", "cascade", "source") if key in own}
        node = self.node(own, ())
        return ir.Mapping(
            texts.get("name", ""),
            node if isinstance(node, Block) else Block((), (node,)),
            self.table(own, "parameters", self.rule),
            self.table(own, "words", self.bits),
            texts.get("cascade", ""),
            texts.get("source", ""),
            self.tree.span(("name",)),
            {name: place for key in ("words", "parameters") for name, place in self.places(own, key)},
        )

    def places(self, own: dict[str, Any], key: str) -> Iterator[tuple[str, Span]]:
        """Yield the places of what a table of the file gives, by name."""
        table = own.get(key)
        for name in cast("dict[str, Any]", table) if isinstance(table, dict) else ():
            yield name, self.tree.span((key, name), key=True)

    def part(self, value: Any, path: Path) -> Block | Compute:
        if isinstance(value, str):
            return self.placed(self.sentence(value, path, parse_compute), path)
        if not isinstance(value, dict):
            return self.report(f"a part of a body must be 'EINSUM on ENGINE' or a block, not {shown(value)}", path)
        own = cast("dict[str, Any]", value)
        self.known_keys(own, path, _BLOCK_KEYS, "a block")
        return self.node(own, path)

    def node(self, own: dict[str, Any], path: Path) -> Block | Compute:
        """Read what files and blocks share: an Einsum is inside, or a body is."""
        steps = self.each(own.get("steps", []), (*path, "steps"), self.step, "a step is 'for p by 4'")
        inside = [key for key in ("body", "compute") if key in own]
        if len(inside) != 1:
            had = "has both" if inside else "has neither"
            return self.report(f"a block must have either 'body' or 'compute', but {had}", path, key=True)
        if inside == ["compute"]:
            self.stray(own, path, ("order",), "several parts; give 'body'")
            leaf = self.compute(own, path)
            return self.placed(Block(steps, (leaf,)), path) if "steps" in own else leaf
        self.stray(own, path, _COMPUTE_KEYS[1:], "'compute'")
        body = self.each(own["body"], (*path, "body"), self.part, "a part is 'QK on 2d' or a block")
        if body == ():
            self.report("the body of a block must have at least one part", (*path, "body"), key=True)
        order = own.get("order", "sequence")
        if order not in _ORDERS:
            hint = did_you_mean(str(order), _ORDERS)
            self.report(f"'order' must be {quoted(_ORDERS)}, not {shown(order)}{hint}", (*path, "order"))
        return self.placed(Block(steps, body, order), path)

    def compute(self, own: dict[str, Any], path: Path) -> Compute:
        leaf = self.sentence(own["compute"], (*path, "compute"), parse_compute)
        stage = self.number(own.get("stage", 0), (*path, "stage"))
        overhead = own.get("overhead_cycles", 0)
        text = str(overhead) if isinstance(overhead, int) and not isinstance(overhead, bool) else overhead
        extent = ZERO if text == "0" else self.sentence(text, (*path, "overhead_cycles"), parse_tile)
        found = HOLE if leaf is HOLE else Compute(leaf.task, leaf.engine, stage, extent)
        return self.placed(found, (*path, "compute"))

    def step(self, value: Any, path: Path) -> Any:
        return self.placed(self.sentence(value, path, parse_step), path)

    def placed(self, node: Any, path: Path) -> Any:
        """Return a node of the tree with its place in the file."""
        return HOLE if node is HOLE else replace(node, span=_inner(self.tree.span(path)))

    def sentence[T](self, value: Any, path: Path, parse: Callable[[str, Span], T]) -> T:
        if not isinstance(value, str):
            return self.report(f"{_place(path)} must be a text, not {shown(value)}", path)
        try:
            return parse(value.strip(), _inner(self.tree.span(path)))
        except SourceError as error:
            self.diagnostics += error.diagnostics
            return HOLE

    def each[T](self, value: Any, path: Path, read: Callable[[Any, Path], T], example: str) -> tuple[T, ...]:
        if not isinstance(value, list):
            return self.report(f"{_place(path)} must be a list, where {example}, not {shown(value)}", path)
        return tuple(read(item, (*path, at)) for at, item in enumerate(cast("list[Any]", value)))

    def table[T](self, own: dict[str, Any], key: str, read: Callable[[Any, Path], T]) -> tuple[tuple[str, T], ...]:
        value = own.get(key, {})
        if not isinstance(value, dict):
            return self.report(f"{key!r} must be a mapping of names to values, not {shown(value)}", (key,))
        return tuple((name, read(item, (key, name))) for name, item in cast("dict[str, Any]", value).items())

    def rule(self, value: Any, path: Path) -> Rule:
        return self.number(value, path) if not isinstance(value, str) else self.sentence(value, path, parse_rule)

    def text(self, value: Any, path: Path) -> str:
        return (
            value if isinstance(value, str) else self.report(f"{_place(path)} must be a text, not {shown(value)}", path)
        )

    def number(self, value: Any, path: Path) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        return self.report(f"{_place(path)} must be a whole number, not {shown(value)}", path)

    def bits(self, value: Any, path: Path) -> int:
        try:
            return int(BITS.parse(value if isinstance(value, str) else ""))
        except ValueError:
            return self.report(f"the word of {path[-1]!r} must be {BITS.expectation}, not {shown(value)}", path)

    def known_keys(self, own: Iterable[str], path: Path, known: Iterable[str], subject: str) -> None:
        for key in own:
            if key not in known:
                self.report(
                    f"{subject} must not have the key {key!r}{did_you_mean(key, known)}", (*path, key), key=True
                )

    def stray(self, own: Iterable[str], path: Path, keys: Iterable[str], needs: str) -> None:
        for key in keys:
            if key in own:
                self.report(f"{key!r} must only be given with {needs}", (*path, key), key=True)


def _inner(span: Span) -> Span:
    """Return the place of a text without its quotes."""
    is_quoted = span.text[span.column - 1 : span.column] in ("'", '"') and span.text
    return Span(span.file, span.line, span.column + 1, span.end_column - 1, span.text) if is_quoted else span


def _place(path: Path) -> str:
    last = path[-1]
    return repr(last) if isinstance(last, str) else f"item {last + 1} of {_place(path[:-1])}"
