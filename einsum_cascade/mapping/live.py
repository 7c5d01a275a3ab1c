"""How much of the work of a mapping its masks leave: iterations of loops in which some point is there.

A tile that a filter empties is left out; one that it cuts is there as a whole, as an array does it.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import combinations, product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.analysis.symbolic import is_expression, share_symbol
from einsum_cascade.mapping.counts import FIRST_LONG, is_array
from einsum_cascade.mapping.ir import Loop, Step
from einsum_cascade.mapping.masks import Constraint, Mask, bounds_of, masks_of
from einsum_cascade.mapping.nest import NestLoop, nest_of, range_sizes
from einsum_cascade.mapping.tile_footprint import TileFootprint, footprint_of
from einsum_cascade.mapping.workload import Access, Part, Workload

__all__ = ["Live", "left_of"]

_MOST_BOXES = 1 << 26
"""Boxes beside those of one range up to which they are looked at; beyond, all are taken to be there."""


_MOST_COORDINATES = 1 << 40
"""Coordinates of a range, and distances in comparisons, up to which boxes are looked at; beyond, all are taken to be
there."""

_MOST_POINTS = 1 << 20
"""Points up to which comparisons are looked at one by one where each may have a point in a box in which they have none
together; of more, such a box counts."""

_MOST_APART = 1 << 14
"""Coordinates with lengths of their own that are looked at one by one; of more, the longest counts for all."""

_SOME = 7
"""An extent like any other."""

_ROUNDING = 1e-6
"""What a share of a count of a candidate may be off by."""


class Live:
    """The shares of the loops of a mapping that its masks leave.

    Parameters
    ----------
    workload
        The tasks.
    values
        Of ranks and parameters: numbers, arrays with an entry per candidate, or expressions.
    inputs
        What filters read, by name.

    """

    def __init__(
        self, workload: Workload, values: Mapping[str, Any], inputs: Mapping[str, NDArray[Any]] | None = None
    ) -> None:
        """Take a workload; masks are worked out for the ranks of each candidate."""
        self.workload, self.values, self.inputs = workload, values, inputs
        self.kept: dict[str, Any] = {}
        self._names: dict[object, str] = {}
        self._counters: dict[object, _Counter] = {}

    def share(
        self,
        tasks: Iterable[str],
        steps: Sequence[Step],
        moved: Sequence[Access] = (),
        *,
        is_whole: bool = False,
        is_made: bool = False,
    ) -> Any:
        """Return the share of the iterations of some loops in which some of some tasks have a point.

        Parameters
        ----------
        tasks
            The tasks.
        steps
            The loops, outermost first; those in space belong to what is inside.
        moved
            Accesses that differ by constants: an iteration counts as the elements that they touch together in its tile,
            of which there are fewer where a mask cuts it. Without any, iterations count alike.
        is_whole
            Whether all elements of a tile that is there count, also where a mask cuts it.
        is_made
            Whether an iteration counts that makes an element, if only that of a reduction over nothing.

        """
        own, parts = tuple(sorted(tasks)), self.workload.parts
        mask = _mask_of(self.workload, self._masks, own, is_made=is_made)
        is_made = is_made and mask != _mask_of(self.workload, self._masks, own, is_made=False)
        if not self.workload.is_masked or frozenset[Constraint]() in mask:
            return 1
        masked = {parts[name].range for group in mask for each in group for name in each.variables}
        moved, ranges = _looking_at(moved, masked, parts)
        loops = tuple(loop for loop in _in_time(steps, parts) if parts[loop.variable].range in ranges)
        key = mask, loops, moved, is_whole, is_made
        if key not in self._names:
            self._names[key] = f"KEPT{len(self._names) + 1}"
            self.kept[self._names[key]] = self._share(own, loops, moved, is_whole=is_whole, is_made=is_made)
        return self.kept[self._names[key]]

    def points(self, task: str) -> Any:
        """Return the share of the points of a task that are there."""
        names = self.workload.task[task].variables
        return self.share((task,), tuple(Loop(name) for name in names))

    @cached_property
    def _masks(self) -> Mapping[str, Mask]:
        """Masks for some numbers, none of which decides: what they look at is the same for all."""
        some = {rank.name: _SOME for rank in self.workload.cascade.ranks}
        return masks_of(self.workload, some, self.inputs, is_settled=False)

    def _share(
        self, tasks: tuple[str, ...], loops: tuple[Loop, ...], moved: tuple[Access, ...], **options: bool
    ) -> Any:
        if any(is_expression(value) for value in self.values.values()):
            return share_symbol(f"KEPT{len(self._names)}")
        lengths = [len(value) for value in self.values.values() if is_array(value)]
        if not lengths:
            return self._counter(self.values).share(tasks, loops, moved, **options)
        shares = [
            self._counter({n: _at(v, at) for n, v in self.values.items()}).share(tasks, loops, moved, **options)
            for at in range(lengths[0])
        ]
        return np.array(shares, np.float64)

    def _counter(self, values: Mapping[str, Any]) -> "_Counter":
        key = tuple(values.items())
        if key not in self._counters:
            self._counters[key] = _Counter(self.workload, values, self.inputs or {})
        return self._counters[key]


def _at(value: Any, at: int) -> Any:
    return int(value[at]) if isinstance(value, np.ndarray) else value


def _mask_of(workload: Workload, masks: Mapping[str, Mask], tasks: Iterable[str], *, is_made: bool) -> Mask:
    """Return where some of some tasks have points, or make elements: a reduction over nothing makes one, too."""
    if not is_made:
        return frozenset(group for task in tasks for group in masks[task])
    found: set[frozenset[Constraint]] = set()
    for name in tasks:
        left = workload.task[name].write.variables
        found |= {frozenset(own for own in group if left.issuperset(own.variables)) for group in masks[name]}
    return frozenset(found)


def _looking_at(
    accesses: Sequence[Access], masked: Iterable[str], parts: Mapping[str, Part]
) -> tuple[tuple[Access, ...], frozenset[str]]:
    """Return what of accesses looks at masked ranges, of whatever tensor, and all ranges looked at.

    An index that looks at a range takes those along that it looks at too; one in which accesses differ, all others in
    which they do.
    """
    ranges = set(masked)
    indices = list(zip(*(access.indices for access in accesses), strict=True))
    differing = frozenset(at for at, own in enumerate(indices) if len(set(own)) > 1)
    looking: set[int] = set()
    while True:
        touching = {
            at for at, own in enumerate(indices) if not ranges.isdisjoint(parts[v].range for v in own[0].variables)
        }
        touching |= differing if touching & differing else frozenset()
        if touching == looking:
            break
        looking = touching
        ranges |= {parts[name].range for at in looking for name in indices[at][0].variables}
    own = (Access("", tuple(access.indices[at] for at in sorted(looking))) for access in accesses)
    return tuple(dict.fromkeys(own)), frozenset(ranges)


_AT_ONCE = 1 << 21
"""Boxes that are looked at together, as far as memory goes."""


def _in_time(steps: Sequence[Step], parts: Mapping[str, Part]) -> Iterator[Loop]:
    """Yield the loops in time whose iterations are one interval of their range: none further in than one in space."""
    spread: set[str] = set()
    for step in steps:
        if isinstance(step, Loop) and step.axis is not None:
            spread.add(parts[step.variable].range)
        elif isinstance(step, Loop) and parts[step.variable].range not in spread:
            yield step


def left_of(count: Any, share: Any) -> Any:
    """Return a share of a count: whole if both are numbers."""
    if isinstance(share, Fraction) and isinstance(count, int):
        return math.ceil(count * share)
    return np.ceil(count * share - _ROUNDING).astype(np.int64) if isinstance(share, np.ndarray) else count * share


@dataclass(frozen=True, slots=True)
class _Boxes:
    """The intervals of a range that iterations cover: from where to where, how many are there, what each counts."""

    first: NDArray[np.int64]
    last: NDArray[np.int64]
    width: NDArray[np.int64]
    weight: NDArray[np.int64]

    @property
    def widths(self) -> dict[int, int]:
        """How many intervals have a width."""
        found, counts = np.unique(self.width, return_counts=True)
        return dict(zip(found.tolist(), counts.tolist(), strict=True))


def _halves(boxes: _Boxes) -> tuple[_Boxes, _Boxes]:
    middle = len(boxes.first) // 2
    fields = boxes.first, boxes.last, boxes.width, boxes.weight
    return _Boxes(*(own[:middle] for own in fields)), _Boxes(*(own[middle:] for own in fields))


def _intervals(first: NDArray[np.int64], last: NDArray[np.int64]) -> _Boxes:
    return _Boxes(first, last, last - first + 1, np.ones_like(first))


def _only(coordinate: int) -> _Boxes:
    """Return the box of one coordinate."""
    at = np.array([coordinate], np.int64)
    return _intervals(at, at)


_POINT = _only(0)


def _whole(numbers: Any, most: int) -> NDArray[Any]:
    """Return whole numbers whose sums and products are at most a number: Python's own where NumPy's would not do."""
    return np.asarray(numbers, np.int64 if most < FIRST_LONG else object)


def _within(own: _Boxes, hull: tuple[int, int]) -> _Boxes:
    """Return boxes with as many coordinates as they have of an interval."""
    width = np.minimum(own.last, hull[1] - 1) - np.maximum(own.first, hull[0]) + 1
    return replace(own, width=np.maximum(width, 0))


def _form(axis: int, axes: int) -> list[int]:
    """Return the shape of what lies along one axis of several."""
    return [1] * axis + [-1] + [1] * (axes - axis - 1)


@dataclass(frozen=True, slots=True)
class _Points:
    """Which points are there, along the axes of some ranges."""

    ranges: tuple[str, ...]
    found: NDArray[np.bool_]

    def hull(self, name: str, fixed: Mapping[str, _Boxes]) -> tuple[int, int]:
        """Return the first coordinate of a range that has a point, and the one after the last; others may be fixed."""
        left = self.found
        for axis, other in enumerate(self.ranges):
            if other != name and other in fixed:
                left = left.take(fixed[other].first, axis)
        axes = tuple(axis for axis, other in enumerate(self.ranges) if other != name)
        met = np.flatnonzero(left.any(axes))
        return (int(met[0]), int(met[-1]) + 1) if len(met) else (0, 0)

    def weight(self, boxes: Mapping[str, _Boxes]) -> int:
        """Return what the boxes weigh that have a point."""
        left: Any = self.found
        for axis, name in enumerate(self.ranges):
            own = boxes[name]
            left = left.take(np.arange(own.first[0], own.last[-1] + 1), axis)
            left = np.logical_or.reduceat(left, own.first - own.first[0], axis)
        most = prod(int(boxes[name].weight.sum()) for name in self.ranges)
        for axis, name in enumerate(self.ranges):
            left = left * _whole(boxes[name].weight, most).reshape(_form(axis, len(self.ranges)))
        return int(left.sum())


@dataclass(frozen=True, slots=True)
class _Weight:
    """What a factor of what moves makes an iteration count: its elements, by the widths of the ranges looked at."""

    factor: TileFootprint
    mates: Mapping[str, dict[int, int]]

    def masked(self, boxes: Mapping[str, _Boxes]) -> list[str]:
        """Return the ranges looked at that a mask looks at too, that with the most widths first."""
        return sorted(self.factor.ranges & boxes.keys(), key=lambda name: (-len(boxes[name].widths), name))

    def along(self, name: str, own: _Boxes, others: Mapping[str, int]) -> _Boxes:
        """Return the boxes of a range weighted, for widths of the other masked ones."""
        found, where = np.unique(own.width, return_inverse=True)
        weights = [self._elements({**others, name: width}) if width else 0 for width in found.tolist()]
        most = max(weights, default=0) * int(own.weight.sum())
        return replace(own, weight=_whole(own.weight, most) * _whole(weights, most)[where])

    def _elements(self, widths: Mapping[str, int]) -> int:
        """Return the elements for widths of the masked ranges, added up over those of the others."""
        mates = sorted(self.factor.ranges - widths.keys())
        total = 0
        for own in product(*(self.mates[name].items() for name in mates)):
            sizes = {name: width for name, (width, _) in zip(mates, own, strict=True)}
            elements: Any = self.factor.elements({**widths, **sizes})
            total += int(elements) * prod(count for _, count in own)
        return total


def _weighted(weights: Sequence[_Weight], boxes: Mapping[str, _Boxes]) -> Iterator[dict[str, _Boxes]]:
    """Yield boxes that weigh what moves, for every width of the ranges that share a factor with another one."""
    masked = [(weight, names) for weight in weights if (names := weight.masked(boxes))]
    joined = [name for _, names in masked for name in names[1:]]
    for widths in product(*(boxes[name].widths for name in joined)):
        others = dict(zip(joined, widths, strict=True))
        own = dict(boxes)
        for name, width in others.items():
            own[name] = replace(own[name], weight=np.where(own[name].width == width, own[name].weight * bool(width), 0))
        for weight, (name, *rest) in masked:
            own[name] = weight.along(name, own[name], {other: others[other] for other in rest})
        yield own


class _Counter:
    """Counts boxes for ranks and parameters with numbers."""

    def __init__(self, workload: Workload, values: Mapping[str, Any], inputs: Mapping[str, NDArray[Any]]) -> None:
        self.workload, self.values, self.inputs = workload, values, inputs
        self.masks = masks_of(workload, values, inputs)
        self.points: dict[Mask, _Points | None] = {}
        self.sizes: dict[str, int] = {name: int(size) for name, size in range_sizes(workload, values).items()}  # pyright: ignore[reportArgumentType]

    def share(
        self,
        tasks: tuple[str, ...],
        loops: tuple[Loop, ...],
        moved: tuple[Access, ...],
        *,
        is_whole: bool,
        is_made: bool,
    ) -> Fraction:
        """Return the share of the iterations of some loops that a mask leaves, by what is moved in each."""
        mask = _mask_of(self.workload, self.masks, tasks, is_made=is_made)
        parts = self.workload.parts
        masked = sorted({parts[v].range for group in mask for own in group for v in own.variables})
        nest = nest_of(self.workload, loops, self.values)
        if frozenset[Constraint]() in mask or not self._are_few(mask, masked, nest):
            return Fraction(1)
        boxes = {name: self._boxes(name, nest) for name in masked}
        factors = footprint_of(moved[0], parts, self.values, moved[1:]).factors() if moved else ()
        looked_at = frozenset(name for factor in factors for name in factor.ranges)
        mates = {name: self._widths(name, nest) for name in looked_at.difference(masked)}
        weights = [_Weight(factor, mates) for factor in factors]
        total = sum(prod(int(own.weight.sum()) for own in each.values()) for each in _weighted(weights, boxes))
        there = [boxes]
        if not is_whole:
            there = (self._clipped(mask, own, looked_at) for own in self._apart(mask, boxes, looked_at))
        left = sum(self._live(mask, each) for own in there for each in _weighted(weights, own))
        return Fraction(left, total) if total else Fraction(1)

    def _are_few(self, mask: Mask, ranges: Sequence[str], nest: Sequence[NestLoop]) -> bool:
        """Tell whether the boxes of some ranges can be looked at: their numbers, and how far they are apart."""
        constraints = [own for group in mask for own in group]
        distances = [abs(own.constant) + sum(abs(c) for _, c in own.terms) for own in constraints]
        widths = [self._widths(name, nest) for name in ranges]
        return max([0, *distances, *(self.sizes[name] for name in ranges)]) <= _MOST_COORDINATES and all(
            sum(own.values()) <= _MOST_BOXES for own in widths
        )

    def _widths(self, name: str, nest: Sequence[NestLoop]) -> dict[int, int]:
        """Return how many boxes of a range have a width, without looking at them."""
        found = Counter({self.sizes[name]: 1})
        for tile in (int(loop.tile) for loop in nest if loop.range == name):
            cut: Counter[int] = Counter()
            for width, count in found.items():
                cut[tile] += width // tile * count
                cut[width % tile] += count
            found = Counter({width: count for width, count in cut.items() if width and count})
        return found

    def _apart(self, mask: Mask, boxes: dict[str, _Boxes], moved: frozenset[str]) -> Iterator[dict[str, _Boxes]]:
        """Yield boxes for every coordinate of the ranges that index lengths and what moves: each has its own."""
        at = {self.workload.parts[v].range for group in mask for own in group for _, _, at in own.data for v in at}
        apart = sorted(at & moved)
        sizes = [self.sizes[name] for name in apart]
        if prod(sizes) > _MOST_APART:
            apart, sizes = [], []
        for own in np.ndindex(*sizes):
            yield boxes | {name: _only(coordinate) for name, coordinate in zip(apart, own, strict=True)}

    def _clipped(self, mask: Mask, boxes: Mapping[str, _Boxes], moved: frozenset[str]) -> dict[str, _Boxes]:
        """Return boxes as wide as what is between the first and the last coordinate that has a point."""
        fixed = {name: own for name, own in boxes.items() if len(own.first) == 1 and own.first[0] == own.last[0]}
        return {
            name: _within(own, self._hull(mask, name, fixed)) if name in moved else own for name, own in boxes.items()
        }

    def _points(self, mask: Mask) -> "_Points | None":
        """Return which points a mask leaves, where boxes do not tell and there are few enough."""
        if mask not in self.points:
            self.points[mask] = self._look(mask)
        return self.points[mask]

    def _look(self, mask: Mask) -> "_Points | None":
        constraints = {own for group in mask for own in group}
        ranges = sorted({self.workload.parts[v].range for own in constraints for v in own.variables})
        if all(self._is_told(group) for group in mask) or prod(self.sizes[r] for r in ranges) > _MOST_POINTS:
            return None
        every = {name: self._each(name) for name in ranges}
        grid = {name: (every[name], _form(at, len(ranges))) for at, name in enumerate(ranges)}
        found = np.zeros([self.sizes[name] for name in ranges], np.bool_)
        for group in mask:
            own = np.ones_like(found)
            for constraint in group:
                own &= self._most(constraint, grid, "")[0] >= 0
            found |= own
        return _Points(tuple(ranges), found)

    def _is_told(self, group: frozenset[Constraint]) -> bool:
        """Tell whether a box in which each of some constraints has a point has one of all.

        So it is if they are parallel and bound their form on one side only, or leave it as many values in a row as its
        largest step: walking through the box, the form cannot pass them over.
        """
        if len(group) < 2:
            return True
        if any(own.data for own in group) or len({own.form for own in group}) > 1:
            return False
        least, most = bounds_of(group)
        if least is None or most is None:
            return True
        form = Constraint(0, next(iter(group)).form)
        slopes = [self._slope(form, self.workload.parts[name].range) for name in form.variables]
        return all(slope is not None and abs(slope) <= most - least + 1 for slope in slopes)

    def _each(self, name: str) -> _Boxes:
        at = np.arange(self.sizes[name])
        return _intervals(at, at)

    def _hull(self, mask: Mask, name: str, fixed: Mapping[str, _Boxes]) -> tuple[int, int]:
        """Return the first coordinate of a range that has a point, and the one after the last; others may be fixed."""
        if (points := self._points(mask)) is not None:
            return points.hull(name, fixed)
        ranges = {self.workload.parts[v].range for group in mask for own in group for v in own.variables}
        every = {other: fixed.get(other) or self._boxes(other, ()) for other in ranges}
        every[name] = self._each(name)
        spans: list[tuple[int, int]] = []
        for group in mask:
            if any(self._slope(own, name) is None for own in group):
                return 0, self.sizes[name]
            low, high, _, _ = self._spans(group, every, name, [other for other in every if other != name])
            if (high > low).any():
                spans.append((int(low[high > low].min()), int(high.max())))
        return min((low for low, _ in spans), default=0), max((high for _, high in spans), default=0)

    def _boxes(self, name: str, nest: Sequence[NestLoop]) -> _Boxes:
        first, last = np.zeros(1, np.int64), np.full(1, self.sizes[name] - 1, np.int64)
        for loop in nest:
            if loop.range == name:
                tile = int(loop.tile)  # pyright: ignore[reportArgumentType]
                count = (last - first) // tile + 1
                start = np.repeat(first, count)
                within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
                first = start + within * tile
                last = np.minimum(first + tile - 1, np.repeat(last, count))
        return _intervals(first, last)

    def _live(self, mask: Mask, boxes: Mapping[str, _Boxes]) -> int:
        """Return what all boxes weigh that some set of constraints leaves something of."""
        if (points := self._points(mask)) is not None:
            return points.weight(boxes)
        groups, total = list(mask), 0
        for size in range(1, len(groups) + 1):
            for chosen in combinations(groups, size):
                total += (-1) ** (size + 1) * self._weight(frozenset[Constraint]().union(*chosen), boxes)
        return total

    def _weight(self, constraints: frozenset[Constraint], boxes: Mapping[str, _Boxes]) -> int:
        inner = self._inner(constraints, boxes)
        outer = [name for name in boxes if name != inner]
        shape = [len(boxes[name].first) for name in outer]
        if prod(shape) > _MOST_BOXES:
            return prod(int(own.weight.sum()) for own in boxes.values())
        if prod(shape) > _AT_ONCE:
            largest = max(outer, key=lambda name: len(boxes[name].first))
            return sum(self._weight(constraints, {**boxes, largest: half}) for half in _halves(boxes[largest]))
        low, high, grid, own = self._spans(constraints, boxes, inner, outer)
        most = prod(int(each.weight.sum()) for each in (own, *(each for each, _ in grid.values())))
        sums = np.concatenate([_whole([0], most), np.cumsum(_whole(own.weight, most))])
        weights = _whole(np.ones(shape, np.int64), most)
        for each, form in grid.values():
            weights = weights * _whole(each.weight, most).reshape(form)
        return int((weights * np.maximum(sums[np.maximum(high, low)] - sums[low], 0)).sum())

    def _spans(
        self, constraints: frozenset[Constraint], boxes: Mapping[str, _Boxes], inner: str, outer: Sequence[str]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], dict[str, tuple[_Boxes, list[int]]], _Boxes]:
        """Return for boxes of all other ranges from which to before which box of one range all constraints hold."""
        shape = [len(boxes[name].first) for name in outer]
        grid = {name: (boxes[name], _form(at, len(outer))) for at, name in enumerate(outer)}
        own = boxes.get(inner, _POINT)
        low, high = np.zeros(shape, np.int64), np.full(shape, len(own.first), np.int64)
        for constraint in constraints:
            rest, slope = self._most(constraint, grid, inner)
            if slope > 0:  # slope * last + rest >= 0
                low = np.maximum(low, np.searchsorted(own.last, -(rest // slope), side="left"))
            elif slope < 0:
                high = np.minimum(high, np.searchsorted(own.first, rest // -slope, side="right"))
            else:
                high = np.where(rest >= 0, high, 0)
        return low, high, grid, own

    def _inner(self, constraints: frozenset[Constraint], boxes: Mapping[str, _Boxes]) -> str:
        """Return the range with the most boxes among those along which every constraint is a slope; "" if none is."""
        sloped = [name for name in boxes if all(self._slope(own, name) is not None for own in constraints)]
        return max(sloped, key=lambda name: len(boxes[name].first), default="")

    def _slope(self, constraint: Constraint, name: str) -> int | None:
        """Return the slope of a constraint along a range; None if it is none, or if data depend on the range."""
        parts = self.workload.parts
        if any(parts[v].range == name for _, _, at in constraint.data for v in at):
            return None
        terms = [(parts[v], c) for v, c in constraint.terms if parts[v].range == name]
        if not terms:
            return 0
        whole = [v for v, part in parts.items() if part.range == name]
        used = {v for v, _ in constraint.terms if parts[v].range == name}
        slopes = {Fraction(c, part.unit.evaluate(self.values)) for part, c in terms}
        if len(slopes) == 1 and used == set(whole) and (slope := slopes.pop()).denominator == 1:
            return int(slope)
        return None

    def _most(
        self, constraint: Constraint, grid: Mapping[str, tuple[_Boxes, list[int]]], inner: str
    ) -> tuple[NDArray[np.int64], int]:
        """Return the most that a constraint's sum can be in a box, beside its slope along the inner range."""
        total: Any = np.int64(constraint.constant)
        for name, (own, form) in grid.items():
            total = total + self._most_along(constraint, name, own).reshape(form)
        for coefficient, tensor, at in constraint.data:
            total = total + self._data(coefficient, tensor, at, grid)
        slope = self._slope(constraint, inner) if inner else 0
        assert slope is not None, constraint
        return np.asarray(total, np.int64), slope

    def _most_along(self, constraint: Constraint, name: str, own: _Boxes) -> NDArray[np.int64]:
        slope = self._slope(constraint, name)
        if slope is not None:
            return slope * (own.last if slope > 0 else own.first)
        total = np.zeros_like(own.first)
        for variable, coefficient in constraint.terms:
            part = self.workload.parts[variable]
            if part.range == name:
                unit, limit = part.unit.evaluate(self.values), part.limit.evaluate(self.values)
                low, high = own.first // unit, own.last // unit
                is_one = low // limit == high // limit
                least, most = np.where(is_one, low % limit, 0), np.where(is_one, high % limit, limit - 1)
                total = total + coefficient * (most if coefficient > 0 else least)
        return total

    def _data(
        self, coefficient: int, tensor: str, at: Sequence[str], grid: Mapping[str, tuple[_Boxes, list[int]]]
    ) -> Any:
        """Return the most that an input's elements are in a box, times a coefficient."""
        found = coefficient * np.asarray(self.inputs[tensor], np.int64)
        boxes = [grid[self.workload.parts[variable].range] for variable in at]
        for axis, (own, _) in enumerate(boxes):
            found = np.stack(
                [found.take(range(a, b + 1), axis).max(axis) for a, b in zip(own.first, own.last, strict=True)], axis
            )
        index = np.ix_(*(range(len(own.first)) for own, _ in boxes))
        order = np.argsort([form.index(-1) for _, form in boxes])
        shape = [1] * len(boxes[0][1])
        for own, form in boxes:
            shape[form.index(-1)] = len(own.first)
        return found[index].transpose(order).reshape(shape)
