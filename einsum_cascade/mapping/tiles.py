"""How many elements of a tensor a level holds while the Einsums below it run.

A tensor that is read in several ways is held as far as they reach together: shifted reads share their tile, reads by
other variables have one of their own. Of an iterative tensor only the newest generations are held, if nobody asks for
others.
"""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from math import prod
from typing import Any, cast

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.extent import Extent, symbol
from einsum_cascade.mapping.footprint import Count, footprint_of
from einsum_cascade.mapping.workload import Access, Task, Workload

__all__ = ["held_elements", "whole_elements"]


def held_elements(
    workload: Workload, tensor: str, tasks: Iterable[Task], sizes: Mapping[str, Count], extents: Mapping[str, int]
) -> int:
    """Return the elements of a tensor that some tasks touch, where every range covers so many coordinates.

    Parameters
    ----------
    workload, tensor, tasks
        The tensor, and who reads or writes it.
    sizes
        Coordinates that each range covers.
    extents
        Of all ranks.

    """
    accesses = (access for task in tasks for access in (*task.reads, task.write) if access.tensor == tensor)
    generations = _generations(workload, tensor)
    axis = workload.cascade.tensor[tensor].generation_axis
    ways: dict[tuple[object, ...], list[Access]] = {}
    for access in accesses:
        indices = access.indices
        if generations is not None and axis is not None:
            indices = (*indices[:axis], *indices[axis + 1 :])
        ways.setdefault(tuple(index.terms for index in indices), []).append(Access(tensor, indices))
    total = sum(_reached(workload, own, sizes, extents) for own in ways.values()) * (generations or 1)
    return min(total, whole_elements(workload, tensor, extents))


def whole_elements(workload: Workload, tensor: str, extents: Mapping[str, int]) -> int:
    """Return the elements of a whole tensor."""
    return prod(dimension.extent.evaluate(extents) for dimension in workload.cascade.tensor[tensor].dimensions)


def _reached(workload: Workload, accesses: list[Access], sizes: Mapping[str, Count], extents: Mapping[str, int]) -> int:
    """Return the elements that reads reach together, which differ by constants only."""
    total = _elements(workload, accesses[0].indices, sizes, extents)
    for own in zip(*(access.indices for access in accesses), strict=True):
        offsets = sorted({index.offset.evaluate(extents) for index in own})
        if len(offsets) > 1:
            count = _elements(workload, (own[0],), sizes, extents)
            apart = sum(min(count, after - before) for before, after in pairwise(offsets))
            total = total // count * (count + apart)
    return total


def _elements(
    workload: Workload, indices: tuple[Affine, ...], sizes: Mapping[str, Count], extents: Mapping[str, int]
) -> int:
    return int(cast(Any, footprint_of(Access("", indices), workload.parts, extents).elements(sizes)))


def _generations(workload: Workload, tensor: str) -> int | None:
    """Return how many generations of an iterative tensor must be held; None if that is all of them, or it has none."""
    cascade = workload.cascade
    axis, step = cascade.tensor[tensor].generation_axis, cascade.step(tensor)
    if axis is None or step is None or tensor in cascade.outputs:
        return None
    last = symbol(cascade.tensor[tensor].dimensions[axis].rank)
    stepped = {task.write.indices[axis].stepped for task in workload.writers[tensor]}
    for task in workload.readers[tensor]:
        for access in task.reads:
            if access.tensor == tensor and not _is_recent(access.indices[axis], stepped, step, last):
                return None
    return step


def _is_recent(index: Affine, stepped: set[str | None], step: int, last: Extent) -> bool:
    """Tell whether a read is of a generation that is held anyway: near the newest one, or the last."""
    offset = index.offset.value
    if index.terms:
        return index.stepped in stepped and offset is not None and 0 <= offset <= step
    return index.offset == last
