"""Sets of fibers, described relative to the coordinates of whatever depends on them.

A tensor with other ranks than the one traversed has many fibers, one per coordinate of those ranks. Which of them an
element depends on is a box: per other rank all of them, or an interval of offsets from one coordinate, or a constant.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from einsum_cascade.cascade.extent import Extent, constant

__all__ = ["Box", "Side", "constant_side", "covers", "hull", "is_constant", "meet", "merged", "renamed", "union"]

_WIDEST = 3


@dataclass(frozen=True, slots=True)
class Side:
    """Fiber coordinates `reference + low` to `reference + high`.

    Parameters
    ----------
    reference
        A rank variable of an Einsum, the number of a tensor's dimension, or "=" and an extent for constants.
    low, high
        Offsets, infinite where unbounded.

    """

    reference: str | int
    low: float
    high: float

    def shifted(self, offset: int, reference: str | int) -> "Side":
        """Return the same coordinates seen from `reference`, which is the old one minus `offset`."""
        return Side(reference, self.low + offset, self.high + offset)


def constant_side(value: Extent) -> Side:
    """Return the side that is one constant coordinate."""
    number = dict(value.terms).get((), 0)
    return Side(f"={value - constant(number)}", number, number)


def is_constant(side: Side) -> bool:
    """Tell whether a side refers to no variable and no dimension."""
    return isinstance(side.reference, str) and side.reference.startswith("=")


type Box = tuple[Side | None, ...]


def meet(first: Box, second: Box) -> Box | None:
    """Return the fibers in both boxes, None if there are none.

    Where the boxes refer to different coordinates, those may coincide: the first one's is kept.
    """
    sides: list[Side | None] = []
    for a, b in zip(first, second, strict=True):
        if a is None or b is None:
            sides.append(a or b)
        elif a.reference != b.reference:
            sides.append(a)
        elif max(a.low, b.low) <= min(a.high, b.high):
            sides.append(Side(a.reference, max(a.low, b.low), min(a.high, b.high)))
        else:
            return None
    return tuple(sides)


def covers(first: Box, second: Box) -> bool:
    """Tell whether the first box contains the second one."""
    return all(
        a is None or (b is not None and a.reference == b.reference and a.low <= b.low and b.high <= a.high)
        for a, b in zip(first, second, strict=True)
    )


def hull(first: Box, second: Box) -> Box | None:
    """Join two boxes that differ in one side by adjoining intervals; None if they do not.

    An interval that reaches far is taken to be unbounded, so that a recurrence settles.
    """
    different = [at for at, (a, b) in enumerate(zip(first, second, strict=True)) if a != b]
    if len(different) != 1:
        return None
    a, b = first[different[0]], second[different[0]]
    if a is None or b is None or a.reference != b.reference or max(a.low, b.low) > min(a.high, b.high) + 1:
        return None
    low, high = min(a.low, b.low), max(a.high, b.high)
    side = Side(
        a.reference, -math.inf if high - low >= _WIDEST and low < 0 else low, math.inf if low > _WIDEST else high
    )
    return tuple(side if at == different[0] else own for at, own in enumerate(first))


def union(first: Box, second: Box) -> Box | None:
    """Return the box of the fibers in either, None if they make none (see `hull`)."""
    if covers(first, second):
        return first
    return second if covers(second, first) else hull(first, second)


def merged(boxes: Iterable[Box]) -> tuple[Box, ...]:
    """Join boxes as long as any two make one."""
    kept: list[Box] = []
    for box in boxes:
        _merge(kept, box)
    return tuple(sorted(kept, key=repr)) if len(kept) > 1 else tuple(kept)


def _merge(kept: list[Box], box: Box) -> None:
    for at, other in enumerate(kept):
        whole = union(other, box)
        if whole is not None:
            del kept[at]
            _merge(kept, whole)
            return
    kept.append(box)


def renamed(box: Box, rename: Callable[[Side], Side | None]) -> Box:
    """Express a box relative to other coordinates; a side whose coordinate is gone covers everything."""
    return tuple([None if side is None else rename(side) for side in box])
