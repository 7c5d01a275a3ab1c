# amaranth: UnusedElaboratable=no
"""The multiply-add against gmpy2 and SoftFloat: directed cases, random ones, all pairs of 8-bit operands."""

import itertools
import re

import ml_dtypes
import numpy as np
import pytest
import softfloatpy
from arithmetic_bench import MULTIPLY_ADDS, run
from random_counts import draw_seed, random_count
from single_oracle import fused, interesting_bits, random_bits

from einsum_cascade.rtl.multiply_add import MultiplyAdd

_CANCELLING = np.uint64(1 << 31)


def upper(values: np.ndarray, bits: int) -> np.ndarray:
    return values & np.uint64((1 << 32) - (1 << (24 - bits)))


def check(name: str, a: np.ndarray, b: np.ndarray, c: np.ndarray, found: np.ndarray) -> None:
    operand, score, _, mantissa = MULTIPLY_ADDS[name]
    a, b = upper(a, operand), upper(b, score)
    expected = fused(a.tolist(), b.tolist(), c.tolist(), mantissa + 1)
    wrong = np.flatnonzero(found != expected)
    assert not wrong.size, [[hex(x[at]) for x in (a, b, c, found, expected)] for at in wrong[:5]]


@pytest.mark.parametrize("name", MULTIPLY_ADDS)
def test_directed(name):
    # All triples of numbers at which something changes.
    triples = np.array(list(itertools.product(interesting_bits(), repeat=3)), np.uint64)
    a, b, c = triples[np.random.default_rng(draw_seed()).permutation(len(triples))[: random_count(len(triples))]].T
    check(name, a, b, c, run(a=a, b=b, c=c)[name])


@pytest.mark.parametrize("name", MULTIPLY_ADDS)
def test_random(name):
    # At full count, a million cases for each of the multipliers, ten million in all nightly.
    random, count = np.random.default_rng(draw_seed()), random_count(1_000_000, 3_000_000)
    a, b, c = (random_bits(random, count) for _ in range(3))
    check(name, a, b, c, run(a=a, b=b, c=c)[name])


@pytest.mark.parametrize("name", MULTIPLY_ADDS)
def test_cancellation(name):
    # The addend is the product rounded, negated, and a few last places off: what is left is exact, or a near tie.
    operand, score, _, _ = MULTIPLY_ADDS[name]
    random, count = np.random.default_rng(draw_seed()), random_count(300_000)
    a, b = (random_bits(random, count) for _ in range(2))
    c = fused(upper(a, operand).tolist(), upper(b, score).tolist(), [0] * count) ^ _CANCELLING
    c = (c + random.integers(0, 5, count, dtype=np.uint64) - np.uint64(2)) & np.uint64(0xFFFFFFFF)
    check(name, a, b, c, run(a=a, b=b, c=c)[name])


@pytest.mark.parametrize("name", MULTIPLY_ADDS)
def test_sum(name):
    # An augend takes the place of the product: all its bits count, whatever the multiplier and its operands are.
    random, count = np.random.default_rng(draw_seed()), random_count(300_000)
    pairs = np.array(list(itertools.product(interesting_bits(), repeat=2)), np.uint64)
    c = np.concatenate([pairs[:, 0], random_bits(random, count)])
    d = np.concatenate([pairs[:, 1], random_bits(random, count)])
    a, b = (random_bits(random, len(c)) for _ in range(2))
    found = run(a=a, b=b, c=c, d=d, is_sum=1)[name]
    expected = fused(d.tolist(), [0x3F800000] * len(c), c.tolist(), MULTIPLY_ADDS[name][3] + 1)
    wrong = np.flatnonzero(found != expected)
    assert not wrong.size, [[hex(x[at]) for x in (c, d, found, expected)] for at in wrong[:5]]


@pytest.mark.parametrize("first", ["float8_e4m3fn", "float8_e5m2"])
@pytest.mark.parametrize("second", ["float8_e4m3fn", "float8_e5m2"])
def test_all_pairs_of_8_bit_operands(first, second):
    values = np.arange(256, dtype=np.uint8)
    as_single = {
        kind: values.view(getattr(ml_dtypes, kind)).astype(np.float32).view(np.uint32).astype(np.uint64)
        for kind in (first, second)
    }
    a, b = (x.ravel() for x in np.meshgrid(as_single[first], as_single[second]))
    for c in (np.zeros_like(a), np.full_like(a, 1 << 31), random_bits(np.random.default_rng(draw_seed()), a.size)):
        name = "fma_8x8_1_m23"
        check(name, a, b, c, run(a=a, b=b, c=c)[name])


def test_softfloat_agrees():
    # A second oracle: Berkeley SoftFloat, where its result is normal (it keeps subnormals) and its arguments are.
    random, count = np.random.default_rng(draw_seed()), random_count(100_000)
    a, b, c = (random_bits(random, count) for _ in range(3))
    found = run(a=a, b=b, c=c)["fma_24x24_4_m23"]
    compared = 0
    for *arguments, bits in zip(a.tolist(), b.tolist(), c.tolist(), found.tolist(), strict=True):
        numbers = [softfloatpy.Float32.from_bytes(argument.to_bytes(4, "big")) for argument in arguments]
        expected = int.from_bytes(softfloatpy.f32_mul_add(*numbers).to_bytes(), "big")
        are_normal = all(0 < (argument >> 23 & 0xFF) < 255 for argument in [*arguments, expected])
        if are_normal:
            assert bits == expected, list(map(hex, [*arguments, bits, expected]))
            compared += 1
    assert compared > count // 3


@pytest.mark.parametrize("stages", [0, 5])
def test_stages_out_of_range(stages):
    with pytest.raises(ValueError, match=rf"^a multiply-add must have 1 to 4 stages, not {stages}$"):
        MultiplyAdd(8, 8, stages)


def test_mantissa_out_of_range():
    message = "a result must have 1 to 23 mantissa bits, not 24"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        MultiplyAdd(8, 8, 1, mantissa_bits=24)
