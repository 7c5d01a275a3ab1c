"""The report of `bounds`: passes with their witnesses, live state, operations, and what must move."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar

from einsum_cascade.analysis.bounds import Bounds
from einsum_cascade.analysis.footprint import Footprint, growing_ranks
from einsum_cascade.analysis.symbolic import Expr, as_text, grows_with, substitute
from einsum_cascade.analysis.traffic import Traffic
from einsum_cascade.analysis.witness import sentences
from einsum_cascade.study.report import Report
from einsum_cascade.study.tables import Note, Table
from einsum_cascade.units import has_many_digits, written

__all__ = [
    "BoundsReport",
    "Fiber",
    "HeldElements",
    "LiveState",
    "Operations",
    "Passes",
    "PassesByWay",
    "Words",
    "report_of_bounds",
]

type Number = int | float | str
"""A number, or a formula in extents as sympy reads it."""

type Plain = Callable[[Expr], Number]


@dataclass(frozen=True, slots=True)
class PassesByWay:
    """Passes by the rank variables that read a tensor."""

    variables: tuple[str, ...]
    count: Number


@dataclass(frozen=True, slots=True)
class Fiber:
    """What one pass walks over: elements at most, and whether that grows with the rank."""

    length: Number
    depends_on_rank: bool


@dataclass(frozen=True, slots=True)
class Passes:
    """How often a tensor must be walked over along a rank.

    Parameters
    ----------
    tensor, rank
        What is walked over.
    count
        Passes, in ascending order.
    exact
        Whether so many suffice; if not, it is at least so many.
    descending
        Passes in descending order where those are fewer.
    doubts
        Why the count is only a lower bound.
    via
        Counts of different ways to read it.
    witness
        Why there is more than one, a sentence for each barrier.
    einsums
        Of each pass.
    fiber
        What is walked over.

    """

    tensor: str
    rank: str
    count: Number
    exact: bool
    descending: int | None
    doubts: tuple[str, ...]
    via: tuple[PassesByWay, ...]
    witness: tuple[str, ...]
    einsums: tuple[tuple[str, ...], ...]
    fiber: Fiber


@dataclass(frozen=True, slots=True)
class HeldElements:
    """Elements of a tensor that a pass holds, and why."""

    tensor: str
    elements: Number
    reason: str


@dataclass(frozen=True, slots=True)
class LiveState:
    """What a pass over a tensor along a rank holds on chip.

    Parameters
    ----------
    tensor, rank, number
        The pass.
    elements
        Held at once.
    per
        Ranks of which every coordinate has its own.
    depends_on_rank
        Whether it grows with the rank.
    live
        Its parts.
    words_if_not_kept
        What moves in addition if it is not held.

    """

    tensor: str
    rank: str
    number: int
    elements: Number
    per: tuple[str, ...]
    depends_on_rank: bool
    live: tuple[HeldElements, ...]
    words_if_not_kept: Number


@dataclass(frozen=True, slots=True)
class Operations:
    """How often an operator of an Einsum is applied; at most so often if not exact."""

    einsum: str
    operator: str
    count: Number
    exact: bool


@dataclass(frozen=True, slots=True)
class Words:
    """Words of a tensor that move, and why; at most so many if not exact."""

    tensor: str
    words: Number
    reason: str
    exact: bool


@dataclass(frozen=True, repr=False)
class BoundsReport(Report):
    """What any implementation of a cascade must do.

    Parameters
    ----------
    cascade, about
        Its name, and the first line of its documentation.
    extents
        Those that are known.
    inputs
        Its input tensors.
    passes
        Of every tensor along every rank that it carries.
    footprints
        Live state of every pass.
    operations
        Of every Einsum.
    traffic
        Words that every mapping moves at least.
    plan
        Words that a plain plan moves beyond that, given a capacity; other mappings may move less. None without one.
    intensity
        Operations per compulsory word.

    """

    kind: ClassVar[str] = "bounds"

    cascade: str
    about: str
    extents: Mapping[str, int]
    inputs: tuple[str, ...]
    passes: tuple[Passes, ...]
    footprints: tuple[LiveState, ...]
    operations: tuple[Operations, ...]
    traffic: tuple[Words, ...]
    plan: tuple[Words, ...] | None
    intensity: Number

    @property
    def headline(self) -> str:
        """The passes over inputs."""
        told = ", ".join(f"{p.tensor}/{p.rank} {_passes(p)}" for p in self.of_inputs().passes)
        return f"{self.cascade}: passes {told}"

    def of(self, tensor: str, rank: str) -> Passes:
        """Return the passes over a tensor along a rank.

        Raises
        ------
        KeyError
            The tensor does not carry the rank.

        """
        for found in self.passes:
            if (found.tensor, found.rank) == (tensor, rank):
                return found
        raise KeyError(f"{tensor}/{rank}")

    def of_inputs(self) -> "BoundsReport":
        """Return the report without passes over tensors that Einsums compute."""
        passes = tuple(each for each in self.passes if each.tensor in self.inputs)
        return replace(self, passes=passes)

    def parts(self) -> tuple[Table | Note, ...]:
        """Return how often, why, what is held, what is done, what is moved."""
        return tuple(self._parts())

    def _parts(self) -> Iterator[Table | Note]:
        shown = [each for each in self.passes if each.count != 0]
        yield Note(f"cascade {self.cascade}" + (f": {self.about}" if self.about else ""))
        yield _passes_table(shown)
        for each in shown:
            yield from _reasons(each)
        kept = {(each.tensor, each.rank) for each in shown}
        yield _live_table(each for each in self.footprints if (each.tensor, each.rank) in kept)
        rows = tuple((each.einsum, each.operator, _bounded(each.count, each.exact)) for each in self.operations)
        yield Table("operations", "operations", ("Einsum", "operator", "count"), rows)
        yield _words_table("traffic", "traffic: what every mapping moves at least", self.traffic)
        if self.plan is not None:
            title = "a plain plan: what it moves beyond that, other mappings may move less"
            yield _words_table("plan", title, self.plan) if self.plan else Note(f"{title}: nothing")
        intensity = f"{self.intensity:.6g}" if isinstance(self.intensity, float) else str(self.intensity)
        yield Note(f"arithmetic intensity: {intensity} operations per compulsory word")


def report_of_bounds(
    bounds: Bounds, extents: Mapping[str, int] | None = None, capacity_words: int | None = None
) -> BoundsReport:
    """Return the report of bounds.

    Parameters
    ----------
    bounds
        The bounds.
    extents
        Of the ranks that are known: their symbols are replaced.
    capacity_words
        If given, `traffic` has what the passes add to it in every mapping, and `plan` what a plain plan adds; all ranks
        need an extent then.

    Raises
    ------
    AnalysisError
        A capacity is given, but some rank has no extent.

    """
    known, cascade = extents or {}, bounds.cascade
    traffic, plan = bounds.traffic, None
    if capacity_words is not None:
        traffic += bounds.pass_traffic(known, capacity_words)
        plan = tuple(_words(entry, _plain_in(known)) for entry in bounds.plain_plan(known, capacity_words))
    plain = _plain_in(known)
    return BoundsReport(
        cascade.name,
        cascade.documentation.splitlines()[0] if cascade.documentation else "",
        dict(known),
        tuple(tensor.name for tensor in cascade.inputs),
        tuple(_passes_of(bounds, number, plain) for number in range(len(bounds.passes))),
        tuple(_live_state(entry, plain) for group in bounds.footprints for entry in group),
        tuple(Operations(o.einsum, o.operator, plain(o.count), o.is_exact) for o in bounds.operations),
        tuple(_words(entry, plain) for entry in traffic),
        plan,
        plain(bounds.intensity),
    )


def _plain_in(known: Mapping[str, int]) -> Plain:
    @cache
    def plain(value: Expr) -> Number:
        found = substitute(value, known)
        if found.is_Integer:
            return written(int(found)) if has_many_digits(int(found)) else int(found)
        if not found.is_Number:
            return as_text(found)
        # Of what is beyond the floats, the whole number below is nearer than infinity.
        return int(found) if found.is_Rational and abs(found) >= 2**1023 else float(found)

    return plain


def _passes_of(bounds: Bounds, number: int, plain: Plain) -> Passes:
    bound, fiber = bounds.passes[number], bounds.fibers[number]
    return Passes(
        bound.target.tensor,
        bound.target.rank,
        plain(bound.count),
        bound.is_exact,
        bound.descending,
        tuple(bound.doubts),
        tuple(PassesByWay(tuple(via.variables), plain(via.count)) for via in bound.via),
        tuple(sentences(bounds.cascade, bound)),
        tuple(tuple(group) for group in bound.groups(bounds.cascade)),
        Fiber(plain(fiber), grows_with(fiber, growing_ranks(bounds.facts, bound))),
    )


def _live_state(entry: Footprint, plain: Plain) -> LiveState:
    return LiveState(
        entry.tensor,
        entry.rank,
        entry.number,
        plain(entry.elements),
        tuple(entry.per),
        entry.depends_on_rank,
        tuple(HeldElements(live.tensor, plain(live.elements), live.reason) for live in entry.live),
        plain(entry.words),
    )


def _words(entry: Traffic, plain: Plain) -> Words:
    return Words(entry.tensor, plain(entry.words), entry.reason, entry.is_exact)


def _bounded(count: Number, exact: bool) -> Number:
    return count if exact else f"at most {count}"


def _passes(found: Passes) -> Number:
    return found.count if found.exact else f"at least {found.count}"


def _passes_table(found: list[Passes]) -> Table:
    title = "passes of this cascade: how often it must walk over a fiber, in ascending order"
    headers = ("tensor", "rank", "passes", "Einsums of each pass")
    groups = (" | ".join(" ".join(group) for group in each.einsums) for each in found)
    rows = ((each.tensor, each.rank, _by_way(each), own) for each, own in zip(found, groups, strict=True))
    return Table("passes", title, headers, tuple(rows))


def _by_way(found: Passes) -> Number:
    others = [f"{via.count} by {', '.join(via.variables)}" for via in found.via if len(found.via) > 1]
    others += [f"{found.descending} descending"] if found.descending is not None else []
    return f"{_passes(found)} ({'; '.join(others)})" if others else _passes(found)


def _reasons(found: Passes) -> Iterator[Note]:
    if found.witness or found.doubts:
        yield Note(f"{found.tensor} along {found.rank}", is_heading=True)
        yield from (Note(sentence, 1) for sentence in found.witness)
        yield from (Note(f"only a lower bound: {doubt}", 1) for doubt in found.doubts)


def _live_table(found: Iterator[LiveState]) -> Table:
    headers = ("tensor", "rank", "pass", "elements", "per", "grows", "what", "words if not kept")
    rows = (
        (
            each.tensor,
            each.rank,
            each.number,
            each.elements,
            " ".join(each.per),
            f"with {each.rank}" if each.depends_on_rank else "no",
            "; ".join(f"{reason}: {_held(each, reason)}" for reason in dict.fromkeys(own.reason for own in each.live)),
            each.words_if_not_kept or None,
        )
        for each in found
        if each.live
    )
    return Table("live", "live state: what each pass holds on chip", headers, tuple(rows))


def _held(found: LiveState, reason: str) -> str:
    return ", ".join(f"{live.tensor} {live.elements}" for live in found.live if live.reason == reason)


def _words_table(name: str, title: str, found: tuple[Words, ...]) -> Table:
    unsure = ": an upper bound, where data or indices leave elements out"
    rows = ((w.tensor, _bounded(w.words, w.exact), w.reason if w.exact else f"{w.reason}{unsure}") for w in found)
    return Table(name, title, ("tensor", "words", "why"), tuple(rows))
