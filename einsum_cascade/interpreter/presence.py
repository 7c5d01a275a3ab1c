"""Which points of an Einsum are present, and which of them the expression gives and which `else`.

The filter decides first, like an `if`: where it fails the point gets the value of `else` or is absent, and what the
expression reads there plays no part. Where it holds, the point is present if every element that is read is.

What names no reduced variable - a filter, the tail of a partition, an operand's absence - decides about whole elements
of the result: they are absent. What names one decides about points: a reduction does not see them, and over nothing
gives its identity. With an `else`, an operand's absence is about the variables of the filter as well.
"""

from dataclasses import dataclass

from einsum_cascade.cascade.ir import Expression
from einsum_cascade.interpreter.emptiness import empty_divisors
from einsum_cascade.interpreter.filters import Filter, filters_of, undecided_points
from einsum_cascade.interpreter.frame import Frame
from einsum_cascade.interpreter.space import Mask
from einsum_cascade.interpreter.tensor_values import Condition, together

__all__ = ["Presence", "conditions_of", "presence_of"]


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


_EVERYTHING = Presence((), (), (), (), ())


def presence_of(frame: Frame) -> Presence:
    """Return which points of a frame are present; worked out once."""
    if frame.presence is None:
        frame.presence = _EVERYTHING if frame.is_plain else _presence(frame)
    return frame.presence


def _presence(frame: Frame) -> Presence:
    tests = tuple(filters_of(frame)) if frame.einsum.where is not None else ()
    operands = conditions_of(frame, frame.einsum.expression)
    if frame.einsum.otherwise is None:
        own = tuple(test.condition for test in tests)
        return Presence(tests, own, operands, (), own + operands)
    others = conditions_of(frame, frame.einsum.otherwise)
    choice = _choice(frame, tests)
    return Presence(tests, (choice,), operands, others, _alternatives(tests, choice, operands, others))


def conditions_of(frame: Frame, expression: Expression) -> tuple[Condition, ...]:
    """Return when what an expression reads is present."""
    return tuple(
        c for read in frame.context.facts.reads(expression) for c in frame.access(read).conditions(frame.space)
    )


def _choice(frame: Frame, tests: tuple[Filter, ...]) -> Condition:
    """Return where the expression gives the value and not `else`: the filter holds and no divisor is empty."""
    found = _joined([test.condition for test in tests])
    for divisor in frame.context.facts.divisors(frame.einsum.expression):
        names = frame.context.facts.variables(divisor)
        empty = empty_divisors(frame, divisor)
        mask = found.mask if empty is None else found.mask & ~empty
        found = Condition(mask, found.axes | frame.space.axes(names), found.loops | frame.space.loops(names))
    return found


def _joined(conditions: list[Condition]) -> Condition:
    first, *rest = conditions
    for condition in rest:
        axes, loops = first.axes | condition.axes, first.loops | condition.loops
        first = Condition(first.mask & condition.mask, axes, loops)
    return first


def _alternatives(
    tests: tuple[Filter, ...], choice: Condition, operands: tuple[Condition, ...], others: tuple[Condition, ...]
) -> tuple[Condition, ...]:
    """Let what each side reads count only where that side gives the value."""
    found = [Condition(~choice.mask | c.mask, choice.axes | c.axes, choice.loops | c.loops) for c in operands]
    found += [Condition(choice.mask | c.mask, choice.axes | c.axes, choice.loops | c.loops) for c in others]
    if any(test.undecided is not None for test in tests):
        whole = _joined([test.condition for test in tests])
        found.append(Condition(~undecided_points(tests), whole.axes, whole.loops))
    return tuple(found)
