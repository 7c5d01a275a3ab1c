"""Which elements are reductions over nothing, and divisions by them.

The flag of an element survives what cannot hide it: a sum or a maximum of flagged elements only, a product with one,
any other operator all of whose operands are flagged. Numbers are never flagged, but for an `init` that is the identity
of the recurrence it starts. Without filters, tails and empty ranks no other flag is ever set, and none costs anything.
"""

from collections.abc import Iterator
from functools import reduce

import numpy as np

from einsum_cascade.cascade.interpreter.frame import Frame
from einsum_cascade.cascade.interpreter.space import Mask
from einsum_cascade.cascade.interpreter.values import together
from einsum_cascade.cascade.ir import (
    Apply,
    Cascade,
    Constant,
    Einsum,
    Expression,
    Read,
    expression_variables,
    predicate_variables,
    reads_of,
    walk,
)
from einsum_cascade.errors import EvaluationError

__all__ = ["check_divisions", "divisors", "empty_divisors", "empty_points", "is_neutral_init"]


def is_neutral_init(cascade: Cascade, einsum: Einsum) -> bool:
    """Tell whether an `init` gives the identity of the outermost operator of its tensor's recurrence."""
    if not einsum.is_init or not isinstance(einsum.expression, Constant) or einsum.reduction is not None:
        return False
    update = next(e for e in cascade.einsums if e.tensor == einsum.tensor and not e.is_init)
    if update.reduction is not None:
        operator = update.reduction.operator
    elif isinstance(update.expression, Apply):
        operator = update.expression.operator
    else:
        return False
    return operator.identity is not None and einsum.expression.value == operator.identity


def empty_points(frame: Frame, expression: Expression) -> Mask | None:
    """Return at which points the value of an expression is flagged; None if at none."""
    match expression:
        case Read():
            return frame.access(expression).empty(frame.space)
        case Apply(operator, arguments):
            if operator.name in ("+", "max", "min"):
                return _everywhere([empty_points(frame, argument) for argument in arguments])
            if operator.name == "*":
                found = [mask for argument in arguments if (mask := empty_points(frame, argument)) is not None]
                return reduce(np.logical_or, found) if found else None
            reading = [argument for argument in arguments if any(True for _ in reads_of(argument))]
            return _everywhere([empty_points(frame, argument) for argument in reading])
        case _:
            return None


def _everywhere(masks: list[Mask | None]) -> Mask | None:
    known = [mask for mask in masks if mask is not None]
    return reduce(np.logical_and, known) if known and len(known) == len(masks) else None


def divisors(expression: Expression) -> Iterator[Expression]:
    """Yield what an expression divides by."""
    for node in walk(expression):
        if isinstance(node, Apply) and node.operator.name == "/":
            yield node.arguments[1]


def empty_divisors(frame: Frame, divisor: Expression) -> Mask | None:
    """Return where a divisor is present and flagged; None if nowhere."""
    empty = empty_points(frame, divisor)
    if empty is None:
        return None
    accesses = [frame.access(read) for read in reads_of(divisor)]
    present = together([c.mask for access in accesses for c in access.conditions(frame.space)])
    if present is not None:
        empty = empty & present
    for access in accesses:
        if (astray := access.astray(frame.space)) is not None:
            empty = empty & ~astray
    return empty if empty.any() else None


def check_divisions(frame: Frame, expression: Expression, chosen: Mask | None) -> None:
    """Refuse to divide by a reduction over nothing.

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
    for divisor in divisors(expression):
        empty = empty_divisors(frame, divisor)
        if empty is None:
            continue
        bad = empty if chosen is None else empty & chosen
        if bad.any():
            raise _division_error(frame, divisor, bad)


def _division_error(frame: Frame, divisor: Expression, bad: Mask) -> EvaluationError:
    einsum, space = frame.einsum, frame.space
    first = np.argwhere(bad.reshape((1,) * (len(space.names) - bad.ndim) + bad.shape))[0]
    read = next(reads_of(divisor))
    where = predicate_variables(einsum.where) if einsum.where is not None else frozenset[str]()
    names = [name for name in einsum.variables if name in frozenset(expression_variables(divisor)) | where]
    values = [space.fixed[name] if name in space.fixed else int(first[space.axis[name]]) for name in names]
    at = ", ".join(f"{name} = {value}" for name, value in zip(names, values, strict=True))
    message = f"{einsum} must not divide by {read}{' at ' + at if at else ''}: no point of that reduction survives"
    remedy = (
        "say with where and else what the result is" if einsum.where is None else "say with else what the result is"
    )
    return EvaluationError(f"{message}; {remedy}")
