"""Lower bounds on the interval: the busiest resource, and the slowest cycle of dependences, both exact."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

import networkx as nx

from einsum_cascade.schedule.ir import RecurrenceBound, ResourceBound
from einsum_cascade.schedule.operation import exact
from einsum_cascade.schedule.problem import Edge, Lease, Problem

__all__ = ["components", "recurrence_bound", "resource_bound"]


def resource_bound(problem: Problem) -> ResourceBound:
    """Return the most unit-cycles that a tile takes of a resource, over its capacity.

    Results held in a buffer count for the time that they are held at the least: the longest of their consumers.
    """
    taken = [0] * len(problem.capacities)
    for piece in problem.pieces:
        for use in piece.uses:
            taken[use.resource] += use.duration * use.amount
    for lease in problem.leases:
        taken[lease.resource] += lease.amount * _least_lifetime(problem, lease)
    busiest = max(range(len(taken)), key=lambda at: Fraction(taken[at], problem.capacities[at]), default=None)
    if busiest is None or not taken[busiest]:
        return ResourceBound(0, None)
    cycles = Fraction(taken[busiest], problem.capacities[busiest] * problem.scale)
    return ResourceBound(exact(cycles), problem.graph.resources[busiest].name)


def _least_lifetime(problem: Problem, lease: Lease) -> int:
    """Return how long a result is held at the least: while its producer runs, in all the slots that has."""
    own, _ = lease.released_by[0]
    operation = problem.graph.operations[problem.pieces[own].operation]
    return problem.pieces[own].duration + int((operation.slots - 1) * operation.spacing * problem.scale)


def recurrence_bound(problem: Problem) -> RecurrenceBound:
    """Return the largest ratio of weight to distance around a cycle of differences.

    The ratio is raised to that of a cycle that exceeds it, until none does. Each step is exact, and the last ratio is
    the largest (Lawler, Combinatorial Optimization, 1976, Sec. 3.13, with the ratio of the cycle found in place of a
    bisection).
    """
    best, around = Fraction(0), tuple[Edge, ...]()
    for component in components(len(problem.pieces), problem.edges):
        inside = [edge for edge in problem.edges if edge.source in component and edge.target in component]
        while (cycle := _cycle_above(component, inside, best)) is not None:
            around = tuple(cycle)
            best = Fraction(sum(edge.weight for edge in around), sum(edge.distance for edge in around))
    names = [problem.graph.operations[problem.pieces[edge.source].operation].name for edge in around]
    operations = tuple(
        name for at, name in enumerate(names) if (len(set(names)) == 1 and at == 0) or name != names[at - 1]
    )
    contexts = tuple(edge.context for edge in around if edge.context is not None)
    return RecurrenceBound(exact(best / problem.scale), operations, contexts)


def components(count: int, edges: Iterable[Edge]) -> list[set[int]]:
    """Return the sets of pieces that depend on one another in cycles, in an order of dependence."""
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(count))
    graph.add_edges_from((edge.source, edge.target) for edge in edges)
    found: list[set[int]] = list(nx.strongly_connected_components(graph))
    return found[::-1]


def _cycle_above(members: set[int], edges: Sequence[Edge], ratio: Fraction) -> list[Edge] | None:
    """Return a cycle whose ratio is above the given one; None if there is none."""
    weights = [edge.weight * ratio.denominator - edge.distance * ratio.numerator for edge in edges]
    longest = dict.fromkeys(members, 0)
    reached: dict[int, Edge] = {}
    while True:
        changed = None
        for edge, weight in zip(edges, weights, strict=True):
            if longest[edge.source] + weight > longest[edge.target]:
                longest[edge.target] = longest[edge.source] + weight
                reached[edge.target] = edge
                changed = edge.target
        if changed is None:
            return None
        if (cycle := _closed(reached)) is not None:
            return cycle


def _closed(reached: dict[int, Edge]) -> list[Edge] | None:
    """Return the cycle among the last edges by which pieces were reached; None if they form a forest."""
    seen: dict[int, int] = {}
    for start in reached:
        piece = start
        while piece in reached and piece not in seen:
            seen[piece] = start
            piece = reached[piece].source
        if seen.get(piece) == start and piece in reached:
            return [*_walk(reached, piece)][::-1]
    return None


def _walk(reached: dict[int, Edge], start: int) -> Iterator[Edge]:
    edge = reached[start]
    yield edge
    while edge.source != start:
        edge = reached[edge.source]
        yield edge
