"""Count the integer points of polyhedra exactly, however many there are.

A variable is summed out symbolically: between its bounds, of which each is the tightest in a region of its own, a
polynomial has a sum that is a polynomial again. What is left at the end is a number. Equations are solved over the
integers (Euclid). Where every variable has a coefficient other than 1 and -1, the others are split by their residues;
values of a variable are enumerated only where those are more.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import product
from math import lcm
from typing import cast

from einsum_cascade.analysis.halfspaces import MOST_BOUNDS, Bound, opposite, real_shadow, replacement, room, tightest
from einsum_cascade.analysis.polynomials import ONE, Polynomial, between, substituted

__all__ = ["count_points_of", "count_where", "disjoint"]


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
        total *= _sum(part[0], part[1], ONE)
        if not total:
            break
    return int(total)


def count_where(variables: Sequence[str], bounds: Iterable[Bound], choices: Iterable[Sequence[Sequence[Bound]]]) -> int:
    """Return the number of integer points that satisfy all constraints, and of every choice one of its conjunctions."""
    parts = disjoint(tuple(dict.fromkeys(bounds)), tuple(choices))
    return sum(count_points_of(variables, part) for part in parts)


def disjoint(bounds: tuple[Bound, ...], choices: tuple[Sequence[Sequence[Bound]], ...]) -> Iterator[tuple[Bound, ...]]:
    """Yield disjoint polyhedra that make up what satisfies some constraints, and of every choice one conjunction."""
    if _is_empty(bounds):
        return
    if not choices:
        yield bounds
    elif all(bound in bounds for bound in choices[0][0]):
        yield from disjoint(bounds, choices[1:])
    else:
        first, *others = choices[0]
        yield from disjoint(tuple(dict.fromkeys((*bounds, *first))), choices[1:])
        held: list[Bound] = []
        for bound in first if others else ():
            yield from disjoint((*bounds, *held, bound.negated()), (others, *choices[1:]))
            held.append(bound)


def _is_empty(bounds: Iterable[Bound]) -> bool:
    """Tell whether constraints on single variables leave no room for some other one; False may be wrong."""
    kept = tightest(bounds)
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
    kept = tightest(bounds)
    if kept is None or not summand:
        return Fraction(0)
    if not variables:
        return summand.get((), Fraction(0))
    known = set(kept)
    equation = next((bound for bound in kept if opposite(bound) in known), None)
    if equation is not None:
        return _solved(variables, kept, summand, equation)
    name = _easiest(variables, kept)
    if name is None:
        return _split(variables, kept, summand)
    rest = tuple(other for other in variables if other != name)
    lows = [bound for bound in kept if bound.coefficient(name) > 0]
    highs = [bound for bound in kept if bound.coefficient(name) < 0]
    common = [bound for bound in kept if not bound.coefficient(name)]
    total = Fraction(0)
    for low_at, low in enumerate(lows):
        least = low.without(name).times(-1)
        for high_at, high in enumerate(highs):
            greatest = high.without(name)
            region = [*common, low.plus(high)]
            region += (o.plus(low, -1, -(at < low_at)) for at, o in enumerate(lows) if at != low_at)
            region += (o.plus(high, -1, -(at < high_at)) for at, o in enumerate(highs) if at != high_at)
            inside = between(summand, name, (least.terms, least.constant), (greatest.terms, greatest.constant))
            total += _sum(rest, region, inside)
    return total


def _solved(variables: tuple[str, ...], bounds: list[Bound], summand: Polynomial, equation: Bound) -> Fraction:
    """Sum over the solutions of an equation: a variable with coefficient 1 or -1 is replaced by what it equals.

    While there is none, the variable of the least coefficient is replaced by one that leaves remainders of the others.
    """
    name, value, constant = replacement(equation, dict(equation.terms))
    left = tuple(other for other in variables if other != name or name in value)
    replaced = [bound.at(name, value, constant) for bound in bounds]
    return _sum(left, replaced, substituted(summand, name, value.items(), constant))


def _easiest(variables: tuple[str, ...], bounds: list[Bound]) -> str | None:
    """Return the variable with the fewest pairs of bounds among those with no coefficient but 1 and -1."""
    costs: dict[str, int] = {}
    for name in variables:
        found = [bound.coefficient(name) for bound in bounds if bound.coefficient(name)]
        if all(abs(c) == 1 for c in found):
            costs[name] = found.count(1) * found.count(-1)
    return min(costs, key=lambda name: costs[name]) if costs else None


def _split(variables: tuple[str, ...], bounds: list[Bound], summand: Polynomial) -> Fraction:
    """Sum apart over what leaves one variable with coefficients 1 and -1: residues of others, or values of one."""
    ways: list[tuple[int, Iterator[dict[str, tuple[int, int]]]]] = []
    for name in variables:
        strided = [bound for bound in bounds if abs(bound.coefficient(name)) > 1]
        modulus = lcm(*(bound.coefficient(name) for bound in strided))
        others = sorted({other for bound in strided for other, c in bound.terms if other != name and c % modulus})
        values = _values_of(name, variables, bounds)
        ways += ((modulus ** len(others), _residues(modulus, others)), (len(values), _values(name, values)))
    _, cheapest = min(ways, key=lambda way: way[0])
    return sum((_replaced(variables, bounds, summand, values) for values in cheapest), Fraction(0))


def _residues(modulus: int, names: Sequence[str]) -> Iterator[dict[str, tuple[int, int]]]:
    for residues in product(range(modulus), repeat=len(names)):
        yield {name: (modulus, residue) for name, residue in zip(names, residues, strict=True)}


def _values(name: str, values: Iterable[int]) -> Iterator[dict[str, tuple[int, int]]]:
    for value in values:
        yield {name: (0, value)}


def _replaced(
    variables: tuple[str, ...], bounds: Iterable[Bound], summand: Polynomial, values: Mapping[str, tuple[int, int]]
) -> Fraction:
    """Sum with variables replaced by a factor times themselves and a constant."""
    for name, (factor, constant) in values.items():
        value = {name: factor} if factor else dict[str, int]()
        bounds = [bound.at(name, value, constant) for bound in bounds]
        summand = substituted(summand, name, value.items(), constant)
    return _sum(tuple(name for name in variables if values.get(name, (1, 0))[0]), bounds, summand)


def _values_of(name: str, variables: Iterable[str], bounds: Sequence[Bound]) -> range:
    """Return a range that has all values of a variable, by what the constraints leave of real numbers.

    Raises
    ------
    ValueError
        They leave it without an end.

    """
    kept = tightest(bounds)
    for other in variables:
        if other == name or kept is None:
            continue
        if len(kept) > MOST_BOUNDS and (found := room(bounds).get(name)) is not None and None not in found:
            return range(cast(int, found[0]), cast(int, found[1]) + 1)
        kept = tightest(real_shadow(other, kept))
    if kept is None:
        return range(0)
    lows = [-(bound.constant // c) for bound in kept if (c := bound.coefficient(name)) > 0]
    highs = [bound.constant // -c for bound in kept if (c := bound.coefficient(name)) < 0]
    if not lows or not highs:
        raise ValueError(f"variable {name!r} must have a constant bound on either side")
    return range(max(lows), min(highs) + 1)
