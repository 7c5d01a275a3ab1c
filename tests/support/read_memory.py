"""The read channels of an AXI4 memory in a pysim bench; a word of memory holds the number of its beat."""

from dataclasses import dataclass, field

from clocked import peek

__all__ = ["ReadMemory"]


@dataclass
class ReadMemory:
    """Takes addresses and sends beats at random, in order; a burst may be spoilt.

    `spoilt` says of a burst, by its number, what is wrong: `error`, `early` (its last beat comes one too early and the
    rest not at all) or `late` (the mark of the last beat is missing).
    """

    random: object
    beat_bytes: int
    share: float = 1.0
    spoilt: dict[int, str] = field(default_factory=dict)
    queue: list[tuple[int, int, str]] = field(default_factory=list)
    bursts: list[tuple[int, int]] = field(default_factory=list)
    beat: int = 0
    is_offering: bool = False

    def before_edge(self, ctx, memory) -> None:
        """Set the ready signal and the beat of this cycle, and take what is taken."""
        ctx.set(memory.arready, self.random.random() < self.share)
        self.is_offering = bool(self.queue) and (self.is_offering or self.random.random() < self.share)
        ctx.set(memory.rvalid, self.is_offering)
        if self.is_offering:
            address, length, fault = self.queue[0]
            last = length - 2 if fault == "early" else length - 1
            ctx.set(memory.rdata, address // self.beat_bytes + self.beat)
            ctx.set(memory.rlast, self.beat == last and fault != "late")
            ctx.set(memory.rresp, 2 if fault == "error" and self.beat == 0 else 0)
            if peek(ctx, memory.rready):
                self.is_offering, self.beat = False, self.beat + 1
                if self.beat > last:
                    self.queue.pop(0)
                    self.beat = 0
        if peek(ctx, memory.arvalid) and peek(ctx, memory.arready):
            self._take(peek(ctx, memory.araddr), peek(ctx, memory.arlen) + 1, ctx, memory)

    def _take(self, address, length, ctx, memory) -> None:
        assert peek(ctx, memory.arburst) == 1
        assert peek(ctx, memory.arid) == 0
        assert 1 << peek(ctx, memory.arsize) == self.beat_bytes
        assert length <= 256
        assert address % self.beat_bytes == 0
        assert address // 4096 == (address + length * self.beat_bytes - 1) // 4096
        self.queue.append((address, length, self.spoilt.get(len(self.bursts), "")))
        self.bursts.append((address, length))
