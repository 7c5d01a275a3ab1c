"""Whether what a simulated array leaves is right: near the exact results of its operands, as its formats allow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.cascade.transform import own_extents
from einsum_cascade.interpreter import evaluate
from einsum_cascade.lowering.steps import Step
from einsum_cascade.recognition.layouts import from_array
from einsum_cascade.sim.error_bounds import error_bounds

__all__ = ["Accuracy", "accuracy_of"]

type Array = NDArray[Any]


@dataclass(frozen=True)
class Accuracy:
    """How near the results of a work of the array are to those of float64 on the same operands.

    Parameters
    ----------
    tensor
        That has the worst result, or the first.
    at
        Index of that result; None where nothing was compared.
    found, exact, bound
        That result, what it should be, and how far it may be from it.
    beyond
        How many results are farther away than that.
    compared
        How many have a value and a bound.
    unknown
        How many have none: no key is left for a query, an operand is not finite, or sums may overflow.

    """

    tensor: str
    at: tuple[int, ...] | None
    found: float
    exact: float
    bound: float
    beyond: int
    compared: int
    unknown: int


def accuracy_of(
    steps: Sequence[Step], tensors: Mapping[str, Array], results: Mapping[str, NDArray[np.float32]]
) -> Accuracy:
    """Compare the results of a work with those of float64.

    Parameters
    ----------
    steps
        Its programs, all heads together.
    tensors
        What it read, by name, of the operand format.
    results
        What the array made, by name.

    Raises
    ------
    EvaluationError
        Float64 has no values for these operands at all.

    """
    part = steps[0].work.cascade
    given = {tensor.name: tensors[tensor.name] for tensor in part.inputs}
    exact = evaluate(part, given, own_extents(part, steps[0].extents), allows_empty=True)
    bounds = _bounds(steps, tensors)
    found = [_one(name, results[name], exact[name], bounds[name]) for name in results]
    worst = max(found, key=lambda each: (each.beyond > 0, each.at is not None))
    return replace(
        worst,
        beyond=sum(each.beyond for each in found),
        compared=sum(each.compared for each in found),
        unknown=sum(each.unknown for each in found),
    )


def _bounds(steps: Sequence[Step], tensors: Mapping[str, Array]) -> dict[str, Array]:
    """Return how far each element of the results may be from the exact one; NaN where there is none."""
    room = steps[0].empty_results().astype(np.float64)
    for step in steps:
        step.place(room, error_bounds(step.lowered.program, step.operands(tensors)))
    return from_array(steps[0].work, room, steps[0].extents)


def _one(name: str, found: Array, exact: Array, bound: Array) -> Accuracy:
    is_known, is_there = np.isfinite(exact) & np.isfinite(bound), ~np.isnan(bound)
    with np.errstate(all="ignore"):
        excess = np.where(is_known, np.abs(found - exact) - bound, -np.inf)
    # A result that is not finite where it should be is beyond every bound.
    excess = np.where(is_known & ~np.isfinite(found), np.inf, excess)
    beyond, compared = int((excess > 0).sum()), int(is_known.sum())
    if not compared:
        return Accuracy(name, None, 0.0, 0.0, 0.0, 0, 0, int(is_there.sum()))
    at = tuple(int(index) for index in np.unravel_index(int(np.argmax(excess)), exact.shape))
    values = float(found[at]), float(exact[at]), float(bound[at])
    return Accuracy(name, at, *values, beyond, compared, int(is_there.sum()) - compared)
