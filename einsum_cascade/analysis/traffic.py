"""Words moved between the chip and memory: what any implementation moves, and what a capacity adds for the passes.

Compulsory traffic reads every input once and writes every output once. With a capacity, the fibers that ride along (the
queries of an attention) are taken in groups small enough for what is live; whatever does not carry their ranks is read
again for every group. Spilling the fibers instead makes the groups larger. Operands without the rank that is traversed
stay on chip with their group. The cheapest choice of traversed rank and of keeping or spilling is reported; tiles in
flight are not charged, and inputs other than the traversed one are taken to need one pass.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, cast

from einsum_cascade.analysis.domain import Domain
from einsum_cascade.analysis.elements import elements_made, elements_read
from einsum_cascade.analysis.facts import Facts
from einsum_cascade.analysis.footprint import Footprint
from einsum_cascade.analysis.passes import PassBound
from einsum_cascade.analysis.symbolic import Expr, evaluate, number, product_of, to_sympy
from einsum_cascade.analysis.target import partitions
from einsum_cascade.cascade.ir import Cascade, Tensor

__all__ = ["Traffic", "capacity_traffic", "compulsory_traffic"]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Words moved for one tensor.

    Parameters
    ----------
    tensor
        Its name.
    words
        How many.
    reason
        Why.
    is_exact
        False if data decides: then an upper bound of the bound.

    """

    tensor: str
    words: Expr
    reason: str
    is_exact: bool = True


@dataclass(frozen=True, slots=True)
class _Plan:
    """One way of fitting the passes into a capacity.

    Parameters
    ----------
    extra
        The words it adds.

    """

    extra: tuple[Traffic, ...]

    @property
    def words(self) -> int:
        return sum(int(cast(Any, entry.words)) for entry in self.extra)


def size_of(tensor: Tensor) -> Expr:
    """Return the number of elements of a tensor."""
    return product_of(to_sympy(dimension.extent) for dimension in tensor.dimensions)


def compulsory_traffic(facts: Facts, domains: Sequence[Domain]) -> tuple[Traffic, ...]:
    """Return what any implementation moves: elements of inputs that some point reads, and of outputs, once."""
    cascade = facts.cascade
    read = {access.tensor for accesses in facts.accesses for access in accesses}
    found = [(t.name, "compulsory read", elements_read(facts, domains, t)) for t in cascade.inputs if t.name in read]
    made = ((name, elements_made(facts, domains, cascade.tensor[name])) for name in cascade.outputs)
    found += ((name, "compulsory write", count) for name, count in made)
    return tuple(Traffic(name, count.points, reason, count.is_exact) for name, reason, count in found)


def capacity_traffic(
    facts: Facts,
    bounds: Sequence[tuple[PassBound, tuple[Footprint, ...]]],
    extents: Mapping[str, int],
    capacity_words: int,
) -> tuple[Traffic, ...]:
    """Return the words that a capacity adds to the compulsory traffic.

    Parameters
    ----------
    facts
        Of the cascade.
    bounds
        Every pass bound with its footprints.
    extents
        Of all ranks.
    capacity_words
        Words that the chip can hold.

    """
    plans = [
        plan
        for bound, footprints in _hardest_by_rank(facts.cascade, bounds, extents)
        for plan in _plans(facts, bound, footprints, extents, capacity_words)
        if plan is not None
    ]
    if plans:
        return min(plans, key=lambda plan: plan.words).extra
    if not facts.cascade.inputs:
        return ()
    reason = f"no order of the passes fits {capacity_words} words"
    return (Traffic(facts.cascade.inputs[0].name, number(0), reason),)


def _hardest_by_rank(
    cascade: Cascade, bounds: Sequence[tuple[PassBound, tuple[Footprint, ...]]], extents: Mapping[str, int]
) -> Iterator[tuple[PassBound, tuple[Footprint, ...]]]:
    """Yield, for every rank of the inputs, the input whose passes along it hold the most."""
    by_rank: dict[str, list[tuple[PassBound, tuple[Footprint, ...]]]] = {}
    for bound, footprints in bounds:
        if cascade.tensor[bound.target.tensor].is_given and footprints:
            by_rank.setdefault(cascade.base_rank(bound.target.rank), []).append((bound, footprints))

    def held(entry: tuple[PassBound, tuple[Footprint, ...]]) -> tuple[int, int]:
        return len(entry[1]), max(evaluate(footprint.elements, extents) for footprint in entry[1])

    for group in by_rank.values():
        yield max(group, key=held)


def _plans(
    facts: Facts, bound: PassBound, footprints: tuple[Footprint, ...], extents: Mapping[str, int], capacity: int
) -> Iterator[_Plan | None]:
    """Yield the plans that keep and that spill the fibers, while one rank is traversed."""
    shared, ridden = _resident(facts, bound, footprints[0].per, extents)
    live = [evaluate(f.elements, extents) + ridden for f in footprints]
    fibers = [sum(evaluate(e.elements, extents) for e in f.live if e.reason == "fiber") for f in footprints]
    room = capacity - shared
    yield _plan(facts, footprints, extents, room // max(1, *live), ())
    if any(fibers):
        state = max(total - kept for total, kept in zip(live, fibers, strict=True))
        yield _plan(facts, footprints, extents, room // max(1, state), tuple(_spilled(facts, footprints, extents)))


def _resident(facts: Facts, bound: PassBound, per: tuple[str, ...], extents: Mapping[str, int]) -> tuple[int, int]:
    """Return the words of operands that every position reads: shared by all fibers, and per fiber."""
    shared = ridden = 0
    traversed = _traversed_ranks(facts.cascade, bound.target.rank)
    operands = dict.fromkeys(access.tensor for at in bound.timing.points for access in facts.accesses[at])
    for name in operands:
        ranks = [dimension.rank for dimension in facts.cascade.tensor[name].dimensions]
        if traversed & set(ranks) or bound.timing.state(name).pieces:
            continue
        words = prod(extents[rank] for rank in ranks if rank not in per)
        if set(ranks) & set(per):
            ridden += words
        else:
            shared += words
    return shared, ridden


def _traversed_ranks(cascade: Cascade, rank: str) -> frozenset[str]:
    """Return a rank, those with the same coordinates, and the ranks that count their tiles."""
    same = {name for name in cascade.rank if cascade.base_rank(name) == cascade.base_rank(rank)}
    tiles = {part for parts, whole in partitions(cascade).items() if whole in same for part in parts}
    return frozenset(same | tiles)


def _plan(
    facts: Facts,
    footprints: tuple[Footprint, ...],
    extents: Mapping[str, int],
    at_once: int,
    spilled: tuple[Traffic, ...],
) -> _Plan | None:
    if at_once < 1:
        return None
    per = footprints[0].per
    total = prod(extents[rank] for rank in per)
    groups = -(-total // at_once)
    return _Plan((*spilled, *_read_again(facts.cascade, per, extents, groups, min(at_once, total))))


def _read_again(
    cascade: Cascade, per: tuple[str, ...], extents: Mapping[str, int], groups: int, at_once: int
) -> Iterator[Traffic]:
    """Yield the inputs that every group reads anew: those without any of the ranks that are grouped."""
    if groups <= 1:
        return
    for tensor in cascade.inputs:
        own = {dimension.rank for dimension in tensor.dimensions}
        again = min(groups, prod(extents[rank] for rank in per if rank not in own))
        if again > 1:
            words = (again - 1) * evaluate(size_of(tensor), extents)
            reason = f"read {again} times: {at_once} of the fibers per {', '.join(per)} fit at once"
            yield Traffic(tensor.name, number(words), reason)


def _spilled(facts: Facts, footprints: tuple[Footprint, ...], extents: Mapping[str, int]) -> Iterator[Traffic]:
    for footprint in footprints:
        for entry in footprint.live:
            words = evaluate(entry.words, extents)
            if words:
                verb = "read again" if facts.cascade.tensor[entry.tensor].is_given else "spilled"
                reason = f"{verb} for pass {footprint.number + 1} over {footprint.tensor} along {footprint.rank}"
                yield Traffic(entry.tensor, number(words), reason)
