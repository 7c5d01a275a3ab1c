"""Conversion of operands (exhaustive), rounding to formats, and pieces, against ml_dtypes, NumPy and gmpy2."""

import gmpy2
import ml_dtypes
import numpy as np
import pytest
from arithmetic_bench import FORMATS, PIECES, run
from random_counts import draw_seed, random_count
from single_oracle import NAN, bits_of, interesting_bits, number_of, random_bits

from einsum_cascade.array.memory import operand_bits, rounded

TYPES = {
    "bf16": ml_dtypes.bfloat16,
    "fp16": np.float16,
    "fp8_e4m3": ml_dtypes.float8_e4m3fn,
    "fp8_e5m2": ml_dtypes.float8_e5m2,
    "fp32": np.float32,
}
NARROW = ("fp16", "fp8_e4m3", "fp8_e5m2")


def as_bits(values: np.ndarray) -> np.ndarray:
    """fp32 bits, NaN the canonical one, subnormals flushed."""
    bits = values.astype(np.float32).view(np.uint32).astype(np.uint64)
    bits = np.where(np.isnan(values), NAN, bits)
    return np.where(bits & 0x7F800000, bits, bits & 0x80000000)


def as_singles(bits: np.ndarray) -> np.ndarray:
    return bits.astype(np.uint32).view(np.float32)


def operands_of(name: str) -> np.ndarray:
    """All operands of a format, or some of fp32."""
    if name == "fp32":
        return np.concatenate([interesting_bits(), random_bits(np.random.default_rng(draw_seed()), 10_000)])
    return np.arange(1 << FORMATS[name].width_bits, dtype=np.uint64)


@pytest.mark.parametrize("name", TYPES)
def test_operands_are_converted_exactly(name):
    operands = operands_of(name)
    unsigned = np.dtype(f"u{FORMATS[name].width_bits // 8}")
    with np.errstate(all="ignore"):
        values = operands.astype(unsigned).view(TYPES[name]).astype(np.float32)
    found = run(a=operands)[f"decode_{name}"]
    is_nan = np.isnan(values)
    assert np.array_equal(found[~is_nan], as_bits(values)[~is_nan])
    assert np.isnan(as_singles(found[is_nan])).all()


def near_ties(name: str) -> np.ndarray:
    """All values of a narrow format, what is half-way between two of them, and the fp32 neighbours of both."""
    width = FORMATS[name].width_bits
    exact = np.arange(1 << (width - 1), dtype=np.uint64).astype(f"u{width // 8}").view(TYPES[name]).astype(np.float64)
    exact = np.unique(exact[np.isfinite(exact)])
    beyond = [2 * exact[-1] - exact[-2], 2 * exact[-1], 1e30]
    points = np.concatenate([exact, (exact[1:] + exact[:-1]) / 2, beyond, (exact[-1] + beyond[:1]) / 2])
    bits = points.astype(np.float32).view(np.uint32).astype(np.int64)
    bits = np.unique(np.clip(np.concatenate([bits - 1, bits, bits + 1]), 0, 0x7F7FFFFF)).astype(np.uint64)
    return np.concatenate([bits, bits | np.uint64(1 << 31)])


def cases_of(name: str) -> np.ndarray:
    random = random_bits(np.random.default_rng(draw_seed()), random_count(1_000_000))
    return np.concatenate([interesting_bits(), near_ties(name) if name in NARROW else random[:0], random])


@pytest.mark.parametrize("name", TYPES)
def test_rounding_to_a_format(name):
    # ml_dtypes and NumPy keep subnormals; with 8 exponent bits they are flushed, of the argument and of the result.
    values = cases_of(name)
    with np.errstate(all="ignore"):
        flushed = as_singles(np.where(values & 0x7F800000, values, values & 0x80000000))
        expected = as_bits(flushed.astype(TYPES[name]).astype(np.float32))
    found = run(a=values)[f"round_{name}"]
    wrong = np.flatnonzero(found != expected)
    assert not wrong.size, [(hex(values[at]), hex(found[at]), hex(expected[at])) for at in wrong[:5]]


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("saturates", [False, True], ids=["", "saturating"])
def test_operands_are_made_as_the_host_makes_them(name, saturates):
    # What a host does to a result of the array: subnormals of 8 exponent bits flushed, then ml_dtypes.
    values = cases_of(name)
    with np.errstate(all="ignore"):
        singles = as_singles(np.where(values & 0x7F800000, values, values & 0x80000000))
        singles = np.where(np.isnan(singles), np.float32(np.nan), singles)
        expected = operand_bits(rounded(singles, FORMATS[name], saturates=saturates), FORMATS[name])
    found = run(a=values)[f"{'saturate' if saturates else 'encode'}_{name}"]
    wrong = np.flatnonzero(found != expected)
    assert not wrong.size, [(hex(values[at]), hex(found[at]), hex(expected[at])) for at in wrong[:5]]


def test_rounding_to_a_format_by_widths():
    # TF32, which NumPy does not have: 11 significand bits, 8 exponent bits.
    values = cases_of("e8m10")
    found = run(a=values)["round_e8m10"].tolist()
    with gmpy2.context(precision=11, emax=4000, emin=-4000):
        assert found == [bits_of(+number_of(bits)) for bits in values.tolist()]


@pytest.mark.parametrize("bits", PIECES)
def test_pieces(bits):
    # high = the number rounded to s bits; low = what is left, which fp32 holds exactly, rounded to s bits.
    random = random_bits(np.random.default_rng(draw_seed()), random_count(200_000))
    values = np.concatenate([interesting_bits(), random])
    values = values[np.abs(as_singles(values)) < 1e38]
    found = run(a=values)
    for at, value in enumerate(map(number_of, values.tolist())):
        with gmpy2.context(precision=bits, emax=4000, emin=-4000):
            high = +value
        with gmpy2.context(precision=60, emax=4000, emin=-4000):
            left = number_of(bits_of(value - high))
        with gmpy2.context(precision=bits, emax=4000, emin=-4000):
            low = +left
        assert found[f"high_{bits}"][at] == bits_of(high), hex(values[at])
        assert found[f"low_{bits}"][at] == bits_of(low), hex(values[at])


@pytest.mark.parametrize("bits", PIECES)
def test_pieces_at_the_ends(bits):
    # High pieces of the greatest number and of infinity are infinite; both pieces of a NaN are NaN.
    found = run(a=np.array([0x7F7FFFFF, 0xFF800000, 0x7F800001, NAN, 0xFFFFFFFF], np.uint64))
    assert found[f"high_{bits}"].tolist() == [0x7F800000, 0xFF800000, NAN, NAN, NAN]
    assert found[f"low_{bits}"][2:].tolist() == [NAN] * 3
