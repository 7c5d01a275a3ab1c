"""The bound report: passes, footprints, operations and traffic of one cascade, in one value."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from typing import Any, cast

from einsum_cascade.analysis.domain import domains
from einsum_cascade.analysis.enumeration import Array, Enumeration, tensors_that_decide
from einsum_cascade.analysis.facts import Facts
from einsum_cascade.analysis.footprint import Footprint, fiber_bound, footprints, growing_ranks
from einsum_cascade.analysis.operations import OperationCount, count_operations
from einsum_cascade.analysis.passes import PassBound, all_passes, find_target
from einsum_cascade.analysis.plan import plain_plan
from einsum_cascade.analysis.symbolic import Expr, as_text, grows_with, renamed, substitute, sum_of
from einsum_cascade.analysis.traffic import Traffic, compulsory_traffic, traffic_of_passes
from einsum_cascade.analysis.witness import sentences
from einsum_cascade.cascade.ir import Cascade, Rank
from einsum_cascade.errors import AnalysisError

__all__ = ["Bounds", "analyse", "to_json", "with_free_ranks"]


@dataclass(frozen=True)
class Bounds:
    """What can be said of a cascade before any hardware is chosen.

    Parameters
    ----------
    cascade
        The cascade.
    passes
        Of every tensor along every rank that it carries.
    fibers
        For each of them, a bound on the length of the fiber that is read.
    footprints
        For each of them, one per pass.
    operations
        Of every Einsum and operator.
    traffic
        Compulsory words per tensor.

    """

    cascade: Cascade
    facts: Facts
    passes: tuple[PassBound, ...]
    fibers: tuple[Expr, ...]
    footprints: tuple[tuple[Footprint, ...], ...]
    operations: tuple[OperationCount, ...]
    traffic: tuple[Traffic, ...]

    @cached_property
    def total_operations(self) -> Expr:
        """Operations of all Einsums together."""
        return sum_of(operation.count for operation in self.operations)

    @cached_property
    def total_words(self) -> Expr:
        """Compulsory words of all tensors together."""
        return sum_of(entry.words for entry in self.traffic)

    @property
    def intensity(self) -> Expr:
        """Operations per compulsory word."""
        return cast(Any, self.total_operations) / self.total_words

    def pass_traffic(self, extents: Mapping[str, int], capacity_words: int) -> tuple[Traffic, ...]:
        """Return the words that the passes add to every mapping's compulsory ones, on a chip of so many words.

        Raises
        ------
        AnalysisError
            A rank has no extent.

        """
        self._check_extents(extents)
        return traffic_of_passes(self.facts, domains(self.facts), self.passes, extents, capacity_words)

    def plain_plan(self, extents: Mapping[str, int], capacity_words: int) -> tuple[Traffic, ...]:
        """Return the words that keeping or spilling adds in a plain plan, on a chip of so many words; no bound.

        Raises
        ------
        AnalysisError
            A rank has no extent.

        """
        self._check_extents(extents)
        return plain_plan(
            self.facts, tuple(zip(self.passes, self.footprints, self.fibers, strict=True)), extents, capacity_words
        )

    def _check_extents(self, extents: Mapping[str, int]) -> None:
        missing = [rank.name for rank in self.cascade.ranks if rank.name not in extents]
        if missing:
            names = ", ".join(missing)
            raise AnalysisError(f"a capacity needs the extent of every rank, but {names} has none; give it with --set")

    def with_data(self, extents: Mapping[str, int], inputs: Mapping[str, Array]) -> "Bounds":
        """Return operations and compulsory traffic of given data, where filters read inputs.

        Parameters
        ----------
        extents
            Of all ranks.
        inputs
            Values by tensor, each of its tensor's shape. If one that a filter reads is missing, upper bounds stay.

        Raises
        ------
        AnalysisError
            An iteration space is too large to be enumerated.

        """
        deciding = tensors_that_decide(self.facts)
        if not deciding or not deciding <= inputs.keys():
            return self
        found = Enumeration(self.facts, extents, inputs)
        return replace(self, operations=found.operations(), traffic=found.traffic(self.traffic))

    def of(self, tensor: str, rank: str) -> PassBound:
        """Return the pass bound of a tensor along a rank.

        Raises
        ------
        AnalysisError
            The tensor does not carry the rank.

        """
        return self.passes[self._position(tensor, rank)]

    def witness(self, tensor: str, rank: str) -> tuple[str, ...]:
        """Return why a tensor is passed over more than once along a rank, a sentence for each barrier."""
        return tuple(sentences(self.cascade, self.of(tensor, rank)))

    def footprints_of(self, tensor: str, rank: str) -> tuple[Footprint, ...]:
        """Return what each pass over a tensor along a rank holds."""
        return self.footprints[self._position(tensor, rank)]

    def _position(self, tensor: str, rank: str) -> int:
        target = find_target(self.cascade, tensor, rank)
        return next(at for at, bound in enumerate(self.passes) if bound.target == target)


def analyse(cascade: Cascade) -> Bounds:
    """Analyse a cascade: passes with witnesses, footprints, operations, compulsory traffic."""
    facts = Facts(cascade)
    surviving = domains(facts)
    bounds = all_passes(facts)
    plain = partial(renamed, names={rank.name: rank.alias_of for rank in cascade.ranks if rank.alias_of is not None})
    return Bounds(
        cascade,
        facts,
        tuple(bound.mapped(plain) for bound in bounds),
        tuple(plain(fiber_bound(facts, surviving, bound)) for bound in bounds),
        tuple(tuple(entry.mapped(plain) for entry in footprints(facts, surviving, bound)) for bound in bounds),
        count_operations(facts, surviving),
        compulsory_traffic(facts, surviving),
    )


def with_free_ranks(cascade: Cascade, names: frozenset[str]) -> Cascade:
    """Return a cascade whose named ranks have no default any more, because the user gives them."""
    ranks = tuple(Rank(rank.name) if rank.name in names and not rank.alias_of else rank for rank in cascade.ranks)
    return replace(cascade, ranks=ranks)


def to_json(
    bounds: Bounds, extents: Mapping[str, int] | None = None, capacity_words: int | None = None
) -> dict[str, Any]:
    """Return the report as plain values.

    Parameters
    ----------
    bounds
        The report.
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
    known = extents or {}
    traffic, plan = bounds.traffic, ()
    if capacity_words is not None:
        traffic += bounds.pass_traffic(known, capacity_words)
        plan = bounds.plain_plan(known, capacity_words)

    @cache
    def plain(value: Expr) -> int | float | str:
        found = cast(Any, substitute(value, known))
        if found.is_Integer:
            return int(found)
        if not found.is_Number:
            return as_text(found)
        # Of what is beyond the floats, the whole number below is nearer than infinity.
        return int(found) if found.is_Rational and abs(found) >= 2**1023 else float(found)

    return {
        "cascade": bounds.cascade.name,
        "passes": [_pass_json(bounds, number, plain) for number in range(len(bounds.passes))],
        "footprints": [_footprint_json(entry, plain) for group in bounds.footprints for entry in group],
        "operations": [
            {"einsum": o.einsum, "operator": o.operator, "count": plain(o.count), "exact": o.is_exact}
            for o in bounds.operations
        ],
        "traffic": [_traffic_json(entry, plain) for entry in traffic],
        **({} if capacity_words is None else {"plan": [_traffic_json(entry, plain) for entry in plan]}),
        "intensity": plain(bounds.intensity),
    }


def _pass_json(bounds: Bounds, number: int, plain: Any) -> dict[str, Any]:
    bound, fiber = bounds.passes[number], bounds.fibers[number]
    return {
        "tensor": bound.target.tensor,
        "rank": bound.target.rank,
        "count": plain(bound.count),
        "exact": bound.is_exact,
        "descending": bound.descending,
        "doubts": list(bound.doubts),
        "via": [{"variables": list(via.variables), "count": plain(via.count)} for via in bound.via],
        "witness": list(sentences(bounds.cascade, bound)),
        "einsums": [list(group) for group in bound.groups(bounds.cascade)],
        "fiber": {
            "length": plain(fiber),
            "depends_on_rank": grows_with(fiber, growing_ranks(bounds.facts, bound)),
        },
    }


def _traffic_json(entry: Traffic, plain: Any) -> dict[str, Any]:
    return {"tensor": entry.tensor, "words": plain(entry.words), "reason": entry.reason, "exact": entry.is_exact}


def _footprint_json(entry: Footprint, plain: Any) -> dict[str, Any]:
    return {
        "tensor": entry.tensor,
        "rank": entry.rank,
        "pass": entry.number,
        "elements": plain(entry.elements),
        "per": list(entry.per),
        "depends_on_rank": entry.depends_on_rank,
        "live": [
            {"tensor": live.tensor, "elements": plain(live.elements), "reason": live.reason} for live in entry.live
        ],
        "words_if_not_kept": plain(entry.words),
    }
