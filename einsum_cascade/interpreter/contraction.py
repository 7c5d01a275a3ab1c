"""Sums of products: pairs of operands through BLAS, in the order that opt_einsum finds best."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import opt_einsum

from einsum_cascade.interpreter.space import Array

__all__ = ["ProductFactor", "contract"]


@dataclass(frozen=True, slots=True)
class ProductFactor:
    """A factor of a product: an array with one dimension for each of its axes of the space."""

    array: Array
    axes: tuple[int, ...]


def contract(operands: Sequence[ProductFactor], kept: tuple[int, ...]) -> Array:
    """Multiply operands and sum over all axes but those that are kept.

    Parameters
    ----------
    operands
        At least one.
    kept
        Axes of the result, in order.

    Returns
    -------
    Array
        One dimension for each kept axis, of length 1 where no operand has it.

    """
    found = list(operands)
    for pair in _path(found, kept):
        taken = [found.pop(at) for at in sorted(pair, reverse=True)]
        needed = frozenset(kept).union(*(other.axes for other in found))
        taken = [_sum_out(one, needed.union(*(two.axes for two in taken if two is not one))) for one in taken]
        found.append(taken[0] if len(taken) == 1 else _contract_pair(taken[0], taken[1], needed, kept))
    last = _sum_out(found[0], frozenset(kept))
    return _arranged(last, kept)


def _path(operands: list[ProductFactor], kept: tuple[int, ...]) -> list[tuple[int, ...]]:
    if len(operands) <= 2:
        return [tuple(range(len(operands)))]
    symbol = cast(Any, opt_einsum).get_symbol
    present = frozenset(axis for operand in operands for axis in operand.axes)
    terms = ["".join(symbol(axis) for axis in operand.axes) for operand in operands]
    output = "".join(symbol(axis) for axis in kept if axis in present)
    shapes = [operand.array.shape for operand in operands]
    path, _ = cast(Any, opt_einsum).contract_path(f"{','.join(terms)}->{output}", *shapes, shapes=True)
    return [tuple(pair) for pair in path]


def _sum_out(operand: ProductFactor, needed: frozenset[int]) -> ProductFactor:
    gone = tuple(at for at, axis in enumerate(operand.axes) if axis not in needed)
    if not gone:
        return operand
    return ProductFactor(operand.array.sum(axis=gone), tuple(axis for axis in operand.axes if axis in needed))


def _contract_pair(a: ProductFactor, b: ProductFactor, needed: frozenset[int], kept: tuple[int, ...]) -> ProductFactor:
    summed = [axis for axis in a.axes if axis in b.axes and axis not in needed]
    if not summed:
        axes = tuple(sorted({*a.axes, *b.axes}))
        return ProductFactor(_arranged(a, axes) * _arranged(b, axes), axes)
    shared = [axis for axis in a.axes if axis in b.axes and axis in needed]
    if kept and kept[-1] in a.axes and kept[-1] not in shared:
        a, b = b, a  # so that the last axis of the result is contiguous
    rows = [axis for axis in a.axes if axis not in summed and axis not in shared]
    columns = [axis for axis in b.axes if axis not in summed and axis not in shared]
    left = _matrices(a, shared, rows, summed)
    right = _matrices(b, shared, summed, columns)
    extents = dict(zip((*a.axes, *b.axes), (*a.array.shape, *b.array.shape), strict=True))
    axes = (*shared, *rows, *columns)
    return ProductFactor(np.matmul(left, right).reshape([extents[axis] for axis in axes]), axes)


def _matrices(operand: ProductFactor, shared: list[int], rows: list[int], columns: list[int]) -> Array:
    """Arrange an operand as matrices that BLAS takes as they are."""
    array = _arranged(operand, (*shared, *rows, *columns))
    shape = array.shape
    first, second = len(shared), len(shared) + len(rows)
    array = array.reshape(*shape[:first], math.prod(shape[first:second]), math.prod(shape[second:]))
    return array if _suits_blas(array) else np.ascontiguousarray(array)


def _suits_blas(array: Array) -> bool:
    """Tell whether one of the last two dimensions is contiguous and the other has a stride past it."""
    (m, n), (s, t), item = array.shape[-2:], array.strides[-2:], array.itemsize
    return (t == item and s >= n * item) or (s == item and t >= m * item)


def _arranged(operand: ProductFactor, axes: tuple[int, ...]) -> Array:
    """Transpose an operand to the given order; axes that it lacks get length 1."""
    present = [axis for axis in axes if axis in operand.axes]
    array = operand.array.transpose([operand.axes.index(axis) for axis in present])
    if len(present) == len(axes):
        return array
    return array.reshape([array.shape[present.index(axis)] if axis in present else 1 for axis in axes])
