"""The multiply-add: a * b + c with one rounding, in a pipeline of one to four stages.

The product is never rounded. Product and addend are aligned to the one with the greater exponent, the other keeping
three bits and a sticky bit below the last place of the product. That is enough to round exactly: a bit is lost only if
the exponents differ by more than four, and then the sum keeps the leading bit of the greater one or the bit below it.
Fewer bits are as exact: what decides is still there, whole or in the sticky bit.
"""

from dataclasses import dataclass

from amaranth import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from einsum_cascade.cascade.formats import Format
from einsum_cascade.rtl.floats import (
    BIAS,
    INFINITE_EXPONENT,
    MANTISSA_BITS,
    NAN_BITS,
    SINGLE_LAYOUT,
    is_infinite,
    is_nan,
    is_zero,
    normalise,
    number_layout,
    shift_right_sticky,
    significand,
)

__all__ = ["MultiplyAdd", "rank"]

_NO_EXPONENT = -256
"""Of a zero: less than that of any product."""
_DISTANCE_BITS = 6
"""Of alignment shifts: none of the significands has 64 bits."""
type _Limits = tuple[Value | int, Value | int]
"""The greatest exponent, biased, of what becomes zero, and the least of what becomes an infinity."""
_LIMITS = 0, INFINITE_EXPONENT
_SPECIALS = {"is_nan": 1, "is_infinite": 1, "infinite_sign": 1, "zero_sign": 1}


def rank(m: Module, value: data.View, is_registered: bool) -> data.View:
    """Return a value, a cycle later if it is to be registered there."""
    if not is_registered:
        return value
    register = Signal(value.shape(), reset_less=True)
    m.d.sync += register.eq(value)
    return register


@dataclass(frozen=True)
class _Widths:
    """Of the fixed-point numbers between the stages: two bits before the point, and `fraction` after it."""

    operand_bits: int
    score_bits: int
    has_narrow: bool

    @property
    def fraction(self) -> int:
        """Those of the product or of an fp32 number, three guard bits, and the sticky bit."""
        return max(self.operand_bits + self.score_bits - 2, MANTISSA_BITS) + 4

    @property
    def term(self) -> int:
        return 2 + self.fraction

    @property
    def specials(self) -> data.StructLayout:
        """What is known of the result from the start, and taken along."""
        return data.StructLayout({**_SPECIALS, **({"is_narrow": 1} if self.has_narrow else {})})

    def terms_layout(self) -> data.StructLayout:
        term = data.StructLayout({"significand": self.term, "exponent": signed(11), "sign": 1})
        return data.StructLayout({"product": term, "addend": term, "specials": self.specials})

    def aligned_layout(self) -> data.StructLayout:
        return data.StructLayout(
            {
                "greater": self.term,
                "lesser": self.term,
                "is_difference": 1,
                "exponent": signed(11),
                "sign": 1,
                "specials": self.specials,
            }
        )

    def sum_layout(self) -> data.StructLayout:
        return data.StructLayout(
            {"magnitude": self.term + 1, "exponent": signed(11), "sign": 1, "specials": self.specials}
        )


class MultiplyAdd(Component):
    """result = operand * score + addend, or augend + addend, with one rounding to nearest, ties to even.

    Subnormals are read as zero of their sign, and a result below the smallest normal number, after rounding as if the
    exponent had no bound, is zero of its sign. Every NaN result is 0x7FC00000. The result is an fp32 number, or one of
    a narrower format as fp32, rounded to that and nothing else; if it has fewer than 8 exponent bits, it underflows
    gradually.

    Parameters
    ----------
    operand_bits, score_bits
        Significand bits of the factors.
    stages
        1 to 4: how many cycles the computation takes, the register of the consumer included.
    narrow
        The narrower format that results can have, with the infinities of IEEE 754; None if all are of fp32.

    Members
    -------
    operand : In(number_layout(operand_bits))
        A factor.
    score : In(number_layout(score_bits))
        The other factor.
    addend : In(SINGLE_LAYOUT)
        What is added to the product.
    augend : In(SINGLE_LAYOUT)
        What takes the place of the product, if `is_sum`.
    is_sum : In(1)
        Whether two numbers are added, and the factors are ignored.
    is_narrow : In(1)
        Whether the result is rounded to `narrow`; not there if that is None.
    result : Out(SINGLE_LAYOUT)
        The result.

    Timing
    ------
    The result is there `stages - 1` cycles after the operands, behind combinational logic: the consumer registers it.
    A new one can begin in every cycle; nothing stalls. Reset does not reach it: what is under way comes out.

    """

    def __init__(self, operand_bits: int, score_bits: int, stages: int, narrow: Format | None = None) -> None:
        if not 1 <= stages <= 4:
            raise ValueError(f"a multiply-add must have 1 to 4 stages, not {stages!r}")
        self._widths = _Widths(operand_bits, score_bits, has_narrow=narrow is not None)
        self._stages, self._narrow = stages, narrow
        super().__init__(
            {
                "operand": In(number_layout(operand_bits)),
                "score": In(number_layout(score_bits)),
                "addend": In(SINGLE_LAYOUT),
                "augend": In(SINGLE_LAYOUT),
                "is_sum": In(1),
                **({} if narrow is None else {"is_narrow": In(1)}),
                "result": Out(SINGLE_LAYOUT),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Multiply | align | add | normalise and round; with fewer stages, the first and the last cut go last."""
        m = Module()
        terms = rank(m, self._multiply(m), self._stages >= 2)
        aligned = rank(m, self._align(m, terms), self._stages >= 4)
        total = rank(m, self._add(m, aligned), self._stages >= 3)
        self._round(m, total)
        return m

    def _multiply(self, m: Module) -> data.View:
        widths, terms = self._widths, Signal(self._widths.terms_layout())
        product_bits = widths.operand_bits + widths.score_bits
        product = Signal(product_bits)
        m.d.comb += [
            product.eq(significand(self.operand) * significand(self.score)),
            terms.product.significand.eq(product << (widths.fraction - (product_bits - 2))),
            terms.product.exponent.eq(
                Mux(
                    is_zero(self.operand) | is_zero(self.score),
                    _NO_EXPONENT,
                    self.operand.exponent + self.score.exponent - BIAS,
                )
            ),
            terms.product.sign.eq(self.operand.sign ^ self.score.sign),
        ]
        with m.If(self.is_sum):
            m.d.comb += self._unpack(self.augend, terms.product)
        m.d.comb += self._unpack(self.addend, terms.addend)
        self._classify(m, terms)
        return terms

    def _unpack(self, number: data.View, term: data.View) -> list[Value]:
        return [
            term.significand.eq(significand(number) << (self._widths.fraction - MANTISSA_BITS)),
            term.exponent.eq(Mux(is_zero(number), _NO_EXPONENT, number.exponent)),
            term.sign.eq(number.sign),
        ]

    def _classify(self, m: Module, terms: data.View) -> None:
        """Find the results that are not computed: NaN, infinity, the sign of zero."""
        operand, score, augend, addend = self.operand, self.score, self.augend, self.addend
        has_nan, has_infinite = Signal(), Signal()
        with m.If(self.is_sum):
            m.d.comb += [has_nan.eq(is_nan(augend)), has_infinite.eq(is_infinite(augend))]
        with m.Else():
            m.d.comb += has_nan.eq(
                is_nan(operand)
                | is_nan(score)
                | (is_infinite(operand) & is_zero(score))
                | (is_zero(operand) & is_infinite(score))
            )
            m.d.comb += has_infinite.eq(is_infinite(operand) | is_infinite(score))
        signs = terms.product.sign, terms.addend.sign
        m.d.comb += [
            terms.specials.is_nan.eq(
                has_nan | is_nan(addend) | (has_infinite & is_infinite(addend) & (signs[0] ^ signs[1]))
            ),
            terms.specials.is_infinite.eq(has_infinite | is_infinite(addend)),
            terms.specials.infinite_sign.eq(Mux(has_infinite, *signs)),
            terms.specials.zero_sign.eq(signs[0] & signs[1]),
        ]
        if self._narrow is not None:
            m.d.comb += terms.specials.is_narrow.eq(self.is_narrow)

    def _align(self, m: Module, terms: data.View) -> data.View:
        widths, aligned = self._widths, Signal(self._widths.aligned_layout())
        product, addend = terms.product, terms.addend
        is_swapped, distance, lesser = Signal(), Signal(signed(12)), Signal(widths.term)
        m.d.comb += [
            is_swapped.eq(addend.exponent > product.exponent),
            distance.eq(Mux(is_swapped, addend.exponent - product.exponent, product.exponent - addend.exponent)),
            lesser.eq(Mux(is_swapped, product.significand, addend.significand)),
            aligned.greater.eq(Mux(is_swapped, addend.significand, product.significand)),
            aligned.exponent.eq(Mux(is_swapped, addend.exponent, product.exponent)),
            aligned.sign.eq(Mux(is_swapped, addend.sign, product.sign)),
            aligned.is_difference.eq(product.sign ^ addend.sign),
            aligned.specials.eq(terms.specials),
        ]
        shifted = shift_right_sticky(m, lesser, widths.term, distance, _DISTANCE_BITS)
        is_far = distance >= 1 << _DISTANCE_BITS
        m.d.comb += aligned.lesser.eq(Mux(is_far, lesser.any(), shifted))
        return aligned

    def _add(self, m: Module, aligned: data.View) -> data.View:
        total, value = Signal(self._widths.sum_layout()), Signal(signed(self._widths.term + 2))
        m.d.comb += [
            value.eq(Mux(aligned.is_difference, aligned.greater - aligned.lesser, aligned.greater + aligned.lesser)),
            total.magnitude.eq(Mux(value[-1], -value, value)),
            total.exponent.eq(aligned.exponent),
            total.sign.eq(aligned.sign ^ value[-1]),
            total.specials.eq(aligned.specials),
        ]
        return total

    def _round(self, m: Module, total: data.View) -> None:
        shifted, distance = normalise(m, total.magnitude, self._widths.term + 1)
        # The top bit of three before the point.
        exponent = Signal(signed(12))
        m.d.comb += exponent.eq(total.exponent + 2 - distance)
        if self._narrow is None:
            self._round_to_single(m, total, shifted, exponent)
        else:
            self._round_to_either(m, total, shifted, exponent, self._narrow)

    def _round_to_single(self, m: Module, total: data.View, shifted: Value, exponent: Value) -> None:
        width, bits = self._widths.term + 1, MANTISSA_BITS
        kept, rest = shifted[width - 1 - bits : -1], shifted[: width - 1 - bits]
        is_up, rounded = Signal(), Signal(signed(bits + 12))
        # A carry out of the mantissa moves the exponent.
        m.d.comb += [
            is_up.eq(rest[-1] & (rest[:-1].any() | kept[0])),
            rounded.eq(Cat(kept, exponent).as_signed() + is_up),
        ]
        self._pack(m, total, rounded[:bits], rounded[bits:].as_signed(), _LIMITS)

    def _round_to_either(self, m: Module, total: data.View, shifted: Value, exponent: Value, narrow: Format) -> None:
        """Add just less than half of the last place of the format, and clear what is below it."""
        width, is_narrow = self._widths.term + 1, total.specials.is_narrow
        more, limits = self._gradual(m, exponent, is_narrow, narrow) if narrow.exponent_bits < 8 else (0, _LIMITS)
        places = [Const(1 << (width - 1 - bits), width + 1) for bits in (narrow.mantissa_bits, MANTISSA_BITS)]
        # The hidden bit may be below the last place; it is not in the sum, which the exponent goes on after.
        last, below, rounded = Signal(width + 1), Signal(width), Signal(signed(width - 1 + 12))
        m.d.comb += [
            last.eq(Mux(is_narrow, places[0] << more, places[1])),
            below.eq(last - 1),
            rounded.eq(Cat(shifted[:-1], exponent).as_signed() + (below >> 1) + (shifted & last).any()),
        ]
        mantissa = (rounded[: width - 1] & ~below[:-1])[-MANTISSA_BITS:]
        self._pack(m, total, mantissa, rounded[width - 1 :].as_signed(), limits)

    def _gradual(self, m: Module, exponent: Value, is_narrow: Value, narrow: Format) -> tuple[Value, _Limits]:
        """Return how many bits fewer than those of a normal number are kept, and the limits of the exponent."""
        kept, least = narrow.mantissa_bits, narrow.least_exponent + BIAS
        more = Signal(range(kept + 2))
        with m.If(exponent < least - kept):
            # Below the least number: more than half of it becomes that by a carry, anything else stays below it.
            m.d.comb += more.eq(kept + 1)
        with m.Elif(exponent < least):
            m.d.comb += more.eq(least - exponent)
        own = least - kept - 1, narrow.greatest_exponent + 1 + BIAS
        of_zero, of_infinity = (Mux(is_narrow, *both) for both in zip(own, _LIMITS, strict=True))
        return more, (of_zero, of_infinity)

    def _pack(self, m: Module, total: data.View, mantissa: Value, exponent: Value, limits: _Limits) -> None:
        specials, (of_zero, of_infinity) = total.specials, limits
        with m.If(specials.is_nan):
            m.d.comb += self.result.eq(NAN_BITS)
        with m.Elif(specials.is_infinite):
            m.d.comb += [self.result.exponent.eq(INFINITE_EXPONENT), self.result.sign.eq(specials.infinite_sign)]
        with m.Elif(total.magnitude == 0):
            m.d.comb += self.result.sign.eq(specials.zero_sign)
        with m.Else():
            m.d.comb += self.result.sign.eq(total.sign)
            with m.If(exponent >= of_infinity):
                m.d.comb += self.result.exponent.eq(INFINITE_EXPONENT)
            with m.Elif(exponent > of_zero):
                m.d.comb += [self.result.exponent.eq(exponent), self.result.mantissa.eq(mantissa)]
