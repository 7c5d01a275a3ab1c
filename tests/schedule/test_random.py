import dataclasses

import numpy as np
import pytest
from brute_force_schedule import least_interval, least_lags, least_lockstep_interval
from random_counts import random_count
from random_graphs import random_block_graph, random_slot_graph

from einsum_cascade.errors import ScheduleError
from einsum_cascade.schedule.graph import OperationGraph
from einsum_cascade.schedule.lockstep import lockstep_schedule
from einsum_cascade.schedule.modulo import modulo_schedule
from einsum_cascade.schedule.replay import check_schedule

CHUNKS = 4


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_schedules_of_random_graphs_are_legal(chunk: int, seed: int) -> None:
    """Blocks: up to 20 operations on up to 4 resources, with everything that a graph can have."""
    for number in range(chunk, random_count(1000), CHUNKS):
        rng = np.random.default_rng([seed, 41, number])
        graph = random_block_graph(rng, int(rng.integers(1, 21)), int(rng.integers(1, 5)))
        try:
            found = modulo_schedule(graph)
        except ScheduleError as error:
            assert str(error).startswith("Buffer 'buffer' must hold"), f"case {number} of seed {seed}"
            continue
        assert check_schedule(graph, found) == (), f"case {number} of seed {seed}"
        assert found.bound <= found.floor <= found.interval


def test_schedules_of_random_chains_are_legal(seed: int) -> None:
    """Chains of up to 150 slots."""
    for number in range(random_count(100)):
        rng = np.random.default_rng([seed, 42, number])
        graph = random_slot_graph(rng, int(rng.integers(2, 6)), 150)
        found = modulo_schedule(graph)
        assert check_schedule(graph, found) == (), f"case {number} of seed {seed}"
        assert found.bound <= found.floor <= found.interval


@pytest.mark.parametrize("is_plain", [True, False])
def test_intervals_are_least(is_plain: bool, seed: int) -> None:
    """Brute force over all residues; where a proof is claimed, nothing is shorter, and it is claimed nearly always."""
    unproved = 0
    count = random_count(600)
    for number in range(count):
        rng = np.random.default_rng([seed, 43, is_plain, number])
        graph = _small(rng, is_plain)
        found = modulo_schedule(graph)
        least = least_interval(graph)
        assert found.floor <= least <= found.interval, f"case {number} of seed {seed}"
        if found.is_proved:
            assert found.interval == least, f"case {number} of seed {seed}"
        unproved += not found.is_proved
    assert unproved <= (0 if is_plain else count // 10)


def _small(rng: np.random.Generator, is_plain: bool) -> OperationGraph:
    """Draw up to 6 blocks of up to 3 cycles, without buffers and shares of cycles."""
    graph = random_block_graph(rng, int(rng.integers(1, 7)), int(rng.integers(1, 3)), is_plain)
    operations = tuple(
        dataclasses.replace(operation, duration=int(-(-operation.duration // 2)), holds=())
        for operation in graph.operations
    )
    return dataclasses.replace(graph, operations=operations)


def test_lockstep_intervals_are_least(seed: int) -> None:
    for number in range(random_count(200)):
        rng = np.random.default_rng([seed, 44, number])
        graph = _without_latency(random_block_graph(rng, int(rng.integers(1, 5)), 2, is_plain=True))
        tiles = int(rng.integers(1, 4))
        found = lockstep_schedule(graph, tiles_in_flight=tiles)
        assert found.proof in ("bound", "exhausted")
        assert check_schedule(graph, found.schedule) == (), f"case {number} of seed {seed}"
        assert found.interval == least_lockstep_interval(graph, tiles), f"case {number} of seed {seed}"


def test_lags_of_given_stages_are_least(seed: int) -> None:
    """Dependences that reach over one to three tiles, in stages of any order: the least lags, or none at all.

    On a way that meets no operation twice, each of at most three dependences adds at most one tile.
    """
    behind = 0
    for number in range(random_count(5000)):
        rng = np.random.default_rng([seed, 46, number])
        graph = _without_latency(random_block_graph(rng, int(rng.integers(2, 5)), 2, is_plain=True))
        stages = _random_stages(rng, graph)
        least = least_lags(graph, stages, 3)
        if least is None:
            with pytest.raises(ScheduleError, match=r"^The stages must let every tile follow the one before, but "):
                lockstep_schedule(graph, stages)
            continue
        found = lockstep_schedule(graph, stages)
        lags = {staged.operation: staged.lag for stage in found.stages for staged in stage.operations}
        assert tuple(lags[operation.name] for operation in graph.operations) == least, f"case {number} of seed {seed}"
        assert check_schedule(graph, found.schedule) == (), f"case {number} of seed {seed}"
        behind += found.lag > 1
    assert behind > 0


def _random_stages(rng: np.random.Generator, graph: OperationGraph) -> list[list[str]]:
    stages: list[list[str]] = [[] for _ in range(int(rng.integers(1, 5)))]
    for operation in graph.operations:
        stages[int(rng.integers(len(stages)))].append(operation.name)
    return [stage for stage in stages if stage]


def test_lockstep_schedules_of_15_operations_are_legal(seed: int) -> None:
    for number in range(random_count(50)):
        rng = np.random.default_rng([seed, 45, number])
        graph = _without_latency(random_block_graph(rng, 15, 3, is_plain=True))
        found = lockstep_schedule(graph, effort=5000)
        assert check_schedule(graph, found.schedule) == (), f"case {number} of seed {seed}"
        assert modulo_schedule(graph).floor <= found.interval, f"case {number} of seed {seed}"


def _without_latency(graph: OperationGraph) -> OperationGraph:
    edges = tuple(dataclasses.replace(edge, latency=0) for edge in graph.dependences)
    return dataclasses.replace(graph, dependences=edges)
