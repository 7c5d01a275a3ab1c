"""The PE: scores in contexts, one multiply-add, one maximum, links to the right and down."""

from amaranth import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from einsum_cascade.program.instruction import MatrixOp
from einsum_cascade.program.shape import ArrayShape
from einsum_cascade.rtl.corner import TURN_BITS, counter_bits
from einsum_cascade.rtl.exponential import (
    INTEGER_BITS,
    LAST_SLOT,
    SLOT_BITS,
    ExponentialOperands,
    ExponentialResult,
)
from einsum_cascade.rtl.floats import SINGLE_LAYOUT, Decoder, Rounder, upper_bits
from einsum_cascade.rtl.maximum import Maximum
from einsum_cascade.rtl.multiply_add import MultiplyAdd, rank

__all__ = ["ProcessingElement", "travel_layout"]


def travel_layout(shape: ArrayShape) -> data.StructLayout:
    """Return what travels to the right: an instruction, how many columns from here are masked and kept, an operand.

    `flag` says that a product begins, or that the scores of this row leave.
    """
    return data.StructLayout(
        {
            "op": 4,
            "context": TURN_BITS,
            "flag": 1,
            "slot": SLOT_BITS,
            "low": counter_bits(shape),
            "high": counter_bits(shape),
            "operand": shape.numbers.operand.width_bits,
        }
    )


class ProcessingElement(Component):
    """Does a microinstruction a cycle; what each does is in docs/decisions/0006-the-array-and-its-program.md, "A PE".

    Members
    -------
    left : In(travel_layout(shape))
        The instruction.
    right : Out(travel_layout(shape))
        The same, for the neighbour.
    up : In(32)
        What comes from above, fp32.
    down : Out(32)
        What goes down.

    Timing
    ------
    `right` is a cycle later than `left`. `down`, contexts and temporaries are `stages` cycles later; a slot that needs them
    comes no earlier. Nothing stalls. After reset, nothing is under way; contexts hold anything.

    """

    def __init__(self, shape: ArrayShape) -> None:
        self._shape = shape
        travel = travel_layout(shape)
        super().__init__({"left": In(travel), "right": Out(travel), "up": In(32), "down": Out(32)})

    def elaborate(self, platform: object) -> Module:
        """Read the context, compute, and write after as many cycles as the multiply-add has stages."""
        m = Module()
        self._pass_right(m)
        score, is_masked, write_score, write_mask = self._contexts(m)
        integer, fraction = Signal(signed(INTEGER_BITS)), Signal(SINGLE_LAYOUT)
        result = self._multiply_add(m, score, fraction)
        ending = self._delayed(m, self._beginning(m, score, is_masked))
        self._send_down(m, ending, result)
        self._write(m, ending, result, (integer, fraction), (write_score, write_mask))
        return m

    def _pass_right(self, m: Module) -> None:
        m.d.sync += self.right.eq(self.left)
        for counter in ("low", "high"):
            value = getattr(self.left, counter)
            m.d.sync += getattr(self.right, counter).eq(Mux(value == 0, 0, value - 1))

    def _contexts(self, m: Module) -> tuple[data.View, Value, Value, Value]:
        """Return the score and the mask bit of the context, and the ports that write them."""
        count = self._shape.contexts
        m.submodules.scores = scores = Memory(shape=32, depth=count, init=[])
        m.submodules.masks = masks = Memory(shape=1, depth=count, init=[])
        read, read_mask = scores.read_port(domain="comb"), masks.read_port(domain="comb")
        m.d.comb += [read.addr.eq(self.left.context), read_mask.addr.eq(self.left.context)]
        score = Signal(SINGLE_LAYOUT)
        m.d.comb += score.eq(read.data)
        return score, read_mask.data, scores.write_port(), masks.write_port()

    def _multiply_add(self, m: Module, score: data.View, fraction: data.View) -> data.View:
        numbers, left = self._shape.numbers, self.left
        m.submodules.multiply_add = unit = MultiplyAdd(numbers.operand_bits, numbers.score_bits, self._shape.stages)
        m.submodules.operands = slots = ExponentialOperands(numbers.steps, numbers.operand_bits, numbers.score_bits)
        m.submodules.decoder = decoder = Decoder(numbers.operand)
        missing = numbers.operand_bits - 1 - numbers.operand.mantissa_bits
        operand = decoder.number
        m.d.comb += [
            decoder.operand.eq(left.operand),
            slots.is_active.eq(left.op == MatrixOp.EXPONENTIAL),
            slots.slot.eq(left.slot),
            slots.state.eq(score),
            slots.maximum.eq(self.up),
            slots.fraction.eq(fraction),
            unit.operand.eq(Cat(Const(0, missing), operand.mantissa, operand.exponent, operand.sign)),
            unit.score.eq(slots.score),
            unit.augend.eq(slots.augend),
            unit.addend.eq(self.up),
        ]
        with m.Switch(left.op):
            with m.Case(MatrixOp.PRODUCT):
                m.d.comb += unit.score.eq(upper_bits(self.up, numbers.score_bits))
                m.d.comb += unit.addend.eq(Mux(left.flag, 0, score.as_value()))
            with m.Case(MatrixOp.EXPONENTIAL):
                m.d.comb += [
                    unit.operand.eq(slots.operand),
                    unit.addend.eq(slots.addend),
                    unit.is_sum.eq(slots.is_sum),
                ]
            with m.Case(MatrixOp.SUM):
                m.d.comb += unit.is_sum.eq(1)
        return unit.result

    def _beginning(self, m: Module, score: data.View, is_masked: Value) -> data.View:
        """Return what is known as the instruction begins and needed as it ends."""
        left = self.left
        beginning = Signal(
            data.StructLayout(
                {
                    "op": 4,
                    "context": TURN_BITS,
                    "slot": SLOT_BITS,
                    "flag": 1,
                    "is_masked": 1,
                    "becomes_masked": 1,
                    "takes_result": 1,
                    "passed": 32,
                }
            )
        )
        m.submodules.maximum = maximum = Maximum()
        m.d.comb += [
            maximum.left.eq(self.up),
            maximum.right.eq(score),
            beginning.op.eq(left.op),
            beginning.context.eq(left.context),
            beginning.slot.eq(left.slot),
            beginning.flag.eq(left.flag),
            beginning.is_masked.eq(is_masked),
            beginning.becomes_masked.eq((left.low != 0) | (left.high == 0)),
            beginning.takes_result.eq((left.op == MatrixOp.SUM) | ((left.op == MatrixOp.COMBINE) & ~is_masked)),
            beginning.passed.eq(self.up),
        ]
        with m.If((left.op == MatrixOp.MAXIMUM) & ~is_masked):
            m.d.comb += beginning.passed.eq(maximum.greater)
        with m.If((left.op == MatrixOp.OUT) & left.flag):
            m.d.comb += beginning.passed.eq(Mux(is_masked, 0, score.as_value()))
        return beginning

    def _delayed(self, m: Module, beginning: data.View) -> data.View:
        for _ in range(self._shape.stages - 1):
            beginning = rank(m, beginning, is_registered=True)
        return beginning

    def _send_down(self, m: Module, ending: data.View, result: data.View) -> None:
        m.d.sync += self.down.eq(Mux(ending.takes_result, result.as_value(), ending.passed))

    def _write(
        self,
        m: Module,
        ending: data.View,
        result: data.View,
        temporaries: tuple[Value, data.View],
        ports: tuple[Value, Value],
    ) -> None:
        (integer, fraction), (write, write_mask) = temporaries, ports
        m.submodules.slot_result = slots = ExponentialResult(self._shape.numbers.steps)
        m.submodules.rounder = rounder = Rounder(self._shape.numbers.score)
        is_product, is_slot = ending.op == MatrixOp.PRODUCT, ending.op == MatrixOp.EXPONENTIAL
        m.d.comb += [
            slots.slot.eq(ending.slot),
            slots.result.eq(result),
            slots.integer.eq(integer),
            rounder.value.eq(slots.state),
            write.addr.eq(ending.context),
            write.data.eq(result.as_value()),
            write.en.eq(is_product | (is_slot & slots.has_state)),
            write_mask.addr.eq(ending.context),
            write_mask.data.eq(ending.becomes_masked),
            write_mask.en.eq(is_product & ending.flag),
        ]
        with m.If(is_slot):
            m.d.comb += write.data.eq(slots.state.as_value())
            with m.If(ending.slot == LAST_SLOT):
                m.d.comb += write.data.eq(Mux(ending.is_masked, 0, rounder.rounded.as_value()))
            with m.If(slots.has_fraction):
                m.d.sync += fraction.eq(slots.fraction)
            with m.If(slots.has_integer):
                m.d.sync += integer.eq(slots.next_integer)
