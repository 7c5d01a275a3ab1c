"""The maximum against a comparison of Python floats, the divider against gmpy2."""

import itertools
import math
import struct

import numpy as np
from arithmetic_bench import run
from random_counts import draw_seed, random_count
from single_oracle import NAN, divide, interesting_bits, random_bits


def pairs() -> tuple[np.ndarray, np.ndarray]:
    random, count = np.random.default_rng(draw_seed()), random_count(1_000_000)
    directed = np.array(list(itertools.product(interesting_bits(), repeat=2)), np.uint64)
    return (
        np.concatenate([directed[:, 0], random_bits(random, count)]),
        np.concatenate([directed[:, 1], random_bits(random, count)]),
    )


def greater(left: int, right: int) -> int:
    """NaN if either is; subnormals are zero of their sign; +0 is above -0."""
    flushed = [bits if bits & 0x7F800000 else bits & 0x80000000 for bits in (left, right)]
    values = [struct.unpack("<f", struct.pack("<I", bits))[0] for bits in flushed]
    if any(map(math.isnan, values)):
        return NAN
    return flushed[0] if (values[0], -(flushed[0] >> 31)) >= (values[1], -(flushed[1] >> 31)) else flushed[1]


def test_maximum():
    left, right = pairs()
    left, right = left[:100_000], right[:100_000]
    expected = [greater(*pair) for pair in zip(left.tolist(), right.tolist(), strict=True)]
    assert run(a=left, b=right)["maximum"].tolist() == expected


def test_quotients():
    dividends, divisors = pairs()
    found = run(a=dividends, b=divisors)
    expected = divide(dividends.tolist(), divisors.tolist())
    wrong = np.flatnonzero(found["quotient"] != expected)
    assert not wrong.size, [
        [hex(x[at]) for x in (dividends, divisors, found["quotient"], expected)] for at in wrong[:5]
    ]
    # Subnormal divisors count as 0 too.
    assert np.array_equal(found["is_undivided"] == 1, divisors & np.uint64(0x7F800000) == 0)


def test_quotients_near_ties():
    # A dividend next to the product of divisor and a half-way point makes quotients next to a tie.
    random, count = np.random.default_rng(draw_seed()), random_count(300_000)
    divisors = random.integers(1 << 23, 1 << 24, count)
    halves = 2 * random.integers(1 << 23, 1 << 24, count) + 1
    products = divisors * halves
    dividends = np.where(products >> 48, products >> 25, products >> 24)
    a, b = ((number & 0x7FFFFF | 0x3F800000).astype(np.uint64) for number in (dividends, divisors))
    assert np.array_equal(run(a=a, b=b)["quotient"], divide(a.tolist(), b.tolist()))
