"""The kernel table: which slots a tile has, when, and the interval that they fit into.

Source: docs/decisions/0006-the-array-and-its-program.md; slots of FuseMax (arXiv 2406.10491), Sec. V.
"""

from dataclasses import replace
from itertools import product

import pytest
from array_programs import lowered, square
from random_counts import mode

from einsum_cascade.arch.fusemax import contexts_for
from einsum_cascade.array.instruction import MatrixOp, VectorOp, decode, encode
from einsum_cascade.errors import InfeasibleMappingError
from einsum_cascade.lowering.kernel import kernel_of, tile_graph
from einsum_cascade.recognition.patterns import KERNELS
from einsum_cascade.schedule.modulo import modulo_schedule
from einsum_cascade.schedule.replay import check_schedule

ATTENTION = next(kernel for kernel in KERNELS if kernel.name == "attention")
SIZES = (8, 16, 64, 128)
ROWS = (4, 8, 16, 32, 64, 128, 256) if mode() != "quick" else (4, 16, 256)


def test_the_attention_tile_by_hand() -> None:
    """E = F = 64, N = 16, L = 1.

    QK takes 0..63, LM 64. The maximum passes 16 rows and is back 2 cycles later: the subtraction is at 64 + 16 + 2 = 82
    and six slots follow, 83..88. SLD at 89. SLNV has 47 slots in 90..136; then QK and LM of the next tile take
    137..201, so that the last 17 are at 202..218: free are rows 65..81. One tile takes 219 cycles, 64 + 1 + 7 + 1 + 64
    = 137 of them the array's, which is the interval. Scores live for 219 cycles, so in two contexts.
    """
    found = lowered(square(16))
    program, schedule = found.program, found.schedule
    assert (schedule.interval, schedule.latency_cycles, schedule.proof) == (137, 219, "bound")
    assert (program.interval, program.stages, program.contexts, program.queue) == (137, 2, 2, 2)
    matrix = [(row.matrix.op, row.matrix.index, row.matrix.stage) for row in program.kernel]
    assert matrix == [
        *((MatrixOp.PRODUCT, index, 0) for index in range(64)),
        (MatrixOp.MAXIMUM, 0, 0),
        *((MatrixOp.COMBINE, 47 + index, 1) for index in range(17)),
        *((MatrixOp.EXPONENTIAL, index, 0) for index in range(7)),
        (MatrixOp.SUM, 0, 0),
        *((MatrixOp.COMBINE, index, 0) for index in range(47)),
    ]
    rides = {
        MatrixOp.MAXIMUM: VectorOp.MAXIMUM,
        MatrixOp.SUM: VectorOp.DENOMINATOR,
        MatrixOp.COMBINE: VectorOp.NUMERATOR,
    }
    for row in program.kernel:
        if row.matrix.op in rides:
            ride = replace(row.matrix, op=rides[MatrixOp(row.matrix.op)])
            assert row.vector == ride
    corrections = [at for at, row in enumerate(program.kernel) if row.vector.op == VectorOp.CORRECTION]
    assert len(corrections) == 7
    # The correction needs the maximum of the cycle before, and is there before the sum that it corrects.
    assert 64 < corrections[0] < corrections[-1] < 89


def test_the_matrix_product_by_hand() -> None:
    """E = 5, N = 4, L = 2: products at 0, 2, 4, 6, 8; a row's scores leave from 10 on. 5 + 4 = 9 slots, odd: between
    them fit the rows 1, 3, 5, 7 of the interval of 9, at 10, 12, 14 and 16, so that a tile takes 17 cycles."""
    found = lowered(square(4, e=5, f=4, stages=2), "product", e=5, keys=8, queries=4)
    assert (found.schedule.interval, found.schedule.latency_cycles) == (9, 17)
    assert [
        (at, row.matrix.index, row.matrix.stage) for at, row in enumerate(found.program.kernel) if row.vector.op
    ] == [
        (1, 0, 1),
        (3, 1, 1),
        (5, 2, 1),
        (7, 3, 1),
    ]
    assert found.program.output_steps == 4


@pytest.mark.parametrize("stages", [1, 2, 3, 4])
def test_the_interval_is_e_plus_f_plus_9(stages: int) -> None:
    """For N from 4 to 256 and E, F from 8 to 128, with FuseMax's contexts and at most one more."""
    for rows, e, f in product(ROWS, SIZES, SIZES):
        contexts = contexts_for(rows, e=e, f=f, stages=stages)
        if contexts + 1 > 64:
            continue
        for count in (contexts, contexts + 1):
            shape = square(rows, e=e, f=f, stages=stages, contexts=count, queue=count)
            graph = tile_graph(kernel_of(ATTENTION, shape, e, f), shape)
            found = modulo_schedule(graph)
            if found.interval == e + f + 9:
                break
        assert (found.interval, found.proof, check_schedule(graph, found)) == (e + f + 9, "bound", ())


@pytest.mark.parametrize("stages", [1, 2, 3, 4])
def test_the_interval_of_tiny_tiles(stages: int) -> None:
    """max(E + F + 9, 6 L + 1): there is one set of temporaries for the subtraction and six slots, L apart."""
    for e, f in product((1, 2, 3, 6, 9), repeat=2):
        found = lowered(square(4, e=e, f=f, stages=stages, contexts=6, queue=6), e=e, f=f).schedule
        assert (found.interval, found.proof) == (max(e + f + 9, 6 * stages + 1), "bound")


@pytest.mark.parametrize("stages", [1, 2, 3, 4])
@pytest.mark.parametrize("rows", [2, 5, 16, 64])
def test_the_interval_of_a_matrix_product(rows: int, stages: int) -> None:
    """E products and a slot for each row."""
    for e in (1, 7, 64):
        shape = square(rows, e=e, f=rows, stages=stages, contexts=32, queue=1)
        found = lowered(shape, "product", e=e).schedule
        assert (found.interval, found.proof) == (e + rows, "bound")


def test_fewer_contexts_are_taken_where_they_do() -> None:
    """An array with contexts for larger tiles runs a small one in as few, and as soon, as one made for it."""
    assert [lowered(square(16, contexts=count)).schedule.latency_cycles for count in (2, 3, 8)] == [219] * 3


def test_a_tile_beyond_the_array_is_refused() -> None:
    with pytest.raises(
        InfeasibleMappingError,
        match=r"^operands of a key must be at most 64 operands, not 65 operands; generate the array for 65\n"
        r"operands of a value must be at most 64 operands, not 66 operands; generate the array for 66$",
    ):
        lowered(square(16), e=65, f=66)


def test_the_program_does_not_grow_with_its_loops() -> None:
    """2^14 times the keys: the same kernel, and numbers in registers."""
    small, large = (lowered(square(16), keys=keys, queries=keys, heads=(3, 2)).program for keys in (64, 64 << 14))
    assert small.kernel == large.kernel
    assert small.registers.keys() == large.registers.keys()
    assert all(value < 1 << 32 for name, value in large.registers.items() if not name.endswith(("address", "stride")))


def test_words_of_the_kernel() -> None:
    for row in lowered(square(16, stages=4)).program.kernel:
        for field in (row.matrix, row.vector):
            assert decode(encode(field)) == field
