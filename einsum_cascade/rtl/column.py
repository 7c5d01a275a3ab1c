"""The top of a column: its query file, and what the first PE of the column gets from above."""

from amaranth import Module, Signal, Value
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from einsum_cascade.array.instruction import MatrixOp
from einsum_cascade.array.numbers import LOWEST
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl.floats import MANTISSA_BITS, SINGLE_LAYOUT, Decoder, single_bits
from einsum_cascade.rtl.links import address_bits, column_layout

__all__ = ["LOWEST_BITS", "ColumnTop"]

LOWEST_BITS = single_bits(LOWEST)


class ColumnTop(Component):
    """What a column gets from above.

    PRODUCT: an operand of the query file, as fp32. MAXIMUM: the lowest finite number. The subtract slot of EXPONENTIAL:
    the maximum that the lane has for the tile, which no later tile replaces. Its scale slots: a part of the factor.
    The first two slots of a sigmoid: its scale and its bias. Otherwise +0.

    Members
    -------
    left : In(column_layout(shape))
        The instruction.
    right : Out(column_layout(shape))
        The same for the next column. Registered.
    maximum_queue : Out(address_bits(queue))
        Entry of the lane below, in its correction queue, whose maximum is wanted.
    maximum : In(SINGLE_LAYOUT)
        That maximum.
    scale, bias, factor, factor_high, factor_low : In(SINGLE_LAYOUT)
        Constants of functions, those that `Numbers.constants` names; they stay during a run.
    down : Out(SINGLE_LAYOUT)
        What the first PE of the column gets. Registered.
    write_enable : In(1)
        Whether a beat is written into the query file.
    write_address : In(address_bits(2 * key_beats))
        Which one; the file has two places, the second one from beat `key_beats` on.
    write_data : In(beat_bits)
        The beat, its first operand in the lowest bits.

    Timing
    ------
    `down` has what an instruction asks for `FEED_LATENCY` cycles after `left`, `right` one cycle after. The query file
    is read in the cycle in which the instruction is at `left`, and sees beats of earlier cycles; the maximum is taken
    one cycle later. One instruction and one beat a cycle; nothing stalls. After reset no instruction is under way; the
    query file holds what it held.

    """

    def __init__(self, shape: ArrayShape) -> None:
        self._shape = shape
        super().__init__(
            {
                "left": In(column_layout(shape)),
                "right": Out(column_layout(shape)),
                "maximum_queue": Out(address_bits(shape.queue)),
                "maximum": In(SINGLE_LAYOUT),
                **{name: In(SINGLE_LAYOUT) for name in shape.numbers.constants},
                "down": Out(SINGLE_LAYOUT),
                "write_enable": In(1),
                "write_address": In(address_bits(2 * shape.key_beats)),
                "write_data": In(shape.beat_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Read, then choose."""
        m = Module()
        beat, read = self._file(m), self.right
        down = Signal(SINGLE_LAYOUT)
        m.d.sync += [self.right.eq(self.left), self.down.eq(down)]
        form = self._shape.numbers.operand
        m.submodules.decoder = decoder = Decoder(form)
        place = read.address[: address_bits(self._shape.beat_operands)]
        m.d.comb += self.maximum_queue.eq(read.queue)
        m.d.comb += decoder.operand.eq(beat.word_select(place, form.width_bits))
        with m.Switch(read.op):
            with m.Case(MatrixOp.PRODUCT):
                m.d.comb += down.eq(decoder.number.as_value() << (MANTISSA_BITS - form.mantissa_bits))
            with m.Case(MatrixOp.MAXIMUM):
                m.d.comb += down.eq(LOWEST_BITS)
            with m.Case(MatrixOp.EXPONENTIAL):
                self._constants(m, read, down)
        return m

    def _constants(self, m: Module, read: data.View, down: Signal) -> None:
        """Feed what the slots of a function take from above."""
        with m.Switch(read.slot):
            for number, step in enumerate(self._shape.numbers.steps):
                if step.above is not None:
                    with m.Case(number):
                        m.d.comb += down.eq(getattr(self, step.above))

    def _file(self, m: Module) -> Value:
        shape = self._shape
        depth = 1 << address_bits(2 * shape.key_beats)
        m.submodules.queries = memory = Memory(shape=shape.beat_bits, depth=depth, init=[])
        read = memory.read_port()
        write = memory.write_port()
        m.d.comb += [
            read.addr.eq(self.left.address >> address_bits(shape.beat_operands)),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            write.en.eq(self.write_enable),
        ]
        return read.data
