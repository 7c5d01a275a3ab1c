"""The greater of two fp32 numbers."""

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from einsum_cascade.rtl.floats import NAN_BITS, SINGLE_LAYOUT, is_nan, is_zero

__all__ = ["Maximum"]


class Maximum(Component):
    """greater = the greater of two numbers: 0x7FC00000 if either is NaN; +0 is above -0.

    Subnormals count as zero of their sign, and come out as it.

    Members
    -------
    left, right : In(SINGLE_LAYOUT)
        The numbers.
    greater : Out(SINGLE_LAYOUT)
        The greater one.

    Timing
    ------
    Combinational.

    """

    def __init__(self) -> None:
        super().__init__({"left": In(SINGLE_LAYOUT), "right": In(SINGLE_LAYOUT), "greater": Out(SINGLE_LAYOUT)})

    def elaborate(self, platform: object) -> Module:
        """Compare sign and magnitude as one number: of negative ones, the bits below the sign are inverted."""
        m = Module()
        left, right = _flush(m, self.left), _flush(m, self.right)
        with m.If(is_nan(self.left) | is_nan(self.right)):
            m.d.comb += self.greater.eq(NAN_BITS)
        with m.Else():
            m.d.comb += self.greater.eq(Mux(_ordered(left) >= _ordered(right), left, right))
        return m


def _flush(m: Module, number: data.View) -> Value:
    flushed = Signal(32)
    m.d.comb += flushed.eq(Mux(is_zero(number), number.sign << 31, number.as_value()))
    return flushed


def _ordered(bits: Value) -> Value:
    return Cat(bits[:31] ^ bits[31].replicate(31), ~bits[31])
