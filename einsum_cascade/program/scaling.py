"""The scale and the bias of a sigmoid: what its Einsum does to a score, as one multiplication and one addition."""

import math
from collections.abc import Callable, Mapping

import numpy as np

from einsum_cascade.cascade.ir import Apply, Constant, Einsum, Expression, RankExtent, Read, is_constant
from einsum_cascade.errors import IllegalMappingError

__all__ = ["constant_of", "is_scaled", "scaling_of", "without_constants"]


def without_constants(expression: Expression) -> tuple[Expression, tuple[tuple[Expression, int], ...]]:
    r"""Return an expression without the constants that it is multiplied by, or divided by, and these with their powers.

    Examples
    --------
    >>> from einsum_cascade import parse
    >>> (einsum,) = parse("rank E\ninput X[e:E]\nY[e] = 2 * X[e] / sqrt(E)\noutput Y").einsums
    >>> expression, constants = without_constants(einsum.expression)
    >>> str(expression), [power for _, power in constants]
    ('X[e]', [-1, 1])

    """
    match expression:
        case Apply(operator, (own, constant)) if operator.name in ("*", "/") and is_constant(constant):
            power = 1 if operator.name == "*" else -1
        case Apply(operator, (constant, own)) if operator.name == "*" and is_constant(constant):
            power = 1
        case _:
            return expression, ()
    inner, constants = without_constants(own)
    return inner, ((constant, power), *constants)


def constant_of(expression: Expression, extents: Mapping[str, int]) -> float:
    """Return the value of what is made of numbers and extents only.

    Examples
    --------
    >>> constant_of(Constant(2), {})
    2.0

    """
    return _value(expression, 0.0, extents)


def is_scaled(expression: Expression, is_score: Callable[[Expression], bool]) -> bool:
    """Tell whether an expression is a score times a number plus a number, in any way of writing it."""
    match expression:
        case Read():
            return is_score(expression)
        case Apply(operator, (one,)):
            return operator.name == "neg" and is_scaled(one, is_score)
        case Apply(operator, (left, right)):
            match operator.name:
                case "+" | "-" | "*":
                    pairs = (left, right), (right, left)
                    return any(is_scaled(a, is_score) and _is_number(b) for a, b in pairs)
                case "/":
                    return is_scaled(left, is_score) and _is_number(right)
                case _:
                    return False
        case _:
            return False


def _is_number(expression: Expression) -> bool:
    match expression:
        case Constant() | RankExtent():
            return True
        case Apply(_, arguments):
            return all(map(_is_number, arguments))
        case _:
            return False


def scaling_of(einsum: Einsum, extents: Mapping[str, int]) -> tuple[float, float]:
    """Return the scale and the bias of a sigmoid, rounded to fp32.

    Parameters
    ----------
    einsum
        The sigmoid of something that `is_scaled`.
    extents
        Of all ranks.

    Raises
    ------
    IllegalMappingError
        One of them is not finite.

    """
    assert isinstance(einsum.expression, Apply)
    (argument,) = einsum.expression.arguments
    with np.errstate(all="ignore"):
        exact = _slope(argument, extents), _value(argument, 0.0, extents)
        scale, bias = (float(np.float32(value)) for value in exact)
    for what, value in (("scale", scale), ("bias", bias)):
        if not math.isfinite(value):
            raise IllegalMappingError([f"the {what} of {einsum} must be finite for the array, not {value}; change it"])
    return scale, bias


def _slope(expression: Expression, extents: Mapping[str, int]) -> float:
    """Return what a score is multiplied by, without the rounding that a difference of values would have."""
    if not isinstance(expression, Apply):
        return 1.0
    name, arguments = expression.operator.name, expression.arguments
    if name == "neg":
        return -_slope(arguments[0], extents)
    left, right = arguments
    own, other = (right, left) if _is_number(left) else (left, right)
    slope = _slope(own, extents)
    match name:
        case "*":
            return slope * _value(other, 0.0, extents)
        case "/":
            return float(np.float64(slope) / _value(other, 0.0, extents))
        case "-":
            return slope if own is left else -slope
        case _:
            return slope


def _value(expression: Expression, score: float, extents: Mapping[str, int]) -> float:
    match expression:
        case Constant(value):
            return float(value)
        case RankExtent(rank):
            return float(extents[rank])
        case Apply(operator, arguments):
            values = [np.float64(_value(each, score, extents)) for each in arguments]
            with np.errstate(all="ignore"):
                return float(operator.function(*values))
        case _:
            return score
