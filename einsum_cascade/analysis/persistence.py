"""Which coordinates of a tensor outlive the visit of their position, and which sums go on over several visits."""

from collections.abc import Iterable, Iterator

from einsum_cascade.analysis.facts import Facts, ReadFacts
from einsum_cascade.analysis.passes import PassBound
from einsum_cascade.analysis.positions import Order, Phase
from einsum_cascade.analysis.precedence import Ordering, Wait, is_at_most, ordering_of
from einsum_cascade.analysis.symbolic import Expr, to_sympy
from einsum_cascade.analysis.symbolic import number as number_of
from einsum_cascade.analysis.traversals import PointTime
from einsum_cascade.cascade.extent import ONE, ZERO, Extent
from einsum_cascade.cascade.ir import Einsum, Tensor, expression_variables

__all__ = ["Spans", "open_sums", "outliving", "streamed_axes"]

type Spans = dict[int, Expr | None]
"""By dimension, how many of its coordinates are live at once; None for all of them."""


def streamed_axes(facts: Facts, bound: PassBound, tensor: Tensor) -> tuple[int, ...]:
    """Return the dimensions of a tensor along which its elements become available, or are read if it is the target."""
    if tensor.name == bound.target.tensor:
        return bound.target.axes[:1]
    pieces = bound.timing.state(tensor.name).pieces
    along = {int(slot) for slot, _ in pieces[0].along} if pieces else set[int]()
    return tuple(sorted(along | bound.timing.delayed_axes(facts, tensor.name)))


def outliving(facts: Facts, bound: PassBound, tensor: Tensor, number: int) -> Spans:
    """Return what outlives its visit because a point at a later position of the same pass reads it.

    Parameters
    ----------
    facts
        Of the cascade.
    bound
        Whose timing says where points sit.
    tensor
        What is read.
    number
        The pass.

    """
    axes = streamed_axes(facts, bound, tensor)
    found: dict[int, list[Extent | None]] = {}
    paired: dict[int, list[int | None]] = {}
    for at, access in _reads(facts, bound, tensor, number):
        ordering, time = ordering_of(facts, at), bound.timing.points[at]
        names = {axis: access.positions[axis].variables[0] for axis in axes if _streams(access, axis)}
        if not _is_in_visit(ordering, time, tuple(names.values())):
            for axis, name in names.items():
                found.setdefault(axis, []).append(_reach(ordering, time, name))
                paired.setdefault(axis, []).append(_until(ordering, time, access, name))
    spans: Spans = {}
    for axis, reaches in found.items():
        reach = _longest(reaches)
        if reach != ZERO:
            spans |= _spans(axis, reach, paired[axis])
    return spans


def _spans(axis: int, reach: Extent | None, ends: list[int | None]) -> Spans:
    """Return how many coordinates are live of what is read up to `reach` later.

    Where the visit that reads it last is that of another of its own coordinates, those at `k` visits from the first one
    have `reach - k + 1` coordinates left: pairs.
    """
    if reach is None:
        return {axis: None}
    if len(set(ends)) == 1 and (end := ends[0]) is not None:
        return {axis: to_sympy(reach * (reach + ONE)) / 2, end: number_of(1)}
    return {axis: to_sympy(reach)}


def _until(ordering: Ordering, time: PointTime, access: ReadFacts, name: str) -> int | None:
    """Return the dimension of what is read whose coordinate is the one position at which it is read last, if any."""
    later = [position for position in time.latest if position != name]
    if len(later) != 1 or ordering.wait(name, later[0]) is not Wait.NONE:
        return None
    plain = [axis for axis, index in enumerate(access.indices) if index.plain == later[0]]
    return plain[0] if len(plain) == 1 else None


def _reads(facts: Facts, bound: PassBound, tensor: Tensor, number: int) -> Iterator[tuple[int, ReadFacts]]:
    """Yield Einsum and access of the reads of a pass at positions or at its end."""
    for at in facts.readers[tensor.name]:
        time = bound.timing.points.get(at)
        if time is not None and time.number == number and (time.latest or time.fires is Phase.END):
            yield from ((at, access) for access in facts.accesses[at] if access.tensor == tensor.name)


def _streams(access: ReadFacts, axis: int) -> bool:
    return access.positions[axis].order in (Order.ALONG, Order.TILES)


def _is_in_visit(ordering: Ordering, time: PointTime, names: tuple[str, ...]) -> bool:
    """Tell whether points read elements in the visit that makes them, which is at the latest of some coordinates."""
    if time.fires is Phase.END or time.latest == frozenset(names):
        return time.fires is not Phase.END
    return all(any(ordering.wait(position, name) is Wait.NONE for name in names) for position in time.latest) and all(
        any(ordering.wait(name, position) <= Wait.LAGS for position in time.latest) for name in names
    )


def _reach(ordering: Ordering, time: PointTime, name: str) -> Extent | None:
    """Return how long after the visit of a coordinate a point reads it; None if nothing bounds that.

    A coordinate of a later position is one that another thread has visited.
    """
    is_later = all(ordering.wait(name, position) > Wait.LAGS for position in time.latest)
    if time.fires is Phase.END or is_later:
        return None
    aheads = [ordering.ahead(position, name) for position in time.latest]
    return _longest(ZERO if ahead.wait() is Wait.NONE else ahead.least if ahead.offsets else None for ahead in aheads)


def _longest(reaches: Iterable[Extent | None]) -> Extent | None:
    """Return the greatest of several lengths; None if one is not bounded, or none is known to be the greatest."""
    greatest, *others = reaches
    for other in others:
        if greatest is None or other is None:
            return None
        if is_at_most(greatest, other):
            greatest = other
        elif not is_at_most(other, greatest):
            return None
    return greatest


def open_sums(facts: Facts, bound: PassBound, number: int) -> Spans | None:
    """Return the sums of an Einsum that are open at once, if they go on over several visits; None if they do not.

    Sums over the same prefix of what does not depend on their own coordinate are one sum, as in a recurrence.
    """
    einsum, time = facts.cascade.einsums[number], bound.timing.points.get(number)
    gone = time.latest.difference(einsum.left_variables) if time is not None else frozenset[str]()
    if time is None or not gone:
        return None
    ordering, left = ordering_of(facts, number), facts.left_of(einsum)
    spans: Spans = {}
    for name in sorted(gone):
        if any(ordering.wait(name, own) is Wait.NONE for own in time.latest - gone):
            continue
        for own in einsum.left_variables:
            slot = left.slot(own)
            if slot is not None and own != name and ordering.is_alike(name, own) and ordering.ahead(name, own).offsets:
                spans[slot[0]] = _open(ordering, einsum, own, name)
    return spans or None


def _open(ordering: Ordering, einsum: Einsum, own: str, reduced: str) -> Expr | None:
    """Return how many sums along a variable on the left are open at the visit of a reduced one's coordinate."""
    behind = ordering.ahead(own, reduced)
    if behind.offsets:
        return to_sympy(behind.least + ONE)
    return None if _depends_on(einsum, own) else number_of(1)


def _depends_on(einsum: Einsum, variable: str) -> bool:
    """Tell whether what is mapped depends on a variable, other than by the filter."""
    expressions = (einsum.expression, *((einsum.otherwise,) if einsum.otherwise else ()))
    return any(variable in expression_variables(expression) for expression in expressions)
