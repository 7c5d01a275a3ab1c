"""A delay of many cycles: a memory that is written and read in a circle, instead of a long shift register."""

from amaranth import Module, Mux, Signal
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

__all__ = ["Delay"]

_SHORTEST_CIRCLE = 8


class Delay(Component):
    """What comes in goes out so many cycles later.

    Parameters
    ----------
    bits
        Of the word.
    cycles
        At least 1.

    Members
    -------
    given : In(bits)
        The word.
    delayed : Out(bits)
        The word of `cycles` cycles ago; 0 if that was before a reset.

    Timing
    ------
    `cycles` from `given` to `delayed`; a word every cycle, nothing stalls. After reset `delayed` is 0 for so long.

    """

    def __init__(self, bits: int, cycles: int) -> None:
        self._bits, self._cycles = bits, cycles
        super().__init__({"given": In(bits), "delayed": Out(bits)})

    def elaborate(self, platform: object) -> Module:
        """Shift words over short distances, write them in a circle over long ones."""
        m = Module()
        if self._cycles < _SHORTEST_CIRCLE:
            self._shift(m)
        else:
            self._turn(m)
        return m

    def _shift(self, m: Module) -> None:
        word = self.given
        for _ in range(self._cycles):
            register = Signal(self._bits)
            m.d.sync += register.eq(word)
            word = register
        m.d.comb += self.delayed.eq(word)

    def _turn(self, m: Module) -> None:
        """Read the oldest word before it is overwritten; the read port adds the last cycle."""
        depth = self._cycles - 1
        m.submodules.words = memory = Memory(shape=self._bits, depth=depth, init=[])
        read = memory.read_port()
        write = memory.write_port()
        place = Signal(range(depth))
        is_full = Signal()
        is_valid = Signal()
        is_end = place == depth - 1
        m.d.sync += [place.eq(Mux(is_end, 0, place + 1)), is_full.eq(is_full | is_end), is_valid.eq(is_full)]
        m.d.comb += [
            *(read.addr.eq(place), write.addr.eq(place)),
            *(write.en.eq(1), write.data.eq(self.given)),
            self.delayed.eq(Mux(is_valid, read.data, 0)),
        ]
