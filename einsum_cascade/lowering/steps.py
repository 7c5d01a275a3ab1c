"""A program of a cascade with its tensors: what it reads of them, and where its results are."""

import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.lowering.lowered import sizes_of
from einsum_cascade.lowering.submissions import ArrayProgram
from einsum_cascade.recognition.head_masks import Band
from einsum_cascade.recognition.layouts import from_array, to_array

__all__ = ["Step"]


@dataclass(frozen=True)
class Step(ArrayProgram):
    """One program of a cascade, ready to run.

    Parameters
    ----------
    extents
        Of all ranks.

    """

    extents: Mapping[str, int] = field(kw_only=True)

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """Coordinates of every range."""
        return sizes_of(self.work, self.extents)

    @property
    def queries(self) -> int:
        """Queries of a head, or columns of the scores that are given."""
        return self.sizes[self.work.columns]

    def operands(
        self, stored: Mapping[str, NDArray[Any]], but: AbstractSet[str] = frozenset()
    ) -> dict[str, NDArray[Any]]:
        """Return the operands of the array but for some, by `recognition.layouts`, from tensors of its format."""
        program = self.lowered.program
        found = to_array(self.work, stored, self.extents, program.shape.columns, program.keys, but)
        (first, last), members = self._bounds, {"query": program.group, "key": 1, "value": 1}
        return {name: values[first * members[name] : last * members[name]] for name, values in found.items()}

    @property
    def compared(self) -> int:
        """Results that are elements of a tensor; scores that are given may leave columns of the array idle."""
        program = self.lowered.program
        return len(self.heads) * program.group * program.head_rows * self.queries

    @property
    def queries_without_keys(self) -> int:
        """Queries, of any head, to which the filter leaves no key, so that their results are 0 in place of 0 / 0."""
        program = self.lowered.program
        if not self.work.kernel.is_divided or self.work.query is None:
            return 0
        band = Band(program.diagonal_low, program.diagonal_high, program.keys)
        return len(self.heads) * program.group * int(band.without_keys(program.keys, program.queries).sum())

    @property
    def is_undefined_without_keys(self) -> bool:
        """Whether the cascade divides by nothing for such queries, and has no `else` for them."""
        return self.work.quotient is not None and self.work.quotient.otherwise is None

    def place(self, results: NDArray[Any], output: NDArray[Any]) -> None:
        """Put the results of the program where they are among those of all heads, `empty_results`."""
        (first, last), group = self._bounds, self.lowered.program.group
        results[first * group : last * group, : output.shape[1], : output.shape[2]] = output

    def empty_results(self) -> NDArray[np.float32]:
        """Return room for the results of all heads of the work, zeros; what a mask leaves out stays 0."""
        program = self.lowered.program
        rows = self.sizes[self.work.rows] if program.has_tile_results else program.head_rows
        return np.zeros((self._all_heads * self._copies * program.group, rows, program.queries), np.float32)

    def tensors(self, results: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Return the tensors that the results of all heads of the work are, by name."""
        return from_array(self.work, results, self.extents)

    @property
    def is_whole(self) -> bool:
        """Whether the program does all heads of its work."""
        return len(self.heads) == self._all_heads

    @property
    def _all_heads(self) -> int:
        return math.prod(self.sizes[name] for name in self.work.shared)

    @property
    def _copies(self) -> int:
        """How many heads of the program each head is: of scores that are given, each tile of columns is one."""
        return self.lowered.program.key_heads // len(self.heads)

    @property
    def _bounds(self) -> tuple[int, int]:
        """The first head of the program, and the one after its last, among those of all programs of the work."""
        return self.heads.start * self._copies, self.heads.stop * self._copies
