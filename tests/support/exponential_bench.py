"""Exponential, sigmoid and feature map as chains of slots: each with a multiply-add of its own, nothing registered."""

from amaranth import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import Component, In, Out

from einsum_cascade.array.numbers import FACTORS, Multiplier, Numbers
from einsum_cascade.rtl.cuts import cuts_of
from einsum_cascade.rtl.exponential import INTEGER_BITS, ExponentialOperands, ExponentialResult
from einsum_cascade.rtl.floats import SINGLE_LAYOUT
from einsum_cascade.rtl.multiply_add import MultiplyAdd

__all__ = ["MULTIPLIERS", "ExponentialBench"]

MULTIPLIERS: tuple[Multiplier, ...] = ("narrow", "mixed", "wide")


class ExponentialBench(Component):
    """2^((value - maximum) * factor) and elu(value) + 1 on each multiplier, and the sigmoid of value * scale + bias."""

    def __init__(self) -> None:
        inputs = ("value", "maximum", "scale", "bias", *FACTORS.values())
        outputs = (*MULTIPLIERS, *(f"feature_{name}" for name in MULTIPLIERS), "sigmoid")
        super().__init__({name: In(32) for name in inputs} | {name: Out(32) for name in outputs})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ups = {name: getattr(self, name) for name in ("maximum", "scale", "bias", *FACTORS.values())}
        for name in MULTIPLIERS:
            numbers = Numbers(multiplier=name, has_feature_map=True)
            m.d.comb += getattr(self, name).eq(_chain(m, self.value, ups, numbers, numbers.exponential_slots))
            feature = _chain(m, self.value, ups, numbers, numbers.feature_slots)
            m.d.comb += getattr(self, f"feature_{name}").eq(feature)
        numbers = Numbers(multiplier="wide", has_sigmoid=True)
        m.d.comb += self.sigmoid.eq(_chain(m, self.value, ups, numbers, numbers.sigmoid_slots))
        return m


def _chain(m: Module, value, ups, numbers: Numbers, slots: range):
    state, fraction, integer, kept = value, 0, 0, Const(0, 32)
    for slot in slots:
        m.submodules += (before := ExponentialOperands(numbers.steps, numbers.operand_bits, numbers.score_bits))
        m.submodules += (multiply_add := MultiplyAdd(numbers.operand_bits, numbers.score_bits, cuts_of(1)))
        m.submodules += (after := ExponentialResult(numbers.steps))
        m.d.comb += [
            *(before.is_active.eq(1), before.slot.eq(slot), before.state.eq(state)),
            *(before.up.eq(ups.get(numbers.steps[slot].above, 0)), before.fraction.eq(fraction)),
            before.kept.eq(kept),
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
        for has, new, found in (
            (after.has_state, new_state, after.state),
            (after.has_fraction, new_fraction, after.fraction),
            (after.has_integer, new_integer, after.next_integer),
        ):
            with m.If(has):
                m.d.comb += new.eq(found)
        if numbers.steps[slot].kind == "add":
            kept = Cat(Const(0, 31), multiply_add.result.sign)
        if numbers.steps[slot].kind == "rectify":
            kept = Mux(multiply_add.result.sign, 0, multiply_add.result.as_value())
        if numbers.steps[slot].kind == "complement":
            kept = Cat(Value.cast(state)[:31], kept[31])
        state, fraction, integer = new_state, new_fraction, new_integer
    return state
