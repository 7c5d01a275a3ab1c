"""The memory of the bench: cocotbext-axi's, slowed down or made to fail as a case says."""

import math
import random
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import cocotb
from cocotb.queue import Queue
from cocotb.triggers import Timer
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiBus, AxiRam

from einsum_cascade.cosim.memory_timing import MemoryTiming

__all__ = ["PERIOD_STEPS", "BenchMemory"]

PERIOD_STEPS = 1000
"""Of the bench's clock: 1 ns at a resolution of 1 ps."""


class BenchMemory:
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
            reads.ar_channel = _Delayed(reads.ar_channel, timing.latency_cycles)
        beat_bytes = len(dut.m_axi_rdata) // 8
        if timing.rate is not None and timing.rate < beat_bytes:
            reads.r_channel = _Paced(reads.r_channel, beat_bytes / timing.rate)
            writes.w_channel = _Paced(writes.w_channel, beat_bytes / timing.rate)
        if timing.failing_read is not None:
            reads._read = _failing(reads._read, timing.failing_read)
        if timing.failing_write is not None:
            writes._write = _failing(writes._write, timing.failing_write)
        reads.r_channel = _Faulty(reads.r_channel, timing)
        if timing.backpressure is not None:
            data = reads.r_channel, writes.w_channel
            channels = (reads.ar_channel, *data, writes.aw_channel, writes.b_channel)
            for number, channel in enumerate(channels):
                channel.set_pause_generator(_random(f"{timing.backpressure}.{number}"))

    def content(self) -> bytes:
        """Return its bytes now."""
        return bytes(self.ram.read(0, self.size))


def _now() -> int:
    """Return the cycle, whose edge is over."""
    return int(get_sim_time("step")) // PERIOD_STEPS


async def _after_edge(cycle: int) -> None:
    """Wait until just after the edge that a cycle begins with, when the channels have done their part."""
    await Timer(cycle * PERIOD_STEPS + 1 - int(get_sim_time("step")), "step")


class _Delayed:
    """The address channel, whose addresses become known some cycles after they came."""

    def __init__(self, channel: Any, cycles: int) -> None:
        self.channel, self.cycles = channel, cycles
        self.queue: Queue[tuple[int, Any]] = Queue()
        cocotb.start_soon(self._collect())

    async def _collect(self) -> None:
        while True:
            taken = await self.channel.recv()
            self.queue.put_nowait((_now(), taken))

    async def recv(self) -> Any:
        came, taken = await self.queue.get()
        if came + self.cycles > _now():
            await _after_edge(came + self.cycles)
        return taken

    def clear(self) -> None:
        self.channel.clear()
        while not self.queue.empty():
            self.queue.get_nowait()

    def set_pause_generator(self, generator: Iterator[bool]) -> None:
        self.channel.set_pause_generator(generator)


class _Paced:
    """A channel of data whose beats are some cycles apart; a cycle that is not used is not made up for."""

    def __init__(self, channel: Any, cycles: Fraction) -> None:
        self.channel, self.cycles, self.due = channel, cycles, Fraction(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.channel, name)

    async def send(self, beat: Any) -> None:
        await self._wait()
        await self.channel.send(beat)

    async def recv(self) -> Any:
        beat = await self.channel.recv()
        await self._wait()
        return beat

    async def _wait(self) -> None:
        due = max(self.due, Fraction(_now()))
        self.due = due + self.cycles
        if due > _now():
            await _after_edge(math.ceil(due))


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


def _random(seed: str) -> Iterator[bool]:
    """Pause in runs, half of the time."""
    source = random.Random(seed)
    while True:
        pause = source.random() < 0.5
        for _ in range(source.randint(1, 8)):
            yield pause
