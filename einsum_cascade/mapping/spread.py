"""How the tiles of a tensor are spread over the instances of a memory: scratchpads beside groups of PEs.

PEs are counted with the outermost loop in space first, and an instance serves as many of them as another one, one after
the other: which PEs it serves is the same for all tensors. It has what any of its PEs uses.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from einsum_cascade.analysis.symbolic import is_expression
from einsum_cascade.errors import MappingError
from einsum_cascade.mapping.counts import Count, ceil_div, check_numbers, minimum
from einsum_cascade.mapping.ir import Loop, Step
from einsum_cascade.mapping.nest import Nests

__all__ = ["copies_apart", "instances_used", "part_of"]

_MOST_PES = 1 << 24


def instances_used(instances: int, pes: Count) -> Count:
    """Return how many instances PEs are spread over that run side by side."""
    if instances == 1:
        return 1
    return ceil_div(pes, ceil_div(pes, minimum(pes, instances)))


def copies_apart(nests: Nests, instances: int, inside: Sequence[Step], indexed: frozenset[str]) -> Any:
    """Return in how many instances an element of a tile is that is kept above some loops, on average.

    Parameters
    ----------
    nests
        Counts iterations.
    instances
        How many there are, beside those that loops in space around the tile take.
    inside
        The loops below.
    indexed
        The variables that index the tensor.

    """
    if instances == 1:
        return 1
    pes = nests.pes(inside)
    if is_expression(pes) and len(loops := _spatial(inside)) == 1:
        return 1 if loops[0].variable in indexed else instances_used(instances, pes)
    return _each(nests, inside, indexed, lambda trips, flags: _groups(instances, trips, flags)[1])


def part_of(nests: Nests, instances: int, inside: Sequence[Step], indexed: frozenset[str], amount: Any) -> Any:
    """Return what the fullest instance has of a tile: the coordinates that loops in space deal out to its PEs.

    Parameters
    ----------
    nests, instances, inside, indexed
        As for `copies_apart`.
    amount
        What the whole tile takes.

    """
    if instances == 1:
        return amount
    most = _each(nests, inside, indexed, lambda trips, flags: _groups(instances, trips, flags)[0])
    return -(-(amount * most) // 1)


def _spatial(inside: Sequence[Step]) -> list[Loop]:
    return [step for step in inside if isinstance(step, Loop) and step.axis is not None]


def _each(
    nests: Nests,
    inside: Sequence[Step],
    indexed: frozenset[str],
    found: Callable[[tuple[int, ...], tuple[bool, ...]], Fraction],
) -> Any:
    """Look at the iterations of the loops in space, for every candidate."""
    spatial = _spatial(inside)
    flags = tuple(loop.variable in indexed for loop in spatial)
    pes = [1, *(nests.pes(inside[: at + 1]) for at, step in enumerate(inside) if step in spatial)]
    check_numbers("how the tiles of a tensor are spread over the instances of a memory", pes)
    columns = np.broadcast_arrays(*map(np.asarray, pes))
    rows = [list(map(int, row)) for row in zip(*(column.ravel() for column in columns), strict=True)]
    values = [found(tuple(-(-b // a) for a, b in pairwise(row)), flags) for row in rows]
    return values[0] if not columns[0].shape else np.array([float(value) for value in values])


@cache
def _groups(instances: int, trips: tuple[int, ...], flags: tuple[bool, ...]) -> tuple[Fraction, Fraction]:
    """Return the largest share of a tile that an instance has, and the shares of all together."""
    pes = prod(trips)
    if pes > _MOST_PES:
        what = f"tiles must be spread over at most {_MOST_PES} PEs to be told apart"
        raise MappingError(f"{what}, but the loops in space have {pes} iterations; give them larger tiles")
    each = -(-pes // min(instances, pes))
    at = np.unravel_index(np.arange(pes), trips) if trips else ()
    used = np.zeros(pes, np.int64)
    dealt = 1
    for own, trip, flag in zip(at, trips, flags, strict=True):
        if flag:
            used, dealt = used * trip + own, dealt * trip
    met = np.unique(np.arange(pes) // each * dealt + used) // dealt
    return Fraction(int(np.bincount(met).max()), dealt), Fraction(len(met), dealt)
