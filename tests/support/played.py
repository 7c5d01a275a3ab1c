"""Play a sequence into a component in Amaranth's simulator, a row of inputs a cycle, and record its outputs."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Value
from amaranth.lib.wiring import Component
from amaranth.sim import Simulator

__all__ = ["play"]


def play(component: Component, rows: Sequence[dict[str, Any]], outputs: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return the outputs in each cycle, before its clock edge; an input that a row does not name is 0.

    An input is an integer, or a dictionary of the fields of a struct. A number, wherever it is in a struct, is its
    bits. Outputs are the bits, or a struct's field where the name says `port.field`.
    """
    recorded: list[tuple[Any, ...]] = []
    names = sorted({name for row in rows for name in row})

    async def drive(ctx):
        for row in rows:
            for name in names:
                _set(ctx, getattr(component, name), row.get(name, 0))
            await ctx.delay(1e-9)
            recorded.append(tuple(_get(ctx, component, name) for name in outputs))
            await ctx.tick()

    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    return recorded


def _set(ctx, port, value) -> None:
    if not isinstance(value, dict):
        ctx.set(Value.cast(port), value)
        return
    ctx.set(Value.cast(port), 0)
    for field, inner in value.items():
        _set(ctx, getattr(port, field), inner)


def _get(ctx, component, name: str):
    value = component
    for part in name.split("."):
        value = getattr(value, part)
    return ctx.get(Value.cast(value))
