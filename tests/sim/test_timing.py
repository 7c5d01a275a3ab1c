"""Times with a memory: by hand, against the stepped model where memory keeps up, and skipping against not skipping."""

import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from array_programs import lowered, random_lowered, random_tensors, square
from random_counts import random_count

from einsum_cascade.errors import IllegalMappingError
from einsum_cascade.program.checker import check_program
from einsum_cascade.program.ir import Program
from einsum_cascade.program.masks import Band
from einsum_cascade.sim.stepped import step_program
from einsum_cascade.sim.timing import MemoryModel, ResourceTime, run_timing

IDEAL = MemoryModel()


def test_a_slow_memory_by_hand() -> None:
    """16 x 16, E = F = 64, bf16, 8 tiles of keys; 8 bytes a cycle, after 100.

    The queries are 16 rows of 128 B, 256 cycles, there at 356; a tile of keys and values is 16 rows of 256 B, 512
    cycles: the first is there at 868, one every 512 cycles. The interval is 137, so that the corner waits 375 cycles
    for each but the first, which the counters do not see. The last tile takes 219 cycles more, and 31 to the last lane:
    7 * 512 + 219 + 31 = 3834. The last product leaves the corner at 868 + 7 * 512 + 218 and is in the last lane 31 + 1
    later, at 4702. A word of results is 64 B, 8 cycles, but one divider takes 16 for it: 1024, and 100 to the answer.
    """
    program = lowered(square(16), keys=128, queries=16).program
    trace = run_timing(program, MemoryModel(100, 8))
    assert (trace.cycles, trace.total_cycles) == (3834, 4702 + 1024 + 100)
    assert (trace.stalls_keys, trace.stalls_queries, trace.stalls_drain) == (7 * 375, 0, 0)
    assert (trace.matrix_busy, trace.vector_busy) == (8 * 137, 8 * 73)
    assert (trace.read_cycles, trace.write_cycles) == (256 + 8 * 512, 64 * 8)
    assert trace.matrix_utilisation == 8 * 137 / 3834
    assert trace.waits == (
        ResourceTime("array", 1096, (("keys", 2625), ("queries", 0), ("drain", 0), ("schedule", 113))),
        ResourceTime("vector row", 584, (("keys", 2625), ("queries", 0), ("drain", 0), ("schedule", 625))),
        ResourceTime("reads", 4352, (("array", 5826 - 4352),)),
        ResourceTime("writes", 512, (("array", 5826 - 512),)),
    )


def test_a_drain_by_hand() -> None:
    """One key tile per query tile, 8 bytes a cycle: a query tile takes 137 cycles, and its results 64 * 16 = 1024.

    Both places of queries are filled first, 2 * 256 cycles, then the keys, 512: the corner begins at 1024. Queries 0
    have left their place at 1024 + 63 + 16 = 1103, so queries 2 are there at 1359, 61 cycles later than 1024 + 2 * 137.
    Results 0 are whole at 1024 + 218 + 32 = 1274, and gone at 2298. The sums of tile 2, at 1359 + 89, wait 850.
    Those of tile 3, 137 later, wait until 2298 + 1024: 887.
    """
    program = lowered(square(16), keys=16, queries=64).program
    trace = run_timing(program, MemoryModel(0, 8))
    assert (trace.stalls_keys, trace.stalls_queries, trace.stalls_drain) == (0, 61, 850 + 887)
    assert trace.cycles == 219 + 3 * 137 + 31 + 61 + trace.stalls_drain


def test_a_memory_that_keeps_up_leaves_the_schedule() -> None:
    """Reference figures: N = 16, M = 1024, one query tile: 98.7 % of issue slots with L = 1, 95.3 with 4."""
    for stages, percent in ((1, 98.7), (4, 95.3)):
        found = lowered(square(16, stages=stages, slots=64), keys=1024, queries=16)
        trace = run_timing(found.program, IDEAL)
        assert trace.cycles == found.schedule.cycles(64) + found.program.shape.depth_cycles
        assert trace.total_cycles == trace.cycles + stages - 1
        assert round(100 * trace.matrix_utilisation, 1) == pytest.approx(percent, abs=0.15)


def test_a_memory_that_keeps_up_agrees_with_the_stepped_model(seed: int) -> None:
    random = np.random.default_rng([seed, 450])
    for _ in range(random_count(300)):
        program = random_lowered(random).program
        stepped = step_program(program, random_tensors(random, program))
        trace = run_timing(program, IDEAL)
        stalls = trace.stalls_keys, trace.stalls_queries, trace.stalls_drain
        assert (trace.cycles, stalls) == (stepped.cycles, (0, 0, stepped.stalls))
        assert trace.cycles == sum(cycles for _, cycles in trace.waits[0].waiting) + trace.matrix_busy


def random_long_program(random: np.random.Generator) -> Program | None:
    """A program with many tiles of queries, whose keys stay in the buffer or do not."""
    program = random_lowered(random, 4).program
    keys, queries = int(random.integers(1, 40)), int(random.integers(1, 600))
    program = replace(program, keys=keys, queries=queries, is_resident=bool(random.random() < 0.5))
    stride = -(-4 * queries // program.shape.beat_bytes) * program.shape.beat_bytes
    program = replace(program, output=replace(program.output, stride_bytes=stride))
    try:
        return check_program(program)
    except IllegalMappingError:
        return None


def test_what_repeats_is_skipped_and_changes_nothing(seed: int) -> None:
    random = np.random.default_rng([seed, 451])
    compared = 0
    while compared < random_count(1000):
        program = random_long_program(random)
        if program is None:
            continue
        bandwidth = (None, 1, 3, 8, 64, Fraction(7, 2))[random.integers(6)]
        memory = MemoryModel(int(random.choice([0, 10, 100])), bandwidth)
        assert run_timing(program, memory) == run_timing(program, memory, skip=False), (program, memory)
        compared += 1


def test_skipping_makes_long_runs_short() -> None:
    """2^14 tiles of queries, 2^24 tiles: as many steps as a few of them."""
    program = lowered(square(16), keys=1 << 14, queries=1 << 18).program
    started = time.perf_counter()
    trace = run_timing(program, MemoryModel(100, 16))
    assert time.perf_counter() - started < 5
    # 16 B a cycle: 4096 B of a tile take 256 cycles, and 2048 B of queries 128 every 1024 tiles; the rest is the ends.
    assert trace.cycles == pytest.approx((1 << 24) * (256 + 128 / 1024), rel=1e-4)


def test_a_wait_without_end_is_refused() -> None:
    """E = 64, F = 9, L = 4: the products of a tile take 254 cycles, of intervals of 82.

    With one key tile, the queries of the one two before would still be in use when the tile starts. The schedule of
    such a program is slower.
    """
    shape = square(16, e=64, f=9, stages=4, contexts=8, queue=8)
    slow, fast = (lowered(shape, e=64, f=9, keys=keys, queries=64) for keys in (16, 64))
    assert (slow.schedule.interval, fast.schedule.interval) == (127, 82)
    run_timing(slow.program, MemoryModel(10, 8))
    with pytest.raises(
        IllegalMappingError,
        match=r"^array PRODUCT must take at most 164 cycles, for then its place is taken, not 254; use a schedule with "
        r"shorter products, or longer tiles of queries$",
    ):
        check_program(replace(fast.program, keys=16))


def test_heads_whose_keys_fill_the_buffer_are_not_kept() -> None:
    """4 x 4, 16 tiles of keys, 17 of queries, p <= m <= p + 2, a buffer for 16 tiles.

    The last tile of queries has one tile of keys, which frees all when its products with values have left, an interval
    after it began or more. By then, the next head would have begun, and nothing leaves while it waits.
    """
    shape = square(4, e=4, f=4, slots=16)
    band = Band(low=0, high=2)
    one, two = (lowered(shape, e=4, f=4, keys=64, queries=68, heads=(heads, 1), band=band).program for heads in (1, 2))
    assert (one.is_resident, two.is_resident) == (True, False)
    for program in (one, two):
        run_timing(program, MemoryModel(10, 3))
    with pytest.raises(
        IllegalMappingError,
        match=r"^the buffer must have a place for the keys of the next head beside those of a head that stay, but has "
        r"16 for 16; make it larger, or read keys anew$",
    ):
        check_program(replace(two, is_resident=True))


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((-1, None), r"^latency_cycles of a memory must be at least 0, not -1$"),
        ((0, 0), r"^bytes_per_cycle of a memory must be above 0, not 0$"),
    ],
)
def test_a_memory_has_a_latency_and_a_bandwidth(numbers: tuple[int, int | None], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MemoryModel(*numbers)
