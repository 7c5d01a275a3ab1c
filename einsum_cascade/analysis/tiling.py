"""Sizes cut into tiles, as sympy expressions: what whole tiles and the one at the edge give, together.

The size of the tile at the edge is a symbol of its own while the inside of a loop is worked out. What is linear in it
adds up to the whole size, so that `E*M` stays `E*M` however M is tiled; anything else becomes a function of
`Mod(M, M0)`. Conditions are factors `Fits`, 1 or 0, until `settled` turns them into `Piecewise`.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import sympy

from einsum_cascade.analysis.symbolic import Expr

__all__ = ["SymbolicSplit", "settled", "symbolic_split"]

_sympy = cast(Any, sympy)
_ONE = _sympy.Integer(1)
_ZERO = _sympy.Integer(0)
_MOST_CASES = 3
"""Conditions of which every combination gets a formula of its own; more than that stay factors."""


class Fits(cast(Any, sympy).Function):
    """1 if the first argument is at most the second one, otherwise 0."""

    is_integer = True
    is_nonnegative = True

    @classmethod
    def eval(cls, size: Any, tile: Any) -> Any:
        """Decide what the assumptions about the symbols decide."""
        room = tile - size
        if room.is_nonnegative:
            return _ONE
        if room.is_negative:
            return _ZERO
        tiles = size / tile
        if tile != 1 and tiles.is_integer:
            return cls(tiles, _ONE)
        return None

    def _eval_power(self, exponent: Any) -> Any:
        return self if exponent.is_positive else None

    @property
    def condition(self) -> Any:
        """What it stands for."""
        size, tile = self.args
        return _sympy.Le(size, tile)


@dataclass(frozen=True, slots=True, eq=False)
class SymbolicSplit:
    """A size cut into tiles. Sizes and tiles are taken to be at least 1.

    Parameters
    ----------
    size, tile
        What is cut, and into what.
    full, number
        Whole tiles, and all tiles.
    rest
        Stands for the size of the tile at the edge in what that tile gives.

    """

    size: Any
    tile: Any
    full: Any
    number: Any
    rest: Any

    @property
    def is_cut(self) -> bool:
        """Whether there may be a whole tile."""
        return self.full != 0

    @property
    def is_edged(self) -> bool:
        """Whether there may be a tile at the edge."""
        return self.full != self.number

    @property
    def is_single(self) -> Expr:
        """1 if there is one tile only, otherwise 0."""
        return Fits(self.size, self.tile)

    def total(self, whole: Any, edge: Any) -> Expr:
        """Add up what all tiles give: `whole` each whole one, `edge` the one at the edge; None for one never there."""
        a, b = _expression(whole), self._at_edge(edge)
        if not self.is_edged:
            return a * self.full
        if not self.is_cut:
            return self._with(b, self.size)
        parts = self._additive(b)
        if parts is not None and _is_zero(a - self._with(b, self.tile)):
            constant, varying = parts
            return constant * self.number + self._with(varying, self.size)
        return a * self.full + self._once(b)

    def first(self, whole: Any, edge: Any) -> Expr:
        """Return what the first tile gives: a whole one, unless there is none."""
        a, b = _expression(whole), self._at_edge(edge)
        if not self.is_edged:
            return a
        if not self.is_cut:
            return self._with(b, self.size)
        if _is_zero(a - self._with(b, self.tile)):
            return self._with(b, _sympy.Min(self.size, self.tile)) if b.has(self.rest) else b
        is_whole = Fits(self.tile, self.size)
        return a * is_whole + self._with(b, self.size) * (1 - is_whole)

    def _with(self, expression: Any, size: Any) -> Any:
        return expression.xreplace({self.rest: size})

    def _at_edge(self, edge: Any) -> Any:
        """Use that the tile at the edge is smaller than a whole one."""
        tiles = self.rest / self.tile
        known = {_sympy.ceiling(tiles): _ONE, _sympy.floor(tiles): _ZERO, Fits(self.rest, self.tile): _ONE}
        return _expression(edge).xreplace({count: value for count, value in known.items() if count.has(self.rest)})

    def _once(self, edge: Any) -> Any:
        """Return what the tile at the edge gives, and 0 if there is none."""
        found = self._with(edge, _sympy.Mod(self.size, self.tile))
        return found if self._with(edge, _ZERO) == 0 else found * (self.number - self.full)

    def _additive(self, edge: Any) -> tuple[Any, Any] | None:
        """Return what every tile gives whatever its size, and what adds up over tiles to its value at the whole size.

        None if there is more than that. With u that divides the tile, `ceiling(size/u)` adds up as the size does.
        """
        if not edge.has(self.rest):
            return edge, _ZERO
        constant, varying = _sympy.expand_mul(edge).as_independent(self.rest, as_Add=True)
        for term in _sympy.Add.make_args(varying):
            _, dependent = term.as_independent(self.rest, as_Add=False)
            if dependent != self.rest and not self._is_part(dependent):
                return None
        return constant, varying

    def _is_part(self, dependent: Any) -> bool:
        if not isinstance(dependent, (_sympy.ceiling, _sympy.floor)):
            return False
        unit = self.rest / dependent.args[0]
        return not unit.has(self.rest) and (self.tile / unit).is_integer


@lru_cache(maxsize=4096)
def symbolic_split(size: Expr, tile: Expr) -> SymbolicSplit:
    """Cut a size into tiles, either of which is no number."""
    tiles = size / tile
    rest = _sympy.Dummy("rest", integer=True, positive=True)
    return SymbolicSplit(size, tile, _sympy.floor(tiles), _sympy.ceiling(tiles), rest)


def settled(value: Any) -> Any:
    """Turn the conditions of a count into a `Piecewise` whose branches hold none; numbers stay as they are."""
    return _by_cases(_tidied(value)) if isinstance(value, sympy.Basic) else value


def _by_cases(expression: Any) -> Any:
    conditions = sorted(expression.atoms(Fits), key=_sympy.default_sort_key)
    if len(conditions) > _MOST_CASES:
        return expression.xreplace({own: _sympy.Piecewise((1, own.condition), (0, True)) for own in conditions})
    if not conditions:
        return expression
    first = conditions[0]
    met, unmet = (_by_cases(_tidied(expression.xreplace({first: number}))) for number in (_ONE, _ZERO))
    if _is_zero(met - unmet):
        return unmet
    others = unmet.args if isinstance(unmet, _sympy.Piecewise) else ((unmet, True),)
    return _sympy.Piecewise((met, first.condition), *others)


def _tidied(expression: Any) -> Any:
    """Multiply out where that makes an expression shorter: whole tiles and their edge often add up to the size."""
    if not expression.has(Fits, _sympy.Mod):
        return expression
    found = _sympy.expand_mul(expression)
    rests = {factor for term in _sympy.Add.make_args(found) for factor in _sympy.Mul.make_args(term)}
    tiled = {
        own: own.args[0] - own.args[1] * _sympy.floor(own.args[0] / own.args[1])
        for own in rests
        if own.func is _sympy.Mod
    }
    found = min(found, _sympy.expand_mul(_replaced(found, tiled)), key=_length) if tiled else found
    return min(found, expression, key=_length)


def _replaced(expression: Any, values: Any) -> Any:
    """Replace factors of the terms of a sum; what is inside a function stays."""
    terms = (
        _sympy.Mul(*(values.get(factor, factor) for factor in _sympy.Mul.make_args(term)))
        for term in _sympy.Add.make_args(expression)
    )
    return _sympy.Add(*terms)


def _length(expression: Any) -> int:
    return int(expression.count_ops())


def _expression(value: Any) -> Any:
    return _ZERO if value is None else _sympy.sympify(value)


def _is_zero(difference: Any) -> bool:
    return difference == 0 or _sympy.expand_mul(difference) == 0
