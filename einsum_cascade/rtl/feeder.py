"""The feeder of a row: its bank of keys and values, and its part of the mask."""

from amaranth import Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from einsum_cascade.program.instruction import MatrixOp
from einsum_cascade.program.shape import ArrayShape
from einsum_cascade.rtl.corner import BEAT_BITS, matrix_members
from einsum_cascade.rtl.multiply_add import rank
from einsum_cascade.rtl.pe import travel_layout

__all__ = ["RowFeeder"]


class RowFeeder(Component):
    """Gives the instructions of a row their operands, and passes them on to the next row.

    Members
    -------
    number : In(10)
        Of the row; constant.
    above : In
        The instruction, from the corner or from the row above; `index` of OUT is how far below the row is that leaves.
    below : Out
        The same, for the row below.
    travel : Out(travel_layout(shape))
        The instruction for the first PE of the row.
    fill_write, fill_line, fill_place, fill_data : In
        A beat for the bank of row `fill_line`.

    Timing
    ------
    `travel` is a cycle later than `above`, `below` as many cycles as the multiply-add has stages. A beat can be read in the
    cycle after it was written. Nothing stalls. After reset, nothing is under way, and the bank holds anything.

    """

    def __init__(self, shape: ArrayShape) -> None:
        self._shape = shape
        matrix = data.StructLayout(matrix_members(shape))
        super().__init__(
            {
                "number": In(10),
                "above": In(matrix),
                "below": Out(matrix),
                "travel": Out(travel_layout(shape)),
                "fill_write": In(1),
                "fill_line": In(10),
                "fill_place": In(BEAT_BITS),
                "fill_data": In(8 * shape.beat_bytes),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Read the bank and work out the counters of masked and kept columns beside it."""
        m = Module()
        above, travel = self.above, self.travel
        m.d.sync += [
            travel.op.eq(above.op),
            travel.context.eq(above.context),
            travel.slot.eq(above.index),
            travel.flag.eq(above.index == 0),
            travel.low.eq(Mux(above.rows <= 0, self._shape.columns, self._clamped(above.low))),
            travel.high.eq(self._clamped(above.high)),
        ]
        m.d.comb += travel.operand.eq(self._operand(m))
        self._pass_down(m)
        return m

    def _clamped(self, count: Value) -> Value:
        columns = self._shape.columns
        return Mux(count < 0, 0, Mux(count > columns, columns, count))

    def _operand(self, m: Module) -> Value:
        shape = self._shape
        m.submodules.bank = bank = Memory(shape=8 * shape.beat_bytes, depth=shape.bank_beats, init=[])
        write, read = bank.write_port(), bank.read_port()
        m.d.comb += [
            write.en.eq(self.fill_write & (self.fill_line == self.number)),
            write.addr.eq(self.fill_place),
            write.data.eq(self.fill_data),
            read.addr.eq(self.above.beat),
        ]
        place = Signal(range(shape.beat_operands))
        m.d.sync += place.eq(self.above.index)
        width = 8 * shape.operand_bytes
        return read.data.word_select(place, width)[: shape.numbers.operand.width_bits]

    def _pass_down(self, m: Module) -> None:
        above, following = self.above, Signal(self.above.shape())
        m.d.comb += [
            following.eq(above),
            following.low.eq(above.low + 1),
            following.high.eq(above.high + 1),
            following.rows.eq(above.rows - 1),
        ]
        with m.If(above.op == MatrixOp.OUT):
            m.d.comb += following.index.eq(above.index - 1)
        value = following
        for _ in range(self._shape.stages):
            value = rank(m, value, is_registered=True)
        m.d.comb += self.below.eq(value)
