"""The drain: results where the program says, nothing where it does not, at full rate, whatever memory does."""

import random as random_module
import struct
from dataclasses import replace
from itertools import accumulate

import numpy as np
import pytest
from amaranth import Value
from clocked import apply, peek, run_bench
from random_counts import draw_seed
from written_memory import WrittenMemory

from einsum_cascade.array.memory import operand_bits, rounded
from einsum_cascade.array.numbers import Numbers
from einsum_cascade.array.program import STATE_WORDS, Layout, Program
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.formats import parse_format
from einsum_cascade.rtl.array import DRAIN_LATENCY
from einsum_cascade.rtl.drain import Drain
from einsum_cascade.rtl.links import StateWord


def single(value: float) -> int:
    return struct.unpack("<I", struct.pack("<f", value))[0]


class Bench:
    """A program's results, in order, drained into memory; word f of a column is a number that tells it from others."""

    def __init__(self, program, share, failing=None):
        self.program, self.drain = program, Drain(program.shape)
        self.random = random_module.Random(draw_seed())
        self.memory = WrittenMemory(self.random, program.shape.beat_bytes, share, failing)
        self.tiles = [tile for tile in program.tiles() if tile.ends_result]
        self.asked = [(0, 0, 0)] * DRAIN_LATENCY
        self.cycles, self.errors = 0, 0

    def value(self, tile, word, column):
        return float(1 + word + 64 * column + 1024 * tile.result_number)

    def total(self, column):
        # A power of two, so that quotients are exact; column 1 has no key.
        return 0.0 if column == 1 else 0.5

    def maximum(self, tile, column):
        return float(-1 - column - 64 * tile.result_number)

    def feed(self, ctx, drained):
        """What the array shows: the word of the address of `DRAIN_LATENCY` cycles ago."""
        now = tuple(peek(ctx, getattr(self.drain, name)) for name in ("address", "kind", "group"))
        (address, kind, group), *self.asked = *self.asked, now
        tile = self.tiles[min(drained, len(self.tiles) - 1)]
        # The bank of the address tells which of the two tiles in flight it is.
        if tile.result_number % 2 != address & 1:
            tile = self.tiles[tile.result_number - 1]
        columns = [group * self.program.shape.dividers + at for at in range(self.program.shape.dividers)]
        shown = {
            StateWord.ACCUMULATOR: lambda column: self.value(tile, address >> 1, column),
            StateWord.SUM: self.total,
            StateWord.MAXIMUM: lambda column: self.maximum(tile, column),
        }
        words = [single(shown[kind](column)) for column in columns]
        for port, values in ((self.drain.words, words), (self.drain.sums, [single(self.total(c)) for c in columns])):
            ctx.set(Value.cast(port), sum(bits << 32 * at for at, bits in enumerate(values)))

    async def run(self, ctx):
        drain, program = self.drain, self.program
        apply(ctx, drain, program.registers)
        for port, layout in ((drain.output, program.output), (drain.state, program.state)):
            if layout is not None:
                strides = {"stride": layout.stride_bytes, "head_stride": layout.head_stride_bytes}
                apply(ctx, port, {"address": layout.address, **strides})
        waiting, taken = list(self.tiles), False
        ends = accumulate(self.bursts(tile) for tile in self.tiles)
        spilt = [end for end, tile in zip(ends, self.tiles, strict=True) if tile.spills]
        for cycle in range(100_000):
            # A tile is told a cycle after it is there at the earliest.
            ctx.set(drain.has_result, bool(waiting) and cycle > 0)
            if waiting:
                tile = waiting[0]
                for name, value in (("head", tile.head), ("query_tile", tile.query_tile), ("key_tile", tile.key_tile)):
                    ctx.set(getattr(drain.result, name), value)
                ctx.set(drain.result.bank, tile.result_number % 2)
                ctx.set(drain.result.is_state, tile.spills)
            self.feed(ctx, peek(ctx, drain.results_drained))
            # Running state is stored once all bursts up to its last one have been acknowledged, and no sooner.
            assert peek(ctx, drain.states_stored) == sum(bursts <= self.memory.bursts for bursts in spilt)
            self.memory.before_edge(ctx, drain.memory)
            self.errors += peek(ctx, drain.has_error)
            taken = bool(waiting) and cycle > 0 and peek(ctx, drain.takes_result)
            if not waiting and peek(ctx, drain.is_idle):
                return
            if peek(ctx, drain.results_drained) < len(self.tiles):
                self.cycles += cycle > 0
            await ctx.tick()
            if taken:
                waiting.pop(0)
        raise AssertionError("the drain does not end")

    def rows(self, tile):
        program, rows = self.program, self.program.shape.rows
        if program.has_tile_results:
            return min(rows, program.keys - tile.key_tile * rows)
        return program.output_steps + (STATE_WORDS if tile.spills or program.has_statistics else 0)

    def bursts(self, tile):
        """A row of words, or a beat of a column's operands."""
        program, shape = self.program, self.program.shape
        if not program.has_operand_rows or tile.spills:
            return self.rows(tile)
        first = program.first_operand(tile.key_tile)
        beats = {(first + word) // shape.beat_operands for word in range(self.rows(tile))}
        return len(beats) * min(shape.columns, program.queries - tile.query_tile * shape.columns)

    def state(self, tile, word, column):
        if word < self.program.output_steps:
            return self.value(tile, word, column)
        return self.total(column) if word == self.program.output_steps else self.maximum(tile, column)

    def expected(self):
        program, shape, found = self.program, self.program.shape, {}
        for tile in self.tiles:
            first = tile.key_tile * shape.rows if program.has_tile_results else 0
            layout = program.state if tile.spills else program.output
            for word in range(self.rows(tile)):
                row = layout.address + tile.head * layout.head_stride_bytes
                row += (first + word) * layout.stride_bytes + tile.query_tile * shape.result_bytes
                for column in range(min(shape.columns, program.queries - tile.query_tile * shape.columns)):
                    value = self.state(tile, word, column)
                    if program.is_divided and not tile.spills and word < program.output_steps:
                        value = value / self.total(column) if self.total(column) else 0.0
                    at = row + 4 * column
                    if program.has_operand_rows and not tile.spills:
                        query = tile.query_tile * shape.columns + column
                        at = layout.address + tile.head * layout.head_stride_bytes + query * layout.stride_bytes
                        at += (first + word) * shape.operand_bytes
                        value = rounded(np.array([value]), shape.numbers.operand, saturates=program.saturates)
                        own = operand_bits(value, shape.numbers.operand).tobytes()
                    else:
                        own = struct.pack("<f", value)
                    found |= dict(enumerate(own, at))
        return found


def program_of(
    size=4,
    dividers=1,
    queries=11,
    *,
    outputs=5,
    tile_results=False,
    divided=True,
    block_tiles=None,
    operand="bf16",
    **own,
):
    shape = ArrayShape(
        size, size, dividers=dividers, output_steps=16, numbers=Numbers(parse_format(operand), multiplier="wide")
    )
    stride = shape.result_bytes * -(-queries // size)
    output = Layout(0x1000, stride, 16 * stride)
    none = Layout(0, 0, 0)
    return Program(
        shape, (), 1, 1, 4, size if tile_results else outputs, 2 * size - 1, queries, none, none, output, none,
        key_heads=2, has_tile_results=tile_results, is_divided=divided, block_tiles=block_tiles,
        state=replace(output, address=0x9000), **own,
    )  # fmt: skip


PROGRAMS = [
    program_of(),
    program_of(dividers=2),
    program_of(8, 2, 17),
    program_of(8, 4, 9, divided=False),
    program_of(3, 1, 7),
    program_of(tile_results=True, divided=False),
    program_of(block_tiles=1),
    program_of(8, 4, 9, block_tiles=1),
    program_of(has_statistics=True),
    program_of(8, 2, 17, block_tiles=1, has_statistics=True),
    program_of(has_operand_rows=True),
    program_of(8, 2, 17, outputs=13, block_tiles=1, has_operand_rows=True),
    program_of(3, 1, 7, outputs=9, has_operand_rows=True, operand="fp32"),
    program_of(8, 4, 9, tile_results=True, divided=False, has_operand_rows=True, operand="fp16"),
    program_of(8, 4, 9, outputs=9, has_operand_rows=True),
    program_of(8, 2, 17, outputs=1, block_tiles=1, has_operand_rows=True),
    program_of(6, 2, 11, tile_results=True, divided=False, has_operand_rows=True),
    program_of(3, 1, 7, tile_results=True, divided=False, has_operand_rows=True),
    program_of(8, 2, 17, outputs=16, has_operand_rows=True, operand="fp8_e4m3"),
    program_of(8, 4, 17, outputs=7, has_operand_rows=True, operand="fp8_e4m3", saturates=True),
]


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
@pytest.mark.parametrize("share", [1.0, 0.1])
def test_results_are_written_where_the_program_says(program, share):
    bench = Bench(program, share)
    run_bench(bench.drain, bench.run)
    assert bench.memory.bytes == bench.expected()
    assert bench.errors == 0


def test_a_group_a_cycle_and_one_cycle_between_results():
    # Six tiles of results (two heads, three query tiles) of 5 words of 4 columns, one at a time.
    bench = Bench(program_of(outputs=5), 1.0)
    run_bench(bench.drain, bench.run)
    assert bench.cycles == 6 * (5 * 4 + 1)


def test_a_beat_of_operands_takes_its_words_and_its_columns():
    # Six tiles (two heads, three query tiles of 8, the last of 1 column) of 13 words, bf16: beats of 8 words, then 5,
    # by 2 columns; four groups of columns, or one. Between the tiles, one cycle and those of the last beats, 2.
    bench = Bench(program_of(8, 2, 17, outputs=13, has_operand_rows=True), 1.0)
    run_bench(bench.drain, bench.run)
    assert bench.cycles == 2 * (4 + 4 + 1) * 13 + 6 * (1 + 2) - 2


def test_columns_without_a_key_are_counted():
    # Column 1 of every query tile of 4, of queries 0..10: 1, 5 and 9; 5 words, two heads.
    bench = Bench(program_of(), 1.0)
    counted = []

    async def run(ctx):
        await bench.run(ctx)
        counted.append(peek(ctx, bench.drain.empty_columns))

    run_bench(bench.drain, run)
    assert counted == [3 * 5 * 2]


def test_an_error_of_memory_is_told_once():
    bench = Bench(program_of(), 0.5, failing=7)
    run_bench(bench.drain, bench.run)
    assert bench.errors == 1
