"""The arithmetic of the array on NumPy arrays of fp32, to the bit.

What is computed is written down in docs/decisions/0006-the-array-and-its-program.md. The way is not that of the RTL:
float64 holds every product of two fp32 numbers exactly, and rounding to odd before rounding to fp32 makes one of two.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.cascade.formats import Format, round_to
from einsum_cascade.program.numbers import LOG2E_BITS, Numbers, Step

__all__ = ["LOWEST", "NAN", "Exponential", "add", "greater", "high", "low", "multiply_add", "quotient"]

type Single = NDArray[np.float32]

NAN = np.array(0x7FC00000, np.uint32).view(np.float32)[()]
LOWEST = np.array(0xFF7FFFFF, np.uint32).view(np.float32)[()]
"""What running maxima start with."""

_LEAST = 2.0**-126
# What rounds up to the least normal number with 24 bits and no bound on the exponent.
_ROUNDS_UP = 2.0**-126 - 2.0**-151
_LIMIT = np.float32(127)


def multiply_add(a: Single, b: Single, c: Single) -> Single:
    """Return a * b + c, rounded once; parameters are not subnormal."""
    with np.errstate(all="ignore"):
        product = a.astype(np.float64) * b
        return _single(_odd_sum(product, c.astype(np.float64)))


def add(a: Single, b: Single) -> Single:
    """Return a + b, rounded once; parameters are not subnormal."""
    with np.errstate(all="ignore"):
        return _single(a.astype(np.float64) + b)


def quotient(a: Single, b: Single) -> tuple[Single, NDArray[np.bool_]]:
    """Return a / b rounded correctly, +0 where b is 0, and where that is."""
    with np.errstate(all="ignore"):
        is_empty = b == 0
        return np.where(is_empty, np.float32(0), _single(a.astype(np.float64) / b)), is_empty


def greater(a: Single, b: Single) -> Single:
    """Return the greater of two numbers; +0 is above -0, NaN if either is."""
    with np.errstate(all="ignore"):
        found = np.where(a > b, a, b)
        # Both are equal: the sign bit stays if both have it, which matters for zeros only.
        equal = (np.asarray(a, np.float32).view(np.uint32) & np.asarray(b, np.float32).view(np.uint32)).view(np.float32)
        found = np.where(a == b, equal, found)
        return np.where(np.isnan(a) | np.isnan(b), NAN, found)


def high(a: Single, bits: int) -> Single:
    """Return a number rounded to a number of significand bits."""
    if bits >= 24:
        return a
    drop = 24 - bits
    raw = np.asarray(a, np.float32).view(np.uint32)
    half = np.uint32((1 << (drop - 1)) - 1) + (raw >> np.uint32(drop) & np.uint32(1))
    kept = (raw + half) & np.uint32(0xFFFFFFFF << drop & 0xFFFFFFFF)
    return np.where(np.isnan(a), NAN, kept.view(np.float32))


def low(a: Single, bits: int) -> Single:
    """Return what rounding to a number of significand bits leaves, rounded to as many."""
    with np.errstate(all="ignore"):
        return high(_single(a.astype(np.float64) - high(a, bits)), bits)


def _odd_sum(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a + b rounded to odd, so that a later rounding to fewer bits is right."""
    total = a + b
    part = total - a
    error = (a - (total - part)) + (b - part)
    bits = total.view(np.int64)
    is_even = (bits & 1) == 0
    is_inexact = (error != 0) & is_even & np.isfinite(total)
    # Towards the exact sum; away from zero if the error has the sign of the sum.
    step = np.where((error > 0) == (total > 0), 1, -1)
    return np.where(is_inexact, (bits + step).view(np.float64), total)


def _single(value: NDArray[np.float64]) -> Single:
    found = value.astype(np.float32)
    size = np.abs(value)
    found = np.where(size < _ROUNDS_UP, np.copysign(np.float32(0), found), found)
    return np.where(np.isnan(value), NAN, found)


class Exponential:
    """The slots of an exponential, for any number of PEs or lanes at once.

    Parameters
    ----------
    numbers
        The formats; None for a lane of the vector row, which multiplies 24 x 24 bits and does not round.
    steps
        The slots.

    """

    def __init__(self, numbers: Numbers | None, steps: tuple[Step, ...]) -> None:
        """Take the formats; nothing is computed yet."""
        self.steps = steps
        self.operand_bits = 24 if numbers is None else numbers.operand_bits
        self.score_bits = 24 if numbers is None else numbers.score_bits
        self.form: Format | None = None if numbers is None else numbers.score

    def __call__(self, value: Single, maximum: Single) -> Single:
        """Return exp(value - maximum)."""
        working, fraction, exponent = value, np.zeros_like(value), np.zeros(value.shape, np.int32)
        for index in range(len(self.steps)):
            working, fraction, exponent = self.slot(index, working, maximum, fraction, exponent)
        return working

    def slot(
        self, index: int, working: Single, maximum: Single, fraction: Single, exponent: NDArray[np.int32]
    ) -> tuple[Single, Single, NDArray[np.int32]]:
        """Return the working value and the temporaries after a slot."""
        step = self.steps[index]
        match step.kind:
            case "subtract":
                return _clamped(add(working, -maximum)), fraction, exponent
            case "scale":
                is_first = self.steps[index - 1].kind == "subtract"
                total = self._scaled(step, working, np.zeros_like(fraction) if is_first else fraction)
                return (working, *_split(total)) if step.is_last else (working, total, exponent)
            case "horner":
                leading = np.broadcast_to(_constant(step.leading_bits), working.shape)
                value = leading if step.leading_bits else working
                factors = high(fraction, self.operand_bits), high(value, self.score_bits)
                value = multiply_add(*factors, np.broadcast_to(_constant(step.coefficient_bits), working.shape))
                return (self._finished(value, exponent) if step.is_last else value), fraction, exponent

    def _scaled(self, step: Step, value: Single, total: Single) -> Single:
        constant = np.broadcast_to(_constant(LOG2E_BITS), value.shape)
        bits = self.operand_bits
        return multiply_add(_part(constant, step.constant_part, bits), _part(value, step.value_part, bits), total)

    def _finished(self, value: Single, exponent: NDArray[np.int32]) -> Single:
        with np.errstate(all="ignore"):
            exact = np.ldexp(value.astype(np.float64), exponent)
            found = np.where(exact < _LEAST, np.float32(0), exact.astype(np.float32))
            found = np.where(np.isnan(exact), NAN, found).astype(np.float32)
            if self.form is None:
                return found
            return np.where(np.isnan(found), NAN, round_to(found, self.form)).astype(np.float32)


def _part(value: Single, part: str, bits: int) -> Single:
    return value if part == "whole" else high(value, bits) if part == "high" else low(value, bits)


def _constant(bits: int) -> Single:
    return np.array(bits, np.uint32).view(np.float32)


def _clamped(value: Single) -> Single:
    with np.errstate(all="ignore"):
        return np.where(np.isnan(value), NAN, np.clip(value, -_LIMIT, _LIMIT)).astype(np.float32)


def _split(total: Single) -> tuple[Single, NDArray[np.int32]]:
    """Return fraction and integer of a number, the integer to the nearest, ties to even."""
    whole = np.rint(total)
    is_nan = np.isnan(total)
    fraction: Any = np.where(is_nan, NAN, total - whole)
    return fraction.astype(np.float32), np.where(is_nan, 0, whole).astype(np.int32)
