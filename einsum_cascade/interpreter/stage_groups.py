"""Groups of Einsums that become one stage each."""

from collections.abc import Iterator
from typing import Any

import networkx as nx

from einsum_cascade.cascade.ir import Cascade
from einsum_cascade.interpreter.recurrence import is_local, loop_axis

__all__ = ["Fusion", "empty_graph"]


def empty_graph() -> Any:
    """Return a directed graph."""
    return nx.DiGraph()  # pyright: ignore[reportUnknownVariableType] - networkx leaves its nodes untyped


class Fusion:
    """Groups of Einsums that become one stage each, merged step by step.

    Parameters
    ----------
    cascade
        A checked cascade.
    needs
        A graph of the positions of its Einsums, with an edge from each to those that must wait for it.

    """

    def __init__(self, cascade: Cascade, needs: Any) -> None:
        """Start with a group for every Einsum."""
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
        graph = empty_graph()
        graph.add_nodes_from(group.values())
        graph.add_edges_from((group[a], group[b]) for a, b in self.needs.edges if group[a] != group[b])
        return graph
