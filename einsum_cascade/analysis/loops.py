"""The loops that iterative ranks force on a cascade: which Einsums repeat together, and inside what.

This is dependence only: nothing here knows about passes or footprints.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

import networkx as nx

from einsum_cascade.cascade.ir import Cascade, Einsum, Read

__all__ = ["Nest", "RecurrentLoop", "loop_nest", "loop_variables"]


@dataclass(frozen=True, slots=True)
class RecurrentLoop:
    """Einsums that repeat together for every coordinate of an iterative rank variable."""

    variable: str
    body: "Nest"


type Nest = tuple[int | RecurrentLoop, ...]


def loop_nest(cascade: Cascade) -> Nest:
    """Return the positions of all Einsums in an order of evaluation, recurrences gathered into loops."""
    return _nest(cascade, range(len(cascade.einsums)), frozenset())


def loop_variables(nest: Nest) -> Iterator[str]:
    """Yield the variables of all loops, outermost first."""
    for node in nest:
        if isinstance(node, RecurrentLoop):
            yield node.variable
            yield from loop_variables(node.body)


def _nest(cascade: Cascade, members: range | list[int], around: frozenset[str]) -> Nest:
    graph = _dependence(cascade, list(members), around)
    condensed = nx.condensation(graph)
    groups: dict[int, list[int]] = {node: sorted(data["members"]) for node, data in condensed.nodes(data=True)}

    def first_member(node: int) -> int:
        return groups[node][0]

    order = cast(Iterable[int], nx.lexicographical_topological_sort(condensed, key=first_member))
    nodes: list[int | RecurrentLoop] = []
    for group in (groups[node] for node in order):
        if len(group) == 1 and not graph.has_edge(group[0], group[0]):
            nodes.append(group[0])
        else:
            variable = _outermost(cascade, group, around)
            nodes.append(RecurrentLoop(variable, _nest(cascade, group, around | {variable})))
    return tuple(nodes)


def _dependence(cascade: Cascade, members: list[int], around: frozenset[str]) -> "nx.DiGraph[int]":
    """Edges from producers to consumers, without those that an enclosing loop carries."""
    producers: defaultdict[str, list[int]] = defaultdict(list)
    for at in members:
        producers[cascade.einsums[at].tensor].append(at)
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(members)
    for at in members:
        for read in cascade.einsums[at].reads:
            for producer in producers.get(read.tensor, ()):
                if _carrier(cascade, cascade.einsums[producer], read) not in around:
                    graph.add_edge(producer, at)
    return graph


def _carrier(cascade: Cascade, producer: Einsum, read: Read) -> str | None:
    """Return the iterative variable whose loop carries a read of an earlier generation, None if it is no such read."""
    axis = cascade.tensor[read.tensor].generation_axis
    if axis is None or producer.is_init:
        return None
    written, index = producer.indices[axis], read.indices[axis]
    is_earlier = index.stepped == written.stepped and index.offset != written.offset
    return written.stepped if is_earlier else None


def _outermost(cascade: Cascade, group: list[int], around: frozenset[str]) -> str:
    """Choose the loop variable that every member iterates over; the one of most members if there is none such."""
    candidates: dict[str, int] = {}
    for at in group:
        einsum = cascade.einsums[at]
        axis = cascade.tensor[einsum.tensor].generation_axis
        variable = None if axis is None or einsum.is_init else einsum.indices[axis].stepped
        if variable is not None and variable not in around:
            candidates[variable] = sum(variable in cascade.einsums[other].variables for other in group)
    return max(candidates, key=lambda name: candidates[name])
