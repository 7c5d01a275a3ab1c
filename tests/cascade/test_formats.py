"""Number formats: every format of ml_dtypes, value by value, and the widths that it does not have."""

import warnings

import ml_dtypes
import numpy as np
import pytest
from random_counts import random_count

from einsum_cascade.formats import Format, _round_exactly, parse_format, round_to

SMALL = [
    "float8_e3m4",
    "float8_e4m3",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e4m3b11fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "float6_e2m3fn",
    "float6_e3m2fn",
    "float4_e2m1fn",
]


def library(name):
    return np.float16 if name == "float16" else getattr(ml_dtypes, name)


def rounded_by_library(values, name):
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return values.astype(library(name)).astype(np.float64)


def all_values(name):
    dtype = np.dtype(library(name))
    bits = np.arange(2 ** (8 * dtype.itemsize), dtype=np.uint32).astype(f"u{dtype.itemsize}")
    if name.startswith(("float6", "float4")):
        bits = bits[: 2 ** parse_format(name).width_bits]
    with np.errstate(all="ignore"):  # signalling NaN
        return bits.view(dtype).astype(np.float64)


@pytest.mark.parametrize("name", [*SMALL, "bfloat16", "float16"])
def test_values_of_a_format_are_kept(name):
    values = all_values(name)
    form = parse_format(name)
    np.testing.assert_array_equal(_round_exactly(values, form), values)
    np.testing.assert_array_equal(round_to(values, form), values)
    finite = values[np.isfinite(values)]
    assert finite.max() == form.greatest
    assert len(np.unique(finite)) == len(np.unique(np.abs(finite))) * 2 - 1


# Between two neighbours a < b of the format: the middle, and just below and above it, in float32 as ml_dtypes takes it.
@pytest.mark.parametrize("name", [*SMALL, "bfloat16", "float16"])
def test_ties_and_their_neighbours_agree_with_the_library(name):
    finite = np.unique(all_values(name)[np.isfinite(all_values(name))])
    with np.errstate(all="ignore"):
        middle = ((finite[:-1] + finite[1:]) / 2).astype(np.float32)
        beyond = np.float32(finite[-1] + (finite[-1] - finite[-2]) / 2)
        ends = np.array([beyond, -beyond, np.inf, -np.inf, np.nan, 0.0, 3e38, -3e38, 1e-44], np.float32)
        around = np.concatenate([middle, ends])
        cases = np.concatenate(
            [np.nextafter(around, np.float32(-np.inf)), around, np.nextafter(around, np.float32(np.inf))]
        )
    expected = rounded_by_library(cases, name)
    np.testing.assert_array_equal(_round_exactly(cases.astype(np.float64), parse_format(name)), expected)
    np.testing.assert_array_equal(round_to(cases, parse_format(name)), expected)


@pytest.mark.parametrize("name", [*SMALL, "bfloat16", "float16", "float32"])
def test_random_bit_patterns_agree_with_the_library(name, seed):
    random = np.random.default_rng([seed, 11])
    cases = random.integers(0, 2**32, random_count(1_000_000), dtype=np.uint32).view(np.float32)
    with np.errstate(all="ignore"):  # signalling NaN
        exact = cases.astype(np.float64)
        expected = exact if name == "float32" else rounded_by_library(cases, name)
        ours = _round_exactly(exact, parse_format(name))
    np.testing.assert_array_equal(ours, expected)


def test_a_float64_is_rounded_once():
    # 1 + 2^-8 is a tie between the bfloat16 neighbours 1 and 1 + 2^-7; 2^-40 decides it upwards, but float32 drops it.
    just_above_a_tie = np.array(1 + 2.0**-8 + 2.0**-40)
    assert round_to(just_above_a_tie, parse_format("bf16")) == 1 + 2.0**-7


def test_widths_without_a_library_type():
    # e3m1: bias 3, values 1, 1.5 * 2^k for k = -2..3, subnormal 0.125, greatest 12; 13 is nearer to 12 than to 16,
    # 14 is the tie between 12 (mantissa 1, odd) and 16 (even), which overflows.
    form = parse_format("e3m1")
    values = np.array([0.0625, 0.07, 0.125, 0.1875, 1.2, 1.25, 1.75, 13.0, 14.0, -14.0, np.nan])
    expected = [0.0, 0.125, 0.125, 0.25, 1.0, 1.0, 2.0, 12.0, np.inf, -np.inf, np.nan]
    np.testing.assert_array_equal(round_to(values, form), expected)


def test_arithmetic_type_holds_every_value():
    assert parse_format("e8m23").arithmetic == np.float32
    assert parse_format("fp8_e4m3").arithmetic == np.float32
    assert parse_format("e8m24").arithmetic == np.float64
    assert parse_format("e9m2").arithmetic == np.float64
    assert parse_format("float64").arithmetic == np.float64


def test_float64_and_float32_are_not_copied():
    values = np.ones(3)
    assert round_to(values, parse_format("float64")) is values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fp17", r"^a number format must be one of float64, .*, or widths as in e5m10, not 'fp17'$"),
        ("e12m3", r"^a format must have 2 to 11 exponent bits and 1 to 52 mantissa bits, not 'e12m3'$"),
        ("e5m0", r"^a format must have 2 to 11 exponent bits and 1 to 52 mantissa bits, not 'e5m0'$"),
    ],
)
def test_unknown_formats(text, message):
    with pytest.raises(ValueError, match=message):
        parse_format(text)


def test_a_bias_must_keep_values_inside_float64():
    with pytest.raises(ValueError, match=r"^the bias of a format must keep its values inside float64, not 3000$"):
        Format(5, 2, 3000)
