"""Numbers for the extents of a cascade's ranks, from settings, from the shapes of inputs and from defaults.

This module decides which number each rank has, and that every index that the checker proved to stay inside its tensor
still does with these numbers. What a filter guards is checked point by point when the cascade is evaluated.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.extent import Extent
from einsum_cascade.cascade.ir import (
    Cascade,
    Einsum,
    Read,
    predicate_variables,
)
from einsum_cascade.cascade.overrides import first_omission
from einsum_cascade.cascade.partition import expanded, partition_of
from einsum_cascade.cascade.reach import accesses, coordinate_counts, is_partition
from einsum_cascade.cascade.relation import Relation
from einsum_cascade.errors import EvaluationError
from einsum_cascade.units import MOST_DIGITS, has_many_digits
from einsum_cascade.wording import did_you_mean, listed

__all__ = ["known_extents", "resolve_extents"]


@dataclass(frozen=True, slots=True)
class _Given:
    """An extent and who gives it."""

    extent: int
    source: str


def resolve_extents(
    cascade: Cascade, settings: Mapping[str, int], inputs: Mapping[str, tuple[int, ...]] | None = None
) -> dict[str, int]:
    """Return the extent of every rank.

    Parameters
    ----------
    cascade
        A checked cascade.
    settings
        Extents by rank name. They override defaults, and what depends on an overridden default is recomputed. One
        that leaves out coordinates which the defaults reach contradicts them. An alias may only repeat the extent that
        its rank is set to, so that a result can be given back.
    inputs
        Shapes of inputs by name; they give the extents of ranks that have no default.

    Returns
    -------
    dict
        Extents by rank name, in the order of `cascade.ranks`.

    Raises
    ------
    EvaluationError
        A rank or an input is unknown, an alias is set, an extent is negative, divides by 0, contradicts another one or
        is missing, a relation does not hold, an index leaves its tensor with these extents, or they leave out
        coordinates that defaults reach.

    """
    shapes = inputs or {}
    given = _check_settings(cascade, settings)
    for name, shape in shapes.items():
        _bind_shape(cascade, name, shape, given)
    _check_missing(cascade, given)
    extents = _evaluate_all(cascade, given)
    for name, shape in shapes.items():
        _check_shape(cascade, name, shape, extents, given)
    _check_relations(cascade, extents)
    _check_accesses(cascade, extents)
    _check_overrides(cascade, given, extents)
    _check_tiles(cascade, extents)
    return extents


def known_extents(
    cascade: Cascade, settings: Mapping[str, int], inputs: Mapping[str, tuple[int, ...]] | None = None
) -> dict[str, int]:
    """Return the extents that settings and shapes determine, which may be those of a few ranks only.

    Parameters and errors are those of `resolve_extents`, except that no rank has to have an extent.
    """
    given = _check_settings(cascade, settings)
    for name, shape in (inputs or {}).items():
        _bind_shape(cascade, name, shape, given)
    if not any(name not in given for name in cascade.free_ranks):
        return resolve_extents(cascade, settings, inputs)
    known = {name: value.extent for name, value in given.items()}
    for rank in cascade.ranks:
        if rank.alias_of in known:
            known[rank.name] = known[rank.alias_of]
        elif rank.name not in known and rank.extent is not None and rank.extent.names <= known.keys():
            known[rank.name] = _evaluate(lambda name=rank.name: f"the extent of rank {name!r}", rank.extent, known)
    _check_relations(cascade, known)
    return known


def _check_settings(cascade: Cascade, settings: Mapping[str, int]) -> dict[str, _Given]:
    given: dict[str, _Given] = {}
    for name, value in settings.items():
        if name not in cascade.rank:
            raise EvaluationError(f"rank {name!r} must be declared to be set{did_you_mean(name, cascade.rank)}")
        if (alias := cascade.rank[name].alias_of) is not None:
            base = cascade.base_rank(name)
            if settings.get(base) == value:
                continue
            message = f"rank {name!r} is an alias of {alias!r} and must not be set"
            raise EvaluationError(f"{message}; set {base!r} instead (--set {base}={value})")
        extent = operator.index(value)
        if has_many_digits(extent):
            raise EvaluationError(
                f"rank {name!r} must be set to a number of at most {MOST_DIGITS} digits; set a smaller one"
            )
        if extent < 0:
            message = f"rank {name!r} must have an extent of at least 0, not {extent}"
            raise EvaluationError(f"{message} (--set {name}={extent})")
        given[name] = _Given(extent, f"--set {name}={extent}")
    return given


def _bind_shape(cascade: Cascade, name: str, shape: tuple[int, ...], given: dict[str, _Given]) -> None:
    """Take the extents of free ranks from the shape of an input."""
    tensor = cascade.tensor.get(name)
    if tensor is None:
        hint = did_you_mean(name, (known.name for known in cascade.inputs))
        raise EvaluationError(f"input {name!r} must be declared by the cascade to be given{hint}")
    if not tensor.is_given:
        raise EvaluationError(f"tensor {name!r} is computed and must not be given; remove it from the inputs")
    if len(shape) != len(tensor.dimensions):
        ranks = ", ".join(dimension.rank for dimension in tensor.dimensions)
        message = f"{tensor.role} {name!r} must have {len(tensor.dimensions)} dimensions ({ranks})"
        raise EvaluationError(f"{message}, but has {len(shape)} in shape {shape}")
    for dimension, length in zip(tensor.dimensions, shape, strict=True):
        extent = length - dimension.is_generational
        rank = cascade.base_rank(dimension.rank)
        if cascade.rank[rank].extent is None:
            given.setdefault(rank, _Given(extent, f"{tensor.role} {name!r}"))


def _check_missing(cascade: Cascade, given: Mapping[str, _Given]) -> None:
    missing = [name for name in cascade.free_ranks if name not in given]
    if missing:
        plural = "s" if len(missing) > 1 else ""
        remedy = " ".join(f"--set {name}=..." for name in missing)
        verb = "have" if plural else "has"
        message = f"every rank must have an extent, but rank{plural} {listed(missing)} {verb} none"
        raise EvaluationError(f"{message}; give {remedy}, or inputs whose shapes tell")


def _evaluate_all(cascade: Cascade, given: Mapping[str, _Given]) -> dict[str, int]:
    """Return every extent; the order of the ranks makes each default follow what it is made of."""
    extents: dict[str, int] = {}
    for rank in cascade.ranks:
        if rank.alias_of is not None:
            extents[rank.name] = extents[rank.alias_of]
        elif rank.name in given:
            extents[rank.name] = given[rank.name].extent
        elif rank.extent is not None:
            extents[rank.name] = _evaluate(partial("the extent of rank {!r}".format, rank.name), rank.extent, extents)
            if extents[rank.name] < 0:
                message = f"rank {rank.name!r} must have an extent of at least 0"
                value = f"{rank.extent} = {extents[rank.name]}{_with(rank.extent, extents)}"
                raise EvaluationError(f"{message}, not {value}; {_remedy(rank.extent)}")
    return extents


def _evaluate(what: Callable[[], str], extent: Extent, extents: Mapping[str, int]) -> int:
    try:
        found = extent.evaluate(extents)
    except ZeroDivisionError:
        message = f"{what()} must not divide by 0, but is {extent}{_with(extent, extents)}"
        raise EvaluationError(f"{message}; {_remedy(extent)}") from None
    if has_many_digits(found):
        raise EvaluationError(
            f"{what()} must have at most {MOST_DIGITS} digits, but {extent} has more; {_remedy(extent)}"
        )
    return found


def _with(extent: Extent, extents: Mapping[str, int]) -> str:
    values = ", ".join(f"{name} = {extents[name]}" for name in sorted(extent.names))
    return f" with {values}" if values else ""


def _remedy(extent: Extent) -> str:
    return f"change {' '.join(f'--set {name}=...' for name in sorted(extent.names))}"


def _check_shape(
    cascade: Cascade, name: str, shape: tuple[int, ...], extents: Mapping[str, int], given: Mapping[str, _Given]
) -> None:
    for dimension, length in zip(cascade.tensor[name].dimensions, shape, strict=True):
        base, found = cascade.base_rank(dimension.rank), length - dimension.is_generational
        if found != extents[base]:
            source = given[base].source if base in given else f"its default {cascade.rank[base].extent}"
            message = f"rank {dimension.rank!r} must have one extent, but has {extents[base]} from {source}"
            raise EvaluationError(f"{message} and {found} in {cascade.tensor[name].role} {name!r}; change one of them")


def _check_relations(cascade: Cascade, extents: Mapping[str, int]) -> None:
    """Refuse numbers that break a relation, of those whose ranks all have one."""
    for relation in cascade.relations:
        if not relation.names <= extents.keys():
            continue
        what = partial("relation '{}'".format, relation)
        if any(_evaluate(what, fact, extents) < 0 for fact in relation.facts):
            known = ", ".join(f"{name} = {extents[name]}" for name in sorted(relation.names))
            changes = " ".join(f"--set {name}=..." for name in _free_names(cascade, relation))
            raise EvaluationError(f"the cascade states {relation}, but {known}; change {changes}")


def _free_names(cascade: Cascade, relation: Relation) -> list[str]:
    """Return the ranks that decide a relation and can be set."""
    names = (name for side in (relation.left, relation.right) for name in expanded(side, cascade.rank).names)
    return sorted(set(names) | {name for name in relation.names if cascade.rank[name].extent is not None})


def _check_accesses(cascade: Cascade, extents: Mapping[str, int]) -> None:
    for einsum in cascade.einsums:
        last = {name: count - 1 for name, count in coordinate_counts(cascade, einsum, extents).items()}
        has_points = min(last.values(), default=0) >= 0
        filtered = predicate_variables(einsum.where) if einsum.where else frozenset[str]()
        for access, axis, index in accesses(cascade, einsum):
            dimension = cascade.tensor[access.tensor].dimensions[axis]
            low, high = _reach(access, index, last, extents)
            end = extents[dimension.rank] + dimension.is_generational
            if high >= end and not dimension.is_generational and is_partition(cascade, index, extents):
                high = end - 1
            if has_points and (low < 0 or high >= end) and not filtered & frozenset(index.variables):
                bad = low if low < 0 else high
                message = f"index {str(index)!r} of {access} in {einsum} must stay inside rank {dimension.rank!r}"
                bounds = f"but reaches {bad} where the last coordinate is {end - 1}"
                raise EvaluationError(f"{message}, {bounds}; change an extent, or filter the points with where")


def _reach(
    access: Einsum | Read, index: Affine, last: Mapping[str, int], extents: Mapping[str, int]
) -> tuple[int, int]:
    name_index = partial("index '{}' of {}".format, index, access)
    low = high = _evaluate(name_index, index.offset, extents)
    for name, coefficient in index.terms:
        reach = _evaluate(name_index, coefficient, extents) * last[name]
        low, high = low + min(0, reach), high + max(0, reach)
    return low, high


def _check_tiles(cascade: Cascade, extents: Mapping[str, int]) -> None:
    """Refuse tiles that do not cover what they are tiles of, where nothing but the numbers says how many there are."""
    for einsum in cascade.einsums:
        for access, axis, index in accesses(cascade, einsum):
            names = partition_of(index, cascade.rank_of, cascade.rank)
            if names is None or cascade.rank[cascade.rank_of[names[0]]].extent is not None:
                continue
            whole, outer = cascade.tensor[access.tensor].dimensions[axis].rank, cascade.rank_of[names[0]]
            inner = _evaluate(partial("index '{}' of {}".format, index, access), index.coefficient(names[0]), extents)
            enough = -(-extents[whole] // inner) if inner else 0
            omission = first_omission(cascade, extents, {**extents, outer: enough}) if enough > extents[outer] else None
            if omission is not None:
                is_written = "written" if omission.is_written else "read"
                raise EvaluationError(
                    f"rank {whole!r} must be reached as a whole by the tiles of index '{index}', but with {whole} = "
                    f"{extents[whole]} and {outer} = {extents[outer]} coordinate {omission.coordinate} of "
                    f"{omission.tensor!r} is never {is_written}; set {outer} = {enough}, or give it a default: rank "
                    f"{outer} = {whole}/{index.coefficient(names[0])}"
                )


def _check_overrides(cascade: Cascade, given: Mapping[str, _Given], extents: Mapping[str, int]) -> None:
    """Refuse extents that leave out coordinates which the defaults in whose place they are set would reach."""
    free = {name: value for name, value in given.items() if cascade.rank[name].extent is None}
    try:
        defaults = _evaluate_all(cascade, free)
    except EvaluationError:
        return  # without the settings there is nothing to compare with
    if defaults == extents or (omission := first_omission(cascade, extents, defaults)) is None:
        return
    changed = [name for name in given if name not in free and extents[name] != defaults[name]]
    blamed = [name for name in changed if name in omission.ranks] or changed
    texts = {name: dict.fromkeys((name, str(cascade.rank[name].extent), str(defaults[name]))) for name in blamed}
    wanted = " and ".join(" = ".join(text) for text in texts.values())
    settings = " and ".join(given[name].source for name in blamed)
    message = (
        f"rank {omission.dimension.rank!r} must be reached as a whole by index '{omission.index}', as it is by default "
        f"({wanted}), but with {settings} coordinate {omission.coordinate} of {omission.tensor!r} is never "
    )
    raise EvaluationError(f"{message}{'written' if omission.is_written else 'read'}; drop {settings}")
