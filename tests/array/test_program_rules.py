"""The checker refuses every kernel that computes something else: each rule broken by hand, then anything at random."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from array_programs import in_blocks, lowered, random_lowered, random_tensors, square
from random_counts import mode, random_count

from einsum_cascade.array.instruction import NOTHING, PASSES, Field, MatrixOp, Row, VectorOp
from einsum_cascade.array.program import Layout, Program
from einsum_cascade.array.program_rules import check_program
from einsum_cascade.errors import IllegalMappingError
from einsum_cascade.sim.stepped import step_program

PROGRAM = lowered(square(4, e=8, f=8), e=8, f=8, keys=32, queries=8).program
PRODUCT = lowered(square(4, e=8, f=8), "product", e=8, keys=32, queries=8).program
SOFTMAX = lowered(square(4, e=8, f=8), "softmax", e=8, keys=32, queries=8).program
"""Intervals of 25 and 12; the first has QK at 0 to 23, SUM at 37 and COMBINE from 38 to 45."""


def changed(program: Program, change: Callable[[Row], Row | None]) -> Program:
    """Every row that is changed to another, or to none."""
    return replace(program, kernel=tuple(change(row) or Row() for row in program.kernel))


def without(op: MatrixOp | VectorOp, index: int | None = None) -> Callable[[Row], Row]:
    half = "matrix" if isinstance(op, MatrixOp) else "vector"

    def change(row: Row) -> Row:
        field = getattr(row, half)
        return replace(row, **{half: NOTHING}) if field.op == op and index in (None, field.index) else row

    return change


def later(op: MatrixOp | VectorOp) -> Callable[[Row], Row]:
    """An operation a stage later."""
    half = "matrix" if isinstance(op, MatrixOp) else "vector"

    def change(row: Row) -> Row:
        field = getattr(row, half)
        return replace(row, **{half: replace(field, stage=field.stage + 1)}) if field.op == op else row

    return change


def in_passes(op: MatrixOp | VectorOp, passes: int) -> Callable[[Row], Row]:
    """An operation in other passes."""
    half = "matrix" if isinstance(op, MatrixOp) else "vector"

    def change(row: Row) -> Row:
        field = getattr(row, half)
        return replace(row, **{half: replace(field, passes=passes)}) if field.op == op else row

    return change


def both(first: Callable[[Row], Row], second: Callable[[Row], Row]) -> Callable[[Row], Row]:
    return lambda row: second(first(row))


def messages(program: Program) -> str:
    with pytest.raises(IllegalMappingError) as caught:
        check_program(program)
    return str(caught.value)


def test_a_lowered_program_is_legal() -> None:
    assert check_program(PROGRAM) is PROGRAM
    assert check_program(PRODUCT) is PRODUCT


IN_BLOCKS = in_blocks(PROGRAM, 3)
"""8 key tiles in blocks of 3, 3 and 2, for two query tiles."""


def test_a_program_over_blocks_is_legal() -> None:
    assert check_program(IN_BLOCKS) is IN_BLOCKS
    assert check_program(in_blocks(PRODUCT, 3))


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (
            replace(IN_BLOCKS, is_resident=False),
            "the keys of a block must stay in the buffer for all queries; say so, or have no blocks",
        ),
        (
            in_blocks(SOFTMAX, 3),
            "a program with blocks of keys must go over them once, not 3 times; read keys anew",
        ),
        (
            replace(IN_BLOCKS, state=None),
            "a program with running state between blocks must have a place for it in memory; give it a layout",
        ),
        (
            replace(IN_BLOCKS, block_tiles=0),
            "tiles of a block of a program must be at least 1, not 0; set the extent",
        ),
        (
            replace(IN_BLOCKS, state=Layout(4, 8, 512)),
            "the address of state must be whole beats of 8 bytes, not 4; round it up\n"
            "the stride of state must be at least 32 bytes, not 8; make it so",
        ),
        (
            # Two query tiles with m <= p have two key tiles.
            replace(IN_BLOCKS, diagonal_high=0),
            "\n".join(
                f"a block must have keys for a tile of queries, but all keys of its tiles {tiles} are masked; leave "
                "them out, or read keys anew"
                for tiles in ("3 to 5", "6 to 7")
            ),
        ),
        (
            replace(IN_BLOCKS, shape=replace(PROGRAM.shape, slots=2)),
            "the buffer must hold 3 tiles of keys and values, not 2; make it larger",
        ),
        (
            # m >= p + 4: the last query tile of a block has one key tile; when it frees it, the next block has begun.
            replace(
                in_blocks(PROGRAM, 2),
                shape=replace(PROGRAM.shape, slots=2),
                keys=16,
                queries=8,
                diagonal_low=4,
            ),
            "the buffer must have a place for the keys of the next block beside those of a block that stay, but has "
            "2 for 2; make it larger, or read keys anew",
        ),
        (
            # 8 x 8, E = 1: a maximum is long before the last product, and one query tile is soon in the next block.
            in_blocks(lowered(square(8, e=1, f=8), e=1, f=8, keys=32, queries=8).program, 2),
            "from taking a maximum to the last result a tile must take at most 18 cycles, for then its running state "
            "is needed in the next block, not 35; use other blocks, or read keys anew",
        ),
    ],
)
def test_a_rule_of_blocks_is_told(program: Program, message: str) -> None:
    assert messages(program) == message


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (
            replace(PROGRAM, kernel=PROGRAM.kernel * 200),
            "rows of the kernel of a program must be from 1 to 4096, not 5000; use a larger array or a smaller tile",
        ),
        (
            replace(PROGRAM, contexts=0, queue=9, key_heads=0),
            "contexts of a program must be from 1 to 3, not 0; use a larger array or a smaller tile\n"
            "queue entries of a program must be from 1 to 3, not 9; use a larger array or a smaller tile\n"
            "heads of a program must be at least 1, not 0; set the extent",
        ),
        (
            replace(PROGRAM, keys=68),
            "the buffer must hold 17 tiles of keys and values, not 16; make it larger",
        ),
        (
            replace(PROGRAM, value=Layout(4, 8, 512)),
            "the address of value must be whole beats of 8 bytes, not 4; round it up\n"
            "the stride of value must be at least 16 bytes, not 8; make it so",
        ),
        (
            changed(PROGRAM, without(MatrixOp.PRODUCT, 7)),
            "array PRODUCT must have slots 0 to 7 in order, each once, not [0, 1, 2, 3, 4, 5, 6]",
        ),
        (
            changed(PROGRAM, without(VectorOp.CORRECTION)),
            "lane CORRECTION must have slots 0 to 6 in order, each once, not []",
        ),
        (
            changed(PROGRAM, without(VectorOp.MAXIMUM)),
            "lane MAXIMUM must have slots 0 to 0 in order, each once, not []\n"
            "row 24 must have lane MAXIMUM with its index, stage and passes, for what array MAXIMUM sends; correct it",
        ),
        (
            changed(PROGRAM, both(later(MatrixOp.MAXIMUM), later(VectorOp.MAXIMUM))),
            "array EXPONENTIAL must start at least 6 cycles after array MAXIMUM ends, not -19\n"
            "lane CORRECTION must start at least 1 cycles after lane MAXIMUM ends, not -24",
        ),
        (
            changed(PROGRAM, both(later(MatrixOp.SUM), later(VectorOp.DENOMINATOR))),
            "array SUM must be before the last result is there, and results leave, not at cycle 62\n"
            "a score must live at most 50 cycles (2 of 25), not 63\n"
            "a correction must live at most 25 cycles (1 of 25), not 39",
        ),
        (
            changed(PROGRAM, later(VectorOp.DENOMINATOR)),
            "row 12 must have lane DENOMINATOR or ADD_DENOMINATOR with its index, stage and passes, for what array SUM "
            "sends; correct it",
        ),
        (replace(PROGRAM, contexts=1), "a score must live at most 25 cycles (1 of 25), not 46"),
        (replace(PROGRAM, value=None), "a program whose kernel has no array OUT must have values; change their layout"),
        (
            replace(PRODUCT, has_tile_results=False, is_divided=True, output_steps=3),
            "a program whose kernel has array OUT must have the flag of tile results, but has it otherwise\n"
            "a program whose kernel has array OUT must have an output step for each of 4 rows, not 3\n"
            "a program must not have its results divided if its kernel has no sums",
        ),
        (
            changed(SOFTMAX, in_passes(MatrixOp.EXPONENTIAL, 0b111)),
            "\n".join(
                f"array EXPONENTIAL must not be in the passes that row {row} says, of 3; correct it"
                for row in (*range(14, 21),)
            ),
        ),
        (
            changed(PRODUCT, both(later(MatrixOp.PRODUCT), later(MatrixOp.PRODUCT))),
            "array OUT must start at least 1 cycles after array PRODUCT ends, not -23",
        ),
    ],
)
def test_a_broken_rule_is_told(program: Program, message: str) -> None:
    assert messages(program) == message


def test_slots_of_a_chain_keep_their_distance() -> None:
    """L = 2: QK takes every other row; with the second one row earlier it would miss the first one's sum."""
    program = lowered(square(4, e=4, f=8, stages=2), e=4, f=8, keys=8, queries=8).program
    rows = list(program.kernel)
    assert [row.matrix.index for row in rows[:3] if row.matrix.op == MatrixOp.PRODUCT] == [0, 1]
    rows[1], rows[2] = replace(rows[1], matrix=rows[2].matrix), replace(rows[2], matrix=rows[1].matrix)
    assert "slots of array PRODUCT must be at least 2 cycles apart, but" not in messages(
        replace(program, kernel=(*rows,))
    )
    assert "slots of array PRODUCT must be at least 2 cycles apart, not 1" in messages(
        replace(program, kernel=(*rows,))
    )


def mutated(random: np.random.Generator, program: Program) -> Program | None:
    """One field, or both of a row, moved by a row or a stage, dropped, doubled, or with another index or pass."""
    rows = list(program.kernel)
    half = str(random.choice(["matrix", "vector", "both"]))
    halves = ("matrix", "vector") if half == "both" else (half,)
    at, to, step = int(random.integers(len(rows))), int(random.integers(len(rows))), int(random.choice([-1, 1]))
    pass_number = 1 << int(random.integers(PASSES))
    kind = random.integers(7)
    for name in halves:
        field: Field = getattr(rows[at], name)
        if not field.op:
            continue
        match kind:
            case 0:
                stage, row = divmod(at + step, len(rows))
                rows[at] = replace(rows[at], **{name: getattr(rows[row], name) if random.random() < 0.5 else NOTHING})
                rows[row] = replace(rows[row], **{name: replace(field, stage=field.stage + stage)})
            case 1:
                rows[at] = replace(rows[at], **{name: replace(field, stage=field.stage + step)})
            case 2:
                rows[at] = replace(rows[at], **{name: NOTHING})
            case 3:
                rows[to] = replace(rows[to], **{name: field})
            case 4:
                rows[at] = replace(rows[at], **{name: NOTHING})
                rows[to] = replace(rows[to], **{name: field})
            case 5:
                rows[at] = replace(rows[at], **{name: replace(field, index=field.index + step)})
            case _:
                rows[at] = replace(rows[at], **{name: replace(field, passes=field.passes ^ pass_number)})
    is_word = all(f.index >= 0 and f.stage >= 0 for row in rows for f in (row.matrix, row.vector))
    return replace(program, kernel=tuple(rows)) if is_word and tuple(rows) != program.kernel else None


def loosened(random: np.random.Generator, program: Program) -> Program:
    """With empty rows here and there, so that some slots have room around them."""
    rows = list(program.kernel)
    for _ in range(int(random.integers(0, 8))):
        rows.insert(int(random.integers(len(rows) + 1)), Row())
    other = replace(program, kernel=tuple(rows))
    return other if is_legal(other) else program


def is_legal(program: Program) -> bool:
    try:
        return check_program(program) is program
    except IllegalMappingError:
        return False


def test_what_is_not_refused_computes_the_same(seed: int) -> None:
    random = np.random.default_rng([seed, 420])
    accepted = 0
    for _ in range(random_count(300)):
        program = loosened(random, random_lowered(random, 4).program)
        tensors = random_tensors(random, program, 3)
        expected = step_program(program, tensors).results
        for _ in range(30 if mode() == "quick" else 100):
            other = mutated(random, program)
            if other is None or not is_legal(other):
                continue
            accepted += 1
            found = step_program(other, tensors).results
            assert np.array_equal(found.output.view(np.uint32), expected.output.view(np.uint32)), other.kernel
            assert found.empty_columns == expected.empty_columns
    # If none were, this test would say nothing.
    assert accepted > 10
