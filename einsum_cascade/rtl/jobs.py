"""Which rows of memory a program reads, in which order: jobs for keys with values, for queries, for running state."""

from enum import IntEnum

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from einsum_cascade.array.program import STATE_WORDS
from einsum_cascade.array.registers import Flag
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl.axi import ADDRESS_BITS
from einsum_cascade.rtl.freed_places import PlacesLayout, key_place_cycles
from einsum_cascade.rtl.links import StateWord, row_beat_bits
from einsum_cascade.rtl.tile_loops import TileLoops
from einsum_cascade.rtl.tile_state import COUNT_BITS
from einsum_cascade.rtl.visit_loops import LoopBounds, VisitLoops

__all__ = ["Destination", "JobLayout", "KeyJobs", "QueryJobs", "StateJobs", "TensorLayout"]


class Destination(IntEnum):
    """Where a row goes to; the reader takes the greatest first."""

    KEYS = 0
    """The bank of a row of the array."""
    STATE = 1
    """The lanes."""
    QUERIES = 2
    """The query file of a column."""


class JobLayout(data.StructLayout):
    """A row of operands, or a word of all columns, to be read.

    Members
    -------
    address
        Of its first byte, at a beat.
    beats
        How many.
    target
        A `Destination`.
    line
        The row of the array whose bank, or the column whose query file, it goes to. Of running state: the bank of
        results below, the `StateWord` above.
    place
        The beat there that it begins at. Of running state: the beat of the row below, which word above.
    ends_tile
        Whether it is the last row of its tile.

    """

    def __init__(self) -> None:
        """Name the fields."""
        super().__init__({"address": ADDRESS_BITS, "beats": 16, "line": 10, "place": 24, "target": 2, "ends_tile": 1})


class TensorLayout(wiring.Signature):
    """Where a tensor lies, from the registers of the same names."""

    def __init__(self) -> None:
        """Name them."""
        super().__init__({"address": Out(ADDRESS_BITS), "stride": Out(ADDRESS_BITS), "head_stride": Out(ADDRESS_BITS)})


def _in_time(m: Module, first: Value, second: Value, name: str) -> Value:
    """Return the product of two values in the cycle after they came: it has a cycle of its own."""
    found = Signal(ADDRESS_BITS, name=name)
    m.d.sync += found.eq(first * second)
    return found


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
    places
        Tiles that are no longer needed, row by row.
    jobs
        Rows to be read: all keys of a tile, then all its values; each once its place is free.

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
                "places": In(PlacesLayout(key_place_cycles(shape))),
                "jobs": Out(stream.Signature(JobLayout())),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Walk over the tiles, and over the rows of each."""
        m = Module()
        shape, bounds = self.shape, self.bounds
        m.submodules.loops = loops = TileLoops()
        wiring.connect(m, wiring.flipped(bounds), loops.bounds)
        number = Signal(COUNT_BITS)
        slot_beat = Signal(24)
        rows = Signal(range(shape.rows + 1))
        row = Signal(range(shape.rows + 1))
        address = Signal(ADDRESS_BITS)
        is_value = Signal()
        is_last = Signal()
        first_key = loops.key_tile * shape.rows
        left = self.keys - first_key
        key, value = (
            tensor.address
            + _in_time(m, loops.key_head, tensor.head_stride, f"{name}_heads")
            + _in_time(m, first_key, tensor.stride, f"{name}_rows")
            for name, tensor in (("key", self.key), ("value", self.value))
        )
        has_place = self._has_place(m, number, row)
        has_values = (bounds.flags & Flag.NO_VALUES) == 0
        job = self.jobs.payload
        m.d.comb += [
            loops.is_keys_only.eq((bounds.flags & Flag.RESIDENT) != 0),
            loops.restart.eq(self.start),
            is_last.eq(row + 1 == rows),
            job.address.eq(Mux(row == 0, Mux(is_value, value, key), address)),
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
                m.d.sync += [rows.eq(Mux(left > shape.rows, shape.rows, left)), row.eq(0), is_value.eq(0)]
                with m.If(loops.is_done):
                    m.next = "idle"
                with m.Elif(has_place):
                    m.next = "read"
            with m.State("read"):
                m.d.comb += self.jobs.valid.eq(has_place)
                with m.If(self.jobs.valid & self.jobs.ready):
                    m.d.sync += row.eq(Mux(is_last, 0, row + 1))
                    m.d.sync += address.eq(job.address + Mux(is_value, self.value.stride, self.key.stride))
                    with m.If(job.ends_tile):
                        after = slot_beat + self.slot_beats
                        wraps = after == self.slots * self.slot_beats
                        m.d.comb += loops.advance.eq(1)
                        m.d.sync += [number.eq(number + 1), slot_beat.eq(Mux(wraps, 0, after))]
                        m.next = "wait"
                    with m.Elif(is_last):
                        m.d.sync += is_value.eq(1)
        return m

    def _has_place(self, m: Module, number: Value, row: Value) -> Value:
        """Return whether the place of a row of a tile is free, if those of the rows before it are."""
        shape, places = self.shape, self.places
        has_place = Signal()
        ahead = Signal(range(shape.stages * shape.rows))
        is_free, will_be = ((number - count)[:COUNT_BITS] < self.slots for count in (places.released, places.leaving))
        m.d.comb += [
            ahead.eq(shape.stages * (shape.rows - 1 - row)),
            has_place.eq(is_free | (places.is_leaving & will_be & (places.cycles_left <= ahead))),
        ]
        return has_place


class QueryJobs(wiring.Component):
    """Reads queries, two visits of query tiles ahead of the array.

    Members
    -------
    bounds
        Of the loops.
    key_beats, queries
        From the registers.
    query
        Where they lie.
    start
        Begins a run.
    released
        Visits whose queries are no longer needed.
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
        """Walk over the visits, and over the columns of each."""
        m = Module()
        shape, job = self.shape, self.jobs.payload
        m.submodules.visits = visits = VisitLoops()
        wiring.connect(m, wiring.flipped(self.bounds), visits.bounds)
        number = Signal(COUNT_BITS)
        columns = Signal(range(shape.columns + 1))
        column = Signal(range(shape.columns + 1))
        address = Signal(ADDRESS_BITS)
        is_last = column + 1 == columns
        heads = _in_time(m, visits.head, self.query.head_stride, "query_heads")
        rows = _in_time(m, visits.query_tile * shape.columns, self.query.stride, "query_rows")
        m.d.comb += [
            visits.restart.eq(self.start),
            job.address.eq(Mux(column == 0, self.query.address + heads + rows, address)),
            job.beats.eq(self.key_beats),
            job.line.eq(column),
            job.place.eq(Mux(number[0], shape.beats_of(shape.product_steps), 0)),
            job.target.eq(Destination.QUERIES),
            job.ends_tile.eq(is_last),
        ]
        with m.FSM():
            with m.State("idle"), m.If(self.start):
                m.d.sync += number.eq(0)
                m.next = "wait"
            with m.State("wait"):
                m.d.sync += [columns.eq(_columns_of(shape, self.queries, visits.query_tile)), column.eq(0)]
                with m.If(visits.is_done):
                    m.next = "idle"
                with m.Elif((number - self.released)[:COUNT_BITS] < 2):
                    m.next = "read"
            with m.State("read"):
                m.d.comb += self.jobs.valid.eq(1)
                with m.If(self.jobs.ready):
                    m.d.sync += [column.eq(column + 1), address.eq(job.address + self.query.stride)]
                    with m.If(is_last):
                        m.d.comb += visits.advance.eq(1)
                        m.d.sync += number.eq(number + 1)
                        m.next = "wait"
        return m


class StateJobs(wiring.Component):
    """Reads running state back, for the visits of query tiles that go on with it.

    Members
    -------
    bounds
        Of the loops.
    output_steps, queries
        From the registers.
    state
        Where it lies.
    start
        Begins a run.
    drained
        Visits whose results, or whose running state, are out of the lanes: a visit's state goes where those of the
        visit two before were.
    stored
        Visits whose running state is in memory: states are read back in the order in which they were written.
    jobs
        Words of all columns to be read: accumulators, sums, maxima.

    Timing
    ------
    A job a cycle, and one cycle between the visits. After reset there is none.

    """

    def __init__(self, shape: ArrayShape) -> None:
        """Take the array."""
        self.shape = shape
        super().__init__(
            {
                "bounds": In(LoopBounds()),
                "output_steps": In(16),
                "queries": In(32),
                "state": In(TensorLayout()),
                "start": In(1),
                "drained": In(COUNT_BITS),
                "stored": In(COUNT_BITS),
                "jobs": Out(stream.Signature(JobLayout())),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Walk over the visits, and over the words of each that has running state."""
        m = Module()
        shape, bounds = self.shape, self.bounds
        m.submodules.visits = visits = VisitLoops()
        wiring.connect(m, wiring.flipped(bounds), visits.bounds)
        number = Signal(COUNT_BITS)
        restored = Signal(COUNT_BITS)
        word = Signal(16)
        columns = Signal(range(shape.columns + 1))
        address = Signal(ADDRESS_BITS)
        is_last = Signal()
        m.d.comb += [
            visits.restart.eq(self.start),
            is_last.eq(word + 1 == self.output_steps + STATE_WORDS),
        ]
        heads = _in_time(m, visits.head, self.state.head_stride, "state_heads")
        first = self.state.address + heads + visits.query_tile * shape.result_bytes
        self._job(m, number, word, columns, Mux(word == 0, first, address), is_last)
        with m.FSM():
            with m.State("idle"), m.If(self.start):
                m.d.sync += [number.eq(0), restored.eq(0)]
                m.next = "wait"
            with m.State("wait"):
                m.d.sync += [columns.eq(_columns_of(shape, self.queries, visits.query_tile)), word.eq(0)]
                is_stored = (restored - self.stored)[COUNT_BITS - 1]
                with m.If(visits.is_done):
                    m.next = "idle"
                with m.Elif(~visits.restores):
                    m.d.comb += visits.advance.eq(1)
                    m.d.sync += number.eq(number + 1)
                with m.Elif(is_stored & ((number - self.drained)[:COUNT_BITS] < 2)):
                    m.next = "read"
            with m.State("read"):
                m.d.comb += self.jobs.valid.eq(1)
                with m.If(self.jobs.ready):
                    m.d.sync += [word.eq(word + 1), address.eq(self.jobs.payload.address + self.state.stride)]
                    with m.If(is_last):
                        m.d.comb += visits.advance.eq(1)
                        m.d.sync += [number.eq(number + 1), restored.eq(restored + 1)]
                        m.next = "wait"
        return m

    def _job(self, m: Module, number: Value, word: Value, columns: Value, address: Value, is_last: Value) -> None:
        """Say where a word of all columns is, and where it goes to."""
        shape, job = self.shape, self.jobs.payload
        kind = Signal(2)
        m.d.comb += [
            kind.eq(StateWord.of(word, self.output_steps)),
            job.address.eq(address),
            job.beats.eq((columns + shape.beat_words - 1) // shape.beat_words),
            job.line.eq(Cat(number[0], kind)),
            job.place.eq(word << row_beat_bits(shape)),
            job.target.eq(Destination.STATE),
            job.ends_tile.eq(is_last),
        ]


def _columns_of(shape: ArrayShape, queries: Value, query_tile: Value) -> Value:
    """Return how many columns of a query tile have a query."""
    left = queries - query_tile * shape.columns
    return Mux(left > shape.columns, shape.columns, left)
