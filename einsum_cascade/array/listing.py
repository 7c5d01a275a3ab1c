"""Programs as text: a line for every number, then one for every row of the kernel that does something.

A line is a name and its value: `array.` names are parameters of the array, the others those of the program; a layout
has three numbers, its address, its stride and the stride of its heads. A row says what leaves the corner:

    row 82: array EXPONENTIAL 0 @0 | lane CORRECTION 3 @1

is slot 0 of the exponential of the newest tile, and slot 3 of the correction of the one before. `in 0 2` after a stage
says in which passes over the keys, if not in all. What follows a `#` is a comment. Whether an array can execute a
program is a question to its checker.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast, get_args

from einsum_cascade.array.instruction import (
    EVERY_PASS,
    INDEX_BITS,
    NOTHING,
    PASSES,
    STAGE_BITS,
    Field,
    MatrixOp,
    Row,
    VectorOp,
)
from einsum_cascade.array.numbers import FORMAT_MEMBERS, Multiplier, Numbers
from einsum_cascade.array.program import Layout, Program
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.errors import Diagnostic, ParseError, Span
from einsum_cascade.formats import Format, parse_format
from einsum_cascade.wording import nearest

__all__ = ["parse_program", "to_text"]

_SIZES = (
    "rows",
    "columns",
    "stages",
    "contexts",
    "queue",
    "product_steps",
    "output_steps",
    "slots",
    "kernel_rows",
    "dividers",
)
_UNIT_FLAGS = "has_sigmoid", "has_feature_map"
_NUMBERS = *FORMAT_MEMBERS, "multiplier", *_UNIT_FLAGS
_LOOPS = "keys", "queries", "key_heads", "group", "passes", "product_steps", "output_steps", "contexts", "queue"
_LAYOUTS = "query", "key", "value", "output", "state"
_FLAGS = "is_resident", "is_divided", "has_tile_results", "has_statistics", "has_operand_rows", "saturates"
_CONSTANTS = "scale", "bias"
_OPTIONAL = "value", "state", "block_tiles", "diagonal_high", "diagonal_low"
_MULTIPLIERS: tuple[str, ...] = get_args(Multiplier.__value__)
_FORMATS = "bf16", "fp16", "fp8_e4m3", "fp8_e5m2", "fp32"
_UNITS = {"array": MatrixOp, "lane": VectorOp}
_LONGEST = 1 << 14
"""Rows of the largest kernel table."""
_GREATEST = 2.0**128 - 2.0**104
"""The greatest number of fp32."""
_FIELD = re.compile(r"(\S+) +(\S+) +(\S+) +@(\S+)( +in( +\d)+)?")


def to_text(program: Program) -> str:
    """Return the text of a program.

    Raises
    ------
    ValueError
        A number format has no name.

    """
    return "\n".join(_lines(program)) + "\n"


def _lines(program: Program) -> Iterator[str]:
    shape = program.shape
    yield from (f"array.{name} {getattr(shape, name)}" for name in _SIZES)
    yield from (f"array.{name} {_name_of(getattr(shape.numbers, name))}" for name in FORMAT_MEMBERS)
    yield f"array.multiplier {shape.numbers.multiplier}"
    yield from (f"array.{name} {'yes' if getattr(shape.numbers, name) else 'no'}" for name in _UNIT_FLAGS)
    yield from (f"{name} {getattr(program, name)}" for name in _LOOPS)
    for name in _LAYOUTS:
        layout: Layout | None = getattr(program, name)
        if layout is not None:
            yield f"{name} {layout.address} {layout.stride_bytes} {layout.head_stride_bytes}"
    yield from (f"{name} {'yes' if getattr(program, name) else 'no'}" for name in _FLAGS)
    yield from (f"{name} {getattr(program, name)!r}" for name in _CONSTANTS)
    for name in ("block_tiles", "diagonal_high", "diagonal_low", "watchdog_cycles"):
        if getattr(program, name) is not None:
            yield f"{name} {getattr(program, name)}"
    yield f"interval {program.interval}"
    for number, row in enumerate(program.kernel):
        if row != Row():
            yield f"row {number}: {_row_text(row)}"


def _row_text(row: Row) -> str:
    halves = ("array", row.matrix), ("lane", row.vector)
    return " | ".join(_half_text(unit, own) for unit, own in halves if own != NOTHING)


def _half_text(unit: str, own: Field) -> str:
    passes = "" if own.passes == EVERY_PASS else f" in {' '.join(str(w) for w in range(PASSES) if own.passes >> w & 1)}"
    return f"{unit} {_UNITS[unit](own.op).name} {own.index} @{own.stage}{passes}"


def _name_of(form: Format) -> str:
    """Return a name that stands for a format."""
    for name in (*_FORMATS, form.name):
        if parse_format(name) == form:
            return name
    raise ValueError(f"the format of a program's text must be one of {', '.join(_FORMATS)} or as e5m10, not {form!r}")


def parse_program(text: str, file: str = "<program>") -> Program:
    """Return the program of a text.

    Parameters
    ----------
    text
        As `to_text` writes it; lines may be in any order.
    file
        What messages call it.

    Raises
    ------
    ParseError
        The text is no program; every mistake in it.

    """
    reader = _Reader(file)
    for number, line in enumerate(text.splitlines(), 1):
        reader.read(number, line)
    return reader.program()


@dataclass
class _Reader:
    """What was read so far, and the mistakes."""

    file: str
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    lines: dict[str, Span] = field(default_factory=dict[str, Span])
    rows: dict[int, Row] = field(default_factory=dict[int, Row])
    mistakes: list[Diagnostic] = field(default_factory=list[Diagnostic])

    def read(self, number: int, line: str) -> None:
        """Take a line."""
        content = line.partition("#")[0].rstrip()
        if not content.strip():
            return
        column = len(content) - len(content.lstrip()) + 1
        span = Span(self.file, number, column, len(content) + 1, line)
        name, _, rest = content.strip().partition(" ")
        if name == "row":
            self._read_row(span, rest)
        elif name not in _ENTRIES:
            near = nearest(name, [*_ENTRIES, "row"])
            remedy = f"did you mean {near[0]!r}" if near else "remove the line"
            self._tell(span, f"a line of a program must begin with a name that it has, not with {name!r}; {remedy}")
        elif self._is_new(name, span):
            self.values[name] = self._value(name, rest.strip(), span)

    def _is_new(self, name: str, span: Span) -> bool:
        if name in self.lines:
            before = self.lines[name].line
            self._tell(span, f"{name} must be given once, but is in line {before} as well; remove one of them")
            return False
        self.lines[name] = span
        return True

    def _value(self, name: str, text: str, span: Span) -> object:
        read, what = _ENTRIES[name]
        try:
            return read(text)
        except ValueError:
            self._tell(span, f"{name} must be {what}, not {text!r}; write it so")
            return None

    def _read_row(self, span: Span, text: str) -> None:
        number, colon, content = (part.strip() for part in text.partition(":"))
        if not colon or not number.isascii() or not number.isdigit():
            self._tell(span, f"a row must be `row NUMBER: ...`, not {'row ' + text!r}; write it so")
            return
        if self._is_new(f"row {int(number)}", span):
            halves: dict[str, Field] = {}
            for part in content.split("|"):
                self._read_field(span, part.strip(), halves)
            self.rows[int(number)] = Row(halves.get("array", NOTHING), halves.get("lane", NOTHING))

    def _read_field(self, span: Span, text: str, halves: dict[str, Field]) -> None:
        match = _FIELD.fullmatch(text)
        if match is None or match[1] not in _UNITS or match[1] in halves:
            form = (
                "`array OPERATION INDEX @STAGE`, `lane OPERATION INDEX @STAGE` or both with a | between them, each "
                "with `in PASS ...` after it if it is not in all passes"
            )
            self._tell(span, f"a row must have {form}, not {text!r}; write it so")
            return
        unit, name, *numbers = match.groups()[:4]
        operations = _UNITS[unit].__members__
        if name not in operations:
            known = ", ".join(operations)
            self._tell(span, f"an operation of the {unit} must be one of {known}, not {name!r}; choose one")
        limits = ("index", INDEX_BITS), ("stage", STAGE_BITS)
        index, stage = (self._below(span, what, bits, own) for (what, bits), own in zip(limits, numbers, strict=True))
        halves[unit] = Field(operations.get(name, 0), index, stage, self._passes(span, match[5]))

    def _passes(self, span: Span, text: str | None) -> int:
        if text is None:
            return EVERY_PASS
        passes = {int(part) for part in text.split()[1:]}
        if max(passes) >= PASSES:
            self._tell(span, f"a pass of an operation must be from 0 to {PASSES - 1}, not {max(passes)}; change it")
            return EVERY_PASS
        return sum(1 << pass_number for pass_number in passes)

    def _below(self, span: Span, what: str, bits: int, text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) >> bits:
            most = (1 << bits) - 1
            self._tell(span, f"the {what} of an operation must be from 0 to {most}, not {text!r}; change it")
            return 0
        return int(text)

    def program(self) -> Program:
        """Return the program, if there is no mistake."""
        for name in _ENTRIES:
            if name not in self.lines and name not in _OPTIONAL:
                self._tell(Span(self.file, 0), f"a program must say {name}, but does not; add a line with it")
        interval = self.values.get("interval")
        for number in sorted(self.rows):
            if interval is not None and number >= interval:
                span = self.lines[f"row {number}"]
                self._tell(span, f"a row must be below the interval of {interval}, not {number}; change one of them")
        shape = None if self.mistakes else self._shape()
        if shape is None:
            raise ParseError(self.mistakes)
        rest = {name: value for name, value in self.values.items() if "." not in name and name != "interval"}
        kernel = tuple(self.rows.get(number, Row()) for number in range(self.values["interval"]))
        return Program(shape=shape, kernel=kernel, **rest)

    def _shape(self) -> ArrayShape | None:
        own = {name: self.values[f"array.{name}"] for name in (*_SIZES, *_NUMBERS)}
        try:
            numbers = Numbers(**{name: own.pop(name) for name in _NUMBERS})
            return ArrayShape(numbers=numbers, **own)
        except ValueError as error:
            message = str(error)
            at = next((name for name in (*_SIZES, *_NUMBERS) if re.search(rf"\b{name}s?\b", message)), "")
            self._tell(self.lines[f"array.{at}"] if at else Span(self.file, 0), message)
            return None

    def _tell(self, span: Span, message: str) -> None:
        self.mistakes.append(Diagnostic(message, span))


def _whole(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]+", text):
        raise ValueError(text)
    return int(text)


def _count(text: str) -> int:
    if (value := _whole(text)) < 0:
        raise ValueError(text)
    return value


def _interval(text: str) -> int:
    if (value := _count(text)) > _LONGEST:
        raise ValueError(text)
    return value


def _layout(text: str) -> Layout:
    address, stride, head_stride = (_count(part) for part in text.split())
    return Layout(address, stride, head_stride)


def _flag(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError(text)
    return text == "yes"


def _constant(text: str) -> float:
    value = float(text)
    if not abs(value) <= _GREATEST:
        raise ValueError(text)
    return value


def _multiplier(text: str) -> Multiplier:
    if text not in _MULTIPLIERS:
        raise ValueError(text)
    return cast(Multiplier, text)


type _Entry = tuple[Callable[[str], object], str]

_COUNT: _Entry = _count, "a whole number of at least 0"
_WHOLE: _Entry = _whole, "a whole number"
_FORMAT: _Entry = parse_format, f"a number format ({', '.join(_FORMATS)}, or as e5m10)"
_ENTRIES: dict[str, _Entry] = {
    **{f"array.{name}": _COUNT for name in _SIZES},
    **{f"array.{name}": _FORMAT for name in FORMAT_MEMBERS},
    "array.multiplier": (_multiplier, f"one of {', '.join(_MULTIPLIERS)}"),
    **dict.fromkeys(_LOOPS, _COUNT),
    **dict.fromkeys(_LAYOUTS, (_layout, "an address, a stride and a stride of heads, whole numbers")),
    **dict.fromkeys(_FLAGS, (_flag, "yes or no")),
    **{f"array.{name}": (_flag, "yes or no") for name in _UNIT_FLAGS},
    **dict.fromkeys(_CONSTANTS, (_constant, "a number within the range of fp32")),
    "block_tiles": _COUNT,
    "diagonal_high": _WHOLE,
    "diagonal_low": _WHOLE,
    "watchdog_cycles": _COUNT,
    "interval": (_interval, f"a whole number of at most {_LONGEST}"),
}
"""How the value of every name is read, and what it must be."""
