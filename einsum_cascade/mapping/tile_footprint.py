"""How many elements of a tensor a piece of the iteration space touches.

Filters are not looked at: a masked element counts like any other.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from math import prod
from typing import Any, cast

import numpy as np

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.extent import Extent
from einsum_cascade.errors import MappingError
from einsum_cascade.mapping.counts import (
    Count,
    array_of,
    ceil_div,
    check_numbers,
    evaluated,
    is_same,
    maximum,
    minimum,
    shared_stride,
)
from einsum_cascade.mapping.shifts import Shift, is_nothing, shifts_of, united
from einsum_cascade.mapping.workload import Access, Part

__all__ = ["TileFootprint", "footprint_of"]

_MOST_VALUES = 1 << 24
"""Values of an index of several strides, which are looked at one by one."""


@dataclass(frozen=True, slots=True)
class _Coordinates:
    """A variable as part of a range: `min(ceil(range / unit), limit)` coordinates; the whole range has no limit."""

    range: str
    unit: Count
    limit: Count | None

    def count(self, sizes: Mapping[str, Count]) -> Count:
        count = ceil_div(sizes[self.range], self.unit)
        return count if self.limit is None else minimum(count, self.limit)


@dataclass(frozen=True, slots=True)
class TileFootprint:
    """A product of counts.

    Parameters
    ----------
    units
        By range: coordinates of the range that one element covers, where all outer parts of the range are indices.
    singles
        Variables that stand for themselves.
    sums
        Indices of several variables: each with its stride.
    shifts
        Of accesses that differ by constants, groups of those that may meet: how far each is from the first, by factor
        in the order of `units`, `singles` and `sums`. Empty for one access.

    """

    units: tuple[tuple[str, Count], ...]
    singles: tuple[_Coordinates, ...]
    sums: tuple[tuple[tuple[_Coordinates, Count], ...], ...]
    shifts: tuple[tuple[Shift, ...], ...] = ()

    def elements(self, sizes: Mapping[str, Count]) -> Count:
        """Return the number of elements touched when every range covers so many coordinates."""
        counts: list[Any] = [ceil_div(sizes[name], unit) for name, unit in self.units]
        counts += [single.count(sizes) for single in self.singles]
        terms = [[(own.count(sizes), stride) for own, stride in each] for each in self.sums]
        counts += [_sums(each) for each in terms]
        if not self.shifts:
            return cast(Count, prod(counts))
        sums = {len(counts) - len(terms) + at: each for at, each in enumerate(terms)}

        def shared(factor: int, distance: Count) -> Count:
            return _along(sums.get(factor, []), counts[factor], distance)

        def along(factor: int, starts: Sequence[int]) -> Count:
            return _from_starts(sums.get(factor, []), counts[factor], starts)

        return cast(Count, sum(united(counts, group, shared, along) for group in self.shifts))

    @property
    def ranges(self) -> frozenset[str]:
        """The ranges that are looked at."""
        return frozenset(name for names in self._touched() for name in names)

    def factors(self) -> "tuple[TileFootprint, ...]":
        """Return footprints whose product this one is, each of ranges that no other one looks at."""
        touched = list(self._touched())
        groups: list[frozenset[str]] = []
        for names in (*touched, *self._shifted(touched)):
            apart = [group for group in groups if not group & names]
            groups = [*apart, names.union(*(group for group in groups if group & names))]
        return tuple(self._of(group, touched) for group in groups)

    def _shifted(self, touched: Sequence[frozenset[str]]) -> Iterator[frozenset[str]]:
        """Yield the ranges of the counts in which accesses differ, if any do: together they touch no product."""
        if sum(map(len, self.shifts)) > 1:
            apart = {at for group in self.shifts for own in group for at, by in enumerate(own) if not is_nothing(by)}
            yield frozenset[str]().union(*(touched[at] for at in apart or {0}))

    def _of(self, ranges: frozenset[str], touched: Sequence[frozenset[str]]) -> "TileFootprint":
        """Return the factor of some ranges; accesses differ in it if they differ in any of its counts."""
        kept = [at for at, names in enumerate(touched) if names & ranges]
        shifts = tuple(tuple(tuple(own[at] for at in kept) for own in group) for group in self.shifts)
        is_shifted = any(names <= ranges for names in self._shifted(touched))
        return TileFootprint(
            tuple(unit for unit in self.units if unit[0] in ranges),
            tuple(single for single in self.singles if single.range in ranges),
            tuple(terms for terms in self.sums if terms[0][0].range in ranges),
            shifts if is_shifted else (),
        )

    def _touched(self) -> Iterator[frozenset[str]]:
        """Yield the ranges of every count."""
        yield from (frozenset({name}) for name, _ in self.units)
        yield from (frozenset({single.range}) for single in self.singles)
        yield from (frozenset(coordinates.range for coordinates, _ in terms) for terms in self.sums)


def footprint_of(
    access: Access, parts: Mapping[str, Part], extents: Mapping[str, Count], others: Sequence[Access] = ()
) -> TileFootprint:
    """Return the footprint of an access, or of several that differ by constants.

    Parameters
    ----------
    access
        The indices.
    parts
        What range each variable belongs to.
    extents
        Of all ranks.
    others
        Further accesses by the same variables with the same strides; all are touched.

    """
    alone: set[str] = {index.variables[0] for index in access.indices if len(index.variables) == 1}
    sums: list[tuple[tuple[str, Count], ...]] = []
    for index in sorted(access.indices, key=lambda index: len(index.variables)):
        names = frozenset(index.variables) - alone
        if len(index.variables) < 2 or not names:
            continue
        if len(names) == 1 or _is_partition(index, parts, names, extents):
            alone |= names
        else:
            sums.append(tuple((name, abs(evaluated(index.coefficient(name), extents))) for name in sorted(names)))
    units, singles = _grouped(alone, parts, extents)
    terms = tuple(tuple((_coordinates(parts[name], extents), stride) for name, stride in own) for own in sums)
    if not others:
        return TileFootprint(units, singles, terms)
    named = [frozenset(name for name in alone if parts[name].range == range_) for range_, _ in units]
    joined = frozenset[str]().union(*named)
    named += [frozenset(n for n in alone - joined if _coordinates(parts[n], extents) == own) for own in singles]
    named += [frozenset(name for name, _ in own) for own in sums]
    return TileFootprint(units, singles, terms, shifts_of((access, *others), named, parts, extents))


def _is_partition(
    index: Affine, parts: Mapping[str, Part], names: frozenset[str], extents: Mapping[str, Count]
) -> bool:
    """Tell whether an index numbers the coordinates of one range, so that no two points share an element."""
    ranges = {parts[name].range for name in names}
    return len(ranges) == 1 and all(_is_unit(index.coefficient(name), parts[name].unit, extents) for name in names)


def _is_unit(stride: Extent, unit: Extent, extents: Mapping[str, Count]) -> bool:
    what = "the stride of an index and the size of its tile"
    return stride == unit or is_same(evaluated(stride, extents), evaluated(unit, extents), what)


def _coordinates(part: Part, extents: Mapping[str, Count]) -> _Coordinates:
    limit = None if part.limit == part.extent else evaluated(part.limit, extents)
    return _Coordinates(part.range, evaluated(part.unit, extents), limit)


def _grouped(
    names: Iterable[str], parts: Mapping[str, Part], extents: Mapping[str, Count]
) -> tuple[tuple[tuple[str, Count], ...], tuple[_Coordinates, ...]]:
    """Join variables that are the outer parts of one range, down to some unit."""
    by_range: dict[str, set[Part]] = {}
    for name in names:
        by_range.setdefault(parts[name].range, set()).add(parts[name])
    units: list[tuple[str, Count]] = []
    singles: list[_Coordinates] = []
    for range_, own in sorted(by_range.items()):
        outer_first = sorted({p for p in parts.values() if p.range == range_}, key=lambda p: -_depth(p))
        prefix = [part for at, part in enumerate(outer_first) if own.issuperset(outer_first[: at + 1])]
        if prefix:
            units.append((range_, evaluated(prefix[-1].unit, extents)))
        singles += (_coordinates(part, extents) for part in sorted(own.difference(prefix), key=_depth))
    return tuple(units), tuple(singles)


def _depth(part: Part) -> int:
    """Return how many parts lie inside one coordinate of a part: its unit is the product of their extents."""
    ((names, _),) = part.unit.terms
    return len(names)


def _sums(terms: list[tuple[Count, Count]]) -> Count:
    """Return how many values a sum of strided coordinates takes."""
    terms = _joined(terms)
    if len(terms) == 1:
        return terms[0][0]
    if len(terms) == 2:
        (first, a), (second, b) = terms
        common = shared_stride(a, b)
        a, b = a // common, b // common
        return first * second - maximum(first - b, 0) * maximum(second - a, 0)
    check_numbers(
        "how many values an index of three or more strides takes", (number for term in terms for number in term)
    )
    counts = np.broadcast_arrays(*(array_of(count) for count, _ in terms))
    strides = [int(stride) for _, stride in terms]
    values = [_distinct([int(c) for c in own], strides) for own in zip(*(c.ravel() for c in counts), strict=True)]
    return values[0] if not counts[0].shape else cast(Count, np.array(values, np.int64).reshape(counts[0].shape))


def _along(terms: list[tuple[Count, Count]], count: Count, distance: Count) -> Count:
    """Return how many values of a factor are met again so far further on; `terms` are those of a sum, or none."""
    if not _is_spread(terms):
        return cast(Count, maximum(count - distance, 0))

    def met(values: set[int], distances: Sequence[int]) -> int:
        return len(values & {value + distances[0] for value in values})

    return _each(terms, (distance,), met)


def _from_starts(terms: list[tuple[Count, Count]], count: Count, starts: Sequence[int]) -> Count:
    """Return how many values of a factor are met from some starts on, in ascending order."""
    if not _is_spread(terms):
        return cast(Count, sum((minimum(count, b - a) for a, b in pairwise(starts)), count))

    def met(values: set[int], distances: Sequence[int]) -> int:
        return len({value + start for value in values for start in distances})

    return _each(terms, starts, met)


def _is_spread(terms: list[tuple[Count, Count]]) -> bool:
    """Tell whether a sum may leave out values between its least and its largest."""
    return any(not (isinstance(stride, int) and stride == 1) for _, stride in terms)


def _each(
    terms: list[tuple[Count, Count]], distances: Sequence[Count], met: Callable[[set[int], Sequence[int]], int]
) -> Count:
    """Look at the values of a sum and some distances, for every candidate."""
    numbers = [*(count for count, _ in terms), *(stride for _, stride in terms), *distances]
    check_numbers("how many elements several reads by an index of several strides touch", numbers)
    columns = np.broadcast_arrays(*map(np.asarray, numbers))
    n = len(terms)
    rows = (list(map(int, row)) for row in zip(*(column.ravel() for column in columns), strict=True))
    found = [met(_values(row[:n], row[n : 2 * n]), row[2 * n :]) for row in rows]
    return found[0] if not columns[0].shape else cast(Count, np.array(found, np.int64).reshape(columns[0].shape))


def _joined(terms: list[tuple[Count, Count]]) -> list[tuple[Count, Count]]:
    """Join coordinates of one stride: `a` of them and `b` of them make `a + b - 1` steps."""
    found: dict[Count, Count] = {}
    for count, stride in terms:
        found[stride] = found[stride] + count - 1 if stride in found else count
    return [(count, stride) for stride, count in found.items()]


def _distinct(counts: list[int], strides: list[int]) -> int:
    """Count the values of a sum of three or more strided coordinates one by one."""
    return len(_values(counts, strides))


def _values(counts: list[int], strides: list[int]) -> set[int]:
    if prod(counts) > _MOST_VALUES:
        what = (
            f"an index of strides {', '.join(map(str, strides))} must take at most {_MOST_VALUES} values to be counted"
        )
        raise MappingError(f"{what}, but takes {prod(counts)} here; set smaller extents")
    return {sum(c * s for c, s in zip(at, strides, strict=True)) for at in product(*map(range, counts))}
