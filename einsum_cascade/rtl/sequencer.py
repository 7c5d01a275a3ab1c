"""The sequencer: runs the kernel table for tile after tile, and stands still where something is not there yet."""

from collections.abc import Sequence

from amaranth import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from einsum_cascade.array.instruction import INDEX_BITS, OP_BITS, PASSES, STAGE_BITS, MatrixOp, VectorOp
from einsum_cascade.array.registers import WAITS, Flag, counters
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl.freed_places import Places, PlacesLayout, key_place_cycles, query_place_cycles
from einsum_cascade.rtl.links import address_bits, corner_layout
from einsum_cascade.rtl.results import ResultLayout
from einsum_cascade.rtl.tile_state import COUNT_BITS, TileLayout, TileStates
from einsum_cascade.rtl.visit_loops import LoopBounds

__all__ = ["FIELD", "Sequencer", "SequencerParameters"]

_WAITS = tuple(WAITS)
"""What the sequencer waits for; a cycle in which it does for several is counted for the first."""

FIELD = data.StructLayout({"op": OP_BITS, "stage": STAGE_BITS, "index": INDEX_BITS, "passes": PASSES})
"""A word of the kernel table."""


class SequencerParameters(wiring.Signature):
    """From the registers of the same names; they are constant during a run."""

    def __init__(self) -> None:
        """Name them."""
        super().__init__(
            {
                "bounds": Out(LoopBounds()),
                "interval": Out(16),
                "stages": Out(8),
                "contexts": Out(8),
                "queue": Out(8),
                "slots": Out(COUNT_BITS),
                "slot_beats": Out(16),
                "key_beats": Out(16),
                "product_steps": Out(16),
                "output_steps": Out(16),
                "keys": Out(32),
                "diagonal_high": Out(32),
                "diagonal_low": Out(32),
            }
        )


class Sequencer(wiring.Component):
    """Fetches a row of the kernel a cycle and sends its instruction to the corner.

    Members
    -------
    parameters : In(SequencerParameters())
        Of the program.
    table_write, table_row, table_half, table_data
        A word for the kernel table.
    start
        Begins a run.
    stop
        Ends it: nothing is sent any more.
    keys_loaded, queries_loaded, states_loaded, results_drained
        How many tiles have arrived or left, modulo their width.
    corner
        The instruction.
    key_places, query_places
        Of tiles that are no longer needed.
    result_push, result
        Pulses as the last instruction of a tile of results, or of a visit whose running state leaves, does.
    waits_keys, waits_queries, waits_drain, waits_state
        Why it stands still in this cycle.
    is_running
        From the start until all has left the corner.
    cycles, stalls_keys, stalls_queries, stalls_drain, stalls_state, matrix_busy, vector_busy
        Counters of the run.

    Timing
    ------
    The corner holds an instruction in the cycle after it was decided. While it stands still, nothing leaves the corner;
    what left it goes on. After reset it is idle, with an empty table.

    """

    def __init__(self, shape: ArrayShape) -> None:
        """Take the array."""
        self.shape = shape
        super().__init__(
            {
                "parameters": In(SequencerParameters()),
                "table_write": In(1),
                "table_row": In(16),
                "table_half": In(1),
                "table_data": In(32),
                "start": In(1),
                "stop": In(1),
                "keys_loaded": In(COUNT_BITS),
                "queries_loaded": In(COUNT_BITS),
                "states_loaded": In(COUNT_BITS),
                "results_drained": In(COUNT_BITS),
                "corner": Out(corner_layout(shape)),
                "key_places": Out(PlacesLayout(key_place_cycles(shape))),
                "query_places": Out(PlacesLayout(query_place_cycles(shape))),
                "result_push": Out(1),
                "result": Out(ResultLayout()),
                **{f"waits_{what}": Out(1) for what in WAITS},
                "is_running": Out(1),
                **{name: Out(32) for name in counters("corner")},
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the table, the tiles in flight, the gate, and the counters."""
        m = Module()
        parameters = self.parameters
        m.submodules.tiles = tiles = TileStates(self.shape)
        wiring.connect(m, wiring.flipped(parameters.bounds), tiles.bounds)
        for name in ("contexts", "queue", "slots", "slot_beats", "keys", "diagonal_high", "diagonal_low"):
            m.d.comb += getattr(tiles, name).eq(getattr(parameters, name))
        depth = 1 << self.shape.contexts.bit_length()
        flight = Array(Signal(TileLayout(self.shape), name=f"tile_{stage}") for stage in range(depth))
        row = Signal(16)
        fire = Signal()
        is_ready = Signal()
        matrix, vector = self._table(m, row, fire, is_ready)
        matrix_tile, vector_tile = (
            flight[matrix.stage[: depth.bit_length() - 1]],
            flight[vector.stage[: depth.bit_length() - 1]],
        )
        has_matrix = Signal()
        has_vector = Signal()
        for field, tile, has in ((matrix, matrix_tile, has_matrix), (vector, vector_tile, has_vector)):
            m.d.comb += has.eq(is_ready & (field.op != 0) & tile.is_valid & (field.passes & tile.pass_bit).any())
        self._gate(m, matrix, matrix_tile, has_matrix, vector, vector_tile, has_vector)
        m.d.comb += fire.eq(is_ready & ~self._waits(_WAITS))
        self._advance(m, tiles, flight, row, fire, is_ready)
        self._send(m, matrix, matrix_tile, has_matrix & fire, vector, vector_tile, has_vector & fire)
        # A tile passes its last row even in a pass in which nothing is done there.
        self._release(m, matrix, matrix_tile, fire & matrix_tile.is_valid)
        self._results(m, vector, vector_tile, has_vector & fire)
        self._count(m, has_matrix & fire, has_vector & fire)
        return m

    def _waits(self, reasons: Sequence[str]) -> Value:
        """Return whether it stands still for one of some reasons."""
        return Cat(getattr(self, f"waits_{what}") for what in reasons).any()

    def _table(self, m: Module, row: Signal, fire: Signal, is_ready: Signal) -> tuple[data.View, data.View]:
        """Return both halves of the current row."""
        following = Signal(16)
        m.d.comb += following.eq(Mux(fire, Mux(row + 1 == self.parameters.interval, 0, row + 1), row))
        halves: list[data.View] = []
        for half, name in enumerate(("matrix", "vector")):
            table = Memory(shape=FIELD.size, depth=self.shape.kernel_rows, init=[])
            m.submodules[f"{name}_table"] = table
            write = table.write_port()
            read = table.read_port()
            m.d.comb += [
                write.en.eq(self.table_write & (self.table_half == half)),
                write.addr.eq(self.table_row),
                write.data.eq(self.table_data),
                read.addr.eq(following),
            ]
            halves.append(data.View(FIELD, read.data))
        m.d.sync += row.eq(following)
        return halves[0], halves[1]

    def _gate(
        self,
        m: Module,
        matrix: data.View,
        matrix_tile: data.View,
        has_matrix: Signal,
        vector: data.View,
        vector_tile: data.View,
        has_vector: Signal,
    ) -> None:
        """Say what an instruction waits for. Ordinals are compared as signed differences."""
        begins = has_matrix & (matrix.op == MatrixOp.PRODUCT) & (matrix.index == 0)
        keys_missing = (matrix_tile.key - self.keys_loaded)[COUNT_BITS - 1] == 0
        queries_missing = (matrix_tile.query - self.queries_loaded)[COUNT_BITS - 1] == 0
        sums = (vector.op == VectorOp.DENOMINATOR) | (vector.op == VectorOp.ADD_DENOMINATOR)
        adds = (vector.op == VectorOp.NUMERATOR) | (vector.op == VectorOp.ADD)
        writes = ((sums | adds) & vector_tile.starts_result) | (sums & vector_tile.captures)
        in_bank = (vector_tile.result - self.results_drained)[:COUNT_BITS] >= 2
        resumes = (sums | adds | (vector.op == VectorOp.MAXIMUM)) & self._is_resumed(vector_tile)
        state_missing = (vector_tile.state - self.states_loaded)[COUNT_BITS - 1] == 0
        m.d.comb += [
            self.waits_keys.eq(begins & keys_missing),
            self.waits_queries.eq(begins & queries_missing),
            self.waits_drain.eq(has_vector & writes & in_bank),
            self.waits_state.eq(has_vector & resumes & state_missing),
        ]

    def _is_resumed(self, tile: data.View) -> Value:
        """Return whether a tile is the first of a visit that goes on with running state."""
        return tile.restores & tile.starts_query

    def _advance(
        self, m: Module, tiles: TileStates, flight: Array, row: Signal, fire: Signal, is_ready: Signal
    ) -> None:
        """Start a run, and a tile with every interval; end when no tile is in flight."""
        loading = Signal()
        fetching = Signal()
        ends_interval = fire & (row + 1 == self.parameters.interval)
        m.d.comb += [tiles.restart.eq(self.start), tiles.advance.eq((loading | ends_interval) & ~tiles.is_done)]
        m.d.sync += [loading.eq(self.start), fetching.eq(loading)]
        with m.If(self.start):
            m.d.sync += [is_ready.eq(0), row.eq(0), self.is_running.eq(1)]
            m.d.sync += [tile.is_valid.eq(0) for tile in flight]
        with m.Elif(fetching):
            m.d.sync += is_ready.eq(1)
        with m.If(loading | ends_interval):
            m.d.sync += flight[0].eq(tiles.tile)
            for stage in range(1, len(flight)):
                m.d.sync += flight[stage].eq(flight[stage - 1])
            is_empty = tiles.is_done
            for stage, tile in enumerate(flight[:-1], 1):
                is_empty = is_empty & (~tile.is_valid | (self.parameters.stages <= stage))
            with m.If(ends_interval & is_empty):
                m.d.sync += [is_ready.eq(0), self.is_running.eq(0)]
        with m.If(self.stop):
            m.d.sync += [is_ready.eq(0), self.is_running.eq(0)]

    def _send(
        self,
        m: Module,
        matrix: data.View,
        matrix_tile: data.View,
        sends_matrix: Signal,
        vector: data.View,
        vector_tile: data.View,
        sends_vector: Signal,
    ) -> None:
        shape, array, lanes = self.shape, self.corner.row, self.corner.vector
        operand_bits = address_bits(shape.beat_operands)
        place, beat = matrix.index[:operand_bits], matrix.index[operand_bits:]
        first = matrix_tile.slot_beat + Mux(matrix.op == MatrixOp.COMBINE, self.parameters.key_beats, 0)
        m.d.sync += [
            array.op.eq(Mux(sends_matrix, matrix.op, MatrixOp.NONE)),
            array.context.eq(matrix_tile.context),
            array.is_first.eq(matrix.index == 0),
            array.slot.eq(matrix.index),
            array.row.eq(matrix.index),
            array.address.eq(Cat(place, first + beat)),
            array.low.eq(matrix_tile.low),
            array.high.eq(matrix_tile.high),
            array.rows.eq(matrix_tile.rows),
            self.corner.query_address.eq(Cat(place, Mux(matrix_tile.query[0], shape.key_beats, 0) + beat)),
            self.corner.queue.eq(matrix_tile.entry),
            lanes.op.eq(Mux(sends_vector, vector.op, VectorOp.NONE)),
            lanes.index.eq(vector.index),
            lanes.queue.eq(vector_tile.entry),
            lanes.is_first.eq(self._is_first(vector, vector_tile)),
            lanes.captures.eq(vector_tile.captures),
            lanes.restores.eq(self._is_resumed(vector_tile)),
            lanes.parity.eq(vector_tile.result[0]),
            lanes.sum_parity.eq(vector_tile.query[0]),
            lanes.is_done.eq(self.result_push),
        ]

    def _is_first(self, vector: data.View, tile: data.View) -> Value:
        """Return whether an operation of the lanes begins anew: maxima with a query tile, sums with a pass.

        Nothing does where running state has come back.
        """
        sums = (vector.op == VectorOp.DENOMINATOR) | (vector.op == VectorOp.ADD_DENOMINATOR)
        added = Mux(sums, tile.starts_pass, tile.starts_result)
        return Mux(vector.op == VectorOp.MAXIMUM, tile.starts_query, added) & ~self._is_resumed(tile)

    def _release(self, m: Module, matrix: data.View, tile: data.View, sends: Signal) -> None:
        """Give places of the buffer and of the query files back as rows and columns have read them."""
        parameters, shape = self.parameters, self.shape
        has_no_values = (parameters.bounds.flags & Flag.NO_VALUES) != 0
        ends_product = sends & (matrix.op == MatrixOp.PRODUCT) & (matrix.index + 1 == parameters.product_steps)
        ends_combine = sends & (matrix.op == MatrixOp.COMBINE) & (matrix.index + 1 == parameters.output_steps)
        most = shape.contexts + 2
        m.submodules.key_places = keys = Places(key_place_cycles(shape), most)
        m.submodules.query_places = queries = Places(query_place_cycles(shape), most)
        m.d.comb += [
            *(keys.start.eq(self.start), queries.start.eq(self.start)),
            keys.push.eq(Mux(has_no_values, ends_product, ends_combine) & tile.releases_keys),
            keys.count.eq(tile.keys_released),
            queries.push.eq(ends_product & tile.ends_query),
            queries.count.eq(tile.query + 1),
            *(self.key_places.eq(keys.places), self.query_places.eq(queries.places)),
        ]

    def _results(self, m: Module, vector: data.View, tile: data.View, sends: Signal) -> None:
        is_last = (vector.op == VectorOp.NUMERATOR) | (vector.op == VectorOp.ADD)
        m.d.comb += [
            self.result_push.eq(
                sends & is_last & tile.ends_result & (vector.index + 1 == self.parameters.output_steps)
            ),
            self.result.head.eq(tile.head),
            self.result.query_tile.eq(tile.query_tile),
            self.result.key_tile.eq(tile.key_tile),
            self.result.bank.eq(tile.result[0]),
            self.result.sum_bank.eq(tile.query[0]),
            self.result.is_state.eq(tile.spills),
        ]

    def _count(self, m: Module, sends_matrix: Signal, sends_vector: Signal) -> None:
        elapsed = Signal(32)
        has_begun = Signal()
        sends = sends_matrix | sends_vector
        with m.If(self.start):
            m.d.sync += [elapsed.eq(0), has_begun.eq(0)]
            for name in counters("corner"):
                m.d.sync += getattr(self, name).eq(0)
        with m.Else():
            with m.If(sends | has_begun):
                m.d.sync += [has_begun.eq(1), elapsed.eq(elapsed + 1)]
            with m.If(sends):
                m.d.sync += self.cycles.eq(elapsed + 1 + self.shape.depth_cycles)
            m.d.sync += [
                self.matrix_busy.eq(self.matrix_busy + sends_matrix),
                self.vector_busy.eq(self.vector_busy + sends_vector),
            ]
            for at, what in enumerate(_WAITS):
                count = getattr(self, f"stalls_{what}")
                with m.If(has_begun & self._waits([what]) & ~self._waits(_WAITS[:at])):
                    m.d.sync += count.eq(count + 1)
