"""A user's tensors as the array has them in memory, and its results as the user's."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.errors import EvaluationError
from einsum_cascade.program.recognition import ArrayWork, Operand

__all__ = ["from_array", "to_array"]

type Array = NDArray[Any]


def to_array(work: ArrayWork, tensors: Mapping[str, Array], columns: int, keys: int) -> dict[str, Array]:
    """Return the operands of the array.

    Parameters
    ----------
    work
        Says which axis is what.
    tensors
        The inputs of the cascade, by name.
    columns
        Of the array.
    keys
        Of a head that are read; a filter leaves the ones after them out.

    Returns
    -------
    dict
        `query` (H, P, E), `key` (G, M, E), and `value` (G, M, F) if there are values. Scores that are given are keys,
        as many columns at a time as the array has, each a head; their queries are the identity.

    Raises
    ------
    EvaluationError
        A score that is given is not finite, so that no product with the identity is the score.

    """
    shared, group = work.shared, work.group
    if work.query is None or work.steps is None:
        return _given(work, tensors, columns, keys)
    found = {
        "query": _arranged(work.query, tensors, (shared + group, work.columns, work.steps)),
        "key": _arranged(work.key, tensors, (shared, work.rows, work.steps))[:, :keys],
    }
    if work.value is not None and work.outputs is not None:
        found["value"] = _arranged(work.value, tensors, (shared, work.rows, work.outputs))[:, :keys]
    return found


def _given(work: ArrayWork, tensors: Mapping[str, Array], columns: int, keys: int) -> dict[str, Array]:
    scores = _arranged(work.key, tensors, (work.shared, work.rows, work.columns))[:, :keys]
    if not np.isfinite(scores).all():
        at = tuple(int(index) for index in np.argwhere(~np.isfinite(scores))[0])
        raise EvaluationError(
            f"{work.key.tensor} must be finite, for the array takes scores in by products with the identity, not "
            f"{scores[at]} at {at}; mask by a filter instead"
        )
    heads, rows, queries = scores.shape
    tiles = -(-queries // columns)
    padded = np.pad(scores, ((0, 0), (0, 0), (0, tiles * columns - queries)))
    key = padded.reshape(heads, rows, tiles, columns).swapaxes(1, 2).reshape(heads * tiles, rows, columns)
    identity = np.eye(columns, dtype=scores.dtype)
    return {"query": np.broadcast_to(identity, (len(key), columns, columns)), "key": key}


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
    if work.query is None:
        heads = math.prod(sizes[name] for name in names[:-2])
        results = results.reshape(heads, -1, *results.shape[1:]).swapaxes(1, 2)
        results = results.reshape(heads, len(results[0]), -1)[..., : sizes[work.columns]]
    # Rows without a key are not computed; they are absent, hence 0.
    missing = sizes[names[-2]] - results.shape[1]
    values = np.pad(results, ((0, 0), (0, missing), (0, 0))).reshape([sizes[name] for name in names])
    return np.ascontiguousarray(values.transpose([names.index(name) for name in work.output.axes]))
