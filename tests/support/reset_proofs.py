"""Prove what a reset of one cycle does to a component in any state: what it forgets, and that nothing leaves then."""

import re
from pathlib import Path

from amaranth.hdl import Assert, Assume, ClockDomain, Elaboratable, Module, ResetInserter, Signal, Value
from amaranth.lib.wiring import Component
from bounded_proofs import Unrolled, model_of

__all__ = ["AfterReset", "outliving", "stays_idle"]

_ANY_STATE = "setattr -unset init a:init w:harness_* %d"
"""The component may be in any state at first; only what belongs to the harness begins as it must."""


class AfterReset(Elaboratable):
    """A component in any state that is reset in the first cycle; its inputs are free but for what is assumed.

    Parameters
    ----------
    component
        What is proved.

    """

    def __init__(self, component: Component) -> None:
        """Take the component."""
        self.component = component
        self._domain = ClockDomain("sync", reset_less=True)

    def is_asked(self, component: Component) -> Value:
        """Return whether it gets something to do in a cycle; it gets nothing after the reset."""
        raise NotImplementedError

    def is_idle(self, component: Component) -> Value:
        """Return whether it does nothing and says so: what must hold then in every cycle."""
        raise NotImplementedError

    def ports(self) -> list[Value]:
        """Return the clock, all inputs and all outputs, so that nothing is optimised away."""
        members = self.component.signature.flatten(self.component)
        return [self._domain.clk, *(Value.cast(value) for _, _, value in members)]

    def elaborate(self, platform: object) -> Module:
        """Put the component beside its assertion."""
        m = Module()
        m.domains += self._domain
        is_later = Signal(name="harness_later")
        m.d.sync += is_later.eq(1)
        m.submodules.dut = ResetInserter(~is_later)(self.component)
        m.d.comb += [
            Assume(~is_later | ~self.is_asked(self.component)),
            Assert(~is_later | self.is_idle(self.component)),
        ]
        return m


def outliving(harness: AfterReset, folder: Path) -> set[str]:
    """Return the registers that may differ after the reset where the states before it did; indices are left out."""
    model = model_of(harness, harness.ports(), folder, [_ANY_STATE])
    registers = set(re.findall(r"^; yosys-smt2-register (dut\S+|\S*dut\S*) \d+$", model, re.MULTILINE))
    states = Unrolled(model)
    # Two runs, each of one step: states 0 and 1, states 2 and 3.
    for first in (0, 2):
        for state in (first, first + 1):
            states.tell(f"(declare-const s{state} |harness_s|)")
        states.tell(f"(assert (|harness_i| s{first})) (assert (|harness_t| s{first} s{first + 1}))")
    return {re.sub(r"\[\d+\]|\$\d+", "", name) for name in registers if not states.follows(_are_equal(name))}


def _are_equal(name: str) -> str:
    return f"(= (|harness_n {name}| s1) (|harness_n {name}| s3))"


def stays_idle(harness: AfterReset, cycles: int, folder: Path) -> bool:
    """Return whether it is idle in each of some cycles after the reset."""
    states = Unrolled(model_of(harness, harness.ports(), folder, [_ANY_STATE]))
    states.add_state()
    states.begin()
    for _ in range(cycles):
        states.add_state()
        if not states.is_met():
            return False
    return True
