"""The scale and the bias of a sigmoid: what its Einsum does to a score, as one multiplication and one addition."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from einsum_cascade.cascade.ir import Apply, Constant, Einsum, Expression, RankExtent, Read, is_constant
from einsum_cascade.errors import IllegalMappingError

__all__ = ["Difference", "constant_of", "difference_of", "is_scaled", "scaling_of", "without_constants"]

type Constants = tuple[tuple[Expression, int], ...]
"""Constants that something is multiplied by, each to the power of 1 or -1."""


@dataclass(frozen=True, slots=True)
class Difference:
    """`more` less `less`, multiplied by constants."""

    more: Expression
    less: Expression
    constants: Constants = ()


def without_constants(expression: Expression) -> tuple[Expression, Constants]:
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


def difference_of(expression: Expression) -> Difference | None:
    r"""Return what is taken from what, in any way of writing it with signs; None if nothing is.

    Examples
    --------
    >>> from einsum_cascade import parse
    >>> (einsum,) = parse("rank E\ninput X[e:E], Y[e:E]\nZ[e] = -(Y[e] - X[e]) / 2\noutput Z").einsums
    >>> found = difference_of(einsum.expression)
    >>> str(found.more), str(found.less), len(found.constants)
    ('X[e]', 'Y[e]', 1)

    """
    inner, constants = without_constants(expression)
    found: Difference | None = None
    match inner:
        case Apply(operator, (one,)) if operator.name == "neg":
            own = difference_of(one)
            found = own and Difference(own.less, own.more, own.constants)
        case Apply(operator, (a, b)) if operator.name == "-":
            found = _of_terms(a, b)
        case Apply(operator, (a, b)) if operator.name == "+":
            negated = _negated(b)
            found = _of_terms(a, negated) if negated is not None else _of_terms(b, _negated(a))
        case _:
            pass
    signs = sum(_negated(constant) is not None for constant, _ in constants)
    positive = tuple((_negated(constant) or constant, power) for constant, power in constants)
    if found is not None and signs % 2:
        found = Difference(found.less, found.more, found.constants)
    return found and replace(found, constants=found.constants + positive)


def _of_terms(more: Expression, less: Expression | None) -> Difference | None:
    """Return the difference of two terms, whose own signs must be alike."""
    if less is None:
        return None
    match _negated(more), _negated(less):
        case None, None:
            return Difference(more, less)
        case (Apply() | Read() | Constant()) as a, (Apply() | Read() | Constant()) as b:
            return Difference(b, a)
        case _:
            return None


def _negated(expression: Expression) -> Expression | None:
    """Return what an expression is the negative of, if it is written so."""
    match expression:
        case Constant(value) if value < 0:
            return Constant(-value)
        case Apply(operator, (one,)) if operator.name == "neg":
            return one if _negated(one) is None else None
        case Apply(operator, (a, b)) if operator.name in ("*", "/"):
            left, right = _negated(a), _negated(b)
            if left is not None:
                return Apply(operator, (left, b)) if right is None else None
            return None if right is None else Apply(operator, (a, right))
        case _:
            return None


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
