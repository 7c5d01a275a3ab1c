"""Polynomials in several variables with exact coefficients, and their sums over a variable."""

from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from math import comb

__all__ = ["ONE", "Monomial", "Polynomial", "between", "substituted"]

type Monomial = tuple[tuple[str, int], ...]
"""Variables with their powers, sorted by variable."""

type Polynomial = dict[Monomial, Fraction]
"""Monomials with their coefficients, none of which is zero."""

type Terms = Iterable[tuple[str, int]]
"""Variables with their coefficients."""

ONE: Polynomial = {(): Fraction(1)}


def substituted(polynomial: Polynomial, name: str, terms: Terms, constant: int) -> Polynomial:
    """Replace a variable by an affine expression."""
    value: Polynomial = {((other, 1),): Fraction(c) for other, c in terms}
    _add(value, (), Fraction(constant))
    total: Polynomial = {}
    powers = [ONE]
    for monomial, factor in polynomial.items():
        power = dict(monomial).get(name, 0)
        while len(powers) <= power:
            powers.append(_times(powers[-1], value))
        rest = tuple(term for term in monomial if term[0] != name)
        for found, x in _times({rest: factor}, powers[power]).items():
            _add(total, found, x)
    return total


def between(polynomial: Polynomial, name: str, least: tuple[Terms, int], greatest: tuple[Terms, int]) -> Polynomial:
    """Return the sum over the values of a variable from one affine expression to another, as a polynomial in the rest.

    Each expression is given as terms and a constant. The sum is that of a polynomial (Faulhaber), and right where there
    is a value at all, or the greatest is one below the least.
    """
    primitive = _primitive(name, polynomial)
    total = substituted(primitive, name, *greatest)
    for monomial, value in substituted(primitive, name, least[0], least[1] - 1).items():
        _add(total, monomial, -value)
    return total


def _add(total: Polynomial, monomial: Monomial, value: Fraction) -> None:
    found = total.get(monomial, Fraction(0)) + value
    if found:
        total[monomial] = found
    else:
        total.pop(monomial, None)


def _times(first: Polynomial, second: Polynomial) -> Polynomial:
    total: Polynomial = {}
    for a, x in first.items():
        for b, y in second.items():
            powers = dict(a)
            for name, power in b:
                powers[name] = powers.get(name, 0) + power
            _add(total, tuple(sorted(powers.items())), x * y)
    return total


@lru_cache(maxsize=64)
def _power_sum(power: int) -> tuple[Fraction, ...]:
    """Return the coefficients, from the constant on, of 1^power + ... + n^power as a polynomial in n (Faulhaber)."""
    bernoulli = [Fraction(1)]
    for m in range(1, power + 1):
        bernoulli.append(-sum((comb(m + 1, k) * bernoulli[k] for k in range(m)), Fraction(0)) / (m + 1))
    if power:
        bernoulli[1] = Fraction(1, 2)
    found = [Fraction(0)] * (power + 2)
    for k, number in enumerate(bernoulli):
        found[power + 1 - k] += Fraction(comb(power + 1, k), power + 1) * number
    return tuple(found)


def _primitive(name: str, summand: Polynomial) -> Polynomial:
    """Return a polynomial whose difference from x - 1 to x is the summand at x."""
    total: Polynomial = {}
    for monomial, factor in summand.items():
        rest = {other: power for other, power in monomial if other != name}
        for power, coefficient in enumerate(_power_sum(dict(monomial).get(name, 0))):
            powers = {**rest, **({name: power} if power else {})}
            _add(total, tuple(sorted(powers.items())), factor * coefficient)
    return total
