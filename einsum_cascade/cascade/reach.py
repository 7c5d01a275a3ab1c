"""Which coordinates the indices of a cascade reach, with numbers for all extents."""

from collections.abc import Iterator, Mapping

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.ir import Cascade, Einsum, Read
from einsum_cascade.cascade.partition import partition_of

__all__ = ["accesses", "coordinate_counts", "is_partition"]


def accesses(cascade: Cascade, einsum: Einsum) -> Iterator[tuple[Einsum | Read, int, Affine]]:
    """Yield every index that must stay inside its tensor, with its axis: of all reads, then of a declared left side."""
    written = (einsum,) if cascade.tensor[einsum.tensor].is_declared else ()
    for access in (*einsum.all_reads, *written):
        for axis, index in enumerate(access.indices):
            yield access, axis, index


def coordinate_counts(cascade: Cascade, einsum: Einsum, extents: Mapping[str, int]) -> dict[str, int]:
    """Return over how many coordinates each rank variable of an Einsum runs; a recurrence ends where its steps do."""
    counts = {name: extents[cascade.rank_of[name]] for name in einsum.variables}
    axis = cascade.tensor[einsum.tensor].generation_axis
    if axis is not None and not einsum.is_init:
        index = einsum.indices[axis]
        name = index.variables[0]
        counts[name] = max(0, counts[name] + 1 - index.offset.evaluate(extents))
    return counts


def is_partition(cascade: Cascade, index: Affine, extents: Mapping[str, int]) -> bool:
    """Tell whether an index counts through tiles (`m1*M0 + m0`), so that what lies past its tensor is a tail.

    The checker's rule decides, and the numbers have to agree: with `rank M0 = 4` the index `m1*4 + m0` is one, but not
    after M0 is set to 8.
    """
    names = partition_of(index, cascade.rank_of, cascade.rank)
    if names is None:
        return False
    stride = 1
    for name in reversed(names):
        if index.coefficient(name).evaluate(extents) != stride:
            return False
        stride *= extents[cascade.rank_of[name]]
    return True
