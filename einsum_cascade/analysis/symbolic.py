"""The border to sympy: extents become expressions, expressions become exact integers.

Sympy publishes no types; everything that touches its untyped functions is here.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeGuard, cast

import numpy as np
import sympy
from sympy.printing.str import StrPrinter

from einsum_cascade.cascade.extent import Extent
from einsum_cascade.errors import AnalysisError

__all__ = [
    "Expr",
    "as_text",
    "ceiling",
    "evaluate",
    "expression",
    "extent_symbol",
    "grows_with",
    "is_expression",
    "largest",
    "number",
    "positive_part",
    "product_of",
    "ratio",
    "share_symbol",
    "smallest",
    "substitute",
    "sum_of",
    "symbols_of",
    "to_sympy",
    "triangle",
]

type Expr = sympy.Expr

_sympy = cast(Any, sympy)
_MOST_POINTS = 10**9


@lru_cache(maxsize=4096)
def to_sympy(extent: Extent) -> Expr:
    """Turn an extent into an expression over symbols that are non-negative integers.

    Examples
    --------
    >>> from einsum_cascade.cascade.extent import ceil_div, symbol
    >>> to_sympy(ceil_div(symbol("M"), symbol("M0")) * symbol("P"))
    P*ceiling(M/M0)

    """
    total = _sympy.Integer(0)
    for monomial, coefficient in extent.terms:
        factors = [_symbol(atom) if isinstance(atom, str) else _quotient(atom) for atom in monomial]
        total += _sympy.Mul(_sympy.Integer(coefficient), *factors)
    return total


@lru_cache(maxsize=1024)
def _symbol(name: str) -> Expr:
    return _sympy.Symbol(name, integer=True, nonnegative=True)


def _quotient(atom: Any) -> Expr:
    return _sympy.ceiling(to_sympy(atom.numerator) / to_sympy(atom.denominator))


def number(value: int) -> Expr:
    """Return an integer as an expression."""
    return _sympy.Integer(value)


def is_expression(value: object) -> TypeGuard[Expr]:
    """Tell whether a value is an expression, rather than a number or an array."""
    return isinstance(value, sympy.Basic)


def expression(value: Any) -> Expr:
    """Return a number as an expression, and an expression as it is."""
    return _sympy.sympify(value)


def extent_symbol(name: str) -> Expr:
    """Return the symbol of an extent or a parameter that is at least 1."""
    return _sympy.Symbol(name, integer=True, positive=True)


def share_symbol(name: str) -> Expr:
    """Return the symbol of a share, from 0 to 1."""
    return _sympy.Symbol(name, nonnegative=True)


def ratio(numerator: int, denominator: int) -> Expr:
    """Return the exact quotient of two integers."""
    return _sympy.Rational(numerator, denominator)


def ceiling(numerator: Any, denominator: Any) -> Expr:
    """Return the ceiling of a quotient."""
    return _sympy.ceiling(_sympy.sympify(numerator) / denominator)


def evaluate(expression: Expr, extents: Mapping[str, int]) -> int:
    """Return the exact integer that an expression has at given extents.

    Raises
    ------
    AnalysisError
        A rank has no extent.

    """
    value = cast(Any, substitute(expression, extents))
    if not value.is_Integer:
        missing = ", ".join(sorted(symbols_of(value)))
        raise AnalysisError(f"ranks {missing} must have an extent to evaluate {expression}; give it with --set")
    return int(value)


def substitute(expression: Expr, extents: Mapping[str, int]) -> Expr:
    """Replace the ranks whose extents are known, and count sums that have become finite.

    A sum of more than 10^9 points stays a sum.
    """
    known = ((name, symbol) for name, symbol in symbols_of(expression).items() if name in extents)
    found = cast(Any, expression).xreplace({symbol: _sympy.sympify(extents[name]) for name, symbol in known})
    return found.xreplace({total: _counted(total) for total in found.atoms(_sympy.Sum)})


def _counted(total: Any) -> Any:
    """Count the points at which the condition of a sum holds, row by row."""
    starts_at_zero = all(low == 0 for _, low, _ in total.limits)
    sizes = [high + 1 for _, _, high in total.limits]
    if total.free_symbols or not starts_at_zero or _sympy.prod(sizes) > _MOST_POINTS:
        return total
    variables = [variable for variable, _, _ in total.limits]
    holds = _sympy.lambdify(variables, total.function, "numpy")
    first, *others = (np.arange(int(size)) for size in sizes)
    rows = (np.broadcast_arrays(at, *np.ix_(*others)) for at in first)
    return _sympy.Integer(sum(int(np.broadcast_to(holds(*row), row[0].shape).sum()) for row in rows))


def symbols_of(expression: Expr) -> dict[str, Any]:
    """Return the symbols of an expression by name."""
    return {str(symbol): symbol for symbol in cast(Any, expression).free_symbols}


def grows_with(expression: Expr, ranks: Iterable[str]) -> bool:
    """Tell whether an expression grows without bound when the given ranks do.

    Examples
    --------
    >>> from einsum_cascade.cascade.extent import symbol
    >>> m, w = to_sympy(symbol("M")), to_sympy(symbol("W"))
    >>> grows_with(m * w, {"M"}), grows_with(smallest(m, w), {"M"})
    (True, False)

    """
    present = {symbol: _sympy.oo for name, symbol in symbols_of(expression).items() if name in set(ranks)}
    return bool(present) and not cast(Any, expression).subs(present).is_finite


def product_of(factors: Iterable[Expr]) -> Expr:
    """Return a product; 1 for none."""
    return _sympy.Mul(*factors)


def sum_of(terms: Iterable[Expr]) -> Expr:
    """Return a sum; 0 for none."""
    return _sympy.Add(*terms)


def smallest(*values: Expr) -> Expr:
    """Return the minimum."""
    return _sympy.Min(*values)


def largest(*values: Expr) -> Expr:
    """Return the maximum."""
    return _sympy.Max(*values)


def positive_part(value: Expr) -> Expr:
    """Return the value, or 0 if it is negative."""
    return _sympy.Max(value, 0)


def triangle(value: Expr) -> Expr:
    """Return 1 + 2 + ... + value, and 0 for a negative value."""
    clipped = cast(Any, positive_part(value))
    return clipped * (clipped + 1) / 2


def as_text(expression: Any) -> str:
    """Write an expression as sympy reads it, common factors in front, floats to 12 digits.

    Examples
    --------
    >>> from einsum_cascade.cascade.extent import symbol
    >>> as_text(7.2 * to_sympy(symbol("M")))
    '7.2*M'

    """
    return _Text().doprint(_sympy.factor_terms(_sympy.sympify(expression)))


class _Text(cast(Any, StrPrinter)):
    def _print_Float(self, expr: Any) -> str:  # sympy finds it by this name
        return f"{float(expr):.12g}"
