"""Which points of an Einsum are present, and which of them the expression gives and which `else`.

The filter decides first, like an `if`: where it fails the point gets the value of `else` or is absent, and what the
expression reads there plays no part. Where it holds, the point is present if every element that is read is.

What names no reduced variable - a filter, the tail of a partition, an operand's absence - decides about whole elements
of the result: they are absent. What names one decides about points: a reduction does not see them, and over nothing
gives its identity. With an `else` all of it is one condition.
"""

from dataclasses import dataclass

import numpy as np

from einsum_cascade.cascade.interpreter.emptiness import divisors, empty_divisors
from einsum_cascade.cascade.interpreter.filters import Filter, filters_of
from einsum_cascade.cascade.interpreter.frame import Frame, together
from einsum_cascade.cascade.interpreter.space import Mask
from einsum_cascade.cascade.interpreter.store import Condition
from einsum_cascade.cascade.ir import Expression, expression_variables, reads_of

__all__ = ["Presence", "presence_of"]


@dataclass(frozen=True, slots=True)
class Presence:
    """What is present over a space.

    Parameters
    ----------
    tests
        The filter, one result for each predicate that `and` joins.
    filters
        The conditions of the tests, if there is no `else`; otherwise the one where the expression gives the value.
    operands
        When what the expression reads is present.
    others
        When what `else` reads is present, if there is an `else`.
    conditions
        When points are present, all in all.

    """

    tests: tuple[Filter, ...]
    filters: tuple[Condition, ...]
    operands: tuple[Condition, ...]
    others: tuple[Condition, ...]
    conditions: tuple[Condition, ...]

    @property
    def choice(self) -> Mask | None:
        """Where the expression gives the value; None if everywhere."""
        return together([condition.mask for condition in self.filters])


def presence_of(frame: Frame) -> Presence:
    """Return which points of a frame are present; worked out once."""
    if frame.presence is None:
        frame.presence = _presence(frame)
    return frame.presence


def _presence(frame: Frame) -> Presence:
    tests = tuple(filters_of(frame)) if frame.einsum.where is not None else ()
    operands = _operand_conditions(frame, frame.einsum.expression)
    if frame.einsum.otherwise is None:
        own = tuple(test.condition for test in tests)
        return Presence(tests, own, operands, (), own + operands)
    others = _operand_conditions(frame, frame.einsum.otherwise)
    choice = _choice(frame, tests)
    return Presence(tests, (choice,), operands, others, _alternatives(tests, choice, operands, others))


def _operand_conditions(frame: Frame, expression: Expression) -> tuple[Condition, ...]:
    return tuple(c for read in reads_of(expression) for c in frame.access(read).conditions(frame.space))


def _choice(frame: Frame, tests: tuple[Filter, ...]) -> Condition:
    """Return where the expression gives the value and not `else`: the filter holds and no divisor is empty."""
    mask = together([test.condition.mask for test in tests])
    axes = frozenset(axis for test in tests for axis in test.condition.axes)
    for divisor in divisors(frame.einsum.expression):
        axes |= frame.space.axes(frozenset(expression_variables(divisor)))
        if (empty := empty_divisors(frame, divisor)) is not None:
            mask = ~empty if mask is None else mask & ~empty
    assert mask is not None
    return Condition(mask, axes)


def _alternatives(
    tests: tuple[Filter, ...], choice: Condition, operands: tuple[Condition, ...], others: tuple[Condition, ...]
) -> tuple[Condition, ...]:
    undecided = [test.undecided for test in tests if test.undecided is not None]
    if not (undecided or operands or others):
        return ()
    yes, no = (together([c.mask for c in conditions]) for conditions in (operands, others))
    mask = np.where(choice.mask, True if yes is None else yes, True if no is None else no)
    for unknown in undecided:
        mask = mask & ~unknown
    axes = choice.axes.union(*(condition.axes for condition in (*operands, *others)))
    return (Condition(mask, axes),)
