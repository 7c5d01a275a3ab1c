"""The sequencer, beside a walk over kernel rows and tiles, while keys, queries, states and results come and go."""

import random as random_module
from dataclasses import dataclass, field

import numpy as np
from array_programs import in_blocks, lowered, random_lowered, square
from clocked import apply, peek, run_bench
from random_counts import draw_seed, mode, random_count

from einsum_cascade.array.instruction import MatrixOp, VectorOp, encode
from einsum_cascade.array.program_rules import check_program
from einsum_cascade.array.registers import WAITS
from einsum_cascade.rtl.sequencer import Sequencer

READY_CYCLES = 3
SUMS = {VectorOp.DENOMINATOR, VectorOp.ADD_DENOMINATOR}
WRITES = {VectorOp.NUMERATOR, VectorOp.ADD, *SUMS}


@dataclass
class Walk:
    """What the corner does by docs/decisions/0006, "The corner"; `step` is one cycle."""

    program: object
    row: int = 0
    iteration: int = 0
    keys: int = 0
    queries: int = 0
    drained: int = 0
    states: int = 0
    pushed: int = 0
    stalls: dict = field(default_factory=lambda: dict.fromkeys(WAITS, 0))
    busy: dict = field(default_factory=lambda: dict.fromkeys(("matrix", "vector"), 0))
    first: int | None = None
    last: int = 0

    def __post_init__(self):
        self.tiles = list(self.program.tiles())

    def tile(self, part):
        number = self.iteration - part.stage
        if not part.op or not 0 <= number < len(self.tiles):
            return None
        return self.tiles[number] if part.passes >> self.tiles[number].pass_number & 1 else None

    @property
    def is_done(self):
        # The last tile is in flight for as many iterations as the kernel has stages.
        return self.iteration >= len(self.tiles) + self.program.stages - 1

    def key_ordinal(self, tile):
        return tile.key_head * self.program.key_tiles + tile.key_tile if self.program.is_resident else tile.number

    def state_ordinal(self, tile):
        """How many visits before this one go on with running state."""
        return sum(visit.is_resumed for visit in self.program.visits[: tile.query_number])

    def resumable(self):
        """How many visits can have their running state: the visits two before them have left."""
        return sum(visit.is_resumed for visit in self.program.visits[: self.drained + 2])

    def waits(self, matrix, vector):
        row, found = self.program.kernel[self.row], set()
        if matrix and row.matrix.op == MatrixOp.PRODUCT and row.matrix.index == 0:
            found |= {"keys"} if self.key_ordinal(matrix) >= self.keys else set()
            found |= {"queries"} if matrix.query_number >= self.queries else set()
        if vector and vector.result_number - self.drained >= 2:
            begins = row.vector.op in WRITES and vector.starts_result
            found |= {"drain"} if begins or (row.vector.op in SUMS and vector.captures) else set()
        if vector and vector.restores and vector.starts_query and row.vector.op in (*WRITES, VectorOp.MAXIMUM):
            found |= {"state"} if self.state_ordinal(vector) >= self.states else set()
        return found

    def step(self, cycle):
        """Return what it waits for, and the tiles whose instructions leave."""
        row = self.program.kernel[self.row]
        matrix, vector = self.tile(row.matrix), self.tile(row.vector)
        waits = self.waits(matrix, vector)
        if waits:
            if self.first is not None:
                self.stalls[min(waits, key=[*WAITS].index)] += 1
            return waits, None, None
        if matrix or vector:
            self.first = cycle if self.first is None else self.first
            self.last = cycle
        self.busy["matrix"] += matrix is not None
        self.busy["vector"] += vector is not None
        self.row += 1
        if self.row == self.program.interval:
            self.row, self.iteration = 0, self.iteration + 1
        return waits, matrix, vector


async def load(ctx, sequencer, program):
    parameters = sequencer.parameters
    registers = {**program.registers, "slot_beats": program.slot_beats}
    apply(ctx, parameters, registers)
    apply(ctx, parameters.bounds, registers)
    ctx.set(sequencer.table_write, 1)
    for number, row in enumerate(program.kernel):
        for half, part in enumerate((row.matrix, row.vector)):
            ctx.set(sequencer.table_row, number)
            ctx.set(sequencer.table_half, half)
            ctx.set(sequencer.table_data, encode(part))
            await ctx.tick()
    ctx.set(sequencer.table_write, 0)


def check_corner(ctx, sequencer, program, row, matrix, vector):
    """The corner, a cycle after the decision."""
    word, shape = sequencer.corner, program.shape
    assert peek(ctx, word.row.op) == (row.matrix.op if matrix else 0)
    assert peek(ctx, word.vector.op) == (row.vector.op if vector else 0)
    if matrix:
        index = row.matrix.index
        assert peek(ctx, word.row.context) == matrix.number % program.contexts
        assert peek(ctx, word.row.is_first) == (index == 0)
        if row.matrix.op == MatrixOp.EXPONENTIAL:
            assert peek(ctx, word.row.slot) == index
        if row.matrix.op == MatrixOp.OUT:
            assert peek(ctx, word.row.row) == index
        if row.matrix.op in (MatrixOp.PRODUCT, MatrixOp.COMBINE):
            stays = matrix.key_head * program.key_tiles + matrix.key_tile
            beat = (stays if program.is_resident else matrix.number) % program.slots * program.slot_beats
            beat += program.key_beats if row.matrix.op == MatrixOp.COMBINE else 0
            assert peek(ctx, word.row.address) == beat * shape.beat_operands + index
        if row.matrix.op == MatrixOp.PRODUCT:
            place = matrix.query_number % 2 * shape.key_beats
            assert peek(ctx, word.query_address) == place * shape.beat_operands + index
    if vector:
        assert peek(ctx, word.vector.index) == row.vector.index
        assert peek(ctx, word.vector.queue) == vector.number % program.queue
        assert peek(ctx, word.vector.parity) == vector.result_number % 2
        assert peek(ctx, word.vector.sum_parity) == vector.query_number % 2
        assert peek(ctx, word.vector.captures) == vector.captures
        assert peek(ctx, word.vector.restores) == (vector.restores and vector.starts_query)
        if row.vector.op != VectorOp.CORRECTION:
            assert peek(ctx, word.vector.is_first) == is_first(row.vector.op, vector)


def is_first(op, tile):
    if tile.restores:
        return False
    return tile.starts_query if op == VectorOp.MAXIMUM else tile.starts_pass if op in SUMS else tile.starts_result


def is_result_pushed(program, row, vector):
    is_last_word = row.vector.index == program.output_steps - 1
    return bool(vector and vector.ends_result and is_last_word and row.vector.op in (VectorOp.NUMERATOR, VectorOp.ADD))


class Bench:
    """Steps the sequencer beside the walk; what it waits for comes with the chance `haste` in each cycle."""

    def __init__(self, program, random, haste):
        self.program, self.random, self.haste = program, random, haste
        self.sequencer, self.walk = Sequencer(program.shape), Walk(program)

    def let_come(self, ctx):
        """Something arrives or leaves, or not."""
        walk, sequencer = self.walk, self.sequencer
        for what, name, port, most in (
            ("keys", "keys", sequencer.keys_loaded, walk.key_ordinal(walk.tiles[-1]) + 1),
            ("queries", "queries", sequencer.queries_loaded, walk.tiles[-1].query_number + 1),
            ("drain", "drained", sequencer.results_drained, walk.pushed),
            ("state", "states", sequencer.states_loaded, walk.resumable()),
        ):
            now = getattr(walk, name)
            if now < most and self.random.random() < self.haste[what]:
                setattr(walk, name, now + 1)
            ctx.set(port, getattr(walk, name))

    async def begin(self, ctx):
        """Load the program, start, and go to the cycle in which the first row is decided."""
        await load(ctx, self.sequencer, self.program)
        ctx.set(self.sequencer.start, 1)
        await ctx.tick()
        ctx.set(self.sequencer.start, 0)
        for _ in range(READY_CYCLES - 1):
            await ctx.tick()

    async def run(self, ctx):
        sequencer, walk, program = self.sequencer, self.walk, self.program
        await self.begin(ctx)
        cycle = 0
        while not walk.is_done:
            row = program.kernel[walk.row]
            self.let_come(ctx)
            assert peek(ctx, sequencer.is_running)
            waits, matrix, vector = walk.step(cycle)
            for name in WAITS:
                assert peek(ctx, getattr(sequencer, f"waits_{name}")) == (name in waits), (name, cycle)
            pushes = is_result_pushed(program, row, vector)
            assert peek(ctx, sequencer.result_push) == pushes
            if pushes:
                result = sequencer.result
                told = [peek(ctx, getattr(result, name)) for name in ("head", "query_tile", "key_tile", "bank")]
                assert told == [vector.head, vector.query_tile, vector.key_tile, vector.result_number % 2]
                assert peek(ctx, result.is_state) == vector.spills
            walk.pushed += pushes
            await ctx.tick()
            check_corner(ctx, sequencer, program, row, matrix, vector)
            assert peek(ctx, sequencer.corner.vector.is_done) == pushes
            cycle += 1
        assert not peek(ctx, sequencer.is_running)
        self.check_counters(ctx)

    def check_counters(self, ctx):
        sequencer, walk = self.sequencer, self.walk
        assert peek(ctx, sequencer.cycles) == walk.last - walk.first + 1 + self.program.shape.depth_cycles
        assert {name: peek(ctx, getattr(sequencer, f"stalls_{name}")) for name in walk.stalls} == walk.stalls
        assert {name: peek(ctx, getattr(sequencer, f"{name}_busy")) for name in walk.busy} == walk.busy


def test_rows_leave_and_wait_as_the_contract_says():
    random, numpy_random = random_module.Random(draw_seed()), np.random.default_rng(draw_seed())
    shape = square(4, e=4, f=4)
    many_keys, many_queries, both = (
        lowered(shape, e=4, f=4, keys=keys, queries=queries).program for keys, queries in [(80, 4), (4, 80), (24, 80)]
    )
    programs = {"keys": many_keys, "queries": many_queries, "drain": many_queries, "state": in_blocks(both, 2)}
    for slow in WAITS:
        bench = Bench(check_program(programs[slow]), random, dict.fromkeys(WAITS, 1.0) | {slow: 0.02})
        run_bench(bench.sequencer, bench.run)
        assert bench.walk.stalls[slow]
    for _ in range(10 if mode() == "quick" else random_count(200)):
        haste = {name: random.choice([1.0, 0.2, 0.02]) for name in WAITS}
        bench = Bench(check_program(random_lowered(numpy_random, 4).program), random, haste)
        run_bench(bench.sequencer, bench.run)


class ReleaseBench(Bench):
    """Everything is there at once; when places are given back is written down beside the last use of each."""

    async def run(self, ctx):
        sequencer, walk, program = self.sequencer, self.walk, self.program
        self.last, self.released = {}, {"queries": [], **{row: [] for row in range(program.shape.rows)}}
        walk.keys = walk.queries = walk.states = 1 << 20
        ctx.set(sequencer.states_loaded, walk.states)
        ctx.set(sequencer.keys_loaded, walk.keys)
        ctx.set(sequencer.queries_loaded, walk.queries)
        await self.begin(ctx)
        cycle, after = 0, program.shape.depth_cycles + 20
        while after:
            ctx.set(sequencer.results_drained, walk.pushed)
            walk.drained = walk.pushed
            if walk.is_done:
                after -= 1
            else:
                row = program.kernel[walk.row]
                _, matrix, vector = walk.step(cycle)
                walk.pushed += is_result_pushed(program, row, vector)
                self.use(row.matrix, matrix, cycle)
            await ctx.tick()
            cycle += 1
            for name, times in self.released.items():
                times += [cycle] * (self.count_released(ctx, name) - len(times))

    def count_released(self, ctx, name):
        """Count tiles of queries, or those whose keys and values a row has no use for."""
        if name == "queries":
            return peek(ctx, self.sequencer.query_places.released)
        shape, places = self.program.shape, self.sequencer.key_places
        is_early = peek(ctx, places.cycles_left) <= shape.stages * (shape.rows - 1 - name)
        return peek(ctx, places.leaving if peek(ctx, places.is_leaving) and is_early else places.released)

    def use(self, part, tile, cycle):
        """Row i reads its bank L i cycles after the corner, the last column its queries N - 1 after it."""
        shape = self.program.shape
        for row in range(shape.rows):
            if tile and part.op in (MatrixOp.PRODUCT, MatrixOp.COMBINE):
                self.last[row, self.walk.key_ordinal(tile)] = cycle + shape.stages * row
        if tile and part.op == MatrixOp.PRODUCT:
            self.last["queries", tile.query_number] = cycle + shape.columns - 1


def test_places_are_given_back_after_the_last_reader():
    numpy_random = np.random.default_rng(draw_seed())
    for _ in range(random_count(100)):
        program = random_lowered(numpy_random, 4).program
        bench = ReleaseBench(program, random_module.Random(0), {})
        run_bench(bench.sequencer, bench.run)
        tiles = bench.walk.tiles
        ordinals = bench.walk.key_ordinal(tiles[-1]) + 1
        if not program.is_resident or not program.is_skipping:
            assert all(len(bench.released[row]) == ordinals for row in range(program.shape.rows))
        assert len(bench.released["queries"]) == tiles[-1].query_number + 1
        for name, times in bench.released.items():
            assert all(at > bench.last.get((name, ordinal), -1) for ordinal, at in enumerate(times))
