"""The divider: fp32 / fp32, rounded correctly, a quotient every cycle."""

from amaranth import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from einsum_cascade.rtl.floats import (
    BIAS,
    INFINITE_EXPONENT,
    MANTISSA_BITS,
    NAN_BITS,
    SINGLE_LAYOUT,
    is_infinite,
    is_nan,
    is_zero,
    significand,
)
from einsum_cascade.rtl.multiply_add import rank

__all__ = ["DIVIDER_LATENCY", "Divider"]

_DIGITS, _DIGITS_PER_RANK = 26, 2
"""Bits of the quotient: 24, one to round by, and one more where the first is 0."""

DIVIDER_LATENCY = 1 + _DIGITS // _DIGITS_PER_RANK + 1
"""Cycles from the operands to the quotient: one to unpack, one to round, the digits between."""

_RESULT = data.StructLayout({"is_nan": 1, "is_infinite": 1, "is_zero": 1, "sign": 1, "is_undivided": 1})
_STATE = data.StructLayout(
    {
        "remainder": MANTISSA_BITS + 2,
        "divisor": MANTISSA_BITS + 1,
        "quotient": _DIGITS,
        "exponent": signed(10),
        "result": _RESULT,
    }
)


class Divider(Component):
    """quotient = dividend / divisor, to nearest, ties to even.

    Subnormals are read and written as zero of their sign. A divisor of 0 gives +0, whatever the dividend, and is
    reported.

    Members
    -------
    dividend, divisor : In(SINGLE_LAYOUT)
        The numbers.
    quotient : Out(SINGLE_LAYOUT)
        Their quotient.
    is_undivided : Out(1)
        Whether the divisor was 0.

    Timing
    ------
    `DIVIDER_LATENCY` cycles from the operands to the registered quotient; a new one can begin in every cycle. Nothing
    stalls. Reset does not reach it: what is under way comes out, and who takes quotients must know that it is nobody's.

    """

    def __init__(self) -> None:
        super().__init__(
            {
                "dividend": In(SINGLE_LAYOUT),
                "divisor": In(SINGLE_LAYOUT),
                "quotient": Out(SINGLE_LAYOUT),
                "is_undivided": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Unpack, subtract digit by digit, round."""
        m = Module()
        state = rank(m, self._unpack(m), True)
        for digit in range(1, _DIGITS + 1):
            state = rank(m, _divide_once(m, state), digit % _DIGITS_PER_RANK == 0)
        quotient = Signal(SINGLE_LAYOUT)
        _round(m, state, quotient)
        m.d.sync += [self.quotient.eq(quotient), self.is_undivided.eq(state.result.is_undivided)]
        return m

    def _unpack(self, m: Module) -> data.View:
        dividend, divisor = self.dividend, self.divisor
        state = Signal(_STATE)
        is_zero_divisor = is_zero(divisor)
        m.d.comb += [
            state.remainder.eq(significand(dividend)),
            state.divisor.eq(significand(divisor)),
            state.exponent.eq(dividend.exponent - divisor.exponent + BIAS),
            state.result.sign.eq((dividend.sign ^ divisor.sign) & ~is_zero_divisor),
            state.result.is_undivided.eq(is_zero_divisor),
            state.result.is_nan.eq(
                ~is_zero_divisor & (is_nan(dividend) | is_nan(divisor) | (is_infinite(dividend) & is_infinite(divisor)))
            ),
            state.result.is_infinite.eq(is_infinite(dividend) & ~is_zero_divisor),
            state.result.is_zero.eq(is_zero_divisor | is_zero(dividend) | is_infinite(divisor)),
        ]
        return state


def _divide_once(m: Module, state: data.View) -> data.View:
    after = Signal(_STATE)
    difference = Signal(signed(MANTISSA_BITS + 3))
    is_less = difference[-1]
    m.d.comb += [
        difference.eq(state.remainder - state.divisor),
        after.eq(state),
        after.quotient.eq(Cat(~is_less, state.quotient)),
        after.remainder.eq(Mux(is_less, state.remainder, difference) << 1),
    ]
    return after


def _round(m: Module, state: data.View, quotient: data.View) -> None:
    """Round a quotient of 26 bits, of which the first or the second is 1, and a remainder."""
    is_half = ~state.quotient[-1]
    digits = Signal(_DIGITS)
    exponent = Signal(signed(10))
    rounded = Signal(signed(MANTISSA_BITS + 11))
    m.d.comb += [
        digits.eq(Mux(is_half, state.quotient << 1, state.quotient)),
        exponent.eq(state.exponent - is_half),
    ]
    kept, guard = digits[2:-1], digits[1]
    is_up = guard & (digits[0] | (state.remainder != 0) | kept[0])
    m.d.comb += rounded.eq(Cat(kept, exponent).as_signed() + is_up)
    _pack(m, state.result, rounded[:MANTISSA_BITS], rounded[MANTISSA_BITS:].as_signed(), quotient)


def _pack(m: Module, result: data.View, mantissa: Value, exponent: Value, quotient: data.View) -> None:
    m.d.comb += quotient.sign.eq(result.sign)
    with m.If(result.is_nan):
        m.d.comb += quotient.eq(NAN_BITS)
    with m.Elif(result.is_zero | (~result.is_infinite & (exponent < 1))):
        m.d.comb += [quotient.mantissa.eq(0), quotient.exponent.eq(0)]
    with m.Elif(result.is_infinite | (exponent >= INFINITE_EXPONENT)):
        m.d.comb += [quotient.mantissa.eq(0), quotient.exponent.eq(INFINITE_EXPONENT)]
    with m.Else():
        m.d.comb += [quotient.mantissa.eq(mantissa), quotient.exponent.eq(exponent)]
