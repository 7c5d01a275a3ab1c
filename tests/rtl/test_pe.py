"""A PE plays a sequence; what goes down and to the right is compared in every cycle with a table made by hand."""

import struct
from typing import Any

import gmpy2
import pytest
from played import play

from einsum_cascade.array.instruction import MatrixOp
from einsum_cascade.array.numbers import Numbers, exponential_steps, factors_of
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.formats import parse_format
from einsum_cascade.rtl.pe import ProcessingElement


def single(value: float) -> int:
    return struct.unpack("<I", struct.pack("<f", value))[0]


def operand(value: float) -> int:
    """A bf16 operand on a link."""
    return single(value) >> 16


def step(op: MatrixOp, up: float, context: int = 1, **fields: int) -> dict:
    return {"left": {"op": op, "context": context, **fields}, "up": single(up)}


def spaced(steps: list[dict], stages: int) -> list[dict]:
    """Each step L cycles after the one before, so that it sees what that one wrote."""
    return [row for one in steps for row in [one, *[{}] * (stages - 1)]]


def exponential(maximum: float, context: int = 1) -> list[dict]:
    # `up` must not matter where the slot takes nothing from above.
    given = {"maximum": maximum, **factors_of(1.0, 8)}
    ups = [given[slot.above] if slot.above else 77.0 for slot in exponential_steps("narrow")]
    return [step(MatrixOp.EXPONENTIAL, up, context, slot=slot) for slot, up in enumerate(ups)]


def down_after(steps: list[dict], stages: int, **numbers: Any) -> list[int]:
    """What goes down L cycles after each step."""
    rows = spaced(steps, stages) + [{}] * stages
    shape = ArrayShape(4, 4, stages=stages, contexts=4, numbers=Numbers(**numbers))
    down = [values[0] for values in play(ProcessingElement(shape), rows, ["down"])]
    return [down[stages * (at + 1)] for at in range(len(steps))]


@pytest.mark.parametrize("stages", range(1, 9))
def test_every_operation(stages):
    # Context 1: 2 * 3 = 6, then 6 + 1.5 * -2 = 3. Context 2 is masked, as its column is left of `low`, and holds 5.
    steps = [
        (step(MatrixOp.PRODUCT, 3.0, flag=1, low=0, high=2, operand=operand(2.0)), 3.0),
        (step(MatrixOp.PRODUCT, -2.0, low=4, high=0, operand=operand(1.5)), -2.0),
        (step(MatrixOp.PRODUCT, 5.0, 2, flag=1, low=1, high=4, operand=operand(1.0)), 5.0),
        (step(MatrixOp.MAXIMUM, 1.0), 3.0),
        (step(MatrixOp.MAXIMUM, 4.0), 4.0),
        (step(MatrixOp.MAXIMUM, 1.0, 2), 1.0),
        (step(MatrixOp.SUM, 10.0), 13.0),
        (step(MatrixOp.COMBINE, 0.5, operand=operand(2.0)), 6.5),
        (step(MatrixOp.COMBINE, 0.5, 2, operand=operand(2.0)), 0.5),
        (step(MatrixOp.OUT, 9.0, flag=1), 3.0),
        (step(MatrixOp.OUT, 9.0, flag=0), 9.0),
        (step(MatrixOp.OUT, 9.0, 2, flag=1), 0.0),
        (step(MatrixOp.NONE, 8.0), 8.0),
        # Masked since `high` is 0, then not masked any more: index 0 sets the bit anew.
        (step(MatrixOp.PRODUCT, 7.0, flag=1, low=0, high=0, operand=operand(1.0)), 7.0),
        (step(MatrixOp.MAXIMUM, 1.0), 1.0),
        (step(MatrixOp.PRODUCT, 7.0, flag=1, low=0, high=1, operand=operand(1.0)), 7.0),
        (step(MatrixOp.MAXIMUM, 1.0), 7.0),
    ]
    assert down_after([one for one, _ in steps], stages) == [single(value) for _, value in steps]


@pytest.mark.parametrize("stages", [1, 4, 7, 8])
def test_exponential(stages):
    # Score 3 against maximum 3 is exactly 1; then 1 against 2 is exp(-1) in bf16; a masked context is +0.
    steps = [
        step(MatrixOp.PRODUCT, 3.0, flag=1, high=1, operand=operand(1.0)),
        step(MatrixOp.PRODUCT, 3.0, 2, flag=1, high=0, operand=operand(1.0)),
        *(*exponential(3.0), step(MatrixOp.OUT, 0.0, flag=1)),
        *(*exponential(2.0), step(MatrixOp.OUT, 0.0, flag=1)),
        *(*exponential(3.0, 2), step(MatrixOp.SUM, 5.0, 2)),
    ]
    down = down_after(steps, stages)
    assert down[2:9] == [one["up"] for one in exponential(3.0)]
    assert down[9] == single(1.0)
    value = struct.unpack("<f", struct.pack("<I", down[17]))[0]
    assert down[17] & 0xFFFF == 0
    assert abs(value / float(gmpy2.exp(gmpy2.mpfr(-1))) - 1) < 6.4e-3
    assert down[25] == single(5.0)


@pytest.mark.parametrize("stages", range(1, 9))
@pytest.mark.parametrize("form", ["bf16", "e6m7"])
def test_accumulation_in_8_significand_bits(stages, form):
    # Last places are 2^-7 from 1 on, and 2 from 256 on. Slots of an exponential keep all bits, before and after.
    steps = [
        # 1 + 2^-7 and half a last place: to the even 1 + 2^-6.
        (step(MatrixOp.PRODUCT, 1 + 2**-7, flag=1, high=1, operand=operand(1.0)), 1 + 2**-7),
        (step(MatrixOp.PRODUCT, 1.0, high=1, operand=operand(2**-8)), 1.0),
        (step(MatrixOp.OUT, 0.0, flag=1), 1 + 2**-6),
        (step(MatrixOp.SUM, 256.0), 258.0),
        # 256 + 5 (1 + 2^-6) is 261 + 5/64, nearer to 262; 256 + 3 is a tie, to the even 260.
        (step(MatrixOp.COMBINE, 256.0, operand=operand(5.0)), 262.0),
        (step(MatrixOp.PRODUCT, 1.0, 2, flag=1, high=1, operand=operand(3.0)), 1.0),
        (step(MatrixOp.COMBINE, 256.0, 2, operand=operand(1.0)), 260.0),
        # A tie but for 2^-28, which fp32 does not hold: rounded to that first, it would become 256.
        (step(MatrixOp.PRODUCT, 2**-14, 2, flag=1, high=1, operand=operand(2**-14)), 2**-14),
        (step(MatrixOp.SUM, 257.0, 2), 258.0),
        (step(MatrixOp.COMBINE, 257.0, 2, operand=operand(-1.0)), 256.0),
        # The maximum is no sum, and what is subtracted from is not rounded.
        (step(MatrixOp.MAXIMUM, 2 + 2**-20), 2 + 2**-20),
        (step(MatrixOp.EXPONENTIAL, 2 + 2**-20, slot=0), 2 + 2**-20),
        (step(MatrixOp.OUT, 0.0, flag=1), 2**-6 - 1 - 2**-20),
    ]
    found = down_after([one for one, _ in steps], stages, accumulation=parse_format(form))
    assert found == [single(value) for _, value in steps]


def test_accumulation_in_fp16_ends_where_fp16_does():
    # Its least number is 2^-24, its greatest 65504; half of a last place more is an infinity, and nothing is below.
    steps = [
        (step(MatrixOp.PRODUCT, 2**-12, flag=1, high=1, operand=operand(2**-12)), 2**-12),
        (step(MatrixOp.SUM, 2**-25), 2**-23),  # 1.5 least numbers: to the even one
        (step(MatrixOp.SUM, -(2**-25)), 0.0),  # 0.5 of them: likewise
        (step(MatrixOp.COMBINE, 65504.0, operand=operand(2.0**127)), float("inf")),
        (step(MatrixOp.PRODUCT, 1.0, flag=1, high=1, operand=operand(16.0)), 1.0),
        (step(MatrixOp.SUM, 65488.0), 65504.0),
        (step(MatrixOp.SUM, 65504.0), float("inf")),
        (step(MatrixOp.SUM, 65503.0), 65504.0),
    ]
    found = down_after([one for one, _ in steps], 1, accumulation=parse_format("fp16"))
    assert found == [single(value) for _, value in steps]


@pytest.mark.parametrize("stages", [1, 4, 7, 8])
def test_results_come_after_l_cycles_and_not_before(stages):
    # Maxima in successive cycles: `down` follows with L cycles, `right` with one, its counters one less, not below 0.
    rows = [step(MatrixOp.PRODUCT, 0.0, flag=1, high=4, operand=operand(0.0)), *[{}] * (stages - 1)]
    rows += [step(MatrixOp.MAXIMUM, float(up), low=up, high=up + 2) for up in range(-2, 4) for up in [max(up, 0)]]
    rows += [{}] * (stages + 1)
    played = play(
        ProcessingElement(ArrayShape(4, 4, stages=stages, contexts=4)),
        rows,
        ["down", "right.op", "right.low", "right.high"],
    )
    ups = [row.get("up", 0) for row in rows]
    assert [down for down, *_ in played] == [*[0] * stages, *ups][: len(rows)]
    lefts = [row.get("left", {}) for row in rows]
    counters = [(left.get("op", 0), max(left.get("low", 0) - 1, 0), max(left.get("high", 0) - 1, 0)) for left in lefts]
    assert [tuple(right) for _, *right in played] == [(0, 0, 0), *counters][: len(rows)]


@pytest.mark.parametrize("stages", [2, 4, 5, 8])
def test_a_result_is_read_l_cycles_later_at_the_earliest(stages):
    # One cycle earlier, the context still holds what it held before: 0 of an untouched memory.
    product = step(MatrixOp.PRODUCT, 3.0, flag=1, high=1, operand=operand(1.0))
    rows = [product, *[{}] * (stages - 2), step(MatrixOp.SUM, 0.0), step(MatrixOp.SUM, 0.0), *[{}] * (stages + 1)]
    played = play(ProcessingElement(ArrayShape(4, 4, stages=stages, contexts=4)), rows, ["down"])
    assert [played[2 * stages - 1], played[2 * stages]] == [(0,), (single(3.0),)]
