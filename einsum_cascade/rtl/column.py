"""The top of a column: its file of queries, and what is fed down."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from einsum_cascade.program.instruction import INDEX_BITS, MatrixOp
from einsum_cascade.program.shape import ArrayShape
from einsum_cascade.rtl.corner import BEAT_BITS
from einsum_cascade.rtl.floats import MANTISSA_BITS, Decoder
from einsum_cascade.rtl.lane import LOWEST_BITS

__all__ = ["COLUMN_LAYOUT", "ColumnTop"]

COLUMN_LAYOUT = data.StructLayout({"op": 4, "index": INDEX_BITS, "query_bank": 1})
"""What goes along the tops of the columns."""


class ColumnTop(Component):
    """Feeds a column with queries, the lowest number, the maximum, or 0.

    Members
    -------
    number : In(10)
        Of the column; constant.
    left : In(COLUMN_LAYOUT)
        The instruction.
    right : Out(COLUMN_LAYOUT)
        The same, for the next column.
    maximum : In(32)
        The running maximum of the column's lane.
    down : Out(32)
        What is fed, fp32.
    fill_write, fill_line, fill_place, fill_data : In
        A beat for the file of column `fill_line`.

    Timing
    ------
    `right` and `down` are a cycle later than `left`. A beat can be read in the cycle after it was written. Nothing stalls.
    After reset, nothing is under way, and the file holds anything.

    """

    def __init__(self, shape: ArrayShape) -> None:
        self._shape = shape
        super().__init__(
            {
                "number": In(10),
                "left": In(COLUMN_LAYOUT),
                "right": Out(COLUMN_LAYOUT),
                "maximum": In(32),
                "down": Out(32),
                "fill_write": In(1),
                "fill_line": In(10),
                "fill_place": In(BEAT_BITS),
                "fill_data": In(8 * shape.beat_bytes),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Read the file, and choose."""
        m = Module()
        shape, left = self._shape, self.left
        beats = shape.beats_of(shape.product_steps)
        m.submodules.file = file = Memory(shape=8 * shape.beat_bytes, depth=2 * beats, init=[])
        write, read = file.write_port(), file.read_port()
        place, maximum = Signal(range(shape.beat_operands)), Signal(32)
        operand_bits = (shape.beat_operands - 1).bit_length()
        m.d.comb += [
            write.en.eq(self.fill_write & (self.fill_line == self.number)),
            write.addr.eq(self.fill_place),
            write.data.eq(self.fill_data),
            read.addr.eq(Mux(left.query_bank, beats, 0) + (left.index >> operand_bits)),
        ]
        m.d.sync += [self.right.eq(left), place.eq(left.index), maximum.eq(self.maximum)]
        form = shape.numbers.operand
        m.submodules.decoder = decoder = Decoder(form)
        number = decoder.number
        m.d.comb += decoder.operand.eq(read.data.word_select(place, 8 * shape.operand_bytes)[: form.width_bits])
        with m.Switch(self.right.op):
            with m.Case(MatrixOp.PRODUCT):
                missing = Const(0, MANTISSA_BITS - form.mantissa_bits)
                m.d.comb += self.down.eq(Cat(missing, number.mantissa, number.exponent, number.sign))
            with m.Case(MatrixOp.MAXIMUM):
                m.d.comb += self.down.eq(LOWEST_BITS)
            with m.Case(MatrixOp.EXPONENTIAL):
                m.d.comb += self.down.eq(maximum)
        return m
