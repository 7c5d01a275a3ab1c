"""Prove that indices stay inside their tensors."""

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.checker.ranges import positive_ranks, range_of
from einsum_cascade.cascade.checker.scope import Scope
from einsum_cascade.cascade.extent import ONE, Extent, symbol
from einsum_cascade.cascade.ir import Dimension, Einsum, predicate_variables
from einsum_cascade.cascade.partition import partition_of
from einsum_cascade.cascade.relation import as_relation
from einsum_cascade.errors import Span

__all__ = ["check_bounds"]


def check_bounds(scope: Scope, einsums: list[Einsum]) -> frozenset[Span]:
    """Report every index that can leave its tensor; return the places of the reads and equations that do."""
    strayed: set[Span] = set()
    for einsum in einsums:
        reads = {str(read): read for read in reversed(einsum.all_reads)}
        for read in reversed(reads.values()):
            if not _stays_or_reported(scope, einsum, read.tensor, read.indices, read.span):
                strayed |= {other.span for other in einsum.all_reads if str(other) == str(read)}
        tensor = scope.tensors[einsum.tensor]
        if tensor is None or not tensor.is_declared:
            continue
        if not _stays_or_reported(scope, einsum, einsum.tensor, einsum.indices, einsum.span):
            strayed.add(einsum.span)
    return frozenset(strayed)


def _stays_or_reported(scope: Scope, einsum: Einsum, name: str, indices: tuple[Affine, ...], span: Span) -> bool:
    tensor = scope.tensors[name]
    if tensor is None:
        return True
    stays, is_of_other_rank = True, False
    for index, dimension in zip(indices, tensor.dimensions, strict=True):
        if scope.is_doubtful(dimension.rank, *(scope.variables[name] for name in index.variables)):
            continue
        if index.plain is not None and _same_coordinates(scope, scope.variables[index.plain], dimension):
            continue
        if partition_of(index, scope.variables, scope.ranks) is not None and not dimension.is_generational:
            continue
        if _stays_inside(scope, einsum, index, dimension.extent):
            continue
        if einsum.where is not None and predicate_variables(einsum.where) & frozenset(index.variables):
            continue
        stays = False
        if index.plain is None or not is_of_other_rank:
            about = "; ".join(str(scope.expand(room)) for room in _missing_rooms(scope, einsum, index, dimension))
            scope.report(_escape_message(scope, einsum, name, index, dimension), span, about)
        is_of_other_rank |= index.plain is not None  # one is enough to see that the wrong tensor is read
    return stays


def _same_coordinates(scope: Scope, rank: str, dimension: Dimension) -> bool:
    extent = scope.expand(dimension.extent)
    return scope.expand(symbol(rank)) == extent or scope.expand(symbol(rank)) + ONE == extent


def _stays_inside(scope: Scope, einsum: Einsum, index: Affine, extent: Extent) -> bool:
    """Prove 0 <= index < extent while the equation's variables run over their ranks."""
    positive = positive_ranks(scope, einsum)
    rooms = _rooms(scope, einsum, index, extent)
    return all(room is not None and scope.is_nonnegative(room, positive) for room in rooms)


def _rooms(scope: Scope, einsum: Einsum, index: Affine, extent: Extent) -> tuple[Extent | None, Extent | None]:
    """Return how far an index stays from either end of a dimension at least; None if that is not known."""
    low, high = range_of(scope, einsum, index)
    return low, None if high is None else scope.expand(extent) - high - ONE


def _escape_message(scope: Scope, einsum: Einsum, name: str, index: Affine, dimension: Dimension) -> str:
    rank = dimension.rank
    if index.plain is not None:
        own = scope.variables[index.plain]
        remedies = f"index with a variable of {rank!r}, or filter with where {index} < {rank}"
        if hint := _relation_hint(scope, einsum, index, dimension):
            remedies = remedies.replace(", or filter", ", filter") + hint
        return (
            f"rank variable {index.plain!r} of rank {own!r} must stay inside rank {rank!r} of {name!r}, "
            f"but {_extent_text(scope, own)} is not known to be at most {_extent_text(scope, rank)}; {remedies}"
        )
    if not index.terms:
        return _constant_message(scope, einsum, name, index, dimension)
    if dimension.is_generational:
        return (
            f"index {str(index)!r} must not go past the generations 0 to {rank} of {name!r}; "
            f"the last one is {name}[..., {rank}, ...]"
        )
    low, _ = _rooms(scope, einsum, index, dimension.extent)
    is_low = low is None or not scope.is_nonnegative(low, positive_ranks(scope, einsum))
    bound = f"{index} >= 0" if is_low else f"{index} < {rank}"
    return (
        f"index {str(index)!r} can leave rank {rank!r} of {name!r}, whose coordinates are 0 to "
        f"{rank} - 1; filter the points that leave it with where {bound}"
        f"{_relation_hint(scope, einsum, index, dimension)}"
    )


def _constant_message(scope: Scope, einsum: Einsum, name: str, index: Affine, dimension: Dimension) -> str:
    """Say what is wrong with an index without variables, which no filter can mend."""
    last = dimension.rank if dimension.is_generational else f"{dimension.rank} - 1"
    hint = _relation_hint(scope, einsum, index, dimension)
    if not hint and (index.offset.value or 0) < 0:
        hint = f", or write {last} for the last one"
        if not dimension.is_generational and not _stays_inside(
            scope, einsum, Affine((), symbol(dimension.rank) - ONE), dimension.extent
        ):
            hint += f" and state rank {dimension.rank} >= 1"
    what = "generations" if dimension.is_generational else "coordinates"
    remedy = hint.removeprefix(", or ") or f"write one from 0 to {last}"
    return (
        f"index {str(index)!r} must be one of the {what} 0 to {last} of rank {dimension.rank!r} of {name!r}; {remedy}"
    )


def _relation_hint(scope: Scope, einsum: Einsum, index: Affine, dimension: Dimension) -> str:
    """Offer the relations of extents that keep an index inside, if there are any that may hold."""
    missing = _missing_rooms(scope, einsum, index, dimension)
    return f", or state rank {', '.join(str(as_relation(room)) for room in missing)}" if missing else ""


def _missing_rooms(scope: Scope, einsum: Einsum, index: Affine, dimension: Dimension) -> list[Extent]:
    """Return the extents that would have to be known not to be negative; nothing if some never can be."""
    low, high = range_of(scope, einsum, index, is_expanded=False)
    rooms = (low, None if high is None else dimension.extent - high - ONE)
    positive = positive_ranks(scope, einsum)
    missing = [room for room in rooms if room is None or not scope.is_nonnegative(room, positive)]
    known = [room for room in missing if room is not None and _can_be_positive(room)]
    return known if len(known) == len(missing) else []


def _can_be_positive(extent: Extent) -> bool:
    return any(monomial and coefficient > 0 for monomial, coefficient in extent.terms)


def _extent_text(scope: Scope, rank: str) -> str:
    extent = scope.expand(symbol(rank))
    return f"the extent {extent}" if extent.value is not None else f"extent {extent}"
