"""A YAML 1.2 text as plain values, each with its place in the text, and edits that touch nothing else.

What the values mean is not decided here. ruamel.yaml's round-trip mode reads the text into nodes with their marks; a
value is changed where it stands, so that comments, order and layout stay as the author made them.

What a text may ask for is bounded before anything is made of it: its bytes, and its nodes and their depth with every
alias written out.
"""

import io
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, cast

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.events import AliasEvent, ScalarEvent
from ruamel.yaml.reader import ReaderError

from einsum_cascade.errors import Diagnostic, Span
from einsum_cascade.units import MOST_DIGITS, long_number

__all__ = ["HOLE", "Path", "Tree", "has_hole", "read_file", "read_tree"]

_MOST_BYTES = 2**20
_MOST_NODES = 10**5
_MOST_LEVELS = 100

type Path = tuple[str | int, ...]
"""Keys and positions that lead from the root to a value."""


class _Hole:
    """Its only value is `HOLE`."""

    def __repr__(self) -> str:
        return "HOLE"


HOLE: Any = _Hole()
"""Stands where a value is missing or could not be read, which has been told already."""


def has_hole(*values: object) -> bool:
    """Tell whether a hole is among some values."""
    return any(value is HOLE for value in values)


@dataclass(frozen=True, slots=True)
class _Place:
    key: Span
    value: Span
    start: int
    """Where the value's text starts and ends."""
    end: int
    is_plain: bool
    """Whether the text can be replaced by that of another value: neither an alias nor an anchor is lost."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A text with its values.

    Parameters
    ----------
    text, file
        The text, and the name that the user knows it by.
    root
        Mappings, lists and scalars; None if there are none.
    places
        Where each value is.
    diagnostics
        What is wrong with the text as YAML.

    """

    text: str
    file: str
    root: Any
    places: Mapping[Path, _Place]
    diagnostics: tuple[Diagnostic, ...] = ()

    def span(self, path: Path, *, key: bool = False) -> Span:
        """Return the place of a value, or of its key; that of the nearest value around it if it is missing."""
        place = self.places.get(path)
        if place is None:
            return self.span(path[:-1], key=True) if path else Span(self.file, 1, 1, 1)
        return place.key if key else place.value

    def replace(self, path: Path, scalar: str) -> str:
        """Return the text with another scalar at a place, and everything else as it was.

        Raises
        ------
        KeyError
            There is no scalar at that place, or it is shared by an anchor.

        """
        place = self.places.get(path)
        if place is None or not place.is_plain:
            raise KeyError(path)
        return self.text[: place.start] + scalar + self.text[place.end :]


def read_file(path: str | os.PathLike[str], what: str) -> Tree:
    """Read a file as YAML; what is wrong with it is in the tree's `diagnostics`.

    Parameters
    ----------
    path
        Of the file.
    what
        What the file is of, such as `an architecture`.

    """
    try:
        with FilePath(path).open("rb") as file:
            found = file.read(_MOST_BYTES + 1)
            if len(found) > _MOST_BYTES:
                return _too_long(str(path), max(len(found), os.fstat(file.fileno()).st_size))
        text = io.TextIOWrapper(io.BytesIO(found), encoding="utf-8").read()
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not in UTF-8"
        message = f"{what} file must be a text that can be read, but {said}"
        return _unread("", str(path), message, Span(str(path), 0))
    return read_tree(text, str(path))


def read_tree(text: str, file: str) -> Tree:
    """Read a YAML text; what is wrong with it is in the tree's `diagnostics`."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > _MOST_BYTES:
        return _too_long(file, size)
    lines = re.split(r"\r\n|\r|\n", text)
    reader: Any = YAML(typ="rt", pure=True)  # its nodes and errors have no types
    reader.Composer = _BoundedComposer
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReusedAnchorWarning)  # YAML 1.2 lets an anchor be given again
            root = reader.compose(text)
    except _UnboundedError as refused:
        node = refused.node
        return _unread(text, file, str(refused), _span(file, lines, node.start_mark, node.end_mark))
    except MarkedYAMLError as marked:
        error: Any = marked
        mark = error.problem_mark or error.context_mark
        span = _point(file, lines, mark.line, mark.column) if mark else Span(file, 1, 1, 1)
        return _unread(text, file, f"the text must be YAML 1.2, but {_said(error)}", span)
    except ReaderError as unreadable:
        error = unreadable
        line = text.count("\n", 0, error.position)
        column = error.position - (text.rfind("\n", 0, error.position) + 1)
        message = f"the text must be YAML 1.2, but has the character {chr(error.character)!r}; remove it"
        return _unread(text, file, message, _point(file, lines, line, column))
    except YAMLError as error:
        return _unread(text, file, f"the text must be YAML 1.2: {error}", Span(file, 1, 1, 1))
    except NotImplementedError:  # what ruamel.yaml says of a comment between a name and a value a line below
        message = "the text must have comments beside or above whole entries, but has one inside an entry; move it"
        return _unread(text, file, message, Span(file, 1, 1, 1))
    walk = _Walk(file, lines)
    value = walk.value(root, (), None) if root is not None else None
    return Tree(text, file, value, walk.places, tuple(walk.diagnostics))


def _unread(text: str, file: str, message: str, span: Span) -> Tree:
    return Tree(text, file, None, {}, (Diagnostic(message, span),))


def _too_long(file: str, size: int) -> Tree:
    message = f"the text must have at most 1 MiB ({_MOST_BYTES} B), but has {size} B; leave out what is not needed"
    return _unread("", file, message, Span(file, 0))


class _UnboundedError(Exception):
    """A text asks for more than is read; `node` is the node or the event at which that is known."""

    def __init__(self, message: str, node: Any) -> None:
        super().__init__(message)
        self.node = node


class _BoundedComposer(Composer):
    """Counts nodes with every alias written out, each shared one once, while a text is read."""

    def __init__(self, loader: Any = None) -> None:
        cast("Any", super()).__init__(loader)
        self.nodes = 0
        """All that are read so far."""
        self.level = self.deepest = 0
        """How deep the current node is, and the deepest one inside of the node that was read last."""
        self.shared: dict[int, tuple[int, int]] = {}
        """Nodes and levels of what an alias may stand for, once it is read to its end."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Return the next node, or the one that the next alias stands for."""
        composer: Any = super()  # ruamel.yaml publishes types only in part
        event: Any = composer.parser.peek_event()
        before, deepest = self.nodes, self.deepest
        self.nodes, self.level, self.deepest = before + 1, self.level + 1, self.level + 1
        self.check(event)
        node: Any = composer.compose_node(parent, index)
        if isinstance(event, AliasEvent):
            if id(node) not in self.shared:
                raise _UnboundedError("a value must not be part of itself; write it out instead of the alias", event)
            nodes, levels = self.shared[id(node)]
            self.nodes, self.deepest = before + nodes, self.level + levels - 1
            self.check(event)
        elif event.anchor is not None:
            self.shared[id(node)] = self.nodes - before, self.deepest - self.level + 1
        self.level, self.deepest = self.level - 1, max(deepest, self.deepest)
        return node

    def check(self, event: Any) -> None:
        """Refuse what is too much."""
        if self.deepest > _MOST_LEVELS:
            raise _UnboundedError(f"values must be nested at most {_MOST_LEVELS} deep, but are deeper here", event)
        if self.nodes > _MOST_NODES:
            message = f"the text must have at most {_MOST_NODES} keys and values, with every alias written out, "
            raise _UnboundedError(f"{message}but has {self.nodes} up to here; leave out what is not needed", event)
        if isinstance(event, ScalarEvent) and (found := long_number(str(event.value).replace("_", ""))):  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
            message = f"a number must have at most {MOST_DIGITS} digits, but this one has {len(found[1])}"
            raise _UnboundedError(f"{message}; give a smaller one", event)


def _said(error: Any) -> str:
    """Return what the reader of YAML complains about, in one clause."""
    problem = str(error.problem or "it cannot be read").removeprefix("but ")
    return f"{problem} ({error.context})" if error.context else problem


def _point(file: str, lines: list[str], line: int, column: int) -> Span:
    return Span(file, line + 1, column + 1, column + 2, lines[line] if line < len(lines) else "")


@dataclass
class _Walk:
    """Turns nodes into values and notes their places."""

    file: str
    lines: list[str]
    places: dict[Path, _Place] = field(default_factory=dict[Path, _Place])
    diagnostics: list[Diagnostic] = field(default_factory=list[Diagnostic])

    def value(self, node: Any, path: Path, key: Span | None) -> Any:
        span = self.span(node)
        is_plain = node.id == "scalar" and node.anchor is None
        start, end = int(node.start_mark.index), int(node.end_mark.index)
        # A block is told by its key: its text is not on one line.
        self.places[path] = _Place(key or span, span if node.id == "scalar" else key or span, start, end, is_plain)
        match node.id:
            case "mapping":
                return self.mapping(node, path)
            case "sequence":
                items = cast("list[Any]", node.value)
                return [self.value(item, (*path, number), self.span(item)) for number, item in enumerate(items)]
            case _:
                return _scalar(node)

    def mapping(self, node: Any, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in cast("list[tuple[Any, Any]]", node.value):
            span = self.span(key)
            name = str(key.value) if key.id == "scalar" else ""
            if not name:
                self.report("a key must be a text on one line", span)
            elif name in result:
                line = self.places[(*path, name)].key.line
                self.report(
                    f"key {name!r} must appear once, but is on line {line} already; remove one of the two", span
                )
            else:
                result[name] = self.value(value, (*path, name), span)
        return result

    def span(self, node: Any) -> Span:
        return _span(self.file, self.lines, node.start_mark, node.end_mark)

    def report(self, message: str, span: Span) -> None:
        self.diagnostics.append(Diagnostic(message, span))


def _span(file: str, lines: list[str], start: Any, end: Any) -> Span:
    """Return the place between two marks, as far as it is on the line of the first one."""
    text: str = lines[int(start.line)] if start.line < len(lines) else ""
    column = end.column if end.line == start.line else len(text.rstrip())
    return Span(file, start.line + 1, start.column + 1, column + 1, text)


def _scalar(node: Any) -> Any:
    """Return the value of a scalar; its text if it is not of the type that it is tagged with."""
    text = str(node.value)
    if node.style == ">":
        text = text.replace("\a", "")  # the round-trip reader marks where a text was folded
    try:
        return _typed(text, str(node.tag).removeprefix("tag:yaml.org,2002:"))
    except ValueError:
        return text


def _typed(text: str, tag: str) -> Any:
    digits = text.lower().replace("_", "")
    match tag:
        case "int":
            return int(digits, 0) if digits.lstrip("+-")[:2] in ("0x", "0o", "0b") else int(digits)
        case "float":
            return float(digits.replace(".inf", "inf").replace(".nan", "nan"))
        case "bool":
            return digits == "true"
        case "null":
            return None
        case _:
            return text
