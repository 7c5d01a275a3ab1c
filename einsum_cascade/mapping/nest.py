"""Paths of a mapping with numbers: loops in coordinates of their range."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from einsum_cascade.cascade.extent import Extent, Quotient
from einsum_cascade.mapping.footprint import Count
from einsum_cascade.mapping.ir import Axis, Loop, Step
from einsum_cascade.mapping.workload import Workload

__all__ = ["NestLoop", "count_steps", "evaluated", "nest_of", "range_sizes"]


@dataclass(frozen=True, slots=True)
class NestLoop:
    """A loop of a nest, in coordinates of its range.

    Parameters
    ----------
    variable
        The rank variable.
    range
        The range that it is part of.
    tile
        Coordinates of the range that one iteration covers.
    axis
        The dimension of the engine that it is spread over; None for time.

    """

    variable: str
    range: str
    tile: Count
    axis: Axis | None


def nest_of(workload: Workload, steps: Iterable[Step], values: Mapping[str, Count]) -> tuple[NestLoop, ...]:
    """Return the loops among some steps, with numbers for their tiles.

    Parameters
    ----------
    workload
        Whose variables the loops are over.
    steps
        A path, outermost first.
    values
        Of ranks and parameters; an array where many mappings are looked at together.

    """
    found: list[NestLoop] = []
    for step in steps:
        if isinstance(step, Loop):
            part = workload.parts[step.variable]
            tile = cast(Any, evaluated(step.tile, values)) * evaluated(part.unit, values)
            found.append(NestLoop(step.variable, part.range, tile, step.axis))
    return tuple(found)


def range_sizes(workload: Workload, values: Mapping[str, Count]) -> dict[str, Count]:
    """Return the coordinates of every range."""
    return {part.range: evaluated(part.extent, values) for part in workload.parts.values()}


def evaluated(extent: Extent, values: Mapping[str, Count]) -> Count:
    """Return an expression's value, which is an array if a value in it is."""
    total: Any = 0
    for monomial, coefficient in extent.terms:
        term: Any = coefficient
        for atom in monomial:
            term = term * (_quotient(atom, values) if isinstance(atom, Quotient) else values[atom])
        total = total + term
    return total


def _quotient(atom: Quotient, values: Mapping[str, Count]) -> Any:
    return -(-cast(Any, evaluated(atom.numerator, values)) // evaluated(atom.denominator, values))


def count_steps(nest: Sequence[NestLoop], sizes: Mapping[str, Count]) -> Count:
    """Count the iterations of all loops in time; PEs run side by side."""
    if not nest:
        return 1
    loop, *inner = nest
    size = cast(Any, sizes[loop.range])
    full, rest = size // loop.tile, size % loop.tile
    whole, edge = (
        cast(Any, count_steps(inner, {**sizes, loop.range: covered}) if np.any(covered) else 0)
        for covered in (loop.tile, rest)
    )
    if loop.axis:
        return cast(Count, np.maximum(whole * (full > 0), edge * (rest > 0)))
    return whole * full + edge * (rest > 0)
