"""The exponential's slots, chained, against gmpy2, with the bounds of docs/decisions/0006 and the reference table."""

from functools import cache

import gmpy2
import ml_dtypes
import numpy as np
import pytest
from exponential_bench import MULTIPLIERS, ExponentialBench
from random_counts import draw_seed, random_count
from single_oracle import NAN
from verilated import Columns, Verilated, compile_component

# Greatest relative errors before rounding to the score format.
BOUNDS = {"wide": 4.2e-6, "mixed": 1.1e-3, "narrow": 4.0e-3}
BFLOAT16 = np.arange(1 << 16, dtype=np.uint64) << np.uint64(16)


@cache
def bench() -> Verilated:
    return compile_component(ExponentialBench())


@cache
def of_all_bfloat16() -> Columns:
    return bench().run({"value": BFLOAT16, "maximum": np.zeros(1, np.uint64)})


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
    # The difference of two numbers is rounded once, which the oracle does as well.
    random, count = np.random.default_rng(draw_seed()), random_count(1_000_000)
    value, maximum = np.sort(random.uniform(-43, 43, (2, count)).astype(np.float32), axis=0)
    found = bench().run({"value": value.view(np.uint32), "maximum": maximum.view(np.uint32)})[name]
    assert worst_error((value - maximum).astype(np.float64), as_doubles(found)) <= BOUNDS[name]


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
    assert bench().run({"value": value, "maximum": maximum})[name].tolist() == expected.tolist()
