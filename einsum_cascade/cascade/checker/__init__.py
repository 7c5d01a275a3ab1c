"""The checker: the only way from syntax to a `Cascade`.

It decides what every name means and which rules hold, and reports all mistakes that it finds at once. It computes no
property beyond that; the analysis does.
"""

from dataclasses import replace

from einsum_cascade.cascade import syntax
from einsum_cascade.cascade.checker.declarations import check_declarations, with_implied_ranks
from einsum_cascade.cascade.checker.equations import check_equations
from einsum_cascade.cascade.checker.expressions import names_in
from einsum_cascade.cascade.checker.index_bounds import check_bounds
from einsum_cascade.cascade.checker.order import check_order
from einsum_cascade.cascade.checker.regions import check_regions
from einsum_cascade.cascade.checker.scope import Scope
from einsum_cascade.cascade.ir import Cascade, Einsum, Tensor
from einsum_cascade.cascade.operators import OPERATORS, Registry
from einsum_cascade.errors import CheckError, Span

__all__ = ["check"]


def check(module: syntax.Module, operators: Registry = OPERATORS) -> Cascade:
    """Check a module and return the cascade it describes.

    Parameters
    ----------
    module
        From the text parser or from the Python builder.
    operators
        The operators that may occur.

    Raises
    ------
    CheckError
        With every mistake that was found.

    """
    scope = Scope(operators)
    module = replace(module, statements=with_implied_ranks(module.statements))
    check_declarations(scope, module.statements)
    equations = tuple(s for s in module.statements if isinstance(s, syntax.EquationStatement))
    einsums = check_equations(scope, equations)
    strayed = check_bounds(scope, einsums)
    check_regions(scope, einsums, strayed)
    suspects = frozenset(e.left.tensor for e in equations) - {e.tensor for e in einsums}
    check_order(scope, einsums, suspects, strayed)
    _check_declared_tensors(scope, module)
    outputs = _check_outputs(scope, module)
    _check_ranks_are_used(scope, module)
    if scope.problems:
        raise CheckError(scope.problems)
    tensors = [tensor for tensor in scope.tensors.values() if tensor is not None]
    return Cascade(
        module.name,
        tuple(scope.ranks.values()),
        tuple(sorted((name, scope.variables[name]) for name in scope.used_variables)),
        tuple(t for t in tensors if t.is_given) + _in_order_of_definition(tensors, einsums),
        tuple(einsums),
        outputs,
        tuple(scope.relations),
        module.documentation,
    )


def _in_order_of_definition(tensors: list[Tensor], einsums: list[Einsum]) -> tuple[Tensor, ...]:
    by_name = {tensor.name: tensor for tensor in tensors}
    return tuple(by_name[name] for name in dict.fromkeys(einsum.tensor for einsum in einsums))


def _check_declared_tensors(scope: Scope, module: syntax.Module) -> None:
    written = {s.left.tensor for s in module.statements if isinstance(s, syntax.EquationStatement)}
    for statement in module.statements:
        if isinstance(statement, syntax.TensorStatement) and statement.role == "tensor":
            name = statement.name
            if name.name not in written:
                scope.report(f"tensor {name.name!r} must be defined by an equation, but never is", name.span)


def _check_outputs(scope: Scope, module: syntax.Module) -> tuple[str, ...]:
    names: list[str] = []
    for statement in module.statements:
        if not isinstance(statement, syntax.OutputStatement):
            continue
        for name in statement.names:
            tensor = scope.tensors.get(name.name)
            if name.name not in scope.tensors:
                hint = scope.hint(name.name, scope.tensors)
                message = f"output {name.name!r} must be defined by an equation, but never is{hint}"
                scope.report_missing("tensor", message, name.span, name.name)
            elif tensor is not None and tensor.is_given:
                message = f"output {name.name!r} must be defined by an equation, but is an {tensor.role}"
                scope.report(message, name.span, name.name)
            elif name.name in names:
                scope.report(f"output {name.name!r} must be named once, but is named twice", name.span)
            else:
                names.append(name.name)
    if not any(isinstance(statement, syntax.OutputStatement) for statement in module.statements):
        message = "a cascade must have an output, but this one has none; end it with output T"
        scope.report(message, _end_of(module))
    return tuple(names)


def _end_of(module: syntax.Module) -> Span:
    for statement in reversed(module.statements):
        if isinstance(statement, syntax.EquationStatement):
            return statement.span
    return module.span


def _mentioned_ranks(scope: Scope, module: syntax.Module) -> frozenset[str]:
    """Return the ranks that equations mention, those that did not check included."""
    mentioned: set[str] = set()
    for statement in module.statements:
        if isinstance(statement, syntax.EquationStatement):
            parts = (statement.left, statement.right, statement.where, statement.otherwise)
            mentioned |= {name for part in parts if part is not None for name in names_in(part)}
    return frozenset(scope.variables.get(name) or scope.default_rank(name) or name for name in mentioned)


def _check_ranks_are_used(scope: Scope, module: syntax.Module) -> None:
    if scope.blamed or scope.doubtful_ranks:
        return  # where a name is wrong, another one is unused
    used = scope.used_ranks | {d.rank for tensor in scope.tensors.values() if tensor for d in tensor.dimensions}
    used |= _mentioned_ranks(scope, module)
    for statement in module.statements:
        if isinstance(statement, syntax.RankStatement):
            name = statement.name
            if name.name in scope.ranks and name.name not in used:
                message = f"rank {name.name!r} must be used by a tensor or an extent, but is not; remove it"
                scope.report(message, name.span)
