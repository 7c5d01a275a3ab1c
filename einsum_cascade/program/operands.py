"""A user's tensors as the array has them in memory, and its results as the user's."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.program.recognition import ArrayWork, Operand

__all__ = ["from_array", "to_array"]

type Array = NDArray[Any]


def to_array(work: ArrayWork, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """Return the operands of the array.

    Parameters
    ----------
    work
        Says which axis is what.
    tensors
        The inputs of the cascade, by name.

    Returns
    -------
    dict
        `query` (H, P, E), `key` (G, M, E), and `value` (G, M, F) if there are values.

    """
    shared, group = work.shared, work.group
    found = {
        "query": _arranged(work.query, tensors, (shared + group, work.columns, work.steps)),
        "key": _arranged(work.key, tensors, (shared, work.rows, work.steps)),
    }
    if work.value is not None and work.outputs is not None:
        found["value"] = _arranged(work.value, tensors, (shared, work.rows, work.outputs))
    return found


def _arranged(operand: Operand, tensors: Mapping[str, Array], wanted: tuple[tuple[str, ...], str, str]) -> Array:
    heads, *others = wanted
    order = [operand.axes.index(name) for name in (*heads, *others)]
    values = np.asarray(tensors[operand.tensor]).transpose(order)
    return values.reshape(math.prod(values.shape[: len(heads)]), *values.shape[len(heads) :])


def from_array(work: ArrayWork, results: Array, sizes: Mapping[str, int]) -> Array:
    """Return the output of the cascade.

    Parameters
    ----------
    work
        Says which axis is what.
    results
        (H, F, P), or (H, M, P) where scores are the results.
    sizes
        Coordinates of every range.

    """
    names = (*work.shared, *work.group, work.outputs or work.rows, work.columns)
    # Rows without a key are not computed; they are absent, hence 0.
    missing = sizes[names[-2]] - results.shape[1]
    values = np.pad(results, ((0, 0), (0, missing), (0, 0))).reshape([sizes[name] for name in names])
    return np.ascontiguousarray(values.transpose([names.index(name) for name in work.output.axes]))
