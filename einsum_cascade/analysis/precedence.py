"""How far the coordinate of one rank variable may be ahead of another one's, in the order of a traversal.

Aliases of a rank, `var`s of it and the outer parts of its partitions name the same coordinates. A filter between them
decides which elements a point waits for: with `u <= n`, a reduction over `u` is complete when the traversal is at `n`;
without it, at the end. This module reads that off the filters; which point waits for what is not its matter.

Understood are constraints of the form `u <= n + offset` and chains of them, which are exact: where none bounds `u`, it
is as far ahead at some point as the fiber is long. Anything else between two variables is told as unclear.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from einsum_cascade.analysis.coordinates import Coordinates
from einsum_cascade.analysis.domain import Choice, Domain, dependence_domains, domains
from einsum_cascade.analysis.facts import Facts
from einsum_cascade.analysis.positions import Order
from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.extent import ONE, ZERO, Extent

__all__ = ["Ahead", "Ordering", "Wait", "is_at_most", "is_directed", "ordering_of"]


class Wait(IntEnum):
    """Whether what is available at one coordinate is there when the traversal visits another, the best first."""

    NONE = 0
    LAGS = 1
    """Within an offset that does not grow with the fiber."""
    UNCLEAR = 2
    WHOLE = 3
    """Some points wait for the rest of the fiber."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """How far one variable may be ahead of another one.

    Parameters
    ----------
    offsets
        Each is an upper bound; none if nothing bounds it.
    is_clear
        Whether every constraint was understood, so that the absence of a bound is a fact.

    """

    offsets: tuple[Extent, ...]
    is_clear: bool = True

    @property
    def least(self) -> Extent:
        """One of the bounds, the least number among them if there is one."""
        return min(self.offsets, key=lambda offset: (offset.value is None, offset.value or 0))

    def wait(self, lag: Extent = ZERO) -> Wait:
        """Tell whether a point at the second variable waits for what is available `lag` after the first one."""
        if any(is_at_most(offset + lag, ZERO) for offset in self.offsets):
            return Wait.NONE
        if self.offsets:
            return Wait.LAGS
        return Wait.WHOLE if self.is_clear else Wait.UNCLEAR


type _Edges = dict[str, list[tuple[str, Extent]]]


class Ordering:
    """The order of the rank variables of one Einsum, over all points that read.

    Parameters
    ----------
    coordinates
        What the variables of the cascade count.
    domains
        Which points survive: those of the expression, and those of an `else` that reads.
    is_descending
        Whether the traversal runs from the last position to the first.

    """

    def __init__(self, coordinates: Coordinates, domains: tuple[Domain, ...], *, is_descending: bool) -> None:
        """Leave the reading of constraints until they are asked for."""
        self._coordinates, self._domains, self._is_descending = coordinates, domains, is_descending
        self._found: dict[tuple[str, str], Ahead] = {}
        self._waits: dict[tuple[str, str, Extent], Wait] = {}

    def ahead_by(self, offset: Extent) -> Extent:
        """Return an offset of coordinates as one in the order of the traversal."""
        return -offset if self._is_descending else offset

    def is_alike(self, first: str, second: str) -> bool:
        """Tell whether two variables run along the same rank."""
        return self._coordinates.root(first) == self._coordinates.root(second)

    def ahead(self, first: str, second: str) -> Ahead:
        """Return how far `first` may be ahead of `second` in the order of the traversal."""
        if (first, second) not in self._found:
            self._found[first, second] = self._ahead(first, second)
        return self._found[first, second]

    def wait(self, first: str, second: str, lag: Extent = ZERO) -> Wait:
        """Tell whether a point at `second` waits for what is available `lag` after `first`."""
        key = first, second, lag
        if key not in self._waits:
            self._waits[key] = self.ahead(first, second).wait(lag)
        return self._waits[key]

    def _ahead(self, first: str, second: str) -> Ahead:
        if first == second:
            return Ahead((ZERO,))
        if not self.is_alike(first, second):
            return Ahead(())
        root = self._coordinates.root(first)
        orders = (_Constraints(self._coordinates, d, root, is_descending=self._is_descending) for d in self._domains)
        found = [order.ahead(first, second) for order in orders]
        return found[0] if all(ahead == found[0] for ahead in found) else Ahead((), is_clear=False)


def ordering_of(facts: Facts, number: int, branch: int | None = None, *, is_descending: bool = False) -> Ordering:
    """Return the order of the variables of an Einsum, worked out once.

    Parameters
    ----------
    facts
        Of the cascade.
    number
        Of the Einsum.
    branch
        0 for the points of the expression, 1 for those of the `else`; None for all that read.
    is_descending
        Whether the traversal runs from the last position to the first.

    """
    key = number, branch, is_descending
    if key not in facts.orderings:
        reading = dependence_domains(facts)[number].reading
        chosen = reading if branch is None else reading[branch : branch + 1]
        facts.orderings[key] = Ordering(facts.coordinates, chosen, is_descending=is_descending)
    return facts.orderings[key]


def is_directed(facts: Facts) -> bool:
    """Tell whether descending traversals may differ: a filter orders coordinates of a rank, or an end of it is read."""
    ends = {Order.START, Order.END}
    if any(position.order in ends for accesses in facts.accesses for a in accesses for position in a.positions):
        return True
    parts = [part for domain in domains(facts) for part in domain.reading]
    bounds = [b for part in parts for b in (*part.bounds, *(b for c in part.choices for bounds in c for b in bounds))]
    roots = ([facts.coordinates.root(name) for name in bound.variables] for bound in bounds)
    return any(len(set(names)) < len(names) for names in roots)


class _Constraints:
    """The order of the rank variables of one domain that run along one rank.

    Parameters
    ----------
    coordinates
        What the variables of the cascade count.
    domain
        Which points survive.
    root
        The rank, as `Coordinates.root` names it.
    is_descending
        Whether the traversal runs from the last position to the first.

    """

    def __init__(self, coordinates: Coordinates, domain: Domain, root: str, *, is_descending: bool) -> None:
        """Read the constraints."""
        self._coordinates, self._root, self._is_descending = coordinates, root, is_descending
        self._domain = domain
        self._edges, self._unclear = self._read(domain.bounds)

    def ahead(self, first: str, second: str) -> Ahead:
        """Return how far `first` may be ahead of `second`."""
        offsets = tuple(_paths(self._edges, first, second))
        if offsets or first in self._unclear:
            return Ahead(offsets, is_clear=False)
        return self._by_choice(first, second)

    def _by_choice(self, first: str, second: str) -> Ahead:
        """Return what holds whichever alternative of a choice does."""
        bounding = [choice for choice in self._domain.choices if self._bounds_any(choice)]
        for choice in bounding:
            found = [Ahead(*self._alternative(bounds, first, second)) for bounds in choice]
            if all(ahead.offsets for ahead in found):
                return Ahead(tuple(_common(found)), is_clear=False)
            if len(bounding) == 1 and any(not ahead.offsets and ahead.is_clear for ahead in found):
                return Ahead(())
        return Ahead((), not bounding)

    def _alternative(self, bounds: tuple[Affine, ...], first: str, second: str) -> tuple[tuple[Extent, ...], bool]:
        edges, unclear = self._read((*self._domain.bounds, *bounds))
        return tuple(_paths(edges, first, second)), first not in unclear

    def _bounds_any(self, choice: Choice) -> bool:
        return any(len(self._along(bound)) > 1 for bounds in choice for bound in bounds)

    def _along(self, bound: Affine) -> list[str]:
        return [name for name in bound.variables if self._coordinates.root(name) == self._root]

    def _read(self, bounds: Iterable[Affine]) -> tuple[_Edges, set[str]]:
        edges: _Edges = defaultdict(list)
        unclear: set[str] = set()
        for bound in bounds:
            along = self._along(bound)
            if len(along) < 2:
                continue
            edge = self._edge(bound, along)
            if edge is None:
                unclear |= {name for name in along if self._may_bound(bound.coefficient(name))}
            else:
                edges[edge[0]].append(edge[1:])
        return edges, unclear

    def _may_bound(self, coefficient: Extent) -> bool:
        """Tell whether a constraint may keep a variable from going far ahead."""
        return not (-coefficient if self._is_descending else coefficient).is_nonnegative()

    def _edge(self, bound: Affine, along: list[str]) -> tuple[str, str, Extent] | None:
        """Return the constraint as `first <= second + offset`, if it is of that form."""
        rest = Affine(tuple(term for term in bound.terms if term[0] not in along), bound.offset)
        if len(along) != 2 or not self._coordinates.is_bounded(rest, self._root):
            return None
        offset = rest.extreme(lambda name: self._coordinates.extent(name) - ONE, is_upper=True)
        if offset is None:
            return None
        for behind, ahead in (along, along[::-1]):
            factor = self._factor(bound, behind, ahead)
            if factor is not None:
                first, second = (ahead, behind) if self._is_descending else (behind, ahead)
                return first, second, self._in_tiles(offset * factor, behind, ahead)
        return None

    def _factor(self, bound: Affine, behind: str, ahead: str) -> Extent | None:
        """Return by what `ahead - behind` in the bound's unit is multiplied to be in elements; None for other forms."""
        low, high = -bound.coefficient(behind), bound.coefficient(ahead)
        stride_low, stride_high = self._coordinates.stride(behind), self._coordinates.stride(ahead)
        if (low, high) == (stride_low, stride_high):
            return ONE
        return stride_low if low == high == ONE and stride_low == stride_high else None

    def _in_tiles(self, offset: Extent, behind: str, ahead: str) -> Extent:
        """Leave out an offset within a tile, whose interior is free."""
        stride = self._coordinates.stride(ahead)
        if stride == ONE or stride == self._coordinates.stride(behind):
            return offset
        return ZERO if is_at_most(offset, stride - ONE) else offset


def is_at_most(first: Extent, second: Extent) -> bool:
    """Tell whether one value is proved to be no more than another, for extents of at least 1."""
    rest = second - first
    return rest.is_nonnegative(rest.names)


def _paths(edges: _Edges, first: str, last: str) -> Iterator[Extent]:
    """Yield the sums of offsets along all ways from one variable to another that repeat none."""
    open_ways: list[tuple[tuple[str, ...], Extent]] = [((first,), ZERO)]
    while open_ways:
        way, total = open_ways.pop()
        for name, offset in edges.get(way[-1], ()):
            if name == last:
                yield total + offset
            elif name not in way:
                open_ways.append(((*way, name), total + offset))


def _common(found: list[Ahead]) -> Iterator[Extent]:
    """Yield the offsets that are upper bounds in every alternative."""
    for candidate in dict.fromkeys(offset for ahead in found for offset in ahead.offsets):
        if all(any(is_at_most(o, candidate) for o in ahead.offsets) for ahead in found):
            yield candidate
