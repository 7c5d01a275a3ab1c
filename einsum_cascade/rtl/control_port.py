"""The control port: an AXI4-Lite subordinate with the registers of a program, and the way into the kernel table."""

from collections.abc import Mapping

from amaranth import Array, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from einsum_cascade.array.registers import KERNEL_OFFSET, REGISTERS, offset_of
from einsum_cascade.rtl.axi import OKAY, SUBORDINATE_ERROR, LiteSignature

__all__ = ["ControlPort", "readable", "writable"]


def writable() -> tuple[str, ...]:
    """Return the names of the registers that the host writes, `control` apart."""
    return tuple(register.name for register in REGISTERS if register.access == "write" and register.name != "control")


def readable() -> tuple[str, ...]:
    """Return the names of the registers that the array writes."""
    return tuple(register.name for register in REGISTERS if register.access in ("read", "clear"))


_AT_ANY_TIME = "interrupt_enable", "interrupt"
"""Registers that are no matter of a program."""


class ControlPort(wiring.Component):
    """Registers behind AXI4-Lite.

    Members
    -------
    bus
        The port.
    NAME
        Every register of `writable` as an output, every one of `readable` as an input, 32 bits.
    start
        Pulses when 1 is written to `control`.
    is_busy
        A run is on: writes are refused, but those to the interrupt's registers, and answered with SLVERR.
    refused
        Pulses when a write is refused.
    clear
        Pulses, with the bits that were written as 1 to `interrupt`.
    table_write, table_row, table_half, table_data
        A word for the kernel table: its row, 0 for the matrix half and 1 for the vector half.

    Timing
    ------
    One access at a time. A write takes effect in the cycle after address and data were both taken, a read answers in
    the cycle after its address was taken. Addresses without a register read 0 and take no writes. A write of fewer
    than all four bytes takes no effect and is answered with SLVERR. After reset all registers are 0, but those that are
    constant.

    Parameters
    ----------
    constants
        The registers that say what the array is, by name.

    """

    def __init__(self, constants: Mapping[str, int]) -> None:
        """Make a signature from the register map."""
        self._constants = constants
        super().__init__(
            {
                "bus": Out(LiteSignature()),
                **{name: Out(32) for name in writable()},
                **{name: In(32) for name in readable()},
                "start": Out(1),
                "is_busy": In(1),
                "refused": Out(1),
                "clear": Out(32),
                "table_write": Out(1),
                "table_row": Out(16),
                "table_half": Out(1),
                "table_data": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the two halves."""
        m = Module()
        self._writes(m)
        self._reads(m)
        return m

    def _writes(self, m: Module) -> None:
        bus = self.bus
        address = Signal(len(bus.awaddr))
        data = Signal(32)
        is_whole = Signal()
        has_address = Signal()
        has_data = Signal()
        m.d.comb += [bus.awready.eq(~has_address & ~bus.bvalid), bus.wready.eq(~has_data & ~bus.bvalid)]
        with m.If(bus.awvalid & bus.awready):
            m.d.sync += [address.eq(bus.awaddr), has_address.eq(1)]
        with m.If(bus.wvalid & bus.wready):
            m.d.sync += [data.eq(bus.wdata), is_whole.eq(bus.wstrb.all()), has_data.eq(1)]
        is_complete = Signal()
        takes = Signal()
        is_free: Value = ~self.is_busy
        for name in _AT_ANY_TIME:
            is_free = (address == offset_of(name)) | is_free
        m.d.comb += [
            is_complete.eq(has_address & has_data),
            takes.eq(is_complete & is_free & is_whole),
            self.refused.eq(is_complete & ~is_free),
            self.clear.eq(Mux(takes & (address == offset_of("interrupt")), data, 0)),
        ]
        m.d.sync += self.start.eq(takes & (address == offset_of("control")) & data[0])
        with m.If(is_complete):
            answer = Mux(takes, OKAY, SUBORDINATE_ERROR)
            m.d.sync += [has_address.eq(0), has_data.eq(0), bus.bvalid.eq(1), bus.bresp.eq(answer)]
        with m.If(takes):
            for name in writable():
                with m.If(address == offset_of(name)):
                    m.d.sync += getattr(self, name).eq(data)
        with m.If(bus.bvalid & bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        m.d.comb += [
            self.table_write.eq(takes & (address >= KERNEL_OFFSET)),
            self.table_row.eq((address - KERNEL_OFFSET)[3:]),
            self.table_half.eq(address[2]),
            self.table_data.eq(data),
        ]

    def _reads(self, m: Module) -> None:
        bus = self.bus
        known = {*writable(), *readable()}
        values = Array(
            getattr(self, register.name) if register.name in known else self._constants.get(register.name, 0)
            for register in REGISTERS
        )
        number = bus.araddr[2:]
        m.d.comb += bus.arready.eq(~bus.rvalid | bus.rready)
        with m.If(bus.arvalid & bus.arready):
            m.d.sync += [bus.rvalid.eq(1), bus.rdata.eq(Mux(number < len(REGISTERS), values[number], 0))]
        with m.Elif(bus.rready):
            m.d.sync += bus.rvalid.eq(0)
