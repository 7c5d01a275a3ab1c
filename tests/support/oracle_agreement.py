"""Hold the pass analysis against the streaming oracle on one cascade."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from random_cascades import extents_for
from streaming_oracle import all_extents, passes_at, threads_of

from einsum_cascade.analysis.facts import Facts
from einsum_cascade.analysis.passes import PassBound, pass_bound
from einsum_cascade.analysis.symbolic import evaluate
from einsum_cascade.analysis.target import Target, targets
from einsum_cascade.cascade.ir import Cascade

__all__ = ["Disagreement", "disagreements"]

_LEAST_EXTENT = 5
"""Filters of the generator cut off up to two coordinates at either end; something must be left."""


@dataclass(frozen=True)
class Disagreement:
    """A count that is wrong: exact and different, or a lower bound that is too high."""

    target: Target
    analysis: int
    oracle: int
    is_exact: bool
    extents: dict[str, int]


def disagreements(cascade: Cascade, rng: np.random.Generator, most: int | None = None) -> Iterator[Disagreement]:
    """Yield every target on which the analysis and the oracle disagree, of all targets or of `most` drawn ones."""
    facts = Facts(cascade)
    everything = list(targets(cascade))
    chosen = everything if most is None else [everything[at] for at in rng.permutation(len(everything))[:most]]
    for target in chosen:
        bound = pass_bound(facts, target)
        extents = _extents(cascade, target, rng)
        if _is_wrong(cascade, bound, extents):
            extents = _longer(cascade, bound, extents)
            if _is_wrong(cascade, bound, extents):
                counts = _counted(cascade, bound, extents), _simulated(cascade, bound, extents)
                yield Disagreement(target, *counts, bound.is_exact, extents)


def _extents(cascade: Cascade, target: Target, rng: np.random.Generator) -> dict[str, int]:
    drawn = extents_for(cascade, rng, "*".join(_ranks(cascade, target)))
    return {name: extent if name == "M0" else max(extent, _LEAST_EXTENT) for name, extent in drawn.items()}


def _ranks(cascade: Cascade, target: Target) -> list[str]:
    return [cascade.tensor[target.tensor].dimensions[axis].rank for axis in target.axes]


def _longer(cascade: Cascade, bound: PassBound, extents: Mapping[str, int]) -> dict[str, int]:
    """Make the traversed rank longer than the longest chain, as the definition asks, and leave room for filters."""
    ranks = {cascade.base_rank(rank) for rank in _ranks(cascade, bound.target)} & extents.keys()
    if not ranks and "M" in extents:
        ranks = {"M"}
    doubled = {name: 2 * extent if name != "M0" else extent for name, extent in extents.items()}
    count = _counted(cascade, bound, doubled)
    return {
        name: 2 * extent + 6 + count if name in ranks else extent if name == "M0" else 2 * extent
        for name, extent in extents.items()
    }


def _is_wrong(cascade: Cascade, bound: PassBound, extents: dict[str, int]) -> bool:
    counted, simulated = _counted(cascade, bound, extents), _simulated(cascade, bound, extents)
    return counted != simulated if bound.is_exact else counted > simulated


def _counted(cascade: Cascade, bound: PassBound, extents: dict[str, int]) -> int:
    return evaluate(bound.count, all_extents(cascade, extents))


def _simulated(cascade: Cascade, bound: PassBound, extents: dict[str, int]) -> int:
    """Return the oracle's count, the greatest over all ways of reading the rank: chains may stay in one of them."""
    target = bound.target
    ways = [via.variables for via in bound.via] if len(bound.via) > 1 else []
    counts = [passes_at(cascade, extents, target.tensor, target.axes, way) for way in (None, *ways)]
    threads = threads_of(cascade, extents, target.tensor, target.axes)
    return max(*counts, *(passes_at(cascade, extents, target.tensor, target.axes, None, name) for name in threads), 0)
