"""Rewriting cascades: map expressions, substitute and rename, and rebuild with everything checked.

`rebuild` is the way from changed equations to a `Cascade`; it prints and parses nothing.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from einsum_cascade.cascade.affine import Affine, affine_variable
from einsum_cascade.cascade.checker import check
from einsum_cascade.cascade.extent import Extent, symbol
from einsum_cascade.cascade.ir import (
    And,
    Apply,
    Cascade,
    Comparison,
    Coordinate,
    Dimension,
    Einsum,
    Expression,
    Not,
    Or,
    Predicate,
    Rank,
    RankExtent,
    Read,
    Reduction,
    Tensor,
    predicate_expressions,
    walk,
)
from einsum_cascade.cascade.operators import OPERATORS, Operator, Registry
from einsum_cascade.cascade.relation import Relation
from einsum_cascade.cascade.unchecked import unchecked

__all__ = [
    "as_input",
    "map_einsum",
    "map_expression",
    "map_predicate",
    "own_extents",
    "rebuild",
    "rename",
    "substitute",
    "without_defaults",
]

type Change = Callable[[Expression], Expression]
"""Gives what stands in the place of an expression, whose parts are changed already."""


def map_expression(expression: Expression, change: Change) -> Expression:
    """Return an expression in which every part is changed, from the inside out."""
    if isinstance(expression, Apply):
        expression = replace(expression, arguments=tuple(map_expression(part, change) for part in expression.arguments))
    return change(expression)


def map_predicate(predicate: Predicate, change: Change) -> Predicate:
    """Return a predicate in which every part of both sides of every comparison is changed."""
    match predicate:
        case Comparison(operator, left, right):
            return Comparison(operator, map_expression(left, change), map_expression(right, change))
        case And(operands) | Or(operands):
            return type(predicate)(tuple(map_predicate(operand, change) for operand in operands))
        case Not(operand):
            return Not(map_predicate(operand, change))


def map_einsum(einsum: Einsum, change: Change) -> Einsum:
    """Return an Einsum whose expression, filter and `else` are changed; the left side and the reduction stay."""
    return replace(
        einsum,
        expression=map_expression(einsum.expression, change),
        where=None if einsum.where is None else map_predicate(einsum.where, change),
        otherwise=None if einsum.otherwise is None else map_expression(einsum.otherwise, change),
    )


def substitute(expression: Expression, values: Mapping[str, Affine]) -> Expression:
    """Return an expression with indices in the place of rank variables.

    Parameters
    ----------
    expression
        The expression.
    values
        By rank variable.

    Raises
    ------
    ValueError
        The coordinate of a variable is a value in the expression, and its index is more than a variable.

    Examples
    --------
    >>> from einsum_cascade.cascade.affine import affine_variable
    >>> from einsum_cascade.cascade.ir import Read
    >>> str(substitute(Read("X", (affine_variable("m"),)), {"m": affine_variable("n")}))
    'X[n]'

    """

    def change(part: Expression) -> Expression:
        if isinstance(part, Read):
            return replace(part, indices=tuple(index.substituted(values) for index in part.indices))
        if isinstance(part, Coordinate) and part.variable in values:
            plain = values[part.variable].plain
            if plain is None:
                raise ValueError(f"coordinate {part.variable!r} must become a variable, not {values[part.variable]}")
            return Coordinate(plain)
        return part

    return map_expression(expression, change)


def rename(
    cascade: Cascade,
    *,
    tensors: Mapping[str, str] | None = None,
    ranks: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
    name: str | None = None,
) -> Cascade:
    """Return a cascade with other names, checked.

    Parameters
    ----------
    cascade
        A checked cascade.
    tensors, ranks, variables
        New names by old ones; others stay.
    name
        That of the cascade.

    Raises
    ------
    CheckError
        Two things would have one name, or a name means something else.

    """
    renaming = _Renaming(tensors or {}, ranks or {}, variables or {})
    return _checked(
        replace(
            cascade,
            name=cascade.name if name is None else name,
            ranks=tuple(
                replace(
                    rank,
                    name=renaming.rank(rank.name),
                    extent=None if rank.extent is None else renaming.extent(rank.extent),
                    alias_of=None if rank.alias_of is None else renaming.rank(rank.alias_of),
                )
                for rank in cascade.ranks
            ),
            variables=tuple(sorted((renaming.variable(v), renaming.rank(rank)) for v, rank in cascade.variables)),
            tensors=tuple(map(renaming.tensor, cascade.tensors)),
            einsums=tuple(map(renaming.einsum, cascade.einsums)),
            outputs=tuple(renaming.tensor_name(output) for output in cascade.outputs),
            relations=tuple(
                Relation(own.operator, renaming.extent(own.left), renaming.extent(own.right))
                for own in cascade.relations
            ),
        )
    )


class _Renaming:
    """New names of tensors, ranks and rank variables."""

    def __init__(self, tensors: Mapping[str, str], ranks: Mapping[str, str], variables: Mapping[str, str]) -> None:
        self._tensors, self._ranks, self._variables = tensors, ranks, variables
        self._extents = {old: symbol(new) for old, new in ranks.items()}

    def tensor_name(self, name: str) -> str:
        return self._tensors.get(name, name)

    def rank(self, name: str) -> str:
        return self._ranks.get(name, name)

    def variable(self, name: str) -> str:
        return self._variables.get(name, name)

    def extent(self, extent: Extent) -> Extent:
        return extent.substitute(self._extents)

    def index(self, index: Affine) -> Affine:
        moved = index.substituted({old: affine_variable(new) for old, new in self._variables.items()})
        terms = tuple((name, self.extent(coefficient)) for name, coefficient in moved.terms)
        return Affine(terms, self.extent(moved.offset))

    def tensor(self, tensor: Tensor) -> Tensor:
        dimensions = tuple(
            Dimension(self.rank(own.rank), self.variable(own.variable), own.is_generational)
            for own in tensor.dimensions
        )
        return Tensor(self.tensor_name(tensor.name), dimensions, tensor.role, tensor.is_declared)

    def einsum(self, einsum: Einsum) -> Einsum:
        reduction = einsum.reduction
        if reduction is not None:
            reduction = Reduction(reduction.operator, tuple(map(self.variable, reduction.variables)))
        changed = map_einsum(einsum, self._part)
        indices = tuple(map(self.index, einsum.indices))
        return replace(changed, tensor=self.tensor_name(einsum.tensor), indices=indices, reduction=reduction)

    def _part(self, part: Expression) -> Expression:
        match part:
            case Read(tensor, indices):
                return Read(self.tensor_name(tensor), tuple(map(self.index, indices)), part.span)
            case RankExtent(name):
                return RankExtent(self.rank(name))
            case Coordinate(name):
                return Coordinate(self.variable(name))
            case _:
                return part


def rebuild(
    cascade: Cascade,
    einsums: Iterable[Einsum],
    *,
    given: Iterable[Tensor] = (),
    outputs: Iterable[str] | None = None,
    name: str | None = None,
) -> Cascade:
    """Return a cascade of other equations, checked; what they do not mention is left out. Of its own, it is returned.

    Parameters
    ----------
    cascade
        Where ranks, inputs, declarations and relations come from.
    einsums
        Its equations, in order. What they read and none of them defines must be an input of the cascade, or given.
    given
        Inputs beside those of the cascade, or in the place of what it computes. One that has generations gets a rank of
        its own for them, an extent longer by 1 than the iterative rank.
    outputs
        Its outputs; those of the cascade that are still there unless told.
    name
        Its name, if it is another one.

    Raises
    ------
    CheckError
        The equations break a rule of the language.

    """
    found, leaving = tuple(einsums), cascade.outputs if outputs is None else tuple(outputs)
    taken = {tensor.name: tensor for tensor in given}
    if not taken and found == cascade.einsums and leaving == cascade.outputs and name in (None, cascade.name):
        return cascade
    written = {einsum.tensor for einsum in found}
    read = {each.tensor for einsum in found for each in einsum.all_reads}
    lasting = _GenerationRanks(cascade)
    own = {
        **cascade.tensor,
        **{own: lasting.without_generations(tensor) for own, tensor in taken.items() if own in read},
    }
    cascade = replace(cascade, ranks=(*cascade.ranks, *lasting.ranks))
    tensors = tuple(tensor for tensor in own.values() if tensor.name in (read if tensor.is_given else written))
    used = _used_ranks(cascade, found, tensors)
    variables = {variable for einsum in found for variable in _variables(einsum)}
    return _checked(
        replace(
            cascade,
            name=cascade.name if name is None else name,
            ranks=tuple(rank for rank in cascade.ranks if rank.name in used),
            variables=tuple(own for own in cascade.variables if own[0] in variables),
            tensors=tensors,
            einsums=found,
            outputs=tuple(output for output in leaving if outputs is not None or output in written),
            relations=tuple(own for own in cascade.relations if own.names <= used),
        )
    )


class _GenerationRanks:
    """Ranks for the generations of tensors that become inputs, one for each iterative rank."""

    def __init__(self, cascade: Cascade) -> None:
        self._names = {*cascade.rank, *cascade.rank_of}
        self._found: dict[str, Rank] = {}

    @property
    def ranks(self) -> tuple[Rank, ...]:
        return tuple(self._found.values())

    def without_generations(self, tensor: Tensor) -> Tensor:
        """Return an input along these ranks in place of generations."""
        dimensions = (self._plain(each) if each.is_generational else each for each in tensor.dimensions)
        return replace(tensor, dimensions=tuple(dimensions))

    def _plain(self, dimension: Dimension) -> Dimension:
        if dimension.rank not in self._found:
            name = f"{dimension.rank}_ALL"
            while {name, name.lower()} & self._names:
                name += "_"
            self._found[dimension.rank] = Rank(name, dimension.extent)
        rank = self._found[dimension.rank].name
        return Dimension(rank, rank.lower())


def as_input(tensor: Tensor, name: str | None = None) -> Tensor:
    """Return a tensor as an input of another cascade, by another name if one is told."""
    return replace(tensor, name=tensor.name if name is None else name, role="input", is_declared=False)


def own_extents(cascade: Cascade, extents: Mapping[str, int]) -> dict[str, int]:
    """Return the extents of the ranks that a cascade has, of those of what it was rebuilt from."""
    return {name: extents[name] for name in cascade.rank if name in extents}


def without_defaults(cascade: Cascade, ranks: Collection[str]) -> Cascade:
    """Return a cascade some of whose ranks have no default extent any more, because the user gives them.

    It is not checked again: what held for the defaults alone `resolve_extents` tells of the extents in their place.
    """
    freed = (Rank(own.name) if own.name in ranks and not own.alias_of else own for own in cascade.ranks)
    return replace(cascade, ranks=tuple(freed))


def _checked(draft: Cascade) -> Cascade:
    """Return the cascade that a draft describes."""
    return check(unchecked(draft), _registry(draft.operators))


def _registry(operators: Iterable[Operator]) -> Registry:
    """Return the built-in operators and those that a cascade has beside them."""
    registry = OPERATORS.copy()
    for operator in operators:
        registry.add(operator)
    return registry


def _variables(einsum: Einsum) -> Iterable[str]:
    yield from einsum.variables
    for part in _parts(einsum):
        if isinstance(part, Coordinate):
            yield part.variable
        elif isinstance(part, Read):
            yield from (name for index in part.indices for name in index.variables)


def _parts(einsum: Einsum) -> Iterable[Expression]:
    sides = [einsum.expression, *([einsum.otherwise] if einsum.otherwise else [])]
    sides += predicate_expressions(einsum.where) if einsum.where else ()
    return (part for side in sides for part in walk(side))


def _used_ranks(cascade: Cascade, einsums: Iterable[Einsum], tensors: Iterable[Tensor]) -> frozenset[str]:
    """Return the ranks that equations and declarations mention, and those that their extents are made of."""
    used = {dimension.rank for tensor in tensors for dimension in tensor.dimensions}
    for einsum in einsums:
        used |= {cascade.rank_of[variable] for variable in _variables(einsum) if variable in cascade.rank_of}
        used |= {part.rank for part in _parts(einsum) if isinstance(part, RankExtent)}
        reads = (part for part in _parts(einsum) if isinstance(part, Read))
        for index in (index for indices in (einsum.indices, *(read.indices for read in reads)) for index in indices):
            used |= index.offset.names.union(*(coefficient.names for _, coefficient in index.terms))
    found: set[str] = set()
    while used - found:
        rank = cascade.rank[(used - found).pop()]
        found.add(rank.name)
        used |= rank.extent.names if rank.extent is not None else frozenset()
        used |= {rank.alias_of} if rank.alias_of is not None else frozenset()
    return frozenset(found)
