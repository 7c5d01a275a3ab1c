"""Counts: integers, arrays of them with an entry per candidate mapping, or expressions in extents and parameters.

The counting rules are written once, over counts. Where the three kinds differ, it is here.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import gcd
from typing import Any, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.analysis import symbolic
from einsum_cascade.analysis.quantities import Count
from einsum_cascade.analysis.symbolic import is_expression
from einsum_cascade.analysis.tiling import SymbolicSplit, symbolic_split
from einsum_cascade.cascade.extent import Extent, Quotient
from einsum_cascade.errors import MappingError

__all__ = [
    "FIRST_LONG",
    "Count",
    "NumberSplit",
    "Split",
    "Splitter",
    "array_of",
    "ceil_div",
    "check_counts",
    "check_numbers",
    "evaluated",
    "identity",
    "is_array",
    "is_number",
    "is_same",
    "maximum",
    "minimum",
    "per",
    "scaled",
    "shared_stride",
    "split",
]


def is_array(count: object) -> TypeGuard[NDArray[Any]]:
    """Tell whether a count has an entry for each candidate."""
    return isinstance(count, np.ndarray)


def array_of(count: Count) -> NDArray[Any]:
    """Return numbers as an array; one number as an array without dimensions."""
    return np.asarray(cast(Any, count))


FIRST_LONG = 1 << 62
"""The least count that is not left to NumPy's whole numbers, which are others beyond twice that without a word."""


@dataclass(frozen=True, slots=True, eq=False)
class NumberSplit:
    """A size cut into tiles.

    Parameters
    ----------
    full
        Whole tiles.
    rest
        Coordinates of the tile at the edge; 0 if there is none.
    has_edge
        1 if there is a tile at the edge, otherwise 0.
    is_cut, is_edged
        Whether any of the candidates has a whole tile, and one at the edge.

    """

    full: Any
    rest: Any
    has_edge: Any
    is_cut: bool
    is_edged: bool

    @property
    def is_single(self) -> Count:
        """1 if there is one tile only, otherwise 0."""
        return (self.full + self.has_edge <= 1) * 1

    def total(self, whole: Any, edge: Any) -> Count:
        """Add up what all tiles give: `whole` each whole one, `edge` the one at the edge; None for one never there."""
        if edge is None:
            return 0 if whole is None else whole * self.full
        last = edge * self.has_edge
        return last if whole is None else whole * self.full + last

    def first(self, whole: Any, edge: Any) -> Count:
        """Return what the first tile gives: a whole one, unless there is none."""
        if not self.is_cut or whole is None:
            return 0 if edge is None else edge
        if not self.is_edged or edge is None:
            return whole
        if isinstance(self.full, int):
            return whole if self.full else edge
        return cast(Count, np.where(self.full > 0, whole, edge))


type Split = NumberSplit | SymbolicSplit
type Splitter = Callable[[Count, Count], Split]


def split(size: Count, tile: Count) -> Split:
    """Cut a size into tiles."""
    if is_expression(size) or is_expression(tile):
        return symbolic_split(symbolic.expression(size), symbolic.expression(tile))
    if isinstance(tile, int) and tile == 1:
        return NumberSplit(size, 0, 0, bool(np.any(array_of(size))), False)
    cut: Any = divmod if _is_integer(size, tile) else np.divmod
    full, rest = cut(size, tile)
    return NumberSplit(full, rest, (rest > 0) * 1, bool(np.any(full)), bool(np.any(rest)))


def ceil_div(size: Count, unit: Count) -> Count:
    """Return the ceiling of a quotient."""
    if isinstance(unit, int) and unit == 1:
        return size
    if is_expression(size) or is_expression(unit):
        return symbolic.ceiling(size, unit)
    return -(-size // unit)


def minimum(a: Any, b: Any) -> Any:
    """Return the smaller of two counts."""
    if is_expression(a) or is_expression(b):
        return symbolic.smallest(a, b)
    return min(a, b) if _is_integer(a, b) else np.minimum(a, b)


def maximum(a: Any, b: Any) -> Any:
    """Return the larger of two counts, or of two other amounts."""
    if is_expression(a) or is_expression(b):
        return symbolic.largest(a, b)
    return max(a, b) if _is_integer(a, b) else np.maximum(a, b)


def scaled(count: Any, numerator: int, denominator: int) -> Any:
    """Return a count times a quotient: exact in an expression and where it is an integer, otherwise a float."""
    if is_expression(count):
        return count * symbolic.ratio(numerator, denominator)
    if isinstance(count, int) and count * numerator % denominator == 0:
        return count * numerator // denominator
    return count * (numerator / denominator)


def per(amount: Any, rate: Fraction) -> Any:
    """Return an amount divided by a rate, which is exact in an expression and a float otherwise."""
    if is_expression(amount):
        return amount / symbolic.ratio(rate.numerator, rate.denominator)
    return amount / float(rate)


def evaluated(extent: Extent, values: Mapping[str, Any]) -> Count:
    """Return an expression's value, which is an array or an expression if a value in it is."""
    total: Any = 0
    for monomial, coefficient in extent.terms:
        term: Any = coefficient
        for atom in monomial:
            term = term * (_quotient(atom, values) if isinstance(atom, Quotient) else values[atom])
        total = total + term
    return total


def identity(count: Count) -> Hashable:
    """Return what tells counts apart: arrays by which one it is, all others by value."""
    if isinstance(count, int) or is_expression(count):
        return count
    return int(count) if array_of(count).ndim == 0 else (id(count),)


def is_number(count: Count, value: int) -> bool:
    """Tell whether a count is a certain number, the same one for all candidates."""
    return not isinstance(count, np.ndarray) and bool(count == value)


def is_same(a: Count, b: Count, what: str) -> bool:
    """Tell whether two counts are equal.

    Raises
    ------
    MappingError
        That depends on symbols.

    """
    if not (is_expression(a) or is_expression(b)):
        return bool(np.all(a == b))
    difference: Any = a - b
    if difference.is_zero is None:
        raise MappingError(
            f"{what} must be known to be equal or not, but are {a} and {b}; give a number for {_names(difference)}"
        )
    return bool(difference.is_zero)


def shared_stride(a: Count, b: Count) -> Count:
    """Return the greatest common divisor of two strides.

    Raises
    ------
    MappingError
        It depends on symbols.

    """
    if isinstance(a, int) and isinstance(b, int):
        return gcd(a, b)
    if a == b or b == 1:
        return b
    if a == 1:
        return a
    raise MappingError(
        f"two strides of one index must be numbers, or one of them 1, but are {a} and {b}; "
        f"give a number for {_names(a + b)}"
    )


def check_counts(values: Mapping[str, Any]) -> None:
    """Raise a MappingError if values hold both expressions and arrays."""
    arrays = [name for name, value in values.items() if isinstance(value, np.ndarray)]
    symbols = [name for name, value in values.items() if is_expression(value)]
    if arrays and symbols:
        raise MappingError(
            f"values must not be arrays and expressions together, but {arrays[0]!r} is an array and {symbols[0]!r} is "
            f"{values[symbols[0]]}; give a number for one of them"
        )


def check_numbers(what: str, counts: Iterable[Any]) -> None:
    """Raise a MappingError if some counts hold symbols, for what can be told of numbers only."""
    names = {name for count in counts if is_expression(count) for name in symbolic.symbols_of(count)}
    if names:
        raise MappingError(f"{what} can be told of numbers only; give a number for {', '.join(sorted(names))}")


def _names(expression: Any) -> str:
    return ", ".join(sorted(symbolic.symbols_of(expression)))


def _is_integer(a: Any, b: Any) -> bool:
    return isinstance(a, int) and isinstance(b, int)


def _quotient(atom: Quotient, values: Mapping[str, Any]) -> Any:
    return ceil_div(evaluated(atom.numerator, values), evaluated(atom.denominator, values))
