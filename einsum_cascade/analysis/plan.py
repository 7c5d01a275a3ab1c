"""What one plain plan moves beyond the compulsory traffic, to fit the passes into a capacity. Others may move less.

The fibers that ride along (the queries of an attention) are taken in groups small enough for what is live; whatever
does not carry their ranks is read again for every group, and under a window only what the group sees. Spilling the
fibers instead makes the groups larger. Operands without the rank that is traversed stay on chip with their group. The
cheapest choice of traversed rank and of keeping or spilling is reported; tiles in flight are not charged, and inputs
other than the traversed one are taken to need one pass.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from einsum_cascade.analysis.facts import Facts
from einsum_cascade.analysis.footprint import Footprint
from einsum_cascade.analysis.passes import PassBound
from einsum_cascade.analysis.symbolic import Expr, evaluate, number
from einsum_cascade.analysis.target import partitions
from einsum_cascade.analysis.traffic import Traffic
from einsum_cascade.cascade.ir import Cascade, Tensor

__all__ = ["Traversal", "plain_plan"]


type Traversal = tuple[PassBound, tuple[Footprint, ...], Expr]
"""A pass bound, what its passes hold, and a bound on the length of the fiber that is read."""


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
        return sum(int(entry.words) for entry in self.extra)


def plain_plan(
    facts: Facts, traversals: Sequence[Traversal], extents: Mapping[str, int], capacity_words: int
) -> tuple[Traffic, ...]:
    """Return the words that the plan adds to the compulsory traffic.

    Parameters
    ----------
    facts
        Of the cascade.
    traversals
        Of every tensor and rank.
    extents
        Of all ranks.
    capacity_words
        Words that the chip can hold.

    """
    plans = [
        plan
        for traversal in _hardest_by_rank(facts.cascade, traversals, extents)
        for plan in _Plans(facts, traversal, extents, capacity_words).all()
    ]
    if plans:
        return min(plans, key=lambda plan: plan.words).extra
    if not facts.cascade.inputs:
        return ()
    reason = f"no order of the passes fits {capacity_words} words"
    return (Traffic(facts.cascade.inputs[0].name, number(0), reason),)


def _hardest_by_rank(
    cascade: Cascade, traversals: Sequence[Traversal], extents: Mapping[str, int]
) -> Iterator[Traversal]:
    """Yield, for every rank of the inputs, the input whose passes along it hold the most."""
    by_rank: dict[str, list[Traversal]] = {}
    for traversal in traversals:
        target = traversal[0].target
        if cascade.tensor[target.tensor].is_given and traversal[1]:
            by_rank.setdefault(cascade.base_rank(target.rank), []).append(traversal)

    def held(entry: Traversal) -> tuple[int, int]:
        return len(entry[1]), max(evaluate(footprint.elements, extents) for footprint in entry[1])

    for group in by_rank.values():
        yield max(group, key=held)


class _Plans:
    """The plans that keep and that spill the fibers, while one rank is traversed."""

    def __init__(self, facts: Facts, traversal: Traversal, extents: Mapping[str, int], capacity: int) -> None:
        bound, self._footprints, seen = traversal
        self._facts, self._extents = facts, extents
        self._per = self._footprints[0].per
        self._traversed = _traversed_ranks(facts.cascade, bound.target.rank)
        shared, self._ridden = _resident(facts, bound, self._per, self._traversed, extents)
        self._room = capacity - shared
        axes = bound.target.axes
        dimensions = facts.cascade.tensor[bound.target.tensor].dimensions
        self._length = prod(extents[dimensions[axis].rank] for axis in axes)
        self._seen = evaluate(seen, extents)

    def all(self) -> Iterator[_Plan]:
        """Yield the plans that fit."""
        live = [evaluate(f.elements, self._extents) + self._ridden for f in self._footprints]
        fibers = [self._fibers(footprint) for footprint in self._footprints]
        yield from self._plan(max(1, *live), ())
        if any(fibers):
            state = max(total - kept for total, kept in zip(live, fibers, strict=True))
            yield from self._plan(max(1, state), tuple(self._spilled()))

    def _fibers(self, footprint: Footprint) -> int:
        return sum(evaluate(entry.elements, self._extents) for entry in footprint.live if entry.reason == "fiber")

    def _plan(self, live: int, spilled: tuple[Traffic, ...]) -> Iterator[_Plan]:
        """Yield the plan that takes as many fibers at once as there is room for what each holds."""
        if self._room >= live:
            total = prod(self._extents[rank] for rank in self._per)
            at_once = min(self._room // live, total)
            again = () if self._window() <= self._room - live else self._read_again(-(-total // at_once), at_once)
            yield _Plan((*spilled, *again))

    def _window(self) -> float:
        """Return the words of inputs that a fiber sees, if it sees a part that need not be read for the next one."""
        streamed = (tensor for tensor in self._facts.cascade.inputs if self._is_streamed(tensor))
        words = sum(self._words(tensor) * self._seen // self._length for tensor in streamed)
        return words if self._seen < self._length else float("inf")

    def _is_streamed(self, tensor: Tensor) -> bool:
        return any(dimension.rank in self._traversed for dimension in tensor.dimensions)

    def _words(self, tensor: Tensor) -> int:
        return prod(self._extents[dimension.rank] for dimension in tensor.dimensions)

    def _read_again(self, groups: int, at_once: int) -> Iterator[Traffic]:
        """Yield the inputs that every group reads anew: those without any of the ranks that are grouped."""
        for tensor in self._facts.cascade.inputs:
            own = {dimension.rank for dimension in tensor.dimensions}
            again = min(groups, prod(self._extents[rank] for rank in self._per if rank not in own))
            if again > 1:
                size = self._words(tensor)
                share = min(self._length, self._seen + at_once - 1) if self._is_streamed(tensor) else self._length
                words = max(0, again * size * share // self._length - size)
                reason = f"read {again} times: {at_once} of the fibers per {', '.join(self._per)} fit at once"
                yield Traffic(tensor.name, number(words), reason)

    def _spilled(self) -> Iterator[Traffic]:
        for footprint in self._footprints:
            for entry in footprint.live:
                words = evaluate(entry.words, self._extents)
                if words:
                    verb = "read again" if self._facts.cascade.tensor[entry.tensor].is_given else "spilled"
                    reason = f"{verb} for pass {footprint.number + 1} over {footprint.tensor} along {footprint.rank}"
                    yield Traffic(entry.tensor, number(words), reason)


def _resident(
    facts: Facts, bound: PassBound, per: tuple[str, ...], traversed: frozenset[str], extents: Mapping[str, int]
) -> tuple[int, int]:
    """Return the words of operands that every position reads: shared by all fibers, and per fiber."""
    shared = ridden = 0
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
