"""The whole array, compiled with Verilator, computes attention tile by tile."""

import ml_dtypes
import numpy as np
import pytest
from played_array import Player, attention_tile, columns_of, compile_array
from random_counts import draw_seed, mode

from einsum_cascade.array.numbers import Numbers, factors_of
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.formats import parse_format
from einsum_cascade.rtl.array import CORNER_LATENCY, DRAIN_LATENCY, constants_of
from einsum_cascade.rtl.floats import single_bits

SIZE, PRODUCTS, OUTPUTS, TILES = 4, 6, 5, 3
TYPES = {"bf16": ml_dtypes.bfloat16, "fp16": np.float16, "fp8_e4m3": ml_dtypes.float8_e4m3fn, "fp32": np.float32}
# Of a weighted mean of values near 1: errors of exponential and of rounding to the score format.
DESIGNS = [
    ("bf16", "bf16", "narrow", 1, 8e-3),
    ("bf16", "bf16", "mixed", 4, 6e-3),
    ("fp8_e4m3", "bf16", "narrow", 3, 8e-3),
    ("fp32", "fp32", "wide", 2, 1e-5),
]


def attention(queries, keys, values, offset):
    """Softmax over the keys m <= p + offset, in float64."""
    scores = keys @ queries.T
    rows, columns = np.indices(scores.shape)
    weights = np.exp(np.where(rows <= columns + offset, scores, -np.inf))
    return (values.T @ weights) / weights.sum(0)


@pytest.mark.parametrize(
    ("operand", "score", "multiplier", "stages", "bound"), DESIGNS if mode() != "quick" else DESIGNS[1:3]
)
def test_attention(operand, score, multiplier, stages, bound):
    # Three key tiles, the last one of 3 rows, causal with an offset, then the same query tile again in the other bank.
    numbers = Numbers(parse_format(operand), parse_format(score), multiplier)
    shape = ArrayShape(
        SIZE, SIZE, stages, contexts=3, queue=2, numbers=numbers, dividers=2,
        product_steps=8, output_steps=OUTPUTS, slots=TILES,
    )  # fmt: skip
    random, offset, keys_count = np.random.default_rng(draw_seed()), 5, TILES * SIZE - 1
    kind = TYPES[operand]
    queries, keys = (random.normal(size=(n, PRODUCTS)).astype(kind) for n in (SIZE, TILES * SIZE))
    values = random.uniform(0.5, 1.5, (TILES * SIZE, OUTPUTS)).astype(kind)
    factors = {name: single_bits(value) for name, value in factors_of(1.0, numbers.operand_bits).items()}
    constants = {name: value for name, value in factors.items() if name in constants_of(shape)}
    player, bits = Player(shape, constants=constants), f"u{numbers.operand.width_bits // 8}"
    cycle = player.fill("query", "column", 0, queries.view(bits), shape.key_beats)
    cycle = 0
    tile_beats = shape.key_beats + shape.value_beats
    for tile in range(TILES):
        of_tile = slice(tile * SIZE, (tile + 1) * SIZE)
        cycle = player.fill("bank", "row", cycle, keys[of_tile].view(bits), tile * tile_beats)
        cycle = player.fill("bank", "row", cycle, values[of_tile].view(bits), tile * tile_beats + shape.key_beats)
    last_of_all = []
    for number in range(2 * TILES):
        parity, tile = divmod(number, TILES)
        # Column p has keys m <= p + offset: row i of this tile the columns p >= i + SIZE * tile - offset.
        row = {"context": number % 3, "low": SIZE * tile - offset, "high": SIZE}
        row = {**row, "low": max(-SIZE, min(SIZE, row["low"])), "rows": min(SIZE, keys_count - SIZE * tile)}
        flags = {"is_first": int(tile == 0), "captures": int(tile == TILES - 1), "queue": number % 2}
        flags |= {"parity": parity, "sum_parity": parity}
        last = attention_tile(player, cycle, (PRODUCTS, OUTPUTS), (tile * tile_beats, shape.key_beats), row, flags)
        cycle = last + stages
        last_of_all += [last] if tile == TILES - 1 else []
    # results_done: executed at the corner, then L rows to the lanes, columns - 1 along them, L until it is written.
    done = [last + CORNER_LATENCY + stages * SIZE + SIZE - 1 + stages for last in last_of_all]
    drained = {}
    for parity, start in ((0, done[0]), (1, done[1])):
        for place, (word, group) in enumerate(np.ndindex(OUTPUTS, SIZE // 2)):
            player.put(start + place, drain_address=parity | word << 1, drain_parity=parity, drain_group=group)
            drained[parity, word, group] = start + place + DRAIN_LATENCY
    out = player.run(compile_array(shape), max(drained.values()) + 1)
    assert np.flatnonzero(out["results_done_0"]).tolist() == done
    results = np.zeros((2, OUTPUTS, SIZE))
    for (parity, word, group), at in drained.items():
        words, sums = (columns_of([int(out[f"drain_{what}_0"][at])], 2) for what in ("words", "sums"))
        singles = np.array([words, sums], np.uint32).view(np.float32).astype(np.float64)
        results[parity, word, 2 * group : 2 * group + 2] = singles[0] / singles[1]
    exact = [array.astype(np.float64) for array in (queries, keys[:keys_count], values[:keys_count])]
    expected = attention(*exact, offset)
    assert np.max(np.abs(results - expected)) <= bound
    assert np.array_equal(results[0], results[1])


REFUSED = [
    ({"rows": 1}, r"^rows of an array must be from 2 to 512, not 1$"),
    ({"stages": 9}, r"^stages of an array must be from 1 to 8, not 9$"),
    ({"dividers": 8}, r"^dividers of an array must be from 1 to 4, not 8$"),
    ({"dividers": 3}, r"^dividers of an array must divide its 4 columns and the 2 results of a beat, not be 3$"),
    (
        {"numbers": Numbers(parse_format("e8m10"))},
        r"^operands of an array must be bf16, fp16, fp8_e4m3, fp8_e5m2 or fp32, not Format\(.*\)$",
    ),
    (
        {"numbers": Numbers(score=parse_format("float8_e4m3fnuz"))},
        r"^the score format must have the bias and the infinities of IEEE 754, or be fp8_e4m3, not Format\(.*\)$",
    ),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_shapes_that_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        ArrayShape(**{"rows": 4, "columns": 4, **change})
