"""The slots of exponential and sigmoid, chained, against gmpy2, with the bounds of docs/decisions/0006."""

from functools import cache

import gmpy2
import ml_dtypes
import numpy as np
import pytest
from exponential_bench import MULTIPLIERS, ExponentialBench
from exponential_contract import by_the_contract, rounded_once
from gmpy2 import mpfr
from random_counts import draw_seed, mode, random_count
from single_oracle import NAN, bits_of, number_of, random_bits, unbounded
from verilated import Columns, Verilated, compile_component

from einsum_cascade.array.numbers import LEAST_SCALE, MOST_SCALE, Numbers, factors_of

# Greatest relative errors before rounding to the score format: over all bf16, those of the reference table.
BOUNDS = {"wide": 4.2e-6, "mixed": 1.1e-3, "narrow": 4.0e-3}
# Over fp32, the table's are exceeded where |x| is near 87. Wide, up to 2.65e-6 comes from x log2(e) in 24 bits (half of
# the last place of a number below 128, times ln 2), 1.17e-6 from log2(e) in 24 bits (1.93e-8 * 87.3 * ln 2), and about
# 0.5e-6 from the polynomial. Mixed, 1.1085e-3 was seen in four million points.
SINGLE_BOUNDS = {"wide": 4.4e-6, "mixed": 1.12e-3, "narrow": 4.0e-3}
# A factor that is no log2(e) is less near to its pieces. Wide, it is rounded to 24 bits: at most 2^-24 of itself, where
# log2(e) has 1.34e-8, which 87.3 enlarges to 5.2e-6. Else two pieces of 8 bits leave at most 2^-18 of it: 3.4e-4.
SCALED_BOUNDS = {"wide": 4.4e-6 + 5.3e-6, "mixed": 1.12e-3 + 3.4e-4, "narrow": 4.0e-3 + 3.4e-4}
ZERO = np.zeros(1, np.uint64)
# Of a sigmoid: that of the wide exponential, that of the reciprocal, and three roundings.
SIGMOID_BOUND = 6e-6
# All of them; one in eight in `make test`, beside zeros and infinities.
STRIDE = 10 if mode() == "quick" else 1
HALVES = np.union1d(np.arange(draw_seed() % STRIDE, 1 << 16, STRIDE), [0x0000, 0x8000, 0x7F80, 0xFF80])
BFLOAT16 = HALVES.astype(np.uint64) << np.uint64(16)


@cache
def bench() -> Verilated:
    return compile_component(ExponentialBench())


def run(value: np.ndarray, maximum: np.ndarray = ZERO, scale: float = 1.0) -> Columns:
    """All functions, exponentials of differences times a scale."""
    given = {"scale": 0.0, "bias": 0.0} | factors_of(scale, 8)
    bits = {name: np.array([bits_of(mpfr(each))], np.uint64) for name, each in given.items()}
    return bench().run({"value": value, "maximum": maximum, **bits})


@cache
def of_all_bfloat16() -> Columns:
    return run(BFLOAT16)


def as_doubles(bits: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return bits.astype(np.uint32).view(np.float32).astype(np.float64)


def worst_error(values: np.ndarray, found: np.ndarray) -> float:
    """Relative, over arguments whose exponential is well within the normal numbers."""
    chosen = (values > -87.3) & (values < 88.7)
    exact = np.array([float(gmpy2.exp(gmpy2.mpfr(value))) for value in values[chosen].tolist()])
    return float(np.max(np.abs(found[chosen] / exact - 1)))


@pytest.mark.parametrize("name", MULTIPLIERS)
def test_error_over_all_bfloat16(name):
    assert worst_error(as_doubles(BFLOAT16), as_doubles(of_all_bfloat16()[name])) <= BOUNDS[name]


@pytest.mark.parametrize("name", MULTIPLIERS)
def test_error_over_random_arguments(name):
    # Evenly over all arguments whose exponential is normal, the ends included, where the error is greatest.
    random, count = np.random.default_rng(draw_seed()), random_count(1_000_000)
    value = random.uniform(-87.3, 87.3, count).astype(np.float32)
    found = run(value.view(np.uint32))[name]
    assert worst_error(value.astype(np.float64), as_doubles(found)) <= SINGLE_BOUNDS[name]


@pytest.mark.parametrize("name", MULTIPLIERS)
def test_every_bit_is_that_of_the_contract(name):
    random, count = np.random.default_rng(draw_seed()), random_count(50_000)
    value, maximum = random_bits(random, 2 * count).reshape(2, count)
    near = random.uniform(-95, 95, count).astype(np.float32).view(np.uint32)
    value, maximum = np.concatenate([value, near]), np.concatenate([maximum, np.zeros(count, np.uint64)])
    is_number = np.isfinite(as_doubles(value)) & np.isfinite(as_doubles(maximum))
    value, maximum = value[is_number], maximum[is_number]
    found = run(value, maximum)[name].tolist()
    numbers, pairs = Numbers(multiplier=name), [*zip(value.tolist(), maximum.tolist(), strict=True)]
    assert found == [by_the_contract(*pair, numbers) for pair in pairs]
    # Without a scale, no difference beyond 127 is told from 127, and no power of 2 that comes of one is cut.
    assert found == [by_the_contract(*pair, numbers, limits=(127, 1000)) for pair in pairs]


@pytest.mark.parametrize("name", MULTIPLIERS)
def test_every_bit_of_scaled_exponentials_is_that_of_the_contract(name):
    random, count = np.random.default_rng(draw_seed()), random_count(30_000) // 10
    numbers = Numbers(multiplier=name)
    scales = [
        LEAST_SCALE,
        MOST_SCALE,
        1 / 8,
        1 / np.sqrt(80),
        *np.exp2(random.uniform(-56, 61, 3)),
        *random.uniform(0, 4, 3),
    ]
    for scale in map(float, scales):
        value, maximum = random_bits(random, 2 * count).reshape(2, count)
        with np.errstate(over="ignore"):
            near = (random.uniform(-95, 95, count) / scale).astype(np.float32).view(np.uint32)
        value, maximum = np.concatenate([value, near]), np.concatenate([maximum, np.zeros(count, np.uint64)])
        is_number = np.isfinite(as_doubles(value)) & np.isfinite(as_doubles(maximum))
        value, maximum = value[is_number], maximum[is_number]
        pairs = zip(value.tolist(), maximum.tolist(), strict=True)
        assert run(value, maximum, scale)[name].tolist() == [by_the_contract(*pair, numbers, scale) for pair in pairs]


@pytest.mark.parametrize("name", MULTIPLIERS)
@pytest.mark.parametrize("scale", [LEAST_SCALE, MOST_SCALE, 1 / 8, 1 / np.sqrt(80)])
def test_ends_of_scaled_exponentials(name, scale):
    """1 at 0, +0 and infinity far out, however small the scale is; NaN stays, and where it arises from infinities."""
    cases = [(0, 0, 0x3F800000), (0x80000000, 0, 0x3F800000), (0xFF7FFFFF, 0xFF7FFFFF, 0x3F800000)]
    cases += [(0xFF7FFFFF, 0x7F7FFFFF, 0), (0xFF800000, 0, 0), (0, 0xFF7FFFFF, 0x7F800000), (0x7F800000, 0, 0x7F800000)]
    cases += [(0xFF800000, 0xFF800000, NAN), (0x7FC00000, 0, NAN)]
    value, maximum, expected = np.array(cases, np.uint64).T
    assert run(value, maximum, float(scale))[name].tolist() == expected.tolist()


@pytest.mark.parametrize("name", MULTIPLIERS)
def test_error_of_scaled_exponentials(name):
    """A difference of -500 that is multiplied by 1/8 is as near as one of -62.5."""
    random, count = np.random.default_rng(draw_seed()), random_count(1_000_000) // 10
    for scale in (1 / 8, 1 / np.sqrt(80), *random.uniform(0.001, 30, 4)):
        value = (random.uniform(-87.3, 87.3, count) / scale).astype(np.float32)
        found = run(value.view(np.uint32), scale=float(scale))[name]
        assert worst_error(value * scale, as_doubles(found)) <= SCALED_BOUNDS[name], scale


@pytest.mark.parametrize("name", MULTIPLIERS)
def test_monotone_over_bfloat16(name):
    # As a PE leaves it, in bf16. Unrounded, the narrow one goes back by up to 3.2e-4 in ten places.
    values, found = as_doubles(BFLOAT16), as_doubles(of_all_bfloat16()[name]).astype(np.float32)
    found = found.astype(ml_dtypes.bfloat16).astype(np.float64)
    order = np.argsort(values, kind="stable")[: np.count_nonzero(~np.isnan(values))]
    assert np.all(found[order][1:] >= found[order][:-1])


@pytest.mark.parametrize("name", MULTIPLIERS)
def test_ends(name):
    # exp(0) is exactly 1, or the correction of an unchanged maximum would not be; far below, +0; far above, infinity.
    found = of_all_bfloat16()[name]
    values = as_doubles(BFLOAT16)
    assert set(found[values == 0].tolist()) == {0x3F800000}
    assert set(found[values <= -87.4].tolist()) == {0}
    assert set(found[values >= 89].tolist()) == {0x7F800000}
    assert set(found[np.isnan(values)].tolist()) == {NAN}


@pytest.mark.parametrize("name", MULTIPLIERS)
def test_infinite_differences(name):
    # -inf - x, x - -inf, and inf - inf, which is NaN; lowest - lowest is 0.
    cases = [(0xFF800000, 0x3F800000, 0), (0x3F800000, 0xFF800000, 0x7F800000), (0x7F800000, 0x7F800000, NAN)]
    cases += [(0xFF7FFFFF, 0xFF7FFFFF, 0x3F800000), (0xFF7FFFFF, 0x40000000, 0), (0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000)]
    value, maximum, expected = np.array(cases, np.uint64).T
    assert run(value, maximum)[name].tolist() == expected.tolist()


def sigmoids(value: np.ndarray, scale: float, bias: float) -> np.ndarray:
    given = {"scale": scale, "bias": bias} | factors_of(1.0, 8)
    constants = {name: np.array([bits_of(mpfr(each))], np.uint64) for name, each in given.items()}
    return bench().run({"value": value, "maximum": ZERO, **constants})["sigmoid"]


def worst_sigmoid_error(arguments: list[mpfr], found: np.ndarray) -> float:
    """Relative, where the sigmoid is well within the normal numbers."""
    with gmpy2.context(precision=80):
        exact = np.array([float(1 / (1 + gmpy2.exp(-x))) for x in arguments])
    return float(np.max(np.abs(found / exact - 1)))


@pytest.mark.parametrize(("scale", "bias"), [(1.0, 0.0), (-2.0, 0.0), (0.125, -6.9375), (1.0, 3.0)])
def test_error_of_the_sigmoid_over_all_bfloat16(scale, bias):
    """Relative to the exact one: the argument is rounded twice, and its exponential enlarges that."""
    values = as_doubles(BFLOAT16)
    found = as_doubles(sigmoids(BFLOAT16, scale, bias))
    with np.errstate(all="ignore"):
        x = values * scale + bias
    chosen = (np.abs(x) < 87.3) & np.isfinite(values) & (np.abs(values) >= 2.0**-126)
    arguments = [mpfr(v) * scale + bias for v in values[chosen].tolist()]
    assert worst_sigmoid_error(arguments, found[chosen]) <= SIGMOID_BOUND
    assert np.nanmax(found) <= 1 and np.nanmin(found) >= 0


def test_ends_of_the_sigmoid():
    """1/2 at 0 exactly, 1 and 0 far out; NaN stays, also where it arises from infinities."""
    cases = [(0, 0x3F000000), (0x80000000, 0x3F000000), (0x7F800000, 0x3F800000), (0xFF800000, 0), (0x7FC00000, NAN)]
    cases += [(0x42C80000, 0x3F800000), (0xC3000000, 0)]
    value, expected = np.array(cases, np.uint64).T
    assert sigmoids(value, 1.0, 0.0).tolist() == expected.tolist()
    assert sigmoids(np.array([0x7F800000], np.uint64), 0.0, 0.0).tolist() == [NAN]


def sigmoid_by_the_contract(value: int, scale: float, bias: float) -> int:
    """The slots as docs/decisions/0006 words them, one rounding of gmpy2 each, on numbers that stay normal."""
    numbers = Numbers(multiplier="wide", has_sigmoid=True)
    x, e, u, p, n, is_negative = mpfr(0), mpfr(0), mpfr(0), number_of(value), mpfr(0), False
    log2e = number_of(0x3FB8AA3B)
    for slot in numbers.sigmoid_slots:
        step = numbers.steps[slot]
        with unbounded(precision=24):
            match step.kind:
                case "multiply":
                    x = rounded_once(p, mpfr(scale), mpfr(0))
                case "add":
                    x = number_of(bits_of(x + mpfr(bias)))
                    is_negative, x = bool(gmpy2.is_signed(x)), -min(mpfr(127), abs(x))
                case "scale":
                    u = rounded_once(x, log2e, mpfr(0))
                    n = gmpy2.rint(u)
                    u -= n
                case "horner":
                    p = number_of(step.leading_bits) if step.leading_bits else p
                    p = rounded_once(p, u, number_of(step.coefficient_bits))
                    p = number_of(bits_of(p * mpfr(2) ** n)) if step.is_last else p
                case "complement":
                    e, u = p, number_of(bits_of(p - mpfr("0.5")))
                case "finish":
                    return bits_of(p * e if is_negative else p)
    raise AssertionError("no slot finishes")


def test_every_bit_of_the_sigmoid_is_that_of_the_contract():
    random, count = np.random.default_rng(draw_seed()), random_count(50_000)
    value = random.uniform(-80, 80, count).astype(np.float32).view(np.uint32).astype(np.uint64)
    for scale, bias in ((1.0, 0.0), (0.3535533845424652, -2.397895336151123)):
        expected = [sigmoid_by_the_contract(each, scale, bias) for each in value.tolist()]
        assert sigmoids(value, scale, bias).tolist() == expected


@pytest.mark.parametrize("name", MULTIPLIERS)
def test_every_bit_of_the_feature_map(name):
    """elu(x) + 1 is x + 1, rounded once, where x is positive, and the exponential of x elsewhere, bit for bit."""
    random, count = np.random.default_rng(draw_seed()), random_count(50_000)
    near = random.uniform(-95, 95, count).astype(np.float32).view(np.uint32)
    value = np.concatenate([BFLOAT16, random_bits(random, count), near])
    found = run(value)
    numbers = as_doubles(value)
    is_positive = numbers >= 2.0**-126
    # Above 0, the sum of two fp32 numbers is rounded once by NumPy, too.
    sums = (numbers[is_positive].astype(np.float32) + np.float32(1)).view(np.uint32)
    assert np.array_equal(found[f"feature_{name}"][is_positive], sums)
    assert np.array_equal(found[f"feature_{name}"][numbers <= 0], found[name][numbers <= 0])
    is_subnormal = np.abs(numbers) < 2.0**-126
    assert set(found[f"feature_{name}"][is_subnormal].tolist()) == {0x3F800000}
    assert set(found[f"feature_{name}"][np.isnan(numbers)].tolist()) == {NAN}
