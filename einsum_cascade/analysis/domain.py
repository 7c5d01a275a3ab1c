"""Which points of an Einsum survive: its filter, the absences it inherits, the tails of partitions.

With an `else` the filter decides first: what the expression reads plays no part where the filter fails.

Every constraint is brought into the form `affine >= 0`, or into a choice of several such conjunctions. What reads data
stays opaque and makes a count an upper bound.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain, product
from math import prod

from einsum_cascade.analysis.coverage import is_written_whole
from einsum_cascade.analysis.facts import Facts, ReadFacts
from einsum_cascade.analysis.positions import Order
from einsum_cascade.cascade.affine import Affine, affine_constant, affine_variable
from einsum_cascade.cascade.constraints import Choice, alternatives_of
from einsum_cascade.cascade.extent import ONE, Extent, symbol
from einsum_cascade.cascade.ir import (
    Einsum,
    Not,
    Predicate,
    conjuncts,
    predicate_variables,
    reads_of,
)

__all__ = ["Choice", "Domain", "dependence_domains", "domains", "variables_of_choice"]


_MOST_CONJUNCTIONS = 16
"""Of one Einsum that are looked at one by one."""


@dataclass(frozen=True, slots=True)
class Domain:
    """The points at which an Einsum evaluates its expression.

    Parameters
    ----------
    extents
        Number of coordinates of every rank variable, in order of iteration.
    bounds
        Affine expressions that must not be negative.
    choices
        For each, one of several conjunctions of such bounds must hold.
    opaque
        The variables of each further constraint that reads data.
    otherwise
        The points at which it evaluates its `else`, if it has one.
    reads_otherwise
        Whether that reads any tensor.
    made
        The points at which it evaluates either of them, if it has one.

    """

    extents: tuple[tuple[str, Extent], ...]
    bounds: tuple[Affine, ...]
    choices: tuple[Choice, ...]
    opaque: frozenset[frozenset[str]]
    otherwise: "Domain | None" = None
    reads_otherwise: bool = False
    made: "Domain | None" = None

    @property
    def conjunctions(self) -> tuple[tuple[Affine, ...], ...] | None:
        """Bounds of which all of one must hold, as the choices allow; None if there are too many."""
        if prod(map(len, self.choices)) > _MOST_CONJUNCTIONS:
            return None
        chosen = (chain.from_iterable(one) for one in product(*self.choices))
        return tuple((*self.bounds, *bounds) for bounds in chosen)

    @property
    def reading(self) -> "tuple[Domain, ...]":
        """The domains of the expression, and of the `else` if it reads anything."""
        return (self, self.otherwise) if self.otherwise is not None and self.reads_otherwise else (self,)


@dataclass(frozen=True, slots=True)
class _Presence:
    """Constraints under which an element of a tensor exists, over its dimensions `#0`, `#1`, ..."""

    bounds: tuple[Affine, ...] = ()
    choices: tuple[Choice, ...] = ()
    opaque: frozenset[frozenset[str]] = frozenset()


@lru_cache(maxsize=4)
def domains(facts: Facts) -> tuple[Domain, ...]:
    """Return the domain of every Einsum, in order."""
    return _domains(facts, is_dependence=False)


@lru_cache(maxsize=4)
def dependence_domains(facts: Facts) -> tuple[Domain, ...]:
    """Return where every Einsum depends on what it reads: not where an `else` that reads nothing gives the value."""
    return _domains(facts, is_dependence=True)


def _domains(facts: Facts, *, is_dependence: bool) -> tuple[Domain, ...]:
    """Go over the Einsums until no more iterative tensor turns out to have generations that lack elements."""
    crooked = frozenset(einsum.tensor for einsum in facts.cascade.einsums if not _reads_itself_in_place(facts, einsum))
    lacking = frozenset[str]()
    while True:
        walk = _Walk(facts, lacking, crooked, is_dependence=is_dependence)
        if walk.lacking <= lacking and walk.uneven <= crooked:
            return tuple(walk.found)
        lacking, crooked = lacking | walk.lacking, crooked | walk.uneven


def _reads_itself_in_place(facts: Facts, einsum: Einsum) -> bool:
    """Tell whether a recurrence reads earlier generations of the elements that it makes, and of no others."""
    axis = facts.cascade.tensor[einsum.tensor].generation_axis
    return all(
        at == axis or own == read
        for access in einsum.all_reads
        if access.tensor == einsum.tensor
        for at, (own, read) in enumerate(zip(einsum.indices, access.indices, strict=True))
    )


class _Walk:
    """The domains of the Einsums in order, and what of their tensors exists.

    Parameters
    ----------
    facts
        Of the cascade.
    lacking
        Iterative tensors known to lack elements: of what reads one, data decide.
    crooked
        Those of which that goes for their own recurrence as well. In the others, an element that a recurrence makes has
        all generations before.
    is_dependence
        Whether domains are where Einsums depend on what they read.

    """

    def __init__(self, facts: Facts, lacking: frozenset[str], crooked: frozenset[str], *, is_dependence: bool) -> None:
        self.facts, self.known, self.in_place = facts, lacking, lacking - crooked
        self.presence = {name: _lacking(facts, name) for name in lacking}
        self.writers: defaultdict[str, list[tuple[Einsum, tuple[Affine, ...]]]] = defaultdict(list)
        self.lacking: set[str] = set()
        self.uneven: set[str] = set()
        self.found: list[Domain] = []
        for number, einsum in enumerate(facts.cascade.einsums):
            extents = tuple((name, _extent(facts, einsum, name)) for name in einsum.variables)
            others = self._presence_for(einsum)
            domain, present = _domain(facts, number, others, extents, is_dependence=is_dependence)
            self.found.append(_plain(facts, domain))
            self._note(einsum, present.left(einsum))

    def _presence_for(self, einsum: Einsum) -> Mapping[str, "_Presence"]:
        """Return the presence of tensors for an Einsum."""
        if einsum.is_init or einsum.tensor not in self.in_place:
            return self.presence
        return {name: known for name, known in self.presence.items() if name != einsum.tensor}

    def _note(self, einsum: Einsum, present: "_Constraints") -> None:
        """Keep what of a tensor exists now that one more Einsum has written it."""
        name, tensor = einsum.tensor, self.facts.cascade.tensor[einsum.tensor]
        if tensor.is_declared:
            if not (present.choices or present.opaque):
                self.writers[name].append((einsum, tuple(present.bounds)))
            is_whole = name in self.writers and is_written_whole(self.facts.cascade, self.writers[name])
        elif tensor.generation_axis is not None:
            self._note_generation(einsum, present, tensor.generation_axis)
            is_whole = name not in self.lacking | self.known
        else:
            self.presence[name] = _presence(einsum, present)
            return
        self.presence[name] = _Presence() if is_whole else _lacking(self.facts, name)

    def _note_generation(self, einsum: Einsum, present: "_Constraints", axis: int) -> None:
        if present.is_nothing:
            return
        self.lacking.add(einsum.tensor)
        if einsum.is_init or present.variables & set(einsum.indices[axis].variables):
            self.uneven.add(einsum.tensor)


def _lacking(facts: Facts, tensor: str) -> "_Presence":
    """Return the presence of a tensor of which any element may be absent."""
    axes = range(len(facts.cascade.tensor[tensor].dimensions))
    return _Presence(opaque=frozenset({frozenset(f"#{axis}" for axis in axes)}))


def _plain(facts: Facts, domain: Domain) -> Domain:
    """Write the constraints of a domain without aliases."""
    plain = facts.plain_affine
    return replace(
        domain,
        bounds=tuple(map(plain, domain.bounds)),
        choices=tuple(tuple(tuple(map(plain, bounds)) for bounds in choice) for choice in domain.choices),
        otherwise=None if domain.otherwise is None else _plain(facts, domain.otherwise),
        made=None if domain.made is None else _plain(facts, domain.made),
    )


def _extent(facts: Facts, einsum: Einsum, variable: str) -> Extent:
    """Return how many coordinates a variable runs over: fewer than its rank where a recurrence steps by more than 1."""
    extent = facts.plain(symbol(facts.cascade.rank_of[variable]))
    axis = facts.cascade.tensor[einsum.tensor].generation_axis
    if axis is None or einsum.is_init or einsum.indices[axis].stepped != variable:
        return extent
    return extent - einsum.indices[axis].offset + ONE


@dataclass(slots=True)
class _Constraints:
    """Constraints that must hold together, in the form of a domain."""

    bounds: list[Affine] = field(default_factory=list[Affine])
    choices: list[Choice] = field(default_factory=list[Choice])
    opaque: set[frozenset[str]] = field(default_factory=set[frozenset[str]])

    def add_predicate(self, predicate: Predicate, *, is_negated: bool = False) -> None:
        alternatives = alternatives_of(predicate, is_negated=is_negated)
        if alternatives is None:
            self.opaque.add(predicate_variables(predicate))
        else:
            self.add_choice(alternatives)

    def add_choice(self, alternatives: Choice) -> None:
        if len(alternatives) == 1:
            self.bounds += alternatives[0]
        else:
            self.choices.append(alternatives)

    def add_reads(self, facts: Facts, accesses: Iterable[ReadFacts], presence: Mapping[str, "_Presence"]) -> None:
        """Add what reading elements takes: that the tensors have them."""
        for access in accesses:
            dimensions = facts.cascade.tensor[access.tensor].dimensions
            for index, position, dimension in zip(access.indices, access.positions, dimensions, strict=True):
                if position.order is Order.TILES:
                    self.bounds.append(affine_constant(dimension.extent - ONE) - index)
            inherited = presence.get(access.tensor, _Presence())
            indices = {f"#{axis}": index for axis, index in enumerate(access.indices)}
            self.bounds += (bound.substituted(indices) for bound in inherited.bounds)
            self.choices += (_substituted_choice(choice, indices) for choice in inherited.choices)
            self.opaque |= {
                frozenset(n for slot in slots for n in indices[slot].variables) for slots in inherited.opaque
            }

    def add(self, other: "_Constraints") -> None:
        self.bounds += other.bounds
        self.choices += other.choices
        self.opaque |= other.opaque

    def add_where(self, predicate: Predicate, other: "_Constraints") -> None:
        """Add what must hold where a predicate does."""
        alternatives = alternatives_of(predicate, is_negated=True)
        names = predicate_variables(predicate)
        if alternatives is None:
            bounds = {names | frozenset(bound.variables) for bound in other.bounds}
            self.opaque |= bounds | {names | variables_of_choice(choice) for choice in other.choices}
        else:
            for choice in (*(((bound,),) for bound in other.bounds), *other.choices):
                self.add_choice((*alternatives, *choice))
        self.opaque |= {names | variables for variables in other.opaque}

    def left(self, einsum: Einsum) -> "_Constraints":
        """Return those in which no reduced variable takes part: what elements of the result take to exist."""
        left = frozenset(einsum.left_variables)
        return _Constraints(
            [bound for bound in dict.fromkeys(self.bounds) if left.issuperset(bound.variables)],
            [choice for choice in dict.fromkeys(self.choices) if left >= variables_of_choice(choice)],
            {names for names in self.opaque if names <= left},
        )

    @property
    def is_nothing(self) -> bool:
        """Whether there is none."""
        return not (self.bounds or self.choices or self.opaque)

    @property
    def variables(self) -> frozenset[str]:
        """The rank variables that occur."""
        bounds = (frozenset(bound.variables) for bound in self.bounds)
        return frozenset[str]().union(*bounds, *map(variables_of_choice, self.choices), *self.opaque)

    def domain(self, extents: tuple[tuple[str, Extent], ...]) -> Domain:
        bounds, choices = tuple(dict.fromkeys(self.bounds)), tuple(dict.fromkeys(self.choices))
        return Domain(extents, bounds, choices, frozenset(self.opaque))


def _domain(
    facts: Facts,
    number: int,
    presence: Mapping[str, _Presence],
    extents: tuple[tuple[str, Extent], ...],
    *,
    is_dependence: bool,
) -> tuple[Domain, _Constraints]:
    """Return where an Einsum evaluates its expression and its `else`, and what its points need to be present."""
    einsum, accesses = facts.cascade.einsums[number], facts.accesses[number]
    first, last = len(tuple(reads_of(einsum.expression))), len(einsum.reads)
    yes, no, common = _Constraints(), _Constraints(), _Constraints()
    yes.add_reads(facts, accesses[:first], presence)
    no.add_reads(facts, accesses[first:last], presence)
    common.add_reads(facts, accesses[last:], presence)
    taken, other, present = _Constraints(), _Constraints(), _Constraints()
    for constraints in (taken, other, present):
        constraints.add(common)
    for part in conjuncts(einsum.where):
        taken.add_predicate(part)
    taken.add(yes)
    if einsum.where is None or einsum.otherwise is None or (is_dependence and first == last):
        return taken.domain(extents), taken
    other.add_predicate(einsum.where, is_negated=True)
    other.add(no)
    present.add_where(einsum.where, yes)
    present.add_where(Not(einsum.where), no)
    found = taken.domain(extents)
    either, otherwise = present.domain(extents), other.domain(extents)
    return replace(found, otherwise=otherwise, reads_otherwise=first < last, made=either), present


def _presence(einsum: Einsum, present: _Constraints) -> _Presence:
    """Return when elements of the result exist, by what holds for its indices."""
    slots = {index.plain: f"#{axis}" for axis, index in enumerate(einsum.indices) if index.plain}
    affine = {name: affine_variable(slot) for name, slot in slots.items()}
    return _Presence(
        tuple(bound.substituted(affine) for bound in present.bounds),
        tuple(_substituted_choice(choice, affine) for choice in present.choices),
        frozenset(frozenset(slots[name] for name in names) for names in present.opaque),
    )


def variables_of_choice(choice: Choice) -> frozenset[str]:
    """Return the rank variables of a choice."""
    return frozenset(name for conjunction in choice for bound in conjunction for name in bound.variables)


def _substituted_choice(choice: Choice, values: Mapping[str, Affine]) -> Choice:
    return tuple(tuple(bound.substituted(values) for bound in conjunction) for conjunction in choice)
