"""The mask of an array from the filter of a cascade: a band of diagonals, and a number of keys."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.cascade.constraints import without_negations
from einsum_cascade.cascade.ir import (
    Apply,
    Comparison,
    Constant,
    Coordinate,
    Einsum,
    Expression,
    RankExtent,
    Read,
    conjuncts,
)
from einsum_cascade.errors import IllegalMappingError, KernelError
from einsum_cascade.mapping.workload import Part

__all__ = ["Band", "HeadMask"]

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

    def of(self, keys: int, queries: int) -> "Band":
        """Return a band that keeps the same of so many keys and queries, with no diagonal far outside of them."""
        low, high = self.low, self.high
        if low is not None:
            low = None if low + queries - 1 <= 0 else min(low, keys)
        if high is not None:
            high = None if high >= keys - 1 else max(high, -queries)
        return Band(low, high, self.keys)

    def without_keys(self, keys: int, queries: int) -> NDArray[np.bool_]:
        """Return which of so many queries have none of so many keys left.

        Examples
        --------
        >>> Band(low=0).without_keys(3, 5).tolist()
        [False, False, False, True, True]

        """
        p = np.arange(queries)
        first = np.maximum(0, p + (self.low or 0)) if self.low is not None else np.zeros_like(p)
        last = np.full_like(p, (keys if self.keys is None else min(keys, self.keys)) - 1)
        last = last if self.high is None else np.minimum(last, p + self.high)
        return first > last


@dataclass(frozen=True, slots=True)
class HeadMask:
    """The filter of an Einsum that makes scores, for one head of keys.

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
    head
        The coordinates of the head, by variable.
    inputs
        What the filter may read, by name.

    """

    einsum: Einsum
    parts: Mapping[str, Part]
    rows: str
    columns: str
    extents: Mapping[str, int]
    head: Mapping[str, int] = field(default_factory=dict[str, int])
    inputs: Mapping[str, NDArray[Any]] = field(default_factory=dict[str, NDArray[Any]])

    @property
    def band(self) -> Band:
        """The band that the filter keeps.

        Raises
        ------
        KernelError
            The filter is not a band of diagonals of keys and queries.
        IllegalMappingError
            It reads what is not given, or no whole number.

        """
        band = Band()
        where = None if self.einsum.where is None else without_negations(self.einsum.where)
        for predicate in conjuncts(where):
            if not isinstance(predicate, Comparison) or predicate.operator not in _FLIPPED:
                raise self._refused()
            band = band.within(self._one(predicate))
        return band

    def _one(self, predicate: Comparison) -> Band:
        """Return the band of one comparison, `a m + b p + c` against 0."""
        constant, slopes = self._affine(predicate)
        m, p = (slopes.get(name, 0) for name in (self.rows, self.columns))
        operator = predicate.operator
        if m < 0:
            m, p, constant, operator = -m, -p, -constant, _FLIPPED[operator]
        if m != 1 or p not in (0, -1) or slopes.keys() - {self.rows, self.columns}:
            raise self._refused()
        # m < p - constant, and so on.
        high = {"<": -constant - 1, "<=": -constant, "==": -constant}.get(operator)
        low = {">": -constant + 1, ">=": -constant, "==": -constant}.get(operator)
        if p == -1:
            return Band(low, high)
        if low is not None and low > 0:
            raise self._refused()
        return Band(keys=None if high is None else high + 1)

    def _affine(self, predicate: Comparison) -> tuple[int, dict[str, int]]:
        """Return the constant of left - right, and its slope along every range that it has one along."""

        def at(coordinates: Mapping[str, int]) -> int:
            left, right = (self._number(side, coordinates) for side in (predicate.left, predicate.right))
            return left - right

        constant = at(self.head)
        slopes: dict[str, int] = {}
        for name in self.einsum.variables:
            if name in self.head:
                continue
            part = self.parts[name]
            slope = at({**self.head, name: 1}) - constant
            unit = part.unit.evaluate(self.extents) if part.range in (self.rows, self.columns) else 1
            if slope % unit or slopes.setdefault(part.range, slope // unit) != slope // unit:
                raise self._refused()
        return constant, {name: slope for name, slope in slopes.items() if slope}

    def _number(self, expression: Expression, coordinates: Mapping[str, int]) -> int:
        match expression:
            case Constant(value) if value.is_integer():
                return int(value)
            case RankExtent(rank):
                return self.extents[rank]
            case Coordinate(variable):
                return coordinates.get(variable, 0)
            case Apply(operator, arguments):
                values = [self._number(argument, coordinates) for argument in arguments]
                found = _applied(operator.name, values)
                if found is None:
                    raise self._refused()
                return found
            case Read():
                return self._read(expression)
            case _:
                raise self._refused()

    def _read(self, read: Read) -> int:
        """Return the element of an input that belongs to the head."""
        if any(not {*index.variables} <= self.head.keys() for index in read.indices):
            raise self._refused()
        if read.tensor not in self.inputs:
            what = f"{read.tensor} must be given, for the array masks {self.einsum} by it, but is not"
            raise IllegalMappingError([f"{what}; give it as an input"])
        values = np.asarray(self.inputs[read.tensor])
        at = tuple(index.evaluate(self.head, self.extents) for index in read.indices)
        if not float(values[at]).is_integer():
            raise IllegalMappingError(
                [
                    f"{read.tensor} must hold whole numbers for the array to mask {self.einsum}, not {values[at]} at "
                    f"{at}; round them"
                ]
            )
        return int(values[at])

    def _refused(self) -> KernelError:
        return KernelError(
            [
                f"the filter of {self.einsum} must be a band of diagonals for the array to mask it (keys compared with "
                "queries plus or minus a whole number, or less than one, of the head or not, joined by `and`), but is "
                "not; compute it elsewhere"
            ]
        )


def _applied(name: str, values: list[int]) -> int | None:
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
            return None
