"""Which rows of memory a program reads, in which order: a stream of jobs for keys and values, and one for queries."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from einsum_cascade.program.registers import Flag
from einsum_cascade.program.shape import ArrayShape
from einsum_cascade.rtl.axi import ADDRESS_BITS
from einsum_cascade.rtl.tile_loops import LoopBounds, TileLoops
from einsum_cascade.rtl.tile_state import COUNT_BITS

__all__ = ["JobLayout", "KeyJobs", "QueryJobs", "TensorLayout"]


class JobLayout(data.StructLayout):
    """A row of operands to be read.

    Members
    -------
    address
        Of its first byte, at a beat.
    beats
        How many.
    line
        The row of the array whose bank, or the column whose query file, it goes to.
    place
        The beat there that it begins at.
    is_query
        Whether it goes to a query file.
    ends_tile
        Whether it is the last row of its tile.

    """

    def __init__(self) -> None:
        """Name the fields."""
        super().__init__({"address": ADDRESS_BITS, "beats": 16, "line": 10, "place": 24, "is_query": 1, "ends_tile": 1})


class TensorLayout(wiring.Signature):
    """Where a tensor lies, from the registers of the same names."""

    def __init__(self) -> None:
        """Name them."""
        super().__init__({"address": Out(ADDRESS_BITS), "stride": Out(ADDRESS_BITS), "head_stride": Out(ADDRESS_BITS)})


class KeyJobs(wiring.Component):
    """Reads keys and values, as far ahead as the buffer has room.

    Members
    -------
    bounds
        Of the loops.
    slots, slot_beats, key_beats, value_beats, keys
        From the registers.
    key, value
        Where they lie.
    start
        Begins a run.
    released
        Tiles that are no longer needed.
    jobs
        Rows to be read: all keys of a tile, then all its values.

    Timing
    ------
    A job a cycle, and one cycle between the tiles. After reset there is none.

    """

    def __init__(self, shape: ArrayShape) -> None:
        """Take the array."""
        self.shape = shape
        super().__init__(
            {
                "bounds": In(LoopBounds()),
                "slots": In(COUNT_BITS),
                "slot_beats": In(16),
                "key_beats": In(16),
                "value_beats": In(16),
                "keys": In(32),
                "key": In(TensorLayout()),
                "value": In(TensorLayout()),
                "start": In(1),
                "released": In(COUNT_BITS),
                "jobs": Out(stream.Signature(JobLayout())),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Walk over the tiles, and over the rows of each."""
        m = Module()
        shape, bounds = self.shape, self.bounds
        m.submodules.loops = loops = TileLoops()
        wiring.connect(m, wiring.flipped(bounds), loops.bounds)
        number, slot_beat = Signal(COUNT_BITS), Signal(24)
        rows, row = Signal(range(shape.rows + 1)), Signal(range(shape.rows + 1))
        key_address, value_address = Signal(ADDRESS_BITS), Signal(ADDRESS_BITS)
        is_value, is_last = Signal(), Signal()
        left = self.keys - loops.key_tile * shape.rows
        has_values = (bounds.flags & Flag.NO_VALUES) == 0
        job = self.jobs.payload
        m.d.comb += [
            loops.is_keys_only.eq((bounds.flags & Flag.RESIDENT) != 0),
            loops.restart.eq(self.start),
            is_last.eq(row + 1 == rows),
            job.address.eq(Mux(is_value, value_address, key_address)),
            job.beats.eq(Mux(is_value, self.value_beats, self.key_beats)),
            job.line.eq(row),
            job.place.eq(slot_beat + Mux(is_value, self.key_beats, 0)),
            job.ends_tile.eq(is_last & (is_value | ~has_values)),
        ]
        with m.FSM():
            with m.State("idle"), m.If(self.start):
                m.d.sync += [number.eq(0), slot_beat.eq(0)]
                m.next = "wait"
            with m.State("wait"):
                has_room = (number - self.released)[:COUNT_BITS] < self.slots
                m.d.sync += [rows.eq(Mux(left > shape.rows, shape.rows, left)), row.eq(0), is_value.eq(0)]
                for tensor, address in ((self.key, key_address), (self.value, value_address)):
                    before = loops.key_tile * shape.rows * tensor.stride
                    m.d.sync += address.eq(tensor.address + loops.key_head * tensor.head_stride + before)
                with m.If(loops.is_done):
                    m.next = "idle"
                with m.Elif(has_room):
                    m.next = "read"
            with m.State("read"):
                m.d.comb += self.jobs.valid.eq(1)
                with m.If(self.jobs.ready):
                    m.d.sync += row.eq(Mux(is_last, 0, row + 1))
                    with m.If(is_value):
                        m.d.sync += value_address.eq(value_address + self.value.stride)
                    with m.Else():
                        m.d.sync += key_address.eq(key_address + self.key.stride)
                    with m.If(job.ends_tile):
                        after = slot_beat + self.slot_beats
                        wraps = after == self.slots * self.slot_beats
                        m.d.comb += loops.advance.eq(1)
                        m.d.sync += [number.eq(number + 1), slot_beat.eq(Mux(wraps, 0, after))]
                        m.next = "wait"
                    with m.Elif(is_last):
                        m.d.sync += is_value.eq(1)
        return m


class QueryJobs(wiring.Component):
    """Reads queries, two query tiles ahead of the array.

    Members
    -------
    bounds
        Of the loops; those over keys do not matter.
    key_beats, queries
        From the registers.
    query
        Where they lie.
    start
        Begins a run.
    released
        Query tiles that are no longer needed.
    jobs
        Rows to be read.

    Timing
    ------
    A job a cycle, and one cycle between the tiles. After reset there is none.

    """

    def __init__(self, shape: ArrayShape) -> None:
        """Take the array."""
        self.shape = shape
        super().__init__(
            {
                "bounds": In(LoopBounds()),
                "key_beats": In(16),
                "queries": In(32),
                "query": In(TensorLayout()),
                "start": In(1),
                "released": In(COUNT_BITS),
                "jobs": Out(stream.Signature(JobLayout())),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Walk over the heads and their query tiles, and over the columns of each."""
        m = Module()
        shape, bounds, job = self.shape, self.bounds, self.jobs.payload
        heads, head, tile = Signal(48), Signal(COUNT_BITS), Signal(COUNT_BITS)
        number = Signal(COUNT_BITS)
        columns, column = Signal(range(shape.columns + 1)), Signal(range(shape.columns + 1))
        head_address, address = Signal(ADDRESS_BITS), Signal(ADDRESS_BITS)
        left = self.queries - tile * shape.columns
        is_last = column + 1 == columns
        m.d.comb += [
            heads.eq(bounds.key_heads * bounds.group),
            job.address.eq(address),
            job.beats.eq(self.key_beats),
            job.line.eq(column),
            job.place.eq(Mux(number[0], shape.beats_of(shape.product_steps), 0)),
            job.is_query.eq(1),
            job.ends_tile.eq(is_last),
        ]
        with m.FSM():
            with m.State("idle"), m.If(self.start):
                m.d.sync += [head.eq(0), tile.eq(0), number.eq(0)]
                m.d.sync += [address.eq(self.query.address), head_address.eq(self.query.address)]
                m.next = "wait"
            with m.State("wait"):
                m.d.sync += [columns.eq(Mux(left > shape.columns, shape.columns, left)), column.eq(0)]
                with m.If(head == heads):
                    m.next = "idle"
                with m.Elif((number - self.released)[:COUNT_BITS] < 2):
                    m.next = "read"
            with m.State("read"):
                m.d.comb += self.jobs.valid.eq(1)
                with m.If(self.jobs.ready):
                    m.d.sync += [column.eq(column + 1), address.eq(address + self.query.stride)]
                    with m.If(is_last):
                        m.d.sync += [number.eq(number + 1), tile.eq(tile + 1)]
                        m.next = "wait"
                        with m.If(tile + 1 == bounds.query_tiles):
                            following = head_address + self.query.head_stride
                            m.d.sync += [tile.eq(0), head.eq(head + 1)]
                            m.d.sync += [head_address.eq(following), address.eq(following)]
        return m
