"""Which points survive a filter.

A comparison that reads past a tensor is undecided, and three-valued logic carries that on: `m + 1 < M and X[m + 1] > 0`
is false at the last point, whichever way round it is written.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

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
from einsum_cascade.cascade.operators import COMPARISONS
from einsum_cascade.interpreter.frame import Frame
from einsum_cascade.interpreter.space import Array, Mask
from einsum_cascade.interpreter.tensor_values import Condition

__all__ = ["Filter", "filters_of", "undecided_points"]


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

    def holds_or(self, default: bool) -> Mask:
        """Return the truth, and `default` where it is undecided."""
        return self.holds if self.undecided is None else np.where(self.undecided, np.bool_(default), self.holds)


def filters_of(frame: Frame) -> list[Filter]:
    """Evaluate the filter of an Einsum, one result for each predicate that `and` joins at the top."""
    found: list[Filter] = []
    for predicate in conjuncts(frame.einsum.where):
        truth = _evaluate(frame, predicate)
        holds = truth.holds if truth.undecided is None else truth.holds & ~truth.undecided
        names = predicate_variables(predicate)
        shape = (1,) * (len(frame.space.names) - np.ndim(holds)) + np.shape(holds)
        condition = Condition(np.reshape(holds, shape), frame.space.axes(names), frame.space.loops(names))
        found.append(Filter(condition, truth.undecided))
    return found


def undecided_points(tests: Sequence[Filter]) -> Mask:
    """Return the points that no predicate excludes for certain, but where some cannot be told."""
    possible = [t.condition.mask if t.undecided is None else t.condition.mask | t.undecided for t in tests]
    certain = [test.condition.mask for test in tests]
    return reduce(np.logical_and, possible) & ~reduce(np.logical_and, certain)


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
    holds: Mask = reduce(join, [truth.holds_or(is_and) for truth in truths])
    unknown = [truth.undecided for truth in truths if truth.undecided is not None]
    if not unknown:
        return _Truth(holds, None)
    somewhere: Mask = reduce(np.logical_or, unknown)
    is_open: Mask = holds if is_and else ~holds
    return _Truth(holds, somewhere & is_open)


def _compare(frame: Frame, comparison: Comparison) -> _Truth:
    undecided: list[Mask] = []
    left = _side(frame, comparison.left, undecided)
    right = _side(frame, comparison.right, undecided)
    total: Mask | None = reduce(np.logical_or, undecided) if undecided else None
    holds: Mask = COMPARISONS[comparison.operator](left, right)
    return _Truth(holds, total)


def _side(frame: Frame, expression: Expression, undecided: list[Mask]) -> Array:
    """Evaluate one side exactly: coordinates and extents are integers, inputs are as they were given."""
    match expression:
        case Constant(value):
            return np.asarray(value)
        case RankExtent(rank):
            return np.asarray(frame.context.numbers.extents[rank])
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
