"""The time of a whole mapping: its parts, each in the discipline that the mapping gives it.

Parts of a block in sequence follow one another. Where they overlap, the engine with the most to do decides, once the
first tile has filled the engines; in lock-step, the slowest engine of each stage. Work is counted exactly, tiles at the
edges included.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, cast

import numpy as np

from einsum_cascade.mapping.binding import Bound
from einsum_cascade.mapping.counts import Count, check_numbers, maximum
from einsum_cascade.mapping.ir import Block, Compute, leaves

__all__ = ["Phase", "parts_of", "phases_of"]


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a mapping that no other part overlaps with.

    Parameters
    ----------
    tasks
        Its tasks, in order of the tree.
    cycles
        Its time on the engines, in the steady state.
    busy_cycles
        By engine: how long it is occupied.

    """

    tasks: tuple[str, ...]
    cycles: Count
    busy_cycles: Mapping[str, Count]

    @property
    def slowest(self) -> str:
        """The engine that is occupied longest."""
        check_numbers("which engine is occupied longest", self.busy_cycles.values())
        return max(self.busy_cycles, key=lambda name: float(np.max(cast(Any, self.busy_cycles[name]))))


def phases_of(root: Block, bounds: Iterable[Bound]) -> tuple[Phase, ...]:
    """Return the phases of a mapping: the parts of its root if they follow one another, otherwise one."""
    by_task = {bound.task: bound for bound in bounds}
    return tuple(_phase(part, by_task) for part in parts_of(root))


def parts_of(root: Block) -> tuple[Block | Compute, ...]:
    """Return the parts of a mapping that no other part overlaps with."""
    return root.body if root.order == "sequence" else (root,)


def _phase(node: Block | Compute, bounds: Mapping[str, Bound]) -> Phase:
    tasks = tuple(leaf.task for leaf in leaves(node))
    return Phase(tasks, _cycles(node, bounds), _busy([bounds[task] for task in tasks], lambda bound: bound.engine))


def _cycles(node: Block | Compute, bounds: Mapping[str, Bound]) -> Count:
    if isinstance(node, Compute):
        return bounds[node.task].busy_cycles
    if node.order == "sequence":
        return _total(_cycles(part, bounds) for part in node.body)
    own = [bounds[leaf.task] for leaf in leaves(node)]
    if node.order == "overlap":
        return _longest(own)
    stages = sorted({bound.stage for bound in own})
    return _total(_longest([bound for bound in own if bound.stage == stage]) for stage in stages)


def _longest(bounds: Iterable[Bound]) -> Count:
    """Return the cycles of the engine with the most work."""
    return reduce(maximum, _busy(bounds, lambda bound: bound.engine).values())


def _busy(bounds: Iterable[Bound], key: Callable[[Bound], str]) -> dict[str, Count]:
    found: dict[str, Count] = {}
    for bound in bounds:
        found[key(bound)] = cast(Any, found.get(key(bound), 0)) + bound.busy_cycles
    return found


def _total(counts: Iterable[Count]) -> Count:
    total: Any = 0
    for count in counts:
        total = total + count
    return total
