"""Accesses that differ by constants only: how far apart their elements are, and how many they touch together.

`X[h]` and `X[h + H]` touch two tiles that are H apart. What they share is counted once, whatever their number.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from itertools import combinations
from math import prod
from typing import Any, cast

import numpy as np

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.mapping.counts import Count, evaluated, is_same, maximum, minimum
from einsum_cascade.mapping.workload import Access, Part

__all__ = ["Shift", "is_nothing", "shifts_of", "united"]

type Shift = tuple[Count, ...]
"""By factor of a footprint: how many of its elements an access is behind another one."""

_MOST = 10
"""Accesses up to which what they share is counted exactly if they are apart in several factors."""


def shifts_of(
    accesses: Sequence[Access], factors: Sequence[frozenset[str]], parts: Mapping[str, Part], extents: Mapping[str, Any]
) -> tuple[tuple[Shift, ...], ...]:
    """Return groups of accesses that may meet, each access by how far it is from the first of its group.

    Parameters
    ----------
    accesses
        By the same variables with the same strides.
    factors
        The variables of each factor of their footprint.
    parts, extents
        What range each variable belongs to, and the extents of all ranks.

    """
    groups: list[tuple[Access, list[Shift]]] = []
    for access in dict.fromkeys(accesses):
        for first, shifts in groups:
            found = _shift(first, access, factors, parts, extents)
            if found is not None:
                shifts.append(found)
                break
        else:
            groups.append((access, [(0,) * len(factors)]))
    return tuple(tuple(shifts) for _, shifts in groups)


def _shift(
    first: Access,
    other: Access,
    factors: Sequence[frozenset[str]],
    parts: Mapping[str, Part],
    extents: Mapping[str, Any],
) -> Shift | None:
    """Return how far an access is from another one; None if they have no element in common."""
    found: dict[int, Any] = {}
    pairs = sorted(zip(first.indices, other.indices, strict=True), key=lambda pair: len(pair[0].variables))
    for index, moved in pairs:
        distance: Any = evaluated(moved.offset - index.offset, extents)
        open_: list[int] = []
        for at in [at for at, names in enumerate(factors) if not names.isdisjoint(index.variables)]:
            if at in found:
                distance = distance - found[at] * _stride(index, factors[at], parts, extents)
            else:
                open_.append(at)
        if not open_ or not all(factors[at] <= set(index.variables) for at in open_):
            if not _is_zero(distance):
                return None
            found |= dict.fromkeys(open_, 0)
        else:
            stride = _stride(index, factors[open_[0]], parts, extents)
            steps = _divided(distance, stride)
            if steps is None:
                return None
            found |= {open_[0]: steps, **dict.fromkeys(open_[1:], 0)}
    return tuple(found.get(at, 0) for at in range(len(factors)))


def _stride(index: Affine, names: frozenset[str], parts: Mapping[str, Part], extents: Mapping[str, Any]) -> Any:
    """Return the distance of neighbours of a factor in an index: of a sum of variables 1, of parts the inner one's."""
    own = [name for name in index.variables if name in names]
    if len({parts[name].range for name in own}) > 1:
        return 1
    inner = min(own, key=lambda name: len(parts[name].unit.names))
    return evaluated(index.coefficient(inner), extents)


def _is_zero(distance: Any) -> bool:
    return is_same(distance, 0, "the distance of two reads and 0")


def _divided(distance: Any, stride: Any) -> Any:
    """Return how many strides a distance is; None if it is no whole number of them."""
    if isinstance(stride, int) and abs(stride) == 1:
        return distance * stride
    if isinstance(distance, int) and isinstance(stride, int):
        steps, rest = divmod(distance, stride)
        return None if rest else steps
    return 0 if _is_zero(distance) else None


def united(
    counts: Sequence[Any],
    group: Sequence[Shift],
    shared: Callable[[int, Count], Count],
    along: Callable[[int, Sequence[int]], Count],
) -> Count:
    """Return how many elements the accesses of a group touch together.

    Parameters
    ----------
    counts
        Elements of one access, by factor.
    group
        How far each access is from the first.
    shared
        How many values of a factor are met again so many further on.
    along
        How many values of a factor are met from some starts on.

    """
    apart = [at for at in range(len(counts)) if any(not is_nothing(shift[at]) for shift in group)]
    rest: Any = prod(count for at, count in enumerate(counts) if at not in apart)
    is_known = all(isinstance(shift[at], int) for shift in group for at in apart)
    if is_known and (len(apart) == 1 or len(group) > _MOST):
        # Of several factors an upper bound: as if every distance in one came with every distance in another.
        return rest * prod(along(at, sorted({cast(int, shift[at]) for shift in group})) for at in apart)
    if len(group) > _MOST:
        return rest * prod(counts[at] for at in apart) * len(group)
    return rest * _joint(counts, group, apart, shared) if apart else rest


def _joint(
    counts: Sequence[Any], group: Sequence[Shift], apart: Sequence[int], shared: Callable[[int, Count], Count]
) -> Any:
    """Count what is in some access, by what is in all of each set of them."""
    total: Any = 0
    for size in range(1, len(group) + 1):
        for chosen in combinations(group, size):
            common: Any = 1
            for at in apart:
                own = [shift[at] for shift in chosen]
                width: Any = reduce(maximum, own) - reduce(minimum, own)
                common = common * (counts[at] if size == 1 else shared(at, width))
            total = total + common * (-1) ** (size + 1)
    return total


def is_nothing(shift: Count) -> bool:
    """Tell whether accesses are at the same place, whatever the candidate."""
    return not isinstance(shift, np.ndarray) and bool(shift == 0)
