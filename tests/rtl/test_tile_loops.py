"""The loops over tiles and what the sequencer knows of a tile, against the program's own order."""

from itertools import product

import numpy as np
from array_programs import random_lowered
from clocked import apply, peek, run_bench
from random_counts import draw_seed, random_count

from einsum_cascade.rtl.tile_loops import TileLoops
from einsum_cascade.rtl.tile_state import TileStates
from einsum_cascade.sim.values import mask_of


def random_programs():
    random = np.random.default_rng(draw_seed())
    return [random_lowered(random).program for _ in range(random_count(120))]


def test_loops_visit_the_tiles_of_the_program():
    loops = TileLoops()
    names = "key_head", "head", "query_tile", "pass_number", "key_tile", "starts_pass", "starts_query", "ends_query"
    programs = random_programs()

    async def bench(ctx):
        assert peek(ctx, loops.is_done) == 1
        for program in programs:
            apply(ctx, loops.bounds, program.registers)
            ctx.set(loops.restart, 1)
            await ctx.tick()
            ctx.set(loops.restart, 0)
            for tile in program.tiles():
                assert peek(ctx, loops.is_done) == 0
                assert [peek(ctx, getattr(loops, name)) for name in names] == [getattr(tile, name) for name in names]
                is_last_query = tile.query_tile == program.query_tiles - 1
                is_last_member = tile.head % program.group == program.group - 1
                assert peek(ctx, loops.ends_group) == (is_last_query and is_last_member)
                # Without `advance`, nothing moves.
                await ctx.tick()
                ctx.set(loops.advance, 1)
                await ctx.tick()
                ctx.set(loops.advance, 0)
            assert peek(ctx, loops.is_done) == 1

    run_bench(loops, bench)


def test_loops_over_keys_alone_leave_queries_out():
    loops, programs = TileLoops(), random_programs()

    async def bench(ctx):
        ctx.set(loops.is_keys_only, 1)
        for program in programs:
            apply(ctx, loops.bounds, program.registers)
            ctx.set(loops.restart, 1)
            ctx.set(loops.advance, 0)
            await ctx.tick()
            ctx.set(loops.restart, 0)
            ctx.set(loops.advance, 1)
            for expected in product(range(program.key_heads), range(program.key_tiles)):
                assert (peek(ctx, loops.key_head), peek(ctx, loops.key_tile)) == expected
                assert peek(ctx, loops.is_done) == 0
                await ctx.tick()
            assert peek(ctx, loops.is_done) == 1

    run_bench(loops, bench)


def check_state(program, tile, field, slots):
    """`field` returns a field of the state as it is; `slots` are those of the tiles of keys, by ordinal."""
    shape = program.shape
    assert field("context") == tile.number % program.contexts
    assert field("entry") == tile.number % program.queue
    assert (field("query"), field("result")) == (tile.query_number, tile.result_number)
    assert (field("head"), field("query_tile"), field("key_tile")) == (tile.head, tile.query_tile, tile.key_tile)
    for name in ("starts_pass", "captures", "starts_result", "ends_result", "starts_query", "ends_query"):
        assert field(name) == getattr(tile, name), name
    assert field("pass_bit") == 1 << tile.pass_number
    # Keys that stay are counted by head and tile, others by use.
    ordinal = tile.key_head * program.key_tiles + tile.key_tile if program.is_resident else tile.number
    assert field("key") == ordinal
    assert field("slot_beat") == ordinal % slots * program.slot_beats
    # Column j of row i is masked left of low + i, from high + i on, and in rows without a key.
    low, high, rows = field("low"), field("high"), field("rows")
    row, column = np.indices((shape.rows, shape.columns))
    masked = (column < low + row) | (column >= high + row) | (row >= rows)
    assert np.array_equal(masked, mask_of(program, tile))


def check_release(program, tile, releases, count, is_last_of_group):
    ends = tile.ends_query and is_last_of_group
    if not program.is_resident:
        assert (releases, count) == (1, tile.number + 1)
    else:
        assert releases == (is_last_of_group and tile.pass_number == program.passes - 1)
        assert not ends or count == (tile.key_head + 1) * program.key_tiles


def test_states_are_those_of_the_contract():
    for program in random_programs()[: random_count(60)]:
        states = TileStates(program.shape)

        async def bench(ctx, program=program, states=states):
            def field(name):
                return peek(ctx, getattr(states.tile, name))

            registers = {**program.registers, "slot_beats": program.slot_beats}
            apply(ctx, states, registers)
            apply(ctx, states.bounds, registers)
            ctx.set(states.restart, 1)
            await ctx.tick()
            ctx.set(states.restart, 0)
            ctx.set(states.advance, 1)
            for tile in program.tiles():
                assert field("is_valid") == 1
                check_state(program, tile, field, program.slots)
                is_last_member = tile.head % program.group == program.group - 1
                is_last = is_last_member and tile.query_tile == program.query_tiles - 1
                check_release(program, tile, field("releases_keys"), field("keys_released"), is_last)
                await ctx.tick()
            assert field("is_valid") == 0

        run_bench(states, bench)
