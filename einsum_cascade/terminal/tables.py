"""Draw reports as tables in the terminal."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

__all__ = ["bounds_tables", "new_table", "print_all", "run_table", "warnings_of", "zoo_table"]

type Row = Mapping[str, Any]


def print_all(*parts: RenderableType) -> None:
    """Print to standard output."""
    console = Console(highlight=False)
    for part in parts:
        console.print(part)


def new_table(title: str, *columns: str, right: Iterable[str] = ()) -> Table:
    """Return an empty table; columns in `right` hold numbers."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    numeric = set(right)
    for column in columns:
        table.add_column(column, justify="right" if column in numeric else "left", overflow="fold")
    return table


def zoo_table(entries: Iterable[tuple[str, str, str]]) -> RenderableType:
    """Return the list of the zoo: name, title, citation."""
    table = new_table("", "name", "what it is", "source")
    table.columns[0].no_wrap = True
    for name, title, citation in entries:
        table.add_row(name, title, citation)
    return table


def run_table(outputs: Mapping[str, Row]) -> RenderableType:
    """Return a summary of output tensors."""
    table = new_table("outputs", "tensor", "shape", "least", "mean", "greatest", right=("least", "mean", "greatest"))
    for name, row in outputs.items():
        values = (row["least"], row["mean"], row["greatest"])
        table.add_row(name, " x ".join(map(str, row["shape"])) or "scalar", *map(_short, values))
    return table


def warnings_of(outputs: Mapping[str, Row]) -> list[RenderableType]:
    """Return a line for each output tensor that holds infinities or what is not a number."""
    lines: list[RenderableType] = []
    for name, row in outputs.items():
        counts = ((row["inf"], "infinite"), (row["nan"], "not a number (NaN)"))
        found = [f"{count} {'is' if count == 1 else 'are'} {what}" for count, what in counts if count]
        if found:
            lines.append(Text(f"of the {math.prod(row['shape'])} elements of {name}, {' and '.join(found)}"))
    return lines


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def bounds_tables(report: Row, is_shown: Callable[[str], bool]) -> RenderableType:
    """Return a bound report in the order in which one asks: how often, why, what is held, what is done, what is moved.

    Parameters
    ----------
    report
        The JSON form.
    is_shown
        Which tensors' passes are of interest.

    """
    rows = [row for row in report["passes"] if is_shown(row["tensor"]) and row["count"] != 0]
    parts = [_passes_table(rows), *_witnesses(rows)]
    kept = {(row["tensor"], row["rank"]) for row in rows}
    parts.append(_live_table(f for f in report["footprints"] if (f["tensor"], f["rank"]) in kept))
    parts.append(_operations_table(report["operations"]))
    parts.append(_traffic_table("traffic: what every mapping moves at least", report["traffic"]))
    if "plan" in report:
        title = "a plain plan: what it moves beyond that, other mappings may move less"
        parts.append(_traffic_table(title, report["plan"]) if report["plan"] else Text(f"{title}: nothing"))
    parts.append(Text(f"arithmetic intensity: {_short(report['intensity'])} operations per compulsory word"))
    return Group(*parts)


def _passes_table(rows: Iterable[Row]) -> RenderableType:
    title = "passes of this cascade: how often it must walk over a fiber, in ascending order"
    table = new_table(title, "tensor", "rank", "passes", "Einsums of each pass", right=("passes",))
    for row in rows:
        count = str(row["count"]) if row["exact"] else f"at least {row['count']}"
        vias = row["via"] if len(row["via"]) > 1 else ()
        others = [f"{via['count']} by {', '.join(via['variables'])}" for via in vias]
        others += [f"{row['descending']} descending"] if row["descending"] is not None else []
        by_way = "; ".join(others)
        groups = " | ".join(" ".join(group) for group in row["einsums"])
        table.add_row(row["tensor"], row["rank"], count + (f" ({by_way})" if by_way else ""), groups)
    return table


def _witnesses(rows: Iterable[Row]) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for row in rows:
        if row["witness"] or row["doubts"]:
            parts.append(Text(f"{row['tensor']} along {row['rank']}", style="bold"))
            parts += [Padding(Text(sentence), (0, 0, 0, 2)) for sentence in row["witness"]]
            parts += [Padding(Text(f"only a lower bound: {doubt}"), (0, 0, 0, 2)) for doubt in row["doubts"]]
    return parts


def _live_table(rows: Iterable[Row]) -> RenderableType:
    title = "live state: what each pass holds on chip"
    columns = ("tensor", "rank", "pass", "elements", "per", "grows", "what", "words\nif not kept")
    table = new_table(title, *columns, right=("pass", "elements", "words\nif not kept"))
    for row in (row for row in rows if row["live"]):
        reasons = dict.fromkeys(live["reason"] for live in row["live"])
        what = "\n".join(f"{reason}: {_held(row, reason)}" for reason in reasons)
        table.add_row(
            row["tensor"],
            row["rank"],
            str(row["pass"]),
            str(row["elements"]),
            " ".join(row["per"]),
            f"with {row['rank']}" if row["depends_on_rank"] else "no",
            what,
            str(row["words_if_not_kept"] or ""),
        )
    return table


def _held(row: Row, reason: str) -> str:
    return ", ".join(f"{live['tensor']} {live['elements']}" for live in row["live"] if live["reason"] == reason)


def _operations_table(rows: Iterable[Row]) -> RenderableType:
    table = new_table("operations", "Einsum", "operator", "count", right=("count",))
    for row in rows:
        table.add_row(row["einsum"], row["operator"], ("" if row["exact"] else "at most ") + str(row["count"]))
    return table


def _traffic_table(title: str, rows: Iterable[Row]) -> RenderableType:
    table = new_table(title, "tensor", "words", "why", right=("words",))
    for row in rows:
        why = (
            row["reason"]
            if row["exact"]
            else f"{row['reason']}: an upper bound, where data or indices leave elements out"
        )
        table.add_row(row["tensor"], ("" if row["exact"] else "at most ") + str(row["words"]), why)
    return table
