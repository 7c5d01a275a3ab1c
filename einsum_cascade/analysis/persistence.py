"""Which coordinates of a tensor outlive the visit of their position, and which sums go on over several visits."""

from collections.abc import Iterable, Iterator

from einsum_cascade.analysis.facts import Access, Facts
from einsum_cascade.analysis.passes import PassBound
from einsum_cascade.analysis.positions import Order, Phase
from einsum_cascade.analysis.precedence import Ordering, Wait, is_at_most, ordering_of
from einsum_cascade.analysis.timing import PointTime
from einsum_cascade.cascade.extent import ONE, ZERO, Extent
from einsum_cascade.cascade.ir import Einsum, Tensor, expression_variables

__all__ = ["Spans", "open_sums", "outliving", "streamed_axes"]

type Spans = dict[int, Extent | None]
"""By dimension, how many of its coordinates are live at once; None for all of them."""


def streamed_axes(bound: PassBound, tensor: Tensor) -> tuple[int, ...]:
    """Return the dimensions of a tensor along which its elements become available, or are read if it is the target."""
    if tensor.name == bound.target.tensor:
        return bound.target.axes[:1]
    pieces = bound.timing.state(tensor.name).pieces
    return tuple(sorted(int(slot) for slot, _ in pieces[0].along)) if pieces else ()


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
    axes = streamed_axes(bound, tensor)
    found: dict[int, list[Extent | None]] = {}
    for at, access in _reads(facts, bound, tensor, number):
        names = {axis: access.positions[axis].variables[0] for axis in axes if _streams(access, axis)}
        if not _is_in_visit(ordering_of(facts, at), bound.timing.points[at], tuple(names.values())):
            for axis, name in names.items():
                found.setdefault(axis, []).append(_reach(ordering_of(facts, at), bound.timing.points[at], name))
    return {axis: span for axis, reaches in found.items() if (span := _longest(reaches)) != ZERO}


def _reads(facts: Facts, bound: PassBound, tensor: Tensor, number: int) -> Iterator[tuple[int, Access]]:
    """Yield Einsum and access of the reads of a pass at positions or at its end."""
    for at in facts.readers[tensor.name]:
        time = bound.timing.points.get(at)
        if time is not None and time.number == number and (time.positions or time.fires is Phase.END):
            yield from ((at, access) for access in facts.accesses[at] if access.tensor == tensor.name)


def _streams(access: Access, axis: int) -> bool:
    return access.positions[axis].order in (Order.ALONG, Order.TILES)


def _is_in_visit(ordering: Ordering, time: PointTime, names: tuple[str, ...]) -> bool:
    """Tell whether points read elements in the visit that makes them, which is at the latest of some coordinates."""
    return (
        time.fires is not Phase.END
        and all(any(ordering.wait(position, name) is Wait.NONE for name in names) for position in time.positions)
        and all(any(ordering.wait(name, position) <= Wait.LAGS for position in time.positions) for name in names)
    )


def _reach(ordering: Ordering, time: PointTime, name: str) -> Extent | None:
    """Return how long after the visit of a coordinate a point reads it; None if nothing bounds that.

    A coordinate of a later position is one that another thread has visited.
    """
    is_later = all(ordering.wait(name, position) > Wait.LAGS for position in time.positions)
    if time.fires is Phase.END or is_later:
        return None
    aheads = [ordering.ahead(position, name) for position in time.positions]
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
    gone = time.positions.difference(einsum.left_variables) if time is not None else frozenset[str]()
    if time is None or not gone:
        return None
    ordering, left = ordering_of(facts, number), facts.left_of(einsum)
    spans: Spans = {}
    for name in sorted(gone):
        if any(ordering.wait(name, own) is Wait.NONE for own in time.positions - gone):
            continue
        for own in einsum.left_variables:
            slot = left.slot(own)
            if slot is not None and own != name and ordering.is_alike(name, own) and ordering.ahead(name, own).offsets:
                spans[slot[0]] = _open(ordering, einsum, own, name)
    return spans or None


def _open(ordering: Ordering, einsum: Einsum, own: str, reduced: str) -> Extent | None:
    """Return how many sums along a variable on the left are open at the visit of a reduced one's coordinate."""
    behind = ordering.ahead(own, reduced)
    if behind.offsets:
        return behind.least + ONE
    return None if _depends_on(einsum, own) else ONE


def _depends_on(einsum: Einsum, variable: str) -> bool:
    """Tell whether what is mapped depends on a variable, other than by the filter."""
    expressions = (einsum.expression, *((einsum.otherwise,) if einsum.otherwise else ()))
    return any(variable in expression_variables(expression) for expression in expressions)
