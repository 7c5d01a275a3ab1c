"""Reductions: sums of products as contractions, everything else block by block.

A contraction adds up the products of absent points as zeros. That is exact unless another factor is infinite or NaN
there, or an intermediate result overflows; so a result that is not finite is thrown away and folded point by point.
"""

import math

import numpy as np

from einsum_cascade.cascade.ir import Expression, Read, Reduction
from einsum_cascade.cascade.operators import Operator
from einsum_cascade.errors import EvaluationError
from einsum_cascade.interpreter.contraction import ProductFactor, contract
from einsum_cascade.interpreter.expression import apply, evaluate
from einsum_cascade.interpreter.frame import Frame
from einsum_cascade.interpreter.presence import conditions_of, presence_of
from einsum_cascade.interpreter.space import Array, Mask
from einsum_cascade.interpreter.tensor_values import Condition, together

__all__ = ["reduced_values"]

_BLOCK = 1 << 20
"""Most points whose values exist at once."""


def reduced_values(frame: Frame, reduction: Reduction) -> Array:
    """Map and reduce an Einsum; the result has one dimension per variable on the left, of length 1 where constant."""
    einsum, space = frame.einsum, frame.space
    expression = _Branch(frame, reduction.operator, einsum.expression, is_other=False).fold()
    if einsum.otherwise is None:
        return expression
    otherwise = _Branch(frame, reduction.operator, einsum.otherwise, is_other=True).fold()
    (choice,) = presence_of(frame).filters
    if choice.axes.isdisjoint(space.reduced_axes):
        return np.where(choice.mask.reshape(choice.mask.shape[: space.left]), expression, otherwise)
    return _combine(frame, reduction.operator, expression, otherwise)


def _combine(frame: Frame, operator: Operator, a: Array, b: Array) -> Array:
    return apply(frame, operator, [a, b], np.broadcast_shapes(a.shape, b.shape))


class _Branch:
    """The reduction of an Einsum's expression, or of its `else`, over the points that get their value from it."""

    def __init__(self, frame: Frame, operator: Operator, expression: Expression, *, is_other: bool) -> None:
        self.frame, self.space = frame, frame.space
        self.operator, self.expression, self.is_other = operator, expression, is_other
        self.has_user_operator = frame.context.facts.has_user_operator(expression)
        presence = presence_of(frame)
        own, inherited = presence.filters, presence.operands
        if is_other:
            own = tuple(Condition(~choice.mask, choice.axes) for choice in own)
            inherited = presence.others
        self.conditions = own + inherited
        reduced = frozenset(self.space.reduced_axes)
        self.own = tuple(condition for condition in own if condition.axes & reduced)
        # With an else, an operand's absence is about the variables of the filter as well.
        self.is_mixed = frame.einsum.otherwise is not None and bool(self.own) and bool(inherited)
        self.inherited = tuple(condition for condition in inherited if self.is_mixed or condition.axes & reduced)

    def fold(self) -> Array:
        is_sum = self.operator.name == "+" and not self.is_mixed
        if is_sum and not (self.conditions and self.has_user_operator):
            result = self._contract()
            if result is not None:
                return result
        needs_no_memory = isinstance(self.expression, Read) or self._is_left(self.expression)
        if (needs_no_memory and not (self.own or self.inherited)) or self.space.size <= _BLOCK:
            return self._fold_directly()
        return self._fold_blocks()

    def _fold_blocks(self) -> Array:
        """Split the first variable that has several coordinates."""
        axis = next(axis for axis, count in enumerate(self.space.counts) if count > 1)
        count = self.space.counts[axis]
        step = max(1, count * _BLOCK // self.space.size)
        parts: list[Array] = []
        for start in range(0, count, step):
            frame = self.frame.over(self.space.block(axis, start, min(start + step, count)))
            part = _Branch(frame, self.operator, self.expression, is_other=self.is_other)
            folded = part._fold_directly() if frame.space.size <= _BLOCK else part._fold_blocks()
            if axis < self.space.left:
                parts.append(np.broadcast_to(folded, frame.space.counts[: self.space.left]))
            else:
                parts = [_combine(self.frame, self.operator, parts[0], folded)] if parts else [folded]
        return np.concatenate(parts, axis=axis) if axis < self.space.left else parts[0]

    def _fold_directly(self) -> Array:
        present = together([condition.mask for condition in self.conditions])
        values = evaluate(self.frame, self.expression, present if self.has_user_operator else None)
        mask = together([condition.mask for condition in (*self.own, *self.inherited)])
        left = self.space.left
        counts = (1,) * left + self.space.counts[left:]
        shape = np.broadcast_shapes(values.shape, counts, () if mask is None else mask.shape)
        full = values if values.shape == shape else np.broadcast_to(values, shape)
        return _reduce(self.frame, self.operator, full, mask)

    def _contract(self) -> Array | None:
        """Sum products by contraction; None if they are none, or if the result may be wrong."""
        factors, divisors = self.frame.context.facts.product(self.frame.einsum, self.expression)
        scalars = [factor for factor in factors if not self._axes(factor)]
        arrays = [factor for factor in factors if self._axes(factor)]
        is_read = len(arrays) == 1 and isinstance(arrays[0], Read) and not self.own
        covered = frozenset[int]().union(*map(self._axes, arrays))
        if (
            not (len(arrays) > 1 or is_read)
            or 0 in self.space.counts
            or not covered.issuperset(self.space.reduced_axes)
        ):
            return None
        operands = self._masked([self._operand(factor) for factor in arrays])
        is_exact = not (self.own or self.inherited or divisors) and self._is_plain(operands)
        left = self.space.left
        result = contract(operands, tuple(range(left)))
        for factor in scalars:
            scale = evaluate(self.frame, factor).reshape(())
            result, is_exact = result * scale, is_exact and bool(np.isfinite(scale))
        for divisor in divisors:
            values = evaluate(self.frame, divisor)
            result = result / values.reshape(values.shape[:left])
        return result if is_exact or np.isfinite(result).all() else None

    def _is_plain(self, operands: list[ProductFactor]) -> bool:
        """Tell whether every product is formed before anything is added up."""
        return len(operands) <= 2 and all(
            axis in operand.axes for operand in operands for axis in self.space.reduced_axes
        )

    def _is_left(self, expression: Expression) -> bool:
        return self._axes(expression).isdisjoint(self.space.reduced_axes)

    def _axes(self, expression: Expression) -> frozenset[int]:
        known = self.space.known
        found = known.get(("axes", id(expression)))
        if found is None:
            found = known["axes", id(expression)] = self.space.axes(self.frame.context.facts.variables(expression))
        return found

    def _operand(self, factor: Expression) -> ProductFactor:
        """Evaluate a factor, 0 where it is absent; what is read is 0 there already."""
        values = evaluate(self.frame, factor)
        if not isinstance(factor, Read) and (conditions := conditions_of(self.frame, factor)):
            present = together([condition.mask for condition in conditions])
            values = np.where(np.True_ if present is None else present, values, np.zeros((), values.dtype))
        return self._squeezed(values, self._axes(factor))

    def _squeezed(self, array: Array, axes: frozenset[int]) -> ProductFactor:
        """Keep only the axes that an array depends on."""
        counts = tuple([count if axis in axes else 1 for axis, count in enumerate(self.space.counts)])
        full = array if array.shape == counts else np.broadcast_to(array, counts)
        kept = tuple(slice(None) if axis in axes else 0 for axis in range(len(counts)))
        return ProductFactor(full[kept], tuple(sorted(axes)))

    def _masked(self, operands: list[ProductFactor]) -> list[ProductFactor]:
        """Put zeros at the points that the filter excludes."""
        for condition in self.own:
            mask = self._squeezed(condition.mask, condition.axes)
            able = [at for at, operand in enumerate(operands) if condition.axes <= frozenset(operand.axes)]
            if not able:
                operands.append(ProductFactor(mask.array.astype(operands[0].array.dtype), mask.axes))
                continue
            at = min(able, key=lambda at: operands[at].array.size)
            axes = operands[at].axes
            shape = [self.space.counts[axis] if axis in mask.axes else 1 for axis in axes]
            zero = np.zeros((), operands[at].array.dtype)
            operands[at] = ProductFactor(np.where(mask.array.reshape(shape), operands[at].array, zero), axes)
        return operands


def _reduce(frame: Frame, operator: Operator, values: Array, mask: Mask | None) -> Array:
    """Fold the reduced axes of an array; points that the mask excludes are not seen."""
    left = frame.space.left
    identity = np.asarray(operator.identity, values.dtype)
    if mask is not None:
        values = np.where(mask, values, identity)
    if 0 in values.shape[left:]:
        return np.full(values.shape[:left], identity)
    if operator.is_builtin and isinstance(operator.function, np.ufunc):
        return operator.function.reduce(values, axis=frame.space.reduced_axes)
    rows = values.reshape(*values.shape[:left], math.prod(values.shape[left:]))
    if isinstance(operator.function, np.ufunc):
        return _reduce_by_ufunc(frame, operator, operator.function, rows)
    return _reduce_by_halves(frame, operator, rows)


def _reduce_by_ufunc(frame: Frame, operator: Operator, function: np.ufunc, rows: Array) -> Array:
    try:
        return np.asarray(function.reduce(rows, axis=-1)).astype(rows.dtype)
    except Exception as error:
        message = f"operator {operator.name!r} must reduce arrays, but fails in {frame.einsum}"
        raise EvaluationError(f"{message} with {type(error).__name__}: {error}") from error


def _reduce_by_halves(frame: Frame, operator: Operator, rows: Array) -> Array:
    while (count := rows.shape[-1]) > 1:
        half = count // 2
        first, second, rest = rows[..., :half], rows[..., half : 2 * half], rows[..., 2 * half :]
        rows = np.concatenate([apply(frame, operator, [first, second], first.shape), rest], axis=-1)
    return rows[..., 0]
