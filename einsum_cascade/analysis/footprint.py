"""What each pass must hold on chip, and what each pass boundary costs.

During a pass everything that outlives the visit of a position is live: fibers of the family that a later pass reads
again, results of earlier passes, accumulators, one generation of running tensors, summaries per tile that wait for a
barrier, what points at later positions read, and windows of bounded offsets. All of it is counted per coordinate of the
ranks that ride along: those that every live tensor carries and that nothing downstream reduces (the queries, heads and
batches of an attention).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from einsum_cascade.analysis.counting import fiber_length
from einsum_cascade.analysis.domain import Domain
from einsum_cascade.analysis.elements import elements_made, elements_read
from einsum_cascade.analysis.facts import Facts
from einsum_cascade.analysis.passes import PassBound
from einsum_cascade.analysis.persistence import Spans, open_sums, outliving, streamed_axes
from einsum_cascade.analysis.positions import Order, Phase
from einsum_cascade.analysis.symbolic import Expr, grows_with, product_of, sum_of, to_sympy
from einsum_cascade.analysis.symbolic import number as number_of
from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.extent import ONE, ZERO, Extent, constant, symbol
from einsum_cascade.cascade.ir import Tensor

__all__ = ["Footprint", "LiveTensor", "fiber_bound", "footprints", "growing_ranks"]


@dataclass(frozen=True, slots=True)
class LiveTensor:
    """One tensor that is live during a pass.

    Parameters
    ----------
    tensor
        Its name.
    elements
        How many of its elements, per coordinate of the ranks that ride along.
    reason
        Why: `fiber` (a later pass reads it again), `kept` (a later position of the same pass reads it), `result` (of an
        earlier pass), `accumulator`, `running` (one generation), `summary` (one value per tile), `window` (a bounded
        offset).
    words
        For a fiber: what it costs not to keep it, over all fibers, for this boundary.

    """

    tensor: str
    elements: Expr
    reason: str
    words: Expr


@dataclass(frozen=True, slots=True)
class Footprint:
    """What is live during one pass over a tensor along a rank.

    Parameters
    ----------
    tensor, rank
        As in the pass bound.
    number
        The pass; the boundary that follows it keeps the fibers among `live`.
    elements
        Sum over `live`, per coordinate of the ranks `per`.
    per
        The ranks that ride along.
    depends_on_rank
        Whether the elements grow without bound with the rank.
    live
        The tensors.
    words
        What not keeping the fibers costs: words read again or spilled.

    """

    tensor: str
    rank: str
    number: int
    elements: Expr
    per: tuple[str, ...]
    depends_on_rank: bool
    live: tuple[LiveTensor, ...]
    words: Expr

    def mapped(self, plain: Callable[[Expr], Expr]) -> "Footprint":
        """Return the footprint with every formula replaced."""
        live = tuple(replace(entry, elements=plain(entry.elements), words=plain(entry.words)) for entry in self.live)
        return replace(self, elements=plain(self.elements), words=plain(self.words), live=live)


@dataclass(frozen=True, slots=True)
class _Held:
    """A live tensor before the ranks that ride along are known: the extents of its dimensions by rank."""

    tensor: str
    reason: str
    sizes: tuple[tuple[str, Expr], ...]
    words: Expr


def footprints(facts: Facts, domains: tuple[Domain, ...], bound: PassBound) -> tuple[Footprint, ...]:
    """Return the footprint of every pass of a bound; one that stands for all passes if the count grows."""
    numbers = (bound.timing.count,) if bound.timing.growing else range(1, bound.timing.count + 1)
    by_pass: dict[int, list[_Held]] = {number: [] for number in numbers}
    for number, entry in _all_held(facts, domains, bound):
        if number in by_pass:
            by_pass[number].append(entry)
    held = list(by_pass.values())
    per = _riding_along(facts, bound, [entry for entries in held for entry in entries])
    growing = {facts.cascade.base_rank(name) for name in growing_ranks(facts, bound)} | growing_ranks(facts, bound)
    found: list[Footprint] = []
    for number, entries in enumerate(held, start=1):
        live = tuple(LiveTensor(e.tensor, _elements(facts, domains, bound, e, per), e.reason, e.words) for e in entries)
        elements = sum_of(entry.elements for entry in live)
        words = sum_of(entry.words for entry in live)
        depends = grows_with(elements, growing)
        target = bound.target
        found.append(Footprint(target.tensor, target.rank, number, elements, per, depends, live, words))
    return tuple(found)


def _all_held(facts: Facts, domains: tuple[Domain, ...], bound: PassBound) -> Iterator[tuple[int, _Held]]:
    """Yield what each pass holds, tensor by tensor; what is held of a tail is worked out once."""
    timing, target = bound.timing, bound.target.tensor
    yield from _held_of(facts, domains, bound, {target, *timing.own_tensors})
    if timing.tail is not None:
        yield from timing.tail.derive("held", lambda tail: _held_of(facts, domains, bound, tail.own_tensors))


def _held_of(
    facts: Facts, domains: tuple[Domain, ...], bound: PassBound, names: Iterable[str]
) -> Iterator[tuple[int, _Held]]:
    for name in sorted(names, key=facts.order.__getitem__):
        for use in _uses(facts, bound, facts.cascade.tensor[name]):
            for number in use.passes:
                yield from ((number, entry) for entry in _held(facts, domains, bound, use, number))


def _elements(facts: Facts, domains: tuple[Domain, ...], bound: PassBound, held: _Held, per: tuple[str, ...]) -> Expr:
    """Return the elements of a live tensor per coordinate of what rides along; of a whole fiber those that exist."""
    tensor = facts.cascade.tensor[held.tensor]
    is_whole = held.reason == "fiber" and not any(rank in per for rank, _ in held.sizes)
    if is_whole and not tensor.is_given and tensor.generation_axis is None and not bound.timing.growing:
        return elements_made(facts, domains, tensor).points
    return product_of(size for rank, size in held.sizes if rank not in per)


def growing_ranks(facts: Facts, bound: PassBound) -> frozenset[str]:
    """Return the ranks that grow when the rank of a bound does: itself, its tiles' outer part, the aliases read."""
    target = bound.target
    dimensions = facts.cascade.tensor[target.tensor].dimensions
    found = {target.rank, dimensions[target.axes[0]].rank}
    for via in bound.via:
        found.add(facts.cascade.rank_of[via.variables[0]])
    if len(target.axes) == 1 and not any(len(via.variables) > 1 for via in bound.via):
        return frozenset(found | _outer_ranks(facts, target.rank))
    return frozenset(found)


def _outer_ranks(facts: Facts, rank: str) -> set[str]:
    """Return the ranks that count tiles of a rank."""
    extents = ((name, other.extent) for name, other in facts.cascade.rank.items())
    return {name for name, extent in extents if extent is not None and rank in extent.names and _is_quotient(extent)}


def _is_quotient(extent: Extent) -> bool:
    return any(not isinstance(atom, str) for monomial, _ in extent.terms for atom in monomial)


def fiber_bound(facts: Facts, domains: tuple[Domain, ...], bound: PassBound) -> Expr:
    """Bound the length of a fiber of the target that any Einsum reads, filters taken into account."""
    lengths: list[Expr] = []
    for number in facts.readers[bound.target.tensor]:
        time = bound.timing.points.get(number)
        for access in facts.accesses[number] if time is not None and time.reads_family else ():
            if access.tensor == bound.target.tensor:
                names = tuple(name for axis in bound.target.axes for name in access.positions[axis].variables)
                extent = _extent_of(facts, bound.target.tensor, bound.target.axes)
                lengths.append(fiber_length(facts, domains[number], names, extent))
    whole = to_sympy(_extent_of(facts, bound.target.tensor, bound.target.axes))
    return lengths[0] if len(set(lengths)) == 1 else whole


def _extent_of(facts: Facts, tensor: str, axes: tuple[int, ...]) -> Extent:
    extent = ONE
    for axis in axes:
        extent *= facts.cascade.tensor[tensor].dimensions[axis].extent
    return extent


@dataclass(frozen=True, slots=True)
class _Use:
    """When a tensor is made and when it is read, with respect to one target.

    Parameters
    ----------
    tensor
        The tensor.
    carrier
        The dimensions that carry the rank; none outside the family.
    made, phase
        The pass and phase that complete it; pass 0 for a target that is given.
    folds
        Whether its own reduction is what completes it.
    reads
        Pass and phase of every Einsum that reads it.
    spreads
        By pass, the least and greatest offsets at which it is read.

    """

    tensor: Tensor
    carrier: tuple[int, ...]
    made: int
    phase: Phase
    folds: bool
    reads: tuple[tuple[int, Phase], ...]
    spreads: dict[int, list[tuple[Extent, Extent]]]

    @property
    def passes(self) -> range:
        """The passes in which it may be live: from where it is made, or read first, to where it is read last."""
        numbers = [number for number, _ in self.reads]
        first = self.made or min(numbers, default=1)
        return range(max(1, first), max((first, *numbers)) + 1)


def _uses(facts: Facts, bound: PassBound, tensor: Tensor) -> Iterator[_Use]:
    """Yield the use of the target, or of a tensor that depends on it."""
    pieces = bound.timing.state(tensor.name).pieces
    if not pieces and tensor.name != bound.target.tensor:
        return
    made, phase = (pieces[0].number, pieces[0].phase) if pieces else (0, Phase.START)
    folds = bool(pieces) and pieces[0].ended == facts.producer.get(tensor.name)
    carrier = _carrier(bound, tensor)
    times = [(at, bound.timing.points[at]) for at in facts.readers[tensor.name] if at in bound.timing.points]
    spreads: dict[int, list[tuple[Extent, Extent]]] = {}
    for at, time in times if len(carrier) == 1 else ():
        spreads.setdefault(time.number, []).extend(_spreads(facts, at, tensor.name, carrier[0]))
    reads = tuple((time.number, time.fires) for _, time in times)
    yield _Use(tensor, carrier, made, phase, folds, reads, spreads)


def _held(facts: Facts, domains: tuple[Domain, ...], bound: PassBound, use: _Use, number: int) -> Iterator[_Held]:
    """Yield what a pass holds of a tensor, if anything."""
    tensor = use.tensor
    reason = _reason(bound, use, number)
    if reason in ("fiber", "summary"):
        sizes = _sizes(facts, domains, bound, tensor, keeps_fiber=True)
        words = _words_not_kept(facts, domains, bound, tensor, number, sizes) if reason == "fiber" else to_sympy(ZERO)
        yield _Held(tensor.name, reason, sizes, words)
    elif spans := outliving(facts, bound, tensor, number):
        yield _Held(tensor.name, "kept", _spanned(facts, domains, bound, tensor, spans), to_sympy(ZERO))
    elif reason:
        sizes = _sizes(facts, domains, bound, tensor, keeps_fiber=False)
        if reason == "running":
            sizes = (*sizes, ("", number_of(_generations(facts, tensor))))
        yield _Held(tensor.name, reason, sizes, to_sympy(ZERO))
    elif (sums := _open_sums(facts, bound, use, number)) is not None:
        sizes = _spanned(facts, domains, bound, tensor, sums)
        yield _Held(tensor.name, "accumulator", sizes, to_sympy(ZERO))
    elif (window := _window(use.spreads.get(number, []))).value != 0:
        axis = use.carrier[0]
        sizes = tuple((d.rank, to_sympy(d.extent)) for at, d in enumerate(tensor.dimensions) if at != axis)
        yield _Held(tensor.name, "window", (*sizes, ("", to_sympy(window))), to_sympy(ZERO))


def _generations(facts: Facts, tensor: Tensor) -> int:
    """Return how many generations of an iterative tensor are live at once: from the earliest read to the newest."""
    axis, step = tensor.generation_axis, facts.cascade.step(tensor.name)
    if axis is None or step is None:
        return 1
    reads = (a for at in facts.readers[tensor.name] for a in facts.accesses[at] if a.tensor == tensor.name)
    earliest = min((read.generation[1] for read in reads if read.generation and read.generation[0]), default=0)
    return max(1, step - earliest)


def _open_sums(facts: Facts, bound: PassBound, use: _Use, number: int) -> Spans | None:
    """Return the sums of a tensor that are open over several visits of a pass, if they are complete before its end."""
    is_made_along = use.made == number and use.phase is Phase.ALONG and use.tensor.name in facts.producer
    return open_sums(facts, bound, facts.producer[use.tensor.name]) if is_made_along else None


def _spanned(
    facts: Facts, domains: tuple[Domain, ...], bound: PassBound, tensor: Tensor, spans: Spans
) -> tuple[tuple[str, Expr], ...]:
    """Return rank and number of coordinates of the dimensions of a tensor part of whose fiber is live."""
    streamed = {*streamed_axes(facts, bound, tensor), *_carrier(bound, tensor)}
    sizes: list[tuple[str, Expr]] = []
    for axis, dimension in enumerate(tensor.dimensions):
        if axis in spans and (span := spans[axis]) is not None:
            sizes.append(("", span))
        elif axis in spans or (axis not in streamed and not dimension.is_generational):
            sizes.append((dimension.rank, _length(facts, domains, tensor, (axis,))))
    return tuple(sizes)


def _length(facts: Facts, domains: tuple[Domain, ...], tensor: Tensor, axes: tuple[int, ...]) -> Expr:
    """Bound how many elements of a tensor survive along some dimensions while the others stand still."""
    extent = _extent_of(facts, tensor.name, axes)
    if tensor.is_given:
        return to_sympy(extent)
    producer = facts.producer[tensor.name]
    left = facts.cascade.einsums[producer].indices
    names = tuple(name for axis in axes for name in left[axis].variables)
    return fiber_length(facts, domains[producer], names, extent)


def _carrier(bound: PassBound, tensor: Tensor) -> tuple[int, ...]:
    """Return the dimensions of a tensor that carry the rank of a bound; none outside the family."""
    if tensor.name == bound.target.tensor:
        return bound.target.axes
    carriers = bound.timing.state(tensor.name).carriers
    return carriers[0] if carriers else ()


def _reason(bound: PassBound, use: _Use, number: int) -> str:
    """Return why a tensor is live during a pass, or nothing."""
    is_target = use.tensor.name == bound.target.tensor
    is_iterative = use.tensor.generation_axis is not None
    is_read_later = any(other > number for other, _ in use.reads)
    if is_target or (use.carrier and not is_iterative):
        if is_target and bound.timing.growing:
            return "fiber"
        was_there = any(other <= number for other, _ in use.reads) if is_target else use.made <= number
        return "fiber" if was_there and is_read_later else ""
    if use.made > number:
        return ""
    if is_iterative:
        return "running" if use.made == number or any(other >= number for other, _ in use.reads) else ""
    if use.phase is Phase.ALONG:
        in_time = Phase.ALONG if use.made == number else Phase.START
        return "summary" if any(read > (number, in_time) for read in use.reads) else ""
    if use.made == number:
        return "accumulator" if use.folds else ""
    return "result" if any(other >= number for other, _ in use.reads) else ""


def _sizes(
    facts: Facts, domains: tuple[Domain, ...], bound: PassBound, tensor: Tensor, *, keeps_fiber: bool
) -> tuple[tuple[str, Expr], ...]:
    """Return rank and number of coordinates of the dimensions that count: one generation only of a running tensor."""
    carrier = _carrier(bound, tensor)
    sizes = [
        (dimension.rank, to_sympy(dimension.extent))
        for axis, dimension in enumerate(tensor.dimensions)
        if axis not in carrier
        and (keeps_fiber or not dimension.is_generational)
        and dimension.rank not in bound.timing.growing
    ]
    if carrier and keeps_fiber:
        is_read = tensor.is_given and tensor.name == bound.target.tensor
        sizes.append(("", fiber_bound(facts, domains, bound) if is_read else _length(facts, domains, tensor, carrier)))
    return tuple(sizes)


def _words_not_kept(
    facts: Facts,
    domains: tuple[Domain, ...],
    bound: PassBound,
    tensor: Tensor,
    number: int,
    sizes: tuple[tuple[str, Expr], ...],
) -> Expr:
    """Return the words moved if a fiber is not kept over a boundary: read again, and written once if it is computed."""
    if tensor.is_given:
        is_growing = bool(bound.timing.growing)
        return product_of(size for _, size in sizes) if is_growing else elements_read(facts, domains, tensor).points
    is_counted = not bound.timing.growing and tensor.generation_axis is None
    once = elements_made(facts, domains, tensor).points if is_counted else product_of(size for _, size in sizes)
    points = bound.timing.points
    made = points[facts.producer[tensor.name]].number if facts.producer[tensor.name] in points else 1
    return once * (2 if made >= number or tensor.name == bound.target.tensor else 1)


def _window(spreads: list[tuple[Extent, Extent]]) -> Extent:
    """Return over how many positions reads spread."""
    if all(not low and not high for low, high in spreads):
        return ZERO
    lows, highs = [low for low, _ in spreads], [high for _, high in spreads]
    low = next((a for a in lows if all((b - a).is_nonnegative() for b in lows)), lows[0])
    high = next((a for a in highs if all((a - b).is_nonnegative() for b in highs)), highs[0])
    return high - low


def _spreads(facts: Facts, at: int, tensor: str, axis: int) -> Iterator[tuple[Extent, Extent]]:
    """Yield the least and greatest offset of every read of a tensor by an Einsum."""
    for access in facts.accesses[at]:
        if access.tensor == tensor and access.indices[axis].plain is not None:
            yield ZERO, ZERO
        elif access.tensor == tensor and access.positions[axis].order is Order.ALONG:
            yield _spread(facts, access.indices[axis], access.positions[axis].variables[0])


def _spread(facts: Facts, index: Affine, along: str) -> tuple[Extent, Extent]:
    """Return the least and the greatest offset of an index from its variable."""
    rest = Affine(tuple(term for term in index.terms if term[0] != along), index.offset)

    def last(name: str) -> Extent:
        return symbol(facts.cascade.rank_of[name]) - ONE

    low, high = rest.extreme(last, is_upper=False), rest.extreme(last, is_upper=True)
    return low or constant(0), high or constant(0)


def _riding_along(facts: Facts, bound: PassBound, held: list[_Held]) -> tuple[str, ...]:
    """Return the ranks of which one coordinate is counted.

    They are the other ranks of the target, since a pass is one of a single fiber, and the ranks that every live tensor
    carries and nothing downstream reduces, other than those that the fiber runs along.
    """
    root = facts.coordinates.root_of_rank(bound.target.rank)
    dimensions = facts.cascade.tensor[bound.target.tensor].dimensions
    others = {d.rank for axis, d in enumerate(dimensions) if axis not in bound.target.axes}
    own = [entry for entry in held if entry.tensor != bound.target.tensor]
    reduced = _reduced(facts, bound.timing.own_points)
    if bound.timing.tail is not None:
        reduced.update(bound.timing.tail.derive("reduced", lambda tail: _reduced(facts, tail.own_points)))
    carried = [rank for entry in held for rank, _ in entry.sizes if rank]
    shared = {rank for rank in set(carried) if rank not in reduced and all(rank in dict(e.sizes) for e in own)}
    aside = {rank for rank in shared if facts.coordinates.root_of_rank(rank) != root}
    return tuple(dict.fromkeys(rank for rank in carried if rank in others | aside))


def _reduced(facts: Facts, numbers: Iterable[int]) -> set[str]:
    """Return the ranks that some Einsums reduce."""
    reductions = (facts.cascade.einsums[at].reduction for at in numbers)
    return {facts.cascade.rank_of[name] for reduction in reductions if reduction for name in reduction.variables}
