"""The tiles of a program against an enumeration of its scores."""

from dataclasses import replace

import numpy as np
from array_programs import lowered, random_lowered, square
from random_counts import random_count

from einsum_cascade.program.masks import Band
from einsum_cascade.program.registers import Flag


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
