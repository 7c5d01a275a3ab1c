"""Row feeder, column top, lane and delay play sequences, compared with tables made by hand."""

import struct
from math import e, log2

import pytest
from played import play

from einsum_cascade.array.instruction import MatrixOp, VectorOp
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl.column import ColumnTop
from einsum_cascade.rtl.delay import Delay
from einsum_cascade.rtl.feeder import RowFeeder
from einsum_cascade.rtl.lane import VectorLane
from einsum_cascade.rtl.links import StateWord


def single(value: float) -> int:
    return struct.unpack("<I", struct.pack("<f", value))[0]


def beat(*values: float) -> int:
    """bf16 operands, the first one in the lowest bits."""
    return sum(single(value) >> 16 << 16 * at for at, value in enumerate(values))


def shape(stages: int) -> ArrayShape:
    # Beats of 8 bytes hold 4 operands: operand 5 is the second one of beat 1.
    return ArrayShape(4, 4, stages=stages, product_steps=8, output_steps=6, slots=2, queue=3, contexts=4)


@pytest.mark.parametrize("stages", [1, 4, 8])
def test_feeder_reads_and_sends(stages):
    # The beat is written in cycle 0, read from cycle 1 on, and there two cycles later.
    product = {"op": MatrixOp.PRODUCT, "address": 5, "is_first": 1, "rows": 1, "high": 3, "context": 2}
    rows = [{"write_enable": 1, "write_address": 1, "write_data": beat(1, 2, 3, 4)}, {"above": product}]
    rows += [{"above": {**product, "address": 7, "is_first": 0}}, *[{}] * 6]
    outputs = ["right.op", "right.operand", "right.flag", "right.context", "right.low", "right.high", "below.op"]
    played = play(RowFeeder(shape(stages)), rows, outputs)
    assert played[3][:6] == (MatrixOp.PRODUCT, beat(2), 1, 2, 0, 3)
    assert played[4][:6] == (MatrixOp.PRODUCT, beat(4), 0, 2, 0, 3)
    assert [values[0] for values in played] == [0, 0, 0, 1, 1, 0, 0, 0, 0]
    assert [values[6] for values in played] == [int(at - stages in (1, 2)) for at in range(9)]


# For 4 columns: low, high, rows of the instruction; low and high of this row; low, high and rows of the next row.
BOUNDS = [
    ((0, 4, 4), (0, 4), (1, 4, 3)),
    ((-4, -3, 4), (0, 0), (-3, -2, 3)),
    ((-1, 1, 2), (0, 1), (0, 2, 1)),
    ((2, 4, 1), (2, 4), (3, 4, 0)),
    ((4, 4, 4), (4, 4), (4, 4, 3)),
    ((0, 4, 0), (4, 4), (1, 4, 0)),
]


@pytest.mark.parametrize(("given", "here", "below"), BOUNDS)
def test_feeder_bounds(given, here, below):
    word = dict(zip(("low", "high", "rows"), given, strict=True))
    outputs = ["right.low", "right.high", "below.low", "below.high", "below.rows"]
    played = play(RowFeeder(shape(1)), [{"above": {"op": MatrixOp.PRODUCT, **word}}, {}, {}], outputs)
    signed = [value - 32 if value >= 16 else value for value in played[1][2:4]]
    assert (*signed, played[1][4]) == below
    assert played[2][:2] == here


def test_feeder_selects_the_row_of_out():
    rows = [{"above": {"op": MatrixOp.OUT, "row": row, "is_first": 1}} for row in (0, 1, 3)]
    played = play(RowFeeder(shape(1)), [*rows, {}, {}], ["right.flag", "below.row"])
    assert [flag for flag, _ in played[2:]] == [1, 0, 0]
    assert [row for _, row in played[1:4]] == [3, 0, 2]


def test_column_top():
    # Two cycles to `down`, one to `right`; the maximum is that of the cycle before `down`.
    words = [
        {"op": MatrixOp.PRODUCT, "address": 13},
        {"op": MatrixOp.MAXIMUM},
        {"op": MatrixOp.EXPONENTIAL, "slot": 0},
        {"op": MatrixOp.EXPONENTIAL, "slot": 1},
        {"op": MatrixOp.EXPONENTIAL, "slot": 2},
        {"op": MatrixOp.EXPONENTIAL, "slot": 4},
        {"op": MatrixOp.SUM},
    ]
    # Of a narrow multiplier: the low piece of the difference times the high one of the factor, then the other way.
    factors = {"factor_high": single(0.75), "factor_low": single(-0.125)}
    rows = [{"write_enable": 1, "write_address": 3, "write_data": beat(1, -2, 3, 4)}]
    rows += [{"left": word, "maximum": single(at), **factors} for at, word in enumerate([*words, {}, {}])]
    played = play(ColumnTop(shape(1)), rows, ["down", "right.op"])
    expected = [single(-2.0), 0xFF7FFFFF, single(3.0), single(0.75), single(-0.125), 0, 0]
    assert [down for down, _ in played[3:]] == expected
    assert [op for _, op in played[2:9]] == [word["op"] for word in words]


def lane_rows(steps: list[tuple[dict, float]], stages: int) -> list[dict]:
    """An instruction, and a cycle later, when it is executed, what arrives; L cycles between two."""
    rows: list[dict] = [{"factor": single(log2(e))} for _ in range(stages * len(steps) + stages + 3)]
    for at, (word, arriving) in enumerate(steps):
        rows[stages * at]["left"] = word
        rows[stages * at + 1]["arriving"] = single(arriving)
    return rows


@pytest.mark.parametrize("stages", [1, 4, 8])
def test_lane(stages):
    """Two key tiles of a query tile: maxima 1 and 1, so the correction is 1; sums 3 + 4, words 5 + 6."""
    tile = {"queue": 2, "parity": 1, "sum_parity": 0}
    first, last = {**tile, "is_first": 1}, {**tile, "captures": 1}
    correction = [({**last, "op": VectorOp.CORRECTION, "index": slot}, 9.0) for slot in range(7)]
    steps = [
        ({**first, "op": VectorOp.MAXIMUM}, 1.0),
        ({**first, "op": VectorOp.DENOMINATOR}, 3.0),
        ({**first, "op": VectorOp.NUMERATOR, "index": 5}, 5.0),
        ({**first, "op": VectorOp.NUMERATOR, "index": 0}, 2.5),
        ({**last, "op": VectorOp.MAXIMUM}, -2.0),
        *correction,
        ({**last, "op": VectorOp.DENOMINATOR}, 4.0),
        ({**last, "op": VectorOp.ADD, "index": 0}, 0.25),
        ({**last, "op": VectorOp.NUMERATOR, "index": 5, "is_done": 1}, 6.0),
    ]
    rows = lane_rows(steps, stages)
    done = stages * (len(steps) - 1) + 1 + stages
    rows = [*rows[:done], {"drain_address": 1 | 5 << 1}, {"drain_address": 1}, {"drain_parity": 1}, {}]
    rows[done - stages]["arriving"] = single(6.0)
    rows = [{**row, "maximum_queue": tile["queue"]} for row in rows]
    played = play(VectorLane(shape(stages)), rows, ["maximum", "is_done", "drain_word", "drain_sum", "right.op"])
    # Executed in cycle 1, the maximum is in the tile's entry in cycle 2.
    assert [played[at][0] for at in (1, 2)] == [0, single(1.0)]
    assert [at for at, values in enumerate(played) if values[1]] == [done]
    assert [played[done + 1][2:4], played[done + 2][2:4]] == [
        (single(11.0), single(7.0)),
        (single(2.75), single(7.0)),
    ]
    # The other captured sum was never written.
    assert played[done + 3][3] == 0
    assert [values[4] for values in played[:2]] == [0, VectorOp.MAXIMUM]


@pytest.mark.parametrize("stages", [1, 4, 8])
def test_lane_starts_from_the_lowest_number_and_corrects(stages):
    # old = 0, new = 2: the sum 8 becomes 8 exp(-2) + 1.
    tile = {"queue": 0, "parity": 0, "sum_parity": 0}
    steps = [
        ({**tile, "op": VectorOp.MAXIMUM, "is_first": 1}, -3e38),
        ({**tile, "op": VectorOp.MAXIMUM}, 0.0),
        ({**tile, "op": VectorOp.ADD_DENOMINATOR, "is_first": 1}, 8.0),
        ({**tile, "op": VectorOp.MAXIMUM}, 2.0),
        *(({**tile, "op": VectorOp.CORRECTION, "index": slot}, 9.0) for slot in range(7)),
        ({**tile, "op": VectorOp.DENOMINATOR, "captures": 1}, 1.0),
    ]
    rows = [*lane_rows(steps, stages), {}, {}]
    played = play(VectorLane(shape(stages)), rows, ["maximum", "drain_sum"])
    assert played[2][0] == single(-3e38)
    value = struct.unpack("<f", struct.pack("<I", played[-1][1]))[0]
    assert abs(value / 2.0826822658929 - 1) < 4.3e-6


@pytest.mark.parametrize("stages", [1, 4, 8])
def test_lane_goes_on_with_what_comes_back(stages):
    """Maximum 2, sum 3 and word 5 of bank 1 come back as 2, 3 and 7. A tile of maximum 1 leaves the correction 1.

    Its sum 4 makes 7, its word 6 makes 13. Bank 0, whose words were to be 1.5 and 2.5, is as it was filled.
    """
    fills = [
        (0, StateWord.ACCUMULATOR, 5, 1.5),
        (0, StateWord.SUM, 0, 2.5),
        (1, StateWord.ACCUMULATOR, 5, 7.0),
        (1, StateWord.SUM, 0, 3.0),
        (1, StateWord.MAXIMUM, 0, 2.0),
    ]
    filled = [
        {"fill_enable": 1, "fill_kind": kind, "fill_address": bank | word << 1, "fill_data": single(value)}
        for bank, kind, word, value in fills
    ]
    tile = {"queue": 1, "parity": 1, "sum_parity": 1, "captures": 1, "restores": 1}
    steps = [
        ({**tile, "op": VectorOp.MAXIMUM}, 1.0),
        *(({**tile, "op": VectorOp.CORRECTION, "index": slot}, 9.0) for slot in range(7)),
        ({**tile, "op": VectorOp.DENOMINATOR}, 4.0),
        ({**tile, "op": VectorOp.NUMERATOR, "index": 5}, 6.0),
    ]
    read = [
        {"drain_address": bank | 5 << 1, "drain_parity": bank, "drain_kind": kind}
        for bank in (1, 0)
        for kind in StateWord
    ]
    rows = [*filled, *lane_rows(steps, stages), *read, {}]
    played = play(VectorLane(shape(stages)), rows, ["drain_word"])
    words = [struct.unpack("<f", struct.pack("<I", word))[0] for (word,) in played[-len(read) :]]
    assert words == [13.0, 7.0, 2.0, 1.5, 2.5, 0.0]


@pytest.mark.parametrize("cycles", [1, 7, 8, 20])
def test_delay(cycles):
    words = list(range(1, 60))
    played = play(Delay(6, cycles), [{"given": word} for word in words], ["delayed"])
    assert [word for (word,) in played] == [*[0] * cycles, *words][: len(words)]
