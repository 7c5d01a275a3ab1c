"""The models' arithmetic against gmpy2 and SoftFloat, with the rules of docs/decisions/0006, "Numbers"."""

import itertools
from collections.abc import Callable
from typing import Any

import gmpy2
import ml_dtypes
import numpy as np
import pytest
import softfloatpy
from exponential_contract import by_the_contract
from random_counts import random_count
from single_oracle import (
    NAN,
    bits_of,
    divide,
    fused,
    interesting_bits,
    number_of,
    random_bits,
    rounding_bits,
)

from einsum_cascade.array.numbers import Multiplier, Numbers, exponential_steps, factors_of
from einsum_cascade.formats import parse_format
from einsum_cascade.sim.arithmetic import Exponential, add, greater, high, low, multiply_add, quotient
from einsum_cascade.sim.error_bounds import EXPONENTIAL_ERRORS

ONE, HIDDEN = 0x3F800000, 0x00800000
WIDTHS = (8, 11, 24)
"""Significand bits of operands: bf16 and fp8, fp16, fp32."""
MULTIPLIERS: tuple[Multiplier, ...] = ("narrow", "mixed", "wide")
BOUNDS = {
    name: (EXPONENTIAL_ERRORS[name], own) for name, own in (("wide", 3.85e-6), ("mixed", 1.1e-3), ("narrow", 1.7e-3))
}
"""Greatest relative errors over single-precision points, and over all of bf16 that is not above 0, as of a softmax.

The first are those of tests/rtl/test_exponential.py, where they are derived: the table of the reference, of a million
points, is exceeded near |x| = 87.
"""
BFLOAT16 = (np.arange(1 << 16, dtype=np.uint32) << np.uint32(16)).view(np.float32)


def normal(bits: np.ndarray) -> np.ndarray:
    """Subnormals as zeros, as every operand of the models is."""
    return np.where(bits & 0x7F800000, bits, bits & 0x80000000)


def singles(bits: np.ndarray) -> np.ndarray:
    return bits.astype(np.uint32).view(np.float32)


def upper(bits: np.ndarray, width: int) -> np.ndarray:
    return bits & np.uint64(0xFFFFFFFF << (24 - width) & 0xFFFFFFFF)


def assert_same(found: np.ndarray, expected: np.ndarray, *operands: np.ndarray) -> None:
    wrong = np.flatnonzero(found.view(np.uint32) != expected)
    assert not wrong.size, [[hex(int(x[at])) for x in (*operands, found.view(np.uint32), expected)] for at in wrong[:5]]


def drawn(seed: int, number: int, count: int, operands: int) -> list[np.ndarray]:
    """All tuples of interesting numbers, as many as a random case each, and random ones."""
    random = np.random.default_rng([seed, number])
    tuples = np.array(list(itertools.product(interesting_bits(), repeat=operands)), np.uint64)
    tuples = tuples[random.permutation(len(tuples))[: max(3000, random_count(len(tuples)))]].T
    return [normal(np.concatenate([own, random_bits(random, count)])) for own in tuples]


@pytest.mark.parametrize(("first", "second"), [*itertools.combinations_with_replacement(WIDTHS, 2)])
def test_multiply_add(seed: int, first: int, second: int) -> None:
    """A product of operands of each width, added to any number, rounded once."""
    a, b, c = drawn(seed, 460 + first + second, random_count(1_000_000) // 6, 3)
    a, b = normal(upper(a, first)), normal(upper(b, second))
    # A third cancels: the addend is the product, a few last places off.
    near = fused(a.tolist(), b.tolist(), [0] * len(a)) ^ np.uint64(1 << 31)
    off = np.random.default_rng([seed, 461]).integers(-2, 3, len(a))
    near = normal((near.astype(np.int64) + off).astype(np.uint64) & np.uint64(0xFFFFFFFF))
    c = np.where(np.arange(len(a)) % 3 == 0, near, c)
    expected = fused(a.tolist(), b.tolist(), c.tolist())
    assert_same(multiply_add(*map(singles, (a, b, c))), expected, a, b, c)


@pytest.mark.parametrize("name", ["bf16", "e8m1", "e8m10", "e8m22", "fp16", "e6m9", "e5m23", "e2m1"])
def test_accumulation_in_narrower_formats(seed: int, name: str) -> None:
    """A product, or a number, added to any number and rounded to the format, once; ties, its ends and underflow too."""
    form, number = parse_format(name), 468 + sum(map(ord, name))
    a, b, c = drawn(seed, number, random_count(600_000) // 8, 3)
    # What decides a tie may be further below than any number of bits keeps.
    targets, decisive = rounding_bits(form), [0, 0x0D000000, 0x8D000000, 0x2E800000, 0xAE800000, 0x00800000, 0x80800000]
    near, first, second = np.array([*itertools.product(targets, decisive, (ONE, 0x0D000000))], np.uint64).T
    ones = np.full_like(near, ONE)
    columns = (a, first, near), (b, second, ones), (c, near, first)
    a, b, c = (normal(np.concatenate(parts)) for parts in columns)
    found = multiply_add(*map(singles, (a, b, c)), form)
    assert_same(found, fused(a.tolist(), b.tolist(), c.tolist(), form), a, b, c)
    assert_same(add(singles(a), singles(c), form), fused(a.tolist(), [ONE] * len(a), c.tolist(), form), a, c)
    below = found.view(np.uint32) & np.uint32((1 << (23 - form.mantissa_bits)) - 1)
    assert not below.any(), "the bits that the format does not have are 0"


@pytest.mark.parametrize(
    ("first", "second"), [*itertools.combinations_with_replacement(("float8_e4m3fn", "float8_e5m2"), 2)]
)
@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_accumulation_of_all_pairs_of_8_bit_operands(seed: int, first: str, second: str, name: str) -> None:
    """Each product by itself, and added to a number of the format."""
    form, bits = parse_format(name), np.arange(256, dtype=np.uint8)
    columns = (bits.view(getattr(ml_dtypes, kind)).astype(np.float32) for kind in (first, second))
    a, b = (each.ravel().view(np.uint32).astype(np.uint64) for each in np.meshgrid(*columns))
    near = np.random.default_rng([seed, 469]).permutation(rounding_bits(form))
    near = normal(fused(near.tolist(), [ONE] * near.size, [0] * near.size, form))
    for c in (np.zeros_like(a), np.resize(near, a.size)):
        assert_same(multiply_add(*map(singles, (a, b, c)), form), fused(a.tolist(), b.tolist(), c.tolist(), form), a, b)


def test_multiply_add_agrees_with_softfloat_where_nothing_is_small(seed: int) -> None:
    """SoftFloat keeps subnormals, so that results of 2^-126 and less are left out; NaN has no sign here."""
    a, b, c = drawn(seed, 462, random_count(100_000), 3)
    found = multiply_add(*map(singles, (a, b, c))).view(np.uint32)
    for x, y, z, bits in zip(a.tolist(), b.tolist(), c.tolist(), found.tolist(), strict=True):
        exact = _soft(softfloatpy.f32_mul_add, x, y, z)
        if exact & 0x7FFFFFFF > 0x7F800000:
            assert bits == NAN
        elif exact & 0x7FFFFFFF > HIDDEN:
            assert bits == exact


def _soft(function: Callable[..., object], *bits: int) -> int:
    result = function(*(softfloatpy.Float32.from_bytes(each.to_bytes(4, "big")) for each in bits))
    return int.from_bytes(result.to_bytes(), "big")


def test_add(seed: int) -> None:
    a, b = drawn(seed, 463, random_count(1_000_000) // 2, 2)
    expected = fused(a.tolist(), [ONE] * len(a), b.tolist())
    assert_same(add(singles(a), singles(b)), expected, a, b)


def test_quotient(seed: int) -> None:
    """x / 0 and 0 / 0 are +0 and told."""
    a, b = drawn(seed, 464, random_count(1_000_000) // 2, 2)
    found, is_empty = quotient(singles(a), singles(b))
    assert_same(found, divide(a.tolist(), b.tolist()), a, b)
    assert np.array_equal(is_empty, b & 0x7FFFFFFF == 0)


def test_greater(seed: int) -> None:
    """NaN if either is; +0 is above -0."""
    a, b = drawn(seed, 465, random_count(1_000_000), 2)
    # The order of numbers is that of their bits as integers with a sign; -0 is just below +0.
    keys = [np.where(x >> np.uint64(31), -(x & 0x7FFFFFFF).astype(np.int64) - 1, x.astype(np.int64)) for x in (a, b)]
    is_nan = ((a & 0x7FFFFFFF) > 0x7F800000) | ((b & 0x7FFFFFFF) > 0x7F800000)
    expected = np.where(is_nan, NAN, np.where(keys[0] > keys[1], a, b))
    assert_same(greater(singles(a), singles(b)), expected, a, b)


@pytest.mark.parametrize("bits", [8, 11, 24])
def test_pieces(seed: int, bits: int) -> None:
    """high(a) is a rounded to its bits, low(a) what it leaves, rounded as well."""
    (a,) = drawn(seed, 466, random_count(1_000_000) // 3, 1)
    with gmpy2.context(precision=bits, emax=4000, emin=-4000):
        highs = [gmpy2.fma(number_of(x), 1, gmpy2.mpfr("-0")) for x in a.tolist()]
    expected = np.array([bits_of(x) for x in highs], np.uint64)
    expected = np.where((a & 0x7FFFFFFF) > 0x7F800000, a if bits == 24 else NAN, expected)
    assert_same(high(singles(a), bits), expected, a)
    is_finite = (expected & 0x7F800000) != 0x7F800000
    a, of_high = a[is_finite], [x for x, keep in zip(highs, is_finite, strict=True) if keep]
    with gmpy2.context(precision=24, emax=4000, emin=-4000):
        rest = [bits_of(number_of(x) - y) for x, y in zip(a.tolist(), of_high, strict=True)]
    with gmpy2.context(precision=bits, emax=4000, emin=-4000):
        lows = [bits_of(gmpy2.fma(number_of(x), 1, gmpy2.mpfr("-0"))) for x in rest]
    # x - x is +0, whatever the sign of x.
    lows = np.array([0 if x == 1 << 31 else x for x in lows], np.uint64)
    found = low(singles(a), bits)
    is_zero = found == 0
    assert_same(np.where(is_zero, np.float32(0), found), lows, a)


def exponential(multiplier: Multiplier, scale: float = 1.0, *, is_rounded: bool = False) -> Any:
    """Of (value - maximum) * scale, with the multiplier of a PE, and without its rounding unless told."""
    unit = Exponential(Numbers(multiplier=multiplier), exponential_steps(multiplier))
    unit.form = unit.form if is_rounded else None
    factors = factors_of(scale, unit.operand_bits)
    return lambda value, maximum: unit.run(value, {"maximum": maximum, **factors})


def worst_error(values: np.ndarray, found: np.ndarray) -> float:
    """Relative, over arguments whose exponential is well within the normal numbers."""
    chosen = (values > -87.3) & (values < 88.7)
    exact = np.array([float(gmpy2.exp(gmpy2.mpfr(float(value)))) for value in values[chosen]])
    return float(np.max(np.abs(found[chosen].astype(np.float64) / exact - 1)))


@pytest.mark.parametrize("multiplier", MULTIPLIERS)
def test_error_of_the_exponential(seed: int, multiplier: Multiplier) -> None:
    values = BFLOAT16[(np.abs(BFLOAT16) >= np.float32(2.0**-126)) & (BFLOAT16 < 0)]
    function = exponential(multiplier)
    points, of_bfloat16 = BOUNDS[multiplier]
    assert worst_error(values, function(values, np.zeros_like(values))) <= of_bfloat16
    random = np.random.default_rng([seed, 467])
    value, maximum = (random.uniform(-43, 43, random_count(1_000_000)).astype(np.float32) for _ in range(2))
    assert worst_error(value - maximum, function(value, maximum)) <= points


@pytest.mark.parametrize("multiplier", MULTIPLIERS)
def test_the_exponential_is_exact_at_its_ends(multiplier: Multiplier) -> None:
    """exp(0) = 1, or the correction of an unchanged maximum is not; -inf, and -87.4 and below, give +0; NaN stays."""
    values = np.array([0.0, -0.0, -np.inf, -87.4, -1e30, np.nan, np.inf, 89.0], np.float32)
    found = exponential(multiplier)(values, np.zeros_like(values)).view(np.uint32)
    assert found.tolist() == [ONE, ONE, 0, 0, 0, NAN, 0x7F800000, 0x7F800000]
    lowest = singles(np.array([0xFF7FFFFF], np.uint64))
    assert exponential(multiplier)(lowest, lowest).view(np.uint32).tolist() == [ONE]


@pytest.mark.parametrize("multiplier", MULTIPLIERS)
def test_the_exponential_of_a_pe_is_monotone_over_bfloat16(multiplier: Multiplier) -> None:
    values = np.unique(BFLOAT16[(np.abs(BFLOAT16) >= np.float32(2.0**-126)) | (BFLOAT16 == 0)])
    found = exponential(multiplier, is_rounded=True)(values, np.zeros_like(values))
    assert np.all(found[1:] >= found[:-1])
    assert np.array_equal(found, found.astype(ml_dtypes.bfloat16).astype(np.float32), equal_nan=True)


@pytest.mark.parametrize("multiplier", MULTIPLIERS)
def test_every_bit_of_the_exponential_is_that_of_the_contract(seed: int, multiplier: Multiplier) -> None:
    """With any scale; without one, a difference beyond 127 is not told from 127 either."""
    random, count = np.random.default_rng([seed, 479]), random_count(50_000) // 10
    numbers = Numbers(multiplier=multiplier)
    for scale in (1.0, 1 / 8, float(np.exp2(random.uniform(-56, 61))), float(random.uniform(0.01, 4))):
        with np.errstate(over="ignore"):
            near = (random.uniform(-95, 95, count) / scale).astype(np.float32)
        value = np.concatenate([singles(normal(random_bits(random, count))), near])
        value = value[np.isfinite(value)]
        found = exponential(multiplier, scale)(value, np.zeros_like(value)).view(np.uint32).tolist()
        bits = value.view(np.uint32).tolist()
        assert found == [by_the_contract(each, 0, numbers, scale) for each in bits], scale
        if scale == 1:
            assert found == [by_the_contract(each, 0, numbers, limits=(127, 1000)) for each in bits]
