"""Tables of reports, and their cells: texts, counts, and figures with a unit."""

import csv
import io
import math
from dataclasses import dataclass, replace
from typing import Literal

from einsum_cascade.units import has_many_digits, written

__all__ = ["Cell", "Figure", "Note", "Table", "cell_text", "to_csv", "to_latex"]

type Unit = Literal["s", "pJ", "B", "%", ""]

_BASE = {"s": "s", "pJ": "pJ", "B": "B", "%": "of 1", "": ""}
"""The unit of the plain value."""

_PREFIXES = {12: "T", 9: "G", 6: "M", 3: "k", 0: "", -3: "m", -6: "u", -9: "n", -12: "p", -15: "f", -18: "a"}


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with a unit.

    Parameters
    ----------
    value
        In the unit; a share of 1 for per cent.
    unit
        Seconds, picojoules, bytes, per cent, or none: a count.
    mark
        What stands behind it.

    """

    value: float
    unit: Unit
    mark: str = ""

    def __str__(self) -> str:
        """Return it as one reads it, with a prefix and four digits.

        Examples
        --------
        >>> print(Figure(0.000597, "s"), Figure(7.85e8, "pJ"), Figure(360448, "B"), Figure(0.99946, "%"), sep=", ")
        597 us, 785 uJ, 360.4 kB, 99.95 %

        """
        match self.unit:
            case "%":
                text = f"{100 * self.value:.2f} %"
            case "":
                text = cell_text(self.value)
            case "pJ":
                text = _prefixed(self.value * 1e-12, "J")
            case _:
                text = _prefixed(self.value, self.unit)
        return text + self.mark


def _prefixed(value: float, unit: str) -> str:
    if not value or not math.isfinite(value):
        return f"{value:g} {unit}"
    least = 0 if unit == "B" else min(_PREFIXES)
    power = min(max(3 * math.floor(math.log10(abs(value)) / 3), least), max(_PREFIXES))
    return f"{value / 10.0**power:.4g} {_PREFIXES[power]}{unit}"


type Cell = str | int | float | Figure | None


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence of a report.

    Parameters
    ----------
    text
        The sentence.
    depth
        How far it is indented: 1 below a heading, which has depth 0.
    is_heading
        Whether it names what follows.
    is_drawn
        Whether it is a line of a drawing, which is never broken.

    """

    text: str
    depth: int = 0
    is_heading: bool = False
    is_drawn: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a report.

    Parameters
    ----------
    name
        Of files and frames.
    title
        What it shows; may be empty.
    headers
        Of the columns.
    rows
        The cells.

    """

    name: str
    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def plain(self) -> "Table":
        """The table with plain values in base units, which are in the headers, or in a column of their own."""
        headers: list[str] = []
        columns: list[list[Cell]] = []
        for header, cells in zip(self.headers, zip(*self.rows, strict=True), strict=True) if self.rows else ():
            units = {_BASE[cell.unit] for cell in cells if isinstance(cell, Figure)}
            headers.append(f"{header} ({min(units)})" if len(units) == 1 and units != {""} else header)
            columns.append([cell.value if isinstance(cell, Figure) else cell for cell in cells])
            if len(units) > 1:
                headers.append("unit")
                columns.append([_BASE[cell.unit] if isinstance(cell, Figure) else "" for cell in cells])
        rows = tuple(zip(*columns, strict=True))
        return replace(self, headers=tuple(headers) if self.rows else self.headers, rows=rows)

    def _repr_html_(self) -> str:
        from einsum_cascade.study.rendering import to_html

        return to_html([self])

    def __str__(self) -> str:
        from einsum_cascade.study.rendering import to_text

        return to_text([self])

    def is_numeric(self, column: int) -> bool:
        """Tell whether a column holds numbers, but for what is not known or a formula."""
        return any(not isinstance(row[column], str | None) for row in self.rows)


def cell_text(cell: Cell) -> str:
    """Return a cell as one reads it.

    Examples
    --------
    >>> cell_text(561241), cell_text(0.25), cell_text(None)
    ('561,241', '0.25', '')

    """
    match cell:
        case None:
            return ""
        case bool() | str():
            return str(cell)
        case int():
            return written(cell) if has_many_digits(cell) else f"{cell:,}"
        case float():
            return f"{cell:.6g}"
        case Figure():
            return str(cell)


def to_csv(table: Table) -> str:
    """Return a table as CSV: a line of headers, numbers in base units."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([table.plain.headers, *table.plain.rows])
    return file.getvalue()


_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
}


def to_latex(table: Table) -> str:
    """Return a table as a LaTeX `table` with a caption."""
    form = "".join("r" if table.is_numeric(at) else "l" for at in range(len(table.headers)))
    lines = [" & ".join(map(_escaped, row)) + r" \\" for row in (table.headers, *table.rows)]
    caption = [rf"  \caption{{{_escaped(table.title)}}}"] if table.title else []
    body = [r"    \hline", f"    {lines[0]}", r"    \hline", *(f"    {line}" for line in lines[1:]), r"    \hline"]
    inner = [rf"  \begin{{tabular}}{{{form}}}", *body, r"  \end{tabular}"]
    return "\n".join([r"\begin{table}", r"  \centering", *caption, *inner, r"\end{table}", ""])


def _escaped(cell: Cell) -> str:
    return "".join(_SPECIAL.get(letter, letter) for letter in cell_text(cell)).replace("\n", " ")
