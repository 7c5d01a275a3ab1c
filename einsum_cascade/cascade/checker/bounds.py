"""Prove that indices stay inside their tensors and that the regions of a declared tensor do not overlap."""

from collections import defaultdict
from itertools import combinations

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.checker.scope import Scope
from einsum_cascade.cascade.extent import ONE, Extent, constant, symbol
from einsum_cascade.cascade.ir import Dimension, Einsum, predicate_variables
from einsum_cascade.cascade.partition import partition_of
from einsum_cascade.errors import Span

__all__ = ["check_bounds"]


def check_bounds(scope: Scope, einsums: list[Einsum]) -> None:
    """Report every index that can leave its tensor, and regions that may overlap."""
    for einsum in einsums:
        for read in einsum.all_reads:
            _check_access(scope, einsum, read.tensor, read.indices, read.span)
        if (tensor := scope.tensors[einsum.tensor]) is not None and tensor.is_declared:
            _check_access(scope, einsum, einsum.tensor, einsum.indices, einsum.span)
    regions: defaultdict[str, list[Einsum]] = defaultdict(list)
    for einsum in einsums:
        tensor = scope.tensors[einsum.tensor]
        if tensor is not None and tensor.is_declared:
            regions[einsum.tensor].append(einsum)
            _check_injective(scope, einsum)
    for equations in regions.values():
        for first, second in combinations(equations, 2):
            _check_disjoint(scope, first, second)


def _check_access(scope: Scope, einsum: Einsum, name: str, indices: tuple[Affine, ...], span: Span) -> None:
    tensor = scope.tensors[name]
    if tensor is None:
        return
    for index, dimension in zip(indices, tensor.dimensions, strict=True):
        if index.plain is not None and _same_coordinates(scope, scope.variables[index.plain], dimension):
            continue
        if partition_of(index, scope.variables, scope.ranks) is not None and not dimension.is_generational:
            continue
        if _stays_inside(scope, einsum, index, dimension.extent):
            continue
        if einsum.where is not None and predicate_variables(einsum.where) & frozenset(index.variables):
            continue
        scope.report(_escape_message(scope, einsum, name, index, dimension), span)


def _same_coordinates(scope: Scope, rank: str, dimension: Dimension) -> bool:
    extent = scope.expand(dimension.extent)
    return scope.expand(symbol(rank)) == extent or scope.expand(symbol(rank)) + ONE == extent


def _escape_message(scope: Scope, einsum: Einsum, name: str, index: Affine, dimension: Dimension) -> str:
    if dimension.is_generational:
        return (
            f"index {str(index)!r} must not go past the generations 0 to {dimension.rank} of {name!r}; "
            f"the last one is {name}[..., {dimension.rank}, ...]"
        )
    if index.plain is not None:
        rank = scope.variables[index.plain]
        return (
            f"rank variable {index.plain!r} of rank {rank!r} must stay inside rank {dimension.rank!r} of {name!r}, "
            f"but {_extent_text(scope, rank)} is not known to be at most {_extent_text(scope, dimension.rank)}; "
            f"index with a variable of {dimension.rank!r}, or filter with where {index} < {dimension.rank}"
        )
    low, _ = _range(scope, einsum, index)
    is_low = low is None or not low.is_nonnegative(_positive_ranks(scope, einsum))
    bound = f"{index} >= 0" if is_low else f"{index} < {dimension.rank}"
    return (
        f"index {str(index)!r} can leave rank {dimension.rank!r} of {name!r}, whose coordinates are 0 to "
        f"{dimension.rank} - 1; filter the points that leave it with where {bound}"
    )


def _extent_text(scope: Scope, rank: str) -> str:
    extent = scope.expand(symbol(rank))
    return f"the extent {extent}" if extent.value is not None else f"extent {extent}"


def _stays_inside(scope: Scope, einsum: Einsum, index: Affine, extent: Extent) -> bool:
    """Prove 0 <= index < extent while the equation's variables run over their ranks."""
    low, high = _range(scope, einsum, index)
    positive = _positive_ranks(scope, einsum)
    return (
        low is not None
        and high is not None
        and low.is_nonnegative(positive)
        and (scope.expand(extent) - high - ONE).is_nonnegative(positive)
    )


def _range(scope: Scope, einsum: Einsum, index: Affine) -> tuple[Extent | None, Extent | None]:
    expanded = Affine(tuple((name, scope.expand(c)) for name, c in index.terms), scope.expand(index.offset))

    def last(variable: str) -> Extent:
        return scope.expand(symbol(scope.variables[variable])) - constant(_iterations_lost(scope, einsum, variable))

    return expanded.extreme(last, is_upper=False), expanded.extreme(last, is_upper=True)


def _iterations_lost(scope: Scope, einsum: Einsum, variable: str) -> int:
    """By how much the last coordinate of a variable falls short of its extent: the step where it is iterative."""
    tensor = scope.tensors[einsum.tensor]
    axis = tensor.generation_axis if tensor else None
    if axis is not None and not einsum.is_init and einsum.indices[axis].stepped == variable:
        return einsum.indices[axis].offset.value or 1
    return 1


def _positive_ranks(scope: Scope, einsum: Einsum) -> frozenset[str]:
    """Ranks that are at least 1 whenever the equation has a point at all."""
    extents = (scope.expand(symbol(scope.variables[name])) for name in einsum.variables)
    return frozenset(name for extent in extents if len(extent.terms) == 1 for name in extent.names)


def _check_injective(scope: Scope, einsum: Einsum) -> None:
    names = [name for index in einsum.indices for name in index.variables]
    for index in einsum.indices:
        if len(index.terms) > 1 and partition_of(Affine(index.terms), scope.variables, scope.ranks) is None:
            scope.report(
                f"index {str(index)!r} on the left of {einsum.tensor!r} must give every coordinate at most once; "
                "write a variable plus an offset, or count through tiles as in m1*M0 + m0",
                einsum.span,
            )
            return
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        scope.report(f"rank variable {repeated!r} must stand once on the left, but stands twice", einsum.span)


def _check_disjoint(scope: Scope, first: Einsum, second: Einsum) -> None:
    positive = _positive_ranks(scope, first) | _positive_ranks(scope, second)
    for a, b in zip(first.indices, second.indices, strict=True):
        (low_a, high_a), (low_b, high_b) = _range(scope, first, a), _range(scope, second, b)
        for low, high in ((low_b, high_a), (low_a, high_b)):
            if low is not None and high is not None and (low - high - ONE).is_nonnegative(positive):
                return
    message = f"the regions of {second.tensor!r} must not overlap, but this one may meet that of line {first.span.line}"
    scope.report(f"{message}; shift one of them past the other, as in {second.tensor}[M + s]", second.span)
