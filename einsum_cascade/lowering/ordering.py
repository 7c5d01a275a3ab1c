"""What a mapping says of the order of an array's work: whether its loops are those of the array, and what stays.

The loops around scores are tiles of queries, then tiles of keys; around them there may be one over blocks of keys.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.errors import Diagnostic, IllegalMappingError, Span
from einsum_cascade.lowering.lowered import sizes_of
from einsum_cascade.mapping import ir
from einsum_cascade.mapping.ir import Keep, Loop, paths
from einsum_cascade.recognition.works import ArrayWork

__all__ = ["kept_tiles_of"]


@dataclass(frozen=True, slots=True)
class _Loop:
    """A loop over rows or columns of the scores: where it is on the path to them, and its tile."""

    at: int
    range: str
    tile: int


def kept_tiles_of(
    work: ArrayWork, mapping: ir.Mapping, values: Mapping[str, int], shape: ArrayShape, memories: Container[str]
) -> int:
    """Return how many tiles of keys and values a mapping keeps in the buffer for all queries of a head.

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
    memories
        The names of memory levels, which other levels, of registers, are not among.

    Returns
    -------
    int
        All of a head, or those of a block; 0 if they are kept for one tile of queries.

    Raises
    ------
    IllegalMappingError
        The array's sequencer has other loops, or keys are not kept where it keeps them.

    """
    parts, product = work.workload.parts, work.scores.tensor
    ((path, leaf),) = ((path, leaf) for path, leaf in paths(mapping.root) if leaf.task == product)
    loops = [
        _Loop(at, parts[step.variable].range, step.tile.evaluate(values))
        for at, step in enumerate(path)
        if isinstance(step, Loop) and step.axis is None
    ]
    units = [part.unit.evaluate(values) for part in parts.values() if part.range == work.rows]
    unit = next((unit for unit in units if unit > 1), 1)
    tile = shape.rows // unit
    blocks, queries = _order(work, loops, {work.columns: shape.columns, work.rows: tile}, leaf.span)
    key, kept = work.key.tensor, max(_kept(path, work, memories), default=None)
    if kept is None:
        raise _refused(f"the mapping must keep {key!r} in the buffer for the array", leaf.span)
    if blocks is None:
        return -(-sizes_of(work, values)[work.rows] // shape.rows) if kept < queries.at else 0
    if not blocks.at < kept < queries.at:
        message = f"the mapping must keep {key!r} in the buffer around {work.columns}, block by block"
        raise _refused(message, path[kept].span)
    return blocks.tile // tile


def _refused(message: str, span: Span) -> IllegalMappingError:
    return IllegalMappingError([Diagnostic(message, span)])


def _order(work: ArrayWork, loops: Sequence[_Loop], tiles: Mapping[str, int], span: Span) -> tuple[_Loop | None, _Loop]:
    """Return the loop over blocks of keys, if there is one, and the one over tiles of queries."""
    found = [loop for loop in loops if loop.range in tiles]
    wanted = [(work.columns, tiles[work.columns]), (work.rows, tiles[work.rows])]
    blocks, rest = (found[0], found[1:]) if len(found) > len(wanted) else (None, found)
    is_block = blocks is None or (blocks.range == work.rows and blocks.tile % max(1, tiles[work.rows]) == 0)
    if not is_block or [(loop.range, loop.tile) for loop in rest] != wanted:
        text = ", then ".join(f"{loop.range} by {loop.tile}" for loop in found) or "none"
        must = ", then ".join(f"{name} by {tile}" for name, tile in wanted)
        around = f"with or without {work.rows} by a multiple of {tiles[work.rows]} around them"
        message = f"the loops around {work.scores.tensor!r} must be {must} for the array, {around}, not {text}"
        raise _refused(message, span)
    return blocks, rest[0]


def _kept(path: tuple[ir.Step, ...], work: ArrayWork, memories: Container[str]) -> Iterator[int]:
    """Yield where on a path keys come to be kept in a memory."""
    for at, step in enumerate(path):
        if isinstance(step, Keep) and work.key.tensor in step.tensors and step.level in memories:
            yield at
