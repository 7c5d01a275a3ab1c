"""Results as operands: each column's words side by side, as a row of queries, keys or values has them in memory."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl.floats import Encoder
from einsum_cascade.rtl.links import address_bits, counter_bits

__all__ = ["OperandBeats"]


class OperandBeats(Component):
    """Rounds a word of some columns a cycle, collects the words of each column into a beat, and gives these in turn.

    Members
    -------
    words
        A word of `dividers` columns.
    is_valid, place
        Whether it is there, and which operand of their beats it is.
    ends_beat, columns
        Whether it is the last of their beats, and how many of the columns are to be written.
    saturates
        Whether finite words beyond the format become its greatest number.
    beat_enable, beat, strobes
        A beat of a column, and which of its bytes are there.

    Timing
    ------
    The beats come in the cycles after `ends_beat`, the first column first, one a cycle; it is at least `dividers`
    cycles from one `ends_beat` to the next. Reset takes what is collected.

    """

    def __init__(self, shape: ArrayShape) -> None:
        """Take the array."""
        self._shape = shape
        super().__init__(
            {
                "words": In(data.ArrayLayout(32, shape.dividers)),
                "is_valid": In(1),
                "place": In(address_bits(shape.beat_operands)),
                "ends_beat": In(1),
                "columns": In(counter_bits(shape.dividers)),
                "saturates": In(1),
                "beat_enable": Out(1),
                "beat": Out(shape.beat_bits),
                "strobes": Out(shape.beat_bytes),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Keep a beat of each column that grows, and one that leaves."""
        m = Module()
        shape, form = self._shape, self._shape.numbers.operand
        left = Signal(counter_bits(shape.dividers))
        kept = Signal(shape.beat_operands)
        full = Signal(shape.beat_operands)
        ends = self.is_valid & self.ends_beat
        leaving = [Signal(shape.beat_bits, name=f"leaving_{at}") for at in range(shape.dividers)]
        leaving_kept = Signal(shape.beat_operands)
        m.d.comb += [
            full.eq(kept),
            full.bit_select(self.place, 1).eq(1),
            self.beat_enable.eq(left != 0),
            self.beat.eq(leaving[0]),
            self.strobes.eq(
                Cat(*(leaving_kept[at].replicate(shape.operand_bytes) for at in range(shape.beat_operands)))
            ),
        ]
        with m.If(self.is_valid):
            m.d.sync += kept.eq(Mux(self.ends_beat, 0, full))
        with m.If(ends):
            m.d.sync += [left.eq(self.columns), leaving_kept.eq(full)]
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        for at in range(shape.dividers):
            m.submodules[f"encoder_{at}"] = encoder = Encoder(form)
            collected = Signal(shape.beat_bits, name=f"collected_{at}")
            whole = Signal(shape.beat_bits, name=f"whole_{at}")
            m.d.comb += [
                *(encoder.value.eq(self.words[at]), encoder.saturates.eq(self.saturates)),
                *(whole.eq(collected), whole.word_select(self.place, form.width_bits).eq(encoder.operand)),
            ]
            with m.If(self.is_valid):
                m.d.sync += collected.eq(Mux(self.ends_beat, 0, whole))
            with m.If(ends):
                m.d.sync += leaving[at].eq(whole)
            with m.Elif(left != 0):
                m.d.sync += leaving[at].eq(leaving[at + 1] if at + 1 < shape.dividers else 0)
        return m
