"""The report of a command that is given lists of extents: a row for every combination."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from einsum_cascade.errors import InfeasibleMappingError
from einsum_cascade.study.door import Study
from einsum_cascade.study.report import Report
from einsum_cascade.study.tables import Cell, Figure, Note, Table, Unit

__all__ = ["SweepReport", "SweepRow", "What", "sweep"]

type What = Literal["bounds", "cost", "comparison"]


@dataclass(frozen=True, slots=True)
class SweepRow:
    """The figures of one combination.

    Parameters
    ----------
    extents
        Of the ranks that were set.
    figures
        By name; a formula is a text, and None is there if no mapping can be.
    notes
        What must be said of them.

    """

    extents: Mapping[str, int]
    figures: Mapping[str, float | int | str | None]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class SweepReport(Report):
    """Figures of a cascade at several extents.

    Parameters
    ----------
    cascade
        Its name.
    what
        What was asked.
    units
        Of the figures, by name; empty for counts and texts.
    rows
        In the order of the lists, the last one fastest.

    """

    kind: ClassVar[str] = "sweep"

    cascade: str
    what: What
    units: Mapping[str, Unit]
    rows: tuple[SweepRow, ...]

    @property
    def headline(self) -> str:
        """How many combinations there are."""
        return f"{self.what} of {self.cascade} at {len(self.rows)} combinations of extents"

    @property
    def is_feasible(self) -> bool:
        """Whether all combinations have a mapping that fits."""
        return not any(row.notes for row in self.rows)

    def parts(self) -> tuple[Table | Note, ...]:
        """Return a table with a row for each combination, and what must be said of some."""
        ranks = list(dict.fromkeys(name for row in self.rows for name in row.extents))
        marks = {id(row): " *" if row.notes else "" for row in self.rows}
        rows = (
            (
                *(row.extents.get(rank) for rank in ranks),
                *(self._cell(name, row.figures.get(name), marks[id(row)]) for name in self.units),
            )
            for row in self.rows
        )
        table = Table(self.what, f"{self.what} of {self.cascade}", (*ranks, *self.units), tuple(rows))
        return (table, *(Note(f"* {_at(row)}: {note}") for row in self.rows for note in row.notes))

    def _cell(self, name: str, value: float | int | str | None, mark: str) -> Cell:
        if value is None or isinstance(value, str):
            return value
        return Figure(value, self.units[name], mark)


def _at(row: SweepRow) -> str:
    return ", ".join(f"{name} = {extent}" for name, extent in row.extents.items())


def sweep(studies: Iterable[Study], what: What, options: Mapping[str, Any] | None = None) -> SweepReport:
    """Return the figures of some studies of one cascade; where no mapping fits, the row says so.

    Parameters
    ----------
    studies
        At least one.
    what
        What is asked of each.
    options
        Of `Study.bounds`, `Study.cost` or `Study.compare`.

    """
    row = {"bounds": _bounds_row, "cost": _cost_row, "comparison": _comparison_row}[what]
    units: dict[str, Unit] = {}
    rows: list[SweepRow] = []
    name = ""
    for study in studies:
        name = study.cascade.name
        try:
            figures, notes = row(study, options or {})
        except InfeasibleMappingError as error:
            rows.append(SweepRow(study.extents, {}, (str(error),)))
            continue
        units |= {name: figure.unit if isinstance(figure, Figure) else "" for name, figure in figures.items()}
        plain = {name: figure.value if isinstance(figure, Figure) else figure for name, figure in figures.items()}
        rows.append(SweepRow(study.extents, plain, notes))
    return SweepReport(name, what, units, tuple(rows))


type _Found = tuple[Mapping[str, Figure | float | int | str | None], tuple[str, ...]]
"""Figures by name, and what must be said of them."""


def _bounds_row(study: Study, options: Mapping[str, Any]) -> _Found:
    report = study.bounds(**options)
    figures = {f"passes {each.tensor}/{each.rank}": each.count for each in report.of_inputs().passes}
    figures |= {"operations": _total(each.count for each in report.operations)}
    return figures | {"words": _total(each.words for each in report.traffic), "intensity": report.intensity}, ()


def _total(counts: Iterable[float | int | str]) -> float | int | None:
    """Return a sum; of formulas, which are not added up, none."""
    found = list(counts)
    numbers = [count for count in found if not isinstance(count, str)]
    return sum(numbers) if len(numbers) == len(found) else None


def _cost_row(study: Study, options: Mapping[str, Any]) -> _Found:
    report = study.cost(**options)
    return {**report.rows, "mapping": report.mapping, "bound by": report.limit}, report.infeasible


def _comparison_row(study: Study, options: Mapping[str, Any]) -> _Found:
    report = study.compare(**options)
    sides = {"ours": report.ours.rows, "baseline": report.baseline.rows}
    both = {f"{name}, {side}": rows[name] for name in ("latency", "energy", "DRAM") for side, rows in sides.items()}
    return {**both, **report.ratios}, report.infeasible
