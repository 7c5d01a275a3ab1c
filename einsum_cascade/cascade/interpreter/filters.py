"""Which points survive a filter.

A comparison that reads past a tensor is undecided, and three-valued logic carries that on: `m + 1 < M and X[m + 1] > 0`
is false at the last point, whichever way round it is written.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from einsum_cascade.cascade.interpreter.frame import Frame
from einsum_cascade.cascade.interpreter.space import Array, Mask
from einsum_cascade.cascade.interpreter.store import Condition
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
    Read,
    conjuncts,
    predicate_variables,
)

__all__ = ["Filter", "filters_of"]

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}


@dataclass(frozen=True, slots=True)
class Filter:
    """One of the predicates that must all hold.

    Parameters
    ----------
    condition
        Where it holds.
    undecided
        Where it cannot be told, because it reads past a tensor; None if nowhere.

    """

    condition: Condition
    undecided: Mask | None


@dataclass(frozen=True, slots=True)
class _Truth:
    """`holds` means nothing where `undecided` is true."""

    holds: Mask
    undecided: Mask | None


def filters_of(frame: Frame) -> list[Filter]:
    """Evaluate the filter of an Einsum, one result for each predicate that `and` joins at the top."""
    found: list[Filter] = []
    for predicate in conjuncts(frame.einsum.where):
        truth = _evaluate(frame, predicate)
        holds = truth.holds if truth.undecided is None else truth.holds & ~truth.undecided
        axes = frame.space.axes(predicate_variables(predicate))
        shape = (1,) * (len(frame.space.names) - holds.ndim) + holds.shape
        found.append(Filter(Condition(holds.reshape(shape), axes), truth.undecided))
    return found


def _evaluate(frame: Frame, predicate: Predicate) -> _Truth:
    match predicate:
        case Comparison():
            return _compare(frame, predicate)
        case Not(operand):
            truth = _evaluate(frame, operand)
            return _Truth(~truth.holds, truth.undecided)
        case And(operands):
            return _join([_evaluate(frame, operand) for operand in operands], is_and=True)
        case Or(operands):
            return _join([_evaluate(frame, operand) for operand in operands], is_and=False)


def _join(truths: list[_Truth], *, is_and: bool) -> _Truth:
    """Join by `and` or `or`; one decided operand that is false (or true) decides the whole."""
    join: Callable[[Any, Any], Any] = np.logical_and if is_and else np.logical_or
    holds: Mask = np.asarray(is_and)
    undecided: Mask = np.zeros((), np.bool_)
    for truth in truths:
        part = truth.holds if truth.undecided is None else np.where(truth.undecided, is_and, truth.holds)
        holds = join(holds, part)
        if truth.undecided is not None:
            undecided = undecided | truth.undecided
    if all(truth.undecided is None for truth in truths):
        return _Truth(holds, None)
    return _Truth(holds, undecided & (holds == is_and))


def _compare(frame: Frame, comparison: Comparison) -> _Truth:
    undecided: list[Mask] = []
    left = _side(frame, comparison.left, undecided)
    right = _side(frame, comparison.right, undecided)
    total = None
    for mask in undecided:
        total = mask if total is None else total | mask
    return _Truth(np.asarray(_COMPARE[comparison.operator](left, right)), total)


def _side(frame: Frame, expression: Expression, undecided: list[Mask]) -> Array:
    """Evaluate one side exactly: coordinates and extents are integers, inputs are as they were given."""
    match expression:
        case Constant(value):
            return np.asarray(value)
        case RankExtent(rank):
            return np.asarray(frame.machine.numbers.extents[rank])
        case Coordinate(variable):
            return frame.space.coordinates(variable)
        case Read():
            access = frame.access(expression, is_control=True)
            undecided += [~condition.mask for condition in access.conditions(frame.space)]
            if (astray := access.astray(frame.space)) is not None:
                undecided.append(astray)
            return access.elements(frame.space)
        case Apply(operator, arguments):
            return operator.function(*(_side(frame, argument, undecided) for argument in arguments))
