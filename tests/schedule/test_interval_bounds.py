from fractions import Fraction

import networkx as nx
import numpy as np
from random_counts import random_count
from random_graphs import random_block_graph

from einsum_cascade.schedule.graph import Dependence, Hold, OperationGraph, Resource, TileOperation
from einsum_cascade.schedule.interval_bounds import recurrence_bound, resource_bound
from einsum_cascade.schedule.problem import lower


def test_the_busiest_resource_counts_by_its_units() -> None:
    """A: 4 + 3 over two units; B: 3 over one; the buffer: 2 words for 6 cycles over 4 words."""
    resources = Resource("A", 2), Resource("B"), Resource("words", 4)
    operations = (
        TileOperation("x", "A", 4),
        TileOperation("y", "A", Fraction(7, 2)),
        TileOperation("z", "B", 3),
        TileOperation("chain", None, slots=3, spacing=2, holds=(Hold("words", 2),)),
    )
    bound = resource_bound(lower(OperationGraph(resources, operations)))
    assert (bound.cycles, bound.resource) == (Fraction(15, 4), "A")
    longer = TileOperation("block", None, 10, holds=(Hold("words", 2),))
    bound = resource_bound(lower(OperationGraph(resources, (*operations, longer))))
    assert (bound.cycles, bound.resource) == (Fraction(2 * 5 + 2 * 10, 4), "words")


def test_nothing_bounds_what_takes_nothing() -> None:
    problem = lower(OperationGraph((), (TileOperation("x"), TileOperation("y")), (Dependence("x", "y"),)))
    assert (resource_bound(problem).cycles, resource_bound(problem).resource) == (0, None)
    assert (recurrence_bound(problem).cycles, recurrence_bound(problem).operations) == (0, ())


def test_recurrence_bounds_of_random_graphs(seed: int) -> None:
    """The largest ratio over all cycles, which are enumerated, and the one that is named has it."""
    for number in range(random_count(300)):
        rng = np.random.default_rng([seed, 46, number])
        problem = lower(random_block_graph(rng, int(rng.integers(1, 9)), 2))
        graph: nx.MultiDiGraph[int] = nx.MultiDiGraph()
        graph.add_nodes_from(range(len(problem.pieces)))
        for edge in problem.edges:
            graph.add_edge(edge.source, edge.target, edge=edge)
        ratios = [Fraction(0)]
        for cycle in nx.simple_cycles(nx.DiGraph(graph)):
            ways = [(0, 0)]
            for source, target in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
                parallel = [data["edge"] for data in graph[source][target].values()]
                ways = [(w + edge.weight, d + edge.distance) for w, d in ways for edge in parallel]
            ratios += [Fraction(weight, distance) for weight, distance in ways]
        bound = recurrence_bound(problem)
        assert bound.cycles * problem.scale == max(ratios), f"case {number} of seed {seed}"
        assert bool(bound.operations) == (max(ratios) > 0)
