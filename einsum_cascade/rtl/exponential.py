"""The slots of exponential, sigmoid and feature map around a multiply-add: what goes in, what becomes of its result.

The slots are those of `Numbers.steps` and docs/decisions/0006-the-array-and-its-program.md, from "The exponential" on.
Where the state is kept, and for how long, is decided by who uses these two components: PEs and the lanes of the vector
row.
"""

from collections.abc import Iterator, Sequence

from amaranth import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from einsum_cascade.array.numbers import FunctionSlot, piece_of
from einsum_cascade.rtl.floats import (
    BIAS,
    INFINITE_EXPONENT,
    MANTISSA_BITS,
    NAN_BITS,
    SINGLE_LAYOUT,
    HighPiece,
    LowPiece,
    is_nan,
    is_zero,
    normalise,
    number_layout,
    single_bits,
    single_value,
    upper_bits,
)
from einsum_cascade.rtl.multiply_add import rank

__all__ = ["INTEGER_BITS", "ExponentialOperands", "ExponentialResult", "slot_bits"]

INTEGER_BITS = 9
"""Of the integer part of what is raised to a power of 2, signed: it is within 128 of 0."""
_MOST_EXPONENT = BIAS + 64
"""Of a difference, 2^64: enough for a factor as small as they may be, and its products with a factor stay finite."""
_MOST_POWER = 7
"""The logarithm of the greatest power of 2: 2^128 is infinite, and 2^-128 is 0."""


def slot_bits(steps: Sequence[FunctionSlot]) -> int:
    """Return the bits of the number of a slot."""
    return (len(steps) - 1).bit_length()


class ExponentialOperands(Component):
    """What the multiply-add gets in a slot of an exponential.

    Parameters
    ----------
    steps
        The slots.
    operand_bits, score_bits
        Significand bits of the multiplier.

    Members
    -------
    is_active : In(1)
        Whether a slot is executed. If not, `score` is the high piece of `state`, and nothing else has a meaning.
    slot : In(slot_bits(steps))
        Which slot.
    state : In(SINGLE_LAYOUT)
        Value in the first slot, x in scale slots, p in Horner slots, e in the complement.
    up : In(SINGLE_LAYOUT)
        What `FunctionSlot.above` says: what is subtracted, multiplied by or added.
    fraction : In(SINGLE_LAYOUT)
        The sum of scaled parts in scale slots, f or u in Horner slots.
    kept : In(SINGLE_LAYOUT)
        e with the sign of x, when a sigmoid finishes; what a feature map restores.
    operand, score, addend, augend, is_sum : Out
        What the multiply-add gets.

    Timing
    ------
    Combinational.

    """

    def __init__(self, steps: Sequence[FunctionSlot], operand_bits: int, score_bits: int) -> None:
        self._steps, self._operand_bits, self._score_bits = steps, operand_bits, score_bits
        super().__init__(
            {
                "is_active": In(1),
                "slot": In(slot_bits(steps)),
                "state": In(SINGLE_LAYOUT),
                "up": In(SINGLE_LAYOUT),
                "fraction": In(SINGLE_LAYOUT),
                "kept": In(SINGLE_LAYOUT),
                "operand": Out(number_layout(operand_bits)),
                "score": Out(number_layout(score_bits)),
                "addend": Out(SINGLE_LAYOUT),
                "augend": Out(SINGLE_LAYOUT),
                "is_sum": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Cut the state and the fraction into pieces, and choose by slot."""
        m = Module()
        self._cut(m)
        m.d.comb += self.augend.eq(self.state)
        with m.If(self.is_active), m.Switch(self.slot):
            for slot, step in enumerate(self._steps):
                with m.Case(slot):
                    self._step(m, step, is_first_scale=self._steps[slot - 1].kind != "scale")
        return m

    def _cut(self, m: Module) -> None:
        """Lay the high pieces on both sides of the multiplier."""
        m.submodules.high_state = high = HighPiece(self._score_bits)
        m.submodules.high_fraction = fraction = HighPiece(self._operand_bits)
        m.d.comb += [high.value.eq(self.state), self.score.eq(high.piece)]
        m.d.comb += [fraction.value.eq(self.fraction), self.operand.eq(fraction.piece)]
        self._low = Signal(number_layout(self._score_bits))
        if any(step.value_part == "low" for step in self._steps):
            m.submodules.low_state = low = LowPiece(self._score_bits)
            m.d.comb += [low.value.eq(self.state), self._low.eq(low.piece)]

    def _step(self, m: Module, step: FunctionSlot, is_first_scale: bool) -> None:
        match step.kind:
            case "subtract":
                m.d.comb += [self.is_sum.eq(1), self.addend.eq(self.up.as_value() ^ (1 << 31))]
            case "multiply":
                m.d.comb += [self.operand.eq(upper_bits(self.up.as_value(), self._operand_bits)), self.addend.eq(0)]
            case "add":
                m.d.comb += [self.is_sum.eq(1), self.addend.eq(self.up)]
            case "complement":
                m.d.comb += [self.is_sum.eq(1), self.addend.eq(single_bits(-0.5))]
            case "finish":
                factor = Mux(self.kept.sign, self.kept.as_value()[:31], single_bits(1.0))
                m.d.comb += [self.operand.eq(upper_bits(factor, self._operand_bits)), self.addend.eq(0)]
            case "rectify":
                m.d.comb += [self.is_sum.eq(1), self.addend.eq(0)]
            case "restore":
                m.d.comb += [self.is_sum.eq(1), self.addend.eq(self.kept)]
            case "scale":
                m.d.comb += self.operand.eq(upper_bits(self.up.as_value(), self._operand_bits))
                m.d.comb += self.addend.eq(0 if is_first_scale else self.fraction)
                if step.value_part == "low":
                    m.d.comb += self.score.eq(self._low)
            case "horner":
                m.d.comb += self.addend.eq(step.coefficient_bits)
                if step.leading_bits:
                    leading = single_bits(piece_of(single_value(step.leading_bits), "high", self._score_bits))
                    m.d.comb += self.score.eq(upper_bits(Const(leading, 32), self._score_bits))


_TOLD = "has_state", "has_fraction", "has_integer", "has_sign", "has_positive", "is_result"
_CHOSEN = data.StructLayout(dict.fromkeys((*_TOLD, "is_clamped", "is_split", "is_scaled"), 1))

_HALF = data.StructLayout(
    {
        "chosen": _CHOSEN,
        "result": SINGLE_LAYOUT,
        "left": MANTISSA_BITS + 1,
        "whole": 8,
        "is_up": 1,
        "scaled": SINGLE_LAYOUT,
    }
)
"""What is known of a result after its first half: n and f before it is normalised, and what it is by 2^n."""


def _choice(step: FunctionSlot) -> Iterator[str]:
    """Yield what is made of the result of a slot."""
    yield "has_fraction" if step.kind in ("scale", "complement") else "has_state"
    if step.is_result:
        yield "is_result"
    match step.kind:
        case "subtract":
            yield "is_clamped"
        case "add":
            yield from ("is_clamped", "has_sign")
        case "rectify":
            yield "has_positive"
        case "scale" if step.is_last:
            yield from ("is_split", "has_integer")
        case "horner" if step.is_last:
            yield "is_scaled"
        case _:
            pass


class ExponentialResult(Component):
    """What becomes of the result of the multiply-add in a slot of an exponential.

    Parameters
    ----------
    steps
        The slots.
    is_cut
        Whether its path is cut.

    Members
    -------
    slot : In(slot_bits(steps))
        Which slot.
    result : In(SINGLE_LAYOUT)
        Of the multiply-add.
    integer : In(signed(INTEGER_BITS))
        n, as it was when the slot began.
    state : Out(SINGLE_LAYOUT)
        x after the subtract and rectify slots, -|x| after the add slot, p after Horner slots, the exponential after
        the last one, the sigmoid as it finishes, the feature as it is restored.
    fraction : Out(SINGLE_LAYOUT)
        The sum of scaled parts after scale slots, f after the last of them, u after the complement.
    next_integer : Out(signed(INTEGER_BITS))
        n after the last scale slot.
    has_state, has_fraction, has_integer : Out(1)
        Whether these are to be kept.
    has_sign : Out(1)
        Whether the sign of the result is that of x.
    has_positive : Out(1)
        Whether the result is kept if it is above 0, else 0.
    is_result : Out(1)
        Whether the state is the result of all slots.

    Timing
    ------
    Combinational, but for a register in the middle if `is_cut`: then everything comes a cycle later.

    """

    def __init__(self, steps: Sequence[FunctionSlot], *, is_cut: bool = False) -> None:
        self._steps, self._is_cut = steps, is_cut
        super().__init__(
            {
                "slot": In(slot_bits(steps)),
                "result": In(SINGLE_LAYOUT),
                "integer": In(signed(INTEGER_BITS)),
                "state": Out(SINGLE_LAYOUT),
                "fraction": Out(SINGLE_LAYOUT),
                "next_integer": Out(signed(INTEGER_BITS)),
                "has_state": Out(1),
                "has_fraction": Out(1),
                "has_integer": Out(1),
                "has_sign": Out(1),
                "has_positive": Out(1),
                "is_result": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Cut at the nearest integer and add the exponent; then clamp, normalise what is left, and choose."""
        m = Module()
        half = rank(m, self._begin(m), self._is_cut)
        result, chosen = half.result, half.chosen
        clamped, split = self._clamp(m, result), self._split(m, half)
        m.d.comb += [getattr(self, name).eq(getattr(chosen, name)) for name in _TOLD]
        m.d.comb += [self.state.eq(result), self.fraction.eq(Mux(chosen.is_split, split, result))]
        with m.If(chosen.is_clamped):
            m.d.comb += self.state.eq(clamped)
        with m.If(chosen.has_sign):
            m.d.comb += self.state.sign.eq(~is_nan(result))
        with m.If(chosen.has_positive):
            m.d.comb += self.state.eq(Mux(result.sign | is_nan(result), clamped.as_value(), 0))
        with m.If(chosen.is_scaled):
            m.d.comb += self.state.eq(half.scaled)
        return m

    def _choose(self, m: Module) -> data.View:
        """Tell what is made of the result in a slot."""
        chosen = Signal(_CHOSEN)
        for name in _CHOSEN.members:
            slots = [slot for slot, step in enumerate(self._steps) if name in _choice(step)]
            m.d.comb += getattr(chosen, name).eq(self.slot.matches(*slots) if slots else 0)
        return chosen

    def _begin(self, m: Module) -> data.View:
        """Cut the result in fixed point, from 1/2 on, at the nearest integer; multiply it by 2^n."""
        result, half = self.result, Signal(_HALF)
        fixed = Signal(MANTISSA_BITS + 1 + 8)
        below = fixed[: MANTISSA_BITS + 1]
        is_up = half.is_up
        m.d.comb += [
            half.chosen.eq(self._choose(m)),
            half.result.eq(result),
            fixed.eq(Cat(result.mantissa, 1) << (result.exponent - (BIAS - 1))[:3]),
            is_up.eq(below[-1] & (below[:-1].any() | fixed[MANTISSA_BITS + 1])),
            half.whole.eq(fixed[MANTISSA_BITS + 1 :] + is_up),
            half.left.eq(Mux(is_up, -below, below)),
            half.scaled.eq(self._scale(m)),
        ]
        return half

    def _clamp(self, m: Module, result: data.View) -> Value:
        clamped = Signal(SINGLE_LAYOUT)
        m.d.comb += clamped.eq(result)
        with m.If((result.exponent >= _MOST_EXPONENT) & ~is_nan(result)):
            m.d.comb += [clamped.exponent.eq(_MOST_EXPONENT), clamped.mantissa.eq(0)]
        return clamped

    def _split(self, m: Module, half: data.View) -> Value:
        """Return f, and set n: below 1/2, n is 0; where n would be 128 or more, f is 0."""
        result, left, whole = half.result, half.left, half.whole
        split = Signal(SINGLE_LAYOUT)
        shifted, distance = normalise(m, left, MANTISSA_BITS + 1)
        with m.If(is_nan(result) | (result.exponent < BIAS - 1)):
            m.d.comb += split.eq(result)
        with m.Elif(result.exponent >= BIAS + _MOST_POWER):
            m.d.comb += self.next_integer.eq(Mux(result.sign, -(1 << _MOST_POWER), 1 << _MOST_POWER))
        with m.Else():
            m.d.comb += self.next_integer.eq(Mux(result.sign, -whole, whole))
            with m.If(left != 0):
                m.d.comb += [
                    split.mantissa.eq(shifted),
                    split.exponent.eq(BIAS - 1 - distance),
                    split.sign.eq(result.sign ^ half.is_up),
                ]
        return split

    def _scale(self, m: Module) -> Value:
        """Return p 2^n."""
        result = self.result
        scaled = Signal(SINGLE_LAYOUT)
        exponent = Signal(signed(INTEGER_BITS + 2))
        m.d.comb += exponent.eq(result.exponent + self.integer)
        with m.If(is_nan(result)):
            m.d.comb += scaled.eq(NAN_BITS)
        with m.Elif((exponent >= INFINITE_EXPONENT) & ~is_zero(result)):
            m.d.comb += [scaled.exponent.eq(INFINITE_EXPONENT), scaled.sign.eq(result.sign)]
        with m.Elif((exponent > 0) & ~is_zero(result)):
            m.d.comb += [scaled.eq(result), scaled.exponent.eq(exponent)]
        return scaled
