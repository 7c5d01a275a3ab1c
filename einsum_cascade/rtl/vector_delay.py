"""What the vector row does, held back until the array has got there."""

from amaranth import Module, Signal
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from einsum_cascade.program.shape import ArrayShape
from einsum_cascade.rtl.corner import vector_layout

__all__ = ["VectorDelay"]


class VectorDelay(Component):
    """A ring of instructions.

    Members
    -------
    above : In(vector_layout())
        The instruction at the corner.
    below : Out(vector_layout())
        The same, for lane 0.

    Timing
    ------
    `below` is `stages * rows + 1` cycles later than `above`. After reset the ring holds nothing to be done.

    """

    def __init__(self, shape: ArrayShape) -> None:
        self._cycles = shape.stages * shape.rows + 1
        super().__init__({"above": In(vector_layout()), "below": Out(vector_layout())})

    def elaborate(self, platform: object) -> Module:
        """Write where the ring will be read so many cycles later; reading takes one of them."""
        m = Module()
        width = self.above.shape().size
        depth = 1 << (self._cycles - 1).bit_length()
        m.submodules.ring = ring = Memory(shape=width, depth=depth, init=[])
        write, read = ring.write_port(), ring.read_port()
        now = Signal(range(depth))
        m.d.sync += now.eq(now + 1)
        m.d.comb += [
            write.en.eq(1),
            write.addr.eq(now),
            write.data.eq(self.above.as_value()),
            read.addr.eq(now - (self._cycles - 1)),
            self.below.eq(read.data),
        ]
        return m
