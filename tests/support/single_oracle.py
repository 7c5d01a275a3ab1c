"""Oracles of the array's arithmetic on fp32 bits: gmpy2 for one rounding without bounds, then the contract's rules.

docs/decisions/0006-the-array-and-its-program.md, "Numbers": subnormals are read as zero of their sign; a result below
the smallest normal number, after rounding to its bits as if the exponent had no bound, is zero of its sign; every NaN
is 0x7FC00000. Formats with fewer than 8 exponent bits underflow gradually, which gmpy2 does by itself.
"""

import struct
from collections.abc import Iterable, Iterator
from functools import partial

import gmpy2
import numpy as np
from gmpy2 import mpfr

from einsum_cascade.formats import Format

__all__ = [
    "NAN",
    "bits_of",
    "divide",
    "fused",
    "interesting_bits",
    "number_of",
    "random_bits",
    "rounding_bits",
    "unbounded",
]

NAN = 0x7FC00000
unbounded = partial(gmpy2.context, emax=4000, emin=-4000)
"""A context of so much `precision`, in which exponents have no bound that matters."""
_SINGLE = Format(8, 23)
_LEAST, _BEYOND = mpfr(2) ** -126, mpfr(2) ** 128


def number_of(bits: int) -> mpfr:
    """The value of fp32 bits, exactly; subnormals as zero."""
    if not bits & 0x7F800000:
        return mpfr("-0" if bits >> 31 else "0")
    return mpfr(struct.unpack("<f", struct.pack("<I", bits))[0], 24)


def bits_of(value: mpfr) -> int:
    """The bits of a number that has 24 significand bits and any exponent."""
    if gmpy2.is_nan(value):
        return NAN
    sign = int(gmpy2.is_signed(value)) << 31
    if abs(value) >= _BEYOND:
        return sign | 0x7F800000
    if abs(value) < _LEAST:
        return sign
    return struct.unpack("<I", struct.pack("<f", float(value)))[0]


def fused(a: Iterable[int], b: Iterable[int], c: Iterable[int], form: Format = _SINGLE) -> np.ndarray:
    """a * b + c of fp32 bits, rounded once to a format, as fp32 bits."""
    with unbounded(precision=24):
        numbers = [tuple(map(number_of, bits)) for bits in zip(a, b, c, strict=True)]
    with _context_of(form):
        return _bits(gmpy2.fma(*own) for own in numbers)


def _context_of(form: Format) -> gmpy2.context:
    precision = form.mantissa_bits + 1
    if form.exponent_bits == _SINGLE.exponent_bits:
        return unbounded(precision=precision)
    # An exponent of gmpy2 is that of a number in [1/2, 1); its least number is the least subnormal one.
    emin = form.least_exponent - form.mantissa_bits + 1
    return gmpy2.context(precision=precision, emax=form.greatest_exponent + 1, emin=emin, subnormalize=True)


def divide(a: Iterable[int], b: Iterable[int]) -> np.ndarray:
    """a / b of fp32 bits, rounded once; +0 where b is 0."""
    with gmpy2.context(precision=24, emax=4000, emin=-4000):
        pairs = ((number_of(x), number_of(y)) for x, y in zip(a, b, strict=True))
        return _bits(x / y if y != 0 or gmpy2.is_nan(y) else mpfr(0) for x, y in pairs)


def _bits(values: Iterable[mpfr]) -> np.ndarray:
    return np.array([bits_of(value) for value in values], np.uint64)


def interesting_bits() -> np.ndarray:
    """Zeros, subnormals, the ends of the range, infinities, NaN, 1 and its neighbours, powers of two near the ends."""
    magnitudes = [0, 1, 0x400000, 0x7FFFFF, 0x800000, 0x800001, 0xFFFFFF, 0x1000000, 0x7F7FFFFF, 0x7F000000, 0x7F800000]
    magnitudes += [0x7F800001, NAN, 0x7FFFFFFF, 0x3F800000, 0x3F800001, 0x3F7FFFFF, 0x40000000, 0x3FC00000, 0x4B800000]
    magnitudes += [0x33800000, 0x33800001, 0x20000000, 0x20000001, 0x1FFFFFFF, 0x5F800000, 0x34000000]
    return np.array([*magnitudes, *(0x80000000 | magnitude for magnitude in magnitudes)], np.uint64)


def rounding_bits(form: Format) -> np.ndarray:
    """Numbers at which rounding to a format does something else: its ends, ties and what is beside them."""
    least, greatest = form.least_exponent, form.greatest_exponent
    around = {*range(least - form.mantissa_bits - 3, least + 2), -1, 0, 1, greatest - 1, greatest, greatest + 1}
    found = {127 + exponent << 23 | mantissa for exponent in around for mantissa in _ties(form, exponent)}
    inside = [bits for bits in sorted(found) if 0 < bits < 0x7F800000]
    return np.array([*inside, *(0x80000000 | bits for bits in inside)], np.uint64)


def _ties(form: Format, exponent: int) -> Iterator[int]:
    """Mantissas of 0, of the greatest, of ties below an even and an odd place, below a carry, and one off."""
    kept = form.mantissa_bits - max(0, form.least_exponent - exponent)
    yield from (0, 1, 0x7FFFFE, 0x7FFFFF)
    if 0 <= kept < 23:
        tie = 1 << (22 - kept)
        for above in (0, 2 * tie, 0x800000 - 2 * tie):
            yield from ((above | tie) + off & 0x7FFFFF for off in (-1, 0, 1))


def random_bits(random: np.random.Generator, count: int) -> np.ndarray:
    """A third of any bits, a third near 1, a third with few mantissa bits, so that ties and cancellation are common."""
    signs = random.integers(0, 2, count, dtype=np.uint64) << np.uint64(31)
    anything = random.integers(0, 1 << 31, count, dtype=np.uint64)
    near = (random.integers(127 - 14, 127 + 14, count, dtype=np.uint64) << np.uint64(23)) | (
        anything & np.uint64(0x7FFFFF)
    )
    few = near & ~np.uint64(0x7FFFFF) | (np.uint64(1) << random.integers(0, 23, count, dtype=np.uint64)) * (
        anything & np.uint64(3)
    )
    chosen = random.integers(0, 3, count)
    return signs | np.choose(chosen, [anything, near, few & np.uint64(0x7FFFFFFF)])
