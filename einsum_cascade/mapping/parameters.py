"""Parameters of a mapping: numbers in its tile sizes that follow from the architecture and the extents.

A rule says which numbers may be tried; `mapper.planning` tries them.
"""

from dataclasses import dataclass
from typing import Literal

from einsum_cascade.cascade.extent import Extent

__all__ = ["BestOf", "LargestFitting", "PartSize", "Rule", "ShareOf"]


@dataclass(frozen=True, slots=True)
class PartSize:
    """The rows or the columns of an engine."""

    engine: str
    side: Literal["rows", "columns"]

    def __str__(self) -> str:
        return f"{self.side} of {self.engine}"


@dataclass(frozen=True, slots=True)
class LargestFitting:
    """The largest divisor of a number for which the mapping fits a level.

    Parameters
    ----------
    of
        The number.
    level
        The memory.

    """

    of: Extent
    level: str

    def __str__(self) -> str:
        return f"largest divisor of {self.of} that fits {self.level}"


@dataclass(frozen=True, slots=True)
class ShareOf:
    """The share of some words that fits a level, at most 1."""

    words: Extent
    level: str

    def __str__(self) -> str:
        return f"share of {self.words} words that fits {self.level}"


@dataclass(frozen=True, slots=True)
class BestOf:
    """The first of some numbers with which the mapping is best by the objective; those above `most` are left out."""

    choices: tuple[Extent, ...]
    most: Extent

    def __str__(self) -> str:
        return f"best of {', '.join(map(str, self.choices))} up to {self.most}"


type Rule = int | PartSize | LargestFitting | ShareOf | BestOf
