"""Which elements are reductions over nothing, and divisions by them.

The flag of an element survives what cannot hide it: a sum or a maximum of flagged elements only, a product with one,
any other operator all of whose operands are flagged. Numbers are never flagged, but for an `init` that is the identity
of the recurrence it starts. Without filters, tails and empty ranks no other flag is ever set, and none costs anything.
"""

from functools import reduce

import numpy as np

from einsum_cascade.cascade.ir import Apply, Expression, Read, predicate_variables
from einsum_cascade.errors import EvaluationError
from einsum_cascade.interpreter.frame import Frame
from einsum_cascade.interpreter.space import Mask
from einsum_cascade.interpreter.tensor_values import together

__all__ = ["check_divisions", "empty_divisors", "empty_points"]


def empty_points(frame: Frame, expression: Expression) -> Mask | None:
    """Return at which points the value of an expression is flagged; None if at none."""
    match expression:
        case Read():
            return frame.access(expression).empty(frame.space)
        case Apply(operator, arguments):
            masks = [empty_points(frame, argument) for argument in arguments]
            known = [mask for mask in masks if mask is not None]
            if not known:
                return None
            if operator.name == "*":
                return reduce(np.logical_or, known)
            operands = len(arguments)
            if operator.name not in ("+", "max", "min"):
                operands = sum(bool(frame.context.facts.reads(argument)) for argument in arguments)
            return reduce(np.logical_and, known) if len(known) == operands else None
        case _:
            return None


def empty_divisors(frame: Frame, divisor: Expression) -> Mask | None:
    """Return where a divisor is present and flagged; None if nowhere."""
    empty = empty_points(frame, divisor)
    if empty is None:
        return None
    accesses = [frame.access(read) for read in frame.context.facts.reads(divisor)]
    present = together([c.mask for access in accesses for c in access.conditions(frame.space)])
    if present is not None:
        empty = empty & present
    for access in accesses:
        if (astray := access.astray(frame.space)) is not None:
            empty = empty & ~astray
    return empty if empty.any() else None


def check_divisions(frame: Frame, expression: Expression, chosen: Mask | None) -> None:
    """Refuse to divide by a reduction over nothing, unless that is allowed.

    Only the coordinates of the divisor and of the filter count: the dividend may be absent there, and other ranks may
    have no coordinate at all.

    Parameters
    ----------
    frame
        The Einsum over all its points.
    expression
        Its expression, or its `else`.
    chosen
        Where that expression gives the value; None for everywhere.

    """
    divisors = () if frame.context.allows_empty else frame.context.facts.divisors(expression)
    for divisor in divisors:
        empty = empty_divisors(frame, divisor)
        if empty is None:
            continue
        bad = empty if chosen is None else empty & chosen
        if bad.any():
            raise _division_error(frame, divisor, bad)


def _division_error(frame: Frame, divisor: Expression, bad: Mask) -> EvaluationError:
    einsum, space = frame.einsum, frame.space
    first = np.argwhere(bad.reshape((1,) * (len(space.names) - bad.ndim) + bad.shape))[0]
    read = frame.context.facts.reads(divisor)[0]
    where = predicate_variables(einsum.where) if einsum.where is not None else frozenset[str]()
    names = [name for name in einsum.variables if name in frame.context.facts.variables(divisor) | where]
    values = [space.fixed[name] if name in space.fixed else int(first[space.axis[name]]) for name in names]
    at = ", ".join(f"{name} = {value}" for name, value in zip(names, values, strict=True))
    message = f"{einsum} must not divide by {read}{' at ' + at if at else ''}: no point of that reduction survives"
    return EvaluationError(f"{message}; say with else what the result is")
