"""A YAML 1.2 text as plain values, each with its place in the text, and edits that touch nothing else.

What the values mean is not decided here. ruamel.yaml's round-trip mode reads the text into nodes with their marks; a
value is changed where it stands, so that comments, order and layout stay as the author made them.
"""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.reader import ReaderError

from einsum_cascade.errors import Diagnostic, Span

__all__ = ["HOLE", "Path", "Tree", "has_hole", "read_tree"]

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


def read_tree(text: str, file: str) -> Tree:
    """Read a YAML text; what is wrong with it is in the tree's `diagnostics`."""
    lines = re.split(r"\r\n|\r|\n", text)
    reader: Any = YAML(typ="rt", pure=True)  # its nodes and errors have no types
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReusedAnchorWarning)  # YAML 1.2 lets an anchor be given again
            root = reader.compose(text)
    except MarkedYAMLError as marked:
        error: Any = marked
        mark = error.problem_mark or error.context_mark
        span = _point(file, lines, mark.line, mark.column) if mark else Span(file, 1, 1, 1)
        return Tree(text, file, None, {}, (Diagnostic(f"the text must be YAML 1.2, but {_said(error)}", span),))
    except ReaderError as unreadable:
        error = unreadable
        line = text.count("\n", 0, error.position)
        column = error.position - (text.rfind("\n", 0, error.position) + 1)
        message = f"the text must be YAML 1.2, but has the character {chr(error.character)!r}; remove it"
        return Tree(text, file, None, {}, (Diagnostic(message, _point(file, lines, line, column)),))
    except YAMLError as error:
        return Tree(text, file, None, {}, (Diagnostic(f"the text must be YAML 1.2: {error}", Span(file, 1, 1, 1)),))
    except NotImplementedError:  # what ruamel.yaml says of a comment between a name and a value a line below
        message = "the text must have comments beside or above whole entries, but has one inside an entry; move it"
        return Tree(text, file, None, {}, (Diagnostic(message, Span(file, 1, 1, 1)),))
    walk = _Walk(file, lines)
    value = walk.value(root, (), None) if root is not None else None
    return Tree(text, file, value, walk.places, tuple(walk.diagnostics))


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
    around: list[Any] = field(default_factory=list[Any])
    """The nodes that the current one is in: an alias may lead back to one of them."""

    def value(self, node: Any, path: Path, key: Span | None) -> Any:
        span = self.span(node)
        if node in self.around:
            self.report("a value must not be part of itself; write it out instead of the alias", key or span)
            return HOLE
        is_plain = node.id == "scalar" and node.anchor is None
        start, end = int(node.start_mark.index), int(node.end_mark.index)
        # A block is told by its key: its text is not on one line.
        self.places[path] = _Place(key or span, span if node.id == "scalar" else key or span, start, end, is_plain)
        self.around.append(node)
        try:
            return self.content(node, path)
        finally:
            self.around.pop()

    def content(self, node: Any, path: Path) -> Any:
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
        """Return the place of a node's first line."""
        start: Any = node.start_mark
        end: Any = node.end_mark
        text: str = self.lines[int(start.line)] if start.line < len(self.lines) else ""
        column = end.column if end.line == start.line else len(text.rstrip())
        return Span(self.file, start.line + 1, start.column + 1, column + 1, text)

    def report(self, message: str, span: Span) -> None:
        self.diagnostics.append(Diagnostic(message, span))


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
