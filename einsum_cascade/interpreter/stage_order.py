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

from einsum_cascade.cascade.ir import Cascade
from einsum_cascade.errors import EvaluationError
from einsum_cascade.interpreter.recurrence import is_settled, loop_axis, stepped_variable
from einsum_cascade.interpreter.stage_groups import Fusion, empty_graph

__all__ = ["CoordinateLoop", "Stage", "einsums_of", "plan_stages"]


@dataclass(frozen=True, slots=True)
class CoordinateLoop:
    """Stages that run together for each coordinate of a rank variable, in ascending order."""

    variable: str
    body: tuple["Stage", ...]


type Stage = int | CoordinateLoop
"""The position of an Einsum in the cascade, or a loop."""


def einsums_of(stage: Stage) -> Iterator[int]:
    """Yield the positions of the Einsums of a stage."""
    if isinstance(stage, int):
        yield stage
    else:
        for inner in stage.body:
            yield from einsums_of(inner)


def plan_stages(cascade: Cascade) -> tuple[Stage, ...]:
    """Return all Einsums of a cascade as stages in an order in which each follows what it needs.

    Raises
    ------
    EvaluationError
        Tensors are defined by one another and no rank variable leads out.

    """
    return _plan(cascade, frozenset(range(len(cascade.einsums))), frozenset())


def _plan(cascade: Cascade, members: frozenset[int], fixed: frozenset[str]) -> tuple[Stage, ...]:
    fusion = Fusion(cascade, _needs(cascade, members, fixed))
    for component in nx.strongly_connected_components(fusion.needs):
        if len(component) > 1 or any(fusion.needs.has_edge(at, at) for at in component):
            fusion.start(frozenset(component), _recurrence_variable(cascade, component, fixed))
    fusion.grow()
    stages: list[Stage] = []
    for group, variable in fusion.in_order():
        if variable is None:
            stages += group
        else:
            stages.append(CoordinateLoop(variable, _plan(cascade, group, fixed | {variable})))
    return tuple(stages)


def _needs(cascade: Cascade, members: frozenset[int], fixed: frozenset[str]) -> Any:
    """Return the graph with an edge from each Einsum to those that must wait for it."""
    producers: defaultdict[str, list[int]] = defaultdict(list)
    for at in sorted(members):
        producers[cascade.einsums[at].tensor].append(at)
    graph = empty_graph()
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
