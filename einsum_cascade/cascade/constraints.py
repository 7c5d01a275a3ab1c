"""Filters as affine bounds: expressions that are not negative at the points that pass."""

from einsum_cascade.cascade.affine import Affine, affine_constant, affine_variable
from einsum_cascade.cascade.extent import ONE, constant, symbol
from einsum_cascade.cascade.ir import (
    Apply,
    Comparison,
    Constant,
    Coordinate,
    Expression,
    Not,
    Predicate,
    RankExtent,
)

__all__ = ["affine_of", "bounds_of"]

_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


def bounds_of(predicate: Predicate) -> tuple[Affine, ...]:
    r"""Return what is not negative where a comparison holds; nothing if it reads data, or is no bound.

    Examples
    --------
    >>> from einsum_cascade.cascade import parse
    >>> cascade = parse("rank M, W = 4\ninput X[m:M]\nY[m] = X[m] where not m + W < M\noutput Y")
    >>> [str(bound) for bound in bounds_of(cascade.einsums[0].where)]
    ['m - M + W']

    """
    match predicate:
        case Comparison(operator, left, right):
            low, high = affine_of(left), affine_of(right)
            return () if low is None or high is None else _bounds(operator, high - low)
        case Not(Comparison(operator, left, right)):
            return bounds_of(Comparison(_OPPOSITE[operator], left, right))
        case Not(Not(operand)):
            return bounds_of(operand)
        case _:
            return ()


def _bounds(operator: str, rest: Affine) -> tuple[Affine, ...]:
    one = affine_constant(ONE)
    match operator:
        case "<":
            return (rest - one,)
        case "<=":
            return (rest,)
        case ">":
            return (-rest - one,)
        case ">=":
            return (-rest,)
        case "==":
            return (rest, -rest)
        case _:
            return ()


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
