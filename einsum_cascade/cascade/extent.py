"""Extents: integer polynomials in the extents of ranks, with ceiling quotients.

This module decides what an extent is, when two are equal, and when one is provably not negative.
It does not know which ranks exist; `einsum_cascade.cascade.ir` does.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

__all__ = ["ONE", "ZERO", "Atom", "Extent", "Quotient", "ceil_div", "constant", "symbol"]


@dataclass(frozen=True)
class Quotient:
    """An atom: the ceiling of `numerator / denominator`."""

    numerator: "Extent"
    denominator: "Extent"

    def __str__(self) -> str:
        return f"{_operand(self.numerator)}/{_operand(self.denominator, is_divisor=True)}"


type Atom = str | Quotient
type Monomial = tuple[Atom, ...]


@dataclass(frozen=True)
class Extent:
    """A polynomial with integer coefficients over rank names and ceiling quotients, in canonical form.

    Parameters
    ----------
    terms
        Pairs of a monomial (a sorted tuple of atoms) and its coefficient, which is not zero.

    Examples
    --------
    >>> M, P = symbol("M"), symbol("P")
    >>> str(M + P - ONE)
    'M + P - 1'
    >>> (M + P - ONE).evaluate({"M": 5, "P": 3})
    7
    >>> str(ceil_div(M, constant(4)))
    'M/4'

    """

    terms: tuple[tuple[Monomial, int], ...]

    def __add__(self, other: "Extent") -> "Extent":
        if not self.terms or not other.terms:
            return self if self.terms else other
        return _collect((*self.terms, *other.terms))

    def __neg__(self) -> "Extent":
        return Extent(tuple((monomial, -coefficient) for monomial, coefficient in self.terms))

    def __sub__(self, other: "Extent") -> "Extent":
        return self + -other if other.terms else self

    def __mul__(self, other: "Extent") -> "Extent":
        return _collect((a + b, x * y) for a, x in self.terms for b, y in other.terms)

    def __bool__(self) -> bool:
        return bool(self.terms)

    def __str__(self) -> str:
        text = "".join(
            (" - " if coefficient < 0 else " + ") + _term(monomial, abs(coefficient))
            for monomial, coefficient in self.terms
        )
        if not text:
            return "0"
        return "-" + text[3:] if text.startswith(" - ") else text[3:]

    @cached_property
    def value(self) -> int | None:
        """The number, if no rank occurs; otherwise None."""
        if not self.terms:
            return 0
        return self.terms[0][1] if len(self.terms) == 1 and not self.terms[0][0] else None

    @cached_property
    def names(self) -> frozenset[str]:
        """The rank names that occur."""
        return frozenset(name for monomial, _ in self.terms for atom in monomial for name in _atom_names(atom))

    def evaluate(self, extents: Mapping[str, int]) -> int:
        """Return the number for given extents; `KeyError` names a rank without one."""
        return sum(
            coefficient * math.prod(_evaluate_atom(atom, extents) for atom in monomial)
            for monomial, coefficient in self.terms
        )

    def substitute(self, values: Mapping[str, "Extent"]) -> "Extent":
        """Replace rank names by extents."""
        if not self.names & values.keys():
            return self
        total = ZERO
        for monomial, coefficient in self.terms:
            product = constant(coefficient)
            for atom in monomial:
                product *= _substitute_atom(atom, values)
            total += product
        return total

    def is_nonnegative(self, positive: frozenset[str] = frozenset()) -> bool:
        """Tell whether the value is provably >= 0 for all extents >= 0, and >= 1 for ranks in `positive`.

        The proof shifts every positive rank by one and asks that no coefficient and no quotient be negative. A
        quotient q = a/b is used through b*q >= a and b*q <= a + b - 1. False means "not proved", never "disproved".
        """
        shifted = _unfold_products(self).substitute({name: symbol(name) + ONE for name in positive})
        return all(coefficient >= 0 and _are_nonnegative(monomial) for monomial, coefficient in shifted.terms)


def _collect(terms: Iterable[tuple[Monomial, int]]) -> Extent:
    sums: Counter[Monomial] = Counter()
    for monomial, coefficient in terms:
        sums[tuple(sorted(monomial, key=str))] += coefficient
    kept = ((monomial, coefficient) for monomial, coefficient in sums.items() if coefficient)
    return Extent(tuple(sorted(kept, key=lambda term: (-len(term[0]), [str(atom) for atom in term[0]]))))


def constant(value: int) -> Extent:
    """Return the extent that is one number."""
    return Extent((((), value),) if value else ())


def symbol(name: str) -> Extent:
    """Return the extent of the rank `name`."""
    return Extent((((name,), 1),))


ZERO = constant(0)
ONE = constant(1)


def ceil_div(numerator: Extent, denominator: Extent) -> Extent:
    """Return the ceiling of a quotient, evaluated if both are numbers or the denominator divides each term.

    Raises
    ------
    ZeroDivisionError
        The denominator is the number 0.

    """
    if denominator.value == 0:
        raise ZeroDivisionError("an extent must not be divided by 0")
    if denominator == ONE:
        return numerator
    if numerator.value is not None and denominator.value is not None:
        return constant(-(-numerator.value // denominator.value))
    return Extent((((Quotient(numerator, denominator),), 1),))


def _atom_names(atom: Atom) -> Iterator[str]:
    if isinstance(atom, str):
        yield atom
    else:
        yield from atom.numerator.names | atom.denominator.names


def _evaluate_atom(atom: Atom, extents: Mapping[str, int]) -> int:
    if isinstance(atom, str):
        return extents[atom]
    denominator = atom.denominator.evaluate(extents)
    if denominator == 0:
        raise ZeroDivisionError(f"the divisor of {atom} must not be 0")
    return -(-atom.numerator.evaluate(extents) // denominator)


def _substitute_atom(atom: Atom, values: Mapping[str, Extent]) -> Extent:
    if isinstance(atom, str):
        return values.get(atom, symbol(atom))
    return ceil_div(atom.numerator.substitute(values), atom.denominator.substitute(values))


def _are_nonnegative(atoms: Iterable[Atom]) -> bool:
    """Tell whether no quotient is negative; a rank never is."""
    quotients = (atom for atom in atoms if not isinstance(atom, str))
    return all(q.numerator.is_nonnegative() and q.denominator.is_nonnegative() for q in quotients)


def _unfold_products(extent: Extent) -> Extent:
    """Bound every product of a quotient with its own divisor from below, so that the quotient disappears."""
    total = ZERO
    for monomial, coefficient in extent.terms:
        total += _bound_product(monomial, coefficient)
    return total


def _bound_product(monomial: Monomial, coefficient: int) -> Extent:
    """Bound a term from below; what of its coefficient is no multiple of the divisor's stays as it is."""
    for position, atom in enumerate(monomial):
        if isinstance(atom, str) or len(atom.denominator.terms) != 1:
            continue
        ((divisors, factor),) = atom.denominator.terms
        times, left = divmod(abs(coefficient), factor) if factor > 0 else (0, 0)
        rest = Counter(monomial[:position] + monomial[position + 1 :])
        if times and not Counter(divisors) - rest and _are_nonnegative(rest):
            sign = 1 if coefficient > 0 else -1
            cofactor = Extent(((tuple(sorted((rest - Counter(divisors)).elements(), key=str)), sign * times),))
            bound = atom.numerator if coefficient > 0 else atom.numerator + atom.denominator - ONE
            return bound * cofactor + (Extent(((monomial, sign * left),)) if left else ZERO)
    return Extent(((monomial, coefficient),))


def _term(monomial: Monomial, coefficient: int) -> str:
    factors = [str(atom) for atom in monomial]
    if coefficient != 1 or not factors:
        factors.insert(0, str(coefficient))
    return "*".join(f"({factor})" if "/" in factor and len(factors) > 1 else factor for factor in factors)


def _operand(extent: Extent, *, is_divisor: bool = False) -> str:
    text = str(extent)
    is_plain = len(extent.terms) == 1 and not any(character in text for character in ("*/-" if is_divisor else "-/"))
    return text if is_plain else f"({text})"
