"""The feeder of a row: the bank of its keys and values, and the instruction on its way down the rows."""

from amaranth import Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from einsum_cascade.array.instruction import MatrixOp
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl.floats import Decoder
from einsum_cascade.rtl.links import address_bits, link_layout, row_layout

__all__ = ["FEED_LATENCY", "RowFeeder"]

FEED_LATENCY = 2
"""Cycles from an instruction at a row feeder or a column top to the PE beside it executing it: read, convert."""


class RowFeeder(Component):
    """What a row gets from the left.

    Members
    -------
    above : In(row_layout(shape))
        The instruction, seen from this row.
    below : Out(row_layout(shape))
        The same for the next row: bounds one more (not above columns), rows one less (not below 0), row one less.
    right : Out(link_layout(shape))
        What the first PE of the row gets. Registered.
    write_enable : In(1)
        Whether a beat is written into the bank.
    write_address : In(address_bits(bank_beats))
        Which one.
    write_data : In(beat_bits)
        The beat, its first operand in the lowest bits.

    Timing
    ------
    `right` has an instruction `FEED_LATENCY` cycles after `above`, `below` L cycles after. The bank is read in the
    cycle in which the instruction is at `above`: beats written in earlier cycles are seen, one written in the same
    cycle is not. One instruction and one beat a cycle; nothing stalls. After reset no instruction is under way; the
    bank holds what it held.

    """

    def __init__(self, shape: ArrayShape) -> None:
        self._shape = shape
        super().__init__(
            {
                "above": In(row_layout(shape)),
                "below": Out(row_layout(shape)),
                "right": Out(link_layout(shape)),
                "write_enable": In(1),
                "write_address": In(address_bits(shape.bank_beats)),
                "write_data": In(shape.beat_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Delay, read, convert."""
        m = Module()
        self._pass_on(m)
        self._beat = self._bank(m)
        read = Signal(row_layout(self._shape))
        m.d.sync += read.eq(self.above)
        self._send(m, read)
        return m

    def _pass_on(self, m: Module) -> None:
        above, columns = self.above, self._shape.columns
        going = Signal(row_layout(self._shape))
        m.d.comb += [
            going.eq(above),
            going.row.eq(above.row - 1),
            going.rows.eq(Mux(above.rows == 0, 0, above.rows - 1)),
            going.low.eq(Mux(above.low >= columns, columns, above.low + 1)),
            going.high.eq(Mux(above.high >= columns, columns, above.high + 1)),
        ]
        for _ in range(self._shape.stages - 1):
            register = Signal(row_layout(self._shape))
            m.d.sync += register.eq(going)
            going = register
        m.d.sync += self.below.eq(going)

    def _bank(self, m: Module) -> Value:
        shape = self._shape
        depth = 1 << address_bits(shape.bank_beats)
        m.submodules.bank = memory = Memory(shape=shape.beat_bits, depth=depth, init=[])
        read = memory.read_port()
        write = memory.write_port()
        m.d.comb += [
            read.addr.eq(self.above.address >> address_bits(shape.beat_operands)),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            write.en.eq(self.write_enable),
        ]
        return read.data

    def _send(self, m: Module, read: data.View) -> None:
        """Select the operand, compare the bounds with this row's columns."""
        shape = self._shape
        next_right = Signal(link_layout(self._shape))
        m.submodules.decoder = decoder = Decoder(shape.numbers.operand)
        place = read.address[: address_bits(shape.beat_operands)]
        m.d.comb += [
            decoder.operand.eq(self._beat.word_select(place, shape.numbers.operand.width_bits)),
            next_right.op.eq(read.op),
            next_right.context.eq(read.context),
            next_right.slot.eq(read.slot),
            next_right.flag.eq(Mux(read.op == MatrixOp.OUT, read.row == 0, read.is_first)),
            next_right.low.eq(_clamp(read.low, shape.columns)),
            next_right.high.eq(_clamp(read.high, shape.columns)),
            next_right.operand.eq(decoder.number),
        ]
        with m.If(read.rows == 0):
            m.d.comb += next_right.low.eq(shape.columns)
        m.d.sync += self.right.eq(next_right)


def _clamp(bound: Value, greatest: int) -> Value:
    return Mux(bound < 0, 0, Mux(bound > greatest, greatest, bound))
