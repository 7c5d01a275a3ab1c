"""Run a component in Amaranth's simulator beside a bench that is a coroutine."""

from collections.abc import Awaitable, Callable
from typing import Any

from amaranth import Value
from amaranth.hdl import Elaboratable
from amaranth.lib.wiring import In
from amaranth.sim import Simulator

__all__ = ["apply", "peek", "run_bench"]


def run_bench(design: Elaboratable, bench: Callable[[Any], Awaitable[None]]) -> None:
    """Clock a design until its bench returns; `await ctx.tick()` is the next cycle."""
    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def apply(ctx: Any, interface: Any, values: dict[str, int]) -> None:
    """Set every input of an interface that has a value; what is too wide for it is cut off."""
    for name, member in interface.signature.members.items():
        if name in values and member.is_port and member.flow == In:
            target = Value.cast(getattr(interface, name))
            ctx.set(target, values[name] & ((1 << len(target)) - 1))


def peek(ctx: Any, member: Any) -> int:
    """A member as a number: its bits, if it is a struct."""
    return ctx.get(Value.cast(member))
