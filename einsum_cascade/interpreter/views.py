"""Indices as numbers, and views of arrays along a space.

A read that stays inside its tensor, whatever its indices, is one strided view; only what leaves it is gathered.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import as_strided

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.ir import Cascade
from einsum_cascade.cascade.reach import is_partition
from einsum_cascade.interpreter.space import Array, Space

__all__ = ["ORIGIN", "IndexNumbers", "Line", "flattened", "stays_inside", "view"]


@dataclass(frozen=True, slots=True)
class Line:
    """An affine index in numbers: `offset`, and `step` for each position along an axis of the space."""

    offset: int
    steps: tuple[tuple[int, int], ...]
    low: int
    high: int

    def positions(self, space: Space) -> Array:
        """Return the values of the index over the axes of a space."""
        total = np.full((1,) * len(space.names), self.offset)
        for axis, step in self.steps:
            total = total + space.along(axis, step * np.arange(space.counts[axis]))
        return total


ORIGIN = Line(0, (), 0, 0)
"""The index 0."""


class IndexNumbers:
    """The indices of one cascade with its extents put in, each worked out once.

    Indices are remembered by identity: the cascade, which holds them, lives as long as this object.
    """

    def __init__(self, cascade: Cascade, extents: Mapping[str, int]) -> None:
        """Start with nothing worked out."""
        self.cascade, self.extents = cascade, extents
        self._known: dict[int, tuple[int, tuple[tuple[str, int], ...]]] = {}
        self._partitions: dict[int, bool] = {}

    def line(self, index: Affine, space: Space) -> Line:
        """Return an index as a line through a space."""
        found = space.known.get(("line", id(index)))
        if found is None:
            found = self._line(index, space)
            if space.fixed.keys().isdisjoint(index.variables):
                space.known["line", id(index)] = found
        return found

    def _line(self, index: Affine, space: Space) -> Line:
        offset, terms = self._terms(index)
        steps: list[tuple[int, int]] = []
        for name, step in terms:
            if name in space.fixed:
                offset += step * space.fixed[name]
            else:
                axis = space.axis[name]
                offset += step * space.starts[axis]
                steps.append((axis, step))
        reaches = [step * (space.counts[axis] - 1) for axis, step in steps]
        low, high = offset + sum(r for r in reaches if r < 0), offset + sum(r for r in reaches if r > 0)
        return Line(offset, tuple(steps), low, high)

    def constant(self, index: Affine, fixed: Mapping[str, int]) -> int | None:
        """Return the value of an index whose variables are all fixed; otherwise None."""
        offset, terms = self._terms(index)
        for name, step in terms:
            if name not in fixed:
                return None
            offset += step * fixed[name]
        return offset

    def is_partition(self, index: Affine) -> bool:
        """Tell whether what leaves a tensor by this index is the tail of a partition."""
        found = self._partitions.get(id(index))
        if found is None:
            found = self._partitions[id(index)] = is_partition(self.cascade, index, self.extents)
        return found

    def _terms(self, index: Affine) -> tuple[int, tuple[tuple[str, int], ...]]:
        found = self._known.get(id(index))
        if found is None:
            terms = tuple((name, coefficient.evaluate(self.extents)) for name, coefficient in index.terms)
            found = self._known[id(index)] = (index.offset.evaluate(self.extents), terms)
        return found


def stays_inside(line: Line, extent: int) -> bool:
    """Tell whether an index stays inside a dimension at every point."""
    return line.low >= 0 and line.high < extent


def view(array: Array, lines: tuple[Line, ...], space: Space, *, is_writable: bool = False) -> Array:
    """Return the elements that a read meets, over the axes of the space.

    Where an index leaves the array, the nearest element stands in; the caller masks those points.
    """
    counts = [1] * len(space.names)
    for line in lines:
        for axis, _ in line.steps:
            counts[axis] = space.counts[axis]
    if 0 in counts:
        return np.zeros(counts, array.dtype)
    if not all(map(stays_inside, lines, array.shape)):
        array, lines = _gather(array, lines, space)
    if (simple := _sliced(array, lines, space)) is not None:
        simple.flags.writeable = is_writable
        return simple
    strides = [0] * len(counts)
    for line, stride in zip(lines, array.strides, strict=True):
        for axis, step in line.steps:
            strides[axis] += step * stride
    corner = array[tuple(slice(line.offset, None) for line in lines)] if lines else array
    return as_strided(corner, counts, strides, writeable=is_writable)


def _sliced(array: Array, lines: tuple[Line, ...], space: Space) -> Array | None:
    """Return a view by slices, which is cheaper to make, if each index is a number or follows one axis, in order."""
    index: list[slice | int | None] = []
    axis = -1
    for line in lines:
        if not line.steps:
            index.append(line.offset)
            continue
        (at, step), *others = line.steps
        if others or step != 1 or at <= axis:
            return None
        index += [None] * (at - axis - 1)
        index.append(slice(line.offset, line.offset + space.counts[at]))
        axis = at
    index += [None] * (len(space.names) - axis - 1)
    return array[(*index, ...)]


def flattened(lines: tuple[Line, ...], shape: tuple[int, ...]) -> tuple[Line, ...]:
    """Return the lines for a mask, whose dimensions of length 1 stand for every coordinate."""
    return tuple(ORIGIN if extent == 1 else line for line, extent in zip(lines, shape, strict=True))


def _gather(array: Array, lines: tuple[Line, ...], space: Space) -> tuple[Array, tuple[Line, ...]]:
    """Copy along the dimensions that indices leave, which become one dimension per variable of the index."""
    dimension = 0
    found: list[Line] = []
    for line in lines:
        extent = array.shape[dimension]
        if stays_inside(line, extent):
            found.append(line)
            dimension += 1
            continue
        if extent == 0:
            array = np.zeros((*array.shape[:dimension], 1, *array.shape[dimension + 1 :]), array.dtype)
        positions = np.full((), line.offset)
        for axis, step in line.steps:
            positions = positions[..., None] + step * np.arange(space.counts[axis])
        array = np.take(array, positions.clip(0, max(extent - 1, 0)), axis=dimension)
        found += (Line(0, ((axis, 1),), 0, space.counts[axis] - 1) for axis, _ in line.steps)
        dimension += len(line.steps)
    return array, tuple(found)
