"""Turn the right sides of equations and their filters into checked expressions."""

import sys
from collections.abc import Iterable

from einsum_cascade.cascade import syntax
from einsum_cascade.cascade.checker.indices import report_unknown_variable, to_affine
from einsum_cascade.cascade.checker.scope import Scope
from einsum_cascade.cascade.ir import (
    And,
    Apply,
    Comparison,
    Constant,
    Coordinate,
    Expression,
    Not,
    Or,
    Predicate,
    RankExtent,
    Read,
    Reduction,
    expression_variables,
    is_product,
    predicate_variables,
)
from einsum_cascade.errors import Span
from einsum_cascade.wording import counted, listed, quoted

__all__ = ["names_in", "to_expression", "to_predicate", "to_right_side"]

_COMPARISONS = frozenset({"<", "<=", ">", ">=", "==", "!="})
_CONNECTIVES = frozenset({"and", "or", "not"})
_POPULATE = frozenset({"topk", "argmax"})
_AFFINE_ONLY = frozenset({"//", "%"})


def to_right_side(
    scope: Scope, right: syntax.Expression, left: frozenset[str], filtered: frozenset[str]
) -> tuple[Expression, Reduction | None] | None:
    """Turn a right side into the mapped expression and its reduction.

    Parameters
    ----------
    scope
        The names known.
    right
        The right side as written.
    left
        The rank variables of the left side.
    filtered
        The names that the filter mentions: a reduction may count what passes it.

    """
    if isinstance(right, syntax.Call) and right.variables is not None and right.operator not in _POPULATE:
        return _explicit_reduction(scope, right, left, filtered)
    expression = to_expression(scope, right)
    if expression is None:
        return None
    missing = tuple(name for name in dict.fromkeys(expression_variables(expression)) if name not in left)
    if not missing:
        return expression, None
    if not is_product(expression):
        names = ", ".join(missing)
        scope.report(
            f"{listed(missing)} must be reduced explicitly: a sum is implied only over one read, or a product or "
            f"quotient of reads and constants; write sum[{names}](...), or put {names} on the left",
            right.span,
        )
        return None
    return expression, Reduction(scope.operators["+"], missing)


def _explicit_reduction(
    scope: Scope, call: syntax.Call, left: frozenset[str], filtered: frozenset[str]
) -> tuple[Expression, Reduction | None] | None:
    if len(call.arguments) != 1:
        message = f"a reduction must have one argument, but {call.operator!r} has {len(call.arguments)}"
        scope.report(message, call.span)
        return None
    expression = to_expression(scope, call.arguments[0])
    operator = scope.operator(call.operator, call.span)
    if operator is not None and not operator.can_reduce:
        scope.report(
            f"operator {call.operator!r} must be associative and commutative and have an identity to reduce; "
            "declare them when it is registered, or use sum, max, min or prod",
            call.span,
        )
    names = [_reduced_variable(scope, node, left) for node in call.variables or ()]
    if expression is None or operator is None or not operator.can_reduce or None in names:
        return None
    occurring = dict.fromkeys(expression_variables(expression))
    missing = tuple(name for name in occurring if name not in left)
    counted_only = tuple(name for name in dict.fromkeys(names) if name in filtered and name not in occurring)
    iterated = (*missing, *filter(None, counted_only))
    return (expression, Reduction(operator, iterated)) if _names_match(scope, call, names, iterated) else None


def _reduced_variable(scope: Scope, node: syntax.Expression, left: frozenset[str]) -> str | None:
    if not isinstance(node, syntax.Name):
        scope.report("a reduction must name rank variables, separated by commas", node.span)
        return None
    if scope.rank_of(node.name) is None:
        report_unknown_variable(scope, node)
        return None
    if node.name in left:
        message = f"rank variable {node.name!r} must not be reduced, since it is on the left"
        scope.report(f"{message}; drop it on one side", node.span)
        return None
    return node.name


def _names_match(scope: Scope, call: syntax.Call, names: list[str | None], missing: tuple[str, ...]) -> bool:
    idle = [name for name in names if name is not None and name not in missing]
    forgotten = [name for name in missing if name not in names]
    twice = [name for name in dict.fromkeys(names) if name is not None and names.count(name) > 1]
    whole = f"{call.operator}[{', '.join(missing)}](...)"
    if forgotten:
        message = f"the reduction must name every variable missing on the left, but lacks {listed(forgotten)}"
        extra = f" and has {listed(idle)}, which does not occur" if idle else ""
        scope.report(f"{message}{extra}; write {whole}", call.span)
    elif idle:
        message = f"rank variable {idle[0]!r} must occur in what {call.operator!r} reduces, or in the filter"
        remedy = f"write {whole}" if missing else "drop the reduction"
        times = f", or multiply by the extent {scope.variables[idle[0]]} instead" if call.operator == "sum" else ""
        scope.report(f"{message}; {remedy}{times}", call.span)
    elif twice:
        message = f"rank variable {twice[0]!r} must be named once in a reduction, but is named twice"
        scope.report(f"{message}; write {whole}", call.span)
    return not (idle or forgotten or twice)


def names_in(node: syntax.Expression) -> frozenset[str]:
    """Return every name that an expression or a filter mentions."""
    match node:
        case syntax.Name(name):
            return frozenset({name})
        case syntax.Subscript(_, parts):
            return frozenset(name for part in parts for name in names_in(part))
        case syntax.Call(_, arguments, variables):
            return frozenset(name for part in (*arguments, *(variables or ())) for name in names_in(part))
        case syntax.Number():
            return frozenset()


def to_expression(scope: Scope, node: syntax.Expression) -> Expression | None:
    """Turn syntax into an expression of values; report and return None if it is not one."""
    match node:
        case syntax.Number(value, span):
            if isinstance(value, int) and abs(value) > sys.float_info.max:
                scope.report("a number that is no extent must be below 1.8e308; give a smaller one", span)
                return None
            return Constant(value)
        case syntax.Name(name) if name in scope.ranks:
            scope.used_ranks.add(name)
            return RankExtent(name)
        case syntax.Name(name):
            if name not in scope.tensors and scope.rank_of(name) is not None:
                return Coordinate(name)
            report_unknown_variable(scope, node)
            return None
        case syntax.Subscript():
            return _to_read(scope, node)
        case syntax.Call():
            return _to_call(scope, node)


def _to_read(scope: Scope, node: syntax.Subscript) -> Expression | None:
    indices = [to_affine(scope, index) for index in node.indices]
    if node.tensor not in scope.tensors:
        known = scope.tensors.keys()
        message = f"tensor {node.tensor!r} must be given or defined, but never is"
        scope.report_missing("tensor", f"{message}{scope.hint(node.tensor, known)}", node.span, node.tensor)
        return None
    tensor = scope.tensors[node.tensor]
    known_indices = tuple(index for index in indices if index is not None)
    if tensor is None or len(known_indices) < len(indices):
        return None
    if len(indices) != len(tensor.dimensions):
        ranks = ", ".join(dimension.rank for dimension in tensor.dimensions)
        message = f"tensor {node.tensor!r} must be read with {counted(len(tensor.dimensions), 'index')} ({ranks})"
        scope.report(f"{message}, not {len(indices)}", node.span, f"{node.tensor} with {len(indices)}")
        return None
    return Read(node.tensor, known_indices, node.span)


def _to_call(scope: Scope, node: syntax.Call) -> Expression | None:
    name = node.operator
    problem = _misplaced(name, is_reduction=node.variables is not None)
    if problem:
        scope.report(problem, node.span)
        return None
    arguments = [to_expression(scope, argument) for argument in node.arguments]
    operator = scope.operator(name, node.span)
    if operator is None:
        return None
    if operator.arity != len(arguments):
        message = f"operator {name!r} must have {counted(operator.arity, 'argument')}, not {len(arguments)}"
        hint = f"; to reduce with it, write {name}[variables](...)" if operator.can_reduce else ""
        scope.report(message + hint, node.span)
        return None
    known = tuple(argument for argument in arguments if argument is not None)
    return Apply(operator, known) if len(known) == len(arguments) else None


def _misplaced(name: str, *, is_reduction: bool) -> str | None:
    if name in _POPULATE:
        return (
            f"{name!r} populates a tensor with coordinates, but a tensor must be defined by map and reduce; "
            "give the coordinates as an input, or reduce to the values with max"
        )
    if name in _COMPARISONS or name in _CONNECTIVES:
        return f"{name!r} must stand in a filter; write it after where"
    if name in _AFFINE_ONLY:
        return f"{name!r} is unknown as an operator of values; use floor(a / b)"
    if is_reduction:
        return f"the reduction {name!r} must be the outermost operation; give it an equation of its own"
    return None


def to_predicate(scope: Scope, node: syntax.Expression, iteration: frozenset[str]) -> Predicate | None:
    """Turn a filter into a predicate whose variables all belong to the iteration space."""
    known_problems = len(scope.problems)
    predicate = _to_connective(scope, node)
    if predicate is None or len(scope.problems) > known_problems:
        return None
    found = predicate_variables(predicate)
    if not found:
        scope.report("a filter must depend on a rank variable, but names none; filter m as in m < M", node.span)
        return None
    stray = sorted(found - iteration)
    if stray:
        message = f"rank variable {stray[0]!r} must occur in the equation itself, but occurs only in its filter"
        known = f"use one of {quoted(sorted(iteration))}, or " if iteration else ""
        scope.report(f"{message}; {known}reduce over it, as in sum[{stray[0]}](...)", node.span)
        return None
    return predicate


def _to_connective(scope: Scope, node: syntax.Expression) -> Predicate | None:
    match node:
        case syntax.Call("and" | "or" as word, arguments):
            operands = _flatten(word, arguments)
            parts = tuple(part for operand in operands if (part := _to_connective(scope, operand)) is not None)
            if len(parts) < len(operands):
                return None
            return And(parts) if word == "and" else Or(parts)
        case syntax.Call("not", (argument,)):
            part = _to_connective(scope, argument)
            return None if part is None else Not(part)
        case syntax.Call(operator, (left, right)) if operator in _COMPARISONS:
            sides = _to_side(scope, left), _to_side(scope, right)
            return None if sides[0] is None or sides[1] is None else Comparison(operator, sides[0], sides[1])
        case _:
            message = "a filter must be made of comparisons joined by and, or, not"
            scope.report(f"{message}, such as m <= p", node.span)
            return None


def _flatten(word: str, operands: Iterable[syntax.Expression]) -> list[syntax.Expression]:
    flat: list[syntax.Expression] = []
    for operand in operands:
        is_same = isinstance(operand, syntax.Call) and operand.operator == word
        flat += _flatten(word, operand.arguments) if is_same and isinstance(operand, syntax.Call) else [operand]
    return flat


def _to_side(scope: Scope, node: syntax.Expression) -> Expression | None:
    """Turn one side of a comparison into an expression: sums and multiples of variables, extents and given tensors."""
    match node:
        case syntax.Call(operator, _, _, span) if operator not in ("+", "-", "*", "neg"):
            message = f"a filter must compare affine expressions and reads of inputs, but contains {operator!r}"
            remedy = (
                "compare with each of its arguments, joined by and, or"
                if operator in ("min", "max")
                else "use sums of variables times extents, such as m1*M0 + m0"
            )
            scope.report(f"{message}; {remedy}", span)
            return None
        case syntax.Call(operator, arguments):
            sides = [_to_side(scope, argument) for argument in arguments]
            known = tuple(side for side in sides if side is not None)
            return _apply_in_filter(scope, operator, known, node.span) if len(known) == len(sides) else None
        case syntax.Number() | syntax.Name() | syntax.Subscript():
            expression = to_expression(scope, node)
            if isinstance(expression, Read) and not _is_given(scope, expression):
                message = f"a filter must read inputs only, but {expression.tensor!r} is computed"
                scope.report(f"{message}; declare it as an input", node.span)
                return None
            return expression


def _is_given(scope: Scope, read: Read) -> bool:
    tensor = scope.tensors[read.tensor]
    return tensor is not None and tensor.is_given


def _apply_in_filter(scope: Scope, operator: str, sides: tuple[Expression, ...], span: Span) -> Expression | None:
    if operator == "*" and all(any(True for _ in expression_variables(side)) for side in sides):
        scope.report("a filter must be affine in the rank variables, but multiplies two of them", span)
        return None
    return Apply(scope.operators[operator], sides)
