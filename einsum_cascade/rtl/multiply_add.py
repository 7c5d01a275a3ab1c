"""The multiply-add: a * b + c with one rounding, in a pipeline that is cut where it is told.

The product is never rounded. Product and addend are aligned to the one with the greater exponent, the other keeping
three bits and a sticky bit below the last place of the product. That is enough to round exactly: a bit is lost only if
the exponents differ by more than four, and then the sum keeps the leading bit of the greater one or the bit below it.
Fewer bits are as exact: what decides is still there, whole or in the sticky bit.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from amaranth import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from einsum_cascade.formats import Format
from einsum_cascade.rtl.cuts import Cut
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

__all__ = ["MultiplyAdd", "delayed", "rank"]

_NO_EXPONENT = -256
"""Of a zero: less than that of any product."""
_DISTANCE_BITS = 6
"""Of alignment shifts: none of the significands has 64 bits."""
type _Limits = tuple[Value | int, Value | int]
"""The greatest exponent, biased, of what becomes zero, and the least of what becomes an infinity."""
_SINGLE_LIMITS: _Limits = 0, INFINITE_EXPONENT
_SPECIALS = {"is_nan": 1, "is_infinite": 1, "infinite_sign": 1, "zero_sign": 1}


def rank(m: Module, value: data.View, is_registered: bool) -> data.View:
    """Return a value, a cycle later if it is to be registered there."""
    if not is_registered:
        return value
    register = Signal(value.shape(), reset_less=True)
    m.d.sync += register.eq(value)
    return register


def delayed(m: Module, value: data.View, cycles: int) -> data.View:
    """Return what accompanies a multiply-add so many cycles later. Reset reaches it."""
    for _ in range(cycles):
        register = Signal(value.shape())
        m.d.sync += register.eq(value)
        value = register
    return value


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

    def normal_layout(self) -> data.StructLayout:
        """Return that of a sum shifted to its leading one: `exponent` is of that, `place` as it was."""
        return data.StructLayout(
            {
                "significand": self.term + 1,
                "exponent": signed(12),
                "place": signed(11),
                "is_zero": 1,
                "sign": 1,
                "specials": self.specials,
            }
        )

    def operands_layout(self) -> data.StructLayout:
        return data.StructLayout(
            {
                "operand": number_layout(self.operand_bits),
                "score": number_layout(self.score_bits),
                "addend": SINGLE_LAYOUT,
                "augend": SINGLE_LAYOUT,
                "is_sum": 1,
                **({"is_narrow": 1} if self.has_narrow else {}),
            }
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
    cuts
        Behind what registers stand. One that is not of a multiply-add is for those behind it.
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
    The result is there as many cycles after the operands as there are registers, `latency`.
    A new one can begin in every cycle; nothing stalls. Reset does not reach it: what is under way comes out.

    """

    def __init__(
        self, operand_bits: int, score_bits: int, cuts: AbstractSet[Cut], narrow: Format | None = None
    ) -> None:
        self._widths = _Widths(operand_bits, score_bits, has_narrow=narrow is not None)
        self._cuts, self._narrow = cuts - {"halved"}, narrow
        self.latency = len(self._cuts)
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
        """Multiply | align | add | normalise | round."""
        m = Module()
        terms = self._cut(m, "product", self._multiply(m, self._cut(m, "operands", self._given(m))))
        aligned = self._cut(m, "aligned", self._align(m, terms))
        total = self._cut(m, "sum", self._add(m, aligned))
        normal = self._cut(m, "normal", self._normalise(m, total))
        m.d.comb += self.result.eq(self._cut(m, "rounded", self._round(m, normal)))
        return m

    def _cut(self, m: Module, name: Cut, value: data.View) -> data.View:
        return rank(m, value, name in self._cuts)

    def _given(self, m: Module) -> data.View:
        given = Signal(self._widths.operands_layout())
        m.d.comb += [getattr(given, name).eq(getattr(self, name)) for name in self._widths.operands_layout().members]
        return given

    def _multiply(self, m: Module, given: data.View) -> data.View:
        widths, operand, score = self._widths, given.operand, given.score
        terms = Signal(self._widths.terms_layout())
        product_bits = widths.operand_bits + widths.score_bits
        product = Signal(product_bits)
        m.d.comb += [
            product.eq(significand(operand) * significand(score)),
            terms.product.significand.eq(product << (widths.fraction - (product_bits - 2))),
            terms.product.exponent.eq(
                Mux(is_zero(operand) | is_zero(score), _NO_EXPONENT, operand.exponent + score.exponent - BIAS)
            ),
            terms.product.sign.eq(operand.sign ^ score.sign),
        ]
        with m.If(given.is_sum):
            m.d.comb += self._unpack(given.augend, terms.product)
        m.d.comb += self._unpack(given.addend, terms.addend)
        self._classify(m, given, terms)
        return terms

    def _unpack(self, number: data.View, term: data.View) -> list[Value]:
        return [
            term.significand.eq(significand(number) << (self._widths.fraction - MANTISSA_BITS)),
            term.exponent.eq(Mux(is_zero(number), _NO_EXPONENT, number.exponent)),
            term.sign.eq(number.sign),
        ]

    def _classify(self, m: Module, given: data.View, terms: data.View) -> None:
        """Find the results that are not computed: NaN, infinity, the sign of zero."""
        operand, score, augend, addend = given.operand, given.score, given.augend, given.addend
        has_nan = Signal()
        has_infinite = Signal()
        with m.If(given.is_sum):
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
            m.d.comb += terms.specials.is_narrow.eq(given.is_narrow)

    def _align(self, m: Module, terms: data.View) -> data.View:
        widths = self._widths
        aligned = Signal(self._widths.aligned_layout())
        product, addend = terms.product, terms.addend
        is_swapped = Signal()
        distance = Signal(signed(12))
        lesser = Signal(widths.term)
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
        total = Signal(self._widths.sum_layout())
        value = Signal(signed(self._widths.term + 2))
        m.d.comb += [
            value.eq(Mux(aligned.is_difference, aligned.greater - aligned.lesser, aligned.greater + aligned.lesser)),
            total.magnitude.eq(Mux(value[-1], -value, value)),
            total.exponent.eq(aligned.exponent),
            total.sign.eq(aligned.sign ^ value[-1]),
            total.specials.eq(aligned.specials),
        ]
        return total

    def _normalise(self, m: Module, total: data.View) -> data.View:
        normal = Signal(self._widths.normal_layout())
        shifted, distance = normalise(m, total.magnitude, self._widths.term + 1)
        m.d.comb += [
            normal.significand.eq(shifted),
            normal.exponent.eq(total.exponent + 2 - distance),
            normal.place.eq(total.exponent),
            normal.is_zero.eq(total.magnitude == 0),
            normal.sign.eq(total.sign),
            normal.specials.eq(total.specials),
        ]
        return normal

    def _round(self, m: Module, normal: data.View) -> data.View:
        """Round; a carry out of the mantissa moves the exponent."""
        width, bits, narrow = self._widths.term + 1, MANTISSA_BITS, self._narrow
        significand = normal.significand
        kept, rest = significand[width - 1 - bits : -1], significand[: width - 1 - bits]
        is_up = Signal()
        rounded = Signal(signed(bits + 12))
        if narrow is None:
            m.d.comb += is_up.eq(rest[-1] & (rest[:-1].any() | kept[0]))
            m.d.comb += rounded.eq(Cat(kept, normal.exponent).as_signed() + is_up)
            return self._pack(m, normal, rounded[:bits], rounded[bits:].as_signed(), _SINGLE_LIMITS)
        below = self._below(m, normal, narrow)
        half, left_out = below & ~(below >> 1), below[width - 1 - bits : -1]
        # The first place that is left out decides, with those after it and the one before it.
        m.d.comb += is_up.eq((significand & half).any() & (significand & ((below >> 1) | (half << 1))).any())
        m.d.comb += rounded.eq(Cat(kept | left_out, normal.exponent).as_signed() + is_up)
        limits = _limits(narrow, normal.specials.is_narrow)
        return self._pack(m, normal, rounded[:bits] & ~left_out, rounded[bits:].as_signed(), limits)

    def _below(self, m: Module, normal: data.View, narrow: Format) -> Value:
        """Return ones in all places of the normalised sum that are left out; the hidden bit may be one of them."""
        width = self._widths.term + 1
        below = Signal(width)
        of_narrow = Signal(width)
        least = self._below_least(m, normal, narrow) if narrow.exponent_bits < 8 else 0
        m.d.comb += [
            of_narrow.eq(_ones(width - 1 - narrow.mantissa_bits) | least),
            below.eq(Mux(normal.specials.is_narrow, of_narrow, _ones(width - 1 - MANTISSA_BITS))),
        ]
        return below

    def _below_least(self, m: Module, normal: data.View, narrow: Format) -> Value:
        """Return the same for the place of the format's least number: that of the sum, shifted as it is."""
        width, least = self._widths.term + 1, narrow.least_exponent - narrow.mantissa_bits + BIAS
        places = Signal(signed(13))
        count = Signal(range(width + 1))
        ones = Signal(width)
        distance = (normal.place + 2 - normal.exponent)[: (width - 1).bit_length()]
        # If there are more places than the sum has, it is below half of the least number, and zero whatever they are.
        m.d.comb += [
            places.eq(least - normal.place + width - 3),
            count.eq(Mux(places < 0, 0, places)),
            ones.eq(~(_ones(width) << count)),
        ]
        # The farthest step first, as its bit of the distance is known first.
        for power in reversed(range(len(distance))):
            step = 1 << power
            shifted = Signal(width)
            m.d.comb += shifted.eq(Mux(distance[power], Cat(_ones(step), ones), ones))
            ones = shifted
        return ones

    def _pack(self, m: Module, normal: data.View, mantissa: Value, exponent: Value, limits: _Limits) -> data.View:
        specials, (of_zero, of_infinity) = normal.specials, limits
        packed = Signal(SINGLE_LAYOUT)
        with m.If(specials.is_nan):
            m.d.comb += packed.eq(NAN_BITS)
        with m.Elif(specials.is_infinite):
            m.d.comb += [packed.exponent.eq(INFINITE_EXPONENT), packed.sign.eq(specials.infinite_sign)]
        with m.Elif(normal.is_zero):
            m.d.comb += packed.sign.eq(specials.zero_sign)
        with m.Else():
            m.d.comb += packed.sign.eq(normal.sign)
            with m.If(exponent >= of_infinity):
                m.d.comb += packed.exponent.eq(INFINITE_EXPONENT)
            with m.Elif(exponent > of_zero):
                m.d.comb += [packed.exponent.eq(exponent), packed.mantissa.eq(mantissa)]
        return packed


def _ones(count: int) -> Const:
    """Return so many ones."""
    return Const((1 << count) - 1, count)


def _limits(narrow: Format, is_narrow: Value) -> _Limits:
    """Return the limits of the exponent of a rounded number, fp32 or narrow."""
    if narrow.exponent_bits == 8:
        return _SINGLE_LIMITS
    below_least = narrow.least_exponent - narrow.mantissa_bits + BIAS - 1
    own = below_least, narrow.greatest_exponent + 1 + BIAS
    of_zero, of_infinity = (Mux(is_narrow, *both) for both in zip(own, _SINGLE_LIMITS, strict=True))
    return of_zero, of_infinity
