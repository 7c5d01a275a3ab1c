"""Turn syntax into extents and into affine indices."""

from einsum_cascade.cascade import syntax
from einsum_cascade.cascade.affine import Affine, affine_constant, affine_variable
from einsum_cascade.cascade.checker.scope import Scope
from einsum_cascade.cascade.extent import Extent, ceil_div, constant, symbol
from einsum_cascade.units import MOST_DIGITS, has_many_digits
from einsum_cascade.wording import listed

__all__ = ["report_unknown_variable", "to_affine", "to_extent"]


def to_extent(scope: Scope, expression: syntax.Expression) -> Extent | None:
    """Turn an expression over ranks and integers into an extent; report and return None if it is not one."""
    match expression:
        case syntax.Number(value) if isinstance(value, int):
            return constant(value)
        case syntax.Name(name) if name in scope.ranks:
            scope.used_ranks.add(name)
            return symbol(name)
        case syntax.Name(name, span):
            message = f"rank {name!r} must be declared{scope.hint(name, scope.ranks)}"
            scope.report_missing("rank", message, span, name)
        case syntax.Call("+" | "-" | "*" | "/" | "neg" as operator, arguments, None, span):
            operands = [to_extent(scope, argument) for argument in arguments]
            known = [operand for operand in operands if operand is not None]
            if len(known) < len(operands):
                return None
            if operator == "/" and known[1].value == 0:
                scope.report("an extent must not be divided by 0", span)
                return None
            found = _combine(operator, known)
            if any(has_many_digits(coefficient) for _, coefficient in found.terms):
                scope.report(f"a number of an extent must have at most {MOST_DIGITS} digits; use smaller ones", span)
                return None
            return found
        case _:
            message = "an extent must be made of ranks and whole numbers with + - * / ( )"
            scope.report(f"{message}, where / is the ceiling", expression.span)
    return None


def _combine(operator: str, operands: list[Extent]) -> Extent:
    match operator:
        case "+":
            return operands[0] + operands[1]
        case "-":
            return operands[0] - operands[1]
        case "*":
            return operands[0] * operands[1]
        case "/":
            return ceil_div(operands[0], operands[1])
        case _:
            return -operands[0]


def to_affine(scope: Scope, expression: syntax.Expression) -> Affine | None:
    """Turn an expression into an affine index; report and return None if it is not one."""
    match expression:
        case syntax.Number(value, span):
            if isinstance(value, int):
                return affine_constant(constant(value))
            scope.report(f"an index must be made of whole numbers, not {value!r}", span)
        case syntax.Name(name) if name in scope.ranks:
            scope.used_ranks.add(name)
            return affine_constant(symbol(name))
        case syntax.Name(name, span):
            if scope.rank_of(name) is not None:
                return affine_variable(name)
            report_unknown_variable(scope, expression)
        case syntax.Call("+" | "-" | "neg" | "*" | "/" as operator, arguments, None):
            operands = [to_affine(scope, argument) for argument in arguments]
            known = [operand for operand in operands if operand is not None]
            return _combine_affine(scope, expression, operator, known) if len(known) == len(operands) else None
        case syntax.Subscript(tensor, _, span):
            message = f"an index must be affine in the rank variables, but reads {tensor!r}"
            scope.report(f"{message}; gather before the cascade, and give what is gathered as an input", span)
        case syntax.Call(operator, _, _, span):
            message = f"an index must be affine in the rank variables, but contains {operator!r}"
            scope.report(f"{message}; use sums of variables times extents, such as m1*M0 + m0", span)
    return None


def report_unknown_variable(scope: Scope, name: syntax.Name) -> None:
    """Complain about a name that is neither a rank nor a rank variable."""
    known = scope.known_variables() | scope.ranks.keys()
    owners = [rank for rank in scope.ranks if rank.lower() == name.name]
    if owners and name.name in scope.tensors:
        message = (
            f"{name.name!r} must be a rank variable of {listed(owners)} or a tensor, but is both; rename the tensor"
        )
    elif owners:
        message = f"rank variable {name.name!r} could belong to {listed(owners)}; bind it as v:{owners[0]}"
    elif name.name in scope.tensors:
        message = f"tensor {name.name!r} must be read with its indices in brackets, as {name.name}[...]"
    else:
        message = f"{name.name!r} must be a rank or a rank variable, but is unknown{scope.hint(name.name, known)}"
    if not {name.name.upper(), name.name.lower()} & (scope.blamed - {name.name}):
        scope.report_missing("rank", message, name.span, name.name)


def _combine_affine(scope: Scope, call: syntax.Call, operator: str, operands: list[Affine]) -> Affine | None:
    match operator:
        case "+":
            return operands[0] + operands[1]
        case "-":
            return operands[0] - operands[1]
        case "neg":
            return -operands[0]
        case "*" if not operands[0].terms:
            return operands[1].scaled(operands[0].offset)
        case "*" if not operands[1].terms:
            return operands[0].scaled(operands[1].offset)
        case "/" if not operands[0].terms and not operands[1].terms and operands[1].offset.value != 0:
            return affine_constant(ceil_div(operands[0].offset, operands[1].offset))
        case _:
            sign = "multiplies two rank variables" if operator == "*" else "divides"
            message = f"an index must be affine in the rank variables, but {sign}"
            scope.report(f"{message}; use sums of variables times extents, such as m1*M0 + m0", call.span)
            return None
