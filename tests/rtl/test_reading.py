"""Jobs and reader: every beat to its place, in order, in bursts that memory allows, and no row too soon.

Places of keys and values are free row by row, those of queries all at once. Running state is read back from the visit
on whose results two before have left, and once it has been stored.
"""

import random as random_module
from dataclasses import replace
from itertools import product

import pytest
from amaranth import Module
from amaranth.hdl import Elaboratable
from amaranth.lib.wiring import connect
from clocked import apply, peek, run_bench
from random_counts import draw_seed, random_count
from read_memory import ReadMemory

from einsum_cascade.array.program import STATE_WORDS, Layout, Program
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl.jobs import Destination, KeyJobs, QueryJobs, StateJobs
from einsum_cascade.rtl.links import StateWord, row_beat_bits
from einsum_cascade.rtl.tile_reader import OUTSTANDING, Reader

# Operands of keys and values: from one beat to more than a burst and a page hold.
SHAPES = [
    ArrayShape(4, 4, 3, product_steps=2048, output_steps=1200, slots=3),
    ArrayShape(6, 6, product_steps=64, output_steps=64, slots=4),
    ArrayShape(16, 16, 2, product_steps=700, output_steps=100, slots=2),
]


class Reading(Elaboratable):
    """The jobs and the reader, joined as in the top."""

    def __init__(self, shape):
        self.keys, self.queries, self.states = KeyJobs(shape), QueryJobs(shape), StateJobs(shape)
        self.reader = Reader(shape)

    def elaborate(self, platform):
        m = Module()
        m.submodules += [self.keys, self.queries, self.states, self.reader]
        connect(m, self.keys.jobs, self.reader.key_jobs)
        connect(m, self.queries.jobs, self.reader.query_jobs)
        connect(m, self.states.jobs, self.reader.state_jobs)
        return m


def draw_layout(random, shape, rows, beats):
    stride = shape.beat_bytes * (beats + random.choice([0, 0, 1, 5]))
    return Layout(shape.beat_bytes * random.randrange(1 << 16), stride, stride * (rows + random.randrange(3)))


def draw_state(random, program):
    unit = program.shape.result_bytes
    stride = unit * (program.query_tiles + random.randrange(3))
    rows = program.output_steps + STATE_WORDS
    return Layout(unit * random.randrange(1 << 12), stride, stride * (rows + random.randrange(3)))


def draw_program(random, shape):
    steps = random.choice([1, random.randint(1, 40), random.randint(1, shape.product_steps)])
    outputs = random.choice([1, random.randint(1, 40), random.randint(1, shape.output_steps)])
    steps, outputs = min(steps, shape.product_steps), min(outputs, shape.output_steps)
    keys, queries = random.randint(1, 3 * shape.rows), random.randint(1, 2 * shape.columns)
    none = Layout(0, 0, 0)
    program = Program(
        shape, (), 1, 1, steps, outputs, keys, queries, none, none, none, none,
        key_heads=random.randint(1, 2), group=random.randint(1, 2), is_resident=random.random() < 0.5,
        diagonal_high=random.choice([None, 0, random.randint(-4, 4)]),
    )  # fmt: skip
    in_parts = replace(program, block_tiles=random.randint(1, 2))
    if program.is_resident and all(block.queries for block in in_parts.blocks):
        program = replace(in_parts, state=draw_state(random, program))
    return replace(
        program,
        query=draw_layout(random, shape, queries, program.key_beats),
        key=draw_layout(random, shape, keys, program.key_beats),
        value=draw_layout(random, shape, keys, shape.beats_of(outputs)) if random.random() < 0.8 else None,
    )


def beats_of_rows(layout, head, rows, lines, beats, place, beat_bytes):
    """(line, place, number of the beat in memory) of each beat."""
    for row, line in zip(rows, lines, strict=True):
        start = (layout.address + head * layout.head_stride_bytes + row * layout.stride_bytes) // beat_bytes
        yield from ((line, place + at, start + at) for at in range(beats))


def key_beats_of(program, slots):
    """The beats of each tile of keys and values, by tile."""
    if program.is_resident:
        tiles = list(product(range(program.key_heads), range(program.key_tiles)))
    else:
        tiles = [(tile.key_head, tile.key_tile) for tile in program.tiles()]
    for number, (head, tile) in enumerate(tiles):
        rows = range(tile * program.shape.rows, min(program.keys, (tile + 1) * program.shape.rows))
        place = number % slots * program.slot_beats
        tensors = [(program.key, program.key_beats, place)]
        tensors += [(program.value, program.value_beats, place + program.key_beats)] if program.value else []
        yield [
            beat
            for layout, beats, base in tensors
            for beat in beats_of_rows(layout, head, rows, range(len(rows)), beats, base, program.shape.beat_bytes)
        ]


def query_beats_of(program):
    """The beats of the queries of each visit, in two places in turn."""
    shape = program.shape
    for number, visit in enumerate(program.visits):
        tile = visit.query_tile
        rows = range(tile * shape.columns, min(program.queries, (tile + 1) * shape.columns))
        place = number % 2 * shape.key_beats
        yield list(
            beats_of_rows(program.query, visit.head, rows, range(len(rows)), program.key_beats, place, shape.beat_bytes)
        )


def state_beats_of(program):
    """The beats of each visit that goes on: accumulators, sums, maxima, in two places in turn."""
    shape, kinds = program.shape, [*program.output_steps * [StateWord.ACCUMULATOR], StateWord.SUM, StateWord.MAXIMUM]
    for number, visit in enumerate(program.visits if program.has_state else ()):
        if not visit.is_resumed:
            continue
        columns = min(shape.columns, program.queries - visit.query_tile * shape.columns)
        layout = replace(program.state, address=program.state.address + visit.query_tile * shape.result_bytes)
        yield [
            beat
            for word, kind in enumerate(kinds)
            for beat in beats_of_rows(
                layout, visit.head, [word], [number % 2 | kind << 1], -(-columns // shape.beat_words),
                word << row_beat_bits(shape), shape.beat_bytes,
            )
        ]  # fmt: skip


class Bench:
    """Runs the reader; each tile is released a while after it has arrived, the rows of its keys one after another."""

    def __init__(self, program, random, share, spoilt=None):
        self.program, self.random, self.design = program, random, Reading(program.shape)
        self.slots = random.randint(2, 3)
        self.memory = ReadMemory(random, program.shape.beat_bytes, share, spoilt or {})
        self.arrived, self.loaded = ({target: [] for target in Destination} for _ in range(2))
        self.errors, self.protocol_errors = 0, 0
        self.expected = {
            Destination.KEYS: list(key_beats_of(program, self.slots)),
            Destination.QUERIES: list(query_beats_of(program)),
            Destination.STATE: list(state_beats_of(program)),
        }
        self.drained = self.stored = self.taken = 0
        # Cycles before the first row is free in which it is known when the last one will be.
        self.seen_before = random.choice([0, 7])

    def set_up(self, ctx):
        keys, queries, states, program = self.design.keys, self.design.queries, self.design.states, self.program
        registers = {**program.registers, "slots": self.slots, "slot_beats": program.slot_beats}
        for part in (keys, queries, states):
            apply(ctx, part, registers)
            apply(ctx, part.bounds, registers)
        ports = (keys.key, program.key), (keys.value, program.value), (queries.query, program.query)
        for port, layout in (*ports, (states.state, program.state)):
            if layout is not None:
                strides = {"stride": layout.stride_bytes, "head_stride": layout.head_stride_bytes}
                apply(ctx, port, {"address": layout.address, **strides})

    def watch(self, ctx, cycle):
        reader, keys = self.design.reader, self.design.keys.jobs
        if peek(ctx, keys.valid) and peek(ctx, keys.ready):
            self.taken += peek(ctx, keys.payload.beats)
            assert self.taken <= self.beats_with_place(cycle)
        assert len(self.memory.queue) <= OUTSTANDING
        self.errors += peek(ctx, reader.has_error)
        self.protocol_errors += peek(ctx, reader.has_protocol_error)
        if peek(ctx, reader.fill_write):
            fill = reader.fill
            beat = tuple(peek(ctx, getattr(fill, name)) for name in ("line", "place", "data"))
            self.arrived[peek(ctx, fill.target)].append(beat)

    def check_loaded(self, ctx, target, cycle):
        """A tile counts as loaded when all of it has arrived, no sooner; return how many are loaded."""
        reader = self.design.reader
        counts = {Destination.KEYS: reader.keys_loaded, Destination.QUERIES: reader.queries_loaded}
        count = peek(ctx, counts.get(target, reader.states_loaded))
        whole = sum(len(tile) for tile in self.expected[target][:count])
        following = len(self.expected[target][count]) if count < len(self.expected[target]) else 1
        assert whole <= len(self.arrived[target]) < whole + following
        while len(self.loaded[target]) < count:
            before = self.loaded[target][-1] if self.loaded[target] else 0
            self.loaded[target].append(max(before, cycle + self.random.randrange(60)) + 1)
        return count

    def release_queries(self, ctx, cycle, count):
        """Tiles are released in order, each a while after it was loaded; none overwrites one that is not."""
        released = sum(begins <= cycle for begins in self.loaded[Destination.QUERIES][:count])
        in_places = sum(map(len, self.expected[Destination.QUERIES][: released + 2]))
        assert len(self.arrived[Destination.QUERIES]) <= in_places
        ctx.set(self.design.queries.released, released)

    def release_keys(self, ctx, cycle, count):
        """Row r of a tile is free some cycles after row 0; no row comes before it is."""
        shape, keys, begins = self.program.shape, self.design.keys, self.loaded[Destination.KEYS][:count]
        ends = [begin + shape.stages * (shape.rows - 1) for begin in begins]
        released = sum(end < cycle for end in ends)
        places = {"released": released, "is_leaving": 0}
        if released < count and begins[released] <= cycle + self.seen_before:
            places |= {"is_leaving": 1, "leaving": released + 1, "cycles_left": ends[released] - cycle}
        ctx.set(keys.places, places)

    def beats_with_place(self, cycle):
        """How many beats of keys and values have a place, up to the first that has none."""
        shape, begins, found = self.program.shape, self.loaded[Destination.KEYS], 0
        for number, beats in enumerate(self.expected[Destination.KEYS]):
            before = number - self.slots
            if before >= len(begins):
                return found
            for line, _, _ in beats:
                if before >= 0 and begins[before] + shape.stages * line >= cycle:
                    return found
                found += 1
        return found

    def go_on(self, ctx, cycle):
        """Results leave, and running state is stored, now or later; no state comes before both."""
        loaded = self.check_loaded(ctx, Destination.STATE, cycle)
        resumed = [number for number, visit in enumerate(self.program.visits) if visit.is_resumed]
        allowed = sum(number - 2 < self.drained for number in resumed)
        whole = sum(len(tile) for tile in self.expected[Destination.STATE][: min(allowed, self.stored)])
        assert len(self.arrived[Destination.STATE]) <= whole
        # A visit whose state is not there has no results yet.
        most = resumed[loaded] if loaded < len(resumed) else len(self.program.visits)
        self.drained += self.drained < most and self.random.random() < 0.05
        self.stored += self.stored < len(resumed) and self.random.random() < 0.02
        ctx.set(self.design.states.drained, self.drained)
        ctx.set(self.design.states.stored, self.stored)

    async def run(self, ctx):
        self.set_up(ctx)
        parts = (self.design.keys, self.design.queries, self.design.states, self.design.reader)
        for is_starting in (1, 0):
            for part in parts:
                ctx.set(part.start, is_starting)
            if is_starting:
                await ctx.tick()
        wanted = {target: sum(map(len, tiles)) for target, tiles in self.expected.items()}
        for cycle in range(200_000):
            self.memory.before_edge(ctx, self.design.reader.memory)
            self.watch(ctx, cycle)
            await ctx.tick()
            if self.memory.spoilt:
                if self.errors + self.protocol_errors:
                    return
                continue
            self.release_queries(ctx, cycle, self.check_loaded(ctx, Destination.QUERIES, cycle))
            self.release_keys(ctx, cycle, self.check_loaded(ctx, Destination.KEYS, cycle))
            self.go_on(ctx, cycle)
            if all(len(self.arrived[target]) == wanted[target] for target in Destination):
                return
        raise AssertionError("not everything has arrived")


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.rows}-{shape.product_steps}")
@pytest.mark.parametrize("share", [1.0, 0.3])
def test_every_beat_gets_to_its_place(shape, share):
    random = random_module.Random(draw_seed() + shape.rows)
    # Long rows take as much longer.
    for _ in range(random_count(60 if shape.product_steps < 1000 else 20)):
        bench = Bench(draw_program(random, shape), random, share)
        run_bench(bench.design, bench.run)
        for target in Destination:
            assert bench.arrived[target] == [beat for tile in bench.expected[target] for beat in tile]
        assert (bench.errors, bench.protocol_errors) == (0, 0)


def test_long_rows_at_odd_places_make_bursts_up_to_a_page():
    # 1024 beats of 8 bytes from 8 before a page on: 1, 256 (its 2048 bytes end in the page), 256, and so on.
    random = random_module.Random(1)
    layout = Layout(0x1FF8, 8 * 1024, 8 * 1024)
    program = replace(draw_program(random, replace(SHAPES[0], product_steps=4096)), product_steps=4096)
    program = replace(
        program, keys=1, queries=1, key_heads=1, group=1, query=layout, key=layout, value=None, block_tiles=None
    )
    bench = Bench(program, random, 1.0)
    run_bench(bench.design, bench.run)
    first, rest = bench.memory.bursts[0], bench.memory.bursts[1:]
    assert first == (0x1FF8, 1)
    assert (0x2000, 256) in rest
    assert (0x2800, 256) in rest
    assert sum(length for _, length in bench.memory.bursts) == 2 * 1024


@pytest.mark.parametrize(("fault", "errors", "protocol_errors"), [("error", 1, 0), ("early", 0, 1), ("late", 0, 1)])
def test_errors_of_memory_are_told(fault, errors, protocol_errors):
    random = random_module.Random(draw_seed())
    program = replace(draw_program(random, SHAPES[1]), product_steps=40, keys=6, queries=6, block_tiles=None)
    bench = Bench(program, random, 0.5, {2: fault})
    run_bench(bench.design, bench.run)
    assert (bench.errors, bench.protocol_errors) == (errors, protocol_errors)
