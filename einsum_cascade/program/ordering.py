"""What a mapping says of the order of an array's work: whether its loops are those of the array, and what stays."""

from collections.abc import Iterator, Mapping

from einsum_cascade.errors import IllegalMappingError
from einsum_cascade.mapping import ir
from einsum_cascade.mapping.ir import Keep, Loop, paths
from einsum_cascade.program.kernel import MATRIX, VECTOR
from einsum_cascade.program.recognition import ArrayWork
from einsum_cascade.program.shape import ArrayShape

__all__ = ["keeps_keys"]


def keeps_keys(work: ArrayWork, mapping: ir.Mapping, values: Mapping[str, int], shape: ArrayShape) -> bool:
    """Tell whether a mapping keeps keys and values in the buffer for all queries of a head.

    Parameters
    ----------
    work
        What the array does.
    mapping
        The mapping.
    values
        Of ranks and parameters.
    shape
        The array.

    Raises
    ------
    IllegalMappingError
        The array's sequencer has other loops: heads, tiles of queries as wide as the array, tiles of keys as high.

    """
    parts, product = work.workload.parts, work.scores.tensor
    (path,) = (path for path, leaf in paths(mapping.root) if leaf.task == product)
    loops = [(at, step) for at, step in enumerate(path) if isinstance(step, Loop) and step.axis is None]
    ranges = [(at, parts[step.variable].range, step.tile.evaluate(values)) for at, step in loops]
    order = [(name, tile) for _, name, tile in ranges if name in (work.rows, work.columns)]
    units = [part.unit.evaluate(values) for part in parts.values() if part.range == work.rows]
    unit = next((unit for unit in units if unit > 1), 1)
    wanted = [(work.columns, shape.columns), (work.rows, shape.rows // unit)]
    if order != wanted:
        text = ", then ".join(f"{name} by {tile}" for name, tile in order) or "none"
        must = ", then ".join(f"{name} by {tile}" for name, tile in wanted)
        raise IllegalMappingError([f"the loops around {product!r} must be {must} for the array, not {text}"])
    queries = next(at for at, name, _ in ranges if name == work.columns)
    kept = [*_kept(path, work)]
    if not kept:
        raise IllegalMappingError([f"the mapping must keep {work.key.tensor!r} in the buffer for the array"])
    return max(kept) < queries


def _kept(path: tuple[ir.Step, ...], work: ArrayWork) -> Iterator[int]:
    """Yield where on a path keys come to be kept in a memory."""
    for at, step in enumerate(path):
        if isinstance(step, Keep) and work.key.tensor in step.tensors and step.level not in (MATRIX, VECTOR):
            yield at
