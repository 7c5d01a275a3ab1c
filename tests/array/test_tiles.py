"""The tiles of a program against an enumeration of its scores."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
from array_programs import in_blocks, lowered, random_lowered, square
from random_counts import random_count

from einsum_cascade.array.program_rules import check_program
from einsum_cascade.array.registers import Flag
from einsum_cascade.recognition.head_masks import Band


def test_causal_tiles_by_hand() -> None:
    """4 x 4, 12 keys and queries, m <= p: 1, 2 and 3 tiles. A window of 4 needs the tile before, and no older one."""
    causal = lowered(square(4), keys=12, queries=12, band=Band(high=0)).program
    assert [(tile.query_tile, tile.key_tile) for tile in causal.tiles()] == [
        (0, 0),
        (1, 0),
        (1, 1),
        (2, 0),
        (2, 1),
        (2, 2),
    ]
    window = lowered(square(4), keys=12, queries=12, band=Band(-3, 0)).program
    assert [(tile.query_tile, tile.key_tile) for tile in window.tiles()] == [(0, 0), (1, 0), (1, 1), (2, 1), (2, 2)]
    assert (window.first_tile, window.end_tile) == (-1, 1)
    assert window.flags == Flag.DIVIDE | Flag.RESIDENT | Flag.MASK_HIGH | Flag.MASK_LOW | Flag.SKIP


def test_blocks_by_hand() -> None:
    """4 x 4, 5 key tiles in blocks of 2, 2 and 1, 2 query tiles: both visit a block, then the next.

    State is written after all visits but those of the last block, and read before all but those of the first. Query
    tile 1 of a causal mask of 12 has tiles 0 and 1, so it ends in block 0; query tile 2 goes on with tile 2.
    """
    plain = check_program(in_blocks(lowered(square(4, e=16, f=8), e=16, f=8, keys=20, queries=8).program, 2))
    found = [(tile.query_tile, tile.key_tile, tile.restores, tile.spills) for tile in plain.tiles()]
    first = [(query, key, False, True) for query in (0, 1) for key in (0, 1)]
    second = [(query, key, True, True) for query in (0, 1) for key in (2, 3)]
    assert found == [*first, *second, (0, 4, True, False), (1, 4, True, False)]
    assert [tile.query_number for tile in plain.tiles()] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 5]
    band = Band(high=0)
    causal = in_blocks(lowered(square(4, e=16, f=8), e=16, f=8, keys=12, queries=12, band=band).program, 2)
    assert [(tile.query_tile, tile.key_tile, tile.restores, tile.spills) for tile in causal.tiles()] == [
        (0, 0, False, False),
        (1, 0, False, False),
        (1, 1, False, False),
        (2, 0, False, True),
        (2, 1, False, True),
        (2, 2, True, False),
    ]


def test_products_over_blocks_leave_no_state() -> None:
    program = in_blocks(lowered(square(4, e=8), "product", e=8, keys=24, queries=12).program, 2)
    assert (program.has_blocks, program.has_state) == (True, False)
    assert not any(tile.restores or tile.spills for tile in check_program(program).tiles())


def test_visits_are_those_of_an_enumeration(seed: int) -> None:
    """A query tile is in a block if it has one of its key tiles; visits and those that go on are found by number."""
    random = np.random.default_rng([seed, 441])
    for _ in range(random_count(1000)):
        program = random_lowered(random, 3).program
        program = replace(program, keys=int(random.integers(1, 30)), queries=int(random.integers(1, 30)))
        program = replace(program, block_tiles=int(random.integers(1, 6)))
        expected = [
            (key_head, key_head * program.group + member, query, own)
            for key_head in range(program.key_heads)
            for block in program.blocks
            for member in range(program.group)
            for query in range(program.query_tiles)
            if (own := [key for key in program.key_range(query) if key in block.keys])
        ]
        visits = program.visits
        assert [(each.key_head, each.head, each.query_tile, [*each.keys]) for each in visits] == expected
        resumed = [number for number, each in enumerate(visits) if each.is_resumed]
        assert [visits.resumed(ordinal) for ordinal in range(visits.resumed_count)] == resumed
        for one, two in pairwise(visits):
            is_next = (two.key_head, two.block) != (one.key_head, one.block)
            assert one.ends_block == is_next
        # What is left behind is taken up again, in the same order.
        left = [(each.head, each.query_tile, each.keys.stop) for each in visits if each.is_continued]
        assert left == [(each.head, each.query_tile, each.keys.start) for each in visits if each.is_resumed]


def test_every_kept_score_is_in_one_tile_and_skipped_tiles_have_none(seed: int) -> None:
    random = np.random.default_rng([seed, 440])
    for _ in range(random_count(2000)):
        program = random_lowered(random, 3).program
        program = replace(program, keys=int(random.integers(1, 20)), queries=int(random.integers(1, 20)))
        rows, columns = program.shape.rows, program.shape.columns
        m, p = np.ogrid[: program.keys, : program.queries]
        kept = np.ones((program.keys, program.queries), bool)
        if program.diagonal_high is not None:
            kept &= m <= p + program.diagonal_high
        if program.diagonal_low is not None:
            kept &= m >= p + program.diagonal_low
        tiles = [*program.tiles()]
        heads = program.key_heads * program.group
        covered = np.zeros((heads, program.passes, program.keys, program.queries), int)
        for tile in tiles:
            at = slice(tile.key_tile * rows, (tile.key_tile + 1) * rows)
            covered[tile.head, tile.pass_number, at, tile.query_tile * columns : (tile.query_tile + 1) * columns] += 1
            assert tile.key_head == tile.head // program.group
        assert covered.max() == 1
        assert (covered[:, :, kept] == 1).all()
        _assert_no_tile_in_vain(program, kept, tiles)


def _assert_no_tile_in_vain(program, kept, tiles) -> None:
    """A tile without a kept score is there only where its query tile has no other, or there is no skipping."""
    by_query: dict[int, list] = {}
    for number, tile in enumerate(tiles):
        assert tile.number == number
        by_query.setdefault(tile.query_number, []).append(tile)
    assert [*by_query] == list(range(len(program.visits)))
    if not program.has_blocks:
        assert len(program.visits) == program.query_tiles * program.key_heads * program.group
    results = 0
    for own in by_query.values():
        for at, tile in enumerate(own):
            first, last = at == 0, at == len(own) - 1
            assert (tile.starts_query, tile.ends_query, tile.result_number) == (first, last, results)
            pass_number, place = divmod(at, len(own) // program.passes)
            assert (tile.pass_number, tile.starts_pass) == (pass_number, place == 0)
            assert tile.ends_result or not last
            in_last = pass_number == program.passes - 1
            assert tile.starts_result == (in_last and (place == 0 or program.has_tile_results))
            captures = program.passes - 2 if program.has_tile_results and program.passes > 1 else program.passes - 1
            assert tile.captures == (pass_number == captures and place == len(own) // program.passes - 1)
            results += tile.ends_result
            some = kept[tile.key_tile * program.shape.rows :][: program.shape.rows]
            some = some[:, tile.query_tile * program.shape.columns :][:, : program.shape.columns]
            # Ragged queries: a tile that only padding needs is not skipped.
            is_ragged = (tile.query_tile + 1) * program.shape.columns > program.queries
            assert some.any() or not program.is_skipping or len(own) == program.passes or is_ragged
