"""Prove that an extent is not negative, given what else is known of extents."""

from collections.abc import Iterable
from itertools import combinations

from einsum_cascade.cascade.extent import ONE, ZERO, Extent, symbol

__all__ = ["is_nonnegative"]


def is_nonnegative(extent: Extent, facts: Iterable[Extent], positive: frozenset[str] = frozenset()) -> bool:
    """Tell whether an extent is provably >= 0 wherever all facts are.

    A fact `I - S >= 0` is used in two ways: I is written as S and something that is not negative, or the fact is
    subtracted, and what is left must not be negative. False means "not proved", never "disproved".

    Parameters
    ----------
    extent
        The extent.
    facts
        Extents that are known not to be negative.
    positive
        Ranks that are known to be at least 1.

    """
    if extent.is_nonnegative(positive):
        return True
    known = tuple(fact for fact in facts if fact)
    spent = (sum(chosen, ZERO) for count in (1, 2) for chosen in combinations(known, count))
    if any((extent - some).is_nonnegative(positive) for some in spent):
        return True
    return any(
        _with_slack(extent, (*ordered, *(symbol(name) - ONE for name in sorted(positive)))).is_nonnegative()
        for ordered in (known, known[::-1])
    )


def _with_slack(extent: Extent, facts: Iterable[Extent]) -> Extent:
    """Write one rank of every fact, if it has one of its own, as what it is at least and a rank of any extent."""
    waiting = list(facts)
    while waiting:
        fact = waiting.pop(0)
        name = _own_rank(fact)
        if name is None:
            continue
        least = {name: symbol(name) - fact + symbol(f"{name}'")}
        extent = extent.substitute(least)
        waiting = [other.substitute(least) for other in waiting]
    return extent


def _own_rank(fact: Extent) -> str | None:
    """Return a rank that a fact has once, by itself, and that it bounds from below."""
    for monomial, coefficient in fact.terms:
        match monomial:
            case (str() as name,) if coefficient == 1 and name not in (fact - symbol(name)).names:
                return name
            case _:
                pass
    return None
