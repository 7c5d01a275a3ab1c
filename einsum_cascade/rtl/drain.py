"""The drain: takes results out of the vector row, divides them, and writes them to memory; running state as it is."""

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from einsum_cascade.array.program import STATE_WORDS
from einsum_cascade.array.registers import Flag
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl.array import DRAIN_LATENCY
from einsum_cascade.rtl.axi import ADDRESS_BITS, MemorySignature
from einsum_cascade.rtl.divider import DIVIDER_LATENCY, Divider
from einsum_cascade.rtl.jobs import TensorLayout
from einsum_cascade.rtl.lane import accumulator_bits
from einsum_cascade.rtl.links import StateWord, address_bits, counter_bits
from einsum_cascade.rtl.operand_beats import OperandBeats
from einsum_cascade.rtl.results import ResultLayout
from einsum_cascade.rtl.tile_state import COUNT_BITS
from einsum_cascade.rtl.writer import Writer

__all__ = ["Drain"]

_ONE = 0x3F800000
_WAITING_ROWS = 4
"""Rows of results, one word of all columns each, that may wait for memory to take them."""

_LATENCY = DRAIN_LATENCY + DIVIDER_LATENCY
"""Cycles from an address to its quotients."""


class Drain(Component):
    """Writes one tile of results after another: word 0 of all its columns, then word 1, and so on, statistics last.

    Results that leave as operands go column by column instead: a beat of words of some columns, then the next beat of
    words, then the next columns.

    Members
    -------
    flags, output_steps, keys, queries
        From the registers.
    output, state
        Where results lie, and where running state does.
    start
        Clears the counts.
    has_result, result, takes_result
        The tile of results that waits, and whether it is taken; it is there a cycle before `has_result` says so.
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
    taken. Operands take as long; but a beat of words takes `dividers` cycles at least, for then as many beats leave,
    and so does the end of their tile. After reset it is idle.

    """

    def __init__(self, shape: ArrayShape) -> None:
        self._shape = shape
        self._beats = -(-shape.columns // shape.beat_words)
        # Those that the array and the dividers are at work on have their places, too.
        rows = _WAITING_ROWS + -(-_LATENCY * shape.dividers // shape.columns)
        self._writer = Writer(shape, rows * self._beats)
        super().__init__(
            {
                "flags": In(10),
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
        m.submodules.writer = writer = self._writer
        connect(m, writer.memory, flipped(self.memory))
        m.d.comb += [
            writer.start.eq(self.start),
            self.states_stored.eq(writer.states_stored),
            self.has_error.eq(writer.has_error),
            self.is_waiting.eq(writer.is_waiting),
        ]
        group = self._walk(m)
        quotients, left = self._divide(m, group)
        self._assemble(m, quotients, left)
        self._assemble_operands(m, quotients, left)
        return m

    def _walk(self, m: Module) -> data.View:
        """Return the group of columns that is asked for: whether there is one, its first column, and so on."""
        shape, writer = self._shape, self._writer
        group = Signal(_group_layout(shape))
        at = _Place(shape)
        row_beats = Signal(8)
        are_operands = ((self.flags & Flag.OPERAND_ROWS) != 0) & ~self.result.is_state
        first = self._first_burst(m, are_operands)
        m.d.comb += [
            row_beats.eq((at.columns + shape.beat_words - 1) // shape.beat_words),
            *(self.address.eq(Cat(at.bank, at.word)), self.group.eq(at.group)),
            self.kind.eq(StateWord.of(at.word, self.output_steps)),
            *(writer.address.eq(at.address), writer.last_beat.eq(row_beats - 1)),
            writer.ends_state.eq(at.is_state & (at.word + 1 == at.words)),
            group.is_whole.eq(at.is_state | (at.word >= self.output_steps)),
            *(group.first.eq(at.group * shape.dividers), group.columns.eq(at.columns)),
        ]
        with m.If(writer.asks):
            m.d.sync += at.address.eq(writer.address + at.stride)
        with m.If(self.start):
            m.d.sync += self.results_drained.eq(0)
        with m.FSM() as machine:
            with m.State("idle"):
                m.d.comb += self.takes_result.eq(1)
                with m.If(self.has_result):
                    self._take(m, at, first)
                    m.d.sync += self.parity.eq(self.result.sum_bank)
                    with m.If(are_operands):
                        m.next = "walk operands"
                    with m.Else():
                        m.next = "walk"
            with m.State("walk"):
                self._walk_rows(m, at, group)
            with m.State("walk operands"):
                self._walk_operands(m, at, group)
            with m.State("leave"):
                # The beats of the last operands take as long, and no others may come between them.
                m.d.sync += at.step.eq(at.step + 1)
                with m.If(at.step == shape.dividers - 1):
                    m.next = "idle"
        m.d.comb += self.is_idle.eq(~machine.ongoing("walk") & ~machine.ongoing("walk operands") & writer.is_idle)
        return group

    def _first_burst(self, m: Module, are_operands: Value) -> Value:
        """Return where the tile begins that has been waiting for a cycle at least: products have one of their own."""
        shape, result = self._shape, self.result
        base, head_stride, row_stride = (
            Mux(result.is_state, getattr(self.state, part), getattr(self.output, part))
            for part in ("address", "head_stride", "stride")
        )
        # Of operands, a row is a column, and its words begin in some beat.
        word, query = self._first_word(), result.query_tile * shape.columns
        row = Mux(are_operands, query, word)
        beat = word[address_bits(shape.beat_operands) :] * shape.beat_bytes
        of_heads = Signal(ADDRESS_BITS)
        of_rows = Signal(ADDRESS_BITS)
        address = Signal(ADDRESS_BITS)
        m.d.sync += [of_heads.eq(result.head * head_stride), of_rows.eq(row * row_stride)]
        inside = Mux(are_operands, beat, result.query_tile * shape.result_bytes)
        m.d.comb += address.eq(base + of_heads + of_rows + inside)
        return address

    def _first_word(self) -> Value:
        has_tiles = (self.flags & Flag.TILE_RESULTS) != 0
        return Mux(has_tiles, self.result.key_tile * self._shape.rows, 0)

    def _take(self, m: Module, at: "_Place", address: Value) -> None:
        shape, result = self._shape, self.result
        is_state, word = result.is_state, self._first_word()
        left, wide = self.keys - word, self.queries - result.query_tile * shape.columns
        has_more = is_state | ((self.flags & Flag.STATISTICS) != 0)
        has_tiles, more = (self.flags & Flag.TILE_RESULTS) != 0, Mux(has_more, STATE_WORDS, 0)
        m.d.sync += [
            at.words.eq(Mux(has_tiles, Mux(left < shape.rows, left, shape.rows), self.output_steps + more)),
            at.columns.eq(Mux(wide < shape.columns, wide, shape.columns)),
            *(at.address.eq(address), at.beat_address.eq(address), at.group_address.eq(address)),
            at.stride.eq(Mux(is_state, self.state.stride, self.output.stride)),
            *(at.begin.eq(word), at.operand.eq(word)),
            *(at.word.eq(0), at.group.eq(0), at.step.eq(0)),
            *(at.bank.eq(result.bank), at.is_state.eq(is_state)),
        ]

    def _walk_rows(self, m: Module, at: "_Place", group: data.View) -> None:
        """Ask for a word of all columns, a group a cycle, once there is room for the burst that it is."""
        shape, writer = self._shape, self._writer
        has_room = (writer.beat_room >= self._beats) & (writer.address_room != 0)
        ends_row = at.group == shape.columns // shape.dividers - 1
        m.d.comb += [
            writer.asks.eq((at.group == 0) & has_room),
            group.is_valid.eq((at.group != 0) | has_room),
            group.ends_row.eq(ends_row),
        ]
        with m.If(group.is_valid):
            m.d.sync += [at.group.eq(Mux(ends_row, 0, at.group + 1)), at.word.eq(at.word + ends_row)]
            with m.If(ends_row & (at.word + 1 == at.words)):
                m.d.sync += self.results_drained.eq(self.results_drained + 1)
                m.next = "idle"

    def _walk_operands(self, m: Module, at: "_Place", group: data.View) -> None:
        """Ask for the words of a beat of a group, one a cycle, once there is room for the beats of all its columns."""
        shape, writer = self._shape, self._writer
        dividers = shape.dividers
        has_room = (writer.beat_room >= dividers) & (writer.address_room >= dividers)
        goes_on = (at.step != 0) | has_room
        after = (at.group + 1) * dividers
        is_last = Signal()
        ends_beat = Signal()
        ends_row = Signal()
        m.d.comb += [
            ends_row.eq(at.word + 1 == at.words),
            is_last.eq((at.operand == shape.beat_operands - 1) | ends_row),
            # The last word waits until the beats before it, of as many columns as there are dividers, have left.
            group.is_valid.eq(goes_on & (~is_last | (at.step + 1 >= dividers))),
            ends_beat.eq(group.is_valid & is_last),
            # The addresses of the beats of all columns, one a cycle.
            writer.asks.eq(goes_on & (at.step < dividers) & (group.first + at.step < at.columns)),
            writer.address.eq(Mux(at.step == 0, at.beat_address, at.address)),
            writer.last_beat.eq(0),
            *(group.are_operands.eq(1), group.place.eq(at.operand), group.ends_row.eq(ends_beat)),
        ]
        with m.If(goes_on):
            m.d.sync += at.step.eq(at.step + 1)
        with m.If(group.is_valid):
            m.d.sync += [at.word.eq(at.word + 1), at.operand.eq(at.operand + 1)]
        with m.If(ends_beat):
            next_beat, next_group = (Signal(ADDRESS_BITS, name=f"next_{what}") for what in ("beat", "group"))
            m.d.comb += next_beat.eq(at.beat_address + shape.beat_bytes)
            m.d.comb += next_group.eq(at.group_address + at.stride * dividers)
            m.d.sync += [at.step.eq(0), at.operand.eq(0), at.beat_address.eq(next_beat)]
            with m.If(ends_row):
                m.d.sync += [at.word.eq(0), at.group.eq(at.group + 1), at.operand.eq(at.begin)]
                m.d.sync += [at.beat_address.eq(next_group), at.group_address.eq(next_group)]
                with m.If(after >= at.columns):
                    m.d.sync += self.results_drained.eq(self.results_drained + 1)
                    m.next = "leave"

    def _divide(self, m: Module, group: data.View) -> tuple[list[Value], data.View]:
        quotients: list[Value] = []
        groups = [group]
        for at in range(_LATENCY):
            # A reset must reach them: what the dividers still work on then is nobody's.
            register = Signal(_group_layout(self._shape), name=f"group_{at + 1}")
            m.d.sync += register.eq(groups[-1])
            groups.append(register)
        left = groups[-1]
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
            is_kept = left.is_valid & (left.first + number < left.columns)
            empty.append(is_kept & divider.is_undivided)
        with m.If(self.start):
            m.d.sync += self.empty_columns.eq(0)
        with m.Else():
            m.d.sync += self.empty_columns.eq(self.empty_columns + sum(empty))
        return quotients, left

    def _assemble(self, m: Module, quotients: list[Value], group: data.View) -> None:
        """Collect groups into a beat, which is full, or ends a row."""
        shape, writer = self._shape, self._writer
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
        is_valid = group.is_valid & ~group.are_operands
        ends_beat = Signal()
        after = group.first + shape.dividers
        m.d.comb += [
            ends_beat.eq(is_valid & ((place == groups - 1) | group.ends_row)),
            writer.beat_enable.eq(ends_beat & strobes.any()),
            *(writer.beat.eq(full), writer.strobes.eq(strobes)),
            writer.is_last.eq((after >= group.columns) | group.ends_row),
        ]
        with m.If(ends_beat):
            m.d.sync += [place.eq(0), collected.eq(0), kept.eq(0)]
        with m.Elif(is_valid):
            m.d.sync += [place.eq(place + 1), collected.eq(full), kept.eq(strobes)]

    def _assemble_operands(self, m: Module, quotients: list[Value], group: data.View) -> None:
        """Collect words into beats of each column, which are bursts of one beat."""
        shape, writer = self._shape, self._writer
        m.submodules.operands = operands = OperandBeats(shape)
        columns = Mux(group.columns - group.first < shape.dividers, group.columns - group.first, shape.dividers)
        m.d.comb += [
            Value.cast(operands.words).eq(Cat(*quotients)),
            operands.is_valid.eq(group.is_valid & group.are_operands),
            *(operands.place.eq(group.place), operands.ends_beat.eq(group.ends_row), operands.columns.eq(columns)),
            operands.saturates.eq((self.flags & Flag.SATURATE) != 0),
        ]
        with m.If(operands.beat_enable):
            m.d.comb += [writer.beat_enable.eq(1), writer.is_last.eq(1)]
            m.d.comb += [writer.beat.eq(operands.beat), writer.strobes.eq(operands.strobes)]


class _Place:
    """Where in a tile of results the walk is.

    Attributes
    ----------
    words, columns, bank, is_state
        Of the tile: its words of a column, its columns, which bank they are in, and whether it is running state.
    word, group
        The word, and the columns, that are read.
    address, stride
        Of the next burst, and how far the one after it is.
    begin, operand
        Of operands: the place of word 0, and of this one, in a beat.
    beat_address, group_address
        Of the first column: this beat, and the first one.
    step
        Cycles of this beat that have passed.

    """

    def __init__(self, shape: ArrayShape) -> None:
        places = address_bits(shape.beat_operands)
        self.words = Signal(16)
        self.columns = Signal(16)
        self.bank = Signal()
        self.is_state = Signal()
        self.word = Signal(16)
        self.group = Signal(range(max(2, shape.columns // shape.dividers)), name="group_number")
        self.address = Signal(ADDRESS_BITS, name="burst_address")
        self.stride = Signal(ADDRESS_BITS, name="burst_stride")
        self.begin = Signal(places)
        self.operand = Signal(places)
        self.beat_address = Signal(ADDRESS_BITS)
        self.group_address = Signal(ADDRESS_BITS)
        self.step = Signal(range(max(shape.beat_operands, shape.dividers) + 1))


def _group_layout(shape: ArrayShape) -> data.StructLayout:
    """Return what is known of the columns of a group; `place` is of those that leave as operands."""
    columns = counter_bits(shape.columns)
    return data.StructLayout(
        {
            "is_valid": 1,
            "first": columns,
            "columns": columns,
            "ends_row": 1,
            "is_whole": 1,
            "are_operands": 1,
            "place": address_bits(shape.beat_operands),
        }
    )
