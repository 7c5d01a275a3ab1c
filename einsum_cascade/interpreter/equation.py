"""One Einsum: map, reduce, populate."""

import numpy as np

from einsum_cascade.cascade.ir import Einsum, Expression, Read, reads_of_predicate
from einsum_cascade.errors import EvaluationError
from einsum_cascade.formats import round_to
from einsum_cascade.interpreter.emptiness import check_divisions, empty_points
from einsum_cascade.interpreter.expression import evaluate
from einsum_cascade.interpreter.filters import Filter, undecided_points
from einsum_cascade.interpreter.frame import Frame, RunContext
from einsum_cascade.interpreter.presence import Presence, presence_of
from einsum_cascade.interpreter.reduction import reduced_values
from einsum_cascade.interpreter.space import Array, Mask, Space
from einsum_cascade.interpreter.tensor_values import Condition, TensorValue, together

__all__ = ["check_einsum", "run_einsum"]


def run_einsum(context: RunContext, einsum: Einsum, dying: frozenset[str]) -> None:
    """Evaluate an Einsum at the present coordinates of the loops around it, and store the result.

    Parameters
    ----------
    context
        The evaluation.
    einsum
        The Einsum.
    dying
        Tensors that nothing reads after it.

    """
    space = context.facts.space(einsum, context.store.fixed)
    frame = Frame(context, einsum, space, dying if einsum.reduction is None else frozenset())
    if not frame.is_plain:
        check_einsum(frame)
    presence = presence_of(frame)
    conditions = _element_conditions(space, presence) if presence.conditions else ()
    empty = _empty_elements(frame, presence)
    context.store.write(einsum, space.unreduced, _value(frame, conditions, empty))


def _value(frame: Frame, conditions: tuple[Condition, ...], empty: Mask | None) -> TensorValue:
    """Return what an Einsum stores: its values in the format, 0 where absent."""
    einsum, space = frame.einsum, frame.space
    counts = space.counts[: space.left]
    if isinstance(einsum.expression, Read) and einsum.reduction is None and einsum.where is None and not conditions:
        access = frame.access(einsum.expression)
        access.value.is_owned = False
        return TensorValue(np.broadcast_to(access.elements(space), counts), (), empty)
    values = _mapped(frame) if einsum.reduction is None else reduced_values(frame, einsum.reduction)
    values = round_to(values, frame.context.form)
    present = together([condition.mask for condition in conditions])
    if present is not None:
        values = _zeroed(values, ~present, counts)
    if values.shape != counts:
        return TensorValue(np.broadcast_to(values, counts), conditions, empty)
    return TensorValue(values, conditions, empty, is_owned=values.flags.writeable)


def _zeroed(values: Array, absent: Mask, counts: tuple[int, ...]) -> Array:
    """Put zeros where elements are absent, in place if the array is ours."""
    if values.shape != counts or not values.flags.writeable:
        return np.where(absent, np.zeros((), values.dtype), values)
    np.copyto(values, 0, where=absent)
    return values


def _mapped(frame: Frame) -> Array:
    einsum, presence = frame.einsum, presence_of(frame)
    choice = presence.choice
    if einsum.otherwise is None:
        return evaluate(frame, einsum.expression, _present(frame, einsum.expression, presence, choice))
    assert choice is not None
    expression = evaluate(frame, einsum.expression, _present(frame, einsum.expression, presence, choice))
    otherwise = evaluate(frame, einsum.otherwise, _present(frame, einsum.otherwise, presence, ~choice))
    return np.where(choice, expression, otherwise)


def _present(frame: Frame, expression: Expression, presence: Presence, chosen: Mask | None) -> Mask | None:
    """Return where a user's operator may be called; None if there is none, or no restriction."""
    if not frame.context.facts.has_user_operator(expression):
        return None
    masks = [condition.mask for condition in presence.conditions]
    return together(masks if chosen is None else [*masks, chosen])


def _element_conditions(space: Space, presence: Presence) -> tuple[Condition, ...]:
    """Return the conditions on whole elements, joined where they are about the same axes."""
    found: dict[tuple[frozenset[int], frozenset[str]], Mask] = {}
    for condition in presence.conditions:
        if condition.axes.isdisjoint(space.reduced_axes):
            key = (condition.axes, condition.loops)
            mask = condition.mask.reshape(condition.mask.shape[: space.left])
            found[key] = found[key] & mask if key in found else mask
    return tuple(Condition(mask, axes, loops) for (axes, loops), mask in found.items())


def _empty_elements(frame: Frame, presence: Presence) -> Mask | None:
    """Return which elements are reductions over nothing, or made of nothing else."""
    einsum, space = frame.einsum, frame.space
    is_neutral = frame.context.facts.is_neutral_init(einsum)
    empty = _ones(space) if is_neutral else None if frame.is_plain else empty_points(frame, einsum.expression)
    if einsum.otherwise is not None:
        other = empty_points(frame, einsum.otherwise)
        if empty is not None or other is not None:
            assert presence.choice is not None
            yes, no = (~_ones(space) if mask is None else mask for mask in (empty, other))
            empty = np.where(presence.choice, yes, no)
    if einsum.reduction is None:
        return empty
    if 0 in space.counts[space.left :]:
        return np.ones((1,) * space.left, np.bool_)
    points = [c.mask for c in presence.conditions if not c.axes.isdisjoint(space.reduced_axes)]
    if empty is None and not points:
        return None
    alive = together(points if empty is None else [*points, ~empty])
    assert alive is not None
    nothing = ~alive.any(axis=space.reduced_axes)
    return nothing if nothing.any() else None


def _ones(space: Space) -> Mask:
    return np.ones((1,) * len(space.names), np.bool_)


def check_einsum(frame: Frame) -> None:
    """Refuse indices that go astray where the filter holds, and divisions by reductions over nothing."""
    einsum, presence = frame.einsum, presence_of(frame)
    holds = together([test.condition.mask for test in presence.tests])
    if frame.space.size:
        _check_filter(frame, presence.tests)
        _check_reads(frame, einsum.expression, holds)
    if einsum.otherwise is None:
        check_divisions(frame, einsum.expression, holds)
        return
    choice = presence.choice
    assert choice is not None
    if frame.space.size:
        _check_reads(frame, einsum.otherwise, ~choice)
    check_divisions(frame, einsum.otherwise, ~choice)


def _check_filter(frame: Frame, tests: tuple[Filter, ...]) -> None:
    """Refuse a filter that cannot be decided because it reads past a tensor other than in the tail of a partition."""
    where = frame.einsum.where
    if where is None or all(test.undecided is None for test in tests):
        return
    undecided = undecided_points(tests)
    for read in reads_of_predicate(where):
        astray = frame.access(read, is_control=True).astray(frame.space)
        if astray is not None:
            _refuse(frame, read, astray & undecided)


def _check_reads(frame: Frame, expression: Expression, chosen: Mask | None) -> None:
    for read in frame.context.facts.reads(expression):
        astray = frame.access(read).astray(frame.space)
        if astray is not None:
            _refuse(frame, read, astray if chosen is None else astray & chosen)


def _refuse(frame: Frame, read: Read, bad: Mask) -> None:
    if not bad.any():
        return
    einsum, space = frame.einsum, frame.space
    first = np.argwhere(np.broadcast_to(bad, space.counts))[0]
    coordinates = dict(zip(space.names, map(int, first), strict=True)) | dict(space.fixed)
    at = ", ".join(f"{name} = {coordinates[name]}" for name in einsum.variables)
    values = [index.evaluate(coordinates, frame.context.numbers.extents) for index in read.indices]
    shape = frame.context.store.shape(read.tensor)
    message = f"{read} in {einsum} must stay inside {read.tensor}"
    for index, value, extent in zip(read.indices, values, shape, strict=True):
        if not 0 <= value < extent:
            where = f"but {str(index)!r} is {value} at {at}, where the last coordinate is {extent - 1}"
            raise EvaluationError(f"{message}, {where}; exclude that point with where")
    message = f"{read} in {einsum} must read what an earlier coordinate has given"
    raise EvaluationError(f"{message}, but at {at} it reads {read.tensor}{values}, which is not known yet")
