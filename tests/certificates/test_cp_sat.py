"""An outside certificate: OR-tools' CP-SAT finds the same least intervals, and proves that nothing is shorter.

Not part of `make test`, since OR-tools is 80 MB and brings pandas: `make certificates` installs it into a place of its
own and runs this.
"""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from attention_tile import attention_tile
from ortools.sat.python import cp_model
from random_counts import random_count
from random_graphs import random_block_graph

from einsum_cascade.schedule.graph import OperationGraph
from einsum_cascade.schedule.modulo import modulo_schedule

PERIODS = 12


def is_feasible(graph: OperationGraph, interval: int) -> bool:
    """Ask CP-SAT whether blocks of whole cycles on resources of one unit have a schedule of this interval."""
    model = cp_model.CpModel()
    starts, shares = {}, {resource.name: [] for resource in graph.resources}
    for operation in graph.operations:
        name, duration = operation.name, int(operation.duration)
        residue = model.new_int_var(0, interval - 1, f"{name} residue")
        period = model.new_int_var(0, PERIODS * len(graph.operations), f"{name} period")
        starts[name] = residue + interval * period
        for turn in (0, interval):
            share = model.new_fixed_size_interval_var(residue + turn, duration, f"{name} {turn}")
            shares[operation.resource].append(share)
        if duration > interval:
            return False
    for intervals in shares.values():
        model.add_no_overlap(intervals)
    for edge in graph.dependences:
        producer, consumer = graph.operation[edge.producer], graph.operation[edge.consumer]
        begin, after = starts[edge.producer] + edge.latency, starts[edge.consumer] + edge.distance * interval
        if edge.kind == "finish":
            model.add(after >= begin + producer.duration)
        else:
            model.add(after >= begin)
            model.add(after + consumer.duration >= begin + producer.duration)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.max_time_in_seconds = 60
    status = solver.solve(model)
    assert status in (cp_model.OPTIMAL, cp_model.FEASIBLE, cp_model.INFEASIBLE), solver.status_name(status)
    return status != cp_model.INFEASIBLE


@pytest.mark.parametrize(
    ("graph", "interval"),
    [
        (attention_tile(64, 64), 138),
        (attention_tile(64, 64, 4), 154),
        (attention_tile(64, 64, 8), 146),
        (attention_tile(64, 64, 64), 139),
        (attention_tile(64, 64, is_added=True), 137),
        (attention_tile(128, 64, 4), 201),
    ],
)
def test_the_attention_tile(graph: OperationGraph, interval: int) -> None:
    assert modulo_schedule(graph).interval == interval
    assert is_feasible(graph, interval)
    assert not is_feasible(graph, interval - 1)


def test_random_graphs_of_15_operations(seed: int) -> None:
    """On 3 resources; half of the graphs have recurrences that are tighter than their resources."""
    for number in range(random_count(300)):
        rng = np.random.default_rng([seed, 51, number])
        graph = with_tight_recurrences(rng, random_block_graph(rng, 15, 3, is_plain=True))
        found = modulo_schedule(graph)
        assert is_feasible(graph, int(found.interval)), f"case {number} of seed {seed}"
        if found.is_proved and found.interval > 1:
            assert not is_feasible(graph, int(found.interval) - 1), f"case {number} of seed {seed}"


def with_tight_recurrences(rng: np.random.Generator, graph: OperationGraph) -> OperationGraph:
    """Shorten half of the distances, so that the recurrences and not the resources bound."""
    if rng.random() < 0.5:
        return graph
    edges = tuple(dataclasses.replace(edge, distance=min(edge.distance, 1)) for edge in graph.dependences)
    return dataclasses.replace(graph, dependences=edges)


def test_a_fraction_is_a_whole_number_of_quanta() -> None:
    """AV done once per 7 tiles: everything in sevenths of a cycle."""
    graph = attention_tile(64, 64, 7)
    found = modulo_schedule(graph)
    sevenths = dataclasses.replace(
        graph,
        operations=tuple(
            dataclasses.replace(operation, duration=int(operation.duration * 7)) for operation in graph.operations
        ),
    )
    assert found.interval == Fraction(1030, 7)
    assert is_feasible(sevenths, 1030)
    assert not is_feasible(sevenths, 1029)
