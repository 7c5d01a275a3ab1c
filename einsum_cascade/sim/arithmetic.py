"""The arithmetic of the array on NumPy arrays of fp32, to the bit.

What is computed is written down in docs/decisions/0006-the-array-and-its-program.md. The way is not that of the RTL:
float64 holds every product of two fp32 numbers exactly, and rounding to odd before rounding to a format that has at
least two bits less makes one of two.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.array.numbers import LOWEST as LOWEST_NUMBER
from einsum_cascade.array.numbers import SINGLE, Above, FunctionSlot, Numbers
from einsum_cascade.formats import Format, round_to

__all__ = ["LOWEST", "NAN", "Exponential", "SlotState", "add", "greater", "high", "low", "multiply_add", "quotient"]

type Single = NDArray[np.float32]

NAN = np.array(0x7FC00000, np.uint32).view(np.float32)[()]
LOWEST = np.float32(LOWEST_NUMBER)

_LEAST = 2.0**-126
_LIMIT = np.float32(2**64)
_MOST_POWER = np.float32(128)
"""2^128 is infinite, and 2^-128 is 0."""


def multiply_add(a: Single, b: Single, c: Single, form: Format = SINGLE) -> Single:
    """Return a * b + c, rounded once, to a format that fits into fp32; parameters are not subnormal fp32 numbers."""
    with np.errstate(all="ignore"):
        product = a.astype(np.float64) * b
        return _nearest(_odd_sum(product, c.astype(np.float64)), form)


def add(a: Single, b: Single, form: Format = SINGLE) -> Single:
    """Return a + b, likewise."""
    with np.errstate(all="ignore"):
        return _nearest(_odd_sum(a.astype(np.float64), b.astype(np.float64)), form)


def quotient(a: Single, b: Single) -> tuple[Single, NDArray[np.bool_]]:
    """Return a / b rounded correctly, +0 where b is 0, and where that is."""
    with np.errstate(all="ignore"):
        is_empty = b == 0
        return np.where(is_empty, np.float32(0), _nearest(a.astype(np.float64) / b)), is_empty


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
        return high(_nearest(a.astype(np.float64) - high(a, bits)), bits)


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


def _nearest(value: NDArray[np.float64], form: Format = SINGLE) -> Single:
    found = round_to(value, form).astype(np.float32)
    if form.exponent_bits == SINGLE.exponent_bits:
        # What rounds up to the least normal number with the bits of the format and no bound on the exponent.
        rounds_up = _LEAST * (1 - 2.0 ** (-2 - form.mantissa_bits))
        found = np.where(np.abs(value) < rounds_up, np.copysign(np.float32(0), found), found)
    return np.where(np.isnan(value), NAN, found)


class SlotState(NamedTuple):
    """What a PE or a lane works on: the value, and the temporaries of its slots, arrays of one shape.

    Parameters
    ----------
    value
        x, then the value of the polynomial, then the result.
    fraction, exponent
        The sum of scaled parts, then its fraction and its integer.
    kept
        Of a sigmoid: exp(-|x|) with the sign of x. Of a feature map: the value, or 0 where it is negative.

    """

    value: Single
    fraction: Single
    exponent: NDArray[np.int32]
    kept: Single

    @classmethod
    def of(cls, value: Single) -> "SlotState":
        """Return the state before the first slot."""
        zero = np.zeros_like(value)
        return cls(value, zero, np.zeros(value.shape, np.int32), zero)


class Exponential:
    """The slots of exponentials, sigmoids and feature maps, for any number of PEs or lanes at once.

    Parameters
    ----------
    numbers
        The formats; None for a lane of the vector row, which multiplies 24 x 24 bits and does not round.
    steps
        The slots.

    """

    def __init__(self, numbers: Numbers | None, steps: tuple[FunctionSlot, ...]) -> None:
        """Take the formats; nothing is computed yet."""
        self.steps = steps
        self.operand_bits = 24 if numbers is None else numbers.operand_bits
        self.score_bits = 24 if numbers is None else numbers.score_bits
        self.form: Format | None = None if numbers is None else numbers.score

    def run(self, value: Single, ups: Mapping[Above, Single | float], first: int = 0) -> Single:
        """Return what the slots from the first one on make of a value, until one leaves the result.

        Parameters
        ----------
        value
            What a PE or a lane begins with.
        ups
            What comes from above, by name; 0 does where a slot takes nothing.
        first
            The slot that the function begins with.

        """
        state = SlotState.of(value)
        for index in range(first, len(self.steps)):
            step = self.steps[index]
            up = np.float32(0 if step.above is None else ups[step.above])
            state = self.slot(index, state, np.broadcast_to(up, value.shape))
            if step.is_result:
                break
        return state.value

    def slot(self, index: int, state: SlotState, up: Single) -> SlotState:
        """Return the state after a slot; `up` is what comes from above, `FunctionSlot.above`."""
        step, (value, fraction, exponent, kept) = self.steps[index], state
        match step.kind:
            case "subtract":
                return state._replace(value=_clamped(add(value, -up)))
            case "multiply":
                return state._replace(value=multiply_add(up, value, np.zeros_like(value)))
            case "add":
                x = _clamped(add(up, value))
                return state._replace(value=np.where(np.isnan(x), NAN, -np.abs(x)), kept=np.copysign(np.float32(0), x))
            case "scale":
                is_first = self.steps[index - 1].kind != "scale"
                part = _part(value, step.value_part, self.score_bits)
                total = multiply_add(up, part, np.zeros_like(fraction) if is_first else fraction)
                split = _split(total) if step.is_last else (total, exponent)
                return state._replace(fraction=split[0], exponent=split[1])
            case "horner":
                leading = np.broadcast_to(_constant(step.leading_bits), value.shape)
                factor = leading if step.leading_bits else value
                factors = high(fraction, self.operand_bits), high(factor, self.score_bits)
                found = multiply_add(*factors, np.broadcast_to(_constant(step.coefficient_bits), value.shape))
                return state._replace(value=self._finished(found, exponent, step) if step.is_last else found)
            case "complement":
                half = np.full_like(value, -0.5)
                return state._replace(fraction=add(half, value), kept=np.copysign(value, kept))
            case "finish":
                factor = np.where(np.signbit(kept), np.abs(kept), np.float32(1))
                return state._replace(value=self._rounded(multiply_add(factor, value, np.zeros_like(value))))
            case "rectify":
                x = add(up, value)
                with np.errstate(invalid="ignore"):
                    is_positive = x > 0
                kept = np.where(is_positive, x, np.float32(0))
                return state._replace(value=np.where(is_positive, np.float32(0), _clamped(x)), kept=kept)
            case "restore":
                return state._replace(value=self._rounded(add(kept, value)))

    def _finished(self, value: Single, exponent: NDArray[np.int32], step: FunctionSlot) -> Single:
        with np.errstate(all="ignore"):
            exact = np.ldexp(value.astype(np.float64), exponent)
            found = np.where(exact < _LEAST, np.float32(0), exact.astype(np.float32))
        found = np.where(np.isnan(exact), NAN, found).astype(np.float32)
        return self._rounded(found) if step.is_result else found

    def _rounded(self, value: Single) -> Single:
        if self.form is None:
            return value
        with np.errstate(all="ignore"):
            return np.where(np.isnan(value), NAN, round_to(value, self.form)).astype(np.float32)


def _part(value: Single, part: str, bits: int) -> Single:
    return value if part == "whole" else high(value, bits) if part == "high" else low(value, bits)


def _constant(bits: int) -> Single:
    return np.array(bits, np.uint32).view(np.float32)


def _clamped(value: Single) -> Single:
    with np.errstate(all="ignore"):
        return np.where(np.isnan(value), NAN, np.clip(value, -_LIMIT, _LIMIT)).astype(np.float32)


def _split(total: Single) -> tuple[Single, NDArray[np.int32]]:
    """Return fraction and integer of a number, the integer to the nearest, ties to even, and within 128 of 0."""
    is_nan = np.isnan(total)
    with np.errstate(all="ignore"):
        limited = np.clip(total, -_MOST_POWER, _MOST_POWER)
    whole = np.rint(limited)
    fraction: Any = np.where(is_nan, NAN, limited - whole)
    return fraction.astype(np.float32), np.where(is_nan, 0, whole).astype(np.int32)
