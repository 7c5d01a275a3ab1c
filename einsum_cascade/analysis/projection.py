"""Count integer points of some variables for which others have values that satisfy constraints: images of polyhedra.

Hidden variables are eliminated one by one (Fourier and Motzkin), exactly: where coefficients other than 1 meet, with
the integer part of a quotient as a further variable, or with the shadows of the Omega test.
Source: Pugh, The Omega Test, Communications of the ACM 35 (8), 1992.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from einsum_cascade.analysis.collinear import count_collinear
from einsum_cascade.analysis.halfspaces import Bound, is_exact, opposite, replacement, room, sides, tightest
from einsum_cascade.analysis.lattice import count_points_of, disjoint

__all__ = ["Hiding", "count_visible"]

type Conjunction = tuple[Bound, ...]

_FEW, _MOST_POWERS = 10, 5
"""Points are looked at one by one where there are no more than 10 for each of up to five quotients, multiplied: so much
longer may a sum become by one more quotient."""


@dataclass(frozen=True, slots=True)
class Hiding:
    """Constraints over visible variables and hidden ones, for which some values must exist.

    Parameters
    ----------
    hidden
        The hidden variables.
    bounds
        What must hold.

    """

    hidden: tuple[str, ...]
    bounds: Conjunction


def count_visible(visible: Sequence[str], inside: Iterable[Bound], parts: Iterable[Hiding]) -> int:
    """Return how many points of the visible variables satisfy some constraints and at least one of several parts.

    Parameters
    ----------
    visible
        Their names.
    inside
        Constraints on them alone, which must bound each.
    parts
        The parts, each with hidden variables of its own.

    Examples
    --------
    Of the 8 elements that `x = 3*y + r` may reach, with 3 values of y and 2 of r, there are 6.

    >>> equation = [Bound.of({"x": 1, "y": -3, "r": -1}, 0), Bound.of({"x": -1, "y": 3, "r": 1}, 0)]
    >>> lasts = {"y": 2, "r": 1, "x": 7}
    >>> y, r, x = ((Bound.of({name: 1}, 0), Bound.of({name: -1}, last)) for name, last in lasts.items())
    >>> count_visible(["x"], x, [Hiding(("y", "r"), (*equation, *y, *r))])
    6

    """
    bounds, shapes = (*inside,), [*parts]
    if (
        len(shapes) == 1
        and (alone := count_collinear(visible, shapes[0].hidden, [*bounds, *shapes[0].bounds])) is not None
    ):
        return alone
    eliminator = _Eliminator()
    choice = _unimplied(left for part in shapes for left in eliminator.eliminated(frozenset(part.hidden), part.bounds))
    if not choice:
        return 0
    known = eliminator.used(choice)
    points = _points(visible, bounds)
    if points is not None and prod(map(len, points)) <= _FEW ** min(len(known), _MOST_POWERS):
        whole = [(*bounds, *part) for part in choice]
        return sum(_is_in(dict(zip(visible, at, strict=True)), known, whole) for at in product(*points))
    return sum(eliminator.count(visible, part) for part in disjoint(bounds, (choice,)))


def _points(visible: Sequence[str], bounds: Sequence[Bound]) -> list[range] | None:
    """Return the values of each variable that constraints may leave, None where they are not told."""
    known = room(bounds)
    ends = [known.get(name, (None, None)) for name in visible]
    found = [range(low, high + 1) for low, high in ends if low is not None and high is not None]
    return found if len(found) == len(ends) else None


def _unimplied(parts: Iterable[Conjunction]) -> list[Conjunction]:
    """Return conjunctions without those that demand all that another one does."""
    sets = {frozenset(part): part for part in parts}
    return [part for own, part in sets.items() if not any(other < own for other in sets)]


class _Eliminator:
    """Eliminates hidden variables; `quotients` names integer parts of quotients that the visible ones determine."""

    def __init__(self) -> None:
        self.quotients: dict[tuple[Bound, int], str] = {}

    def count(self, visible: Sequence[str], bounds: Conjunction) -> int:
        """Return how many points of visible variables satisfy constraints on them and on quotients."""
        quotients = self.used([bounds])
        definitions = (own for name, quotient in quotients.items() for own in _definition(name, *quotient))
        return count_points_of([*visible, *quotients], [*bounds, *definitions])

    def used(self, parts: Iterable[Conjunction]) -> dict[str, tuple[Bound, int]]:
        """Return the quotients that some constraints name, with those that they are made of, these first."""
        by_name = {name: own for own, name in self.quotients.items()}
        waiting, found = [name for part in parts for bound in part for name, _ in bound.terms], set[str]()
        while waiting:
            name = waiting.pop()
            if name in by_name and name not in found:
                found.add(name)
                waiting += (own for own, _ in by_name[name][0].terms)
        return {name: own for name, own in by_name.items() if name in found}

    def eliminated(self, hidden: frozenset[str], bounds: Iterable[Bound]) -> Iterator[Conjunction]:
        """Yield conjunctions over visible variables and quotients, one of which must hold."""
        kept = tightest(bounds)
        if kept is None:
            return
        hidden = frozenset(name for bound in kept for name, _ in bound.terms if name in hidden)
        if not hidden:
            yield tuple(kept)
        elif (equation := _equation(hidden, kept)) is not None:
            yield from self._solved(hidden, kept, equation)
        else:
            name = min(hidden, key=lambda name: (_difficulty(name, hidden, kept), name))
            if is_exact(name, kept) or not _is_entangled(name, hidden, kept):
                yield from self.eliminated(hidden - {name}, self._met(name, kept))
            else:
                yield from self._shadows(name, hidden, kept)

    def _solved(self, hidden: frozenset[str], bounds: list[Bound], equation: Bound) -> Iterator[Conjunction]:
        """Solve an equation for a hidden variable, if need be after others left a remainder of it."""
        mine = {name: c for name, c in equation.terms if name in hidden}
        name, value, constant = replacement(equation, mine)
        if len(mine) == 1 and abs(mine[name]) > 1:
            sign = -1 if mine[name] > 0 else 1
            rest = equation.without(name)
            dividend = Bound(tuple((n, sign * k) for n, k in rest.terms), sign * rest.constant)
            value, constant = {self._quotient(dividend, abs(mine[name])): 1}, 0
        hidden -= frozenset() if name in value else {name}
        yield from self.eliminated(hidden, [bound.at(name, value, constant) for bound in bounds])

    def _quotient(self, dividend: Bound, divisor: int) -> str:
        return self.quotients.setdefault((dividend, divisor), f"/{len(self.quotients)}")

    def _met(self, name: str, bounds: list[Bound]) -> Iterator[Bound]:
        """Yield what lets each lower and each upper bound of a variable have an integer between them."""
        lows, highs, rest = sides(name, bounds)
        yield from rest
        for low in lows:
            for high in highs:
                a, b = low.coefficient(name), -high.coefficient(name)
                if 1 in (a, b):
                    yield low.times(b).plus(high, a)
                else:
                    quotient = self._quotient(high.without(name), b)
                    yield low.at(name, {quotient: 1}, 0)

    def _shadows(self, name: str, hidden: frozenset[str], bounds: list[Bound]) -> Iterator[Conjunction]:
        """Yield where there is room for an integer in any case, and the values near a lower bound apart."""
        lows, highs, rest = sides(name, bounds)
        dark = list(rest)
        for low in lows:
            a = low.coefficient(name)
            for high in highs:
                b = -high.coefficient(name)
                dark.append(low.times(b).plus(high, a, -(a - 1) * (b - 1)))
        yield from self.eliminated(hidden - {name}, dark)
        b = max(-high.coefficient(name) for high in highs)
        for low in lows:
            a = low.coefficient(name)
            for offset in range((a * b - a - b) // b + 1):
                at = Bound(low.terms, low.constant - offset)
                yield from self.eliminated(hidden, [*bounds, at, opposite(at)])


def _definition(name: str, dividend: Bound, divisor: int) -> Iterator[Bound]:
    """Yield what determines a quotient: `0 <= dividend - divisor * quotient < divisor`."""
    yield Bound.of({**dict(dividend.terms), name: -divisor}, dividend.constant)
    yield Bound.of({**{n: -c for n, c in dividend.terms}, name: divisor}, divisor - 1 - dividend.constant)


def _is_in(at: dict[str, int], quotients: Mapping[str, tuple[Bound, int]], parts: Iterable[Conjunction]) -> bool:
    """Tell whether a point of the visible variables satisfies one of several conjunctions."""
    for name, (dividend, divisor) in quotients.items():
        at[name] = _value(dividend, at) // divisor
    return any(all(_value(bound, at) >= 0 for bound in part) for part in parts)


def _value(bound: Bound, at: Mapping[str, int]) -> int:
    return sum(c * at[name] for name, c in bound.terms) + bound.constant


def _equation(hidden: frozenset[str], bounds: list[Bound]) -> Bound | None:
    """Return an equation of some hidden variable, if there is one."""
    known = set(bounds)
    return next((b for b in bounds if opposite(b) in known and any(name in hidden for name, _ in b.terms)), None)


def _is_entangled(name: str, hidden: frozenset[str], bounds: list[Bound]) -> bool:
    """Tell whether bounds of a variable name other hidden ones."""
    return any(bound.coefficient(name) and any(n in hidden and n != name for n, _ in bound.terms) for bound in bounds)


def _difficulty(name: str, hidden: frozenset[str], bounds: list[Bound]) -> tuple[bool, bool, int]:
    lows, highs, _ = sides(name, bounds)
    is_hard = not is_exact(name, bounds)
    return is_hard, is_hard and _is_entangled(name, hidden, bounds), len(lows) * len(highs)
