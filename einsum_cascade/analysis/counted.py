"""Formulas of counts that have no closed form: they say what is counted, and have a value at any extents.

Two kinds: a sum of 1 over the points at which a condition holds, and the number of elements that indices reach.
"""

from collections.abc import Iterable
from itertools import product
from typing import Any, cast

import sympy

from einsum_cascade.analysis.halfspaces import Bound
from einsum_cascade.analysis.lattice import count_where
from einsum_cascade.analysis.projection import Hiding, count_visible

__all__ = ["ElementCount", "counts_in", "value_of"]

_sympy = cast(Any, sympy)
_Expr: Any = sympy.Expr


class ElementCount(_Expr):
    """The number of elements for which rank variables exist under one of several conditions.

    Parameters
    ----------
    dimensions
        Symbol and extent of every dimension.
    parts
        For each part symbol and extent of the rank variables, and the condition.

    """

    is_integer = True
    is_nonnegative = True
    is_commutative = True

    def __new__(
        cls, dimensions: Iterable[tuple[Any, Any]], parts: Iterable[tuple[Iterable[tuple[Any, Any]], Any]]
    ) -> Any:
        """Make the formula."""
        limits = _sympy.Tuple(*(_sympy.Tuple(*pair) for pair in dimensions))
        found = (_sympy.Tuple(_sympy.Tuple(*(_sympy.Tuple(*p) for p in pairs)), holds) for pairs, holds in parts)
        return _Expr.__new__(cls, limits, _sympy.Tuple(*found))

    @property
    def dimensions(self) -> Any:
        """Pairs of a symbol and an extent."""
        return self.args[0]

    @property
    def parts(self) -> Any:
        """Pairs of the pairs of rank variables and a condition."""
        return self.args[1]

    @property
    def free_symbols(self) -> set[Any]:
        """The symbols of extents."""
        pairs = [*self.dimensions, *(pair for pairs, _ in self.parts for pair in pairs)]
        return set[Any]().union(*(arg.free_symbols for arg in self.args)) - {name for name, _ in pairs}


def counts_in(expression: Any) -> Any:
    """Return the counts without a closed form in an expression."""
    return expression.atoms(_sympy.Sum, ElementCount)


def value_of(count: Any) -> Any:
    """Return the number that a count is if its extents are numbers, else the count."""
    if count.free_symbols:
        return count
    return _sympy.Integer(_elements(count) if isinstance(count, ElementCount) else _points(count))


def _points(total: Any) -> int:
    """Count the points at which the condition of a sum holds."""
    inside = [bound for variable, low, high in total.limits for bound in _between(variable, low, high)]
    condition = total.function.args[0][1] if isinstance(total.function, _sympy.Piecewise) else total.function == 1
    parts = [_alternatives(part) for part in _sympy.And.make_args(_sympy.sympify(condition))]
    choices = [alternatives for alternatives in parts if len(alternatives) != 1]
    inside += (bound for alternatives in parts if len(alternatives) == 1 for bound in alternatives[0])
    return count_where([str(variable) for variable, _, _ in total.limits], inside, choices) if all(choices) else 0


def _elements(count: Any) -> int:
    parts: list[Hiding] = []
    for pairs, condition in count.parts:
        limits = [bound for variable, extent in pairs for bound in _between(variable, 0, extent - 1)]
        hidden = tuple(str(variable) for variable, _ in pairs)
        parts += (Hiding(hidden, (*limits, *bounds)) for bounds in _alternatives(condition))
    inside = [bound for variable, extent in count.dimensions for bound in _between(variable, 0, extent - 1)]
    return count_visible([str(variable) for variable, _ in count.dimensions], inside, parts)


def _between(variable: Any, low: Any, high: Any) -> tuple[Bound, Bound]:
    return Bound.of({str(variable): 1}, -int(low)), Bound.of({str(variable): -1}, int(high))


def _alternatives(condition: Any) -> list[list[Bound]]:
    """Return conjunctions of constraints one of which must hold."""
    if condition in (_sympy.true, _sympy.false):
        return [[]] if condition == _sympy.true else []
    if isinstance(condition, _sympy.Or):
        return [found for part in condition.args for found in _alternatives(part)]
    if isinstance(condition, _sympy.And):
        parts = [_alternatives(part) for part in condition.args]
        return [[bound for part in chosen for bound in part] for chosen in product(*parts)]
    return _related(condition)


def _related(relation: Any) -> list[list[Bound]]:
    """Return the constraints of an equation or inequality of affine expressions."""
    coefficients = _sympy.expand(relation.lhs - relation.rhs).as_coefficients_dict()
    scale = _sympy.ilcm(1, *(factor.q for factor in coefficients.values()))
    difference = _sympy.Add(*(term * factor * scale for term, factor in coefficients.items()))
    terms = {str(name): int(difference.coeff(name)) for name in difference.free_symbols}
    constant = int(difference.subs(dict.fromkeys(difference.free_symbols, 0)))
    above, below = Bound.of(terms, constant), Bound.of({name: -c for name, c in terms.items()}, -constant)
    match relation:
        case _sympy.GreaterThan():
            return [[above]]
        case _sympy.LessThan():
            return [[below]]
        case _sympy.StrictGreaterThan():
            return [[below.negated()]]
        case _sympy.StrictLessThan():
            return [[above.negated()]]
        case _sympy.Equality():
            return [[above, below]]
        case _:
            return [[below.negated()], [above.negated()]]
