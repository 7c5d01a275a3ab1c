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
        `query` (H, P, E), `key` (G, M, E), and `value` (G, M, F) if there are values; F is one more where a weight, or
        1 for sums, comes after them. Scores that are given are keys, as many columns at a time as the array has, each a
        head; their queries are the identity, and values are there for each of them.

    Raises
    ------
    EvaluationError
        A score that is given is not finite, so that no product with the identity is the score.

    """
    shared, group = work.shared, work.group
    if work.query is None or work.steps is None:
        found, copies = _given(work, tensors, columns, keys)
    else:
        query = _arranged(work, work.query, tensors, (*shared, *group), work.columns, work.steps)
        found, copies = {"query": query, "key": _arranged(work, work.key, tensors, shared, work.rows, work.steps)}, 1
        found["key"] = found["key"][:, :keys]
    if work.value is not None and work.outputs is not None:
        found["value"] = _values(work, tensors, work.value, work.outputs)[:, :keys].repeat(copies, axis=0)
    return found


def _values(work: ArrayWork, tensors: Mapping[str, Array], value: Operand, outputs: str) -> Array:
    values = _arranged(work, value, tensors, work.shared, work.rows, outputs)
    if not work.has_more_values:
        return values
    one = np.ones((*values.shape[:2], 1), values.dtype)
    last = one if work.weight is None else _arranged(work, work.weight, tensors, work.shared, work.rows)[..., None]
    return np.concatenate((values, last), axis=2)


def _given(work: ArrayWork, tensors: Mapping[str, Array], columns: int, keys: int) -> tuple[dict[str, Array], int]:
    """Return keys and queries for scores that are given, and of how many heads each of them became."""
    scores = _arranged(work, work.key, tensors, work.shared, work.rows, work.columns)[:, :keys]
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
    return {"query": np.broadcast_to(identity, (len(key), columns, columns)), "key": key}, tiles


def _arranged(
    work: ArrayWork, operand: Operand, tensors: Mapping[str, Array], heads: tuple[str, ...], *others: str
) -> Array:
    """Return a tensor with one axis of heads, then others; for heads along which it has no axis, it is the same."""
    own = [name for name in heads if name in operand.axes]
    values = np.asarray(tensors[operand.tensor]).transpose([operand.axes.index(name) for name in (*own, *others)])
    keys = dict(zip(work.key.axes, np.shape(tensors[work.key.tensor]), strict=True))
    sizes = keys | dict(zip(operand.axes, np.shape(tensors[operand.tensor]), strict=True))
    sides, rest = [sizes[name] for name in heads], values.shape[len(own) :]
    full = values.reshape([sizes[name] if name in own else 1 for name in heads] + [*rest])
    return np.broadcast_to(full, (*sides, *rest)).reshape(math.prod(sides), *rest)


def from_array(work: ArrayWork, results: Array, sizes: Mapping[str, int]) -> dict[str, Array]:
    """Return the outputs of the cascade.

    Parameters
    ----------
    work
        Says which axis is what.
    results
        (H, F, P), or (H, M, P) where scores are the results; with sums, the last of F is theirs.
    sizes
        Coordinates of every range.

    """
    heads, word = (*work.shared, *work.group), work.outputs or work.rows
    if work.query is None:
        count = math.prod(sizes[name] for name in heads)
        results = results.reshape(count, -1, *results.shape[1:]).swapaxes(1, 2)
        results = results.reshape(count, len(results[0]), -1)[..., : sizes[work.columns]]
    # Rows without a key are not computed; they are absent, hence 0.
    missing = max(0, sizes[word] - results.shape[1])
    values = np.pad(results, ((0, 0), (0, missing), (0, 0)))
    found = {work.output.tensor: _tensor(work.output, values[:, : sizes[word]], (*heads, word, work.columns), sizes)}
    if work.sums is not None:
        found[work.sums.tensor] = _tensor(work.sums, values[:, -1], (*heads, work.columns), sizes)
    return found


def _tensor(operand: Operand, values: Array, names: tuple[str, ...], sizes: Mapping[str, int]) -> Array:
    """Return a tensor from values that have its axes in the order of names, heads as one."""
    full = values.reshape([sizes[name] for name in names])
    return np.ascontiguousarray(full.transpose([names.index(name) for name in operand.axes]))
