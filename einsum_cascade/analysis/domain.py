"""Which points of an Einsum survive: its filter, the absences it inherits, the tails of partitions.

Every constraint is brought into the form `affine >= 0` where that is possible; what reads data, or joins comparisons
with `or`, stays opaque and makes a count an upper bound.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from einsum_cascade.analysis.facts import Facts
from einsum_cascade.analysis.positions import Order
from einsum_cascade.cascade.affine import Affine, affine_constant, affine_variable
from einsum_cascade.cascade.extent import ONE, Extent, constant, symbol
from einsum_cascade.cascade.ir import (
    And,
    Apply,
    Comparison,
    Constant,
    Coordinate,
    Einsum,
    Expression,
    Not,
    Predicate,
    RankExtent,
    conjuncts,
    predicate_variables,
)

__all__ = ["Domain", "domains"]

_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


@dataclass(frozen=True, slots=True)
class Domain:
    """The surviving points of an Einsum.

    Parameters
    ----------
    extents
        Number of coordinates of every rank variable, in order of iteration.
    bounds
        Affine expressions that must not be negative.
    opaque
        The variables of each further constraint that is not affine.

    """

    extents: tuple[tuple[str, Extent], ...]
    bounds: tuple[Affine, ...]
    opaque: frozenset[frozenset[str]]


@dataclass(frozen=True, slots=True)
class _Presence:
    """Constraints under which an element of a tensor exists, over its dimensions `#0`, `#1`, ..."""

    bounds: tuple[Affine, ...] = ()
    opaque: frozenset[frozenset[str]] = frozenset()


def domains(facts: Facts) -> tuple[Domain, ...]:
    """Return the domain of every Einsum, in order."""
    presence: dict[str, _Presence] = {}
    found: list[Domain] = []
    for number, einsum in enumerate(facts.cascade.einsums):
        bounds, opaque = _constraints(facts, number, einsum, presence)
        extents = tuple((name, _extent(facts, einsum, name)) for name in einsum.variables)
        domain = Domain(extents, tuple(dict.fromkeys(bounds)), frozenset(opaque))
        found.append(domain)
        presence[einsum.tensor] = _presence(facts, einsum, domain)
    return tuple(found)


def _extent(facts: Facts, einsum: Einsum, variable: str) -> Extent:
    """Return how many coordinates a variable runs over: fewer than its rank where a recurrence steps by more than 1."""
    extent = symbol(facts.cascade.rank_of[variable])
    axis = facts.cascade.tensor[einsum.tensor].generation_axis
    if axis is None or einsum.is_init or einsum.indices[axis].stepped != variable:
        return extent
    return extent - einsum.indices[axis].offset + ONE


def _constraints(
    facts: Facts, number: int, einsum: Einsum, presence: Mapping[str, _Presence]
) -> tuple[list[Affine], list[frozenset[str]]]:
    bounds: list[Affine] = []
    opaque: list[frozenset[str]] = []
    if einsum.otherwise is None:
        for part in conjuncts(einsum.where):
            own = list(_normalized(part))
            bounds += own
            opaque += [] if own else [predicate_variables(part)]
    for access in facts.accesses[number]:
        dimensions = facts.cascade.tensor[access.tensor].dimensions
        for index, position, dimension in zip(access.indices, access.positions, dimensions, strict=True):
            if position.order is Order.TILES:
                bounds.append(affine_constant(dimension.extent - ONE) - index)
        inherited = presence.get(access.tensor, _Presence())
        indices = {f"#{axis}": index for axis, index in enumerate(access.indices)}
        bounds += (_substituted(bound, indices) for bound in inherited.bounds)
        opaque += (frozenset(n for slot in slots for n in indices[slot].variables) for slots in inherited.opaque)
    return bounds, opaque


def _presence(facts: Facts, einsum: Einsum, domain: Domain) -> _Presence:
    """Return when elements of the result exist: where the constraints hold that no reduced variable takes part in."""
    tensor = facts.cascade.tensor[einsum.tensor]
    left = frozenset(einsum.left_variables)
    bounds = [bound for bound in domain.bounds if left.issuperset(bound.variables)]
    opaque = [names for names in domain.opaque if names <= left]
    slots = {index.plain: f"#{axis}" for axis, index in enumerate(einsum.indices) if index.plain}
    if tensor.is_declared or tensor.generation_axis is not None:
        everything = frozenset(f"#{axis}" for axis in range(len(einsum.indices)))
        return _Presence((), frozenset({everything}) if bounds or opaque else frozenset())
    affine = {name: affine_variable(slot) for name, slot in slots.items()}
    return _Presence(
        tuple(_substituted(bound, affine) for bound in bounds),
        frozenset(frozenset(slots[name] for name in names) for names in opaque),
    )


def _substituted(bound: Affine, values: Mapping[str, Affine]) -> Affine:
    total = affine_constant(bound.offset)
    for name, coefficient in bound.terms:
        total += values[name].scaled(coefficient)
    return total


def _normalized(predicate: Predicate) -> Iterator[Affine]:
    """Yield affine expressions that must all be non-negative; nothing if the predicate is not of that kind."""
    match predicate:
        case Comparison(operator, left, right):
            low, high = _affine(left), _affine(right)
            if low is not None and high is not None:
                yield from _differences(operator, low, high)
        case Not(Comparison(operator, left, right)):
            yield from _normalized(Comparison(_OPPOSITE[operator], left, right))
        case And(operands):
            parts = [list(_normalized(operand)) for operand in operands]
            if all(parts):
                yield from (bound for part in parts for bound in part)
        case _:
            return


def _differences(operator: str, left: Affine, right: Affine) -> Iterator[Affine]:
    one = affine_constant(ONE)
    if operator in ("<=", "=="):
        yield right - left
    if operator in (">=", "=="):
        yield left - right
    if operator == "<":
        yield right - left - one
    if operator == ">":
        yield left - right - one


def _affine(expression: Expression) -> Affine | None:
    """Return a side of a comparison as an affine expression; None if it reads data."""
    match expression:
        case Constant(value) if isinstance(value, int):
            return affine_constant(constant(value))
        case RankExtent(rank):
            return affine_constant(symbol(rank))
        case Coordinate(variable):
            return affine_variable(variable)
        case Apply(operator, arguments):
            parts = [_affine(argument) for argument in arguments]
            known = [part for part in parts if part is not None]
            return _combined(operator.name, known) if len(known) == len(parts) else None
        case _:
            return None


def _combined(operator: str, parts: list[Affine]) -> Affine | None:
    match operator, parts:
        case "+", [a, b]:
            return a + b
        case "-", [a, b]:
            return a - b
        case "neg", [a]:
            return -a
        case "*", [a, b]:
            return a.scaled(b.offset) if not b.terms else b.scaled(a.offset)
        case _:
            return None
