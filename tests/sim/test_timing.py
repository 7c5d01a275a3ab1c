"""Times with a memory: by hand, against the stepped model without one, and skipping against not skipping.

The array itself is the judge of the rest: tests/cosim/test_times.py compares every counter with it.
"""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from array_programs import in_blocks, lowered, mistakes, random_lowered, random_tensors, square
from random_counts import random_count

from einsum_cascade.array.program import Program
from einsum_cascade.array.program_rules import check_program
from einsum_cascade.errors import IllegalMappingError
from einsum_cascade.recognition.head_masks import Band
from einsum_cascade.sim.page_split import PageSplit
from einsum_cascade.sim.stepped import step_program
from einsum_cascade.sim.tile_walk import Job, TileWalk
from einsum_cascade.sim.timing import MemoryModel, ResourceTime, run_timing

IDEAL = None
# What `simulate` has unless told: a beat a cycle.
FAST = MemoryModel()


def test_a_slow_memory_by_hand() -> None:
    """16 x 16, E = F = 64, bf16, 8 tiles of keys; beats of 32 bytes, 8 bytes a cycle, after 100.

    A row is a burst of 4 beats, a beat takes 4 cycles. The first address is there in cycle 3, its first beat 102 later:
    one to take the address, one to send. From then on there is a beat every 4 cycles, for 16 bursts of 16 cycles are on
    their way at a time. The queries are 64 beats, a tile of keys and values 128: the first is whole after
    105 + 4 * 191 = 869, one follows every 512. The interval is 137, so that the corner, which begins at 870, waits 375
    cycles for each but the first, which the counters do not see. The last tile takes 219 cycles more, and 31 to the
    last lane: 7 * 512 + 219 + 31 = 3834. The last product leaves the corner at 870 + 7 * 512 + 218 = 4672; it is in the
    last lane 31 + 1 later, and 4 on at the drain. One divider takes 16 cycles for a word of the 16 columns: the last
    group is asked for 64 * 16 later, at 5732. 17 cycles divide it, 2 queue it, 1 takes it, 1 answers, 1 is done.
    """
    program = lowered(square(16), keys=128, queries=16).program
    trace = run_timing(program, MemoryModel(100, 8))
    assert (trace.cycles, trace.total_cycles) == (3834, 5732 + 17 + 2 + 3)
    assert (trace.stalls_keys, trace.stalls_queries, trace.stalls_drain) == (7 * 375, 0, 0)
    assert (trace.matrix_busy, trace.vector_busy) == (8 * 137, 8 * 73)
    assert (trace.read_cycles, trace.write_cycles) == (256 + 8 * 512, 64 * 8)
    assert trace.matrix_utilisation == 8 * 137 / 3834
    stalls = ("keys", 2625), ("queries", 0), ("drain", 0), ("state", 0)
    assert trace.waits == (
        ResourceTime("array", 1096, (*stalls, ("schedule", 113))),
        ResourceTime("vector row", 584, (*stalls, ("schedule", 625))),
        ResourceTime("reads", 4352, (("array", 5754 - 4352),)),
        ResourceTime("writes", 512, (("array", 5754 - 512),)),
    )


def test_a_drain_by_hand() -> None:
    """One key tile per query tile, 8 bytes a cycle: a query tile takes 137 cycles, and its results 64 * 16 = 1024.

    Both places of queries are filled first, 2 * 64 beats, then the keys, 128: the last of 256 is there at
    5 + 4 * 255 = 1025, and the corner begins at 1026. The place of queries 0 is free at 1026 + 63 + 16 + 9 = 1114. A
    row is taken a cycle later, asked for in the next, there from 1118 on, so queries 2 are complete at 1118 + 4 * 63
    and can be used at 1371, 71 cycles later than 1026 + 2 * 137. Results 0 are whole at 1026 + 218 + 32 = 1276, the
    drain takes them 4 later and has read them 1 + 1024 on, at 2305. The sums of tile 2, at 1371 + 89, wait 845. Those
    of tile 3, 137 later, wait until 2305 + 1025: 888.
    """
    program = lowered(square(16), keys=16, queries=64).program
    trace = run_timing(program, MemoryModel(0, 8))
    assert (trace.stalls_keys, trace.stalls_queries, trace.stalls_drain) == (0, 71, 845 + 888)
    assert trace.cycles == 219 + 3 * 137 + 31 + 71 + trace.stalls_drain


def test_rows_are_split_at_pages() -> None:
    """E = 40, bf16, 4 x 4: rows of 10 beats of 8 bytes, one of 51 crosses a page, and is two bursts.

    4096 = 51 * 80 + 16: the row that begins at 4080 has 2 beats before the page and 8 after it.
    """
    program = lowered(square(4, e=40, f=4), e=40, f=4, keys=52, queries=4).program
    split = PageSplit(program)
    assert not split.is_alike
    rows = [row for tile in range(13) for row in split.keys(0, tile).bursts[:4]]
    assert rows == [(2, 8) if row == 51 else (10,) for row in range(52)]
    assert split.queries(0, 0).bursts == ((10,),) * 4


def test_without_a_memory_the_schedule_is_left() -> None:
    """Reference figures: N = 16, M = 1024, one query tile: 98.7 % of issue slots with L = 1, 95.3 with 4."""
    for stages, percent in ((1, 98.7), (4, 95.3)):
        found = lowered(square(16, stages=stages, slots=64), keys=1024, queries=16)
        trace = run_timing(found.program, IDEAL)
        assert trace.cycles == found.schedule.cycles(64) + found.program.shape.depth_cycles
        # From cycle 3 on, until the kernel is through and the last lane has written what it took.
        kernel = (64 + found.program.stages - 1) * found.program.interval
        assert trace.total_cycles == 3 + max(kernel, trace.cycles - 1 + stages)
        assert round(100 * trace.matrix_utilisation, 1) == pytest.approx(percent, abs=0.15)


def test_without_a_memory_it_agrees_with_the_stepped_model(seed: int) -> None:
    random = np.random.default_rng([seed, 450])
    for _ in range(random_count(300)):
        program = random_lowered(random).program
        stepped = step_program(program, random_tensors(random, program))
        trace = run_timing(program, IDEAL)
        stalls = trace.stalls_keys, trace.stalls_queries, trace.stalls_drain + trace.stalls_state
        assert (trace.cycles, stalls) == (stepped.cycles, (0, 0, stepped.stalls))
        assert trace.cycles == sum(cycles for _, cycles in trace.waits[0].waiting) + trace.matrix_busy


def random_long_program(random: np.random.Generator) -> Program | None:
    """A program with many tiles of queries, whose keys stay in the buffer, in one block or several, or do not.

    The buffer may hold hardly more tiles than the kernel works on, so that keys wait for places.
    """
    program = random_lowered(random, 4).program
    if random.random() < 0.5:
        program = replace(program, shape=replace(program.shape, slots=int(random.integers(1, 5))))
    keys, queries, tiles = int(random.integers(1, 40)), int(random.integers(1, 600)), int(random.integers(1, 10))
    program = replace(program, keys=keys, queries=queries, is_resident=bool(random.random() < 0.5), block_tiles=None)
    program = in_blocks(program, tiles) if program.is_resident and random.random() < 0.7 else program
    stride = -(-4 * queries // program.shape.beat_bytes) * program.shape.beat_bytes
    program = replace(program, output=replace(program.output, stride_bytes=stride))
    return None if mistakes(program) else program


def test_what_repeats_is_skipped_and_changes_nothing(seed: int) -> None:
    random = np.random.default_rng([seed, 451])
    compared = 0
    while compared < random_count(600):
        program = random_long_program(random)
        if program is None:
            continue
        bandwidth = (None, 1, 3, 8, 64, Fraction(7, 2))[random.integers(6)]
        memory = MemoryModel(int(random.choice([0, 1, 10, 100])), bandwidth) if random.random() < 0.9 else IDEAL
        assert run_timing(program, memory) == run_timing(program, memory, skip=False), (program, memory)
        compared += 1


@pytest.fixture
def walked(monkeypatch: pytest.MonkeyPatch) -> list[Job | None]:
    """The tiles that the model walks over, one by one; those that it skips are not among them."""
    found: list[Job | None] = []
    take = TileWalk.take

    def noted(walk: TileWalk) -> Job | None:
        found.append(job := take(walk))
        return job

    monkeypatch.setattr(TileWalk, "take", noted)
    return found


def test_skipping_makes_long_runs_short(walked: list[Job | None]) -> None:
    """2^14 tiles of queries, 2^24 tiles: at most 16 tiles of queries are walked over, of 1024 tiles each."""
    program = lowered(square(16), keys=1 << 14, queries=1 << 18).program
    anew = replace(program, is_resident=False, block_tiles=None, state=None)
    trace = run_timing(anew, MemoryModel(100, 16))
    assert len(walked) <= 16 * 1024
    # 16 B a cycle: 4096 B of a tile take 256 cycles, and 2048 B of queries 128 every 1024 tiles; the rest is the ends.
    assert trace.cycles == pytest.approx((1 << 24) * (256 + 128 / 1024), rel=1e-4)


def test_blocks_make_memory_enough(walked: list[Job | None]) -> None:
    """The same, in 79 blocks of 13 of the 1024 tiles, the last of 10: keys are read once, 256 cycles a tile.

    Queries, 2048 B a tile, are read by every visit, 128 cycles; 66 words of running state of 16 columns, 4224 B, 264
    cycles, are written by all visits but those of the last block and read by all but those of the first. So memory
    needs much less than the array, which is held up only where drain, latency and state together take longer than the
    1370 cycles of a visit to the last block. Of the 2^14 visits of a block, at most 16 are walked over.
    """
    program = lowered(square(16), keys=1 << 14, queries=1 << 18).program
    assert [len(block.keys) for block in program.blocks] == [*78 * [13], 10]
    trace = run_timing(program, MemoryModel(100, 16))
    assert len(walked) <= 16 * 1024
    assert trace.read_cycles == 1024 * 256 + (1 << 14) * (79 * 128 + 78 * 264)
    assert trace.write_cycles == (1 << 14) * (78 * 264 + 256)
    assert trace.cycles == pytest.approx((1 << 24) * 137, rel=3e-3)


def test_rows_that_cross_pages_are_skipped_too(walked: list[Job | None]) -> None:
    """E = 48: a row of queries is 96 bytes, so 8 tiles of 16 are 3 pages, after which all is as before.

    A tile of queries has two of keys: at most four such rounds of 16 tiles are walked over.
    """
    program = lowered(square(16, e=48), e=48, keys=32, queries=1 << 18).program
    trace = run_timing(program, FAST)
    assert len(walked) <= 4 * 16
    assert trace.cycles >= 2 * (1 << 14) * program.interval
    short = replace(program, queries=1 << 12)
    assert run_timing(short, FAST) == run_timing(short, FAST, skip=False)


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
        ((-1, 8), r"^latency_cycles of a memory must be at least 0, not -1$"),
        ((0, 0), r"^bytes_per_cycle of a memory must be a number above 0, not 0$"),
        ((0, float("nan")), r"^bytes_per_cycle of a memory must be a number above 0, not nan$"),
        ((0, float("inf")), r"^bytes_per_cycle of a memory must be a number above 0, not inf$"),
    ],
)
def test_a_memory_has_a_latency_and_a_bandwidth(numbers: tuple[int, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MemoryModel(*numbers)
