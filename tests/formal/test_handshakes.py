"""AXI: what is valid stays so, unchanged, until it is taken (Arm IHI 0022, A3.2.1), whatever the other side does."""

from pathlib import Path
from types import ModuleType

import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import Component
from bounded_proofs import Harness, assert_holds, assert_stable, drain_of, is_refuted, mutated

from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl import control_port, drain, tile_reader, writer
from einsum_cascade.rtl.divider import Divider

SHAPE = ArrayShape(2, 2, product_steps=2, output_steps=2, slots=1)


class _Through(Divider):
    """Stands for a divider, of which handshakes know nothing."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += [self.quotient.eq(self.dividend), self.is_undivided.eq(self.divisor.as_value() == 0)]
        return m


class ReaderHarness(Harness):
    def __init__(self, module: ModuleType) -> None:
        super().__init__(module.Reader(SHAPE))

    def require(self, m: Module, component: Component) -> None:
        bus = component.memory
        assert_stable(m, bus.arvalid, bus.arready, bus.araddr, bus.arlen, bus.arsize, bus.arburst, bus.arid)


class DrainHarness(Harness):
    def __init__(self, module: ModuleType) -> None:
        own = drain_of(module)
        own.Divider, own._LATENCY = _Through, own.DRAIN_LATENCY
        super().__init__(own.Drain(SHAPE))

    def require(self, m: Module, component: Component) -> None:
        bus = component.memory
        assert_stable(m, bus.awvalid, bus.awready, bus.awaddr, bus.awlen, bus.awsize, bus.awburst, bus.awid)
        assert_stable(m, bus.wvalid, bus.wready, bus.wdata, bus.wstrb, bus.wlast)


class ControlHarness(Harness):
    def __init__(self, module: ModuleType) -> None:
        super().__init__(module.ControlPort({}))

    def require(self, m: Module, component: Component) -> None:
        bus = component.bus
        assert_stable(m, bus.bvalid, bus.bready, bus.bresp)
        assert_stable(m, bus.rvalid, bus.rready, bus.rdata, bus.rresp)


@pytest.mark.parametrize(
    ("harness", "module"),
    [(ReaderHarness, tile_reader), (DrainHarness, mutated(drain)), (ControlHarness, control_port)],
    ids=["reader", "drain", "control"],
)
def test_what_is_valid_stays(harness: type[Harness], module: ModuleType, tmp_path: Path) -> None:
    assert_holds(harness(module), 8, tmp_path, always=True)


@pytest.mark.parametrize(
    ("harness", "module", "before", "after"),
    [
        # Takes the next job although the last burst of this one still waits.
        (ReaderHarness, tile_reader, "takes = ~has_job | (fire & ends)", "takes = ~has_job | ends"),
        (ReaderHarness, tile_reader, "has_job & bursts.w_rdy)", "has_job & bursts.w_rdy & ~memory.rvalid)"),
        # A stop takes an address back that memory has seen.
        (ReaderHarness, tile_reader, "self.stop & (~memory.arvalid | fire)", "self.stop"),
        (DrainHarness, writer, "addresses.r_en.eq(sends_address)", "addresses.r_en.eq(memory.awvalid)"),
        (DrainHarness, writer, "beats.r_en.eq(sends_beat)", "beats.r_en.eq(memory.wvalid)"),
        (ControlHarness, control_port, "m.If(bus.bvalid & bus.bready)", "m.If(bus.bvalid)"),
        (ControlHarness, control_port, "bus.arready.eq(~bus.rvalid | bus.rready)", "bus.arready.eq(1)"),
    ],
)
def test_a_mistake_is_found(
    harness: type[Harness], module: ModuleType, before: str, after: str, tmp_path: Path
) -> None:
    assert is_refuted(harness(mutated(module, before, after)), 16, tmp_path)
