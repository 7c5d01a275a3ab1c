"""Pass counts: how often any implementation must traverse a fiber, and why.

Definition: DESIGN section 4, after FuseMax (arXiv 2406.10491), Sec. III-A. A count is of this cascade, not of the
function that it computes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

from einsum_cascade.analysis.availability import Barrier
from einsum_cascade.analysis.facts import Facts
from einsum_cascade.analysis.precedence import is_directed
from einsum_cascade.analysis.symbolic import Expr, number, to_sympy
from einsum_cascade.analysis.target import Target, reads_of_target, targets, via_of
from einsum_cascade.analysis.traversals import Reading, Timing, time_cascade
from einsum_cascade.cascade.extent import ONE, ZERO, Extent, ceil_div, constant, symbol
from einsum_cascade.cascade.ir import Cascade
from einsum_cascade.errors import AnalysisError
from einsum_cascade.watching import tracked

__all__ = ["PassBound", "Via", "all_passes", "find_target", "pass_bound", "passes", "timing_via", "ways_of"]

type _Counter = Callable[..., int]

_STEADY = 8
"""Generations after which a recurrence that settles at all has settled: boxes widen after four."""


@dataclass(frozen=True, slots=True)
class Via:
    """The count over one way of reading the rank.

    Parameters
    ----------
    variables
        The rank variables that go along it.
    count
        The passes.

    """

    variables: tuple[str, ...]
    count: Expr


@dataclass(frozen=True, slots=True)
class PassBound:
    """How many passes a cascade makes over a tensor along a rank.

    Parameters
    ----------
    target
        The tensor and the rank.
    count
        The passes: a number, or an expression if every generation of an iterative rank adds some.
    is_exact
        False if the count is only a lower bound.
    doubts
        Why it is, one clause each.
    via
        The count by reading variable.
    witness
        The barriers that force the passes after the first; for a growing count those of the first generations.
    timing
        When every Einsum fires; of a few generations for a growing count.
    descending
        The passes if traversals descend, where that is fewer; None otherwise.

    """

    target: Target
    count: Expr
    is_exact: bool
    doubts: tuple[str, ...]
    via: tuple[Via, ...]
    witness: tuple[Barrier, ...]
    timing: Timing
    descending: int | None = None

    def mapped(self, plain: Callable[[Expr], Expr]) -> "PassBound":
        """Return the bound with every formula replaced."""
        via = tuple(replace(entry, count=plain(entry.count)) for entry in self.via)
        return replace(self, count=plain(self.count), via=via)

    def groups(self, cascade: Cascade) -> tuple[tuple[str, ...], ...]:
        """Return the tensors whose Einsums share each pass, in order of the source; one group if the count grows."""
        if self.timing.growing:
            return (tuple(dict.fromkeys(cascade.einsums[at].tensor for at in sorted(self.timing.points))),)
        last = max((time.number for time in self.timing.points.values()), default=0)
        groups: list[dict[str, None]] = [{} for _ in range(last)]
        for at in sorted(self.timing.points):
            if (number := self.timing.points[at].number) > 0:
                groups[number - 1][cascade.einsums[at].tensor] = None
        return tuple(map(tuple, groups))


def all_passes(facts: Facts) -> tuple[PassBound, ...]:
    """Return the bound of every tensor and every rank that it carries."""
    found = (*targets(facts.cascade),)
    return tuple(pass_bound(facts, target) for target in tracked(found, "passes", len(found)))


def passes(cascade: Cascade, tensor: str, rank: str) -> PassBound:
    """Return how many passes a cascade makes over a tensor along a rank.

    Parameters
    ----------
    cascade
        A checked cascade.
    tensor
        The name of one of its tensors.
    rank
        A rank that it carries, or the rank that a composite of its ranks partitions.

    Raises
    ------
    AnalysisError
        The tensor does not exist or does not carry the rank.

    """
    return pass_bound(Facts(cascade), find_target(cascade, tensor, rank))


def find_target(cascade: Cascade, tensor: str, rank: str) -> Target:
    """Return the target of a tensor and a rank given by name."""
    found = [target for target in targets(cascade) if target.tensor == tensor]
    for target in found:
        if target.rank == rank:
            return target
    if tensor not in cascade.tensor:
        raise AnalysisError(f"tensor {tensor!r} must be one of {', '.join(cascade.tensor)}")
    known = ", ".join(dict.fromkeys(target.rank for target in found)) or "none"
    raise AnalysisError(f"rank {rank!r} must be carried by tensor {tensor!r}, whose ranks are {known}")


def pass_bound(facts: Facts, target: Target) -> PassBound:
    """Return the bound of one target."""
    ways = ways_of(facts, target)
    whole = Reading(frozenset(ways))
    together = _count(facts, target, whole)
    apart = (
        [_count(facts, target, Reading(frozenset({way}))) for way in ways] if len(ways) > 1 else [together] * len(ways)
    )
    threads = [_count(facts, target, replace(whole, thread=name)) for name in sorted(together[1].torn)]
    via = tuple(Via(way, found[0]) for way, found in zip(ways, apart, strict=True))
    proved = threads or [together]
    found = max((*proved, *(apart if len(ways) > 1 else ())), key=lambda found: found[1].count)
    count, timing, is_fitted = together if together[1].count == found[1].count else found
    doubts = _doubts(together[1]) + (() if is_fitted else ("the count does not grow evenly",))
    descending = _descending(facts, target, whole, timing)
    return PassBound(target, count, not doubts, doubts, via, _witness(timing), timing, descending)


def _descending(facts: Facts, target: Target, reading: Reading, timing: Timing) -> int | None:
    """Return the passes of descending traversals, if they are fewer: of suffixes, and of what reads the last element.

    A recurrence along the fiber ascends, so there is no other order then; nor is one tried of points at two positions.
    """
    if timing.count < 2 or timing.growing or timing.torn or not is_directed(facts):
        return None
    if any(_runs_along(facts, timing, name) for name in timing.generations):
        return None
    ranks = dict.fromkeys((facts.cascade.rank_of[name] for name in facts.loop_variables), _STEADY)
    found = time_cascade(facts, target, replace(reading, is_descending=True), ranks)
    return found.count if found.count < timing.count and not found.growing else None


def _runs_along(facts: Facts, timing: Timing, tensor: str) -> bool:
    """Tell whether a tensor's generations go along the fiber."""
    axis = facts.cascade.tensor[tensor].generation_axis
    state = timing.state(tensor)
    slots = {slot for carrier in state.carriers for slot in carrier} | {s for p in state.pieces for s, _ in p.along}
    return axis is not None and axis in slots


def _doubts(timing: Timing) -> tuple[str, ...]:
    reasons = dict.fromkeys(reason for reason, _ in sorted(timing.doubts))
    tensors = {reason: sorted(name for other, name in timing.doubts if other == reason) for reason in reasons}
    return tuple(f"{reason} by {', '.join(names)}" for reason, names in tensors.items())


def timing_via(facts: Facts, target: Target, way: tuple[str, ...]) -> Timing:
    """Return when every Einsum fires if only one way of reading the rank counts; of a few generations if that grows."""
    ranks = dict.fromkeys((facts.cascade.rank_of[name] for name in facts.loop_variables), _STEADY)
    return time_cascade(facts, target, Reading(frozenset({way})), ranks)


def ways_of(facts: Facts, target: Target) -> tuple[tuple[str, ...], ...]:
    """Return the ways of reading a target along its rank: the variables of each, the outermost of a partition first."""
    einsums = (facts.cascade.einsums[at] for at in facts.readers[target.tensor])
    reads = (read for einsum in einsums for read in reads_of_target(target, einsum))
    ways = dict.fromkeys(via_of(facts.cascade, target, read) for read in reads)
    return tuple(way for way in ways if way)


def _witness(timing: Timing) -> tuple[Barrier, ...]:
    causes = [time.cause for time in timing.points.values() if time.reads_family and time.cause]
    return max(causes, key=lambda cause: cause.number).chain() if causes else ()


def _count(facts: Facts, target: Target, reading: Reading) -> tuple[Expr, Timing, bool]:
    """Return the count, the timing of few generations, and whether the count is known for all extents."""
    ranks = dict.fromkeys((facts.cascade.rank_of[name] for name in facts.loop_variables), _STEADY)
    timing = time_cascade(facts, target, reading, ranks)
    if not timing.growing:
        return number(timing.count), timing, True
    growing = tuple(sorted(timing.growing))

    @cache
    def at(*generations: int) -> int:
        return time_cascade(facts, target, reading, {**ranks, **dict(zip(growing, generations, strict=True))}).count

    few = time_cascade(facts, target, reading, {**ranks, **dict.fromkeys(growing, 2)})
    for formula in _formulas(at, growing):
        if all(formula.evaluate(dict(zip(growing, probe, strict=True))) == at(*probe) for probe in _probes(growing)):
            return to_sympy(formula), few, True
    return number(at(*(_STEADY for _ in growing))), few, False


def _formulas(at: _Counter, growing: tuple[str, ...]) -> Iterator[Extent]:
    """Yield formulas that may describe how a count grows with the generations."""
    yield _multilinear(at, growing)
    if len(growing) == 1:
        for step in range(2, 5):
            yield _stepped(at, growing[0], step)


def _probes(growing: tuple[str, ...]) -> Iterator[tuple[int, ...]]:
    """Yield generation counts to check a formula at."""
    for offset in range(4):
        yield tuple(_STEADY + (offset if at % 2 == 0 else 3 - offset) for at in range(len(growing)))


def _multilinear(at: _Counter, growing: tuple[str, ...]) -> Extent:
    """Return the polynomial, linear in every rank, through the counts at the corners of a box of generations."""
    low = _STEADY - 3
    total = ZERO
    for chosen in product((0, 1), repeat=len(growing)):
        term = constant(_difference(at, chosen, low))
        for rank, is_chosen in zip(growing, chosen, strict=True):
            term *= symbol(rank) - constant(low) if is_chosen else ONE
        total += term
    return total


def _difference(at: _Counter, chosen: tuple[int, ...], low: int) -> int:
    """Return the mixed difference of the count over unit steps in the chosen ranks."""
    corners = product(*(range(is_chosen + 1) for is_chosen in chosen))
    return sum((-1) ** (sum(chosen) - sum(corner)) * at(*(low + step for step in corner)) for corner in corners)


def _stepped(at: _Counter, rank: str, step: int) -> Extent:
    """Return a count that grows once in `step` generations, fitted at multiples of the step."""
    low = 2 * step
    slope = at(low + step) - at(low)
    best = ZERO
    for shift in range(step):
        quotient = ceil_div(symbol(rank) - constant(shift), constant(step))
        best = constant(slope) * (quotient - constant(2)) + constant(at(low + shift))
        if all(best.evaluate({rank: low + k}) == at(low + k) for k in range(2 * step)):
            break
    return best
