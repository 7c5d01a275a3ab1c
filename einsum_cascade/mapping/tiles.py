"""How many elements of a tensor a level holds while the Einsums below it run.

A tensor that is read in several ways is held as far as they reach together: shifted reads share their tile, reads by
other variables have one of their own. Of an iterative tensor only the newest generations are held, if nobody asks for
others.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from einsum_cascade.cascade.affine import Affine, affine_constant, affine_variable
from einsum_cascade.cascade.extent import Extent, symbol
from einsum_cascade.mapping.tile_footprint import footprint_of
from einsum_cascade.mapping.workload import Access, Task, Workload

__all__ = ["Piece", "held_elements", "whole_elements"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an iteration space.

    Parameters
    ----------
    workload
        Whose it is.
    extents
        Of all ranks.
    sizes
        Coordinates that each range covers.
    scattered
        The ranges of which it covers coordinates that are not next to one another. Where an index adds one of their
        variables to another variable, and where reads differ by constants, no element is taken to be reached twice:
        this is an upper bound.

    """

    workload: Workload
    extents: Mapping[str, int]
    sizes: Mapping[str, int]
    scattered: frozenset[str] = frozenset()

    def reached(self, ways: Sequence[tuple[Affine, ...]]) -> int:
        """Return the elements at indices that differ by constants only, together."""
        ranges = {self.workload.parts[name].range for index in ways[0] for name in index.variables}
        if len(ways) > 1 and ranges & self.scattered:
            return sum(self.reached((way,)) for way in ways)
        first, *others = [Access("", tuple(own for index in way for own in self._apart(index))) for way in ways]
        footprint = footprint_of(first, self.workload.parts, self.extents, others)
        return int(footprint.elements(self.sizes))

    def _apart(self, index: Affine) -> tuple[Affine, ...]:
        ranges = {self.workload.parts[name].range for name in index.variables}
        if len(ranges) > 1 and ranges & self.scattered:
            return (*map(affine_variable, index.variables), affine_constant(index.offset))
        return (index,)


def held_elements(piece: Piece, tensor: str, tasks: Iterable[Task], *, are_all_asked: bool = False) -> int:
    """Return the elements of a tensor that some tasks touch in a piece of the iteration space.

    Parameters
    ----------
    piece
        The piece.
    tensor
        The tensor; of an iterative one, the newest generations are held.
    tasks
        Who touches it.
    are_all_asked
        Whether all generations of the piece are held, because somebody asks for them when later ones are there.

    """
    workload = piece.workload
    generations = None if are_all_asked else _generations(workload, tensor)
    axis = workload.cascade.tensor[tensor].generation_axis
    ways: dict[tuple[object, ...], list[tuple[Affine, ...]]] = {}
    for indices in (a.indices for task in tasks for a in (*task.reads, task.write) if a.tensor == tensor):
        if generations is not None and axis is not None:
            indices = (*indices[:axis], *indices[axis + 1 :])
        ways.setdefault(tuple(index.terms for index in indices), []).append(indices)
    groups = list(ways.values())
    if generations is not None:
        return generations * sum(map(piece.reached, groups))
    dimensions = [dimension.extent.evaluate(piece.extents) for dimension in workload.cascade.tensor[tensor].dimensions]
    apart = [
        own
        for own in groups
        if not any(_contains(piece, other, own, dimensions) for other in groups if other is not own)
    ]
    return min(prod(dimensions), sum(map(piece.reached, apart)))


def whole_elements(workload: Workload, tensor: str, extents: Mapping[str, int]) -> int:
    """Return the elements of a whole tensor."""
    return prod(dimension.extent.evaluate(extents) for dimension in workload.cascade.tensor[tensor].dimensions)


def _contains(
    piece: Piece, ways: list[tuple[Affine, ...]], others: list[tuple[Affine, ...]], dimensions: list[int]
) -> bool:
    """Tell whether some reads reach whole dimensions where others are at constants, and are alike elsewhere."""
    for axis, dimension in enumerate(dimensions):
        terms, fixed = ways[0][axis].terms, others[0][axis].terms
        if terms != fixed and (fixed or piece.reached([(indices[axis],) for indices in ways]) < dimension):
            return False
    return True


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
