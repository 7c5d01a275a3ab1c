"""Check the statements that declare: operators, ranks, variables, given and declared tensors."""

from collections.abc import Iterable, Mapping

from einsum_cascade.cascade import syntax
from einsum_cascade.cascade.checker.indices import to_extent
from einsum_cascade.cascade.checker.scope import RESERVED, Scope
from einsum_cascade.cascade.extent import Atom, Extent, symbol
from einsum_cascade.cascade.ir import Dimension, Rank, Tensor
from einsum_cascade.cascade.partition import definition
from einsum_cascade.cascade.relation import RELATIONS, Relation
from einsum_cascade.errors import Span
from einsum_cascade.units import MOST_DIGITS, has_many_digits
from einsum_cascade.wording import listed

__all__ = ["check_declarations", "with_implied_ranks"]

_MOST_FACTORS = 32


def with_implied_ranks(statements: Iterable[syntax.Statement]) -> tuple[syntax.Statement, ...]:
    """Declare the ranks that only a relation introduces: `rank G >= 2` is `rank G` as well if nothing else is."""
    found = tuple(statements)
    declared = {statement.name.name for statement in found if isinstance(statement, syntax.RankStatement)}
    result: list[syntax.Statement] = []
    for statement in found:
        match statement:
            case syntax.RelationStatement(syntax.Call(_, (syntax.Name(name) as left, _))) if name not in declared:
                declared.add(name)
                result.append(syntax.RankStatement(left, None))
            case _:
                pass
        result.append(statement)
    return tuple(result)


def check_declarations(scope: Scope, statements: Iterable[syntax.Statement]) -> None:
    """Enter every declared name into the scope."""
    statements = tuple(statements)
    for statement in statements:
        match statement:
            case syntax.OperatorStatement(names):
                _check_operators(scope, names)
            case syntax.RankStatement():
                _declare_rank(scope, statement)
            case _:
                pass
    _order_ranks(scope, [s for s in statements if isinstance(s, syntax.RankStatement)])
    scope.relations += filter(
        None, (_relation(scope, s) for s in statements if isinstance(s, syntax.RelationStatement))
    )
    for statement in statements:
        match statement:
            case syntax.VariableStatement(names, rank):
                for name in names:
                    bind_variable(scope, name.name, rank.name, name.span)
            case syntax.TensorStatement(_, _, bindings):
                for binding in bindings:
                    if binding.variable and binding.rank:
                        bind_variable(scope, binding.variable, binding.rank, binding.span)
            case _:
                pass
    for statement in statements:
        if isinstance(statement, syntax.TensorStatement):
            _declare_tensor(scope, statement)


def _check_operators(scope: Scope, names: tuple[syntax.Name, ...]) -> None:
    for name in names:
        if name.name not in scope.operators:
            scope.missing_operators.add(name.name)
            scope.report(
                f"operator {name.name!r} must be registered before the cascade is checked; register it in Python, "
                "or give the file that does with --operators",
                name.span,
            )


def _declare_rank(scope: Scope, statement: syntax.RankStatement) -> None:
    name, span = statement.name.name, statement.name.span
    if not name[:1].isupper():
        message = f"a rank name must start upper-case, unlike {name!r}; did you mean {name.upper()!r}?"
        scope.refuse("rank", message, span, name)
        return
    if name in scope.ranks:
        message = f"rank {name!r} must have one extent, but is declared twice; remove one declaration"
        scope.refuse("rank", message, span, name)
        return
    alias = statement.extent.name if isinstance(statement.extent, syntax.Name) else None
    if alias is not None:
        if alias != name:
            scope.ranks[name] = Rank(name, None, alias)
            return
        scope.report(f"rank {name!r} must not be an alias of itself; name another rank", span)
        scope.doubtful_ranks.add(name)
    scope.ranks[name] = Rank(name)


def _order_ranks(scope: Scope, statements: list[syntax.RankStatement]) -> None:
    """Give every rank its default and sort ranks so that each follows those its extent is made of."""
    needs: dict[str, frozenset[str]] = {}
    spans = {statement.name.name: statement.name.span for statement in reversed(statements)}
    for statement in statements:
        name = statement.name.name
        if name not in scope.ranks or name in needs:
            continue
        alias = scope.ranks[name].alias_of
        extent = None if alias else _default_extent(scope, statement)
        needs[name] = _known_rank(scope, alias, statement) if alias else extent.names if extent else frozenset[str]()
        if not alias:
            scope.ranks[name] = Rank(name, extent)
        elif not needs[name]:
            scope.ranks[name] = Rank(name)
        scope.used_ranks |= needs[name]
    ordered: dict[str, Rank] = {}
    while len(ordered) < len(needs):
        ready = [name for name in needs if name not in ordered and needs[name] <= ordered.keys()]
        if not ready:
            stuck = [name for name in needs if name not in ordered]
            message = f"the extent of rank {stuck[0]!r} must not depend on itself; give {listed(stuck)} numbers"
            scope.report(message, spans[stuck[0]])
            scope.doubtful_ranks |= set(stuck)
            ready = stuck
            ordered |= {name: Rank(name) for name in stuck}
        ordered |= {name: scope.ranks[name] for name in ready if name not in ordered}
    scope.ranks.clear()
    scope.ranks.update(ordered)
    _refuse_large_extents(scope, spans)


def _refuse_large_extents(scope: Scope, spans: Mapping[str, Span]) -> None:
    """Refuse ranks whose extents are too large to be written out: a few squares of squares suffice for it."""
    values: dict[str, int] = {}
    degrees: dict[str, int] = {}
    for name, rank in scope.ranks.items():
        extent = definition(rank)
        degrees[name] = 1 if extent == symbol(name) else _degree(extent, degrees)
        if extent.names <= values.keys():
            values[name], degrees[name] = _value(extent, values), 0
        if has_many_digits(values.get(name, 0)):
            what = f"have at most {MOST_DIGITS} digits, but has more"
        elif degrees[name] > _MOST_FACTORS:
            what = f"be a product of at most {_MOST_FACTORS} ranks, but is one of {degrees[name]}"
        else:
            continue
        scope.report(f"the extent of rank {name!r} must {what}; make it of smaller ones", spans[name])
        scope.doubtful_ranks.add(name)
        scope.ranks[name], degrees[name] = Rank(name), 1
        values.pop(name, None)


def _value(extent: Extent, values: Mapping[str, int]) -> int:
    try:
        return extent.evaluate(values)
    except ZeroDivisionError:  # which is told where the extent is needed
        return 0


def _degree(extent: Extent, degrees: Mapping[str, int]) -> int:
    """Return how many ranks are multiplied at most, once the extent is written over ranks that have no number."""
    terms = ((_degree_of(atom, degrees) for atom in monomial) for monomial, _ in extent.terms)
    return max(map(sum, terms), default=0)


def _degree_of(atom: Atom, degrees: Mapping[str, int]) -> int:
    if isinstance(atom, str):
        return degrees.get(atom, 1)
    return max(1, _degree(atom.numerator, degrees), _degree(atom.denominator, degrees))


def _known_rank(scope: Scope, alias: str, statement: syntax.RankStatement) -> frozenset[str]:
    if alias in scope.ranks:
        return frozenset({alias})
    span = statement.extent.span if statement.extent else statement.name.span
    scope.report_missing("rank", f"rank {alias!r} must be declared{scope.hint(alias, scope.ranks)}", span, alias)
    scope.doubtful_ranks.add(statement.name.name)
    return frozenset()


def _default_extent(scope: Scope, statement: syntax.RankStatement) -> Extent | None:
    if statement.extent is None:
        return None
    extent = to_extent(scope, statement.extent)
    if extent is None:
        scope.doubtful_ranks.add(statement.name.name)
    return extent


def _relation(scope: Scope, statement: syntax.RelationStatement) -> Relation | None:
    comparison = statement.comparison
    used = frozenset(scope.used_ranks)
    sides = [to_extent(scope, side) for side in comparison.arguments]
    scope.used_ranks &= used  # a relation says something of a rank, but does not use it
    left, right = sides
    if left is None or right is None:
        return None
    if comparison.operator not in RELATIONS:
        message = f"a relation of extents must be one of {', '.join(RELATIONS)}, not {comparison.operator!r}"
        scope.report(message, comparison.span)
        return None
    relation = Relation(comparison.operator, left, right)
    if not relation.names:
        scope.report("a relation must be about a rank, but names none; remove it", comparison.span)
        return None
    return relation


def bind_variable(scope: Scope, variable: str, rank: str, span: Span) -> None:
    """Bind a rank variable to a rank."""
    if rank not in scope.ranks:
        message = f"rank {rank!r} must be declared{scope.hint(rank, scope.ranks)}"
        scope.report_missing("rank", message, span, rank)
        scope.blamed.add(variable)
    elif variable in RESERVED or variable in scope.operators:
        scope.report(f"{variable!r} is reserved and must not name a rank variable; choose another name", span, variable)
    elif variable[:1].isupper():
        message = f"a rank variable must start lower-case, unlike {variable!r}; did you mean {variable.lower()!r}?"
        scope.report(message, span, variable)
    elif scope.variables.setdefault(variable, rank) != rank:
        scope.used_ranks.add(rank)
        first = scope.variables[variable]
        message = f"rank variable {variable!r} must belong to one rank, but is bound to {first!r} and to {rank!r}"
        scope.report(f"{message}; use two variables", span, variable)


def _declare_tensor(scope: Scope, statement: syntax.TensorStatement) -> None:
    name, span = statement.name.name, statement.name.span
    if not check_tensor_name(scope, name, span):
        return
    if name in scope.tensors:
        message = f"tensor {name!r} must be declared once, but is declared twice; rename one of them"
        scope.refuse("tensor", message, span, f"{name} twice")
        scope.tensors[name] = None
        return
    dimensions = [_dimension(scope, binding) for binding in statement.bindings]
    role = "computed" if statement.role == "tensor" else statement.role
    known = tuple(dimension for dimension in dimensions if dimension)
    is_whole = len(known) == len(dimensions)
    scope.tensors[name] = Tensor(name, known, role, statement.role == "tensor") if is_whole else None


def check_tensor_name(scope: Scope, name: str, span: Span) -> bool:
    """Refuse names that mean something else."""
    if name in RESERVED or name in scope.operators:
        message = f"{name!r} is reserved and must not name a tensor; choose another name"
        scope.refuse("tensor", message, span, name)
        scope.tensors[name] = None
        return False
    return True


def _dimension(scope: Scope, binding: syntax.Binding) -> Dimension | None:
    variable, rank = binding.variable, binding.rank
    scope.used_ranks.add(rank)
    if rank and rank not in scope.ranks:
        message = f"rank {rank!r} must be declared{scope.hint(rank, scope.ranks)}"
        scope.report_missing("rank", message, binding.span, rank)
        return None
    if not variable:
        variable = rank.lower()
        if scope.default_rank(variable) is None or scope.variables.get(variable, rank) != rank:
            scope.report(
                f"rank {rank!r} needs a variable of its own, since {variable!r} belongs to another rank as well; "
                f"write v:{rank}",
                binding.span,
            )
            scope.blamed.add(variable)
            return None
    found = scope.rank_of(variable)
    if found is None:
        scope.report(
            f"rank variable {variable!r} must belong to a rank; bind it as {variable}:RANK, or declare rank "
            f"{variable.upper()!r}{scope.hint(variable, scope.known_variables())}",
            binding.span,
            variable,
        )
        return None
    if rank not in ("", found):
        return None  # the variable is bound to another rank, as is told
    return Dimension(found, variable)
