"""Values of expressions, point by point, overwriting what is not needed any more."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from einsum_cascade.cascade.ir import Apply, Constant, Coordinate, Expression, RankExtent, Read
from einsum_cascade.cascade.operators import Operator
from einsum_cascade.errors import EvaluationError
from einsum_cascade.interpreter.frame import Frame, SpaceRead
from einsum_cascade.interpreter.space import Array, Mask

__all__ = ["apply", "evaluate"]


@dataclass(frozen=True, slots=True)
class _Result:
    """An array, and whether it is ours to overwrite."""

    array: Array
    is_scratch: bool = False


def evaluate(frame: Frame, expression: Expression, present: Mask | None = None) -> Array:
    """Return the values of an expression over the axes of a frame's space.

    Parameters
    ----------
    frame
        The Einsum. Tensors that die with it may be overwritten.
    expression
        Its expression, `else`, or a part of one.
    present
        Where the values matter; a user's operator is not called on others. None for everywhere.

    """
    return _evaluate(frame, expression, present).array


def _evaluate(frame: Frame, expression: Expression, present: Mask | None) -> _Result:
    dtype = frame.context.store.dtype
    match expression:
        case Constant(value):
            return _Result(np.asarray(value, dtype))
        case RankExtent(rank):
            return _Result(np.asarray(frame.context.numbers.extents[rank], dtype))
        case Coordinate(variable):
            return _Result(frame.space.coordinates(variable, dtype), is_scratch=variable not in frame.space.fixed)
        case Read():
            access = frame.access(expression)
            if _is_dead(frame, expression, access):
                return _Result(access.value.array, is_scratch=True)
            return _Result(access.elements(frame.space))
        case Apply(operator, arguments):
            operands = [_evaluate(frame, argument, present) for argument in arguments]
            return _Result(_apply(frame, operator, operands, present), is_scratch=True)


def _is_dead(frame: Frame, read: Read, access: SpaceRead) -> bool:
    """Tell whether a read takes a whole array that nothing else will read again."""
    value, space = access.value, frame.space
    return (
        read.tensor in frame.dying
        and value.is_owned
        and value.array.shape == space.counts
        and all(line.offset == 0 and line.steps == ((at, 1),) for at, line in enumerate(access.lines))
        and frame.context.facts.is_read_once(frame.einsum, read.tensor)
    )


def _apply(frame: Frame, operator: Operator, operands: list[_Result], present: Mask | None) -> Array:
    arrays = [operand.array for operand in operands]
    shape = arrays[0].shape
    if any(array.shape != shape for array in arrays):
        shape = np.broadcast_shapes(*[array.shape for array in arrays])
    if present is not None and not operator.is_builtin:
        return _apply_where(frame, operator, arrays, shape, present)
    out = next(
        (o.array for o in operands if o.is_scratch and o.array.shape == shape and _may_take(operator, o, operands)),
        None,
    )
    if out is None:
        return apply(frame, operator, arrays, shape)
    with np.errstate(all="ignore"):
        return operator.function(*arrays, out=out)


def _may_take(operator: Operator, operand: _Result, operands: list[_Result]) -> bool:
    """Tell whether an operator may write over one of its operands: a ufunc any, our own functions the first."""
    if isinstance(operator.function, np.ufunc):
        return not _gives_objects(operator.function)
    return operator.is_builtin and operator.takes_out and operand is operands[0]


def _gives_objects(function: Any) -> bool:
    return all(signature.endswith("O") for signature in function.types)


def apply(frame: Frame, operator: Operator, arrays: list[Array], shape: tuple[int, ...]) -> Array:
    """Apply an operator and insist that it works element by element.

    Raises
    ------
    EvaluationError
        The operator's function raises, or gives another shape.

    """
    if operator.is_builtin:
        return np.asarray(operator.function(*arrays), frame.context.store.dtype)
    try:
        result = np.asarray(operator.function(*arrays)).astype(frame.context.store.dtype)
    except Exception as error:
        message = f"operator {operator.name!r} must work on arrays, but fails in {frame.einsum}"
        raise EvaluationError(f"{message} with {type(error).__name__}: {error}") from error
    if result.shape != shape:
        message = f"operator {operator.name!r} must work element by element and give shape {shape} in {frame.einsum}"
        raise EvaluationError(f"{message}, but gives {result.shape}")
    return result


def _apply_where(frame: Frame, operator: Operator, arrays: list[Array], shape: tuple[int, ...], present: Mask) -> Array:
    """Apply a user's operator to the points that are present, and to no others."""
    shape = shape or (1,) * present.ndim
    spread = tuple(axis for axis, extent in enumerate(shape) if extent == 1)
    chosen = np.broadcast_to(present.any(axis=spread, keepdims=True), shape)
    result = np.zeros(shape, frame.context.store.dtype)
    points = [np.broadcast_to(array, shape)[chosen] for array in arrays]
    result[chosen] = apply(frame, operator, points, points[0].shape)
    return result
