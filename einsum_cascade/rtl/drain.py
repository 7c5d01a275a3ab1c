"""The drain: takes results out of the vector row, divides them, and writes them to memory; running state as it is."""

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import Component, In, Out

from einsum_cascade.program.ir import STATE_WORDS
from einsum_cascade.program.registers import Flag
from einsum_cascade.program.shape import ArrayShape
from einsum_cascade.rtl.array import DRAIN_LATENCY
from einsum_cascade.rtl.axi import ADDRESS_BITS, BURST_INCREMENT, OKAY, MemorySignature
from einsum_cascade.rtl.divider import DIVIDER_LATENCY, Divider
from einsum_cascade.rtl.jobs import TensorLayout
from einsum_cascade.rtl.lane import accumulator_bits
from einsum_cascade.rtl.links import StateWord, address_bits
from einsum_cascade.rtl.results import ResultLayout
from einsum_cascade.rtl.tile_state import COUNT_BITS

__all__ = ["Drain"]

_ONE = 0x3F800000
_WAITING_ROWS = 4
"""Rows of results, one word of all columns each, that may wait for memory to take them."""

_ON_THEIR_WAY = 16
"""Rows that memory may take without having acknowledged them."""

_LATENCY = DRAIN_LATENCY + DIVIDER_LATENCY
"""Cycles from an address to its quotients."""


class Drain(Component):
    """Writes one tile of results after another: word 0 of all its columns, then word 1, and so on, statistics last.

    Members
    -------
    flags, output_steps, keys, queries
        From the registers.
    output, state
        Where results lie, and where running state does.
    start
        Clears the counts.
    has_result, result, takes_result
        The tile of results that waits, and whether it is taken.
    address, parity, kind, group
        For the array: which word of which bank, which captured sum and maximum, which of them, and which `dividers`
        columns.
    words, sums
        Those words, and the captured sums of their columns, `DRAIN_LATENCY` cycles later.
    memory
        AXI4; only its write channels are used.
    results_drained
        Tiles of results that are out of the lanes.
    states_stored
        Tiles of running state that memory has acknowledged.
    is_idle
        Nothing is on its way to memory, and memory has acknowledged all.
    empty_columns
        Results whose denominator was 0.
    has_error
        Pulses when memory answers with an error.
    is_waiting
        Memory does not take an address or data, or does not acknowledge.

    Timing
    ------
    A word of `dividers` columns a cycle, and one cycle between the tiles. Where memory does not take what is ready,
    up to `_WAITING_ROWS` rows wait, and the next one does not begin; nor where memory does not acknowledge what it has
    taken. After reset it is idle.

    """

    def __init__(self, shape: ArrayShape) -> None:
        self._shape = shape
        self._beats = -(-shape.columns // shape.beat_words)
        # Those that the array and the dividers are at work on have their places, too.
        self._rows = _WAITING_ROWS + -(-_LATENCY * shape.dividers // shape.columns)
        super().__init__(
            {
                "flags": In(8),
                "output_steps": In(16),
                "keys": In(32),
                "queries": In(32),
                "output": In(TensorLayout()),
                "state": In(TensorLayout()),
                "start": In(1),
                "has_result": In(1),
                "result": In(ResultLayout()),
                "takes_result": Out(1),
                "address": Out(accumulator_bits(shape)),
                "parity": Out(1),
                "kind": Out(2),
                "group": Out(address_bits(shape.columns // shape.dividers)),
                "words": In(data.ArrayLayout(32, shape.dividers)),
                "sums": In(data.ArrayLayout(32, shape.dividers)),
                "memory": Out(MemorySignature(shape.beat_bytes)),
                "results_drained": Out(COUNT_BITS),
                "states_stored": Out(COUNT_BITS),
                "is_idle": Out(1),
                "empty_columns": Out(32),
                "has_error": Out(1),
                "is_waiting": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Walk over words and groups of columns; divide; assemble beats; write."""
        m = Module()
        beats, addresses = self._queues(m)
        group = self._walk(m, beats, addresses)
        quotients, beat_group = self._divide(m, group)
        self._assemble(m, beats, quotients, beat_group)
        self._write(m, beats, addresses)
        return m

    def _queues(self, m: Module) -> tuple[SyncFIFOBuffered, SyncFIFOBuffered]:
        shape = self._shape
        m.submodules.beats = beats = SyncFIFOBuffered(width=9 * shape.beat_bytes + 1, depth=self._rows * self._beats)
        m.submodules.addresses = addresses = SyncFIFOBuffered(width=ADDRESS_BITS + 8, depth=self._rows)
        # Of every row that is not acknowledged: whether it is the last one of running state.
        self._acknowledges = SyncFIFOBuffered(width=1, depth=self._rows + _ON_THEIR_WAY)
        m.submodules.acknowledges = self._acknowledges
        return beats, addresses

    def _walk(self, m: Module, beats: SyncFIFOBuffered, addresses: SyncFIFOBuffered) -> data.View:
        """Return the group of columns that is asked for: whether there is one, its first column, and so on."""
        shape = self._shape
        groups = shape.columns // shape.dividers
        group = Signal(_group_layout())
        bank = Signal()
        word = Signal(16)
        words = Signal(16)
        number = Signal(range(max(2, groups)))
        columns = Signal(16)
        address = Signal(ADDRESS_BITS)
        stride = Signal(ADDRESS_BITS)
        is_state = Signal()
        self._room = Signal(range(self._rows * self._beats + 1))
        self._row_beats = Signal(8)
        self._begins_row = Signal()
        ends_row = number == groups - 1
        has_room = Signal()
        m.d.comb += [
            has_room.eq((self._room >= self._beats) & addresses.w_rdy & self._acknowledges.w_rdy),
            self._row_beats.eq((columns + shape.beat_words - 1) // shape.beat_words),
            *(self.address.eq(Cat(bank, word)), self.group.eq(number)),
            self.kind.eq(StateWord.of(word, self.output_steps)),
            self._acknowledges.w_en.eq(self._begins_row),
            self._acknowledges.w_data.eq(is_state & (word + 1 == words)),
            group.is_whole.eq(is_state | (word >= self.output_steps)),
            *(addresses.w_en.eq(self._begins_row), addresses.w_data.eq(Cat(address, (self._row_beats - 1)[:8]))),
            *(group.first.eq(number * shape.dividers), group.columns.eq(columns), group.ends_row.eq(ends_row)),
        ]
        with m.FSM() as machine:
            with m.State("idle"):
                m.d.comb += self.takes_result.eq(1)
                with m.If(self.has_result):
                    self._take(m, words, columns, address, stride)
                    m.d.sync += is_state.eq(self.result.is_state)
                    m.d.sync += [bank.eq(self.result.bank), self.parity.eq(self.result.sum_bank)]
                    m.d.sync += [word.eq(0), number.eq(0)]
                    m.next = "walk"
            with m.State("walk"):
                m.d.comb += [self._begins_row.eq((number == 0) & has_room), group.is_valid.eq((number != 0) | has_room)]
                with m.If(group.is_valid):
                    m.d.sync += [number.eq(Mux(ends_row, 0, number + 1)), word.eq(word + ends_row)]
                    with m.If(ends_row & (word + 1 == words)):
                        m.d.sync += self.results_drained.eq(self.results_drained + 1)
                        m.next = "idle"
        self._is_walking = machine.ongoing("walk")
        with m.If(self._begins_row):
            m.d.sync += address.eq(address + stride)
        with m.If(self.start):
            m.d.sync += self.results_drained.eq(0)
        return group

    def _take(self, m: Module, words: Value, columns: Value, address: Value, stride: Value) -> None:
        shape, result = self._shape, self.result
        has_tiles, is_state = (self.flags & Flag.TILE_RESULTS) != 0, result.is_state
        key = result.key_tile * shape.rows
        left, wide = self.keys - key, self.queries - result.query_tile * shape.columns
        has_more = is_state | ((self.flags & Flag.STATISTICS) != 0)
        first, more = Mux(has_tiles, key, 0), Mux(has_more, STATE_WORDS, 0)
        base, head_stride, row_stride = (
            Mux(is_state, getattr(self.state, part), getattr(self.output, part))
            for part in ("address", "head_stride", "stride")
        )
        m.d.sync += [
            words.eq(Mux(has_tiles, Mux(left < shape.rows, left, shape.rows), self.output_steps + more)),
            columns.eq(Mux(wide < shape.columns, wide, shape.columns)),
            stride.eq(row_stride),
            address.eq(base + result.head * head_stride + first * row_stride + result.query_tile * shape.result_bytes),
        ]

    def _divide(self, m: Module, group: data.View) -> tuple[list[Value], data.View]:
        quotients: list[Value] = []
        groups = [group]
        for at in range(_LATENCY):
            # A reset must reach them: what the dividers still work on then is nobody's.
            register = Signal(_group_layout(), name=f"group_{at + 1}")
            m.d.sync += register.eq(groups[-1])
            groups.append(register)
        beat_group = groups[-1]
        divides = ((self.flags & Flag.DIVIDE) != 0) & ~groups[DRAIN_LATENCY].is_whole
        empty: list[Value] = []
        for number in range(self._shape.dividers):
            divider = Divider()
            m.submodules[f"divider_{number}"] = divider
            m.d.comb += [
                divider.dividend.eq(self.words[number]),
                divider.divisor.eq(Mux(divides, self.sums[number], _ONE)),
            ]
            quotients.append(divider.quotient.as_value())
            is_kept = beat_group.is_valid & (beat_group.first + number < beat_group.columns)
            empty.append(is_kept & divider.is_undivided)
        with m.If(self.start):
            m.d.sync += self.empty_columns.eq(0)
        with m.Else():
            m.d.sync += self.empty_columns.eq(self.empty_columns + sum(empty))
        return quotients, beat_group

    def _assemble(self, m: Module, beats: SyncFIFOBuffered, quotients: list[Value], group: data.View) -> None:
        """Collect groups into a beat, which is full, or ends a row."""
        shape = self._shape
        width, groups = 32 * shape.dividers, shape.beat_words // shape.dividers
        collected = Signal(8 * shape.beat_bytes)
        kept = Signal(shape.beat_bytes)
        place = Signal(range(max(2, groups)))
        full = Signal(8 * shape.beat_bytes)
        strobes = Signal(shape.beat_bytes)
        enables = Cat(*((group.first + number < group.columns).replicate(4) for number in range(shape.dividers)))
        m.d.comb += [full.eq(collected), strobes.eq(kept)]
        m.d.comb += full.word_select(place, width).eq(Cat(*quotients))
        m.d.comb += strobes.word_select(place, width // 8).eq(enables)
        # A beat is not sent if none of its words is kept: its row has fewer beats than it has columns for.
        ends_beat = Signal()
        is_last = Signal()
        after = group.first + shape.dividers
        m.d.comb += [
            ends_beat.eq(group.is_valid & ((place == groups - 1) | group.ends_row)),
            is_last.eq((after >= group.columns) | group.ends_row),
            beats.w_en.eq(ends_beat & strobes.any()),
            beats.w_data.eq(Cat(full, strobes, is_last)),
        ]
        with m.If(ends_beat):
            m.d.sync += [place.eq(0), collected.eq(0), kept.eq(0)]
        with m.Elif(group.is_valid):
            m.d.sync += [place.eq(place + 1), collected.eq(full), kept.eq(strobes)]

    def _write(self, m: Module, beats: SyncFIFOBuffered, addresses: SyncFIFOBuffered) -> None:
        memory = self.memory
        outstanding = Signal(8)
        beat_bytes = self._shape.beat_bytes
        sends_address = Signal()
        sends_beat = Signal()
        is_acknowledged = Signal()
        m.d.comb += [
            memory.awvalid.eq(addresses.r_rdy),
            memory.awaddr.eq(addresses.r_data[:ADDRESS_BITS]),
            memory.awlen.eq(addresses.r_data[ADDRESS_BITS:]),
            memory.awsize.eq((beat_bytes - 1).bit_length()),
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
            self.has_error.eq(is_acknowledged & (memory.bresp != OKAY)),
            self.is_waiting.eq(memory.awvalid | memory.wvalid | (outstanding != 0)),
        ]
        m.d.comb += self._acknowledges.r_en.eq(is_acknowledged)
        with m.If(self.start):
            m.d.sync += self.states_stored.eq(0)
        with m.Elif(is_acknowledged):
            m.d.sync += self.states_stored.eq(self.states_stored + self._acknowledges.r_data)
        m.d.sync += outstanding.eq(outstanding + self._begins_row - is_acknowledged)
        m.d.comb += self.is_idle.eq(~self._is_walking & (outstanding == 0))
        taken = Mux(self._begins_row, self._row_beats, 0)
        full = self._rows * self._beats
        used = Signal(range(full + 1))
        m.d.comb += self._room.eq(full - used)
        m.d.sync += used.eq(used + taken - sends_beat)


def _group_layout() -> data.StructLayout:
    return data.StructLayout({"is_valid": 1, "first": 10, "columns": 16, "ends_row": 1, "is_whole": 1})
