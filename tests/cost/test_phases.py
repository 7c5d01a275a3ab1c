"""Phases: by hand on small cases, and what holds of all mappings: bytes, bandwidths, blocks around blocks."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from random_counts import random_count
from random_plans import CHAINS, plan_extents, plan_machine, random_plan, wrapped

from einsum_cascade import parse
from einsum_cascade.arch.ir import Architecture, Component, Engine, Memory, Operation, RegisterFile
from einsum_cascade.cost.estimate import estimate
from einsum_cascade.mapping.codec import parse_mapping
from einsum_cascade.mapping.ir import Block, Compute, normalised
from einsum_cascade.mapping.legality import violations
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.schedule.modulo import modulo_schedule
from einsum_cascade.schedule.replay import check_schedule
from einsum_cascade.schedule.whole import scheduled_graphs, tile_time

PRODUCTS = Workload(
    parse(
        "rank I, J, K, L\ninput A[i:I, k:K], B[k:K, j:J], C[j:J, l:L]\n"
        "Y[i, j] = A[i, k] * B[k, j]\nZ[i, l] = Y[i, j] * C[j, l]\noutput Z"
    )
)
FOUR = dict.fromkeys("IJKL", 4)


def machine(dram=None, buffer=None):
    """Two engines of a PE at 1 GHz, words of 16 bits; memories of so many bytes a second, reads and writes together."""

    def memory(name, rate):
        rate = None if rate is None else Fraction(rate)
        return Memory(name, None, 16, rate, rate, True, 1, 1.0, 1.0)

    operations = (Operation("mac", 1, 1, (("mac", 1),)), Operation("+", 1, 1, ()))
    engines = tuple(
        Engine(name, 4, 4, operations, RegisterFile(64, 16, 1.0, 1.0, 0.0), None, frozenset(), frozenset())
        for name in ("x", "y")
    )
    memories = (memory("dram", dram), memory("buffer", buffer))
    return Architecture("small", 10**9, 16, memories, engines, (Component("mac", 1.0, 0.0),))


def mapping(text):
    return parse_mapping("name: x\n" + text)


def test_a_keep_that_parts_share_takes_its_time() -> None:
    """A, of 16 words, comes once for both Einsums: 32 B at 1 KB/s, then 2 * 32 B of results leave: 0.096 s in all."""
    both = Workload(
        parse("rank M, P\ninput A[m:M, p:P]\nY[m, p] = A[m, p] + A[m, p]\nZ[m, p] = A[m, p] + Y[m, p]\noutput Y, Z")
    )
    text = "steps: [keep A in buffer]\nbody: [Y on x, Z on y]"
    found = estimate(both, machine(dram=1000), mapping(text), {"M": 4, "P": 4})
    # Y is at home in DRAM, where it is written and read again.
    assert [phase.name for phase in found.phases] == ["moves of A", "Y", "Z"]
    assert [phase.moved["dram"].total for phase in found.phases] == [32, 32, 64]
    assert float(found.latency_s) == pytest.approx(0.128)


def test_what_overlaps_waits_for_what_it_needs() -> None:
    """Two products of 4^3 on an engine each: the second reads the whole of the first, so 64 cycles and 64 more."""
    text = "order: overlap\nsteps: [keep Y in buffer]\nbody: [Y on x, Z on y]"
    found = estimate(PRODUCTS, machine(), mapping(text), FOUR)
    assert found.cycles == 128
    # Row by row: 16 cycles for a row of either. Y has one place, so the next row waits until Z has read this one.
    rows = text.replace("[keep", "[for i, keep")
    assert estimate(PRODUCTS, machine(), mapping(rows), FOUR).cycles == 4 * 32
    # With two places both work at once: four rows, and one more to drain.
    assert estimate(PRODUCTS, machine(), mapping(rows.replace("buffer]", "buffer x2]")), FOUR).cycles == 5 * 16
    # So they do where all rows have their place.
    outside = text.replace("buffer]", "buffer, for i]")
    assert estimate(PRODUCTS, machine(), mapping(outside), FOUR).cycles == 5 * 16


def test_a_sequence_inside_an_overlap_is_one() -> None:
    """Y and Z follow one another for every row, 16 cycles each; W, of 4 cycles, has x while Z of the next row has y.

    So there is a row every 32 cycles, and the last one ends with Y of the next one not begun: 3 * 32 + 32 + 16 + 4.
    """
    text = (
        "rank I, J, K, L\ninput A[i:I, k:K], B[k:K, j:J], C[j:J, l:L]\n"
        "Y[i, j] = A[i, k] * B[k, j]\nZ[i, l] = Y[i, j] * C[j, l]\nW[i, l] = Z[i, l] + Z[i, l]\noutput W"
    )
    tree = (
        "order: overlap\nsteps: [keep Y in buffer x2, keep Z in buffer x2, for i]\nbody:\n"
        "  - {order: sequence, body: [Y on x, Z on y]}\n  - W on x"
    )
    found = estimate(Workload(parse(text)), machine(), mapping(tree), FOUR)
    assert found.cycles == 3 * 32 + 52
    free = estimate(Workload(parse(text)), machine(), mapping(tree.replace("order: sequence", "order: overlap")), FOUR)
    assert free.cycles < 4 * 32  # x has 20 cycles a row, y 16


@pytest.mark.parametrize(("copies", "microseconds"), [(1, 4 * (4 + 1)), (2, 4 + 3 * 4 + 1)])
def test_one_copy_serialises_and_two_overlap(copies: int, microseconds: int) -> None:
    """Four rows of A, 8 B each at 2 B/us, take 4 us, and 16 points of a row of Y 1 us at 16 MHz: 5 each, or 4 but one.

    B comes before all of it and Y leaves behind it, 32 B each, in 16 us.
    """
    text = f"steps: [keep B Y in buffer, for i, keep A in buffer x{copies}]\nbody: [Y on x]"
    alone = Workload(parse("rank I, J, K\ninput A[i:I, k:K], B[k:K, j:J]\nY[i, j] = A[i, k] * B[k, j]\noutput Y"))
    slow = replace(machine(dram=2 * 10**6), clock_hz=16 * 10**6)
    found = estimate(alone, slow, mapping(text), {"I": 4, "J": 4, "K": 4})
    assert float(found.latency_s) * 1e6 == pytest.approx(16 + microseconds + 16)
    assert [phase.name for phase in found.phases][:2] == ["moves of B", "moves of Y"]


def drawn(seed, number):
    rng = np.random.default_rng([seed, 13, number])
    workload, extents = CHAINS[str(rng.choice(list(CHAINS)))], plan_extents(rng)
    found = random_plan(rng, workload, extents)
    return rng, workload, extents, plan_machine(rng), found


def test_every_byte_is_in_one_phase_and_takes_its_time(seed: int) -> None:
    """One to four blocks, nested, in any order: phases add up to the traffic, and no memory is faster than it is."""
    legal = 0
    for number in range(random_count(600)):
        _, workload, extents, architecture, found = drawn(seed, number)
        legal += not violations(workload, architecture, found, extents)
        cost = estimate(workload, architecture, found, extents)
        where = f"case {number} of seed {seed}: {extents}\n{found}"
        for memory in architecture.memories:
            moved = sum(phase.moved[memory.name].total for phase in cost.phases if memory.name in phase.moved)
            assert moved == cost.traffic_bytes[memory.name], where
            if memory.read_bytes_per_s is not None:
                rate = memory.read_bytes_per_s + (0 if memory.is_shared else memory.write_bytes_per_s)
                assert cost.latency_s >= (1 - 1e-12) * float(moved / rate), where
            for phase in cost.phases:
                assert phase.seconds >= (1 - 1e-12) * phase.memory_s.get(memory.name, 0), where
                assert phase.seconds >= (1 - 1e-12) * phase.compute_s, where
        for engine in architecture.engines:
            assert cost.utilisation(engine.name) <= 1 + 1e-12, where
    assert legal > random_count(600) // 4


def test_a_block_around_a_block_changes_nothing(seed: int) -> None:
    for number in range(random_count(600)):
        rng, workload, extents, architecture, found = drawn(seed, number)
        around = wrapped(rng, found.root)
        other = replace(found, root=around if isinstance(around, Block) else Block((), (around,)))
        one, two = (estimate(workload, architecture, each, extents) for each in (found, other))
        where = f"case {number} of seed {seed}: {extents}\n{found.root}\n{other.root}"
        assert (one.cycles, one.accesses, one.phases) == (two.cycles, two.accesses, two.phases), where


def parallel_tasks(node, is_inside=False):
    """The tasks of blocks whose parts overlap or run in lock-step."""
    if isinstance(node, Compute):
        return {node.task} if is_inside else set()
    own = is_inside or (node.order != "sequence" and len(node.body) > 1)
    return set().union(*(parallel_tasks(part, own) for part in node.body))


def test_cycles_are_those_of_the_schedules(seed: int) -> None:
    """What is scheduled takes what its schedule does, the rest what it is busy; interval and latency are replayed."""
    several = 0
    for number in range(random_count(400)):
        _, workload, extents, architecture, found = drawn(seed, number)
        cost = estimate(workload, architecture, found, extents)
        root = normalised(found.root)
        graphs = scheduled_graphs(workload, architecture, root, cost.bounds, extents)
        several += len(graphs) > 1 or bool(graphs and parallel_tasks(root) != set(workload.task))
        rest = sum(bound.busy_cycles for bound in cost.bounds if bound.task not in parallel_tasks(root))
        where = f"case {number} of seed {seed}: {extents}\n{found}"
        assert cost.cycles == rest + sum(tile_time(tile).cycles for tile in graphs), where
        for tile in graphs:
            schedule = modulo_schedule(tile.graph)
            assert check_schedule(tile.graph, schedule) == (), where
            if tile.order == "overlap":
                assert tile_time(tile).cycles == np.ceil(float(schedule.cycles(tile.tiles))), where
    assert several
