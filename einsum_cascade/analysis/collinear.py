"""Count the points of an image whose originals lie on one line: integer points that look alike follow one another."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from math import lcm

from einsum_cascade.analysis.halfspaces import Bound, is_exact, needed, opposite, real_shadow, replacement, tightest
from einsum_cascade.analysis.lattice import count_points_of

__all__ = ["count_collinear"]


def count_collinear(visible: Sequence[str], hidden: Sequence[str], bounds: Sequence[Bound]) -> int | None:
    """Count points of visible variables for which hidden ones have values; None where more than a line looks alike.

    Such points follow one another along it, with no gap, for what is convex has none. So there are as many as points
    that have none before them: all, less those that are there one step on as well.
    """
    rows, over = _image(visible, bounds)
    names = [*(name for name in visible if rows[name] == {name: 1}), *hidden]
    line = _line(rows.values(), names)
    if line is not None:
        return _count_starts(names, needed(over), line)
    left = _unsolved(frozenset(hidden), bounds)
    if left is None:
        return None
    free, bounds = left
    names = [*dict.fromkeys([*visible, *(name for bound in bounds for name, _ in bound.terms)])]
    return _count_starts(names, bounds, dict.fromkeys(free, 1))


def _count_starts(names: Sequence[str], bounds: Sequence[Bound], line: Mapping[str, int]) -> int:
    """Count the points that have none before them along a line; all of them if it goes nowhere."""
    total = count_points_of(names, bounds)
    if not line:
        return total
    moved = (
        Bound(own.terms, own.constant - sum(own.coefficient(name) * c for name, c in line.items())) for own in bounds
    )
    return total - count_points_of(names, [*bounds, *moved])


def _image(visible: Sequence[str], bounds: Sequence[Bound]) -> tuple[dict[str, Mapping[str, int]], list[Bound]]:
    """Return every visible variable as terms of others, or as itself, and what constraints say of the others."""
    rows: dict[str, Mapping[str, int]] = {name: {name: 1} for name in visible}
    left = [*bounds]
    for name in visible:
        known = set(left)
        equation = next((own for own in left if own.coefficient(name) == -1 and opposite(own) in known), None)
        if equation is not None:
            terms = {other: c for other, c in equation.terms if other != name}
            left = [bound.at(name, terms, equation.constant) for bound in left]
            rows = {own: _put(row, name, terms) for own, row in rows.items()}
    return rows, left


def _put(row: Mapping[str, int], name: str, terms: Mapping[str, int]) -> dict[str, int]:
    """Return terms with others in the place of a variable."""
    found = {own: c for own, c in row.items() if own != name}
    for own, c in terms.items():
        found[own] = found.get(own, 0) + c * row.get(name, 0)
    return {own: c for own, c in found.items() if c}


def _line(rows: Iterable[Mapping[str, int]], names: Sequence[str]) -> dict[str, int] | None:
    """Return the least step along which no row changes; nothing if there is none, None if there are several lines."""
    solved: dict[str, dict[str, Fraction]] = {}
    for row in rows:
        left: dict[str, Fraction] = {}
        for name, c in row.items():
            for own, factor in solved.get(name, {name: Fraction(1)}).items():
                left[own] = left.get(own, Fraction(0)) + c * factor
        pivot = next((name for name, c in left.items() if c), None)
        if pivot is None:
            continue
        value = {name: -c / left[pivot] for name, c in left.items() if name != pivot and c}
        for known, terms in solved.items():
            factor = terms.pop(pivot, Fraction(0))
            solved[known] = {
                name: c for name in {*terms, *value} if (c := terms.get(name, 0) + factor * value.get(name, 0))
            }
        solved[pivot] = value
    free = [name for name in names if name not in solved]
    if len(free) > 1:
        return None
    step = {name: Fraction(1) for name in free}
    step |= {name: c for name, terms in solved.items() for c in terms.values()}
    scale = lcm(*(c.denominator for c in step.values()))
    return {name: int(c * scale) for name, c in step.items()}


def _unsolved(hidden: frozenset[str], bounds: Iterable[Bound]) -> tuple[frozenset[str], list[Bound]] | None:
    """Return at most one hidden variable that visible ones do not determine, and constraints; None if more are left.

    Equations are solved for others, and others are left out where the reals say all of what integers do.
    """
    kept = tightest(bounds)
    if kept is None:
        return frozenset(), [Bound((), -1)]
    free = frozenset(name for bound in kept for name, _ in bound.terms if name in hidden)
    known = set(kept)
    for equation in (bound for bound in kept if opposite(bound) in known):
        mine = {name: c for name, c in equation.terms if name in free}
        if len(mine) == 1 and 1 not in map(abs, mine.values()):
            free -= mine.keys()
        elif mine:
            name, value, constant = replacement(equation, mine)
            gone = {name} if name not in value else set[str]()
            return _unsolved(hidden - gone, [bound.at(name, value, constant) for bound in kept])
    if len(free) < 2:
        return free, kept
    name = next((name for name in sorted(free) if is_exact(name, kept)), None)
    if name is None:
        return None
    return _unsolved(hidden - {name}, real_shadow(name, kept))
