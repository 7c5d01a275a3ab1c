"""How the tiles of a tensor are spread over the instances of a memory: scratchpads beside groups of PEs.

An instance serves a group of PEs. Loops in space over what indexes a tensor deal its coordinates out to the groups,
others make several groups use the same, which each of them then has.
"""

from collections.abc import Sequence
from typing import Any, cast

from einsum_cascade.mapping.counts import Count, ceil_div, minimum
from einsum_cascade.mapping.ir import Step
from einsum_cascade.mapping.nest import Nests

__all__ = ["copies_apart", "instances_used", "part_of"]


def instances_used(instances: int, pes: Count) -> Count:
    """Return how many instances PEs are spread over that run side by side."""
    return 1 if instances == 1 else minimum(pes, instances)


def copies_apart(nests: Nests, instances: int, inside: Sequence[Step], indexed: frozenset[str]) -> Count:
    """Return how many instances have each element of a tile that is kept above some loops, because they use it.

    Parameters
    ----------
    nests
        Counts iterations.
    instances
        How many there are, beside those that loops in space around the tile take.
    inside
        The loops below.
    indexed
        The variables that index the tensor.

    """
    if instances == 1:
        return 1
    used = instances_used(instances, nests.pes(inside))
    return cast(Any, used) // instances_used(instances, _dealt(nests, inside, indexed))


def part_of(nests: Nests, instances: int, inside: Sequence[Step], indexed: frozenset[str], amount: Any) -> Any:
    """Return what one instance has of a tile: the coordinates that loops in space deal out to its PEs.

    Parameters
    ----------
    nests, instances, inside, indexed
        As for `copies_apart`.
    amount
        What the whole tile takes.

    """
    if instances == 1:
        return amount
    dealt = _dealt(nests, inside, indexed)
    groups = instances_used(instances, dealt)
    return ceil_div(amount * cast(Any, ceil_div(dealt, groups)), dealt)


def _dealt(nests: Nests, inside: Sequence[Step], indexed: frozenset[str]) -> Count:
    """Return how many parts loops in space make of a tile."""
    return nests.pes(step for step in inside if getattr(step, "variable", None) in indexed)
