"""Eliminate rank variables from constraints, and find which of them the elements that are read determine.

Over integers, what Fourier and Motzkin leave is exact where one of the two coefficients of a pair of bounds is 1, or
where the room between the two always holds a multiple. Other variables stay.
"""

from collections.abc import Iterable, Sequence

from einsum_cascade.analysis.facts import Facts
from einsum_cascade.cascade.affine import Affine, affine_constant, affine_variable
from einsum_cascade.cascade.extent import ONE, Extent
from einsum_cascade.cascade.ir import Tensor
from einsum_cascade.cascade.partition import expanded

__all__ = ["System"]


class System:
    """Constraints over rank variables and the dimensions of a tensor, from which the variables are eliminated.

    Parameters
    ----------
    facts
        Of the cascade.
    tensor
        Whose dimensions are `#0`, `#1`, ...
    extents
        Of the rank variables.

    """

    def __init__(self, facts: Facts, tensor: Tensor, extents: dict[str, Extent]) -> None:
        """Begin with no constraints."""
        self._ranks = facts.cascade.rank
        self._extents = extents
        self._dimensions = {f"#{axis}": facts.plain(d.extent) for axis, d in enumerate(tensor.dimensions)}
        self._bounds: list[Affine] = []
        self._left: list[str] = []
        self.is_injective = False
        """Whether every element is that of one point."""

    def start(self, bounds: Iterable[Affine], indices: Sequence[Affine]) -> None:
        """Take constraints on variables, and the indices as equations of dimensions."""
        self._bounds = list(bounds)
        for name, extent in self._extents.items():
            self._bounds += (affine_variable(name), affine_constant(extent - ONE) - affine_variable(name))
        self._left = list(self._extents)
        solved: dict[str, Affine] = {}
        for axis, index in enumerate(indices):
            rest = index.substituted(solved) - affine_variable(f"#{axis}")
            name = next((n for n in rest.variables if n in self._left and rest.coefficient(n) in (ONE, -ONE)), None)
            if name is None:
                self._bounds += (rest, -rest)
                continue
            value = (affine_variable(name) - rest) if rest.coefficient(name) == ONE else affine_variable(name) + rest
            self._left.remove(name)
            self._bounds = [bound.substituted({name: value}) for bound in self._bounds]
            solved = {other: known.substituted({name: value}) for other, known in solved.items()} | {name: value}
        self.is_injective = not self._undetermined()

    def _undetermined(self) -> set[str]:
        """Return the variables that the dimensions do not determine."""
        left = set(self._left)
        equations = [bound for bound in self._bounds if -bound in self._bounds]
        for bound in (*equations, *equations):
            free = [name for name in bound.variables if name in left]
            if len(free) == 1 and _is_not_zero(bound.coefficient(free[0])):
                left -= {free[0]}
        return left

    def eliminate(self) -> None:
        """Drop the variables one by one, those with fewest pairs of bounds first, as long as nothing is lost."""
        while (name := next(filter(self._is_exact, sorted(self._left, key=self._cost)), None)) is not None:
            self._left.remove(name)
            self._drop(name)

    @property
    def hidden(self) -> tuple[tuple[str, Extent], ...]:
        """The variables that are left, with their extents."""
        return tuple((name, self._extents[name]) for name in self._left)

    def _cost(self, name: str) -> tuple[bool, int]:
        lows, highs, _ = self._sides(name)
        return any(c not in (ONE, -ONE) for c in (*lows.values(), *highs.values())), len(lows) * len(highs)

    def _sides(self, name: str) -> tuple[dict[Affine, Extent], dict[Affine, Extent], bool]:
        """Return the bounds from below and from above with their coefficients, and whether there are no others."""
        found = [(bound, c) for bound in self._bounds if (c := bound.coefficient(name))]
        lows = {bound: c for bound, c in found if c.is_nonnegative()}
        highs = {bound: -c for bound, c in found if (-c).is_nonnegative()}
        return lows, highs, len(lows) + len(highs) == len(found)

    def _is_exact(self, name: str) -> bool:
        """Tell whether a value of a variable exists wherever every two of its bounds leave room for a real number."""
        lows, highs, is_whole = self._sides(name)
        return is_whole and all(
            ONE in (a, b) or (a == b and self._holds(low + high - affine_constant(a - ONE)))
            for low, a in lows.items()
            for high, b in highs.items()
        )

    def _drop(self, name: str) -> None:
        lows, highs, _ = self._sides(name)
        rest = [bound for bound in self._bounds if not bound.coefficient(name)]
        rest += (
            low.scaled(b) + high.scaled(a) if a != b else low + high
            for low, a in lows.items()
            for high, b in highs.items()
        )
        waiting = set(self._left)
        self._bounds = list(
            dict.fromkeys(bound for bound in rest if waiting & set(bound.variables) or not self._holds(bound))
        )

    def _holds(self, bound: Affine) -> bool:
        """Tell whether a constraint holds anyway, inside the extents of what it names."""

        def last(name: str) -> Extent:
            return (self._dimensions.get(name) or self._extents[name]) - ONE

        least = bound.extreme(last, is_upper=False)
        if least is None:
            return False
        values = (least, expanded(least, self._ranks))
        return any(value.is_nonnegative(value.names) for value in values)

    def result(self) -> tuple[Affine, ...]:
        """Return what is left: constraints that the extents do not imply."""
        return tuple(dict.fromkeys(bound for bound in self._bounds if not self._holds(bound)))


def _is_not_zero(value: Extent) -> bool:
    """Tell whether a value differs from 0 where all extents are at least 1."""
    return any((signed - ONE).is_nonnegative(value.names) for signed in (value, -value))
