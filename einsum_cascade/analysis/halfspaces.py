"""Linear constraints over integer variables, and what follows from them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import gcd
from typing import cast

__all__ = [
    "MOST_BOUNDS",
    "Bound",
    "is_exact",
    "needed",
    "opposite",
    "real_shadow",
    "replacement",
    "room",
    "sides",
    "tightest",
]

MOST_BOUNDS = 100
"""Constraints from which eliminating variables takes longer than looking at more values: they are squared each time."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A constraint: the sum of variables times coefficients and a constant is not negative.

    Parameters
    ----------
    terms
        Pairs of a variable and its coefficient, sorted by variable; no coefficient is zero.
    constant
        The constant.

    """

    terms: tuple[tuple[str, int], ...]
    constant: int

    @classmethod
    def of(cls, coefficients: Mapping[str, int], constant: int) -> "Bound":
        """Make a constraint, in lowest terms: over integers, the constant may be rounded down."""
        terms = tuple(sorted((name, c) for name, c in coefficients.items() if c))
        divisor = gcd(*(c for _, c in terms)) or 1
        return cls(tuple((name, c // divisor) for name, c in terms), constant // divisor)

    def coefficient(self, variable: str) -> int:
        """Return the coefficient of a variable."""
        return next((c for name, c in self.terms if name == variable), 0)

    def plus(self, other: "Bound", factor: int = 1, constant: int = 0) -> "Bound":
        """Return the sum with a multiple of another constraint."""
        sums = dict(self.terms)
        for name, c in other.terms:
            sums[name] = sums.get(name, 0) + factor * c
        return Bound.of(sums, self.constant + factor * other.constant + constant)

    def times(self, factor: int) -> "Bound":
        """Return a multiple that is not in lowest terms."""
        return Bound(tuple((name, factor * c) for name, c in self.terms), factor * self.constant)

    def negated(self) -> "Bound":
        """Return the constraint that holds where this one does not."""
        return Bound.of({name: -c for name, c in self.terms}, -self.constant - 1)

    def without(self, variable: str) -> "Bound":
        """Return what is left of it if a variable is zero."""
        return Bound(tuple(term for term in self.terms if term[0] != variable), self.constant)

    def at(self, variable: str, terms: Mapping[str, int], constant: int) -> "Bound":
        """Return the constraint with an affine expression instead of a variable."""
        c = self.coefficient(variable)
        if not c:
            return self
        sums = {name: factor for name, factor in self.terms if name != variable}
        for name, factor in terms.items():
            sums[name] = sums.get(name, 0) + c * factor
        return Bound.of(sums, self.constant + c * constant)


def opposite(bound: Bound) -> Bound:
    """Return the constraint that makes an equation of a bound."""
    return Bound(tuple((name, -c) for name, c in bound.terms), -bound.constant)


def tightest(bounds: Iterable[Bound]) -> list[Bound] | None:
    """Return the constraints without those that others imply at once; None if no point satisfies them."""
    least: dict[tuple[tuple[str, int], ...], int] = {}
    for bound in bounds:
        least[bound.terms] = min(bound.constant, least.get(bound.terms, bound.constant))
    if least.pop((), 0) < 0:
        return None
    for terms, constant in least.items():
        opposite = tuple((name, -c) for name, c in terms)
        if opposite in least and constant + least[opposite] < 0:
            return None
    return [Bound(terms, constant) for terms, constant in least.items()]


def sides(name: str, bounds: Sequence[Bound]) -> tuple[list[Bound], list[Bound], list[Bound]]:
    """Return the bounds from below, from above, and those on others."""
    lows = [bound for bound in bounds if bound.coefficient(name) > 0]
    highs = [bound for bound in bounds if bound.coefficient(name) < 0]
    return lows, highs, [bound for bound in bounds if not bound.coefficient(name)]


def is_exact(name: str, bounds: list[Bound]) -> bool:
    """Tell whether every pair of bounds of a variable has a coefficient 1 or -1."""
    lows, highs, _ = sides(name, bounds)
    return all(b.coefficient(name) == 1 for b in lows) or all(b.coefficient(name) == -1 for b in highs)


def replacement(equation: Bound, mine: Mapping[str, int]) -> tuple[str, dict[str, int], int]:
    """Return a variable of an equation, of some with their coefficients, and what stands in its place.

    That is its value if its coefficient is 1 or -1, else itself less what others leave of it (Euclid).
    """
    name = min(mine, key=lambda name: (abs(mine[name]), name))
    c = mine[name]
    if abs(c) == 1:
        return name, {n: -c * k for n, k in equation.terms if n != name}, -c * equation.constant
    others = {other: -(factor // c) for other, factor in mine.items() if other != name}
    return name, {name: 1, **others}, 0


def room(bounds: Sequence[Bound]) -> dict[str, tuple[int | None, int | None]]:
    """Return the least and the most of every variable that each constraint leaves, given those of the others.

    They hold in any case, and get no tighter than some rounds make them.
    """
    least: dict[str, int] = {}
    most: dict[str, int] = {}
    names = {name for bound in bounds for name, _ in bound.terms}
    for _ in range(len(names) + 1):
        for bound in bounds:
            for name, c in bound.terms:
                ends = [(most if k > 0 else least).get(other) for other, k in bound.terms if other != name]
                if None in ends:
                    continue
                others = [k for other, k in bound.terms if other != name]
                rest = bound.constant + sum(k * cast(int, end) for k, end in zip(others, ends, strict=True))
                if c > 0:
                    least[name] = max(-(rest // c), least.get(name, -(rest // c)))
                else:
                    most[name] = min(rest // -c, most.get(name, rest // -c))
    return {name: (least.get(name), most.get(name)) for name in names}


def needed(bounds: Iterable[Bound]) -> list[Bound]:
    """Return constraints without those that the others imply; not all of these are found."""
    kept = tightest(bounds)
    if kept is None:
        return [Bound((), -1)]
    # Those of the most variables are dropped first: the others are easier to sum under.
    for bound in sorted(kept, key=lambda own: (-len(own.terms), own.terms)):
        others = [own for own in kept if own != bound]
        if opposite(bound) not in kept and _is_void([*others, bound.negated()]):
            kept = others
    return kept


def _is_void(bounds: Iterable[Bound]) -> bool:
    """Tell whether no point satisfies constraints (Fourier and Motzkin); False where they become too many."""
    kept = tightest(bounds)
    for name in sorted({name for bound in kept or () for name, _ in bound.terms}):
        if kept is None or len(kept) > MOST_BOUNDS:
            break
        kept = tightest(real_shadow(name, kept))
    return kept is None


def real_shadow(name: str, bounds: Sequence[Bound]) -> Iterator[Bound]:
    """Yield what constraints say of the other variables, for some real value of one (Fourier and Motzkin)."""
    lows, highs, rest = sides(name, bounds)
    yield from rest
    for low in lows:
        for high in highs:
            yield low.times(-high.coefficient(name)).plus(high, low.coefficient(name))
