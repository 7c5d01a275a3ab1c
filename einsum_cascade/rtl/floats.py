"""Floating-point numbers as bits: layouts, classes, conversion, rounding, pieces.

Inside the array, a number has a sign, an exponent of 8 bits with bias 127 and a significand of s bits, whose first is
not held: the upper 8 + s bits of an fp32 number. Exponent 0 means zero whatever the mantissa, 255 infinity or NaN.
Operands of formats with fewer exponent bits fit into it exactly, subnormals included.

Everything here is combinational. The rules are those of docs/decisions/0006-the-array-and-its-program.md, "Numbers".
"""

import numpy as np
from amaranth import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from einsum_cascade.formats import Format

__all__ = [
    "BIAS",
    "INFINITE_EXPONENT",
    "MANTISSA_BITS",
    "NAN_BITS",
    "SINGLE_LAYOUT",
    "Decoder",
    "Encoder",
    "HighPiece",
    "LowPiece",
    "Rounder",
    "is_infinite",
    "is_nan",
    "is_zero",
    "normalise",
    "number_layout",
    "shift_right_sticky",
    "significand",
    "single_bits",
    "single_value",
    "upper_bits",
]

BIAS, INFINITE_EXPONENT, MANTISSA_BITS = 127, 255, 23
NAN_BITS = 0x7FC00000
"""The one NaN that results have."""


def number_layout(significand_bits: int) -> data.StructLayout:
    """Return the layout of a number with a significand of so many bits, the hidden one included."""
    return data.StructLayout({"mantissa": significand_bits - 1, "exponent": 8, "sign": 1})


SINGLE_LAYOUT = number_layout(MANTISSA_BITS + 1)
"""An fp32 number."""


def single_bits(value: float) -> int:
    """Return the bits of a number as fp32.

    Examples
    --------
    >>> hex(single_bits(1.5))
    '0x3fc00000'

    """
    return int(np.float32(value).view(np.uint32))


def single_value(bits: int) -> float:
    """Return the number that bits are as fp32.

    Examples
    --------
    >>> single_value(0x3FC00000)
    1.5

    """
    return float(np.uint32(bits).view(np.float32))


def is_zero(number: data.View) -> Value:
    """Tell a zero, or a subnormal, which counts as one."""
    return number.exponent == 0


def is_infinite(number: data.View) -> Value:
    """Tell an infinity."""
    return (number.exponent == INFINITE_EXPONENT) & (number.mantissa == 0)


def is_nan(number: data.View) -> Value:
    """Tell a NaN."""
    return (number.exponent == INFINITE_EXPONENT) & (number.mantissa != 0)


def significand(number: data.View) -> Value:
    """Return the mantissa with the hidden bit, or 0 of a zero."""
    return Mux(is_zero(number), 0, Cat(number.mantissa, 1))


def upper_bits(single: Value, significand_bits: int) -> Value:
    """Return the bits of an fp32 number that has no more significand bits than these, with these."""
    return Value.cast(single)[MANTISSA_BITS + 1 - significand_bits :]


def normalise(m: Module, value: Value, width: int) -> tuple[Value, Value]:
    """Shift the leading one of a value to its top bit.

    Returns
    -------
    tuple
        The shifted value, and how far it was shifted; for 0, 0 and any distance.

    """
    bits: list[Value] = []
    for step in (1 << power for power in reversed(range((width - 1).bit_length()))):
        is_empty = Signal()
        m.d.comb += is_empty.eq(value[width - step :] == 0)
        shifted = Signal(width)
        m.d.comb += shifted.eq(Mux(is_empty, value << step, value))
        value = shifted
        bits.append(is_empty)
    return value, Cat(*reversed(bits))


def shift_right_sticky(m: Module, value: Value, width: int, distance: Value, distance_bits: int) -> Value:
    """Shift a value right; the lowest bit of the result says, too, whether a one was shifted out."""
    for power in range(distance_bits):
        step = 1 << power
        shifted = Signal(width)
        m.d.comb += shifted.eq(Mux(distance[power], (value >> step) | value[: min(step, width)].any(), value))
        value = shifted
    return value


class Decoder(Component):
    """An operand of a format as a number with as many significand bits.

    Exact, subnormals included; those of formats with 8 exponent bits are read as zero. Every NaN is one with the upper
    mantissa bit set.

    Members
    -------
    operand : In(form.width_bits)
        The operand.
    number : Out(number_layout(form.mantissa_bits + 1))
        The number.

    Timing
    ------
    Combinational.

    """

    def __init__(self, form: Format) -> None:
        self._form = form
        super().__init__({"operand": In(form.width_bits), "number": Out(number_layout(form.mantissa_bits + 1))})

    def elaborate(self, platform: object) -> Module:
        """Split the operand into its fields."""
        m = Module()
        form, bits = self._form, self._form.mantissa_bits
        mantissa, exponent = self.operand[:bits], self.operand[bits : bits + form.exponent_bits]
        m.d.comb += self.number.sign.eq(self.operand[-1])
        is_top = exponent == (1 << form.exponent_bits) - 1
        with m.If(is_top & ((mantissa != 0) if form.specials == "ieee" else mantissa.all())):
            m.d.comb += [self.number.exponent.eq(INFINITE_EXPONENT), self.number.mantissa.eq(1 << (bits - 1))]
        with m.Elif(is_top & (form.specials == "ieee")):
            m.d.comb += self.number.exponent.eq(INFINITE_EXPONENT)
        with m.Elif(exponent != 0):
            m.d.comb += self.number.exponent.eq(exponent + (form.least_exponent - 1 + BIAS))
            m.d.comb += self.number.mantissa.eq(mantissa)
        if form.exponent_bits < 8:
            self._decode_subnormal(m, mantissa, exponent)
        return m

    def _decode_subnormal(self, m: Module, mantissa: Value, exponent: Value) -> None:
        shifted, distance = normalise(m, mantissa, self._form.mantissa_bits)
        with m.If((exponent == 0) & (mantissa != 0)):
            m.d.comb += self.number.exponent.eq(self._form.least_exponent - 1 + BIAS - distance)
            m.d.comb += self.number.mantissa.eq(shifted << 1)


class Encoder(Component):
    """An fp32 number, rounded to a format, as an operand of it: what `Decoder` reads.

    Members
    -------
    value : In(SINGLE_LAYOUT)
        The number.
    saturates : In(1)
        Whether a finite number beyond the greatest one of the format becomes that one, in place of infinite, or of NaN
        where the format has no infinity.
    operand : Out(form.width_bits)
        The operand; every NaN is the one of the format whose sign is positive.

    Timing
    ------
    Combinational.

    """

    def __init__(self, form: Format) -> None:
        self._form = form
        super().__init__({"value": In(SINGLE_LAYOUT), "saturates": In(1), "operand": Out(form.width_bits)})

    def elaborate(self, platform: object) -> Module:
        """Round, then keep as many exponent and mantissa bits as the format has."""
        m = Module()
        form = self._form
        m.submodules.rounder = rounder = Rounder(form)
        rounded = Signal(SINGLE_LAYOUT)
        is_finite = self.value.exponent != INFINITE_EXPONENT
        m.d.comb += [rounder.value.eq(self.value), rounded.eq(rounder.rounded)]
        with m.If(self.saturates & is_finite & (rounder.rounded.exponent == INFINITE_EXPONENT)):
            m.d.comb += rounded.eq(Cat(Const(single_bits(form.greatest), 31), self.value.sign))
        mantissa = rounded.mantissa[MANTISSA_BITS - form.mantissa_bits :]
        if form.exponent_bits == 8:
            m.d.comb += self.operand.eq(Cat(mantissa, rounded.exponent, rounded.sign))
            return m
        before = form.least_exponent + BIAS - 1
        exponent = Signal(form.exponent_bits)
        shift = Signal(range(form.mantissa_bits + 2))
        m.d.comb += [
            exponent.eq(rounded.exponent - before),
            shift.eq(before + 1 - rounded.exponent),
            self.operand.eq(Cat(mantissa, exponent, rounded.sign)),
        ]
        top = Const((1 << form.exponent_bits) - 1, form.exponent_bits)
        with m.If(is_nan(rounded)):
            kept = (1 << form.mantissa_bits) - 1 if form.specials == "nan" else 1 << (form.mantissa_bits - 1)
            m.d.comb += self.operand.eq(Cat(Const(kept, form.mantissa_bits), top))
        with m.Elif(rounded.exponent == INFINITE_EXPONENT):
            m.d.comb += self.operand.eq(Cat(Const(0, form.mantissa_bits), top, rounded.sign))
        with m.Elif(rounded.exponent == 0):
            m.d.comb += self.operand.eq(rounded.sign << (form.width_bits - 1))
        with m.Elif(rounded.exponent <= before):
            small = (Cat(mantissa, 1) >> shift)[: form.mantissa_bits]
            m.d.comb += self.operand.eq(Cat(small, Const(0, form.exponent_bits), rounded.sign))
        return m


class Rounder(Component):
    """An fp32 number rounded to a format, as fp32: to nearest, ties to even.

    Formats with fewer than 8 exponent bits underflow gradually; with 8, subnormals become zero of their sign. What is
    beyond the greatest value becomes infinity, or NaN in formats without. Every NaN becomes 0x7FC00000.

    Members
    -------
    value : In(SINGLE_LAYOUT)
        The number.
    rounded : Out(SINGLE_LAYOUT)
        The rounded number.

    Timing
    ------
    Combinational.

    """

    def __init__(self, form: Format) -> None:
        self._form = form
        super().__init__({"value": In(SINGLE_LAYOUT), "rounded": Out(SINGLE_LAYOUT)})

    def elaborate(self, platform: object) -> Module:
        """Add just less than half of the last place, and clear what is below it; the carry moves the exponent."""
        m = Module()
        form, value = self._form, self.value
        magnitude = self._gradual(m) if form.exponent_bits < 8 else self._round(m, 0)
        m.d.comb += self.rounded.eq(Cat(magnitude, value.sign))
        with m.If(is_nan(value)):
            m.d.comb += self.rounded.eq(NAN_BITS)
        with m.Elif(is_zero(value)):
            m.d.comb += self.rounded.eq(value.sign << 31)
        if (form.exponent_bits, form.specials) == (8, "ieee"):
            return m  # an infinity stays one, and the carry makes one of what is beyond the greatest value
        with m.If(~is_nan(value) & (is_infinite(value) | (magnitude > single_bits(form.greatest)))):
            m.d.comb += self.rounded.eq(
                NAN_BITS if form.specials == "nan" else Cat(Const(INFINITE_EXPONENT << MANTISSA_BITS, 31), value.sign)
            )
        return m

    def _round(self, m: Module, more: Value | int) -> Value:
        """Return exponent and mantissa, `more` bits fewer than a normal number of the format has being kept."""
        places = MANTISSA_BITS - self._form.mantissa_bits
        below = Signal(31)
        magnitude = Signal(31)
        last = (Cat(self.value.mantissa, 1) >> places >> more)[0]
        m.d.comb += [
            below.eq((Const(1 << places, MANTISSA_BITS + 1) << more) - 1),
            magnitude.eq((self.value.as_value()[:31] + (below >> 1) + (last & below[0])) & ~below),
        ]
        return magnitude

    def _gradual(self, m: Module) -> Value:
        """Return exponent and mantissa, fewer bits being kept the further the number is below the normal ones."""
        form, value = self._form, self.value
        least_normal, kept = form.least_exponent + BIAS, form.mantissa_bits
        more = Signal(range(kept + 1))
        magnitude = Signal(31)
        with m.If((value.exponent < least_normal) & (value.exponent >= least_normal - kept)):
            m.d.comb += more.eq(least_normal - value.exponent)
        rounded = self._round(m, more)
        with m.If(value.exponent >= least_normal - kept):
            m.d.comb += magnitude.eq(rounded)
        with m.Elif((value.exponent == least_normal - kept - 1) & (value.mantissa != 0)):
            m.d.comb += magnitude.eq(single_bits(2.0 ** (form.least_exponent - kept)))
        return magnitude


class HighPiece(Component):
    """The high piece of an fp32 number: itself, rounded to fewer significand bits.

    Members
    -------
    value : In(SINGLE_LAYOUT)
        The number.
    piece : Out(number_layout(significand_bits))
        Its high piece; infinity where that overflows.

    Timing
    ------
    Combinational.

    """

    def __init__(self, significand_bits: int) -> None:
        self._bits = significand_bits
        super().__init__({"value": In(SINGLE_LAYOUT), "piece": Out(number_layout(significand_bits))})

    def elaborate(self, platform: object) -> Module:
        """Round, and leave out the mantissa bits that are 0."""
        m = Module()
        m.submodules.rounder = rounder = Rounder(Format(8, self._bits - 1))
        m.d.comb += [rounder.value.eq(self.value), self.piece.eq(upper_bits(rounder.rounded, self._bits))]
        return m


class LowPiece(Component):
    """The low piece of an fp32 number: what its high piece leaves, rounded to as many significand bits.

    What is left is exact in fp32, and flushed there if it is below the smallest normal number. That of an infinity, or
    of a number whose high piece is one, has no meaning.

    Members
    -------
    value : In(SINGLE_LAYOUT)
        The number.
    piece : Out(number_layout(significand_bits))
        Its low piece.

    Timing
    ------
    Combinational.

    """

    def __init__(self, significand_bits: int) -> None:
        self._bits = significand_bits
        super().__init__({"value": In(SINGLE_LAYOUT), "piece": Out(number_layout(significand_bits))})

    def elaborate(self, platform: object) -> Module:
        """Take the bits below the piece, less one of its last place where the high piece is rounded away from 0."""
        m = Module()
        value, places = self.value, MANTISSA_BITS + 1 - self._bits
        is_up = Signal()
        left = Signal(places)
        last = Cat(value.mantissa, 1)[places]
        below = value.mantissa[:places]
        m.d.comb += [
            is_up.eq(below[-1] & (below[:-1].any() | last)),
            left.eq(Mux(is_up, -below, below)),
        ]
        shifted, distance = normalise(m, left, places)
        kept, carry = self._round(m, shifted)
        exponent = Signal(signed(10))
        carried = Signal(signed(10))
        m.d.comb += exponent.eq((value.exponent - self._bits) - distance)
        m.d.comb += carried.eq((value.exponent - (self._bits - 1)) - distance)
        with m.If((left != 0) & ~is_zero(value)):
            m.d.comb += self.piece.sign.eq(value.sign ^ is_up)
            with m.If(exponent > 0):
                m.d.comb += [self.piece.mantissa.eq(kept), self.piece.exponent.eq(Mux(carry, carried, exponent))]
        with m.If(is_nan(value)):
            m.d.comb += self.piece.eq(upper_bits(Const(NAN_BITS, 32), self._bits))
        return m

    def _round(self, m: Module, shifted: Value) -> tuple[Value, Value]:
        """Return the mantissa of a significand with a leading one, and the carry out of it."""
        missing = self._bits - len(shifted)
        if missing >= 0:
            return Cat(Const(0, missing), shifted)[:-1], Const(0, 1)
        kept, rest = shifted[-missing:], shifted[:-missing]
        is_up = rest[-1] & (rest[:-1].any() | kept[0])
        rounded = Signal(self._bits)
        m.d.comb += rounded.eq(kept[:-1] + is_up)
        return rounded[:-1], rounded[-1]
