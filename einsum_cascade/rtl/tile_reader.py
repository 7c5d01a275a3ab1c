"""The reader: turns rows to be read into bursts of AXI4, and takes what arrives to banks, query files and lanes."""

from amaranth import Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl.axi import BURST_INCREMENT, OKAY, MemorySignature
from einsum_cascade.rtl.jobs import Destination, JobLayout
from einsum_cascade.rtl.tile_state import COUNT_BITS

__all__ = ["OUTSTANDING", "FillLayout", "Reader"]

OUTSTANDING = 16
"""Bursts that may be on their way at a time."""

_PAGE, _LONGEST = 4096, 256


class FillLayout(data.StructLayout):
    """A beat for a bank, a query file or lanes; fields as of `JobLayout`."""

    def __init__(self, beat_bytes: int) -> None:
        """Take the bytes of a beat."""
        super().__init__({"line": 10, "place": 24, "target": 2, "data": 8 * beat_bytes})


class Reader(wiring.Component):
    """Reads rows, queries before running state before keys, in bursts that stay within pages.

    Members
    -------
    key_jobs, query_jobs, state_jobs
        Rows to be read.
    memory
        AXI4; only its read channels are used.
    fill_write, fill
        A beat that arrived.
    keys_loaded, queries_loaded, states_loaded
        Tiles that have arrived as a whole.
    start
        Clears the counts.
    stop
        Asks for no more; what arrives still goes where it was to go.
    is_idle
        Nothing is on its way. While it stops, beats that nobody asked for are taken, too.
    has_error, has_protocol_error
        Pulse when memory answers with an error, or ends a burst too early or too late.
    waits_address, waits_data
        A burst waits for memory to take its address, or to send data.

    Timing
    ------
    A burst a cycle at the most, up to `OUTSTANDING` on their way. A beat is out in the cycle in which it arrives;
    memory is never held up. After reset nothing is on its way.

    """

    def __init__(self, shape: ArrayShape) -> None:
        """Take the array."""
        self.shape = shape
        super().__init__(
            {
                "key_jobs": In(stream.Signature(JobLayout())),
                "query_jobs": In(stream.Signature(JobLayout())),
                "state_jobs": In(stream.Signature(JobLayout())),
                "memory": Out(MemorySignature(shape.beat_bytes)),
                "fill_write": Out(1),
                "fill": Out(FillLayout(shape.beat_bytes)),
                "keys_loaded": Out(COUNT_BITS),
                "queries_loaded": Out(COUNT_BITS),
                "states_loaded": Out(COUNT_BITS),
                "start": In(1),
                "stop": In(1),
                "is_idle": Out(1),
                "has_error": Out(1),
                "has_protocol_error": Out(1),
                "waits_address": Out(1),
                "waits_data": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the address side and the data side, with a queue of bursts between them."""
        m = Module()
        # The last one that has a row goes first.
        self._streams = (self.key_jobs, self.state_jobs, self.query_jobs)
        burst = data.StructLayout({"line": 10, "place": 24, "beats": 9, "target": 2, "ends_tile": 1})
        m.submodules.bursts = bursts = SyncFIFOBuffered(width=burst.size, depth=OUTSTANDING)
        self._addresses(m, bursts, burst)
        self._arrivals(m, bursts, burst)
        return m

    def _addresses(self, m: Module, bursts: SyncFIFOBuffered, burst: data.StructLayout) -> None:
        job = Signal(JobLayout())
        has_job = Signal()
        beat_bits = (self.shape.beat_bytes - 1).bit_length()
        to_page = (_PAGE - job.address[:12]) >> beat_bits
        most = _LONGEST if self.shape.beat_bytes * _LONGEST <= _PAGE else _PAGE // self.shape.beat_bytes
        length = Signal(10)
        within = Signal(10)
        entry = Signal(burst)
        memory = self.memory
        fire = Signal()
        ends = Signal()
        m.d.comb += [
            within.eq(Mux(to_page > most, most, to_page)),
            length.eq(Mux(job.beats > within, within, job.beats)),
            ends.eq(length == job.beats),
            memory.arvalid.eq(has_job & bursts.w_rdy),
            memory.araddr.eq(job.address),
            memory.arlen.eq(length - 1),
            memory.arsize.eq(beat_bits),
            memory.arburst.eq(BURST_INCREMENT),
            fire.eq(memory.arvalid & memory.arready),
            entry.line.eq(job.line),
            entry.place.eq(job.place),
            entry.beats.eq(length),
            entry.target.eq(job.target),
            entry.ends_tile.eq(job.ends_tile & ends),
            bursts.w_en.eq(fire),
            bursts.w_data.eq(entry.as_value()),
            self.waits_address.eq(memory.arvalid & ~memory.arready),
        ]
        takes = ~has_job | (fire & ends)
        taken: Value = Const(0)
        for jobs in reversed(self._streams):
            m.d.comb += jobs.ready.eq(takes & ~taken)
            taken = taken | jobs.valid
        with m.If(takes):
            m.d.sync += has_job.eq(taken)
            for jobs in self._streams:
                with m.If(jobs.valid):
                    m.d.sync += job.eq(jobs.payload)
        with m.Elif(fire):
            m.d.sync += [
                job.address.eq(job.address + (length << beat_bits)),
                job.place.eq(job.place + length),
                job.beats.eq(job.beats - length),
            ]
        # An address that memory has seen must stay until it is taken; the rest of its job is given up.
        with m.If(self.stop & (~memory.arvalid | fire)):
            m.d.sync += has_job.eq(0)
        m.d.comb += self.is_idle.eq(~has_job & (bursts.level == 0) & ~memory.rvalid)

    def _arrivals(self, m: Module, bursts: SyncFIFOBuffered, burst: data.StructLayout) -> None:
        memory = self.memory
        entry = data.View(burst, bursts.r_data)
        beat = Signal(9)
        is_last = beat + 1 == entry.beats
        arrives = Signal()
        is_asked = Signal()
        m.d.comb += [
            is_asked.eq(arrives & bursts.r_rdy),
            memory.rready.eq(bursts.r_rdy | (self.stop & (bursts.level == 0))),
            arrives.eq(memory.rvalid & memory.rready),
            self.fill_write.eq(is_asked),
            self.fill.line.eq(entry.line),
            self.fill.place.eq(entry.place + beat),
            self.fill.target.eq(entry.target),
            self.fill.data.eq(memory.rdata),
            # A burst ends where memory says so: after one of another length, the next ones are still told apart.
            bursts.r_en.eq(is_asked & memory.rlast),
            self.has_error.eq(arrives & (memory.rresp != OKAY)),
            self.has_protocol_error.eq(is_asked & (memory.rlast != is_last)),
            self.waits_data.eq(bursts.r_rdy & ~memory.rvalid),
        ]
        with m.If(is_asked):
            m.d.sync += beat.eq(Mux(memory.rlast, 0, beat + 1))
        for target, count in (
            (Destination.KEYS, self.keys_loaded),
            (Destination.QUERIES, self.queries_loaded),
            (Destination.STATE, self.states_loaded),
        ):
            with m.If(self.start):
                m.d.sync += count.eq(0)
            with m.Elif(is_asked & memory.rlast & entry.ends_tile & (entry.target == target)):
                m.d.sync += count.eq(count + 1)
