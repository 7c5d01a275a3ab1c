"""A queue whose values come out a fixed number of cycles after they went in."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["DelayedQueue"]


class DelayedQueue(wiring.Component):
    """Values with the time at which they are due.

    Parameters
    ----------
    width
        Bits of a value.
    cycles
        From `push` to `pop`, at least 3.
    depth
        Values in flight at most.

    Members
    -------
    push, value
        A value goes in.
    pop, due
        A value comes out.
    has_next, cycles_left
        `due` is the value that comes out next, and in how many cycles it does.

    Timing
    ------
    `pop` is `cycles` after `push`; no value waits longer. A value that is alone is seen 2 cycles after `push`, another
    one in the cycle after the `pop` of the one before. Pushes may follow one another at once. After reset it is empty.

    """

    def __init__(self, width: int, cycles: int, depth: int) -> None:
        """Take the sizes."""
        self.width, self.cycles = width, cycles
        # A place stays free: head and tail are equal when the ring is empty, and only then.
        self.depth = 1 << max(2, depth).bit_length()
        super().__init__(
            {
                "push": In(1),
                "value": In(width),
                "pop": Out(1),
                "due": Out(width),
                "has_next": Out(1),
                "cycles_left": Out(range(cycles + 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build a ring that is read one ahead."""
        m = Module()
        time_bits = (self.cycles + 1).bit_length() + 1
        m.submodules.ring = ring = Memory(shape=self.width + time_bits, depth=self.depth, init=[])
        write = ring.write_port()
        read = ring.read_port()
        now = Signal(time_bits)
        head = Signal(range(self.depth))
        tail = Signal(range(self.depth))
        following = Mux(self.pop, head + 1, head)[: len(head)]
        m.d.sync += [now.eq(now + 1), head.eq(following), self.has_next.eq(following != tail)]
        m.d.comb += [
            write.en.eq(self.push),
            write.addr.eq(tail),
            write.data.eq(self.value << time_bits | (now + self.cycles)[:time_bits]),
            read.addr.eq(following),
            self.due.eq(read.data >> time_bits),
            self.cycles_left.eq(read.data[:time_bits] - now),
            self.pop.eq(self.has_next & (read.data[:time_bits] == now)),
        ]
        with m.If(self.push):
            m.d.sync += tail.eq(tail + 1)
        return m
