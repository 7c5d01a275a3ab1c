"""An exponential as one chain of slots: every slot with a multiply-add of its own, nothing registered."""

from amaranth import Module, Signal, signed
from amaranth.lib.wiring import Component, In, Out

from einsum_cascade.program.numbers import Multiplier, Numbers
from einsum_cascade.rtl.exponential import INTEGER_BITS, ExponentialOperands, ExponentialResult
from einsum_cascade.rtl.floats import SINGLE_LAYOUT
from einsum_cascade.rtl.multiply_add import MultiplyAdd

__all__ = ["MULTIPLIERS", "ExponentialBench"]

MULTIPLIERS: tuple[Multiplier, ...] = ("narrow", "mixed", "wide")


class ExponentialBench(Component):
    """exp(value - maximum) on each of the multipliers."""

    def __init__(self) -> None:
        super().__init__({"value": In(32), "maximum": In(32), **{name: Out(32) for name in MULTIPLIERS}})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name in MULTIPLIERS:
            m.d.comb += getattr(self, name).eq(_chain(m, self.value, self.maximum, Numbers(multiplier=name)))
        return m


def _chain(m: Module, value, maximum, numbers: Numbers):
    state, fraction, integer = value, 0, 0
    for slot in range(len(numbers.steps)):
        m.submodules += (before := ExponentialOperands(numbers.steps, numbers.operand_bits, numbers.score_bits))
        m.submodules += (multiply_add := MultiplyAdd(numbers.operand_bits, numbers.score_bits, 1))
        m.submodules += (after := ExponentialResult(numbers.steps))
        m.d.comb += [
            *(before.is_active.eq(1), before.slot.eq(slot), before.state.eq(state)),
            *(before.maximum.eq(maximum), before.fraction.eq(fraction)),
            *(
                getattr(multiply_add, name).eq(getattr(before, name))
                for name in ("operand", "score", "addend", "augend")
            ),
            *(multiply_add.is_sum.eq(before.is_sum), after.result.eq(multiply_add.result)),
            *(after.slot.eq(slot), after.integer.eq(integer)),
        ]
        new_state, new_fraction = Signal(SINGLE_LAYOUT), Signal(SINGLE_LAYOUT)
        new_integer = Signal(signed(INTEGER_BITS))
        m.d.comb += [new_state.eq(state), new_fraction.eq(fraction), new_integer.eq(integer)]
        for has, new, kept in (
            (after.has_state, new_state, after.state),
            (after.has_fraction, new_fraction, after.fraction),
            (after.has_integer, new_integer, after.next_integer),
        ):
            with m.If(has):
                m.d.comb += new.eq(kept)
        state, fraction, integer = new_state, new_fraction, new_integer
    return state
