"""The report of `run`: what a cascade computes from some tensors."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.study.report import ARRAYS, Report
from einsum_cascade.study.tables import Note, Table

__all__ = ["RunReport", "Summary", "summaries"]


@dataclass(frozen=True, slots=True)
class Summary:
    """A tensor in short.

    Parameters
    ----------
    shape
        Its shape.
    least, mean, greatest
        Of its elements; None if it has none.
    inf, nan
        How many are infinite, or not a number.

    """

    shape: tuple[int, ...]
    least: float | None
    mean: float | None
    greatest: float | None
    inf: int
    nan: int


@dataclass(frozen=True, repr=False)
class RunReport(Report):
    """What a cascade computes.

    Parameters
    ----------
    cascade
        Its name.
    extents
        Of all ranks.
    dtype
        The number format.
    seed, random_inputs
        Of what was drawn, and which inputs that were.
    outputs
        The output tensors in short.
    files
        What was written, by output.
    tensors
        The output tensors.

    """

    kind: ClassVar[str] = "run"

    cascade: str
    extents: Mapping[str, int]
    dtype: str
    seed: int
    random_inputs: tuple[str, ...]
    outputs: Mapping[str, Summary]
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    tensors: Mapping[str, Any] = field(default_factory=dict[str, Any], compare=False, metadata=ARRAYS)

    @property
    def headline(self) -> str:
        """The shapes."""
        shapes = ", ".join(f"{name} {_shape(own)}" for name, own in self.outputs.items())
        return f"{self.cascade} in {self.dtype}: {shapes}"

    def parts(self) -> tuple[Table | Note, ...]:
        """Return a line for each output, and what is not finite."""
        extents = ", ".join(f"{rank} = {extent}" for rank, extent in self.extents.items())
        rows = tuple((name, _shape(own), own.least, own.mean, own.greatest) for name, own in self.outputs.items())
        files = (Note(path, 1) for path in self.files.values())
        table = Table("outputs", "outputs", ("tensor", "shape", "least", "mean", "greatest"), rows)
        return (Note(f"cascade {self.cascade} in {self.dtype}, {extents}"), table, *self._warnings(), *files)

    def _warnings(self) -> Iterator[Note]:
        for name, own in self.outputs.items():
            counts = ((own.inf, "infinite"), (own.nan, "not a number (NaN)"))
            found = [f"{count} {'is' if count == 1 else 'are'} {what}" for count, what in counts if count]
            if found:
                yield Note(f"of the {math.prod(own.shape)} elements of {name}, {' and '.join(found)}")


def _shape(summary: Summary) -> str:
    return " x ".join(map(str, summary.shape)) or "scalar"


def summaries(tensors: Mapping[str, NDArray[Any]]) -> dict[str, Summary]:
    """Return tensors in short."""
    return {name: _summary(np.asarray(tensor, dtype=np.float64)) for name, tensor in tensors.items()}


def _summary(values: NDArray[np.float64]) -> Summary:
    with np.errstate(all="ignore"):
        least, mean, greatest = (float(f(values)) if values.size else None for f in (np.min, np.mean, np.max))
    return Summary(values.shape, least, mean, greatest, int(np.isinf(values).sum()), int(np.isnan(values).sum()))
