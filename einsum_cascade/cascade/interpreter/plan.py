"""In which order Einsums run, and which of them run together in a loop over an iterative rank.

A recurrence (equations that need one another's earlier generations) runs as a loop over its rank variable. Equations
that are pointwise in that variable join the loop: those that need it always, those that it needs if nothing else reads
them, so that what is only used inside never exists for more than a few coordinates. Inside a loop the same rules apply
again to the variables that are not fixed yet: loops nest.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import networkx as nx

from einsum_cascade.cascade.ir import Cascade, Einsum, Read
from einsum_cascade.errors import EvaluationError

__all__ = ["Loop", "Stage", "einsums_of", "is_local", "is_settled", "loop_axis", "plan_stages", "stepped_variable"]


@dataclass(frozen=True, slots=True)
class Loop:
    """Stages that run together for each coordinate of a rank variable, in ascending order."""

    variable: str
    body: tuple["Stage", ...]


type Stage = int | Loop
"""The position of an Einsum in the cascade, or a loop."""


def einsums_of(stage: Stage) -> Iterator[int]:
    """Yield the positions of the Einsums of a stage."""
    if isinstance(stage, int):
        yield stage
    else:
        for inner in stage.body:
            yield from einsums_of(inner)


def stepped_variable(cascade: Cascade, einsum: Einsum) -> str | None:
    """Return the variable in which an equation gives the next generation; None if it does not."""
    axis = cascade.tensor[einsum.tensor].generation_axis
    return None if axis is None or einsum.is_init else einsum.indices[axis].stepped


def loop_axis(cascade: Cascade, einsum: Einsum, variable: str) -> int | None:
    """Return the dimension of the left side that a loop over a variable walks along; None if there is no one."""
    if stepped_variable(cascade, einsum) == variable:
        return cascade.tensor[einsum.tensor].generation_axis
    axes = [axis for axis, index in enumerate(einsum.indices) if variable in index.variables]
    return axes[0] if len(axes) == 1 and einsum.indices[axes[0]].plain == variable else None


def is_settled(cascade: Cascade, producer: Einsum, read: Read, fixed: frozenset[str]) -> bool:
    """Tell whether a read needs only generations that were finished in earlier rounds of the fixed loops."""
    variable = stepped_variable(cascade, producer)
    if variable is None:
        return False
    axis = cascade.tensor[producer.tensor].generation_axis
    assert axis is not None
    index, step = read.indices[axis], producer.indices[axis].offset.value or 1
    if index.offset.value is None or index.offset.value >= step:
        return False
    return not index.terms or (index.stepped == variable and variable in fixed)


def is_local(cascade: Cascade, producer: Einsum, read: Read, variable: str) -> bool:
    """Tell whether a read in a loop needs only what this round of the loop, or an earlier one, has made."""
    if is_settled(cascade, producer, read, frozenset({variable})):
        return True
    axis = loop_axis(cascade, producer, variable)
    if axis is None or read.indices[axis].stepped != variable:
        return False
    offset, written = read.indices[axis].offset.value, producer.indices[axis].offset.value
    return offset is not None and written is not None and offset <= written


def plan_stages(cascade: Cascade) -> tuple[Stage, ...]:
    """Return all Einsums of a cascade as stages in an order in which each follows what it needs.

    Raises
    ------
    EvaluationError
        Tensors are defined by one another and no rank variable leads out.

    """
    return _plan(cascade, frozenset(range(len(cascade.einsums))), frozenset())


def _plan(cascade: Cascade, members: frozenset[int], fixed: frozenset[str]) -> tuple[Stage, ...]:
    fusion = _Fusion(cascade, _needs(cascade, members, fixed))
    for component in nx.strongly_connected_components(fusion.needs):
        if len(component) > 1 or any(fusion.needs.has_edge(at, at) for at in component):
            fusion.start(frozenset(component), _recurrence_variable(cascade, component, fixed))
    fusion.grow()
    stages: list[Stage] = []
    for group, variable in fusion.in_order():
        if variable is None:
            stages += group
        else:
            stages.append(Loop(variable, _plan(cascade, group, fixed | {variable})))
    return tuple(stages)


def _needs(cascade: Cascade, members: frozenset[int], fixed: frozenset[str]) -> Any:
    """Return the graph with an edge from each Einsum to those that must wait for it."""
    producers: defaultdict[str, list[int]] = defaultdict(list)
    for at in sorted(members):
        producers[cascade.einsums[at].tensor].append(at)
    graph = _empty_graph()
    graph.add_nodes_from(sorted(members))
    for at in members:
        einsum = cascade.einsums[at]
        for read in einsum.reads:
            for producer in producers[read.tensor]:
                if not is_settled(cascade, cascade.einsums[producer], read, fixed):
                    graph.add_edge(producer, at)
        variable = stepped_variable(cascade, einsum)
        if variable is not None:
            graph.add_edges_from((init, at) for init in producers[einsum.tensor] if init != at)
            if variable not in fixed:
                graph.add_edge(at, at)
    return graph


def _recurrence_variable(cascade: Cascade, component: set[int], fixed: frozenset[str]) -> str:
    einsums = [cascade.einsums[at] for at in sorted(component)]
    stepped = (stepped_variable(cascade, einsum) for einsum in einsums)
    for variable in dict.fromkeys(name for name in stepped if name is not None and name not in fixed):
        if all(loop_axis(cascade, einsum, variable) is not None for einsum in einsums):
            return variable
    names = list(dict.fromkeys(einsum.tensor for einsum in einsums))
    ring = " -> ".join([*names, names[0]])
    message = f"tensors must not be defined in a cycle, but {ring} is one"
    raise EvaluationError(f"{message}; let each of them carry the iterative rank on its left side")


def _empty_graph() -> Any:
    return nx.DiGraph()  # pyright: ignore[reportUnknownVariableType] - networkx leaves its nodes untyped


class _Fusion:
    """Groups of Einsums that become one stage each, merged step by step."""

    def __init__(self, cascade: Cascade, needs: Any) -> None:
        self.cascade, self.needs = cascade, needs
        self.reads = [einsum.reads for einsum in cascade.einsums]
        self.group: dict[int, frozenset[int]] = {at: frozenset({at}) for at in needs}
        self.variable: dict[frozenset[int], str] = {}

    def start(self, component: frozenset[int], variable: str) -> None:
        """Make a recurrence one group."""
        self.group |= dict.fromkeys(component, component)
        self.variable[component] = variable

    def grow(self) -> None:
        """Merge groups into loops until nothing more can join."""
        while (pair := next(self._merges(), None)) is not None:
            loop, other = pair
            variable = self.variable.pop(loop)
            self.variable.pop(other, None)
            self.start(loop | other, variable)

    def in_order(self) -> list[tuple[frozenset[int], str | None]]:
        """Return the groups, each after those it needs, otherwise in order of the source."""
        graph = self._contracted()
        order = nx.lexicographical_topological_sort(graph, key=min)
        return [(group, self.variable.get(group)) for group in order]

    def _merges(self) -> Iterator[tuple[frozenset[int], frozenset[int]]]:
        for loop in sorted(self.variable, key=min):
            neighbours = {self.group[b] for a in loop for b in (*self.needs.successors(a), *self.needs.predecessors(a))}
            for other in sorted(neighbours - {loop}, key=min):
                if self._can_join(loop, other) and self._stays_acyclic(loop, other):
                    yield loop, other

    def _can_join(self, loop: frozenset[int], other: frozenset[int]) -> bool:
        variable = self.variable[loop]
        if self.variable.get(other, variable) != variable:
            return False
        if not self._is_local_between(loop, other, variable):
            return False
        return other in self.variable or self._is_pointwise(loop, min(other), variable)

    def _is_local_between(self, loop: frozenset[int], other: frozenset[int], variable: str) -> bool:
        einsums = self.cascade.einsums
        for readers, producers in ((loop, other), (other, loop)):
            made = [e for e in map(einsums.__getitem__, producers) if loop_axis(self.cascade, e, variable) is not None]
            for read in (read for at in readers for read in self.reads[at]):
                if any(e.tensor == read.tensor and not is_local(self.cascade, e, read, variable) for e in made):
                    return False
        return True

    def _is_pointwise(self, loop: frozenset[int], at: int, variable: str) -> bool:
        """Tell whether a single Einsum may join: it reads the loop, or everything that reads it is in the loop."""
        einsum, tensor = self.cascade.einsums[at], self.cascade.tensor[self.cascade.einsums[at].tensor]
        if tensor.is_declared or loop_axis(self.cascade, einsum, variable) is None:
            return False
        others = [n for n, e in enumerate(self.cascade.einsums) if e.tensor == tensor.name and n != at]
        if not loop.issuperset(others):
            return False
        if not einsum.is_init and any(self.needs.has_edge(member, at) for member in loop):
            return True
        readers = (n for n, reads in enumerate(self.reads) if any(read.tensor == tensor.name for read in reads))
        return tensor.name not in self.cascade.outputs and loop.issuperset(readers)

    def _stays_acyclic(self, loop: frozenset[int], other: frozenset[int]) -> bool:
        return not (self._has_detour(loop, other) or self._has_detour(other, loop))

    def _has_detour(self, start: frozenset[int], end: frozenset[int]) -> bool:
        """Tell whether a third group needs one of two groups and is needed by the other."""
        reached = self._successors(start) - {end}
        waiting = list(reached)
        while waiting:
            found = self._successors(waiting.pop())
            if end in found:
                return True
            waiting += found - reached
            reached |= found
        return False

    def _successors(self, group: frozenset[int]) -> set[frozenset[int]]:
        return {self.group[needy] for at in group for needy in self.needs.successors(at)} - {group}

    def _contracted(self) -> Any:
        group = self.group
        graph = _empty_graph()
        graph.add_nodes_from(group.values())
        graph.add_edges_from((group[a], group[b]) for a, b in self.needs.edges if group[a] != group[b])
        return graph
