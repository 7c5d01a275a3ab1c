"""A user's tensors as the array has them in memory, and its results as the user's."""

import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.array.numbers import LOWEST
from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.extent import Extent
from einsum_cascade.errors import EvaluationError
from einsum_cascade.recognition.patterns import STATISTICS
from einsum_cascade.recognition.works import ArrayWork, Operand

__all__ = ["EvenIndices", "from_array", "from_operand", "index_of", "line_of", "to_array"]

type Array = NDArray[Any]


def to_array(
    work: ArrayWork,
    tensors: Mapping[str, Array],
    extents: Mapping[str, int],
    columns: int,
    keys: int,
    but: AbstractSet[str] = frozenset(),
) -> dict[str, Array]:
    """Return the operands of the array.

    Parameters
    ----------
    work
        Says which axis is what.
    tensors
        The inputs of the cascade, by name.
    extents
        Of all ranks.
    columns
        Of the array.
    keys
        Of a head that are read; a filter leaves the ones after them out.
    but
        Operands that are not wanted, whose tensors need not be there.

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
    view = _View(work, extents, keys)
    if work.query is None or work.steps is None:
        found, copies = _given(work, view, tensors, columns)
    else:
        found, copies = dict[str, Array](), 1
        if "query" not in but:
            heads = (*work.shared, *work.group)
            found["query"] = view.read(tensors, work.query, heads, work.columns, work.steps)
        if "key" not in but:
            found["key"] = view.read(tensors, work.key, work.shared, work.rows, work.steps)
    if work.value is not None and work.outputs is not None and "value" not in but:
        found["value"] = _values(work, view, tensors, work.value, work.outputs).repeat(copies, axis=0)
    return found


class _View:
    """Elements of tensors by coordinates of the ranges of a work.

    Parameters
    ----------
    work
        Says what indices are at the coordinates.
    extents
        Of all ranks.
    keys
        How many coordinates the rows have.

    """

    def __init__(self, work: ArrayWork, extents: Mapping[str, int], keys: int | None = None) -> None:
        self._parts, self._extents = work.workload.parts, extents
        self.sizes = work.sizes(extents)
        if keys is not None:
            self.sizes[work.rows] = keys

    def read(self, tensors: Mapping[str, Array], operand: Operand, heads: tuple[str, ...], *others: str) -> Array:
        """Return the elements of an operand with one axis of heads, then others; it may lack heads, and is the same."""
        names, values = (*heads, *others), np.asarray(tensors[operand.tensor])
        # Only what a mask leaves out may be outside.
        inside = (np.clip(at, 0, size - 1) for at, size in zip(self.indices(operand, names), values.shape, strict=True))
        found = values[tuple(inside)]
        sizes = [self.sizes[name] for name in others]
        full = np.broadcast_to(found, [self.sizes[name] for name in names])
        return full.reshape(math.prod(self.sizes[name] for name in heads), *sizes)

    def indices(self, operand: Operand, names: tuple[str, ...]) -> tuple[Array, ...]:
        """Return the index of every axis of an operand, over coordinates along some ranges in order."""
        along = np.ix_(*(np.arange(self.sizes[name]) for name in names))
        at = dict(zip(names, along, strict=True))
        return tuple(self._index(index, at) for index in operand.indices)

    def extent(self, extent: Extent) -> int:
        """Return the number that an extent is."""
        return extent.evaluate(self._extents)

    def _index(self, index: Affine, at: Mapping[str, Array]) -> Array:
        total: Any = np.asarray(index.offset.evaluate(self._extents))
        for name, coefficient in index.terms:
            part = self._parts[name]
            unit, limit = part.unit.evaluate(self._extents), part.limit.evaluate(self._extents)
            total = total + coefficient.evaluate(self._extents) * (at[part.range] // unit % limit)
        return total


@dataclass(frozen=True, slots=True)
class EvenIndices:
    """The indices of a tensor that a work reads or writes, where they grow evenly along every range.

    Parameters
    ----------
    first
        Of every axis, at coordinates 0.
    steps
        By range, of every axis, from a coordinate to the next; 0 if there is no next one.

    """

    first: tuple[int, ...]
    steps: Mapping[str, tuple[int, ...]]


def line_of(work: ArrayWork, operand: Operand, extents: Mapping[str, int]) -> EvenIndices | None:
    """Return how the indices of an operand grow; None if they do not grow evenly, or leave the tensor."""
    view, names = _View(work, extents), operand.ranges
    counts = [view.sizes[name] for name in names]
    first: list[int] = []
    steps = {name: list[int]() for name in names}
    for dimension, index in zip(
        work.cascade.tensor[operand.tensor].dimensions, view.indices(operand, names), strict=True
    ):
        grid = np.broadcast_to(index, counts)
        first.append(int(grid.flat[0]))
        ends = [first[-1], first[-1]]
        for at, (name, count) in enumerate(zip(names, counts, strict=True)):
            along = grid[tuple(slice(None) if number == at else 0 for number in range(len(names)))]
            step = int(along[1] - along[0]) if count > 1 else 0
            if (along != along[0] + step * np.arange(count)).any():
                return None
            ends[step > 0] += step * (count - 1)
            steps[name].append(step)
        if ends[0] < 0 or ends[1] >= view.extent(dimension.extent):
            return None
    return EvenIndices((*first,), {name: (*own,) for name, own in steps.items()})


def _values(work: ArrayWork, view: _View, tensors: Mapping[str, Array], value: Operand, outputs: str) -> Array:
    values = view.read(tensors, value, work.shared, work.rows, outputs)
    if not work.has_more_values:
        return values
    one = np.ones((*values.shape[:2], 1), values.dtype)
    last = one if work.weight is None else view.read(tensors, work.weight, work.shared, work.rows)[..., None]
    return np.concatenate((values, last), axis=2)


def _given(work: ArrayWork, view: _View, tensors: Mapping[str, Array], columns: int) -> tuple[dict[str, Array], int]:
    """Return keys and queries for scores that are given, and of how many heads each of them became."""
    scores = view.read(tensors, work.key, work.shared, work.rows, work.columns)
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


def from_array(work: ArrayWork, results: Array, extents: Mapping[str, int]) -> dict[str, Array]:
    """Return the outputs of the cascade.

    Parameters
    ----------
    work
        Says which axis is what.
    results
        (H, F, P), or (H, M, P) where scores are the results; with sums, the last of F is theirs, and statistics come
        after F.
    extents
        Of all ranks.

    """
    view = _View(work, extents)
    heads, word, sizes = (*work.shared, *work.group), work.outputs or work.rows, view.sizes
    if work.query is None:
        count = math.prod(sizes[name] for name in heads)
        results = results.reshape(count, -1, *results.shape[1:]).swapaxes(1, 2)
        results = results.reshape(count, len(results[0]), -1)[..., : sizes[work.columns]]
    # Rows without a key are not computed; they are absent, hence 0.
    missing = max(0, sizes[word] - results.shape[1])
    values = np.pad(results, ((0, 0), (0, missing), (0, 0)))
    found = {work.output.tensor: _tensor(work, view, work.output, values[:, : sizes[word]], (*heads, word))}
    if work.sums is not None:
        found[work.sums.tensor] = _tensor(work, view, work.sums, values[:, -1], heads)
    for name, operand in work.statistics.items():
        own = values[:, sizes[word] + STATISTICS.index(name)]
        # The maximum of no key is that of none.
        own = np.where(own == LOWEST, -np.inf, own) if name == "maximum" else own
        found[operand.tensor] = _tensor(work, view, operand, own, heads, elsewhere=np.nan)
    return found


def from_operand(work: ArrayWork, values: Array, extents: Mapping[str, int]) -> NDArray[np.bool_]:
    """Return which results, (H, P, F) or (H, P, M), are those of elements of the output that are not 0."""
    heads, word = (*work.shared, *work.group), work.outputs or work.rows
    return _View(work, extents).read({work.output.tensor: values}, work.output, heads, work.columns, word) != 0


def index_of(work: ArrayWork, at: tuple[int, ...], extents: Mapping[str, int]) -> tuple[int, ...]:
    """Return the index in the output of the result of a head, of a column and of an F or M."""
    view, names = _View(work, extents), (*work.shared, *work.group, work.columns, work.outputs or work.rows)
    sizes = [view.sizes[name] for name in names]
    place = (*np.unravel_index(at[0], sizes[:-2]), *at[1:]) if sizes[:-2] else at[1:]
    return tuple(int(np.broadcast_to(each, sizes)[place]) for each in view.indices(work.output, names))


def _tensor(
    work: ArrayWork, view: _View, operand: Operand, values: Array, names: tuple[str, ...], elsewhere: float = 0.0
) -> Array:
    """Return a tensor from values along some ranges and the columns, heads as one; what it has elsewhere is told."""
    names = (*names, work.columns)
    dimensions = work.cascade.tensor[operand.tensor].dimensions
    found = np.full([view.extent(dimension.extent) for dimension in dimensions], elsewhere, values.dtype)
    found[view.indices(operand, names)] = values.reshape([view.sizes[name] for name in names])
    return found
