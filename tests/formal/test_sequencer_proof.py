"""The sequencer sends each field of each row for each tile once, in order, and nothing while it waits.

A slot is a cycle of the schedule: a row of the kernel in an iteration. Two harnesses: one kernel with all that it waits
for, and any kernel, of which only the slots are looked at.
"""

from pathlib import Path
from types import ModuleType

import pytest
from amaranth.hdl import Array, Assert, Assume, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import Component
from bounded_proofs import Harness, assert_holds, is_refuted, mutated

from einsum_cascade.array.instruction import Field, MatrixOp, Row, VectorOp, encode
from einsum_cascade.array.registers import WAITS
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl import sequencer

SHAPE = ArrayShape(2, 2, product_steps=2, output_steps=1, slots=2, contexts=2, kernel_rows=4)
# Two heads of keys with one query tile each, of two key tiles: tiles 0 to 3, of which 0, 1 and 2, 3 make a result.
TILES, CONTEXTS = 4, 2
ORDER = {"key_heads": 2, "group": 1, "query_tiles": 1, "key_tiles": 2, "block_tiles": 2, "passes": 1}
# As many tiles: one key tile, in two passes, the even tiles being in the first.
SLOT_ORDER = {**ORDER, "key_tiles": 1, "block_tiles": 1, "passes": 2}
KERNEL = (
    Row(Field(MatrixOp.PRODUCT, 0, 0), Field(VectorOp.MAXIMUM, 0, 1)),
    Row(Field(), Field(VectorOp.NUMERATOR, 0, 1)),
)
PARAMETERS = {
    **{"interval": len(KERNEL), "contexts": CONTEXTS, "queue": CONTEXTS, "slots": 2, "slot_beats": 2, "key_beats": 1},
    **{"product_steps": 2, "output_steps": 1, "keys": 4, "stages": 2},
}
# 4 words, the start, two cycles to fetch, 5 iterations of 2 rows until all stages are empty: 17 without a wait.
BOUND = 26
# 6 words, the start, two cycles to fetch, 5 iterations of 3 rows: 24 without a wait.
SLOT_ROWS, SLOT_BOUND = 3, 40


def expected() -> list[tuple[int, int, int, int]]:
    """What leaves the corner, in order: both operations with the context and the queue entry of their tiles."""
    found: list[tuple[int, int, int, int]] = []
    for iteration in range(TILES + 1):
        for row in KERNEL:
            sent: list[int] = []
            for field in (row.matrix, row.vector):
                tile = iteration - field.stage
                is_sent = field.op != 0 and 0 <= tile < TILES
                sent += [int(field.op), tile % CONTEXTS] if is_sent else [0, 0]
            if sent[0] or sent[2]:
                found.append((sent[0], sent[1], sent[2], sent[3]))
    return found


def drive(
    m: Module, component: Component, words: list[Value], parameters: dict[str, Value | int], order: dict[str, int]
) -> None:
    """Load a kernel, then start."""
    for name, value in parameters.items():
        m.d.comb += getattr(component.parameters, name).eq(value)
    for name, value in order.items():
        m.d.comb += getattr(component.parameters.bounds, name).eq(value)
    time = Signal(range(len(words) + 2))
    m.d.sync += time.eq(Mux(time == len(words) + 1, time, time + 1))
    m.d.comb += [
        component.table_write.eq(time < len(words)),
        component.table_row.eq(time >> 1),
        component.table_half.eq(time[0]),
        component.table_data.eq(Array(words)[time]),
        component.start.eq(time == len(words)),
    ]


class SequencerHarness(Harness):
    """Loads the kernel, starts, and compares; what has been loaded and drained is anything in any cycle."""

    def __init__(self, module: ModuleType) -> None:
        super().__init__(module.Sequencer(SHAPE))
        self.driven = {"parameters", "table_write", "table_row", "table_half", "table_data", "start", "stop"}

    def require(self, m: Module, component: Component) -> None:
        words: list[Value] = [
            Const(encode(field), sequencer.FIELD.size) for row in KERNEL for field in (row.matrix, row.vector)
        ]
        drive(m, component, words, PARAMETERS, ORDER)
        row, lanes = component.corner.row, component.corner.vector
        sends = Signal()
        m.d.comb += sends.eq((row.op != 0) | (lanes.op != 0))
        self._require_order(m, component, sends)
        self._require_waits(m, component, sends)

    def _require_order(self, m: Module, component: Component, sends: Value) -> None:
        row, lanes, order = component.corner.row, component.corner.vector, expected()
        place = Signal(range(len(order) + 1))
        words = Array(Cat(Const(a, 3), Const(b, 1), Const(c, 3), Const(d, 1)) for a, b, c, d in order)
        context, entry = Mux(row.op != 0, row.context[0], 0), Mux(lanes.op != 0, lanes.queue[0], 0)
        m.d.sync += place.eq(place + sends)
        has_run = Signal()
        m.d.sync += has_run.eq(component.is_running)
        m.d.comb += [
            Assert(~sends | (place < len(order))),
            Assert(~sends | (Cat(row.op[:3], context, lanes.op[:3], entry) == words[place])),
            Assert(~(has_run & ~component.is_running) | (place + sends == len(order))),
        ]

    def _require_waits(self, m: Module, component: Component, sends: Value) -> None:
        """Count the tiles that begin and end, and compare with what was there a cycle before, when it was decided."""
        waits, keys, drained, queries = Signal(), Signal(24), Signal(24), Signal(24)
        m.d.sync += [
            waits.eq(Cat(getattr(component, f"waits_{what}") for what in WAITS).any()),
            *(keys.eq(component.keys_loaded), queries.eq(component.queries_loaded)),
            drained.eq(component.results_drained),
        ]
        begun, ended = Signal(3), Signal(3)
        begins = component.corner.row.op == MatrixOp.PRODUCT
        ends = component.corner.vector.op == VectorOp.NUMERATOR
        m.d.sync += [begun.eq(begun + begins), ended.eq(ended + ends)]
        is_first, result = ended[0] == 0, ended >> 1
        m.d.comb += [
            Assert(~(waits & sends)),
            Assert(~begins | (begun - keys)[23]),
            Assert(~begins | ((begun >> 1) - queries)[23]),
            Assert(~(ends & is_first) | ((result - drained)[:24] < 2)),
        ]


class SlotHarness(Harness):
    """Loads any kernel of up to `SLOT_ROWS` rows, starts, and follows the slots; what it waits for is anything.

    A slot goes by in a cycle in which nothing is waited for, and in no other one. In the cycle after, and only then,
    the corner has what the kernel says for it: of each half of the row its operation, if the tile of that exists and
    is in a pass of the operation. After a stop there is nothing, whenever it comes. So there are never two operations
    in one slot of an engine, of one row twice, of two rows, or of two tiles.
    """

    def __init__(self, module: ModuleType) -> None:
        super().__init__(module.Sequencer(SHAPE))
        self.driven = {"parameters", "table_write", "table_row", "table_half", "table_data", "start"}
        self.words = [self.choose(f"word_{place}", sequencer.FIELD.size) for place in range(2 * SLOT_ROWS)]
        self.interval = self.choose("interval", 2)

    def require(self, m: Module, component: Component) -> None:
        fields = [data.View(sequencer.FIELD, word) for word in self.words]
        interval, stages = self.interval, PARAMETERS["stages"]
        m.d.comb += [Assume((interval > 0) & (interval <= SLOT_ROWS)), *(Assume(f.stage < stages) for f in fields)]
        drive(m, component, self.words, PARAMETERS | {"interval": interval}, SLOT_ORDER)
        row, iteration, is_on, starts = Signal(2), Signal(4), Signal(), Signal(3)
        waits = Cat(getattr(component, f"waits_{what}") for what in WAITS).any()
        passes = is_on & ~waits
        ends_row = row + 1 == interval
        m.d.sync += starts.eq(Cat(component.start, starts))
        has_started = Signal()
        m.d.sync += has_started.eq(has_started | component.start)
        stopped = Signal()
        m.d.sync += stopped.eq(component.stop)
        m.d.comb += Assume(Mux(has_started, ~stopped | component.stop, ~component.stop))
        with m.If(component.stop):
            m.d.sync += [is_on.eq(0), starts.eq(0)]
        with m.Elif(starts[1]):
            m.d.sync += is_on.eq(1)
        with m.Elif(passes):
            m.d.sync += [row.eq(Mux(ends_row, 0, row + 1)), iteration.eq(iteration + ends_row)]
            m.d.sync += is_on.eq(~ends_row | (iteration + 1 != TILES + stages - 1))
        m.d.comb += Assert(component.is_running == (is_on | starts.any()))
        corner, lanes = component.corner.row, component.corner.vector
        for number, (op, index) in enumerate(((corner.op, corner.row), (lanes.op, lanes.index))):
            half = data.View(sequencer.FIELD, Array(self.words[number::2])[row])
            tile, due, place = iteration - half.stage, Signal(len(op)), Signal(len(index))
            in_pass = Mux(tile[0], half.passes[1], half.passes[0])
            sends = passes & (tile >= 0) & (tile < TILES) & in_pass
            m.d.sync += [due.eq(Mux(sends, half.op, 0)), place.eq(half.index)]
            m.d.comb += Assert((op == due) & ((op == 0) | (index == place)))


def test_every_row_and_tile_is_sent_once_in_order(tmp_path: Path) -> None:
    assert_holds(SequencerHarness(sequencer), BOUND, tmp_path)


def test_no_slot_gets_two_operations(tmp_path: Path) -> None:
    assert_holds(SlotHarness(sequencer), SLOT_BOUND, tmp_path)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("has_matrix & fire, vector,", "has_matrix, vector,"),
        # A wait begins the iteration anew.
        ("interval, 0, row + 1), row)", "interval, 0, row + 1), 0)"),
        ("matrix_tile.key - self.keys_loaded)", "matrix_tile.key - self.keys_loaded - 1)"),
        ("self.results_drained)[:COUNT_BITS] >= 2", "self.results_drained)[:COUNT_BITS] >= 3"),
        # Ends while the last tile still has a row to go.
        ("(self.parameters.stages <= stage)", "(self.parameters.stages <= stage + 1)"),
    ],
)
def test_a_mistake_is_found(before: str, after: str, tmp_path: Path) -> None:
    assert is_refuted(SequencerHarness(mutated(sequencer, before, after)), BOUND, tmp_path)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # An operation goes out again while the slot waits.
        ("has_matrix & fire, vector,", "has_matrix, vector,"),
        # A row is left out, or done twice.
        ("interval, 0, row + 1), row)", "interval, 0, row + 2), row)"),
        ("row + 1 == self.parameters.interval, 0,", "row + 1 == self.parameters.interval, row,"),
        # A tile keeps its place after an iteration, so its operations come again.
        ("flight[stage].eq(flight[stage - 1])", "flight[stage].eq(flight[stage])"),
        ("(self.parameters.stages <= stage)", "(self.parameters.stages <= stage + 1)"),
        # A half of the row is that of another tile.
        ("flight[vector.stage[", "flight[matrix.stage["),
        # An operation is done in all passes.
        ("(field.passes & tile.pass_bit).any()", "field.passes.any()"),
        # A stop that comes while the first row is fetched is forgotten.
        ("with m.If(self.stop):", "with m.If(self.stop & is_ready):"),
    ],
)
def test_a_second_operation_in_a_slot_is_found(before: str, after: str, tmp_path: Path) -> None:
    assert is_refuted(SlotHarness(mutated(sequencer, before, after)), SLOT_BOUND, tmp_path)
