"""The write channels of an AXI4 memory in a pysim bench: taken at random, checked by the rules, answered in order."""

from dataclasses import dataclass, field

from clocked import peek

__all__ = ["WrittenMemory"]


@dataclass
class WrittenMemory:
    """Bytes that were written, by address; `share` of the cycles a channel takes what it is offered."""

    random: object
    beat_bytes: int
    share: float = 1.0
    failing: int | None = None
    bytes: dict[int, int] = field(default_factory=dict)
    addresses: list[tuple[int, int]] = field(default_factory=list)
    beats: list[tuple[int, int, int]] = field(default_factory=list)
    bursts: int = 0

    def is_ready(self) -> bool:
        return self.random.random() < self.share

    def before_edge(self, ctx, memory) -> None:
        """Set the ready signals and the answer of this cycle, and take what is taken."""
        for channel in ("aw", "w"):
            ctx.set(getattr(memory, f"{channel}ready"), self.is_ready())
        has_answer = self._complete() and self.is_ready()
        ctx.set(memory.bvalid, has_answer)
        ctx.set(memory.bresp, 2 if self.bursts == self.failing else 0)
        if peek(ctx, memory.awvalid) and peek(ctx, memory.awready):
            address, length = peek(ctx, memory.awaddr), peek(ctx, memory.awlen) + 1
            assert peek(ctx, memory.awburst) == 1
            assert 1 << peek(ctx, memory.awsize) == self.beat_bytes
            assert address % self.beat_bytes == 0
            assert address // 4096 == (address + length * self.beat_bytes - 1) // 4096
            self.addresses.append((address, length))
        if peek(ctx, memory.wvalid) and peek(ctx, memory.wready):
            self.beats.append(tuple(peek(ctx, getattr(memory, name)) for name in ("wdata", "wstrb", "wlast")))
        if has_answer:
            assert peek(ctx, memory.bready)
            self._store()

    def _complete(self) -> bool:
        return bool(self.addresses) and len(self.beats) >= self.addresses[0][1]

    def _store(self) -> None:
        address, length = self.addresses.pop(0)
        for number in range(length):
            data, strobes, is_last = self.beats.pop(0)
            assert is_last == (number == length - 1)
            for place in range(self.beat_bytes):
                if strobes >> place & 1:
                    self.bytes[address + number * self.beat_bytes + place] = data >> 8 * place & 0xFF
        self.bursts += 1
