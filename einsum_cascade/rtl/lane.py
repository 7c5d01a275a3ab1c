"""A lane of the vector row: running maximum, corrections, running sum and accumulators of a column."""

from amaranth import Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from einsum_cascade.program.instruction import VectorOp
from einsum_cascade.program.numbers import exponential_steps
from einsum_cascade.program.shape import ArrayShape
from einsum_cascade.rtl.corner import vector_layout
from einsum_cascade.rtl.exponential import INTEGER_BITS, ExponentialOperands, ExponentialResult
from einsum_cascade.rtl.floats import SINGLE_LAYOUT
from einsum_cascade.rtl.maximum import Maximum
from einsum_cascade.rtl.multiply_add import MultiplyAdd, rank

__all__ = ["DRAIN_LAYOUT", "LOWEST_BITS", "VectorLane"]

LOWEST_BITS = 0xFF7FFFFF
"""The lowest finite fp32 number, which maxima start with."""

DRAIN_LAYOUT = data.StructLayout({"word": 32, "total": 32})
"""A result that leaves, and what it is divided by."""

_WIDE = 24


class VectorLane(Component):
    """Does an instruction a cycle; what each does is said at `VectorOp`.

    Members
    -------
    left : In(vector_layout())
        The instruction.
    right : Out(vector_layout())
        The same, for the next lane.
    arriving : In(32)
        What the column sends, fp32.
    maximum : Out(32)
        The running maximum.
    drain_load, drain_bank, drain_word : In
        Take word `drain_word` of a bank, and its captured sum, into the register that leaves.
    drain_shift : In(1)
        Take what the lane further right has.
    drain_in : In(DRAIN_LAYOUT)
        That of the lane further right.
    drain_out : Out(DRAIN_LAYOUT)
        The register that leaves.

    Timing
    ------
    `right` is a cycle later than `left`; `maximum` changes a cycle after a MAXIMUM, all other state `stages` cycles after
    its instruction. Nothing stalls. After reset, nothing is under way, and state is anything.

    """

    def __init__(self, shape: ArrayShape) -> None:
        self._shape = shape
        super().__init__(
            {
                "left": In(vector_layout()),
                "right": Out(vector_layout()),
                "arriving": In(32),
                "maximum": Out(32),
                "drain_load": In(1),
                "drain_bank": In(1),
                "drain_word": In(16),
                "drain_shift": In(1),
                "drain_in": In(DRAIN_LAYOUT),
                "drain_out": Out(DRAIN_LAYOUT),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the maximum with its queue, the multiply-add, and the state that it updates."""
        m = Module()
        m.d.sync += self.right.eq(self.left)
        integer, fraction, total = Signal(signed(INTEGER_BITS)), Signal(SINGLE_LAYOUT), Signal(SINGLE_LAYOUT)
        ending = self.left
        for _ in range(self._shape.stages - 1):
            ending = rank(m, ending, is_registered=True)
        old, new = self._maximum(m)
        correction, write_correction = self._queue(m, "corrections")
        accumulator, write_accumulator, drained = self._accumulators(m, ending)
        is_sum = (self.left.op == VectorOp.DENOMINATOR) | (self.left.op == VectorOp.ADD_DENOMINATOR)
        state = Signal(SINGLE_LAYOUT)
        m.d.comb += state.eq(Mux(is_sum, total.as_value(), accumulator))
        result = self._multiply_add(m, (old, new, correction), fraction, state)
        self._keep(m, ending, result, (integer, fraction, total), write_correction, write_accumulator)
        self._drain(m, ending, result, drained)
        return m

    def _queue(self, m: Module, name: str) -> tuple[Value, Value]:
        """Return the entry of the instruction in a queue, and the port that writes it."""
        queue = Memory(shape=32, depth=self._shape.queue, init=[])
        m.submodules[name] = queue
        read = queue.read_port(domain="comb")
        m.d.comb += read.addr.eq(self.left.entry)
        return read.data, queue.write_port()

    def _maximum(self, m: Module) -> tuple[Value, Value]:
        """Return the maximum before and after the tile of the instruction."""
        (old, write_old), (new, write_new) = self._queue(m, "old_maxima"), self._queue(m, "new_maxima")
        m.submodules.greater = unit = Maximum()
        before = Mux(self.left.starts_result, LOWEST_BITS, self.maximum)
        takes = self.left.op == VectorOp.MAXIMUM
        m.d.comb += [unit.left.eq(before), unit.right.eq(self.arriving)]
        for port, value in ((write_old, before), (write_new, unit.greater.as_value())):
            m.d.comb += [port.en.eq(takes), port.addr.eq(self.left.entry), port.data.eq(value)]
        with m.If(takes):
            m.d.sync += self.maximum.eq(unit.greater)
        return old, new

    def _accumulators(self, m: Module, ending: data.View) -> tuple[Value, Value, Value]:
        """Return the word of the instruction, the port that writes words, and the word that leaves."""
        words = self._shape.output_steps
        m.submodules.accumulators = memory = Memory(shape=32, depth=2 * words, init=[])
        read, drain, write = memory.read_port(domain="comb"), memory.read_port(domain="comb"), memory.write_port()
        m.d.comb += [
            read.addr.eq(Mux(self.left.bank, words, 0) + self.left.index),
            drain.addr.eq(Mux(self.drain_bank, words, 0) + self.drain_word),
            write.addr.eq(Mux(ending.bank, words, 0) + ending.index),
        ]
        return read.data, write, drain.data

    def _multiply_add(
        self, m: Module, queue: tuple[Value, Value, Value], fraction: data.View, state: data.View
    ) -> data.View:
        old, new, correction = queue
        left, stages = self.left, self._shape.stages
        m.submodules.multiply_add = unit = MultiplyAdd(_WIDE, _WIDE, stages)
        m.submodules.operands = slots = ExponentialOperands(exponential_steps("wide"), _WIDE, _WIDE)
        is_correction = left.op == VectorOp.CORRECTION
        is_added = (left.op == VectorOp.ADD) | (left.op == VectorOp.ADD_DENOMINATOR) | left.starts_result
        m.d.comb += [
            slots.is_active.eq(1),
            slots.slot.eq(left.index),
            slots.state.eq(Mux(left.index == 0, old, correction)),
            slots.maximum.eq(new),
            slots.fraction.eq(fraction),
            unit.operand.eq(Mux(is_correction, slots.operand.as_value(), state.as_value())),
            unit.score.eq(Mux(is_correction, slots.score.as_value(), correction)),
            unit.augend.eq(Mux(is_correction, slots.augend.as_value(), Mux(left.starts_result, 0, state.as_value()))),
            unit.addend.eq(Mux(is_correction, slots.addend.as_value(), self.arriving)),
            unit.is_sum.eq(Mux(is_correction, slots.is_sum, is_added)),
        ]
        return unit.result

    def _keep(
        self,
        m: Module,
        ending: data.View,
        result: data.View,
        registers: tuple[Value, data.View, data.View],
        write_correction: Value,
        write_accumulator: Value,
    ) -> None:
        integer, fraction, total = registers
        m.submodules.slot_result = slots = ExponentialResult(exponential_steps("wide"))
        is_correction = ending.op == VectorOp.CORRECTION
        m.d.comb += [
            slots.slot.eq(ending.index),
            slots.result.eq(result),
            slots.integer.eq(integer),
            write_correction.addr.eq(ending.entry),
            write_correction.data.eq(slots.state.as_value()),
            write_correction.en.eq(is_correction & slots.has_state),
            write_accumulator.data.eq(result.as_value()),
            write_accumulator.en.eq((ending.op == VectorOp.NUMERATOR) | (ending.op == VectorOp.ADD)),
        ]
        with m.If(is_correction & slots.has_fraction):
            m.d.sync += fraction.eq(slots.fraction)
        with m.If(is_correction & slots.has_integer):
            m.d.sync += integer.eq(slots.next_integer)
        with m.If((ending.op == VectorOp.DENOMINATOR) | (ending.op == VectorOp.ADD_DENOMINATOR)):
            m.d.sync += total.eq(result)

    def _drain(self, m: Module, ending: data.View, result: data.View, drained: Value) -> None:
        captured = [Signal(32, name=f"captured_{bank}") for bank in range(2)]
        is_sum = (ending.op == VectorOp.DENOMINATOR) | (ending.op == VectorOp.ADD_DENOMINATOR)
        for bank, register in enumerate(captured):
            with m.If(is_sum & ending.ends_result & (ending.bank == bank)):
                m.d.sync += register.eq(result)
        with m.If(self.drain_load):
            m.d.sync += self.drain_out.word.eq(drained)
            m.d.sync += self.drain_out.total.eq(Mux(self.drain_bank, captured[1], captured[0]))
        with m.Elif(self.drain_shift):
            m.d.sync += self.drain_out.eq(self.drain_in)
