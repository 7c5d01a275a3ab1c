"""From the checked representation back to syntax, so that what a rewriting makes is checked like what a user writes.

Equations and reads keep their places, so that a mistake in what was made is told where it came from.
"""

from collections.abc import Iterable, Iterator
from functools import reduce

from einsum_cascade.cascade import syntax
from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.extent import ONE, Extent, Quotient
from einsum_cascade.cascade.ir import (
    And,
    Apply,
    Cascade,
    Comparison,
    Constant,
    Coordinate,
    Einsum,
    Expression,
    Not,
    Or,
    Predicate,
    Rank,
    RankExtent,
    Read,
    Tensor,
)
from einsum_cascade.cascade.relation import Relation
from einsum_cascade.errors import Span

__all__ = ["unbound_variables", "unchecked"]

_NOWHERE = Span("", 0)


def unchecked(cascade: Cascade) -> syntax.Module:
    """Return the syntax of a cascade, which checks to an equal one."""
    return syntax.Module(cascade.name, tuple(_statements(cascade)), cascade.documentation)


def unbound_variables(cascade: Cascade) -> Iterator[tuple[str, str]]:
    """Yield rank variables, with their ranks, that neither a declaration nor their name binds."""
    declared = [tensor for tensor in cascade.tensors if tensor.is_given or tensor.is_declared]
    bound = {dimension.variable for tensor in declared for dimension in tensor.dimensions}
    for variable, rank in cascade.variables:
        is_default = [name for name in cascade.rank if name.lower() == variable] == [rank]
        if variable not in bound and not is_default:
            yield variable, rank


def _statements(cascade: Cascade) -> Iterator[syntax.Statement]:
    if cascade.operators:
        yield syntax.OperatorStatement(tuple(syntax.Name(operator.name) for operator in cascade.operators))
    yield from map(_rank, cascade.ranks)
    yield from map(_relation, cascade.relations)
    yield from (_declaration(tensor) for tensor in cascade.tensors if tensor.is_given or tensor.is_declared)
    for variable, rank in unbound_variables(cascade):
        yield syntax.VariableStatement((syntax.Name(variable),), syntax.Name(rank))
    yield from map(_equation, cascade.einsums)
    yield syntax.OutputStatement(tuple(map(syntax.Name, cascade.outputs)))


def _rank(rank: Rank) -> syntax.Statement:
    if rank.alias_of is not None:
        return syntax.RankStatement(syntax.Name(rank.name), syntax.Name(rank.alias_of))
    return syntax.RankStatement(syntax.Name(rank.name), None if rank.extent is None else _extent(rank.extent, _NOWHERE))


def _relation(relation: Relation) -> syntax.Statement:
    sides = (_extent(relation.left, _NOWHERE), _extent(relation.right, _NOWHERE))
    return syntax.RelationStatement(syntax.Call(relation.operator, sides))


def _declaration(tensor: Tensor) -> syntax.Statement:
    bindings = tuple(syntax.Binding(each.variable, each.rank) for each in tensor.dimensions)
    return syntax.TensorStatement(
        "tensor" if tensor.role == "computed" else tensor.role, syntax.Name(tensor.name), bindings
    )


def _equation(einsum: Einsum) -> syntax.Statement:
    span = einsum.span
    right = _expression(einsum.expression, span)
    if einsum.reduction is not None:
        variables = tuple(syntax.Name(name, span) for name in einsum.reduction.variables)
        right = syntax.Call(einsum.reduction.operator.reduces_as, (right,), variables, span)
    return syntax.EquationStatement(
        syntax.Subscript(einsum.tensor, _indices(einsum.indices, span), span),
        right,
        None if einsum.where is None else _predicate(einsum.where, span),
        None if einsum.otherwise is None else _expression(einsum.otherwise, span),
        einsum.is_init,
        span,
    )


def _expression(expression: Expression, span: Span) -> syntax.Expression:
    match expression:
        case Constant(value):
            return syntax.Number(value, span)
        case RankExtent(name) | Coordinate(name):
            return syntax.Name(name, span)
        case Read(tensor, indices):
            place = expression.span if expression.span.line else span
            return syntax.Subscript(tensor, _indices(indices, place), place)
        case Apply(operator, arguments):
            is_infix = len(arguments) == 2 or not operator.is_builtin or operator.name.isidentifier()
            name = operator.name if is_infix else operator.reduces_as
            return syntax.Call(name, tuple(_expression(argument, span) for argument in arguments), None, span)


def _predicate(predicate: Predicate, span: Span) -> syntax.Expression:
    match predicate:
        case Comparison(operator, left, right):
            return syntax.Call(operator, (_expression(left, span), _expression(right, span)), None, span)
        case And(operands) | Or(operands):
            word = "and" if isinstance(predicate, And) else "or"
            return syntax.Call(word, tuple(_predicate(operand, span) for operand in operands), None, span)
        case Not(operand):
            return syntax.Call("not", (_predicate(operand, span),), None, span)


def _indices(indices: tuple[Affine, ...], span: Span) -> tuple[syntax.Expression, ...]:
    return tuple(_index(index, span) for index in indices)


def _index(index: Affine, span: Span) -> syntax.Expression:
    terms = [_times(coefficient, syntax.Name(name, span), span) for name, coefficient in index.terms]
    return _sum([*terms, *([_extent(index.offset, span)] if index.offset or not terms else [])], span)


def _times(coefficient: Extent, factor: syntax.Expression, span: Span) -> syntax.Expression:
    return factor if coefficient == ONE else syntax.Call("*", (_extent(coefficient, span), factor), None, span)


def _extent(extent: Extent, span: Span) -> syntax.Expression:
    """Return an extent as a sum of products."""
    terms: list[syntax.Expression] = []
    for monomial, coefficient in extent.terms:
        atoms = [_atom(atom, span) for atom in monomial]
        factors = [*([syntax.Number(coefficient, span)] if coefficient != 1 or not atoms else []), *atoms]
        terms.append(reduce(lambda a, b: syntax.Call("*", (a, b), None, span), factors))
    return _sum(terms, span)


def _atom(atom: str | Quotient, span: Span) -> syntax.Expression:
    if isinstance(atom, str):
        return syntax.Name(atom, span)
    return syntax.Call("/", (_extent(atom.numerator, span), _extent(atom.denominator, span)), None, span)


def _sum(terms: Iterable[syntax.Expression], span: Span) -> syntax.Expression:
    found = list(terms)
    return reduce(lambda a, b: syntax.Call("+", (a, b), None, span), found) if found else syntax.Number(0, span)
