"""Matrix products on a systolic array: the three dataflows, as mappings like any other.

The array takes one tile after the other, and each tile of the stationary matrix fills and drains it: no tile overlaps
with the one before. An array that starts the next tile while this one drains needs less; that is a smaller
`overhead_cycles`, and nothing else.
"""

from dataclasses import dataclass
from typing import Literal

from einsum_cascade.arch.ir import Engine
from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.extent import Extent, constant
from einsum_cascade.mapping.ir import Block, Compute, Keep, Loop, Mapping
from einsum_cascade.mapping.workload import Task

__all__ = ["Stationary", "matrix_product"]

type Stationary = Literal["output", "weights", "inputs"]
"""The matrix that stays in the PEs: Z, B or A of `Z[m, n] = A[m, k] * B[k, n]`."""


def matrix_product(task: Task, engine: Engine, stationary: Stationary, memory: str = "buffer") -> Mapping:
    """Map a matrix product onto an array whose PEs keep one of the three matrices.

    Parameters
    ----------
    task
        A product `Z[m, n] = A[m, k] * B[k, n]` by any names and with the indices in any order: A, read first, shares
        with Z the variable of its rows. Any pair of operators may stand for product and sum, and extents may be such
        that the array does not divide them.
    engine
        The array.
    stationary
        The matrix that stays in it: rows of the array are then `m` (output) or `k`, columns `n` (output, weights) or
        `m` (inputs), and the third variable streams through.
    memory
        The level that everything passes, and that keeps what a tile or a strip of tiles uses again.

    Returns
    -------
    mapping
        With R rows and C columns, a tile takes R + C - 2 cycles beyond its operations, during which the operands reach
        the far corner and the last result leaves it; a tile that is loaded first, by rows, takes R more.

    Raises
    ------
    ValueError
        If the task is no product of two matrices, or `stationary` is none of the three.

    References
    ----------
    The cycles are those of scalesim 3.0.0, which numbers them from 0 and names the last one, and are thus one more than
    its: docs/peers.md compares them.

    """
    m, n, k = _variables(task)
    a, b, z = task.reads[0].tensor, task.reads[1].tensor, task.write.tensor
    rows, columns = constant(engine.rows), constant(engine.columns)
    skew = constant(engine.rows + engine.columns - 2)
    match stationary:
        case "output":
            plan = _Plan(m, n, k, z, (a,), (b,), skew)
        case "weights":
            plan = _Plan(k, n, m, b, (z,), (a,), skew + rows)
        case "inputs":
            plan = _Plan(k, m, n, a, (z,), (b,), skew + rows)
        case _:
            raise ValueError(f"Stationary must be 'output', 'weights' or 'inputs', not {stationary!r}")
    spread = (Loop(plan.rows, axis="rows"), Loop(plan.columns, axis="columns"))
    array = Block(
        (*spread, Keep(engine.name, (plan.stationary,)), Loop(plan.stream)),
        (Compute(task.name, engine.name, overhead_cycles=plan.overhead),),
    )
    # What one run of the outer loop uses again and again is kept around the inner one.
    outer, inner = Loop(plan.rows, rows), Loop(plan.columns, columns)
    if plan.stationary != z:
        outer, inner = inner, outer
    steps = (outer, Keep(memory, plan.per_outer), inner, Keep(memory, (*plan.per_tile, plan.stationary)))
    return Mapping(f"{stationary}-stationary", Block(steps, (array,)))


@dataclass(frozen=True, slots=True)
class _Plan:
    """The variables on the rows and the columns and the one that streams; what stays, and what is kept for how long."""

    rows: str
    columns: str
    stream: str
    stationary: str
    per_outer: tuple[str, ...]
    per_tile: tuple[str, ...]
    overhead: Extent


def _variables(task: Task) -> tuple[str, str, str]:
    """Return the variables of the rows, the columns and the sum."""
    accesses = (*task.reads, task.write)
    indices = [_plain(access.indices) for access in accesses]
    if len(accesses) == 3 and all(len(names) == 2 for names in indices):
        a, b, z = indices
        found = a & z, b & z, a & b
        if all(len(names) == 1 for names in found) and not a & b & z:
            (m,), (n,), (k,) = found
            return m, n, k
    raise ValueError(f"Task {task.name!r} must be a product of two matrices, such as Z[m, n] = A[m, k] * B[k, n]")


def _plain(indices: tuple[Affine, ...]) -> frozenset[str]:
    """Return the variables of indices that are variables; nothing if one is not."""
    names = [index.plain for index in indices]
    return frozenset(name for name in names if name is not None) if None not in names else frozenset()
