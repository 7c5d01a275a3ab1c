"""The tensors that the user supplies: what they must be, and random ones."""

from collections.abc import Iterator, Mapping
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import ArrayLike

from einsum_cascade.cascade.extents import resolve_extents
from einsum_cascade.cascade.ir import (
    And,
    Apply,
    Cascade,
    Comparison,
    Constant,
    Not,
    Or,
    Predicate,
    RankExtent,
    Read,
    expression_variables,
    reads_of,
    reads_of_predicate,
    walk,
)
from einsum_cascade.errors import EvaluationError
from einsum_cascade.interpreter.space import Array

__all__ = ["as_control", "as_real", "check_inputs", "random_inputs"]


_MOST_COORDINATES = np.iinfo(np.intp).max


def check_inputs(cascade: Cascade, inputs: Mapping[str, ArrayLike]) -> dict[str, Array]:
    """Return inputs as arrays of real numbers; their shapes are checked with the extents.

    Raises
    ------
    EvaluationError
        An input is missing, or does not hold real numbers.

    """
    missing = [tensor for tensor in cascade.inputs if tensor.name not in inputs]
    if missing:
        first = missing[0]
        ranks = ", ".join(dimension.rank for dimension in first.dimensions)
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        message = f"{first.role} {first.name!r} must be given{more}, but is missing"
        raise EvaluationError(f"{message}; give an array of shape ({ranks})")
    return {name: as_real(name, value) for name, value in inputs.items()}


def as_real(name: str, value: ArrayLike) -> Array:
    """Return an input as an array of real numbers.

    Raises
    ------
    EvaluationError
        It holds something else.

    """
    array: Array = np.asarray(value)
    is_real = array.dtype.kind in "biuf" or array.dtype.type.__module__.startswith(ml_dtypes.__name__)
    if not is_real or array.dtype.kind == "c":
        message = f"input {name!r} must hold real numbers, but has the element type {str(array.dtype)!r}"
        raise EvaluationError(f"{message}; convert it to float64, float32 or integers")
    return array


def as_control(array: Array) -> Array:
    """Return an input as filters see it: integers exact, everything else in float64."""
    return array.astype(np.int64 if array.dtype.kind in "biu" else np.float64, copy=False)


def random_inputs(
    cascade: Cascade, extents: Mapping[str, int], seed: int, given: Mapping[str, ArrayLike] | None = None
) -> dict[str, Array]:
    """Draw inputs for a cascade.

    Parameters
    ----------
    cascade
        A checked cascade.
    extents
        Settings for its ranks; the shapes of `given` may tell the others.
    seed
        Of the random generator; the same seed gives the same inputs.
    given
        Inputs that are not drawn.

    Returns
    -------
    dict
        Every input by name: `given`, integers for what filters compare with (a length is between 1 and the extent
        that it is compared with), and standard normal numbers.

    Raises
    ------
    EvaluationError
        Extents contradict one another, or are those of no array.

    """
    known = {name: np.asarray(value) for name, value in (given or {}).items()}
    numbers = resolve_extents(cascade, extents, {name: array.shape for name, array in known.items()})
    bounds = dict(_integer_bounds(cascade, numbers))
    random = np.random.default_rng(seed)
    drawn: dict[str, Array] = {}
    for tensor in cascade.inputs:
        shape = tuple(numbers[dimension.rank] for dimension in tensor.dimensions)
        if max(shape, default=0) > _MOST_COORDINATES:
            raise EvaluationError(
                f"input {tensor.name!r} must fit into memory, but has the shape {shape}; make it smaller"
            )
        if tensor.name in known:
            drawn[tensor.name] = known[tensor.name]
        elif tensor.name in bounds:
            low, high = bounds[tensor.name]
            drawn[tensor.name] = random.integers(low, high, shape, endpoint=True)
        else:
            drawn[tensor.name] = random.standard_normal(shape)
    return drawn


def _integer_bounds(cascade: Cascade, extents: Mapping[str, int]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield least and greatest values for inputs that filters compare with."""
    for einsum in cascade.einsums:
        for comparison in _comparisons(einsum.where) if einsum.where is not None else ():
            for read in reads_of_predicate(comparison):
                yield read.tensor, _bounds(cascade, comparison, read, extents)


def _bounds(cascade: Cascade, comparison: Comparison, read: Read, extents: Mapping[str, int]) -> tuple[int, int]:
    """Return values that a comparison can tell apart: positions, flags, or a few labels."""
    is_left = any(found is read for found in reads_of(comparison.left))
    other = comparison.right if is_left else comparison.left
    if any(True for _ in reads_of(other)):
        return 0, 2
    ranks = {cascade.rank_of[name] for name in expression_variables(other)}
    ranks |= {node.rank for node in walk(other) if isinstance(node, RankExtent)}
    if ranks:
        greatest = max(extents[rank] for rank in ranks)
        return min(1, greatest), greatest
    value = _constant(other)
    least = int(np.floor(value)) if np.isfinite(value) else 0
    return (
        (least - 1, least) if comparison.operator in ("==", "!=", ">=", "<") and value == least else (least, least + 1)
    )


def _constant(expression: Any) -> float:
    """Evaluate an expression of numbers."""
    match expression:
        case Constant(value):
            return value
        case Apply(operator, arguments):
            return float(operator.function(*map(_constant, arguments)))
        case _:
            raise AssertionError(f"{expression} is no number")


def _comparisons(predicate: Predicate) -> Iterator[Comparison]:
    match predicate:
        case Comparison():
            yield predicate
        case And(operands) | Or(operands):
            for operand in operands:
                yield from _comparisons(operand)
        case Not(operand):
            yield from _comparisons(operand)
