"""Places of the buffer and of the query files: when the last instruction that reads them has reached the last line."""

from amaranth import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl.delayed_queue import DelayedQueue
from einsum_cascade.rtl.tile_state import COUNT_BITS

__all__ = ["Places", "PlacesLayout", "key_place_cycles", "query_place_cycles", "release_latency"]

_MARGIN = 8
"""Cycles that the corner, the feeders and the banks take between them; more than they do."""


def key_place_cycles(shape: ArrayShape) -> int:
    """Return how long after an instruction the last row's place of its keys and values is free."""
    return shape.stages * shape.rows + _MARGIN


def query_place_cycles(shape: ArrayShape) -> int:
    """Return how long after an instruction the places of its queries are free."""
    return shape.columns + _MARGIN


def release_latency(shape: ArrayShape) -> int:
    """Return the cycles from an instruction at `corner` to the last place that it gives back."""
    return max(key_place_cycles(shape), query_place_cycles(shape)) + 1


class PlacesLayout(data.StructLayout):
    """How many tiles have given all their places back, and how many are about to.

    Parameters
    ----------
    cycles
        From the instruction that gives a tile's places back until all are free.

    Members
    -------
    released
        Tiles of which all lines have, modulo its width.
    is_leaving, leaving
        Whether more follow, and how many tiles it is with them.
    cycles_left
        Until the last line of those has. Rows of the buffer before it have, `stages` cycles from one to the next.

    """

    def __init__(self, cycles: int) -> None:
        """Take the cycles."""
        super().__init__(
            {"released": COUNT_BITS, "is_leaving": 1, "leaving": COUNT_BITS, "cycles_left": range(cycles + 1)}
        )


class Places(wiring.Component):
    """Counts tiles that have given their places back.

    Parameters
    ----------
    cycles
        From the instruction that gives a tile's places back until all are free.
    depth
        Such instructions on their way at most.

    Members
    -------
    start
        Clears the count.
    push, count
        An instruction gives back what the first tiles have, and how many tiles those are.
    places
        What has been given back.

    Timing
    ------
    `leaving` is those of the oldest instruction on its way: from 2 cycles after `push`, and from the cycle after its
    predecessor's, until `cycles` after `push`. `released` is in the cycle after that. After reset nothing is on its
    way.

    """

    def __init__(self, cycles: int, depth: int) -> None:
        """Take the sizes."""
        self.cycles, self.depth = cycles, depth
        super().__init__({"start": In(1), "push": In(1), "count": In(COUNT_BITS), "places": Out(PlacesLayout(cycles))})

    def elaborate(self, platform: object) -> Module:
        """Count what comes out of a queue."""
        m = Module()
        m.submodules.queue = queue = DelayedQueue(COUNT_BITS, self.cycles, self.depth)
        m.d.comb += [
            queue.push.eq(self.push),
            queue.value.eq(self.count),
            self.places.is_leaving.eq(queue.has_next),
            self.places.leaving.eq(queue.due),
            self.places.cycles_left.eq(queue.cycles_left),
        ]
        with m.If(self.start):
            m.d.sync += self.places.released.eq(0)
        with m.Elif(queue.pop):
            m.d.sync += self.places.released.eq(queue.due)
        return m
