"""The writer: bursts on the write channels of the memory port, and what memory has acknowledged of them."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import Component, In, Out

from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl.axi import ADDRESS_BITS, BURST_INCREMENT, OKAY, MemorySignature
from einsum_cascade.rtl.links import counter_bits
from einsum_cascade.rtl.tile_state import COUNT_BITS

__all__ = ["Writer"]

_ON_THEIR_WAY = 16
"""Bursts that memory may take without having acknowledged them."""


class Writer(Component):
    """Writes bursts whose addresses come first, in order, and whose beats follow, in that order too.

    Members
    -------
    start
        Clears the count.
    asks, address, last_beat, ends_state
        A burst: its address, its beats less one, and whether it is the last one of running state. Who asks has seen to
        it that there is room.
    beat_enable, beat, strobes, is_last
        A beat: its data, which bytes of it are written, and whether its burst ends.
    beat_room
        How many more beats of bursts may be asked for.
    address_room
        How many more bursts may be.
    memory
        AXI4; only its write channels are used.
    states_stored
        Bursts with `ends_state` that memory has acknowledged.
    is_idle
        Memory has acknowledged all.
    has_error
        Pulses when memory answers with an error.
    is_waiting
        Memory does not take an address or data, or does not acknowledge.

    Timing
    ------
    Two cycles from a burst or a beat to memory's port. After reset it is idle.

    """

    def __init__(self, shape: ArrayShape, beats: int) -> None:
        """Take the array, and how many beats, and as many addresses, may wait."""
        self._beat_bytes, self._beats = shape.beat_bytes, beats
        room = counter_bits(beats)
        super().__init__(
            {
                "start": In(1),
                "asks": In(1),
                "address": In(ADDRESS_BITS),
                "last_beat": In(8),
                "ends_state": In(1),
                "beat_enable": In(1),
                "beat": In(8 * shape.beat_bytes),
                "strobes": In(shape.beat_bytes),
                "is_last": In(1),
                "beat_room": Out(room),
                "address_room": Out(room),
                "memory": Out(MemorySignature(shape.beat_bytes)),
                "states_stored": Out(COUNT_BITS),
                "is_idle": Out(1),
                "has_error": Out(1),
                "is_waiting": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Queue addresses, beats and what they are; count what has room."""
        m = Module()
        memory, most = self.memory, self._beats
        m.submodules.beats = beats = SyncFIFOBuffered(width=9 * self._beat_bytes + 1, depth=most)
        m.submodules.addresses = addresses = SyncFIFOBuffered(width=ADDRESS_BITS + 8, depth=most)
        # Of every burst that is not acknowledged: whether it is the last one of running state.
        m.submodules.acknowledges = acknowledges = SyncFIFOBuffered(width=1, depth=most + _ON_THEIR_WAY)
        outstanding = Signal(range(most + _ON_THEIR_WAY + 1))
        sends_address = Signal()
        sends_beat = Signal()
        is_acknowledged = Signal()
        m.d.comb += [
            *(addresses.w_en.eq(self.asks), addresses.w_data.eq(Cat(self.address, self.last_beat))),
            *(acknowledges.w_en.eq(self.asks), acknowledges.w_data.eq(self.ends_state)),
            *(beats.w_en.eq(self.beat_enable), beats.w_data.eq(Cat(self.beat, self.strobes, self.is_last))),
            memory.awvalid.eq(addresses.r_rdy),
            Cat(memory.awaddr, memory.awlen).eq(addresses.r_data),
            memory.awsize.eq((self._beat_bytes - 1).bit_length()),
            memory.awburst.eq(BURST_INCREMENT),
            sends_address.eq(memory.awvalid & memory.awready),
            addresses.r_en.eq(sends_address),
            memory.wvalid.eq(beats.r_rdy),
            Cat(memory.wdata, memory.wstrb, memory.wlast).eq(beats.r_data),
            sends_beat.eq(memory.wvalid & memory.wready),
            beats.r_en.eq(sends_beat),
            memory.bready.eq(1),
            # What nobody asked for is an answer to what was asked for before a reset.
            is_acknowledged.eq(memory.bvalid & (outstanding != 0)),
            acknowledges.r_en.eq(is_acknowledged),
            self.has_error.eq(is_acknowledged & (memory.bresp != OKAY)),
            self.is_idle.eq(outstanding == 0),
            self.is_waiting.eq(memory.awvalid | memory.wvalid | (outstanding != 0)),
        ]
        with m.If(self.start):
            m.d.sync += self.states_stored.eq(0)
        with m.Elif(is_acknowledged):
            m.d.sync += self.states_stored.eq(self.states_stored + acknowledges.r_data)
        m.d.sync += outstanding.eq(outstanding + self.asks - is_acknowledged)
        self._count(m, outstanding, sends_address, sends_beat)
        return m

    def _count(self, m: Module, outstanding: Signal, sends_address: Signal, sends_beat: Signal) -> None:
        """Count the beats that were asked for and the addresses, up to when memory has taken them."""
        most = self._beats
        beats = Signal(range(most + 1))
        addresses = Signal(range(most + 1))
        places = most - addresses
        acknowledged = most + _ON_THEIR_WAY - outstanding
        m.d.sync += [
            beats.eq(beats + Mux(self.asks, self.last_beat + 1, 0) - sends_beat),
            addresses.eq(addresses + self.asks - sends_address),
        ]
        m.d.comb += [
            self.beat_room.eq(most - beats),
            self.address_room.eq(Mux(acknowledged < places, acknowledged, places)),
        ]
