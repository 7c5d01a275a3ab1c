"""The control port: every register over AXI4-Lite, addresses without one, the kernel table, the start."""

import random as random_module

from clocked import peek, run_bench
from random_counts import draw_seed

from einsum_cascade.array.capabilities import capabilities
from einsum_cascade.array.registers import KERNEL_OFFSET, REGISTERS, offset_of
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl.control_port import ControlPort, readable, writable

CONSTANTS = capabilities(ArrayShape(4, 8))


class Host:
    """A manager that offers address and data in any order, and takes answers when it likes."""

    def __init__(self, ctx, port, random):
        self.ctx, self.port, self.bus, self.random = ctx, port, port.bus, random
        self.pulses = []

    async def tick(self):
        """The next cycle; pulses on the way are written down."""
        get = self.ctx.get
        if get(self.port.start):
            self.pulses.append("start")
        if get(self.port.refused):
            self.pulses.append("refused")
        if get(self.port.clear):
            self.pulses.append(("clear", get(self.port.clear)))
        if get(self.port.table_write):
            self.pulses.append((get(self.port.table_row), get(self.port.table_half), get(self.port.table_data)))
        await self.ctx.tick()

    async def idle(self):
        for _ in range(self.random.choice([0, 0, 1, 3])):
            await self.tick()

    async def give(self, channel, **values):
        """Hold a channel valid until it is taken."""
        self.ctx.set(getattr(self.bus, f"{channel}valid"), 1)
        for name, value in values.items():
            self.ctx.set(getattr(self.bus, name), value)
        while not peek(self.ctx, getattr(self.bus, f"{channel}ready")):
            await self.tick()
        await self.tick()
        self.ctx.set(getattr(self.bus, f"{channel}valid"), 0)

    async def take(self, channel, *names):
        await self.idle()
        self.ctx.set(getattr(self.bus, f"{channel}ready"), 1)
        while not peek(self.ctx, getattr(self.bus, f"{channel}valid")):
            await self.tick()
        found = [peek(self.ctx, getattr(self.bus, name)) for name in names]
        await self.tick()
        self.ctx.set(getattr(self.bus, f"{channel}ready"), 0)
        return found

    async def write(self, address, value, answer=0, strobes=15):
        halves = [("aw", {"awaddr": address}), ("w", {"wdata": value, "wstrb": strobes})]
        for channel, values in self.random.sample(halves, 2):
            await self.idle()
            await self.give(channel, **values)
        assert await self.take("b", "bresp") == [answer]

    async def read(self, address):
        await self.give("ar", araddr=address)
        value, response = await self.take("r", "rdata", "rresp")
        assert response == 0
        return value


def with_host(test):
    port = ControlPort(CONSTANTS)

    async def bench(ctx):
        await test(ctx, port, Host(ctx, port, random_module.Random(draw_seed())))

    run_bench(port, bench)


def test_every_register_is_read_back():
    async def check(ctx, port, host):
        written = {name: host.random.getrandbits(32) for name in writable()}
        for name in host.random.sample(list(written), len(written)):
            await host.write(offset_of(name), written[name])
        shown = {name: host.random.getrandbits(32) for name in readable()}
        for name, value in shown.items():
            ctx.set(getattr(port, name), value)
        # A register that the array writes takes no writes.
        for name in [*readable(), *CONSTANTS]:
            await host.write(offset_of(name), host.random.getrandbits(32) if name != "interrupt" else 0)
        assert {name: peek(ctx, getattr(port, name)) for name in written} == written
        for register in host.random.sample(REGISTERS, len(REGISTERS)):
            expected = {**written, **shown, **CONSTANTS, "control": 0}[register.name]
            assert await host.read(offset_of(register.name)) == expected, register.name
        assert host.pulses == []

    with_host(check)


def test_addresses_without_a_register_read_zero_and_take_nothing():
    async def check(ctx, port, host):
        end = 4 * len(REGISTERS)
        for address in (end, end + 4, KERNEL_OFFSET - 4, KERNEL_OFFSET, KERNEL_OFFSET + 12, 0xFFFC):
            await host.write(address, 0xFFFFFFFF)
            assert await host.read(address) == 0
        assert not any([peek(ctx, getattr(port, name)) for name in writable()])

    with_host(check)


def test_only_bit_0_of_control_starts():
    async def check(ctx, port, host):
        for value in (0, 2, 0xFFFFFFFE, 1, 3):
            await host.write(offset_of("control"), value)
        await host.tick()
        assert host.pulses == ["start", "start"]

    with_host(check)


def test_a_write_of_some_bytes_is_refused():
    """Whatever they are, and none is as good as some: nothing is written, nothing starts, the next write is taken."""

    async def check(ctx, port, host):
        for strobes in host.random.sample(range(15), 15):
            for address in (*map(offset_of, (host.random.choice(writable()), "control", "interrupt")), KERNEL_OFFSET):
                await host.write(address, 0xFFFFFFFF, answer=2, strobes=strobes)
        assert not any([peek(ctx, getattr(port, name)) for name in writable()])
        assert host.pulses == []
        await host.write(offset_of("keys"), 7)
        assert peek(ctx, port.keys) == 7

    with_host(check)


def test_the_kernel_table_gets_row_half_and_word():
    async def check(ctx, port, host):
        expected = []
        for row, half in [(0, 0), (0, 1), (1, 0), (511, 1), (4095, 0)]:
            word = host.random.getrandbits(32)
            await host.write(KERNEL_OFFSET + 8 * row + 4 * half, word)
            expected.append((row, half, word))
        await host.tick()
        assert host.pulses == expected

    with_host(check)


def test_during_a_run_only_the_interrupt_is_written():
    """All others answer with SLVERR, keep what they held, and tell so."""

    async def check(ctx, port, host):
        held = {name: host.random.getrandbits(32) for name in writable()}
        for name, value in held.items():
            await host.write(offset_of(name), value)
        ctx.set(port.is_busy, 1)
        free = "interrupt_enable", "interrupt"
        addresses = [offset_of(register.name) for register in REGISTERS if register.name not in free]
        addresses += [KERNEL_OFFSET, KERNEL_OFFSET + 12, 4 * len(REGISTERS)]
        for address in host.random.sample(addresses, len(addresses)):
            await host.write(address, 1, answer=2)
        assert host.pulses == ["refused"] * len(addresses)
        assert {name: peek(ctx, getattr(port, name)) for name in held} == held
        await host.write(offset_of("interrupt_enable"), 1)
        await host.write(offset_of("interrupt"), 5)
        assert host.pulses[len(addresses) :] == [("clear", 5)]
        assert peek(ctx, port.interrupt_enable) == 1
        ctx.set(port.is_busy, 0)
        await host.write(offset_of("keys"), 77)
        assert peek(ctx, port.keys) == 77

    with_host(check)
