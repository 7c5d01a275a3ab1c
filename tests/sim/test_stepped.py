"""The two models of values agree to the bit, and the stepped one with the schedule to the cycle.

Rule: docs/decisions/0006-the-array-and-its-program.md, "A PE" and "The corner". The models share the arithmetic only.
"""

import numpy as np
import pytest
from array_programs import lowered, random_lowered, random_tensors, square
from random_counts import draw_seed, mode, random_count

from einsum_cascade.array.instruction import VectorOp
from einsum_cascade.array.program import Program
from einsum_cascade.recognition.head_masks import Band
from einsum_cascade.sim.program_values import Results, evaluate_program
from einsum_cascade.sim.stepped import step_program


def tiles_of(program: Program) -> int:
    return sum(1 for _ in program.tiles())


def assert_equal(found: Results, expected: Results) -> None:
    assert np.array_equal(found.output.view(np.uint32), expected.output.view(np.uint32))
    assert found.empty_columns == expected.empty_columns


def test_a_tile_by_hand() -> None:
    """2 x 2, E = F = 1, L = 1, one tile.

    QK at 0, LM at 1; the maximum is back at 1 + 2 + 2 = 5 cycles after the first, so exponential slots are 5..10 and,
    as 11 and 12 are those of the next tile's QK and LM, at 13; SLD at 14, SLNV at 15: 16 cycles at the corner, and 3 to
    the last lane. Scores are 1, 2 and 2, 4: the weight of the first key is exp(-1), exp(-2), and that of the second 1.
    """
    found = lowered(square(2, e=1, f=1), e=1, f=1, keys=2, queries=2)
    tensors = {"query": np.array([[[1], [2]]]), "key": np.array([[[1], [2]]]), "value": np.array([[[1], [3]]])}
    stepped = step_program(found.program, tensors)
    assert (found.schedule.interval, found.schedule.latency_cycles) == (11, 16)
    assert (stepped.cycles, stepped.stalls) == (16 + 3, 0)
    first = np.exp(-np.array([1.0, 2.0]))
    assert stepped.results.output[0, 0] == pytest.approx((first + 3) / (first + 1), rel=4e-3)
    assert_equal(stepped.results, evaluate_program(found.program, tensors))


def words_without_keys(program: Program) -> int:
    """The words that leave of queries without a key, by the masks alone; none where nothing is divided."""
    empty = 0
    for tile in program.tiles():
        if program.is_divided and tile.ends_result and not tile.spills:
            first = tile.key_tile * program.shape.rows
            rows = min(program.shape.rows, program.keys - first) if program.has_tile_results else program.output_steps
            p = range(tile.query_tile * program.shape.columns, (tile.query_tile + 1) * program.shape.columns)
            empty += rows * sum(not has_key(program, query) for query in p if query < program.queries)
    return empty


def has_key(program: Program, query: int) -> bool:
    """Whether a query has one of the keys."""
    low = 0 if program.diagonal_low is None else max(0, query + program.diagonal_low)
    high = program.keys - 1 if program.diagonal_high is None else min(program.keys - 1, query + program.diagonal_high)
    return low <= high


def test_rows_of_padding_are_not_counted() -> None:
    """4 x 4, 5 keys, 8 queries that have keys p - 1 and p: queries 6 and 7 have none of 0..4.

    Their tile goes over both key tiles, of four rows and of one: 2 queries of 5 words each.
    """
    found = lowered(square(4, e=3, f=2), "softmax", e=3, f=1, keys=5, queries=8, band=Band(high=0, low=-1))
    tensors = random_tensors(np.random.default_rng(0), found.program)
    assert words_without_keys(found.program) == 10
    assert evaluate_program(found.program, tensors).empty_columns == 10
    assert step_program(found.program, tensors).results.empty_columns == 10


def test_words_of_queries_without_keys_are_counted_for_every_kernel() -> None:
    random, seen, drawn = np.random.default_rng(draw_seed()), set[bool](), 0
    while drawn < random_count(600) or seen != {False, True}:
        drawn += 1
        found = random_lowered(random)
        tensors = random_tensors(random, found.program)
        expected = words_without_keys(found.program)
        # Sums of linear attention may be 0 by themselves, which no mask says.
        if all(row.vector.op != VectorOp.ADD_DENOMINATOR for row in found.program.kernel):
            assert evaluate_program(found.program, tensors).empty_columns == expected
        seen |= {found.program.has_tile_results} if expected else set()


def test_results_that_are_not_whole_are_not_written_over() -> None:
    """16 x 16, E = F = 1, one key tile a query tile, four query tiles.

    The interval is 11, sums leave at 28, products at 29, and are whole in the last lane: 29 + 31 + 1 = 61.
    The sum of query tile 2 goes where that of 0 is and could leave at 28 + 22 = 50: 11 stalls. Then that of 3 is due at
    72, when those of 1 are whole: 29 + 11 + 32 = 72.
    """
    found = lowered(square(16, e=1, f=1), e=1, f=1, keys=16, queries=64)
    assert (found.schedule.interval, found.schedule.starts("sum"), found.schedule.starts("combine")) == (
        11,
        (28,),
        (29,),
    )
    tensors = random_tensors(np.random.default_rng(0), found.program)
    stepped = step_program(found.program, tensors)
    assert (stepped.cycles, stepped.stalls) == (30 + 3 * 11 + 11 + 31, 11)
    assert_equal(stepped.results, evaluate_program(found.program, tensors))


def test_a_stall_costs_its_own_cycle_and_no_value() -> None:
    """Cycles 3, 4 and 90 are inside the 219 + 137 cycles of two tiles at the corner, 400 is not."""
    found = lowered(square(16), keys=32, queries=16)
    program = found.program
    tensors = random_tensors(np.random.default_rng(1), program)
    plain, stalled = (step_program(program, tensors, frozenset(at)) for at in ((), (3, 4, 90, 400)))
    assert plain.cycles == 219 + 137 + program.shape.depth_cycles
    assert (stalled.cycles, stalled.stalls) == (plain.cycles + 3, 3)
    assert_equal(stalled.results, plain.results)


def test_a_stall_lets_no_later_maximum_overtake() -> None:
    """8 x 8, L = 4, E = F = 1: a tile every 25 cycles, but a maximum is back only 4 x 8 + 2 = 34 cycles after it left.

    So the next tile's maximum is on its way when a tile is subtracted. A stall between the two keeps the subtraction
    back, and not the maximum; each tile is subtracted its own one, wherever the stall is and however long.
    """
    found = lowered(square(8, stages=4, contexts=6, queue=6), e=1, f=1, keys=40, queries=8)
    program = found.program
    maximum, subtract = (found.schedule.starts(name)[0] for name in ("maximum", "subtract"))
    assert maximum + program.interval < subtract, "the next maximum leaves before this tile is subtracted"
    tensors = random_tensors(np.random.default_rng(2), program, 4)
    expected = evaluate_program(program, tensors)
    for start in range(0, 4 * program.interval, 3 if mode() != "quick" else 7):
        for length in (1, 40):
            assert_equal(step_program(program, tensors, frozenset(range(start, start + length))).results, expected)


@pytest.mark.parametrize("part", range(4))
def test_random_programs(seed: int, part: int) -> None:
    """Any kernel, array, mask, grouping and format; and a random half of the programs with random stalls."""
    random = np.random.default_rng([seed, 400 + part])
    for _ in range(random_count(250)):
        found = random_lowered(random)
        program = found.program
        tensors = random_tensors(random, program, float(random.choice([0.3, 1, 4])))
        expected = evaluate_program(program, tensors)
        plain = step_program(program, tensors)
        assert_equal(plain.results, expected)
        without_stalls = found.schedule.cycles(tiles_of(program)) + program.shape.depth_cycles
        assert plain.cycles == without_stalls + plain.stalls
        if random.random() < 0.5:
            stalls = frozenset(int(at) for at in random.integers(0, plain.cycles, int(random.integers(1, 40))))
            stalled = step_program(program, tensors, stalls)
            assert_equal(stalled.results, expected)
            assert stalled.cycles == without_stalls + stalled.stalls
            assert stalled.stalls <= plain.stalls + len(stalls)
