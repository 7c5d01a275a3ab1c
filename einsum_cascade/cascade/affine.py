"""Affine expressions in rank variables, whose coefficients and offset are extents."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from einsum_cascade.cascade.extent import ONE, ZERO, Extent

__all__ = ["Affine", "affine_constant", "affine_variable"]


@dataclass(frozen=True)
class Affine:
    """A sum of rank variables times extents, and an offset.

    Parameters
    ----------
    terms
        Pairs of a rank variable and its coefficient, sorted by variable; no coefficient is zero.
    offset
        The constant part.

    """

    terms: tuple[tuple[str, Extent], ...]
    offset: Extent = ZERO

    def __add__(self, other: "Affine") -> "Affine":
        return _collect((*self.terms, *other.terms), self.offset + other.offset)

    def __neg__(self) -> "Affine":
        return self.scaled(-ONE)

    def __sub__(self, other: "Affine") -> "Affine":
        return self + -other

    def __str__(self) -> str:
        ordered = sorted(self.terms, key=lambda term: (_is_negative(term[1]), term[1] == ONE))
        text = "".join(_signed_term(name, coefficient) for name, coefficient in ordered)
        if self.offset or not text:
            offset = str(self.offset)
            text += f" - {offset[1:]}" if offset.startswith("-") else f" + {offset}"
        return "-" + text[3:] if text.startswith(" - ") else text[3:]

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """The rank variables that occur, sorted."""
        return tuple(name for name, _ in self.terms)

    @cached_property
    def plain(self) -> str | None:
        """The variable, if the expression is one variable and nothing else."""
        return self.stepped if not self.offset else None

    @cached_property
    def stepped(self) -> str | None:
        """The variable `v`, if the expression is `v` plus an offset."""
        return self.terms[0][0] if len(self.terms) == 1 and self.terms[0][1] == ONE else None

    def coefficient(self, variable: str) -> Extent:
        """Return the coefficient of a variable, zero if it does not occur."""
        return dict(self.terms).get(variable, ZERO)

    def scaled(self, factor: Extent) -> "Affine":
        """Multiply by an extent."""
        return _collect(((name, c * factor) for name, c in self.terms), self.offset * factor)

    def substituted(self, values: Mapping[str, "Affine"]) -> "Affine":
        """Replace variables by affine expressions; the others stay."""
        total = Affine((), self.offset)
        for name, coefficient in self.terms:
            total += values.get(name, Affine(((name, ONE),))).scaled(coefficient)
        return total

    def evaluate(self, coordinates: Mapping[str, int], extents: Mapping[str, int]) -> int:
        """Return the number at given coordinates of the variables and extents of the ranks."""
        products = (c.evaluate(extents) * coordinates[name] for name, c in self.terms)
        return sum(products) + self.offset.evaluate(extents)

    def extreme(self, last: Callable[[str], Extent], *, is_upper: bool) -> Extent | None:
        """Return the largest (or smallest) value while each variable runs from 0 to `last(variable)`.

        None if the sign of a coefficient is not known.
        """
        total = self.offset
        for name, coefficient in self.terms:
            if coefficient.is_nonnegative():
                reached = is_upper
            elif (-coefficient).is_nonnegative():
                reached = not is_upper
            else:
                return None
            if reached:
                total += coefficient * last(name)
        return total


def _collect(terms: Iterable[tuple[str, Extent]], offset: Extent) -> Affine:
    sums: dict[str, Extent] = {}
    for name, coefficient in terms:
        sums[name] = sums.get(name, ZERO) + coefficient
    return Affine(tuple(sorted((name, c) for name, c in sums.items() if c)), offset)


def affine_variable(name: str) -> Affine:
    """Return the expression that is one rank variable."""
    return Affine(((name, ONE),))


def affine_constant(value: Extent) -> Affine:
    """Return the expression that is one extent."""
    return Affine((), value)


def _is_negative(coefficient: Extent) -> bool:
    return len(coefficient.terms) == 1 and coefficient.terms[0][1] < 0


def _signed_term(name: str, coefficient: Extent) -> str:
    sign = " - " if _is_negative(coefficient) else " + "
    magnitude = -coefficient if sign == " - " else coefficient
    if magnitude == ONE:
        return f"{sign}{name}"
    text = str(magnitude)
    factor = f"({text})" if len(magnitude.terms) > 1 or "/" in text else text
    return f"{sign}{name}*{factor}" if magnitude.value is None else f"{sign}{factor}*{name}"
