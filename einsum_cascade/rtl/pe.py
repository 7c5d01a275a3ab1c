"""A processing element: contexts, a multiply-add, a maximum, and the links to its neighbours."""

from amaranth import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from einsum_cascade.array.instruction import MatrixOp
from einsum_cascade.array.numbers import SINGLE
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl.cuts import cuts_of
from einsum_cascade.rtl.exponential import INTEGER_BITS, ExponentialOperands, ExponentialResult, slot_bits
from einsum_cascade.rtl.floats import SINGLE_LAYOUT, Rounder, number_layout, upper_bits
from einsum_cascade.rtl.links import OP_BITS, address_bits, link_layout
from einsum_cascade.rtl.maximum import Maximum
from einsum_cascade.rtl.multiply_add import MultiplyAdd, delayed, rank

__all__ = ["ProcessingElement"]

_CONTEXT = data.StructLayout({"score": SINGLE_LAYOUT, "is_masked": 1})


class ProcessingElement(Component):
    """One element of the array, as docs/decisions/0006-the-array-and-its-program.md says under "A PE".

    The score side of the multiplier takes the high piece of a score, which is the score itself where an exponential
    has rounded it to the score format. Scores and sums are rounded to the accumulation format by the multiply-add,
    slots of functions are not; links and contexts are of fp32 whatever it is.

    Members
    -------
    left : In(link_layout(shape))
        Instruction and operand.
    right : Out(link_layout(shape))
        The same for the next PE, the counters one less. Registered.
    up : In(SINGLE_LAYOUT)
        What comes from above with the instruction.
    down : Out(SINGLE_LAYOUT)
        What goes to the PE below. Registered.

    Timing
    ------
    An instruction is executed in the cycle in which it is at `left`, with what is at `up` in that cycle. `right` has it
    one cycle later, `down` and the context have its result L cycles later. One instruction a cycle; nothing stalls, and
    an instruction that needs the result of another one must come L cycles or more after it. After reset no instruction
    is under way and `down` is 0; contexts hold what they held.

    """

    def __init__(self, shape: ArrayShape) -> None:
        self._shape = shape
        form = shape.numbers.accumulation
        self._narrow = None if form == SINGLE else form
        self._cuts = cuts_of(shape.stages)
        self._is_cut = "halved" in self._cuts
        super().__init__(
            {
                "left": In(link_layout(shape)),
                "right": Out(link_layout(shape)),
                "up": In(SINGLE_LAYOUT),
                "down": Out(SINGLE_LAYOUT),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Read the context, compute, and write back L cycles later."""
        m = Module()
        self._read(m)
        self._pass_on(m)
        self._feed(m)
        self._begin(m)
        self._end(m)
        return m

    def _read(self, m: Module) -> None:
        depth = 1 << address_bits(self._shape.contexts)
        m.submodules.contexts = memory = Memory(shape=_CONTEXT, depth=depth, init=[])
        read = memory.read_port(domain="comb")
        self._write = memory.write_port()
        self._context = Signal(_CONTEXT)
        self._fraction = Signal(SINGLE_LAYOUT)
        self._integer = Signal(signed(INTEGER_BITS))
        self._kept = Signal(SINGLE_LAYOUT)
        m.d.comb += [read.addr.eq(self.left.context), self._context.eq(read.data)]

    def _pass_on(self, m: Module) -> None:
        left = self.left
        m.d.sync += [
            self.right.eq(left),
            self.right.low.eq(Mux(left.low == 0, 0, left.low - 1)),
            self.right.high.eq(Mux(left.high == 0, 0, left.high - 1)),
        ]

    def _feed(self, m: Module) -> None:
        """Give the multiply-add what the operation says."""
        numbers, left, score = self._shape.numbers, self.left, self._context.score
        unit = MultiplyAdd(numbers.operand_bits, numbers.score_bits, self._cuts, self._narrow)
        m.submodules.multiply_add = unit
        m.submodules.slot = slot = ExponentialOperands(numbers.steps, numbers.operand_bits, numbers.score_bits)
        is_exponential = left.op == MatrixOp.EXPONENTIAL
        m.d.comb += [
            slot.is_active.eq(is_exponential),
            slot.slot.eq(left.slot),
            slot.state.eq(score),
            slot.up.eq(self.up),
            slot.fraction.eq(self._fraction),
            slot.kept.eq(self._kept),
            unit.operand.eq(_widen(left.operand, numbers.operand_bits)),
            unit.score.eq(slot.score),
            unit.addend.eq(self.up),
            unit.augend.eq(score),
            unit.is_sum.eq(left.op == MatrixOp.SUM),
        ]
        with m.If(is_exponential):
            m.d.comb += [unit.operand.eq(slot.operand), unit.addend.eq(slot.addend), unit.is_sum.eq(slot.is_sum)]
        with m.If(left.op == MatrixOp.PRODUCT):
            # What comes down is an operand, which the score side takes as it is.
            m.d.comb += unit.score.eq(upper_bits(self.up.as_value(), numbers.score_bits))
            m.d.comb += unit.addend.eq(Mux(left.flag, 0, score.as_value()))
        if self._narrow is not None:
            m.d.comb += unit.is_narrow.eq(~is_exponential)
        self._result = unit.result
        for number, step in enumerate(numbers.steps):
            if step.kind == "complement":
                # What is complemented is kept; its sign was, as x was made.
                with m.If(is_exponential & (left.slot == number)):
                    m.d.sync += self._kept.as_value()[:31].eq(score.as_value())

    def _begin(self, m: Module) -> None:
        """Choose what goes down if the multiply-add does not say it, and what the write-back needs to know."""
        left, context = self.left, self._context
        going = Signal(_going_layout(self._shape))
        m.submodules.maximum = maximum = Maximum()
        m.d.comb += [maximum.left.eq(self.up), maximum.right.eq(context.score)]
        m.d.comb += [
            going.op.eq(left.op),
            going.context.eq(left.context),
            going.slot.eq(left.slot),
            going.is_masked.eq(context.is_masked),
            going.is_computed.eq(left.op == MatrixOp.SUM),
            going.integer.eq(self._integer),
            going.passing.eq(self.up),
        ]
        with m.Switch(left.op):
            with m.Case(MatrixOp.PRODUCT), m.If(left.flag):
                m.d.comb += going.is_masked.eq((left.low != 0) | (left.high == 0))
            with m.Case(MatrixOp.MAXIMUM), m.If(~context.is_masked):
                m.d.comb += going.passing.eq(maximum.greater)
            with m.Case(MatrixOp.COMBINE):
                m.d.comb += going.is_computed.eq(~context.is_masked)
            with m.Case(MatrixOp.OUT), m.If(left.flag):
                m.d.comb += going.passing.eq(Mux(context.is_masked, 0, context.score.as_value()))
        self._computed = delayed(m, going, self._shape.stages - 1 - self._is_cut)
        self._going = delayed(m, self._computed, int(self._is_cut))

    def _end(self, m: Module) -> None:
        """Write back, and send down."""
        going, write = self._going, self._write
        result = rank(m, self._result, self._is_cut)
        m.submodules.after = after = ExponentialResult(self._shape.numbers.steps, is_cut=self._is_cut)
        m.d.comb += [
            after.slot.eq(self._computed.slot),
            after.result.eq(self._result),
            after.integer.eq(self._computed.integer),
            write.addr.eq(going.context),
            write.data.is_masked.eq(going.is_masked),
            write.data.score.eq(result),
        ]
        m.d.sync += self.down.eq(Mux(going.is_computed, result.as_value(), going.passing.as_value()))
        with m.If(going.op == MatrixOp.PRODUCT):
            m.d.comb += write.en.eq(1)
        with m.If(going.op == MatrixOp.EXPONENTIAL):
            m.d.comb += [write.en.eq(after.has_state), write.data.score.eq(self._state(m, after))]
            with m.If(after.has_fraction):
                m.d.sync += self._fraction.eq(after.fraction)
            with m.If(after.has_integer):
                m.d.sync += self._integer.eq(after.next_integer)
            with m.If(after.has_sign):
                m.d.sync += self._kept.sign.eq(result.sign)
            with m.If(after.has_positive):
                m.d.sync += self._kept.eq(Mux(result.sign, 0, result.as_value()))

    def _state(self, m: Module, after: ExponentialResult) -> Value:
        """Round the exponential to the score format, and give 0 where it is masked."""
        m.submodules.rounder = rounder = Rounder(self._shape.numbers.score)
        m.d.comb += rounder.value.eq(after.state)
        rounded = Mux(self._going.is_masked, 0, rounder.rounded.as_value())
        return Mux(after.is_result, rounded, after.state.as_value())


def _going_layout(shape: ArrayShape) -> data.StructLayout:
    """Return what accompanies the multiply-add through its stages."""
    return data.StructLayout(
        {
            "op": OP_BITS,
            "context": address_bits(shape.contexts),
            "slot": slot_bits(shape.numbers.steps),
            "is_masked": 1,
            "is_computed": 1,
            "integer": signed(INTEGER_BITS),
            "passing": SINGLE_LAYOUT,
        }
    )


def _widen(number: data.View, significand_bits: int) -> data.View:
    """Append zeros to a mantissa."""
    missing = significand_bits - len(number.mantissa) - 1
    return number_layout(significand_bits)(Cat(Const(0, missing), number.as_value()))
