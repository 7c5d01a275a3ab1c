"""The report of commands that list what there is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from einsum_cascade.study.report import Report
from einsum_cascade.study.tables import Note, Table

__all__ = ["ListReport"]


@dataclass(frozen=True, repr=False)
class ListReport(Report):
    """What there is: names, and what is said of each.

    Parameters
    ----------
    what
        What is listed.
    rows
        What is said of each, by the same names.

    """

    kind: ClassVar[str] = "list"

    what: str
    rows: tuple[Mapping[str, str], ...]

    @property
    def headline(self) -> str:
        """How many there are."""
        return f"{len(self.rows)} {self.what}"

    def parts(self) -> tuple[Table | Note, ...]:
        """Return the table."""
        headers = tuple(dict.fromkeys(name for row in self.rows for name in row))
        return (Table(self.what, "", headers, tuple(tuple(row[name] for name in headers) for row in self.rows)),)
