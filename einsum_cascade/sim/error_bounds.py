"""How far the results of an array may be from the exact ones of its operands, derived from its formats.

Bounds are those of the textbook (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., Ch. 3): a sum of n
products that are rounded one by one is within n u / (1 - n u) times the sum of their absolute values. What exponentials
add is measured over all their arguments (`EXPONENTIAL_ERRORS`, with tests).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.array.instruction import MatrixOp, VectorOp
from einsum_cascade.array.numbers import SINGLE, Multiplier
from einsum_cascade.array.program import Program
from einsum_cascade.formats import Format
from einsum_cascade.sim.program_values import masked

__all__ = ["EXPONENTIAL_ERRORS", "FACTOR_ERRORS", "error_bounds"]

type Array = NDArray[Any]

EXPONENTIAL_ERRORS = {"wide": 4.4e-6, "mixed": 1.12e-3, "narrow": 4.0e-3}
"""Greatest relative errors of exponentials by multiplier, before they are rounded to the score format."""

FACTOR_ERRORS = {"wide": 5.3e-6, "mixed": 3.4e-4, "narrow": 3.4e-4}
"""What a scale that is no power of 2 adds to them.

Its product with log2(e) is of 24 bits on a wide multiplier, within 2^-24 of itself, which an argument of 88.8 enlarges;
else of two pieces of 8 bits or more, within 2^-18.
"""

_SIGMOID_ERROR = 6e-6
"""Greatest absolute error of a sigmoid, before it is rounded."""

_SUBTRACTED = 127 * 2.0**-24
"""What rounding a difference of scores adds, at most, to the argument of an exponential that is not 0."""

_REFERENCE = 1 + 2.0**-30
"""The exact results are those of float64, which round as well."""


@dataclass(frozen=True)
class _Near:
    """Numbers, and how far those of the array may be from them."""

    value: Array
    error: Array

    @property
    def magnitude(self) -> Array:
        """The greatest absolute value that it may be."""
        return np.abs(self.value) + self.error


def error_bounds(program: Program, tensors: Mapping[str, Array]) -> Array:
    """Return by how much each result may differ from the exact one.

    Parameters
    ----------
    program
        What the array executes.
    tensors
        Operands: `query` (H, P, E), `key` (G, M, E), `value` (G, M, F) if there are values, of the operand format.

    Returns
    -------
    array
        (H, F, P), with two rows more for statistics, or (H, M, P) where scores are the results; infinite where nothing
        can be said, because a sum may overflow, or no key is left to divide by.

    """
    heads = range(program.key_heads * program.group)
    with np.errstate(all="ignore"):
        bounds = np.stack([_Head(program, tensors, head).bound() for head in heads])
    return np.where(np.isnan(bounds), np.inf, bounds)


class _Head:
    """One head of queries: all its scores at once."""

    def __init__(self, program: Program, tensors: Mapping[str, Array], head: int) -> None:
        self.program, self.numbers = program, program.shape.numbers
        own = head // program.group
        self.query, self.key = (np.asarray(tensors[n][at], np.float64) for n, at in (("query", head), ("key", own)))
        self.value = np.asarray(tensors["value"][own], np.float64) if "value" in tensors else None
        self.operations = {row.matrix.op: row.matrix for row in program.kernel}
        self.is_kept = ~masked(program, np.arange(program.keys)[:, None], np.arange(program.queries)[None, :])

    def bound(self) -> Array:
        scores = self._scores()
        if MatrixOp.EXPONENTIAL not in self.operations:
            return np.where(self.is_kept, scores.error, 0.0) * _REFERENCE
        weights = self._weights(scores)
        if MatrixOp.COMBINE in self.operations and self.value is not None:
            found = self._summed(weights, self.value[:, : self.program.output_steps])
        else:
            found = weights
        total = self._total(weights) if self.program.is_divided else None
        if total is not None:
            found = _divided(found, total)
        error = found.error + _unit(SINGLE) * found.magnitude + _least(SINGLE)
        bound = _finite(_Near(found.value, error), SINGLE) * _REFERENCE
        if total is None or not self.program.has_statistics:
            return bound
        own = np.where(self.is_kept.any(axis=0), self._greatest_error(scores), np.inf)
        return np.concatenate((bound, _finite(total, SINGLE) * _REFERENCE, own[None] * _REFERENCE))

    def _greatest_error(self, scores: _Near) -> Array:
        """Return how far any score of a query may be off, (P)."""
        return np.where(self.is_kept, scores.error, 0.0).max(axis=0)

    def _scores(self) -> _Near:
        """Return products of keys and queries, (M, P)."""
        form = self.numbers.accumulation
        total = np.abs(self.key) @ np.abs(self.query).T
        error = _gamma(self.query.shape[1], form) * total + self.query.shape[1] * _least(form)
        scores = _Near(self.key @ self.query.T, error)
        return _Near(scores.value, np.where(total * (1 + _unit(form)) < _greatest(form), error, np.inf))

    def _weights(self, scores: _Near) -> _Near:
        """Return exponentials less the maxima, sigmoids or features; 0 where a mask is."""
        first = min(row.matrix.index for row in self.program.kernel if row.matrix.op == MatrixOp.EXPONENTIAL)
        kind = self.numbers.steps[first].kind if first else "subtract"
        found = {"subtract": self._exponentials, "multiply": self._sigmoids, "rectify": self._features}[kind](scores)
        form = self.numbers.score
        error = found.error + _unit(form) * found.magnitude + _least(form)
        return _Near(np.where(self.is_kept, found.value, 0.0), np.where(self.is_kept, error, 0.0))

    def _exponentials(self, scores: _Near) -> _Near:
        kept, scale = self.is_kept, abs(self.program.scale)
        greatest = np.where(kept, scores.value, -np.inf).max(axis=0)
        # A maximum that is another one than the exact one cancels, as far as it is the same for all keys.
        argument = scale * 2 * self._greatest_error(scores) + 2 * _SUBTRACTED
        value = np.exp(self.program.scale * (scores.value - greatest))
        relative = np.exp(argument) * (1 + self._raised(self.numbers.multiplier)) * self._corrections() - 1
        return _Near(value, value * relative + _least(SINGLE))

    def _corrections(self) -> float:
        """Return the factor by which what earlier tiles left is multiplied at most, beside what it should be."""
        if not any(row.vector.op == VectorOp.CORRECTION for row in self.program.kernel):
            return 1.0
        one = (1 + self._raised("wide")) * (1 + 2 * _unit(SINGLE)) * math.exp(_SUBTRACTED)
        return one**self.program.key_tiles

    def _raised(self, multiplier: Multiplier) -> float:
        """Return the greatest relative error of an exponential of scaled differences."""
        is_power = math.frexp(self.program.scale)[0] == 0.5
        return EXPONENTIAL_ERRORS[multiplier] + (0.0 if is_power else FACTOR_ERRORS[multiplier])

    def _sigmoids(self, scores: _Near) -> _Near:
        scale, bias = self.program.scale, self.program.bias
        argument = scale * scores.value + bias
        rounded = _unit(SINGLE) * (2 * np.abs(scale * scores.value) + np.abs(argument))
        value = 1 / (1 + np.exp(-argument))
        return _Near(value, (abs(scale) * scores.error + rounded) / 4 + _SIGMOID_ERROR)

    def _features(self, scores: _Near) -> _Near:
        raised = np.exp(np.minimum(scores.value, 0.0))
        value = np.maximum(scores.value, 0.0) + raised
        relative = EXPONENTIAL_ERRORS[self.numbers.multiplier]
        return _Near(value, scores.error * (1 + relative) + relative * raised + 2 * _unit(SINGLE) * value)

    def _total(self, weights: _Near) -> _Near:
        """Return what results are divided by, (1, P)."""
        sums = next(row.matrix for row in self.program.kernel if row.vector.op in _SUMS)
        if sums.op == MatrixOp.COMBINE and self.value is not None:
            return self._summed(weights, self.value[:, sums.index : sums.index + 1])
        return self._summed(weights, np.ones((len(self.key), 1)))

    def _summed(self, weights: _Near, values: Array) -> _Near:
        """Return sums over the keys of weights times values, (F, P)."""
        form, count = self.numbers.accumulation, len(self.key) + self.program.key_tiles
        magnitude = np.abs(values).T @ weights.magnitude
        error = np.abs(values).T @ weights.error + _gamma(count, form) * magnitude + count * _least(form)
        return _Near(values.T @ weights.value, np.where(magnitude < _greatest(form), error, np.inf))


_SUMS = VectorOp.DENOMINATOR, VectorOp.ADD_DENOMINATOR


def _divided(above: _Near, below: _Near) -> _Near:
    """Return a quotient; nothing is known of it where the divisor may be 0."""
    value = above.value / below.value
    least = np.abs(below.value) - below.error
    error = (above.error + np.abs(value) * below.error) / least
    return _Near(value, np.where(least > 0, error, np.inf))


def _unit(form: Format) -> float:
    """Return the unit roundoff of a format."""
    return 2.0 ** -(form.mantissa_bits + 1)


def _least(form: Format) -> float:
    """Return the greatest error of what is too small for a format: subnormals of 8 exponent bits are zero."""
    least = 2.0**form.least_exponent
    return least if form.exponent_bits == SINGLE.exponent_bits else least * _unit(form)


def _greatest(form: Format) -> float:
    """Return what is surely below the greatest finite value of a format."""
    return 2.0**form.greatest_exponent


def _gamma(count: int, form: Format) -> float:
    share = count * _unit(form)
    return share / (1 - share) if share < 1 else math.inf


def _finite(near: _Near, form: Format) -> Array:
    return np.where(near.magnitude < _greatest(form), near.error, np.inf)
