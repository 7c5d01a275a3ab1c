"""Whether extents that are set in place of defaults still reach what the defaults reach.

A default is a definition: with `rank M1 = M/M0`, the index `m1*M0 + m0` meets every coordinate of M. An extent that is
set instead may be any that leaves nothing out. This module decides what is left out; what is out of range is
decided in `extents`. After 65536 unbroken stretches without an omission, there is taken to be none.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.ir import Cascade, Dimension, Einsum, Read
from einsum_cascade.cascade.partition import definition
from einsum_cascade.cascade.reach import accesses, coordinate_counts

__all__ = ["Omission", "first_omission"]

_MOST_STRETCHES = 2**16

type _Access = tuple[Einsum, Einsum | Read, Affine]


@dataclass(frozen=True, slots=True)
class Omission:
    """A coordinate that nothing reaches with extents that are set, though their defaults reach all.

    Parameters
    ----------
    tensor, dimension
        Whose coordinate it is.
    coordinate
        The first one that is left out.
    index
        One of the indices that should reach it.
    is_written
        Whether that index is one of a left side.
    ranks
        The ranks on which depends what is reached.

    """

    tensor: str
    dimension: Dimension
    coordinate: int
    index: Affine
    is_written: bool
    ranks: frozenset[str]


def first_omission(cascade: Cascade, extents: Mapping[str, int], defaults: Mapping[str, int]) -> Omission | None:
    """Return what extents leave out that others reach, None if nothing.

    Parameters
    ----------
    cascade
        A checked cascade.
    extents
        Of all ranks, as they are set.
    defaults
        Of all ranks, as they would be if nothing were set in place of a default.

    """
    places: defaultdict[tuple[str, int, bool], list[_Access]] = defaultdict(list)
    for einsum in cascade.einsums:
        for access, axis, index in accesses(cascade, einsum):
            places[access.tensor, axis, access is einsum].append((einsum, access, index))
    for (tensor, axis, is_written), found in places.items():
        dimension = cascade.tensor[tensor].dimensions[axis]
        coordinate = _first_omitted(cascade, found, dimension, extents)
        if coordinate is not None and _first_omitted(cascade, found, dimension, defaults) is None:
            ranks = _deciding(cascade, found, dimension)
            return Omission(tensor, dimension, coordinate, found[-1][2], is_written, ranks)
    return None


def _first_omitted(
    cascade: Cascade, found: list[_Access], dimension: Dimension, extents: Mapping[str, int]
) -> int | None:
    """Return the first coordinate of a dimension that no access reaches."""
    end = dimension.extent.evaluate(extents)
    images = [image for access in found if (image := _image(cascade, access, extents)) is not None]
    coordinate = 0
    for _ in range(_MOST_STRETCHES):
        if coordinate >= end:
            return None
        last = max((image.stretch_at(coordinate) for image in images), default=coordinate - 1)
        if last < coordinate:
            return coordinate
        coordinate = last + 1
    return None


@dataclass(frozen=True, slots=True)
class _Image:
    """The coordinates `low + sum(stride * x) + 0..span`, each x up to its steps, long strides first."""

    low: int
    span: int
    strides: tuple[tuple[int, int], ...]

    def stretch_at(self, coordinate: int) -> int:
        """Return the last coordinate of an unbroken stretch with the one given, the one before it if it is not met."""
        return self.low + self._last(coordinate - self.low, 0)

    def _last(self, rest: int, at: int) -> int:
        if at == len(self.strides):
            return self.span if 0 <= rest <= self.span else rest - 1
        stride, steps = self.strides[at]
        inner = self.span + sum(one * count for one, count in self.strides[at + 1 :])
        tried = range(max(0, -(-(rest - inner) // stride)), min(steps, rest // stride) + 1)
        return max((stride * x + self._last(rest - stride * x, at + 1) for x in tried), default=rest - 1)


def _image(cascade: Cascade, access: _Access, extents: Mapping[str, int]) -> _Image | None:
    """Return what an index reaches, None if its Einsum has no point."""
    einsum, _, index = access
    counts = coordinate_counts(cascade, einsum, extents)
    if min(counts.values(), default=1) < 1:
        return None
    reaches = [(c.evaluate(extents), counts[name] - 1) for name, c in index.terms]
    low = index.offset.evaluate(extents) + sum(min(0, stride * steps) for stride, steps in reaches)
    span, strides = 0, list[tuple[int, int]]()
    for stride, steps in sorted((abs(stride), steps) for stride, steps in reaches if stride and steps):
        if stride <= span + 1:
            span += stride * steps
        else:
            strides.insert(0, (stride, steps))
    return _Image(low, span, tuple(strides))


def _deciding(cascade: Cascade, found: list[_Access], dimension: Dimension) -> frozenset[str]:
    """Return the ranks that decide what is reached, and those that these are made of."""
    names = {dimension.rank}
    for einsum, _, index in found:
        names |= {cascade.rank_of[name] for name in einsum.variables}
        names |= {name for extent in (index.offset, *(c for _, c in index.terms)) for name in extent.names}
    waiting = list(names)
    while waiting:
        made_of = definition(cascade.rank[waiting.pop()]).names - names
        names |= made_of
        waiting += made_of
    return frozenset(names)
