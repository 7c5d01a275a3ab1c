"""Iteration spaces.

Every array that is made for a space has one axis per variable, of length 1 where it does not depend on the variable, so
that NumPy's broadcasting pairs points.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

__all__ = ["Array", "Mask", "Space"]

type Array = np.ndarray[Any, np.dtype[Any]]
type Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass
class Space:
    """The points of an Einsum, or a block of them.

    Parameters
    ----------
    names
        Rank variables, those of the left side first.
    starts, counts
        First coordinate and number of coordinates of each.
    reduced
        How many of the last variables are reduced.
    fixed
        Variables of enclosing loops, at their present coordinates; the only thing that changes from round to round.

    """

    names: tuple[str, ...]
    starts: tuple[int, ...]
    counts: tuple[int, ...]
    reduced: int
    fixed: Mapping[str, int]

    def __post_init__(self) -> None:
        self.axis = {name: axis for axis, name in enumerate(self.names)}
        """The axis of every variable that is not fixed."""
        self.left = len(self.names) - self.reduced
        """Number of variables that are not reduced."""
        self.size = math.prod(self.counts)
        """Number of points."""
        self.reduced_axes = tuple(range(self.left, len(self.names)))
        """The axes that a reduction folds."""
        self.known: dict[tuple[str, int], Any] = {}
        """What has been worked out and holds whatever is fixed, by kind and identity."""

    @cached_property
    def unreduced(self) -> "Space":
        """The space of the left side."""
        left = self.left
        return Space(self.names[:left], self.starts[:left], self.counts[:left], 0, self.fixed)

    def block(self, axis: int, start: int, stop: int) -> "Space":
        """Return the points from `start` to `stop` along an axis, counted from its own start."""
        starts, counts = list(self.starts), list(self.counts)
        starts[axis], counts[axis] = starts[axis] + start, stop - start
        return Space(self.names, tuple(starts), tuple(counts), self.reduced, self.fixed)

    def loops(self, names: Iterable[str]) -> frozenset[str]:
        """Return those variables that are fixed."""
        return frozenset(name for name in names if name in self.fixed)

    def axes(self, names: Iterable[str]) -> frozenset[int]:
        """Return the axes of those variables that are not fixed."""
        return frozenset(self.axis[name] for name in names if name not in self.fixed)

    def along(self, axis: int, values: Array) -> Array:
        """Lay a row of values out along one axis."""
        shape = [1] * len(self.names)
        shape[axis] = self.counts[axis]
        return values.reshape(shape)

    def coordinates(self, name: str, dtype: Any = np.int64) -> Array:
        """Return the coordinates of a variable along its axis; one number if it is fixed."""
        if name in self.fixed:
            return np.asarray(self.fixed[name], dtype)
        axis = self.axis[name]
        start = self.starts[axis]
        return self.along(axis, np.arange(start, start + self.counts[axis]).astype(dtype))
