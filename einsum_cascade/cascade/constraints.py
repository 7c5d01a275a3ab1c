"""Filters as affine bounds: expressions that are not negative at the points that pass."""

from itertools import product

from einsum_cascade.cascade.affine import Affine, affine_constant, affine_variable
from einsum_cascade.cascade.extent import ONE, constant, symbol
from einsum_cascade.cascade.ir import (
    And,
    Apply,
    Comparison,
    Constant,
    Coordinate,
    Expression,
    Not,
    Or,
    Predicate,
    RankExtent,
)

__all__ = ["Choice", "affine_of", "alternatives_of", "bounds_of", "without_negations"]

type Choice = tuple[tuple[Affine, ...], ...]
"""Conjunctions of bounds, one of which must hold."""

_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


def bounds_of(predicate: Predicate) -> tuple[Affine, ...]:
    r"""Return what is not negative where a predicate holds; nothing if it reads data, or is a choice.

    Examples
    --------
    >>> from einsum_cascade.cascade import parse
    >>> cascade = parse("rank M, W = 4\ninput X[m:M]\nY[m] = X[m] where not m + W < M\noutput Y")
    >>> [str(bound) for bound in bounds_of(cascade.einsums[0].where)]
    ['m - M + W']

    """
    found = alternatives_of(predicate)
    return found[0] if found is not None and len(found) == 1 else ()


def without_negations(predicate: Predicate, *, is_negated: bool = False) -> Predicate:
    r"""Return a predicate, or its opposite, in which no part is negated, for comparisons have opposites.

    Of numbers, not of NaN, which no comparison but `!=` holds for.

    Examples
    --------
    >>> from einsum_cascade.cascade import parse
    >>> text = "rank M, W = 4\ninput X[m:M]\nY[m] = X[m] where not (m < W or m == 9)\noutput Y"
    >>> found = without_negations(parse(text).einsums[0].where)
    >>> type(found).__name__, [part.operator for part in found.operands]
    ('And', ['>=', '!='])

    """
    match predicate:
        case Comparison(operator, left, right):
            return Comparison(_OPPOSITE[operator], left, right) if is_negated else predicate
        case Not(operand):
            return without_negations(operand, is_negated=not is_negated)
        case And(operands) | Or(operands):
            join = And if isinstance(predicate, And) is not is_negated else Or
            return join(tuple(without_negations(operand, is_negated=is_negated) for operand in operands))


def alternatives_of(predicate: Predicate, *, is_negated: bool = False) -> Choice | None:
    """Return conjunctions of bounds one of which must hold; None if the predicate reads data or is not affine."""
    return _alternatives(without_negations(predicate, is_negated=is_negated))


def _alternatives(predicate: Predicate) -> Choice | None:
    match predicate:
        case Comparison(operator, left, right):
            low, high = affine_of(left), affine_of(right)
            return None if low is None or high is None else _differences(operator, low, high)
        case And(operands) | Or(operands):
            parts = [_alternatives(operand) for operand in operands]
            known = [part for part in parts if part is not None]
            if len(known) < len(parts):
                return None
            if isinstance(predicate, Or):
                return tuple(conjunction for part in known for conjunction in part)
            return tuple(tuple(bound for part in parts for bound in part) for parts in product(*known))
        case Not():
            raise AssertionError("negations are gone")


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


def affine_of(expression: Expression) -> Affine | None:
    """Return a side of a comparison as an affine expression; None if it reads data or is not affine."""
    match expression:
        case Constant(value) if isinstance(value, int):
            return affine_constant(constant(value))
        case RankExtent(rank):
            return affine_constant(symbol(rank))
        case Coordinate(variable):
            return affine_variable(variable)
        case Apply(operator, arguments):
            parts = [affine_of(argument) for argument in arguments]
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
        case "*", [a, b] if not b.terms:
            return a.scaled(b.offset)
        case "*", [a, b] if not a.terms:
            return b.scaled(a.offset)
        case _:
            return None
