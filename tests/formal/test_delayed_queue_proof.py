"""The delayed queue is a delay line: what went in comes out once, in order, exactly `cycles` later, as told before."""

from pathlib import Path
from types import ModuleType

import pytest
from amaranth.hdl import Assert, Assume, Cat, Module, Signal
from amaranth.lib.wiring import Component
from bounded_proofs import Harness, assert_holds, is_refuted, mutated

from einsum_cascade.rtl import delayed_queue

CYCLES, DEPTH, WIDTH = 6, 4, 2
# Long enough for the clock of 4 bits in the queue to wrap twice.
BOUND = 40


class QueueHarness(Harness):
    """Beside a shift register; at most `DEPTH` values are in flight, that which goes in included."""

    def __init__(self, module: ModuleType) -> None:
        super().__init__(module.DelayedQueue(WIDTH, CYCLES, DEPTH))

    def require(self, m: Module, component: Component) -> None:
        line = [Signal(1 + WIDTH, name=f"line_{place}") for place in range(CYCLES)]
        entering = Cat(component.push, component.value)
        for register, value in zip(line, [entering, *line], strict=False):
            m.d.sync += register.eq(value)
        pushed, value = line[-1][0], line[-1][1:]
        m.d.comb += [
            Assume(sum(register[0] for register in [entering, *line[:-1]]) <= DEPTH),
            Assert(component.pop == pushed),
            Assert(~component.pop | (component.due == value)),
        ]
        # Register k of the line has what went in k + 1 cycles ago.
        for age, register in enumerate(line, start=1):
            is_oldest = register[0] & ~Cat(older[0] for older in line[age:]).any()
            is_told = component.has_next & (component.due == register[1:]) & (component.cycles_left == CYCLES - age)
            m.d.comb += Assert(~is_oldest | is_told | ((age < 2) & ~component.has_next))
        m.d.comb += Assert(~component.has_next | Cat(register[0] for register in line).any())


def test_values_come_out_once_in_order_and_on_time(tmp_path: Path) -> None:
    assert_holds(QueueHarness(delayed_queue), BOUND, tmp_path)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # A ring with as many places as values: full and empty look alike.
        ("max(2, depth).bit_length()", "(max(2, depth) - 1).bit_length()"),
        ("(now + self.cycles)", "(now + self.cycles + 1)"),
        ("Mux(self.pop, head + 1, head)", "Mux(self.pop, head + 2, head)"),
        ("has_next.eq(following != tail)", "has_next.eq(1)"),
        ("[:time_bits] - now)", "[:time_bits] - now - 1)"),
    ],
)
def test_a_mistake_is_found(before: str, after: str, tmp_path: Path) -> None:
    assert is_refuted(QueueHarness(mutated(delayed_queue, before, after)), BOUND, tmp_path)
