"""The totals of many mappings that differ in their parameters: whole arrays of candidates, a chunk at a time.

`estimate` takes arrays too, but keeps every number of every candidate; what a search compares is kept here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.arch.ir import Architecture
from einsum_cascade.cost.estimate import estimate
from einsum_cascade.mapping.counts import Count, is_array
from einsum_cascade.mapping.ir import Mapping as Tree
from einsum_cascade.mapping.workload import Workload

__all__ = ["CHUNK", "Costs", "estimate_many"]

CHUNK = 1 << 15
"""Candidates at a time: the arrays of a few numbers fit a cache, and starting over costs little beside the work."""


@dataclass(frozen=True, slots=True)
class Costs:
    """The totals of candidates, an array each.

    Parameters
    ----------
    latency_s, energy_pj, cycles
        As in a `CostEstimate`.
    traffic_bytes
        By memory.

    """

    latency_s: NDArray[np.float64]
    energy_pj: NDArray[np.float64]
    cycles: NDArray[np.int64]
    traffic_bytes: Mapping[str, NDArray[np.float64]]


def estimate_many(
    workload: Workload,
    architecture: Architecture,
    mapping: Tree,
    extents: Mapping[str, Count],
    repeats: int = 1,
    chunk: int = CHUNK,
) -> Costs:
    """Estimate what many mappings of one tree cost.

    Blocks whose parts follow one another, or run in given stages, are looked at together. Parts that overlap on several
    engines have a schedule for every candidate, which takes some milliseconds each.

    Parameters
    ----------
    workload, architecture, mapping
        What runs where.
    extents
        Of all ranks, and of all parameters that the mapping gives by a rule; an array for a parameter that differs
        between the candidates. All arrays have one dimension and the same length.
    repeats
        How often the cascade runs, one after the other.
    chunk
        Candidates at a time.

    Raises
    ------
    ValueError
        If there is no array among the extents, or arrays differ in their shape.

    """
    shapes = {name: value.shape for name, value in extents.items() if is_array(value)}
    if len(set(shapes.values())) != 1 or any(len(shape) != 1 for shape in shapes.values()):
        raise ValueError(f"Extents must hold arrays of one dimension and the same length, not of shapes {shapes!r}")
    ((length,),) = set(shapes.values())
    latency, energy, cycles = np.empty(length), np.empty(length), np.empty(length, np.int64)
    traffic = {memory.name: np.empty(length) for memory in architecture.memories}
    for start in range(0, length, chunk):
        own = slice(start, start + chunk)
        part = {name: value[own] if is_array(value) else value for name, value in extents.items()}
        cost = estimate(workload, architecture, mapping, part, repeats)
        latency[own], energy[own], cycles[own] = cost.latency_s, cost.energy_pj, cost.cycles
        for name in traffic:
            traffic[name][own] = cost.traffic_bytes[name]
    return Costs(latency, energy, cycles, traffic)
