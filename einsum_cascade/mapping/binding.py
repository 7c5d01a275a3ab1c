"""What a task occupies on its engine: iterations, issue slots, PEs in use."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from einsum_cascade.analysis.symbolic import is_expression
from einsum_cascade.arch.ir import Architecture
from einsum_cascade.cascade.affine import affine_variable
from einsum_cascade.cascade.extent import ZERO
from einsum_cascade.errors import MappingError
from einsum_cascade.mapping.counts import Count, evaluated
from einsum_cascade.mapping.covers import cover
from einsum_cascade.mapping.ir import Block, Compute, Step
from einsum_cascade.mapping.live import Live, left_of
from einsum_cascade.mapping.nest import Nests
from einsum_cascade.mapping.residency import completed
from einsum_cascade.mapping.tile_footprint import footprint_of
from einsum_cascade.mapping.workload import Access, Task, Workload

__all__ = ["BoundTask", "bound_tasks"]


@dataclass(frozen=True, slots=True)
class BoundTask:
    """A task on its engine.

    Parameters
    ----------
    task, engine, stage
        As the mapping says.
    points
        Points of the iteration space.
    slots
        Issue slots of a PE per point.
    steps
        Iterations of all loops in time.
    pes
        PEs that it is spread over: more than its engine has if it does not fit.
    overhead_cycles
        Cycles beyond the operations, all runs of the innermost tile together.
    components
        Actions per point, by component.
    path
        All loops, outermost first.

    """

    task: str
    engine: str
    stage: int
    points: Count
    slots: int
    steps: Count
    pes: Count
    overhead_cycles: Count
    components: Counter[str]
    path: tuple[Step, ...]

    @property
    def busy_cycles(self) -> Count:
        """Cycles that the task occupies its engine."""
        return self.steps * self.slots + self.overhead_cycles

    @property
    def work_cycles(self) -> Count:
        """Issue slots of all PEs together that hold an operation."""
        return self.points * self.slots


def bound_tasks(
    workload: Workload, architecture: Architecture, root: Block, values: Mapping[str, Count], live: Live | None = None
) -> tuple[BoundTask, ...]:
    """Return every task of a mapping with what it occupies, in order of the tree.

    Parameters
    ----------
    workload, architecture, root
        What runs where.
    values
        Of ranks and parameters.
    live
        What masks leave; those of the cascade, without data, if not given.

    Raises
    ------
    MappingError
        An overhead is below 0.

    """
    nests, left = Nests(workload, values), live or Live(workload, values)
    return tuple(_bound(nests, left, architecture, leaf, outer, inner) for leaf, outer, inner in _leaves(root, (), ()))


def _leaves(
    node: Block | Compute, outer: tuple[Step, ...], inner: tuple[Step, ...]
) -> Iterator[tuple[Compute, tuple[Step, ...], tuple[Step, ...]]]:
    """Yield every leaf with the steps around its own block, the innermost that has any, and those of that block."""
    if isinstance(node, Compute):
        yield node, outer, inner
        return
    if node.steps:
        outer, inner = (*outer, *inner), node.steps
    for part in node.body:
        yield from _leaves(part, outer, inner)


def _bound(
    nests: Nests,
    live: Live,
    architecture: Architecture,
    leaf: Compute,
    outer: tuple[Step, ...],
    inner: tuple[Step, ...],
) -> BoundTask:
    workload = nests.workload
    task = workload.task[leaf.task]
    engine = architecture.engine(leaf.engine)
    path = completed((*outer, *inner), task, workload)
    covered = cover(workload.cascade.einsums[task.number], engine)
    return BoundTask(
        leaf.task,
        leaf.engine,
        leaf.stage,
        left_of(_points(task, nests), live.points(leaf.task)),
        covered.slots,
        left_of(nests.steps(path), live.share((leaf.task,), path)),
        nests.pes(path),
        _overhead(nests, live, leaf, outer),
        covered.components,
        path,
    )


def _overhead(nests: Nests, live: Live, leaf: Compute, outer: tuple[Step, ...]) -> Count:
    if leaf.overhead_cycles == ZERO:
        return 0
    cycles: Any = evaluated(leaf.overhead_cycles, nests.values)
    if not is_expression(cycles) and np.any(cycles < 0):
        least = int(np.min(cycles))
        what = f"the overhead of Einsum {leaf.task!r} must be at least 0 cycles, not {least}"
        raise MappingError(f"{what}, as {leaf.overhead_cycles} is with these extents and parameters; give others")
    return left_of(nests.steps(outer), live.share((leaf.task,), outer)) * cycles


def _points(task: Task, nests: Nests) -> Count:
    space = Access("", tuple(affine_variable(name) for name in task.variables))
    return footprint_of(space, nests.workload.parts, nests.values).elements(nests.sizes)
