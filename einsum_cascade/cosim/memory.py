"""The memory of the bench: cocotbext-axi's, slowed down or made to fail as a case says."""

import random
from collections.abc import Iterator
from typing import Any

import cocotb
from cocotb.queue import Queue
from cocotb.triggers import ClockCycles
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiBus, AxiRam

from einsum_cascade.cosim.timing import MemoryTiming

__all__ = ["PERIOD_STEPS", "Memory"]

PERIOD_STEPS = 1000
"""Of the bench's clock: 1 ns at a resolution of 1 ps."""


class Memory:
    """Memory behind the AXI4 port `m_axi` of the design.

    Parameters
    ----------
    dut
        The design.
    content
        Its bytes.
    timing
        How it behaves.

    """

    def __init__(self, dut: Any, content: bytes, timing: MemoryTiming) -> None:
        """Attach to the port."""
        self.size = len(content)
        self.ram = AxiRam(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, size=self.size)
        self.ram.write(0, content)
        reads, writes = self.ram.read_if, self.ram.write_if
        for channels in (reads, writes):
            channels.log.setLevel("ERROR")
        if timing.latency_cycles:
            reads.ar_channel = _Delayed(reads.ar_channel, dut.clk, timing.latency_cycles)
        if timing.failing_read is not None:
            reads._read = _failing(reads._read, timing.failing_read)
        if timing.failing_write is not None:
            writes._write = _failing(writes._write, timing.failing_write)
        reads.r_channel = _Faulty(reads.r_channel, timing)
        data = reads.r_channel, writes.w_channel
        if timing.bytes_per_cycle:
            share = min(1.0, timing.bytes_per_cycle / (len(dut.m_axi_rdata) // 8))
            for channel in data:
                channel.set_pause_generator(_spread(share))
        if timing.backpressure is not None:
            channels = (reads.ar_channel, *data, writes.aw_channel, writes.b_channel)
            for number, channel in enumerate(channels):
                channel.set_pause_generator(_random(f"{timing.backpressure}.{number}"))

    def content(self) -> bytes:
        """Return its bytes now."""
        return bytes(self.ram.read(0, self.size))


class _Delayed:
    """The address channel, whose addresses become known some cycles after they came."""

    def __init__(self, channel: Any, clock: Any, cycles: int) -> None:
        self.channel, self.clock, self.cycles = channel, clock, cycles
        self.queue: Queue[tuple[float, Any]] = Queue()
        cocotb.start_soon(self._collect())

    async def _collect(self) -> None:
        while True:
            taken = await self.channel.recv()
            self.queue.put_nowait((get_sim_time("step"), taken))

    async def recv(self) -> Any:
        came, taken = await self.queue.get()
        left = self.cycles - round((get_sim_time("step") - came) / PERIOD_STEPS)
        if left > 0:
            await ClockCycles(self.clock, left)
        return taken

    def clear(self) -> None:
        self.channel.clear()
        while not self.queue.empty():
            self.queue.get_nowait()

    def set_pause_generator(self, generator: Iterator[bool]) -> None:
        self.channel.set_pause_generator(generator)


class _Faulty:
    """The channel of data that is read, one beat of which may be dropped or changed."""

    def __init__(self, channel: Any, timing: MemoryTiming) -> None:
        self.channel, self.timing, self.number = channel, timing, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.channel, name)

    async def send(self, beat: Any) -> None:
        number, self.number = self.number, self.number + 1
        if number == self.timing.dropped_read:
            return
        if number == self.timing.marked_read:
            beat.rlast = not beat.rlast
        if number == self.timing.flipped_read:
            beat.rdata ^= 1 << 15
        await self.channel.send(beat)


def _failing(access: Any, number: int) -> Any:
    """Return an access that fails at its `number`-th call."""
    count = iter(range(number + 1))

    async def answer(*arguments: Any) -> Any:
        if next(count, None) == number:
            raise OSError("the case says that this access fails")
        return await access(*arguments)

    return answer


def _spread(share: float) -> Iterator[bool]:
    """Pause so that a share of the cycles is left, as even as can be."""
    credit = 0.0
    while True:
        credit += share
        yield credit < 1
        credit -= credit >= 1


def _random(seed: str) -> Iterator[bool]:
    """Pause in runs, half of the time."""
    source = random.Random(seed)
    while True:
        pause = source.random() < 0.5
        for _ in range(source.randint(1, 8)):
            yield pause
