"""The time of a mapping that an array of PEs runs as a program: its schedule decides, and the RTL keeps to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from einsum_cascade.arch.ir import Architecture
from einsum_cascade.array.instruction import MatrixOp, VectorOp
from einsum_cascade.errors import IllegalMappingError, InfeasibleMappingError
from einsum_cascade.lowering.division import division_of
from einsum_cascade.lowering.submissions import ArrayProgram
from einsum_cascade.mapping.ir import Block, Compute, normalised
from einsum_cascade.mapping.ir import Mapping as Tree
from einsum_cascade.mapping.merging import mergeable
from einsum_cascade.mapping.workload import Workload

__all__ = ["ArrayTime", "array_time"]


@dataclass(frozen=True, slots=True)
class ArrayTime:
    """What an array takes.

    Parameters
    ----------
    cycles
        From the first instruction to the last lane having done the last, all programs one after the other.
    busy_cycles
        By engine, those with an instruction for it.
    programs
        What it runs.
    beside
        The tasks that take no slot of their own: products that are multiplied where they are added, divisions of what
        leaves.

    """

    cycles: int
    busy_cycles: Mapping[str, int]
    programs: tuple[ArrayProgram, ...]
    beside: frozenset[str]


def array_time(
    workload: Workload,
    architecture: Architecture,
    mapping: Tree,
    values: Mapping[str, Any],
    inputs: Mapping[str, NDArray[Any]] | None = None,
) -> ArrayTime | None:
    """Return what the array of an architecture takes for a mapping; None if no array does what the mapping says.

    One does where everything overlaps, and where the loops around the scores are those of the array's sequencer. It
    multiplies products as it adds them, whether or not the mapping does.

    Parameters
    ----------
    workload, architecture, mapping
        What runs where.
    values
        Of ranks and parameters; no array does what is not a number.
    inputs
        What filters read, by name.

    """
    array, lanes = architecture.matrix_engine, architecture.vector_engine
    if lanes is None or array.contexts is None or not all(isinstance(value, int) for value in values.values()):
        return None
    if not _overlaps(normalised(mapping.root)):
        return None
    extents = {rank.name: values[rank.name] for rank in workload.cascade.ranks}
    try:
        found = division_of(workload.cascade, architecture, extents, None, mapping, values, inputs, is_strict=True)
    except (IllegalMappingError, InfeasibleMappingError):
        return None
    busy, programs = {array.name: 0, lanes.name: 0}, found.programs
    for each in programs:
        for engine, slots in zip((array, lanes), _slots(each), strict=True):
            busy[engine.name] += slots * each.lowered.program.tile_count
    quotients = {each.work.tasks["quotient"].tensor for each in programs if "quotient" in each.work.tasks}
    beside = quotients.union(mergeable(workload.cascade))
    return ArrayTime(sum(each.cycles for each in programs), busy, programs, frozenset(beside))


def _slots(program: ArrayProgram) -> tuple[int, int]:
    """Return the cycles of a tile in which PEs, and lanes, have an instruction."""
    rows = program.lowered.program.kernel
    matrix = sum(row.matrix.op != MatrixOp.NONE for row in rows)
    return matrix, sum(row.vector.op != VectorOp.NONE for row in rows)


def _overlaps(node: Block | Compute) -> bool:
    if isinstance(node, Compute):
        return True
    is_alone = len(node.body) == 1
    return (is_alone or node.order == "overlap") and all(map(_overlaps, node.body))
