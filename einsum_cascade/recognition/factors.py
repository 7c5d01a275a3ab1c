"""Constant factors of scores, and the one number that the differences of a program are multiplied by."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from einsum_cascade.array.numbers import LEAST_SCALE, MOST_SCALE
from einsum_cascade.cascade.ir import Apply, Einsum, Expression
from einsum_cascade.cascade.operators import OPERATORS
from einsum_cascade.errors import IllegalMappingError
from einsum_cascade.recognition.scaling import constant_of

__all__ = ["Factor", "Scaled", "scale_of"]


@dataclass(frozen=True, slots=True)
class Factor:
    """A product of constants, each to the power of 1 or -1.

    Parameters
    ----------
    terms
        The constants and their powers.

    """

    terms: tuple[tuple[Expression, int], ...] = ()

    def __mul__(self, other: "Factor") -> "Factor":
        return Factor(self.terms + other.terms)

    @property
    def inverse(self) -> "Factor":
        """The factor that makes 1 with this one."""
        return Factor(tuple((constant, -power) for constant, power in self.terms))

    def value(self, extents: Mapping[str, int]) -> float:
        """Return the factor for some extents; infinite or not a number where a constant is, or where one is 0."""
        found = np.float64(1)
        with np.errstate(all="ignore"):
            for constant, power in self.terms:
                own = np.float64(constant_of(constant, extents))
                found = found * own if power > 0 else found / own
        return float(found)

    def times(self, expression: Expression) -> Expression:
        """Return an expression multiplied by the factor."""
        for constant, power in self.terms:
            expression = Apply(OPERATORS["*" if power > 0 else "/"], (expression, constant))
        return expression


@dataclass(frozen=True, slots=True)
class Scaled:
    """An Einsum that compares scores, and what these were multiplied by.

    Parameters
    ----------
    einsum
        As the cascade has it.
    factors
        Of everything that it compares.
    is_exponential
        Whether it raises their difference, and does not take their maximum.

    """

    einsum: Einsum
    factors: tuple[Factor, ...]
    is_exponential: bool


def scale_of(scaled: Iterable[Scaled], extents: Mapping[str, int]) -> float:
    """Return what the differences are multiplied by that a program raises; 1 if there are none.

    Parameters
    ----------
    scaled
        The Einsums of the program that compare scores.
    extents
        Of all ranks.

    Raises
    ------
    IllegalMappingError
        What is compared has not one factor, or that is not positive, or beyond what the array can multiply by.

    """
    found: tuple[Einsum, float] | None = None
    for each in scaled:
        scale = _common(each, extents)
        if not each.is_exponential:
            continue
        if not LEAST_SCALE <= scale <= MOST_SCALE:
            raise _refused(each.einsum, f"must multiply by 2^-56 to 2^61 for the array, not by {scale!r}; change it")
        if found is not None and not _is_same(found[1], scale):
            raise _refused(
                each.einsum,
                f"must multiply by the {found[1]!r} of {found[0]} for the array, not by {scale!r}; scale both alike",
            )
        found = found or (each.einsum, scale)
    return 1.0 if found is None else found[1]


def _common(scaled: Scaled, extents: Mapping[str, int]) -> float:
    first, *others = (factor.value(extents) for factor in scaled.factors)
    for value in (first, *others):
        if not 0 < value < math.inf:
            must = "must compare scores that are multiplied by a positive number for the array"
            raise _refused(scaled.einsum, f"{must}, not by {value!r}; change it")
    for value in others:
        if not _is_same(first, value):
            must = "must compare what is multiplied by one number for the array"
            raise _refused(scaled.einsum, f"{must}, not by {first!r} and {value!r}; scale both alike")
    return first


def _is_same(a: float, b: float) -> bool:
    """Tell whether two numbers are one, written in different ways."""
    return math.isclose(a, b, rel_tol=1e-12)


def _refused(einsum: Einsum, what: str) -> IllegalMappingError:
    return IllegalMappingError([f"{einsum} {what}"])
