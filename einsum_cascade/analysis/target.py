"""What a pass count is asked about: a tensor and one of its ranks, whole or composite."""

from collections.abc import Iterator
from dataclasses import dataclass

from einsum_cascade.analysis.positions import Order, position_of
from einsum_cascade.cascade.ir import Cascade, Einsum, Read, Tensor

__all__ = ["Target", "partitions", "targets", "via_of"]


@dataclass(frozen=True, slots=True)
class Target:
    """A tensor and a rank that it carries.

    Parameters
    ----------
    tensor
        Its name.
    rank
        The declared rank; for a composite the rank that it partitions.
    axes
        The dimensions that carry it, the outermost sub-rank first: one, or several for a composite.

    """

    tensor: str
    rank: str
    axes: tuple[int, ...]


def partitions(cascade: Cascade) -> dict[tuple[str, ...], str]:
    """Return the composites of a cascade: sub-ranks, outermost first, and the rank that they partition."""
    found: dict[tuple[str, ...], str] = {}
    for einsum in cascade.einsums:
        accesses = [Read(einsum.tensor, einsum.indices), *einsum.reads]
        for access in accesses:
            for index, dimension in zip(access.indices, cascade.tensor[access.tensor].dimensions, strict=True):
                position = position_of(cascade, index, dimension.rank)
                if position.order is Order.TILES:
                    ranks = tuple(cascade.rank_of[name] for name in position.variables)
                    found.setdefault(ranks, dimension.rank)
    return found


def targets(cascade: Cascade) -> Iterator[Target]:
    """Yield every tensor with every rank that it carries, composites after their outermost part."""
    composites = partitions(cascade)
    for tensor in cascade.tensors:
        for axis, dimension in enumerate(tensor.dimensions):
            for ranks, whole in composites.items():
                axes = _axes(tensor, ranks)
                if axes and axes[0] == axis:
                    yield Target(tensor.name, whole, axes)
            yield Target(tensor.name, dimension.rank, (axis,))


def _axes(tensor: Tensor, ranks: tuple[str, ...]) -> tuple[int, ...] | None:
    own = [dimension.rank for dimension in tensor.dimensions]
    return tuple(own.index(rank) for rank in ranks) if set(ranks) <= set(own) else None


def via_of(cascade: Cascade, target: Target, read: Read) -> tuple[str, ...]:
    """Return the rank variables by which a read goes along the target's rank; none for a constant."""
    dimensions = cascade.tensor[target.tensor].dimensions
    positions = (position_of(cascade, read.indices[axis], dimensions[axis].rank) for axis in target.axes)
    return tuple(dict.fromkeys(name for position in positions for name in position.variables))


def reads_of_target(target: Target, einsum: Einsum) -> Iterator[Read]:
    """Yield the reads of the target's tensor."""
    return (read for read in einsum.all_reads if read.tensor == target.tensor)
