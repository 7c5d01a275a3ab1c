# amaranth: UnusedElaboratable=no
"""The multiply-add against gmpy2 and SoftFloat: directed cases, random ones, all pairs of 8-bit operands.

A unit that can round to a narrower format is told to by half of the cases at random, one beside the other in its
pipeline, or by all of those that are about it.
"""

import itertools

import ml_dtypes
import numpy as np
import pytest
import softfloatpy
from arithmetic_bench import MULTIPLY_ADDS, run
from random_counts import draw_seed, random_count
from single_oracle import fused, interesting_bits, random_bits, rounding_bits

from einsum_cascade.formats import parse_format

_CANCELLING = np.uint64(1 << 31)
_SINGLE = parse_format("fp32")
_NARROW = [name for name, (*_, narrow) in MULTIPLY_ADDS.items() if narrow is not None]


def upper(values: np.ndarray, bits: int) -> np.ndarray:
    return values & np.uint64((1 << 32) - (1 << (24 - bits)))


def some(count: int) -> np.ndarray:
    return np.random.default_rng([draw_seed(), 1]).integers(0, 2, count)


def check_product(name: str, a: np.ndarray, b: np.ndarray, c: np.ndarray, is_narrow: np.ndarray | None = None) -> None:
    is_narrow = some(len(c)) if is_narrow is None else is_narrow
    found = run(a=a, b=b, c=c, is_narrow=is_narrow)[name]
    operand, score, *_ = MULTIPLY_ADDS[name]
    check(name, (upper(a, operand), upper(b, score), c), is_narrow, found)


def check_sum(name: str, d: np.ndarray, c: np.ndarray, is_narrow: np.ndarray | None = None) -> None:
    is_narrow = some(len(c)) if is_narrow is None else is_narrow
    # Whatever the multiplier and its operands are.
    a, b = np.random.default_rng([draw_seed(), 2]).integers(0, 1 << 32, (2, len(c)))
    found = run(a=a, b=b, c=c, d=d, is_sum=1, is_narrow=is_narrow)[name]
    check(name, (d, np.full_like(d, 0x3F800000), c), is_narrow, found)


def check(name: str, columns: tuple[np.ndarray, ...], is_narrow: np.ndarray, found: np.ndarray) -> None:
    narrow, expected = MULTIPLY_ADDS[name][3], np.zeros_like(found)
    for flag, form in enumerate((_SINGLE, narrow or _SINGLE)):
        chosen = is_narrow == flag
        expected[chosen] = fused(*(column[chosen].tolist() for column in columns), form)
    wrong = np.flatnonzero(found != expected)
    rows = (*columns, is_narrow.astype(np.uint64), found, expected)
    assert not wrong.size, [[hex(int(x[at])) for x in rows] for at in wrong[:5]]


@pytest.mark.parametrize("name", MULTIPLY_ADDS)
def test_directed(name):
    # All triples of numbers at which something changes.
    triples = np.array(list(itertools.product(interesting_bits(), repeat=3)), np.uint64)
    a, b, c = triples[np.random.default_rng(draw_seed()).permutation(len(triples))[: random_count(len(triples))]].T
    check_product(name, a, b, c)


@pytest.mark.parametrize("name", MULTIPLY_ADDS)
def test_random(name):
    # At full count, a million cases for each of the multipliers, three million nightly.
    random, count = np.random.default_rng(draw_seed()), random_count(1_000_000, 3_000_000)
    check_product(name, *(random_bits(random, count) for _ in range(3)))


@pytest.mark.parametrize("name", MULTIPLY_ADDS)
def test_cancellation(name):
    # The addend is the product rounded, negated, and a few last places off: what is left is exact, or a near tie.
    operand, score, *_ = MULTIPLY_ADDS[name]
    random, count = np.random.default_rng(draw_seed()), random_count(300_000)
    a, b = (random_bits(random, count) for _ in range(2))
    c = fused(upper(a, operand).tolist(), upper(b, score).tolist(), [0] * count) ^ _CANCELLING
    c = (c + random.integers(0, 5, count, dtype=np.uint64) - np.uint64(2)) & np.uint64(0xFFFFFFFF)
    check_product(name, a, b, c)


@pytest.mark.parametrize("name", MULTIPLY_ADDS)
def test_sum(name):
    # An augend takes the place of the product: all its bits count.
    random, count = np.random.default_rng(draw_seed()), random_count(300_000)
    pairs = np.array(list(itertools.product(interesting_bits(), repeat=2)), np.uint64)
    c = np.concatenate([pairs[:, 0], random_bits(random, count)])
    d = np.concatenate([pairs[:, 1], random_bits(random, count)])
    check_sum(name, d, c)


@pytest.mark.parametrize("name", _NARROW)
def test_where_rounding_changes(name):
    # Ties, ends of the range, underflow, each with what decides it further below than any number of bits keeps.
    targets = rounding_bits(MULTIPLY_ADDS[name][3])
    one, tiny, small = 0x3F800000, 0x0D000000, 0x2E800000  # 1, 2^-101, 2^-34
    decisive = [0, *(sign | bits for sign in (0, 1 << 31) for bits in (tiny, small, 0x00800000))]
    c, first, second = np.array([*itertools.product(targets, decisive, (one, tiny))], np.uint64).T
    is_narrow = np.ones(len(c), np.uint64)
    check_product(name, first, second, c, is_narrow)
    check_product(name, np.full_like(c, one), c, first, is_narrow)
    check_sum(name, c, first, is_narrow)
    # Numbers at which rounding changes added to each other: every distance, cancellation.
    terms = np.array([*itertools.product(targets[::5], targets[::7])], np.uint64).T
    check_sum(name, *terms, np.ones(terms.shape[1], np.uint64))


@pytest.mark.parametrize("name", ["fma_8x8_1", "fma_8x8_2_bf16", "fma_8x8_1_fp16", "fma_8x8_1_e2m1"])
@pytest.mark.parametrize(
    ("first", "second"), [*itertools.combinations_with_replacement(("float8_e4m3fn", "float8_e5m2"), 2)]
)
def test_all_pairs_of_8_bit_operands(first, second, name):
    values = np.arange(256, dtype=np.uint8)
    as_single = {
        kind: values.view(getattr(ml_dtypes, kind)).astype(np.float32).view(np.uint32).astype(np.uint64)
        for kind in (first, second)
    }
    a, b = (x.ravel() for x in np.meshgrid(as_single[first], as_single[second]))
    flag = int(MULTIPLY_ADDS[name][3] is not None)
    # To none, to one, and to what is near the greatest number of fp16.
    addends = [np.full_like(a, bits) for bits in (0, 1 << 31, 0x3F800000, 0x477FE000)[: 3 + flag]]
    for c in (*addends, random_bits(np.random.default_rng(draw_seed()), a.size)):
        found = run(a=a, b=b, c=c, is_narrow=flag)[name]
        check(name, (upper(a, 8), upper(b, 8), c), np.full_like(a, flag), found)


def test_softfloat_agrees():
    # A second oracle: Berkeley SoftFloat, where its result is normal (it keeps subnormals) and its arguments are.
    random, count = np.random.default_rng(draw_seed()), random_count(100_000)
    a, b, c = (random_bits(random, count) for _ in range(3))
    found = run(a=a, b=b, c=c)["fma_24x24_4"]
    compared = 0
    for *arguments, bits in zip(a.tolist(), b.tolist(), c.tolist(), found.tolist(), strict=True):
        numbers = [softfloatpy.Float32.from_bytes(argument.to_bytes(4, "big")) for argument in arguments]
        expected = int.from_bytes(softfloatpy.f32_mul_add(*numbers).to_bytes(), "big")
        are_normal = all(0 < (argument >> 23 & 0xFF) < 255 for argument in [*arguments, expected])
        if are_normal:
            assert bits == expected, list(map(hex, [*arguments, bits, expected]))
            compared += 1
    assert compared > count // 3


def test_softfloat_agrees_on_fp16():
    # All of fp16, which keeps subnormals here as well: nothing is left out, but a NaN has no sign.
    random, count = np.random.default_rng(draw_seed()), random_count(200_000)
    halves = [random.integers(0, 1 << 16, count, dtype=np.uint16) for _ in range(3)]
    a, b, c = (half.view(np.float16).astype(np.float32).view(np.uint32).astype(np.uint64) for half in halves)
    found = run(a=a, b=b, c=c, is_narrow=1)["fma_11x11_4_fp16"].astype(np.uint32).view(np.float32).astype(np.float16)
    kinds = {"subnormal": 0, "infinite": 0, "normal": 0}
    for *arguments, bits in zip(*(half.tolist() for half in halves), found.view(np.uint16).tolist(), strict=True):
        numbers = [softfloatpy.Float16.from_bytes(argument.to_bytes(2, "big")) for argument in arguments]
        expected = int.from_bytes(softfloatpy.f16_mul_add(*numbers).to_bytes(), "big")
        size = expected & 0x7FFF
        assert bits == (0x7E00 if size > 0x7C00 else expected), list(map(hex, [*arguments, bits, expected]))
        kinds["subnormal" if 0 < size < 0x400 else "infinite" if size == 0x7C00 else "normal"] += 1
    assert min(kinds.values()) > count // 1000, kinds
