"""The bound report: passes, footprints, operations and traffic of one cascade, in one value."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial

from einsum_cascade.analysis.domain import domains
from einsum_cascade.analysis.enumeration import Array, Enumeration, tensors_that_decide
from einsum_cascade.analysis.facts import Facts
from einsum_cascade.analysis.footprint import Footprint, fiber_bound, footprints
from einsum_cascade.analysis.operations import OperationCount, count_operations
from einsum_cascade.analysis.passes import PassBound, all_passes, find_target
from einsum_cascade.analysis.plan import plain_plan
from einsum_cascade.analysis.symbolic import Expr, renamed, sum_of
from einsum_cascade.analysis.traffic import Traffic, compulsory_traffic, traffic_of_passes
from einsum_cascade.analysis.witness import sentences
from einsum_cascade.cascade.ir import Cascade
from einsum_cascade.errors import AnalysisError
from einsum_cascade.watching import tracked

__all__ = ["Bounds", "analyse"]


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        return f"<Bounds of {self.cascade.name}: {len(self.passes)} fibers, {len(self.operations)} operations>"

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
        return self.total_operations / self.total_words

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
        tuple(
            tuple(entry.mapped(plain) for entry in footprints(facts, surviving, bound))
            for bound in tracked(bounds, "live state", len(bounds))
        ),
        count_operations(facts, surviving),
        compulsory_traffic(facts, surviving),
    )
