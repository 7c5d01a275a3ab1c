"""The loops over tiles and what the sequencer knows of a tile, against the program's own order."""

from itertools import product

import numpy as np
from array_programs import random_lowered
from clocked import apply, peek, run_bench
from random_counts import draw_seed, random_count

from einsum_cascade.rtl.tile_loops import TileLoops
from einsum_cascade.rtl.tile_state import TileStates
from einsum_cascade.sim.program_values import mask_of


def random_programs():
    random = np.random.default_rng(draw_seed())
    return [random_lowered(random).program for _ in range(random_count(120))]


def test_loops_visit_the_tiles_of_the_program():
    loops = TileLoops()
    names = (
        "key_head", "head", "query_tile", "pass_number", "key_tile",
        "starts_pass", "starts_query", "ends_query", "restores", "spills",
    )  # fmt: skip
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
                visit = program.visits[tile.query_number]
                assert peek(ctx, loops.ends_block) == visit.ends_block
                block = peek(ctx, loops.block_first), peek(ctx, loops.block_count)
                assert block == (visit.block.start, len(visit.block))
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
    flags = (
        "starts_pass",
        "captures",
        "starts_result",
        "ends_result",
        "starts_query",
        "ends_query",
        "restores",
        "spills",
    )
    for name in flags:
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


def check_release(program, tile, releases, count):
    visit = program.visits[tile.query_number]
    if not program.is_resident:
        assert (releases, count) == (1, tile.number + 1)
    else:
        assert releases == (visit.ends_block and tile.pass_number == program.passes - 1)
        freed = visit.block.stop if tile.ends_query else tile.key_tile + 1
        assert not releases or count == tile.key_head * program.key_tiles + freed


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
            resumed = 0
            for tile in program.tiles():
                assert field("is_valid") == 1
                check_state(program, tile, field, program.slots)
                check_release(program, tile, field("releases_keys"), field("keys_released"))
                assert field("state") == resumed
                resumed += tile.restores and tile.ends_query
                await ctx.tick()
            assert field("is_valid") == 0

        run_bench(states, bench)
