"""Which elements of a tensor some surviving point reads, or that exist: the image of domains under indices.

Variables are eliminated from the constraints (Fourier and Motzkin), which over integers is exact where one of the two
coefficients of a pair is 1, or where the room between the two bounds always holds a multiple. What is not exact becomes
an upper bound, and is told as one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod

from einsum_cascade.analysis.counting import PointCount, count_points
from einsum_cascade.analysis.domain import Choice, Domain
from einsum_cascade.analysis.facts import Facts
from einsum_cascade.analysis.symbolic import number
from einsum_cascade.cascade.affine import Affine, affine_constant, affine_variable
from einsum_cascade.cascade.extent import ONE, Extent
from einsum_cascade.cascade.ir import Tensor, reads_of
from einsum_cascade.cascade.partition import expanded

__all__ = ["elements_made", "elements_read"]

_MOST_ALTERNATIVES = 16
"""Conjunctions that the filters of one Einsum may have before they are told as an upper bound."""


@dataclass(frozen=True, slots=True)
class _Image:
    """Elements of a tensor: constraints on its dimensions `#0`, `#1`, ..., and whether they are exact."""

    bounds: tuple[Affine, ...]
    is_exact: bool


def elements_read(facts: Facts, domains: Sequence[Domain], tensor: Tensor) -> PointCount:
    """Return how many elements of a tensor some point reads; an upper bound where data decides."""
    images: list[_Image] = []
    for place, einsum in enumerate(facts.cascade.einsums):
        first, last = len(tuple(reads_of(einsum.expression))), len(einsum.reads)
        for at, access in enumerate(facts.accesses[place]):
            if access.tensor == tensor.name:
                domain = domains[place]
                branches = [domain] if at < first else [domain.otherwise] if at < last else _filtering(domain)
                for branch in branches:
                    if branch is not None:
                        images += _images(facts, branch, access.indices, tensor)
    return _count(facts, tensor, images) if images else PointCount(number(0), is_exact=True)


def _filtering(domain: Domain) -> list[Domain]:
    """Return the domains of what a filter itself reads, whatever the data decide."""
    branches = (domain, domain.otherwise) if domain.otherwise is not None else (domain,)
    return [replace(branch, opaque=frozenset[frozenset[str]]()) for branch in branches]


def elements_made(facts: Facts, domains: Sequence[Domain], tensor: Tensor) -> PointCount:
    """Return how many elements of a computed tensor exist; an upper bound where data decides.

    A reduction over nothing makes an element, too: only constraints on what is left can make it absent.
    """
    if tensor.name not in facts.made:
        facts.made[tensor.name] = _elements_made(facts, domains, tensor)
    return facts.made[tensor.name]


def _elements_made(facts: Facts, domains: Sequence[Domain], tensor: Tensor) -> PointCount:
    made = [at for at, einsum in enumerate(facts.cascade.einsums) if einsum.tensor == tensor.name]
    if tensor.is_declared or tensor.generation_axis is not None or len(made) != 1:
        return _count(facts, tensor, [_Image((), is_exact=True)])
    einsum, domain = facts.cascade.einsums[made[0]], domains[made[0]]
    if einsum.otherwise is not None and domain.otherwise is not None:
        if einsum.reduction is not None:
            return _count(facts, tensor, [_Image((), is_exact=False)])
        branches = (_images(facts, branch, einsum.indices, tensor) for branch in (domain, domain.otherwise))
        return _count(facts, tensor, [image for images in branches for image in images])
    left = frozenset(einsum.left_variables)
    kept = Domain(
        tuple(pair for pair in domain.extents if pair[0] in left),
        tuple(bound for bound in domain.bounds if left.issuperset(bound.variables)),
        tuple(c for c in domain.choices if all(left.issuperset(b.variables) for bounds in c for b in bounds)),
        frozenset(names for names in domain.opaque if names <= left),
    )
    return _count(facts, tensor, list(_images(facts, kept, einsum.indices, tensor)))


def _count(facts: Facts, tensor: Tensor, images: Iterable[_Image]) -> PointCount:
    """Count the elements in at least one of several images."""
    names = _names(tensor)
    extents = tuple(
        zip(names.values(), (facts.plain(dimension.extent) for dimension in tensor.dimensions), strict=True)
    )
    renamed = {dimension: affine_variable(name) for dimension, name in names.items()}
    distinct: dict[frozenset[Affine], bool] = {}
    for image in images:
        key = frozenset(bound.substituted(renamed) for bound in image.bounds)
        distinct[key] = distinct.get(key, False) or image.is_exact
    least = {key: exact for key, exact in distinct.items() if not any(other < key for other in distinct)}
    if _covers_all(least):
        least = {frozenset[Affine](): all(least.values())}
    # What an exact image covers, an inexact one adds nothing to.
    is_exact = all(least.values())
    if len(least) == 1:
        (bounds,) = least
        return PointCount(count_points(facts, Domain(extents, _sorted(bounds), (), frozenset())).points, is_exact)
    choice: Choice = tuple(sorted((_sorted(bounds) for bounds in least), key=str))
    return PointCount(count_points(facts, Domain(extents, (), (choice,), frozenset())).points, is_exact)


def _covers_all(images: Iterable[frozenset[Affine]]) -> bool:
    """Tell whether two of several images are complements, or overlap: where one ends, the other has begun."""
    alone = [next(iter(bounds)) for bounds in images if len(bounds) == 1]
    sums = (first + second for at, first in enumerate(alone) for second in alone[:at])
    return any(not total.terms and (total.offset + ONE).is_nonnegative() for total in sums)


def _names(tensor: Tensor) -> dict[str, str]:
    """Return variables to count with: the rank's in lower case, with its place where a rank comes twice."""
    names = [dimension.rank.lower() for dimension in tensor.dimensions]
    return {f"#{axis}": f"{name}{axis}" if names.count(name) > 1 else name for axis, name in enumerate(names)}


def _sorted(bounds: Iterable[Affine]) -> tuple[Affine, ...]:
    return tuple(sorted(bounds, key=str))


def _images(facts: Facts, domain: Domain, indices: Sequence[Affine], tensor: Tensor) -> Iterable[_Image]:
    """Return the elements that the points of a domain reach, in parts that may overlap."""
    is_whole = prod(map(len, domain.choices)) <= _MOST_ALTERNATIVES
    for choices in product(*domain.choices) if is_whole else [()]:
        bounds = [*domain.bounds, *(bound for conjunction in choices for bound in conjunction)]
        system = _System(facts, tensor, dict(domain.extents))
        system.start(bounds, indices)
        system.eliminate()
        yield _Image(system.result(), system.is_exact and is_whole and not domain.opaque)


class _System:
    """Constraints over rank variables and the dimensions of a tensor, from which the variables are eliminated."""

    def __init__(self, facts: Facts, tensor: Tensor, extents: dict[str, Extent]) -> None:
        self._ranks = facts.cascade.rank
        self._extents = extents
        self._dimensions = {f"#{axis}": facts.plain(d.extent) for axis, d in enumerate(tensor.dimensions)}
        self._bounds: list[Affine] = []
        self._left: list[str] = []
        self.is_exact = True

    def start(self, bounds: Iterable[Affine], indices: Sequence[Affine]) -> None:
        """Take constraints on variables, and the indices as equations of dimensions."""
        self._bounds = list(bounds)
        for name, extent in self._extents.items():
            self._bounds += (affine_variable(name), affine_constant(extent - ONE) - affine_variable(name))
        self._left = list(self._extents)
        solved: dict[str, Affine] = {}
        for axis, index in enumerate(indices):
            rest = index.substituted(solved) - affine_variable(f"#{axis}")
            name = next((n for n in rest.variables if n in self._left and rest.coefficient(n) in (ONE, -ONE)), None)
            if name is None:
                self._bounds += (rest, -rest)
                continue
            value = (affine_variable(name) - rest) if rest.coefficient(name) == ONE else affine_variable(name) + rest
            self._left.remove(name)
            self._bounds = [bound.substituted({name: value}) for bound in self._bounds]
            solved = {other: known.substituted({name: value}) for other, known in solved.items()} | {name: value}

    def eliminate(self) -> None:
        """Drop the variables one by one, those with fewest pairs of bounds first."""
        while self._left:
            name = min(self._left, key=lambda n: self._cost(n))
            self._left.remove(name)
            self._drop(name)

    def _cost(self, name: str) -> tuple[bool, int]:
        found = [bound.coefficient(name) for bound in self._bounds if bound.coefficient(name)]
        signs = [c.is_nonnegative() for c in found]
        return any(c not in (ONE, -ONE) for c in found), signs.count(True) * signs.count(False)

    def _drop(self, name: str) -> None:
        lows = [bound for bound in self._bounds if (c := bound.coefficient(name)) and c.is_nonnegative()]
        highs = [bound for bound in self._bounds if (c := bound.coefficient(name)) and (-c).is_nonnegative()]
        rest = [bound for bound in self._bounds if not bound.coefficient(name)]
        self.is_exact = self.is_exact and len(lows) + len(highs) + len(rest) == len(self._bounds)
        for low in lows:
            for high in highs:
                a, b = low.coefficient(name), -high.coefficient(name)
                room = low.scaled(b) + high.scaled(a) if a != b else low + high
                if ONE not in (a, b):
                    self.is_exact = self.is_exact and a == b and self._holds(room - affine_constant(a - ONE))
                rest.append(room)
        waiting = set(self._left)
        self._bounds = list(
            dict.fromkeys(bound for bound in rest if waiting & set(bound.variables) or not self._holds(bound))
        )

    def _holds(self, bound: Affine) -> bool:
        """Tell whether a constraint holds anyway, inside the extents of what it names."""

        def last(name: str) -> Extent:
            return (self._dimensions.get(name) or self._extents[name]) - ONE

        least = bound.extreme(last, is_upper=False)
        if least is None:
            return False
        values = (least, expanded(least, self._ranks))
        return any(value.is_nonnegative(value.names) for value in values)

    def result(self) -> tuple[Affine, ...]:
        """Return what is left: constraints on dimensions that the extents do not imply."""
        return tuple(dict.fromkeys(bound for bound in self._bounds if not self._holds(bound)))
