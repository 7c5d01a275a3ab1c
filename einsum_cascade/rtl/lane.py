"""A lane of the vector row: running maximum and sum of a column, its corrections, and its accumulators."""

from collections.abc import Sequence
from typing import Any

from amaranth import Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from einsum_cascade.array.instruction import VectorOp
from einsum_cascade.array.numbers import LANE_STEPS
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl.column import LOWEST_BITS
from einsum_cascade.rtl.cuts import cuts_of
from einsum_cascade.rtl.exponential import INTEGER_BITS, ExponentialOperands, ExponentialResult, slot_bits
from einsum_cascade.rtl.floats import MANTISSA_BITS, SINGLE_LAYOUT
from einsum_cascade.rtl.links import StateWord, address_bits, vector_layout
from einsum_cascade.rtl.maximum import Maximum
from einsum_cascade.rtl.multiply_add import MultiplyAdd, delayed, rank

__all__ = ["DRAIN_READ_LATENCY", "LANE_LATENCY", "VectorLane", "accumulator_bits"]

LANE_LATENCY = 1
"""Cycles from an instruction at a lane to the lane executing it: its accumulator is read meanwhile."""

DRAIN_READ_LATENCY = 1
"""Cycles from an address of the drain to the word and the sum."""

_ENTRY = data.StructLayout({"old": SINGLE_LAYOUT, "new": SINGLE_LAYOUT})
_WIDE, _SLOT_BITS = MANTISSA_BITS + 1, slot_bits(LANE_STEPS)


def accumulator_bits(shape: ArrayShape) -> int:
    """Return the bits of the address of an accumulator: the parity of the results below, the word above."""
    return 1 + address_bits(shape.output_steps)


class VectorLane(Component):
    """A lane, as docs/decisions/0006-the-array-and-its-program.md says under "Edges" and `VectorOp` of each operation.

    What arrives on the first key tile is added to +0.

    Members
    -------
    left : In(vector_layout(shape))
        The instruction.
    right : Out(vector_layout(shape))
        The same for the next lane. Registered.
    arriving : In(SINGLE_LAYOUT)
        The `down` of the last PE of the column, in the cycle of execution.
    maximum_queue : In(address_bits(queue))
        Entry of the correction queue.
    maximum : Out(SINGLE_LAYOUT)
        The maximum of the tile that has the entry, itself included. In the same cycle.
    factor : In(SINGLE_LAYOUT)
        What an exponential multiplies differences by; it stays during a run.
    is_done : Out(1)
        Whether the results of a query tile are complete.
    drain_address : In(accumulator_bits(shape))
        Which accumulator the drain reads.
    drain_parity : In(1)
        Which captured sum, and captured maximum, it reads.
    drain_kind : In(2)
        Which of the three it has for a word, a `StateWord`.
    drain_word, drain_sum : Out(SINGLE_LAYOUT)
        That word, and the captured sum. Registered.
    fill_enable, fill_kind, fill_address, fill_data
        A word of running state comes back: whether, a `StateWord`, its accumulator or (the lowest bit) its parity, and
        what it is.

    Timing
    ------
    An instruction is executed `LANE_LATENCY` cycles after it is at `left`; `right` has it then. Its maximum is there
    one cycle after the execution, all other results L cycles after, `is_done` with them. `drain_word` and `drain_sum`
    come `DRAIN_READ_LATENCY` cycles after `drain_address` and `drain_parity`, which may be given from the cycle of
    `is_done` on. One instruction a cycle; nothing stalls, and an instruction that needs the result of another one must
    come L cycles or more after it. After reset no instruction is under way; memories hold what they held, and every
    query tile starts with `is_first`.

    """

    def __init__(self, shape: ArrayShape) -> None:
        self._shape, self._steps = shape, LANE_STEPS
        self._cuts = cuts_of(shape.stages)
        self._is_cut = "halved" in self._cuts
        super().__init__(
            {
                "left": In(vector_layout(shape)),
                "right": Out(vector_layout(shape)),
                "arriving": In(SINGLE_LAYOUT),
                "maximum_queue": In(address_bits(shape.queue)),
                "maximum": Out(SINGLE_LAYOUT),
                "factor": In(SINGLE_LAYOUT),
                "is_done": Out(1),
                "drain_address": In(accumulator_bits(shape)),
                "drain_parity": In(1),
                "drain_kind": In(2),
                "drain_word": Out(SINGLE_LAYOUT),
                "drain_sum": Out(SINGLE_LAYOUT),
                "fill_enable": In(1),
                "fill_kind": In(2),
                "fill_address": In(accumulator_bits(shape)),
                "fill_data": In(SINGLE_LAYOUT),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Read, compute, and write back L cycles later."""
        m = Module()
        m.d.sync += self.right.eq(self.left)
        self._op = self.right
        self._sum = Signal(SINGLE_LAYOUT)
        self._captured = [Signal(SINGLE_LAYOUT, name=f"captured_{parity}") for parity in (0, 1)]
        self._maxima = [Signal(SINGLE_LAYOUT, name=f"maximum_{parity}") for parity in (0, 1)]
        self._fraction = Signal(SINGLE_LAYOUT)
        self._integer = Signal(signed(INTEGER_BITS))
        self._written = Signal(vector_layout(self._shape))
        self._writes = Signal()
        self._result = Signal(SINGLE_LAYOUT)
        self._accumulate(m)
        self._queue(m)
        self._feed(m)
        self._end(m, *self._carry(m))
        return m

    def _accumulate(self, m: Module) -> None:
        """Make the two banks of accumulators.

        A bank is read and written by instructions, then read by the drain, then filled with running state, if there is
        some, and never by two of them at a time.
        """
        adds = (self.left.op == VectorOp.NUMERATOR) | (self.left.op == VectorOp.ADD)
        banks = [self._bank(m, parity, adds & (self.left.parity == parity)) for parity in (0, 1)]
        bank = Signal()
        parity = Signal()
        kind = Signal(2)
        m.d.sync += [bank.eq(self.drain_address[0]), parity.eq(self.drain_parity), kind.eq(self.drain_kind)]
        self._accumulator = Signal(SINGLE_LAYOUT)
        m.d.comb += [
            self._accumulator.eq(_of_parity(self._op.parity, banks)),
            self.drain_sum.eq(_of_parity(parity, self._captured)),
            self.drain_word.eq(_of_parity(bank, banks)),
        ]
        with m.If(kind == StateWord.SUM):
            m.d.comb += self.drain_word.eq(self.drain_sum)
        with m.Elif(kind == StateWord.MAXIMUM):
            m.d.comb += self.drain_word.eq(_of_parity(parity, self._maxima))

    def _bank(self, m: Module, parity: int, is_read: Value) -> Value:
        """Make a bank, and return what is read of it: a cycle ahead for an instruction, else for the drain."""
        depth = 1 << address_bits(self._shape.output_steps)
        memory = Memory(shape=SINGLE_LAYOUT, depth=depth, init=[])
        m.submodules[f"accumulators_{parity}"] = memory
        write = memory.write_port()
        read = memory.read_port(transparent_for=[write])
        fills = self.fill_enable & (self.fill_kind == StateWord.ACCUMULATOR) & (self.fill_address[0] == parity)
        m.d.comb += [
            read.addr.eq(Mux(is_read, self.left.index, self.drain_address[1:])),
            write.addr.eq(Mux(fills, self.fill_address[1:], self._written.index)),
            write.data.eq(Mux(fills, self.fill_data.as_value(), self._result.as_value())),
            write.en.eq(fills | (self._writes & (self._written.parity == parity))),
        ]
        return read.data.as_value()

    def _queue(self, m: Module) -> None:
        """Make the queue of maxima and corrections, and do MAXIMUM."""
        op, depth = self._op, 1 << address_bits(self._shape.queue)
        m.submodules.maxima = maxima = Memory(shape=_ENTRY, depth=depth, init=[])
        m.submodules.corrections = corrections = Memory(shape=SINGLE_LAYOUT, depth=depth, init=[])
        entry = maxima.read_port(domain="comb")
        returned = maxima.read_port(domain="comb")
        new_entry = maxima.write_port()
        correction = corrections.read_port(domain="comb")
        self._new_correction = corrections.write_port()
        m.submodules.greater = greater = Maximum()
        old = Signal(SINGLE_LAYOUT)
        running = Signal(SINGLE_LAYOUT)
        before = Signal(32)
        self._entry = Signal(_ENTRY)
        self._correction = Signal(SINGLE_LAYOUT)
        m.d.comb += [
            before.eq(Mux(op.restores, _of_parity(op.sum_parity, self._maxima), running.as_value())),
            old.eq(Mux(op.is_first, LOWEST_BITS, before)),
            greater.left.eq(old),
            greater.right.eq(self.arriving),
            new_entry.addr.eq(op.queue),
            new_entry.data.old.eq(old),
            new_entry.data.new.eq(greater.greater),
            entry.addr.eq(op.queue),
            returned.addr.eq(self.maximum_queue),
            self.maximum.eq(returned.data.new),
            correction.addr.eq(op.queue),
            self._entry.eq(entry.data),
            self._correction.eq(correction.data),
        ]
        with m.If(op.op == VectorOp.MAXIMUM):
            m.d.comb += new_entry.en.eq(1)
            m.d.sync += running.eq(greater.greater)

    def _feed(self, m: Module) -> None:
        """Give the multiply-add what the operation says."""
        op = self._op
        m.submodules.multiply_add = unit = MultiplyAdd(_WIDE, _WIDE, self._cuts)
        m.submodules.slot = slot = ExponentialOperands(self._steps, _WIDE, _WIDE)
        is_sum = (op.op == VectorOp.DENOMINATOR) | (op.op == VectorOp.ADD_DENOMINATOR)
        state = Signal(SINGLE_LAYOUT)
        total = Signal(32)
        is_difference = op.index[:_SLOT_BITS] == 0
        m.d.comb += [
            total.eq(Mux(op.restores, _of_parity(op.sum_parity, self._captured), self._sum.as_value())),
            state.eq(Mux(is_sum, total, self._accumulator.as_value())),
            slot.is_active.eq(op.op == VectorOp.CORRECTION),
            slot.slot.eq(op.index[:_SLOT_BITS]),
            slot.state.eq(Mux(is_difference, self._entry.old.as_value(), self._correction.as_value())),
            slot.up.eq(Mux(is_difference, self._entry.new.as_value(), self.factor.as_value())),
            slot.fraction.eq(self._fraction),
        ]
        with m.If(slot.is_active):
            m.d.comb += [getattr(unit, name).eq(getattr(slot, name)) for name in _OPERANDS]
        with m.Else():
            m.d.comb += [
                unit.operand.eq(self._correction),
                unit.score.eq(state),
                unit.addend.eq(self.arriving),
                unit.augend.eq(Mux(op.is_first, 0, state.as_value())),
                unit.is_sum.eq((op.op == VectorOp.ADD) | (op.op == VectorOp.ADD_DENOMINATOR) | op.is_first),
            ]
        self._computed = unit.result
        m.d.comb += self._result.eq(rank(m, unit.result, self._is_cut))

    def _carry(self, m: Module) -> tuple[data.View, data.View]:
        """Take along what the write-back needs: as the multiply-add has computed, and at the end."""
        layout = data.StructLayout({"op": vector_layout(self._shape), "integer": signed(INTEGER_BITS)})
        going = Signal(layout)
        m.d.comb += [going.op.eq(self._op), going.integer.eq(self._integer)]
        computed = delayed(m, going, self._shape.stages - 1 - self._is_cut)
        return computed, delayed(m, computed, int(self._is_cut))

    def _end(self, m: Module, before: data.View, going: data.View) -> None:
        """Write back."""
        op = going.op
        is_sum = Signal()
        m.d.comb += [
            is_sum.eq((op.op == VectorOp.DENOMINATOR) | (op.op == VectorOp.ADD_DENOMINATOR)),
            self._written.eq(op),
            self._writes.eq((op.op == VectorOp.NUMERATOR) | (op.op == VectorOp.ADD)),
        ]
        with m.If(is_sum):
            m.d.sync += self._sum.eq(self._result)
        self._capture(m, op, is_sum)
        m.d.sync += self.is_done.eq(op.is_done & (op.op != VectorOp.NONE))
        self._correct(m, before, going)

    def _capture(self, m: Module, op: data.View, is_sum: Value) -> None:
        """Keep the sum and the maximum that the drain reads, or that come back, by the parity of the query tile."""
        took = self._op
        captures = ((took.op == VectorOp.DENOMINATOR) | (took.op == VectorOp.ADD_DENOMINATOR)) & took.captures
        for parity, (total, maximum) in enumerate(zip(self._captured, self._maxima, strict=True)):
            fills = self.fill_enable & (self.fill_address[0] == parity)
            with m.If(is_sum & op.captures & (op.sum_parity == parity)):
                m.d.sync += total.eq(self._result)
            with m.If(captures & (took.sum_parity == parity)):
                m.d.sync += maximum.eq(self._entry.new)
            with m.If(fills & (self.fill_kind == StateWord.SUM)):
                m.d.sync += total.eq(self.fill_data)
            with m.If(fills & (self.fill_kind == StateWord.MAXIMUM)):
                m.d.sync += maximum.eq(self.fill_data)

    def _correct(self, m: Module, before: data.View, going: data.View) -> None:
        m.submodules.after = after = ExponentialResult(self._steps, is_cut=self._is_cut)
        correction = self._new_correction
        m.d.comb += [
            after.slot.eq(before.op.index[:_SLOT_BITS]),
            after.result.eq(self._computed),
            after.integer.eq(before.integer),
            correction.addr.eq(going.op.queue),
            correction.data.eq(after.state),
        ]
        with m.If(going.op.op == VectorOp.CORRECTION):
            m.d.comb += correction.en.eq(after.has_state)
            with m.If(after.has_fraction):
                m.d.sync += self._fraction.eq(after.fraction)
            with m.If(after.has_integer):
                m.d.sync += self._integer.eq(after.next_integer)


_OPERANDS = ("operand", "score", "addend", "augend", "is_sum")


def _of_parity(parity: Value, both: Sequence[Any]) -> Value:
    """Return the one of two numbers that a parity says."""
    zero, one = (Value.cast(each) for each in both)
    return Mux(parity, one, zero)
