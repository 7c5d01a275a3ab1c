"""Check equations: which tensor each defines, over which ranks, and what its right side is."""

from collections import defaultdict
from dataclasses import dataclass

from einsum_cascade.cascade import syntax
from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.checker.declarations import check_tensor_name
from einsum_cascade.cascade.checker.expressions import names_in, to_expression, to_predicate, to_right_side
from einsum_cascade.cascade.checker.indices import to_affine
from einsum_cascade.cascade.checker.scope import Scope
from einsum_cascade.cascade.ir import Dimension, Einsum, Tensor, expression_variables
from einsum_cascade.errors import Span
from einsum_cascade.wording import counted, listed

__all__ = ["check_equations"]


@dataclass(frozen=True, slots=True)
class _Left:
    """An equation with its left indices understood."""

    statement: syntax.EquationStatement
    indices: tuple[Affine, ...]

    @property
    def name(self) -> str:
        return self.statement.left.tensor

    @property
    def span(self) -> Span:
        return self.statement.left.span


def check_equations(scope: Scope, statements: tuple[syntax.EquationStatement, ...]) -> list[Einsum]:
    """Enter every computed tensor into the scope, then check every right side."""
    lefts = [_check_left(scope, statement) for statement in statements]
    by_tensor: defaultdict[str, list[_Left]] = defaultdict(list)
    for statement, left in zip(statements, lefts, strict=True):
        name = statement.left.tensor
        if left is None:
            scope.tensors.setdefault(name, None)
        elif check_tensor_name(scope, name, left.span):
            by_tensor[name].append(left)
    by_number_of_inits = sorted(by_tensor.items(), key=lambda item: all(not left.statement.is_init for left in item[1]))
    for name, equations in by_number_of_inits:
        _define(scope, name, equations)
    einsums = [_check_right(scope, left) for left in lefts if left is not None]
    return [einsum for einsum in einsums if einsum is not None]


def _check_left(scope: Scope, statement: syntax.EquationStatement) -> _Left | None:
    indices = [to_affine(scope, index) for index in statement.left.indices]
    known = tuple(index for index in indices if index is not None)
    return _Left(statement, known) if len(known) == len(indices) else None


def _define(scope: Scope, name: str, equations: list[_Left]) -> None:
    """Give the tensor its dimensions, from its declaration, its update or its one equation."""
    declared = scope.tensors.get(name)
    inits = [left for left in equations if left.statement.is_init]
    updates = [left for left in equations if not left.statement.is_init]
    if declared is not None and declared.is_given:
        for left in equations:
            message = f"tensor {name!r} is an {declared.role} and must not be written; choose another name"
            scope.refuse("tensor", message, left.span, name)
            scope.has_lone_init |= left.statement.is_init
        scope.tensors[name] = None
    elif name in scope.tensors:
        for left in inits if declared is not None else ():
            message = f"tensor {name!r} is declared and must not have an init; drop the tensor statement"
            scope.report(message, left.span)
    elif inits:
        scope.tensors[name] = _iterative_tensor(scope, name, inits, updates)
    else:
        for left in updates[1:]:
            if scope.has_lone_init and any(map(_is_step, left.indices)):
                continue  # its name is wrong, as is told where its init stands
            first = updates[0].span.line
            message = f"tensor {name!r} must be defined once, but is defined in line {first} already"
            remedy = "choose another name, or declare it with tensor and write disjoint regions"
            scope.refuse("tensor", f"{message}; {remedy}", left.span, f"{name} in line {left.span.line}")
        tensor = _plain_tensor(scope, name, updates[0])
        scope.tensors[name] = None if updates[1:] else tensor


def _plain_tensor(scope: Scope, name: str, left: _Left) -> Tensor | None:
    dimensions: list[Dimension] = []
    for index in left.indices:
        variable = index.plain
        if variable is None:
            is_step = _is_step(index)
            if is_step:
                message = f"tensor {name!r} steps in {index.stepped!r} and must have an init for its first generation"
                remedy = f"write init {name}[..., 0, ...] = ..., or declare {name!r} with a tensor statement"
            else:
                message = f"the left indices of {name!r} must be rank variables, not {str(index)!r}"
                remedy = f"declare {name!r} with a tensor statement"
            if not (is_step and scope.has_lone_init):
                scope.report(f"{message}; {remedy}", left.span)
            return None
        dimensions.append(Dimension(scope.variables[variable], variable))
    return Tensor(name, tuple(dimensions)) if _is_free_of_repeats(scope, left) else None


def _is_free_of_repeats(scope: Scope, left: _Left) -> bool:
    names = [name for index in left.indices for name in index.variables]
    repeated = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if repeated:
        message = f"rank variable {repeated[0]!r} must stand once on the left, but stands twice"
        scope.report(f"{message}; use two variables of the rank (var i, j : RANK)", left.span)
    return not repeated


def _iterative_tensor(scope: Scope, name: str, inits: list[_Left], updates: list[_Left]) -> Tensor | None:
    if len(updates) != 1:
        problem = "none" if not updates else f"{len(updates)}"
        scope.has_lone_init |= not updates
        message = f"iterative tensor {name!r} must have one equation for the next generation, but has {problem}"
        scope.report(f"{message}; write {name}[..., v+1, ...] = ...", (updates[1:] or inits)[0].span)
        return None
    update = updates[0]
    stepped = [axis for axis, index in enumerate(update.indices) if not index.plain]
    if len(stepped) != 1 or not _is_step(update.indices[stepped[0]]):
        message = f"iterative tensor {name!r} must step in one index by a whole number, as in v+1, the others plain"
        scope.report(f"{message}; write {name}[..., v+1, ...] = ...", update.span)
        return None
    if not _is_free_of_repeats(scope, update):
        return None
    axis = stepped[0]
    step = update.indices[axis].offset.value or 0
    variables = [index.stepped or "" for index in update.indices]
    if not _inits_are_whole(scope, name, inits, axis, step) or not all(
        _init_agrees(scope, update, init, axis) for init in inits
    ):
        return None
    dimensions = (Dimension(scope.variables[v], v, at == axis) for at, v in enumerate(variables))
    return Tensor(name, tuple(dimensions))


def _is_step(index: Affine) -> bool:
    return index.stepped is not None and (index.offset.value or 0) >= 1


def _inits_are_whole(scope: Scope, name: str, inits: list[_Left], axis: int, step: int) -> bool:
    """Check that the generations 0 .. step-1 are given, each once."""
    given: list[int] = []
    for init in inits:
        index = init.indices[axis] if axis < len(init.indices) else None
        value = index.offset.value if index is not None and not index.terms else None
        if value is None or not 0 <= value < step:
            wanted = "0" if step == 1 else f"one of 0 to {step - 1}"
            message = f"init of {name!r} must give generation {wanted} in index {axis + 1}, where its equation steps"
            scope.report(f"{message} by {step}", init.span)
            return False
        if value in given:
            scope.report(f"generation {value} of {name!r} must be given once, but is given twice", init.span)
            scope.has_lone_init = True
            return False
        given.append(value)
    missing = sorted(set(range(step)) - set(given))
    if missing:
        message = f"iterative tensor {name!r} steps by {step} and must have an init for generation {missing[0]}"
        scope.report(message, inits[0].span)
    return not missing


def _init_agrees(scope: Scope, update: _Left, init: _Left, axis: int) -> bool:
    def ranks(left: _Left) -> list[str | None]:
        plain = [index.plain for at, index in enumerate(left.indices) if at != axis]
        return [scope.variables[name] if name else None for name in plain]

    if ranks(update) == ranks(init) and _is_free_of_repeats(scope, init):
        return True
    wanted = ", ".join("0" if at == axis else str(index) for at, index in enumerate(update.indices))
    message = f"init of {init.name!r} must have the same ranks as its equation"
    scope.report(f"{message}; write init {init.name}[{wanted}] = ...", init.span)
    return False


def _check_right(scope: Scope, left: _Left) -> Einsum | None:
    statement = left.statement
    left_variables = frozenset(name for index in left.indices for name in index.variables)
    filtered = names_in(statement.where) if statement.where is not None else frozenset[str]()
    tensor = scope.tensors.get(left.name)
    if tensor is None:
        # Which variables the right side may have is not known: only what is wrong in itself is told.
        is_reduction = isinstance(statement.right, syntax.Call) and statement.right.variables is not None
        parts = (
            statement.right.arguments
            if isinstance(statement.right, syntax.Call) and is_reduction
            else (statement.right,)
        )
        for part in parts:
            to_expression(scope, part)
        return None
    right = to_right_side(scope, statement.right, left_variables, filtered)
    otherwise = to_expression(scope, statement.otherwise) if statement.otherwise is not None else None
    if right is None:
        scope.tensors[left.name] = None
        return None
    expression, reduction = right
    iteration = left_variables | frozenset(reduction.variables if reduction else ())
    where = to_predicate(scope, statement.where, iteration) if statement.where is not None else None
    stray = sorted(frozenset(expression_variables(otherwise)) - iteration) if otherwise else []
    if stray and statement.otherwise is not None:
        message = f"else must use the variables of its equation, but uses {listed(stray)}"
        scope.report(message, statement.otherwise.span)
        return None
    if (statement.where is not None and where is None) or (statement.otherwise is not None and otherwise is None):
        return None
    if tensor.is_given or not _has_right_arity(scope, left, tensor):
        return None
    return Einsum(left.name, left.indices, expression, reduction, where, otherwise, statement.is_init, statement.span)


def _has_right_arity(scope: Scope, left: _Left, tensor: Tensor) -> bool:
    if len(left.indices) == len(tensor.dimensions):
        return True
    ranks = ", ".join(dimension.rank for dimension in tensor.dimensions)
    message = f"tensor {left.name!r} must be written with {counted(len(tensor.dimensions), 'index')} ({ranks})"
    scope.report(f"{message}, not {len(left.indices)}", left.span)
    return False
