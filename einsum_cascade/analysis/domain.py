"""Which points of an Einsum survive: its filter, the absences it inherits, the tails of partitions.

Every constraint is brought into the form `affine >= 0`, or into a choice of several such conjunctions. What reads data
stays opaque and makes a count an upper bound.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

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
    Or,
    Predicate,
    RankExtent,
    conjuncts,
    predicate_variables,
)

__all__ = ["Choice", "Domain", "domains", "variables_of_choice"]

_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


type Choice = tuple[tuple[Affine, ...], ...]


@dataclass(frozen=True, slots=True)
class Domain:
    """The surviving points of an Einsum.

    Parameters
    ----------
    extents
        Number of coordinates of every rank variable, in order of iteration.
    bounds
        Affine expressions that must not be negative.
    choices
        For each, one of several conjunctions of such bounds must hold.
    opaque
        The variables of each further constraint that reads data.

    """

    extents: tuple[tuple[str, Extent], ...]
    bounds: tuple[Affine, ...]
    choices: tuple[Choice, ...]
    opaque: frozenset[frozenset[str]]


@dataclass(frozen=True, slots=True)
class _Presence:
    """Constraints under which an element of a tensor exists, over its dimensions `#0`, `#1`, ..."""

    bounds: tuple[Affine, ...] = ()
    choices: tuple[Choice, ...] = ()
    opaque: frozenset[frozenset[str]] = frozenset()


def domains(facts: Facts) -> tuple[Domain, ...]:
    """Return the domain of every Einsum, in order."""
    presence: dict[str, _Presence] = {}
    found: list[Domain] = []
    for number, einsum in enumerate(facts.cascade.einsums):
        extents = tuple((name, _extent(facts, einsum, name)) for name in einsum.variables)
        domain = _domain(facts, number, einsum, presence, extents)
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


def _domain(
    facts: Facts,
    number: int,
    einsum: Einsum,
    presence: Mapping[str, _Presence],
    extents: tuple[tuple[str, Extent], ...],
) -> Domain:
    bounds: list[Affine] = []
    choices: list[Choice] = []
    opaque: list[frozenset[str]] = []
    for part in conjuncts(einsum.where) if einsum.otherwise is None else ():
        alternatives = _alternatives(part)
        if alternatives is None:
            opaque.append(predicate_variables(part))
        elif len(alternatives) == 1:
            bounds += alternatives[0]
        else:
            choices.append(alternatives)
    for access in facts.accesses[number]:
        dimensions = facts.cascade.tensor[access.tensor].dimensions
        for index, position, dimension in zip(access.indices, access.positions, dimensions, strict=True):
            if position.order is Order.TILES:
                bounds.append(affine_constant(dimension.extent - ONE) - index)
        inherited = presence.get(access.tensor, _Presence())
        indices = {f"#{axis}": index for axis, index in enumerate(access.indices)}
        bounds += (_substituted(bound, indices) for bound in inherited.bounds)
        choices += (_substituted_choice(choice, indices) for choice in inherited.choices)
        opaque += (frozenset(n for slot in slots for n in indices[slot].variables) for slots in inherited.opaque)
    return Domain(extents, tuple(dict.fromkeys(bounds)), tuple(dict.fromkeys(choices)), frozenset(opaque))


def _presence(facts: Facts, einsum: Einsum, domain: Domain) -> _Presence:
    """Return when elements of the result exist: where the constraints hold that no reduced variable takes part in."""
    tensor = facts.cascade.tensor[einsum.tensor]
    left = frozenset(einsum.left_variables)
    bounds = [bound for bound in domain.bounds if left.issuperset(bound.variables)]
    choices = [choice for choice in domain.choices if left >= variables_of_choice(choice)]
    opaque = [names for names in domain.opaque if names <= left]
    if tensor.is_declared or tensor.generation_axis is not None:
        everything = frozenset(f"#{axis}" for axis in range(len(einsum.indices)))
        return _Presence(opaque=frozenset({everything} if bounds or choices or opaque else ()))
    slots = {index.plain: f"#{axis}" for axis, index in enumerate(einsum.indices) if index.plain}
    affine = {name: affine_variable(slot) for name, slot in slots.items()}
    return _Presence(
        tuple(_substituted(bound, affine) for bound in bounds),
        tuple(_substituted_choice(choice, affine) for choice in choices),
        frozenset(frozenset(slots[name] for name in names) for names in opaque),
    )


def variables_of_choice(choice: Choice) -> frozenset[str]:
    """Return the rank variables of a choice."""
    return frozenset(name for conjunction in choice for bound in conjunction for name in bound.variables)


def _substituted_choice(choice: Choice, values: Mapping[str, Affine]) -> Choice:
    return tuple(tuple(_substituted(bound, values) for bound in conjunction) for conjunction in choice)


def _substituted(bound: Affine, values: Mapping[str, Affine]) -> Affine:
    total = affine_constant(bound.offset)
    for name, coefficient in bound.terms:
        total += values[name].scaled(coefficient)
    return total


def _alternatives(predicate: Predicate, *, is_negated: bool = False) -> Choice | None:
    """Return conjunctions of bounds one of which must hold; None if the predicate reads data."""
    match predicate:
        case Comparison(operator, left, right):
            low, high = _affine(left), _affine(right)
            if low is None or high is None:
                return None
            return _differences(_OPPOSITE[operator] if is_negated else operator, low, high)
        case Not(operand):
            return _alternatives(operand, is_negated=not is_negated)
        case And(operands) | Or(operands):
            parts = [_alternatives(operand, is_negated=is_negated) for operand in operands]
            known = [part for part in parts if part is not None]
            if len(known) < len(parts):
                return None
            if isinstance(predicate, And) is is_negated:
                return tuple(conjunction for part in known for conjunction in part)
            return tuple(tuple(bound for part in parts for bound in part) for parts in product(*known))


def _differences(operator: str, left: Affine, right: Affine) -> Choice:
    one = affine_constant(ONE)
    at_most, at_least = right - left, left - right
    match operator:
        case "<=":
            return ((at_most,),)
        case ">=":
            return ((at_least,),)
        case "<":
            return ((at_most - one,),)
        case ">":
            return ((at_least - one,),)
        case "==":
            return ((at_most, at_least),)
        case _:
            return ((at_most - one,), (at_least - one,))


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
