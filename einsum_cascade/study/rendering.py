"""Forms of reports that one reads: text of any width, and HTML."""

import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from einsum_cascade.study.tables import Cell, Note, Table, cell_text

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["print_parts", "to_html", "to_text"]

_WIDE = 1 << 14
"""Columns of a text without a terminal: no line is broken."""


def to_text(parts: Iterable[Table | Note], width: int = _WIDE) -> str:
    """Return tables and sentences as text.

    Parameters
    ----------
    parts
        What a report has.
    width
        Columns; sentences and texts in tables are broken there, numbers never.

    """
    from rich.console import Console

    file = io.StringIO()
    print_parts(parts, Console(file=file, width=width, highlight=False, color_system=None))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()).strip("\n")


def print_parts(parts: Iterable[Table | Note], console: "Console") -> None:
    """Print tables and sentences; a table that is wider than the console is printed as wide as its words are."""
    from rich.text import Text

    for part in parts:
        if isinstance(part, Note):
            console.print(_sentence(part), soft_wrap=part.is_drawn)
            continue
        if part.title:
            console.print(Text(part.title, style="bold"))
        widths, width = _widths(part, console.width), console.width
        console.width = max(width, sum(widths) + _BETWEEN * len(widths))
        console.print(_table(part, widths))
        console.width = width


_BETWEEN = 3
"""Columns of a terminal from one column of a table to the next."""


def _widths(table: Table, width: int) -> list[int]:
    """Return how wide columns are: as their lines; if that is too much, the widest ones break lines at words."""
    texts = [[table.headers[at], *(cell_text(row[at]) for row in table.rows)] for at in range(len(table.headers))]
    found = [max((len(line) for text in own for line in text.splitlines()), default=0) for own in texts]
    least = [_least_width(table, at) for at in range(len(found))]
    while sum(found) + _BETWEEN * len(found) > width:
        at = max(range(len(found)), key=lambda at: (found[at] > least[at], found[at]))
        if found[at] <= least[at]:
            break
        found[at] -= 1
    return found


def _least_width(table: Table, column: int) -> int:
    """Return how wide a column must be so that no word and no number is broken."""
    cells = [row[column] for row in table.rows]
    words = [word for cell in (table.headers[column], *cells) if isinstance(cell, str) for word in cell.split()]
    return max(map(len, (*words, *(cell_text(cell) for cell in cells if not isinstance(cell, str)))), default=0)


def _sentence(note: Note) -> "RenderableType":
    from rich.padding import Padding
    from rich.text import Text

    text = Text(note.text, style="bold" if note.is_heading else "")
    return Padding(text, (0, 0, 0, 2 * note.depth)) if note.depth else text


def _table(table: Table, widths: Sequence[int]) -> "RenderableType":
    from rich import box
    from rich.table import Table as Drawn
    from rich.text import Text

    drawn = Drawn(box=box.SIMPLE_HEAD, pad_edge=False)
    for at, (header, width) in enumerate(zip(table.headers, widths, strict=True)):
        drawn.add_column(header, justify="right" if table.is_numeric(at) else "left", width=width)
    for row in table.rows:
        drawn.add_row(*(Text(cell_text(cell)) for cell in row))
    return drawn


def to_html(parts: Iterable[Table | Note]) -> str:
    """Return tables and sentences as HTML, for notebooks."""
    return "\n".join(_html_table(part) if isinstance(part, Table) else _html_note(part) for part in parts)


def _html_note(note: Note) -> str:
    if note.is_drawn:
        return f'<pre style="margin:0">{escape(note.text)}</pre>'
    text = f"<b>{escape(note.text)}</b>" if note.is_heading else escape(note.text)
    return f'<p style="margin:0 0 0 {2 * note.depth}em">{text}</p>'


def _html_table(table: Table) -> str:
    aligned = ["right" if table.is_numeric(at) else "left" for at in range(len(table.headers))]

    def line(cells: Iterable[Cell], tag: str) -> str:
        texts = zip(map(cell_text, cells), aligned, strict=True)
        own = (f'<{tag} style="text-align:{side}">{_html_cell(text)}</{tag}>' for text, side in texts)
        return f"<tr>{''.join(own)}</tr>"

    head, body = line(table.headers, "th"), "\n".join(line(row, "td") for row in table.rows)
    caption = f'<caption style="text-align:left"><b>{escape(table.title)}</b></caption>' if table.title else ""
    return f"<table>{caption}<thead>{head}</thead>\n<tbody>\n{body}\n</tbody></table>"


def _html_cell(text: str) -> str:
    return escape(text).replace("\n", "<br>")
