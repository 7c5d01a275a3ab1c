"""Words moved between the chip and memory: what any implementation moves.

Compulsory traffic reads once every element of an input that some surviving point reads, and writes every element of an
output once, but for constants that a recurrence starts from. With a capacity, passes add to it: what a later pass must
see of a position again is held on chip or moved.
Both are lower bounds for every mapping; what one plain plan moves is in `analysis.plan`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from einsum_cascade.analysis.counting import counts_through_tiles
from einsum_cascade.analysis.domain import Domain
from einsum_cascade.analysis.elements import elements_computed, elements_read
from einsum_cascade.analysis.facts import Facts
from einsum_cascade.analysis.passes import PassBound
from einsum_cascade.analysis.symbolic import Expr, evaluate, number

__all__ = ["Traffic", "compulsory_traffic", "traffic_of_passes"]


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


def compulsory_traffic(facts: Facts, domains: Sequence[Domain]) -> tuple[Traffic, ...]:
    """Return what any implementation moves, once: inputs that some point reads, and what is computed of outputs."""
    cascade = facts.cascade
    read = {access.tensor for accesses in facts.accesses for access in accesses}
    found = [(t.name, "compulsory read", elements_read(facts, domains, t)) for t in cascade.inputs if t.name in read]
    made = ((name, elements_computed(facts, domains, cascade.tensor[name])) for name in cascade.outputs)
    found += ((name, "compulsory write", count) for name, count in made)
    return tuple(Traffic(name, count.points, reason, count.is_exact) for name, reason, count in found)


def traffic_of_passes(
    facts: Facts,
    domains: Sequence[Domain],
    bounds: Iterable[PassBound],
    extents: Mapping[str, int],
    capacity_words: int,
) -> tuple[Traffic, ...]:
    """Return the words that passes add to the compulsory traffic of every mapping: those of the hardest fiber.

    When the last read of a pass is done, the next one needs something of every position: an element that is on chip, of
    which there are at most `capacity_words`, or one that is moved again. Each boundary moves the others once more.

    Parameters
    ----------
    facts
        Of the cascade.
    domains
        Of its Einsums.
    bounds
        Every pass bound.
    extents
        Of all ranks.
    capacity_words
        Words that the chip can hold.

    """
    found: list[tuple[int, PassBound, int]] = []
    for bound in bounds:
        if facts.cascade.tensor[bound.target.tensor].is_given and _is_whole(facts, domains, bound):
            length = extents[_position_rank(facts, bound)]
            passes = evaluate(bound.count, extents)
            found.append(((passes - 1) * max(0, length - capacity_words), bound, passes))
    words, bound, passes = max(found, key=lambda entry: entry[0], default=(0, None, 0))
    if bound is None or not words:
        return ()
    target = bound.target
    reason = f"again for {passes} passes along {target.rank}: at most {capacity_words} positions are held between two"
    return (Traffic(target.tensor, number(words), reason),)


def _position_rank(facts: Facts, bound: PassBound) -> str:
    """Return the rank whose coordinates are the positions: that of the tiles, where some read counts through them."""
    ranks = [facts.cascade.rank_of[via.variables[0]] for via in bound.via]
    return max(ranks, key=lambda rank: facts.coordinates.root_of_rank(rank) != facts.cascade.base_rank(rank))


def _is_whole(facts: Facts, domains: Sequence[Domain], bound: PassBound) -> bool:
    """Tell whether a count is exact, and every pass reads every position: no filter, but tails of partitions."""
    readers = [domains[at] for at, time in bound.timing.points.items() if time.reads_family]
    return (
        bound.is_exact
        and bool(bound.via)
        and not any(domain.choices or domain.opaque or domain.otherwise for domain in readers)
        and all(counts_through_tiles(facts.cascade, tail) for domain in readers for tail in domain.bounds)
    )
