"""Count the integer points of polyhedra exactly, however many there are.

A variable is summed out symbolically: between its bounds, of which each is the tightest in a region of its own, a
polynomial has a sum that is a polynomial again (Faulhaber). What is left at the end is a number. Nothing is enumerated
but a variable that has a coefficient other than 1 and -1 beside others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import comb, gcd

__all__ = ["Bound", "count_points_of", "count_where"]


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

    def negated(self) -> "Bound":
        """Return the constraint that holds where this one does not."""
        return Bound.of({name: -c for name, c in self.terms}, -self.constant - 1)

    def without(self, variable: str) -> "Bound":
        """Return what is left of it if a variable is zero."""
        return Bound(tuple(term for term in self.terms if term[0] != variable), self.constant)

    def at(self, variable: str, value: int) -> "Bound":
        """Return the constraint for one value of a variable."""
        rest = self.without(variable)
        return Bound.of(dict(rest.terms), self.constant + value * self.coefficient(variable))


type Monomial = tuple[tuple[str, int], ...]
type Polynomial = dict[Monomial, Fraction]

_UNIT: Polynomial = {(): Fraction(1)}


def count_points_of(variables: Sequence[str], bounds: Iterable[Bound]) -> int:
    """Return the number of integer points that satisfy all constraints, which must bound every variable.

    Examples
    --------
    >>> x, y = {"x": 1}, {"y": 1}
    >>> box = [Bound.of(x, 0), Bound.of({"x": -1}, 9), Bound.of(y, 0), Bound.of({"y": -1}, 9)]
    >>> count_points_of(("x", "y"), [*box, Bound.of({"x": -1, "y": 1}, 0)])
    55

    """
    total = 1
    for part in _components(variables, tuple(bounds)):
        total *= _sum(part[0], part[1], _UNIT)
        if not total:
            break
    return int(total)


def count_where(variables: Sequence[str], bounds: Iterable[Bound], choices: Iterable[Sequence[Sequence[Bound]]]) -> int:
    """Return the number of integer points that satisfy all constraints, and of every choice one of its conjunctions."""
    parts = _disjoint(tuple(dict.fromkeys(bounds)), tuple(choices))
    return sum(count_points_of(variables, part) for part in parts)


def _disjoint(bounds: tuple[Bound, ...], choices: tuple[Sequence[Sequence[Bound]], ...]) -> Iterator[tuple[Bound, ...]]:
    """Yield disjoint polyhedra that make up what satisfies some constraints and choices."""
    if _is_empty(bounds):
        return
    if not choices:
        yield bounds
    elif all(bound in bounds for bound in choices[0][0]):
        yield from _disjoint(bounds, choices[1:])
    else:
        first, *others = choices[0]
        yield from _disjoint(tuple(dict.fromkeys((*bounds, *first))), choices[1:])
        held: list[Bound] = []
        for bound in first if others else ():
            yield from _disjoint((*bounds, *held, bound.negated()), (others, *choices[1:]))
            held.append(bound)


def _is_empty(bounds: Iterable[Bound]) -> bool:
    """Tell whether constraints on single variables leave no room for some other one; False may be wrong."""
    kept = _tightest(bounds)
    if kept is None:
        return True
    greatest: dict[tuple[str, bool], int] = {}
    for bound in kept:
        if len(bound.terms) == 1:
            ((name, c),) = bound.terms
            greatest[name, c < 0] = bound.constant // abs(c)

    def most(name: str, c: int) -> float:
        """Return the greatest value of a term: a low bound `name + k >= 0` and a high one `k - name >= 0` limit it."""
        known = greatest.get((name, c > 0))
        return float("inf") if known is None else abs(c) * known

    return any(sum(most(name, c) for name, c in bound.terms) + bound.constant < 0 for bound in kept)


def _components(
    variables: Sequence[str], bounds: tuple[Bound, ...]
) -> Iterator[tuple[tuple[str, ...], tuple[Bound, ...]]]:
    """Yield groups of variables that no constraint connects, with their constraints; constants alone first."""
    yield (), tuple(bound for bound in bounds if not bound.terms)
    left = list(variables)
    while left:
        group = {left[0]}
        grown = True
        while grown:
            touched = {n for b in bounds if group & {n for n, _ in b.terms} for n, _ in b.terms}
            grown = not touched <= group
            group |= touched
        yield (
            tuple(name for name in left if name in group),
            tuple(bound for bound in bounds if any(name in group for name, _ in bound.terms)),
        )
        left = [name for name in left if name not in group]


def _sum(variables: tuple[str, ...], bounds: Iterable[Bound], summand: Polynomial) -> Fraction:
    """Return the sum of a polynomial over the points of a polyhedron."""
    kept = _tightest(bounds)
    if kept is None or not summand:
        return Fraction(0)
    if not variables:
        return summand.get((), Fraction(0))
    name = _easiest(variables, kept)
    if name is None:
        return _enumerated(variables, kept, summand)
    rest = tuple(other for other in variables if other != name)
    lows = [bound for bound in kept if bound.coefficient(name) > 0]
    highs = [bound for bound in kept if bound.coefficient(name) < 0]
    common = [bound for bound in kept if not bound.coefficient(name)]
    primitive = _primitive(name, summand)
    total = Fraction(0)
    for low_at, low in enumerate(lows):
        for high_at, high in enumerate(highs):
            region = [*common, low.plus(high)]
            region += (o.plus(low, -1, -(at < low_at)) for at, o in enumerate(lows) if at != low_at)
            region += (o.plus(high, -1, -(at < high_at)) for at, o in enumerate(highs) if at != high_at)
            inside = _between(name, primitive, low, high)
            total += _sum(rest, region, inside)
    return total


def _tightest(bounds: Iterable[Bound]) -> list[Bound] | None:
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


def _easiest(variables: tuple[str, ...], bounds: list[Bound]) -> str | None:
    """Return the variable with the fewest pairs of bounds among those with no coefficient but 1 and -1."""
    costs: dict[str, int] = {}
    for name in variables:
        found = [bound.coefficient(name) for bound in bounds if bound.coefficient(name)]
        if all(abs(c) == 1 for c in found):
            costs[name] = found.count(1) * found.count(-1)
    return min(costs, key=lambda name: costs[name]) if costs else None


def _enumerated(variables: tuple[str, ...], bounds: list[Bound], summand: Polynomial) -> Fraction:
    """Sum value by value over the variable that has the fewest."""
    ranges = {name: _range(name, bounds) for name in variables}
    name = min(ranges, key=lambda name: len(ranges[name]))
    rest = tuple(other for other in variables if other != name)
    return sum(
        (
            _sum(rest, [bound.at(name, value) for bound in bounds], _substituted(summand, name, (), value))
            for value in ranges[name]
        ),
        Fraction(0),
    )


def _range(name: str, bounds: list[Bound]) -> range:
    """Return the values that the constraints on one variable alone leave."""
    alone = [(bound.coefficient(name), bound.constant) for bound in bounds if len(bound.terms) == 1]
    lows = [-(constant // c) for c, constant in alone if c > 0]
    highs = [constant // -c for c, constant in alone if c < 0]
    if not lows or not highs:
        raise ValueError(f"variable {name!r} must have a constant bound on either side")
    return range(max(lows), min(highs) + 1)


# Polynomials


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


def _substituted(summand: Polynomial, name: str, terms: Iterable[tuple[str, int]], constant: int) -> Polynomial:
    """Replace a variable by an affine expression."""
    value: Polynomial = {((other, 1),): Fraction(c) for other, c in terms}
    _add(value, (), Fraction(constant))
    total: Polynomial = {}
    powers = [_UNIT]
    for monomial, factor in summand.items():
        power = dict(monomial).get(name, 0)
        while len(powers) <= power:
            powers.append(_times(powers[-1], value))
        rest = tuple(term for term in monomial if term[0] != name)
        for found, x in _times({rest: factor}, powers[power]).items():
            _add(total, found, x)
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


def _between(name: str, primitive: Polynomial, low: Bound, high: Bound) -> Polynomial:
    """Return the sum from the least to the greatest value of a variable, as a polynomial in the others."""
    least, greatest = low.without(name), high.without(name)
    total = _substituted(primitive, name, greatest.terms, greatest.constant)
    below = [(other, -c) for other, c in least.terms]
    for monomial, value in _substituted(primitive, name, below, -least.constant - 1).items():
        _add(total, monomial, -value)
    return total
