"""The border to sympy: extents become expressions, expressions become exact integers.

Sympy publishes no types; everything that touches its untyped functions is here.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeGuard, cast

import sympy
from sympy.printing.str import StrPrinter

from einsum_cascade.analysis.counted import counts_in, value_of
from einsum_cascade.analysis.quantities import Expr
from einsum_cascade.cascade.extent import Extent
from einsum_cascade.errors import AnalysisError
from einsum_cascade.units import written

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
    "renamed",
    "share_symbol",
    "smallest",
    "substitute",
    "sum_of",
    "symbols_of",
    "to_sympy",
    "triangle",
]

_sympy = cast(Any, sympy)


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
    value = substitute(expression, extents)
    if not value.is_Integer:
        missing = ", ".join(sorted(symbols_of(value)))
        raise AnalysisError(f"ranks {missing} must have an extent to evaluate {expression}; give it with --set")
    return int(value)


def substitute(expression: Expr, extents: Mapping[str, int]) -> Expr:
    """Replace the ranks whose extents are known, and count the points of sums whose limits are numbers then."""
    known = ((name, symbol) for name, symbol in symbols_of(expression).items() if name in extents)
    found: Any = expression.xreplace({symbol: _sympy.sympify(extents[name]) for name, symbol in known})
    return found.xreplace({count: value_of(count) for count in counts_in(found)})


def renamed(expression: Expr, names: Mapping[str, str]) -> Expr:
    """Replace symbols by others."""
    known = {symbol: _symbol(names[name]) for name, symbol in symbols_of(expression).items() if name in names}
    return expression.xreplace(known) if known else expression


def symbols_of(expression: Expr) -> dict[str, Any]:
    """Return the symbols of an expression by name."""
    return {str(symbol): symbol for symbol in expression.free_symbols}


def grows_with(expression: Expr, ranks: Iterable[str]) -> bool:
    """Tell whether an expression grows without bound when the given ranks do.

    Examples
    --------
    >>> from einsum_cascade.cascade.extent import symbol
    >>> m, w = to_sympy(symbol("M")), to_sympy(symbol("W"))
    >>> grows_with(m * w, {"M"}), grows_with(smallest(m, w), {"M"})
    (True, False)

    """
    return _grows_with(expression, frozenset(ranks))


@lru_cache(maxsize=4096)
def _grows_with(expression: Expr, ranks: frozenset[str]) -> bool:
    growing = [symbol for name, symbol in symbols_of(expression).items() if name in ranks]
    if counts_in(expression):
        return bool(growing)
    others = dict.fromkeys(expression.free_symbols - {*growing}, 1009)

    def value(size: int, fastest: Any) -> Any:
        sizes = {symbol: size**2 if symbol == fastest else size for symbol in growing}
        return expression.subs(others | sizes)

    # Where one of them grows faster than the others, in two numbers that products of the others do not reach.
    return any(bool(value(10**45, fastest) > 2 * value(10**30, fastest)) for fastest in growing)


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
    clipped = positive_part(value)
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


class _Text(StrPrinter):
    doprint: Any  # sympy has no types for them
    _print: Any
    _print_Function: Any

    def _print_Float(self, expr: Any) -> str:  # sympy finds these by their names
        return f"{float(expr):.12g}"

    def _print_Integer(self, expr: Any) -> str:
        return written(expr.p)

    def _print_Rational(self, expr: Any) -> str:
        return f"{written(expr.p)}/{written(expr.q)}"

    def _print_Sum(self, expr: Any) -> str:
        """Say what is counted: `#(m < M, s < S: m + s <= P)`."""
        ranges = self._ranges((name, high + 1) for name, _, high in expr.limits)
        condition = expr.function.args[0][1] if isinstance(expr.function, _sympy.Piecewise) else expr.function
        return f"#({ranges}: {self._condition(condition)})"

    def _print_ElementCount(self, expr: Any) -> str:
        """Say which elements are counted: `#(i < I: i = 3*y + r for some y < Y, r < R)`."""
        parts = [self._part(pairs, condition) for pairs, condition in expr.parts]
        return f"#({self._ranges(expr.dimensions)}: {' or '.join(parts)})"

    def _part(self, pairs: Any, condition: Any) -> str:
        text = self._condition(condition)
        return f"{text} for some {self._ranges(pairs)}" if pairs else text

    def _ranges(self, pairs: Any) -> str:
        return ", ".join(f"{self._print(name)} < {self._print(extent)}" for name, extent in pairs)

    def _print_Piecewise(self, expr: Any) -> str:
        """Say what is counted once, or not at all."""
        (value, condition), *others = expr.args
        is_count = value == 1 and [tuple(pair) for pair in others] == [(0, True)]
        return f"#({self._condition(condition)})" if is_count else cast(str, self._print_Function(expr))

    def _condition(self, condition: Any) -> str:
        if isinstance(condition, _sympy.And | _sympy.Or):
            word = " and " if isinstance(condition, _sympy.And) else " or "
            parts = sorted(map(self._condition, condition.args))
            return word.join(f"({part})" if " or " in part and word == " and " else part for part in parts)
        if condition.is_Relational:
            return self._relation(condition)
        return str(self._print(condition))

    def _relation(self, relation: Any) -> str:
        """Write an inequality without negative terms."""
        terms = _sympy.Add.make_args(_sympy.expand(relation.lhs - relation.rhs))
        sides: dict[bool, list[Any]] = {True: [], False: []}
        for term in terms:
            sides[bool(term.could_extract_minus_sign())].append(term)
        left, right, sign = _sympy.Add(*sides[False]), -_sympy.Add(*sides[True]), relation.rel_op
        if sign == ">=":
            left, right, sign = right, left, "<="
        constant = left.as_coeff_Add()[0]
        if sign == "<=" and constant == 1:
            left, sign = left - 1, "<"
        return f"{self._print(left)} {sign} {self._print(right)}"
