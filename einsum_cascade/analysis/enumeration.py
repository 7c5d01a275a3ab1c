"""Bounds of given data: points and elements counted one by one, where filters read inputs whose values are known.

What a filter says of data is an upper bound without them. With them, the points of every Einsum are those of a mask
over its iteration space, which is held in memory; presence is inherited as in `analysis.domain`.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.analysis.facts import Facts
from einsum_cascade.analysis.operations import OperationCount, operators_of
from einsum_cascade.analysis.symbolic import number
from einsum_cascade.analysis.traffic import Traffic
from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.ir import (
    And,
    Apply,
    Comparison,
    Constant,
    Coordinate,
    Einsum,
    Expression,
    Not,
    Or,
    Predicate,
    RankExtent,
    Read,
    conjuncts,
    predicate_variables,
    reads_of,
    reads_of_predicate,
)
from einsum_cascade.cascade.operators import COMPARISONS
from einsum_cascade.errors import AnalysisError

__all__ = ["Array", "Enumeration", "tensors_that_decide"]

type Array = NDArray[Any]

_MOST_POINTS = 2**28
"""Points of one Einsum whose mask is held in memory."""


def tensors_that_decide(facts: Facts) -> frozenset[str]:
    """Return the inputs that filters read."""
    filters = (einsum.where for einsum in facts.cascade.einsums if einsum.where is not None)
    return frozenset(read.tensor for predicate in filters for read in reads_of_predicate(predicate))


class Enumeration:
    """The surviving points of every Einsum, and the elements of inputs that they read.

    Parameters
    ----------
    facts
        Of the cascade.
    extents
        Of all ranks.
    data
        Values of the inputs that filters read, each with the shape of its tensor.

    Raises
    ------
    AnalysisError
        An iteration space is too large to be enumerated.

    """

    def __init__(self, facts: Facts, extents: Mapping[str, int], data: Mapping[str, Array]) -> None:
        """Enumerate the Einsums in order."""
        self._cascade, self._extents, self._data = facts.cascade, extents, data
        self._present: dict[str, Array] = {}
        self._computed: dict[str, Array] = {}
        self._read: dict[str, Array] = {}
        self._ignored = frozenset[str]()
        unfinished = [self._unfinished(at) for at in range(len(facts.cascade.einsums))]
        self._points: list[tuple[int, int]] = []
        for einsum, self._ignored in zip(facts.cascade.einsums, unfinished, strict=True):
            self._points.append(self._count(einsum))
        # What is read before its last Einsum was taken to be there as a whole.
        self.is_exact = all(self._present.get(name, np.True_).all() for names in unfinished for name in names)

    def _unfinished(self, number: int) -> frozenset[str]:
        """Return the tensors that an Einsum reads and a later one writes."""
        later = {einsum.tensor for einsum in self._cascade.einsums[number + 1 :]}
        return frozenset(read.tensor for read in self._cascade.einsums[number].all_reads) & later

    def operations(self) -> tuple[OperationCount, ...]:
        """Return how often every operator is applied."""
        found: list[OperationCount] = []
        for einsum, points in zip(self._cascade.einsums, self._points, strict=True):
            counts: dict[str, int] = {}
            for expression, survivors in zip((einsum.expression, einsum.otherwise), points, strict=True):
                if expression is None:
                    continue
                applied, once = operators_of(einsum, expression)
                for name, times in applied.items():
                    counts[name] = counts.get(name, 0) + times * survivors
                for name, times in once.items():
                    counts[name] = counts.get(name, 0) + times
            found += (
                OperationCount(str(einsum), einsum.tensor, n, number(c), self.is_exact) for n, c in counts.items()
            )
        return tuple(found)

    def traffic(self, entries: tuple[Traffic, ...]) -> tuple[Traffic, ...]:
        """Return compulsory traffic with the words of the data instead of upper bounds."""
        return tuple(self._counted(entry) for entry in entries)

    def _counted(self, entry: Traffic) -> Traffic:
        tensor = self._cascade.tensor[entry.tensor]
        marks = self._read.get(entry.tensor) if tensor.is_given else self._computed.get(entry.tensor)
        return entry if marks is None else replace(entry, words=number(int(marks.sum())), is_exact=self.is_exact)

    def _count(self, einsum: Einsum) -> tuple[int, int]:
        """Return the points of the expression and of the `else`, and note what they read and make."""
        sizes = {name: self._extents[self._cascade.rank_of[name]] for name in einsum.variables}
        axis = self._cascade.tensor[einsum.tensor].generation_axis
        index = None if axis is None or einsum.is_init else einsum.indices[axis]
        if axis is None or index is None or index.stepped is None:
            return self._visit(einsum, self._coordinates(einsum, sizes))
        generation, step = index.stepped, index.offset.evaluate(self._extents)
        sizes[generation] = max(0, self._shape(einsum.tensor)[axis] - step)
        at = self._coordinates(einsum, sizes)
        if self._is_free(einsum, axis, step):
            self._ignored |= {einsum.tensor}
            return self._visit(einsum, at)
        # One generation after another: what an earlier one lacks, a later one may lack as well.
        along = [*sizes].index(generation)
        ones = (at[generation].take([number], along) for number in range(sizes[generation]))
        rounds = [self._visit(einsum, {**at, generation: one}) for one in ones]
        return sum(taken for taken, _ in rounds), sum(other for _, other in rounds)

    def _coordinates(self, einsum: Einsum, sizes: Mapping[str, int]) -> dict[str, Array]:
        """Return the coordinates of all points of an Einsum, by rank variable, to be broadcast together."""
        count = prod(sizes.values())
        if count > _MOST_POINTS:
            raise AnalysisError(
                f"the iteration space of {einsum} must have at most {_MOST_POINTS} points to be counted with data, "
                f"not {count}; give smaller extents, or no data for an upper bound"
            )
        grids = np.ogrid[tuple(slice(size) for size in sizes.values())] if sizes else ()
        return dict(zip(sizes, grids, strict=True))

    def _is_free(self, einsum: Einsum, axis: int, step: int) -> bool:
        """Tell whether a recurrence has no filter, and all that it starts from and takes in is there."""
        others = {read.tensor for read in einsum.all_reads if read.tensor in self._present} - {einsum.tensor}
        start = self._present.get(einsum.tensor)
        is_started = start is None or bool(start.take(range(step), axis).all())
        return einsum.where is None and is_started and all(self._present[name].all() for name in others)

    def _visit(self, einsum: Einsum, at: Mapping[str, Array]) -> tuple[int, int]:
        """Count the points at some coordinates, and note what they read and make."""
        sizes = np.broadcast_shapes(*(own.shape for own in at.values()))
        holds = self._holds(einsum.where, at) if einsum.where is not None else np.True_
        reading = tuple(reads_of_predicate(einsum.where)) if einsum.where is not None else ()
        taken = np.broadcast_to(holds & self._reach(reads_of(einsum.expression), at), sizes)
        other = np.zeros(sizes, bool)
        if einsum.otherwise is not None:
            other = np.broadcast_to(~np.asarray(holds) & self._reach(reads_of(einsum.otherwise), at), sizes)
        for reads, mask in (
            (reads_of(einsum.expression), taken),
            (reads_of(einsum.otherwise) if einsum.otherwise is not None else (), other),
            (reading, np.ones(sizes, bool)),
        ):
            for read in reads:
                self._mark(read, mask, at)
        self._make(einsum, taken | other, at)
        return int(taken.sum()), int(other.sum())

    def _index(self, index: Affine, at: Mapping[str, Array]) -> Array:
        total: Any = np.asarray(index.offset.evaluate(self._extents))
        for name, coefficient in index.terms:
            total = total + coefficient.evaluate(self._extents) * at[name]
        return total

    def _shape(self, tensor: str) -> tuple[int, ...]:
        return tuple(d.extent.evaluate(self._extents) for d in self._cascade.tensor[tensor].dimensions)

    def _reach(self, reads: Any, at: Mapping[str, Array]) -> Array:
        """Tell where all elements that are read exist."""
        found: Any = np.True_
        for read in reads:
            indices = [self._index(index, at) for index in read.indices]
            shape = self._shape(read.tensor)
            for index, size in zip(indices, shape, strict=True):
                found = found & (index >= 0) & (index < size)
            present = self._present.get(read.tensor)
            if present is not None and read.tensor not in self._ignored:
                found = found & present[tuple(np.clip(i, 0, n - 1) for i, n in zip(indices, shape, strict=True))]
        return found

    def _mark(self, read: Read, mask: Array, at: Mapping[str, Array]) -> None:
        if self._cascade.tensor[read.tensor].is_given:
            marks = self._read.setdefault(read.tensor, np.zeros(self._shape(read.tensor), bool))
            indices = [np.broadcast_to(self._index(index, at), mask.shape)[mask] for index in read.indices]
            marks[tuple(indices)] = True

    def _make(self, einsum: Einsum, mask: Array, at: Mapping[str, Array]) -> None:
        """Note the elements that exist: those of points, and the identity where only what is reduced is absent."""
        if einsum.reduction is not None and einsum.otherwise is None:
            mask = np.broadcast_to(
                self._is_barred_by_nothing(einsum, frozenset(einsum.reduction.variables), at), mask.shape
            )
        elif einsum.reduction is not None:
            mask = np.ones(mask.shape, bool)
        shape = self._shape(einsum.tensor)
        indices = [np.broadcast_to(self._index(index, at), mask.shape)[mask] for index in einsum.indices]
        is_inside = np.logical_and.reduce([index < size for index, size in zip(indices, shape, strict=True)])
        indices = [index[is_inside] for index in indices]
        for marks in [self._present] if einsum.is_constant_start else [self._present, self._computed]:
            made = marks.setdefault(einsum.tensor, np.zeros(shape, bool))
            if mask.any():
                made[tuple(indices)] = True

    def _is_barred_by_nothing(self, einsum: Einsum, reduced: frozenset[str], at: Mapping[str, Array]) -> Array:
        """Tell where no part of the filter and no operand makes an element absent that has no reduced variable."""
        found: Any = np.True_
        for part in conjuncts(einsum.where):
            if not predicate_variables(part) & reduced:
                found = found & self._holds(part, at)
        reads = reads_of(einsum.expression)
        free = [read for read in reads if not any(reduced & set(index.variables) for index in read.indices)]
        return found & self._reach(free, at)

    def _holds(self, predicate: Predicate, at: Mapping[str, Array]) -> Array:
        match predicate:
            case Comparison(operator, left, right):
                low, high = self._value(left, at), self._value(right, at)
                return COMPARISONS[operator](low, high)
            case Not(operand):
                return ~np.asarray(self._holds(operand, at))
            case And(operands):
                found = [self._holds(operand, at) for operand in operands]
                return np.logical_and.reduce(np.broadcast_arrays(*found))
            case Or(operands):
                found = [self._holds(operand, at) for operand in operands]
                return np.logical_or.reduce(np.broadcast_arrays(*found))

    def _value(self, expression: Expression, at: Mapping[str, Array]) -> Array:
        match expression:
            case Constant(value):
                return np.asarray(value)
            case RankExtent(rank):
                return np.asarray(self._extents[rank])
            case Coordinate(variable):
                return at[variable]
            case Read(tensor, indices):
                values, shape = self._data[tensor], self._shape(tensor)
                places = [np.clip(self._index(i, at), 0, n - 1) for i, n in zip(indices, shape, strict=True)]
                return values[tuple(places)]
            case Apply(operator, arguments):
                return np.asarray(operator.function(*(self._value(argument, at) for argument in arguments)))
