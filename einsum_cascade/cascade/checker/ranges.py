"""What the indices of an equation range over, in terms of extents."""

from collections.abc import Iterator

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.checker.scope import Scope
from einsum_cascade.cascade.extent import Extent, constant, symbol
from einsum_cascade.cascade.ir import Einsum

__all__ = ["last_coordinate", "positive_ranks", "range_of"]


def range_of(
    scope: Scope, einsum: Einsum, index: Affine, *, is_expanded: bool = True
) -> tuple[Extent | None, Extent | None]:
    """Return the least and the greatest value of an index over all points; None if the sign of a stride is unknown.

    Parameters
    ----------
    scope
        The names known.
    einsum
        The equation.
    index
        An expression in its variables.
    is_expanded
        Whether extents are written over free ranks.

    """

    def written(extent: Extent) -> Extent:
        return scope.expand(extent) if is_expanded else extent

    def last(variable: str) -> Extent:
        return written(last_coordinate(scope, einsum, variable))

    shown = Affine(tuple((name, written(c)) for name, c in index.terms), written(index.offset))
    return shown.extreme(last, is_upper=False), shown.extreme(last, is_upper=True)


def last_coordinate(scope: Scope, einsum: Einsum, variable: str) -> Extent:
    """Return the last coordinate of a variable in an equation: where it is iterative, the last that steps."""
    tensor = scope.tensors[einsum.tensor]
    axis = tensor.generation_axis if tensor else None
    steps = 1
    if axis is not None and not einsum.is_init and einsum.indices[axis].stepped == variable:
        steps = einsum.indices[axis].offset.value or 1
    return symbol(scope.variables[variable]) - constant(steps)


def positive_ranks(scope: Scope, einsum: Einsum) -> frozenset[str]:
    """Return the free ranks that are at least 1 whenever the equation has a point at all."""
    extents = (scope.expand(symbol(scope.variables[name])) for name in einsum.variables)
    return frozenset(name for extent in extents for name in _factors(extent))


def _factors(extent: Extent) -> Iterator[str]:
    """Yield the ranks that are not 0 where a product or quotient is at least 1."""
    if len(extent.terms) != 1 or extent.terms[0][1] < 0:
        return
    for atom in extent.terms[0][0]:
        if isinstance(atom, str):
            yield atom
        else:
            yield from _factors(atom.numerator)
            yield from _factors(atom.denominator)
