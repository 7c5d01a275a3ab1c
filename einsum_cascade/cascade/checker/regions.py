"""Prove that the equations of a declared tensor write every element at most once."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import chain, combinations
from math import gcd

from einsum_cascade.cascade.affine import Affine, affine_constant
from einsum_cascade.cascade.checker.ranges import last_coordinate, positive_ranks
from einsum_cascade.cascade.checker.scope import Scope
from einsum_cascade.cascade.constraints import bounds_of
from einsum_cascade.cascade.extent import ONE, Extent
from einsum_cascade.cascade.ir import Einsum, conjuncts
from einsum_cascade.cascade.partition import partition_of
from einsum_cascade.errors import Span

__all__ = ["check_regions"]

_OTHER = "'"
"""What tells the variables of the second equation from those of the first."""


def check_regions(scope: Scope, einsums: list[Einsum], strayed: frozenset[Span]) -> None:
    """Report left sides that may write an element twice, and regions that may overlap.

    Parameters
    ----------
    scope
        The names known.
    einsums
        All equations.
    strayed
        The places of those whose left side is wrong anyway.

    """
    regions: defaultdict[str, list[Einsum]] = defaultdict(list)
    for einsum in einsums:
        tensor = scope.tensors[einsum.tensor]
        if tensor is not None and tensor.is_declared and einsum.span not in strayed and _is_injective(scope, einsum):
            regions[einsum.tensor].append(einsum)
    for first, second in chain.from_iterable(combinations(found, 2) for found in regions.values()):
        if not _are_disjoint(scope, first, second):
            scope.report(
                f"the regions of {second.tensor!r} must not overlap, but this one may meet that of line "
                f"{first.span.line}; shift one of them past the other, or filter one of them to what the other leaves",
                second.span,
            )


def _is_injective(scope: Scope, einsum: Einsum) -> bool:
    names = [name for index in einsum.indices for name in index.variables]
    for index in einsum.indices:
        if len(index.terms) > 1 and partition_of(Affine(index.terms), scope.variables, scope.ranks) is None:
            scope.report(
                f"index {str(index)!r} on the left of {einsum.tensor!r} must give every coordinate at most once; "
                "write a variable plus an offset, or count through tiles as in m1*M0 + m0",
                einsum.span,
            )
            return False
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        message = f"rank variable {repeated!r} must stand once on the left, but stands twice"
        scope.report(f"{message}; use two variables of the rank (var i, j : RANK)", einsum.span)
    return len(set(names)) == len(names)


def _are_disjoint(scope: Scope, first: Einsum, second: Einsum) -> bool:
    """Prove that two left sides never meet: in some dimension, one is always past the other or between its steps."""
    guards = [*_guards(scope, first), *(_marked(guard) for guard in _guards(scope, second))]
    for a, b in zip(first.indices, second.indices, strict=True):
        distance = _expanded(scope, a) - _marked(_expanded(scope, b))
        if _is_between_steps(distance):
            return True
        if any(_is_positive(scope, first, second, signed, guards) for signed in (distance, -distance)):
            return True
    return False


def _is_positive(scope: Scope, first: Einsum, second: Einsum, distance: Affine, guards: list[Affine]) -> bool:
    """Prove that a distance is at least 1 where the guards are not negative: what is left without them must not be."""

    def last(name: str) -> Extent:
        einsum = second if name.endswith(_OTHER) else first
        return scope.expand(last_coordinate(scope, einsum, name.removesuffix(_OTHER)))

    positive = positive_ranks(scope, first) | positive_ranks(scope, second)
    rest = distance - affine_constant(ONE)
    for count in range(min(2, len(guards)) + 1):
        for chosen in combinations(guards, count):
            least = sum((-guard for guard in chosen), rest).extreme(last, is_upper=False)
            if least is not None and scope.is_nonnegative(least, positive):
                return True
    return False


def _is_between_steps(distance: Affine) -> bool:
    """Tell whether a distance is never 0 because all its steps have a common divisor that it is not a multiple of."""
    steps = [number for _, extent in distance.terms for _, number in extent.terms]
    steps += [number for monomial, number in distance.offset.terms if monomial]
    divisor = gcd(*steps)
    rest = next((number for monomial, number in distance.offset.terms if not monomial), 0)
    return divisor > 1 and rest % divisor != 0


def _guards(scope: Scope, einsum: Einsum) -> Iterator[Affine]:
    """Yield what is not negative at every element that an equation writes; with an else it writes all."""
    if einsum.otherwise is not None:
        return
    on_left = frozenset(einsum.left_variables)
    for part in conjuncts(einsum.where):
        yield from (_expanded(scope, bound) for bound in bounds_of(part) if on_left.issuperset(bound.variables))


def _expanded(scope: Scope, index: Affine) -> Affine:
    return Affine(tuple((name, scope.expand(c)) for name, c in index.terms), scope.expand(index.offset))


def _marked(index: Affine) -> Affine:
    return Affine(tuple((name + _OTHER, coefficient) for name, coefficient in index.terms), index.offset)
