"""Count the points of a domain, symbolically and exactly where its bounds allow a closed form."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import networkx as nx
import sympy

from einsum_cascade.analysis.counted import ElementCount
from einsum_cascade.analysis.domain import Choice, Domain, variables_of_choice
from einsum_cascade.analysis.facts import Facts
from einsum_cascade.analysis.symbolic import (
    Expr,
    largest,
    positive_part,
    product_of,
    smallest,
    sum_of,
    to_sympy,
    triangle,
)
from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.extent import ONE, ZERO, Extent, symbol
from einsum_cascade.cascade.ir import Cascade
from einsum_cascade.cascade.partition import expanded

__all__ = ["PointCount", "count_points", "counts_through_tiles", "element_count", "fiber_length"]


@dataclass(frozen=True, slots=True)
class PointCount:
    """Number of surviving points; an upper bound if a filter reads data."""

    points: Expr
    is_exact: bool


def count_points(facts: Facts, domain: Domain) -> PointCount:
    """Return the number of points of a domain.

    Bounds on single variables and on differences of two give closed forms; anything else a sum that evaluates to an
    exact integer once the extents are numbers.
    """
    extents, bounds = dict(domain.extents), list(domain.bounds)
    if not domain.choices:
        extents, bounds = _with_whole_tiles(facts.cascade, extents, bounds)
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(extents)
    for names in (*(bound.variables for bound in bounds), *map(variables_of_choice, domain.choices)):
        graph.add_edges_from(pairwise(names))
    factors = [
        _count_component({name: extents[name] for name in extents if name in component}, bounds, domain.choices)
        for component in nx.connected_components(graph)
    ]
    idle = [bound for bound in bounds if not bound.variables]
    idle_choices = [choice for choice in domain.choices if not variables_of_choice(choice)]
    if idle or idle_choices:
        factors.append(_summed({}, idle, idle_choices))
    return PointCount(product_of(factors), not domain.opaque)


def _with_whole_tiles(
    cascade: Cascade, extents: dict[str, Extent], bounds: Iterable[Affine]
) -> tuple[dict[str, Extent], list[Affine]]:
    """Replace the variables of a partition by one, where only their combination `m1*M0 + m0` is bounded."""
    bounds = list(bounds)
    for names in {tiles for bound in bounds if (tiles := _tiles_in(cascade, bound)) is not None}:
        joint = "".join(names)
        replaced = [_replaced(cascade, bound, names, joint) for bound in bounds]
        if any(bound is None for bound in replaced):
            continue
        whole = [bound for bound in replaced if bound is not None]
        extent = ONE
        for name in names:
            extent *= extents.pop(name)
        tails = [b for b in whole if b.variables == (joint,) and b.coefficient(joint) == -ONE]
        covered = [b for b in tails if expanded(extent - b.offset - ONE, cascade.rank).is_nonnegative()]
        extents[joint] = covered[0].offset + ONE if covered else extent
        bounds = [bound for bound in whole if bound not in covered[:1]]
    return extents, bounds


def _tiles_in(cascade: Cascade, bound: Affine) -> tuple[str, ...] | None:
    """Return the variables of a partition that a bound combines, outermost first."""
    for name, sign in ((n, c) for n, c in bound.terms if c in (ONE, -ONE) and n in cascade.rank_of):
        found, stride, rest = [name], symbol(cascade.base_rank(cascade.rank_of[name])), dict(bound.terms)
        while outer := next((n for n, c in rest.items() if c == stride * sign and n not in found), None):
            found.insert(0, outer)
            stride *= symbol(cascade.base_rank(cascade.rank_of[outer]))
        if len(found) > 1:
            return tuple(found)
    return None


def counts_through_tiles(cascade: Cascade, bound: Affine) -> bool:
    """Tell whether a bound leaves out the tail of a partition, and nothing else."""
    tiles = _tiles_in(cascade, -Affine(bound.terms))
    return tiles is not None and set(tiles) == set(bound.variables)


def _replaced(cascade: Cascade, bound: Affine, names: tuple[str, ...], joint: str) -> Affine | None:
    """Write a bound over the joint variable; None if it takes the parts apart."""
    if not set(names) & set(bound.variables):
        return bound
    if _tiles_in(cascade, bound) != names:
        return None
    rest = tuple((name, c) for name, c in bound.terms if name not in names)
    return Affine(tuple(sorted((*rest, (joint, bound.coefficient(names[-1]))))), bound.offset)


def _count_component(extents: Mapping[str, Extent], bounds: list[Affine], choices: tuple[Choice, ...]) -> Expr:
    own = [bound for bound in bounds if set(bound.variables) & extents.keys()]
    chosen = [choice for choice in choices if variables_of_choice(choice) & extents.keys()]
    if chosen:
        return _summed(extents, own, chosen)
    if not own:
        return product_of(to_sympy(extent) for extent in extents.values())
    if len(extents) == 1:
        ((name, extent),) = extents.items()
        interval = _interval(name, extent, own)
        if interval is not None:
            return interval
    if len(extents) == 2:
        band = _band(extents, own)
        if band is not None:
            return band
    return _summed(extents, own, [])


def _interval(name: str, extent: Extent, bounds: list[Affine]) -> Expr | None:
    lows, highs = [to_sympy(ZERO)], [to_sympy(extent)]
    for bound in bounds:
        if bound.coefficient(name) == ONE:
            lows.append(to_sympy(-bound.offset))
        elif bound.coefficient(name) == -ONE:
            highs.append(to_sympy(bound.offset + ONE))
        else:
            return None
    return positive_part(smallest(*(high - low for high in highs for low in lows)))


def _band(extents: Mapping[str, Extent], bounds: list[Affine]) -> Expr | None:
    """Count pairs (u, v) with low <= u - v <= high; bounds on u + v are bounds on a difference, counted backwards."""
    (first, extent), (second, other) = extents.items()
    signs = {(bound.coefficient(first), bound.coefficient(second)) for bound in bounds}
    if signs <= {(ONE, ONE), (-ONE, -ONE)}:
        bounds = [_mirrored(bound, first, extent) for bound in bounds]
    elif not signs <= {(ONE, -ONE), (-ONE, ONE)}:
        return None
    lows = [to_sympy(-bound.offset) for bound in bounds if bound.coefficient(first) == ONE]
    highs = [to_sympy(bound.offset) for bound in bounds if bound.coefficient(first) == -ONE]
    sides = to_sympy(extent), to_sympy(other)
    below = _pairs_up_to(*sides, smallest(*highs)) if highs else product_of(sides)
    under = _pairs_up_to(*sides, largest(*lows) - 1) if lows else to_sympy(ZERO)
    return positive_part(below - under) if lows and highs else below - under


def _mirrored(bound: Affine, name: str, extent: Extent) -> Affine:
    """Write a bound over the coordinate counted from the other end."""
    coefficient = bound.coefficient(name)
    rest = Affine(tuple(term for term in bound.terms if term[0] != name), bound.offset)
    return rest + Affine(((name, -coefficient),), coefficient * (extent - ONE))


def _pairs_up_to(first: Any, second: Any, difference: Any) -> Expr:
    """Count pairs 0 <= u < first, 0 <= v < second with u - v <= difference."""
    terms: list[Any] = [
        triangle(second + difference),
        triangle(difference),
        triangle(second + difference - first),
        triangle(difference - first),
    ]
    return terms[0] - terms[1] - terms[2] + terms[3]


def _summed(extents: Mapping[str, Extent], bounds: list[Affine], choices: list[Choice]) -> Expr:
    """Return a sum over all coordinates, which has a value once the extents are numbers."""
    library = cast(Any, sympy)
    inside = library.Piecewise((1, _condition(bounds, choices)), (0, True))
    if not extents:
        return inside
    return library.Sum(
        inside, *((_coordinate(name), 0, to_sympy(extent) - 1) for name, extent in sorted(extents.items()))
    )


def element_count(
    dimensions: Iterable[tuple[str, Extent]],
    parts: Iterable[tuple[Sequence[Affine], Iterable[tuple[str, Extent]]]],
) -> Expr:
    """Return how many elements there are for which rank variables exist under one of several conditions.

    Parameters
    ----------
    dimensions
        Name and extent of every dimension.
    parts
        For each part bounds, and the name and the extent of its rank variables.

    """

    def pairs(extents: Iterable[tuple[str, Extent]]) -> list[tuple[Any, Any]]:
        return [(_coordinate(name), to_sympy(extent)) for name, extent in extents]

    found = [(pairs(hidden), _condition(bounds)) for bounds, hidden in parts]
    return cast(Expr, ElementCount(pairs(dimensions), found))


def _condition(bounds: Sequence[Affine], choices: Iterable[Choice] = ()) -> Any:
    """Return the condition that bounds hold, and one conjunction of every choice; opposite bounds are an equation."""
    library = cast(Any, sympy)
    equations = [bound for at, bound in enumerate(bounds) if -bound in bounds[at:]]
    rest = [bound for bound in bounds if bound not in equations and -bound not in equations]
    parts = [library.Eq(_left_side(bound), 0) for bound in equations] + [_left_side(bound) >= 0 for bound in rest]
    alternatives = (library.Or(*(library.And(*(_left_side(b) >= 0 for b in c)) for c in choice)) for choice in choices)
    return library.And(*parts, *alternatives)


def _coordinate(name: str) -> Any:
    """Return the symbol of a rank variable."""
    return cast(Any, sympy).Symbol(name, integer=True)


def _left_side(bound: Affine) -> Any:
    total: Any = to_sympy(bound.offset)
    for name, coefficient in bound.terms:
        total += to_sympy(coefficient) * _coordinate(name)
    return total


def fiber_length(facts: Facts, domain: Domain, names: tuple[str, ...], extent: Extent) -> Expr:
    """Bound how many coordinates of some variables survive while all other variables stand still.

    Parameters
    ----------
    facts
        Of the cascade.
    domain
        Of an Einsum that reads the fiber.
    names
        The rank variables along the fiber, outermost first.
    extent
        Number of coordinates without any filter.

    """
    whole = to_sympy(extent)
    parts: list[Expr] = []
    conjunctions = domain.conjunctions
    for bounds in (domain.bounds,) if conjunctions is None else conjunctions:
        lengths = _lengths(facts, domain, bounds, names, extent)
        if not lengths:
            return whole
        parts.append(smallest(*lengths))
    return smallest(whole, sum_of(parts))


def _lengths(
    facts: Facts, domain: Domain, bounds: Iterable[Affine], names: tuple[str, ...], extent: Extent
) -> list[Expr]:
    """Return bounds on how many coordinates of some variables meet a conjunction while the others stand still."""
    _, bounds = _with_whole_tiles(facts.cascade, dict(domain.extents), bounds)
    along = "".join(names)
    lows = [bound for bound in bounds if bound.coefficient(along) == ONE]
    highs = [bound for bound in bounds if bound.coefficient(along) == -ONE]
    lengths: list[Expr] = []
    for low in lows:
        for high in highs:
            width = low + high
            if not width.terms and width.offset.names != extent.names:
                lengths.append(to_sympy(width.offset) + 1)
    lengths += (to_sympy(high.offset) + 1 for high in highs if high.variables == (along,))
    return lengths
