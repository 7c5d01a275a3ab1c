"""The mask of an array from the filter of a cascade: a band of diagonals, and a number of keys."""

from collections.abc import Mapping
from dataclasses import dataclass

from einsum_cascade.cascade.ir import Apply, Comparison, Constant, Coordinate, Einsum, Expression, RankExtent, conjuncts
from einsum_cascade.errors import IllegalMappingError
from einsum_cascade.mapping.workload import Part

__all__ = ["Band", "band_of"]

_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "=="}


@dataclass(frozen=True, slots=True)
class Band:
    """What of a matrix of scores is kept: p + low <= m <= p + high, and m < keys; None where nothing bounds it."""

    low: int | None = None
    high: int | None = None
    keys: int | None = None

    def within(self, other: "Band") -> "Band":
        """Return what both keep."""
        lows, highs, keys = (
            [bound for bound in pair if bound is not None]
            for pair in ((self.low, other.low), (self.high, other.high), (self.keys, other.keys))
        )
        return Band(max(lows, default=None), min(highs, default=None), min(keys, default=None))


def band_of(einsum: Einsum, parts: Mapping[str, Part], rows: str, columns: str, extents: Mapping[str, int]) -> Band:
    """Return the band that the filter of an Einsum keeps.

    Parameters
    ----------
    einsum
        The Einsum of the scores.
    parts
        The range of every rank variable.
    rows, columns
        The ranges of keys and of queries.
    extents
        Of all ranks.

    Raises
    ------
    IllegalMappingError
        The filter is not a band of diagonals of keys and queries.

    """
    band = Band()
    for predicate in conjuncts(einsum.where):
        if not isinstance(predicate, Comparison) or predicate.operator not in _FLIPPED:
            raise _refused(einsum)
        band = band.within(_one(einsum, predicate, parts, (rows, columns), extents))
    return band


def _one(
    einsum: Einsum,
    predicate: Comparison,
    parts: Mapping[str, Part],
    ranges: tuple[str, str],
    extents: Mapping[str, int],
) -> Band:
    """Return the band of one comparison, `a m + b p + c` against 0."""
    sides = predicate.left, predicate.right
    constant, slopes = _affine(einsum, sides, parts, ranges, extents)
    m, p = (slopes.get(name, 0) for name in ranges)
    operator = predicate.operator
    if m < 0:
        m, p, constant, operator = -m, -p, -constant, _FLIPPED[operator]
    if m != 1 or p not in (0, -1) or set(slopes) - set(ranges):
        raise _refused(einsum)
    # m < p - constant, and so on.
    high = {"<": -constant - 1, "<=": -constant, "==": -constant}.get(operator)
    low = {">": -constant + 1, ">=": -constant, "==": -constant}.get(operator)
    if p == -1:
        return Band(low, high)
    if low is not None and low > 0:
        raise _refused(einsum)
    return Band(keys=None if high is None else high + 1)


def _affine(
    einsum: Einsum,
    sides: tuple[Expression, Expression],
    parts: Mapping[str, Part],
    ranges: tuple[str, str],
    extents: Mapping[str, int],
) -> tuple[int, dict[str, int]]:
    """Return the constant of left - right, and its slope along every range that it has one along."""

    def at(coordinates: Mapping[str, int]) -> int:
        left, right = (_number(einsum, side, coordinates, extents) for side in sides)
        return left - right

    constant = at({})
    slopes: dict[str, int] = {}
    for name in einsum.variables:
        part = parts[name]
        slope = at({name: 1}) - constant
        unit = part.unit.evaluate(extents) if part.range in ranges else 1
        if slope % unit or slopes.setdefault(part.range, slope // unit) != slope // unit:
            raise _refused(einsum)
    return constant, {name: slope for name, slope in slopes.items() if slope}


def _number(einsum: Einsum, expression: Expression, coordinates: Mapping[str, int], extents: Mapping[str, int]) -> int:
    match expression:
        case Constant(value) if value == int(value):
            return int(value)
        case RankExtent(rank):
            return extents[rank]
        case Coordinate(variable):
            return coordinates.get(variable, 0)
        case Apply(operator, arguments):
            values = [_number(einsum, argument, coordinates, extents) for argument in arguments]
            return _applied(einsum, operator.name, values)
        case _:
            raise _refused(einsum)


def _applied(einsum: Einsum, name: str, values: list[int]) -> int:
    match name, values:
        case "+", [a, b]:
            return a + b
        case "-", [a, b]:
            return a - b
        case "*", [a, b]:
            return a * b
        case "neg", [a]:
            return -a
        case _:
            raise _refused(einsum)


def _refused(einsum: Einsum) -> IllegalMappingError:
    return IllegalMappingError(
        [
            f"the filter of {einsum} must be a band of diagonals for the array to mask it (comparisons of keys with "
            "queries and constants, joined by `and`), but is not; compute it elsewhere"
        ]
    )
