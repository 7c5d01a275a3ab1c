"""Which work of the array each Einsum of a cascade is: recognised by what it computes, never by a name.

The array multiplies keys by queries into scores, takes maxima and sums down its columns, exponentials in place, and
products of scores with values down its columns. The vector row keeps running maxima, sums and products, corrected as
the maximum rises, or the keys are gone over again once the maximum of all is known. An Einsum that is none of these is
refused, and named.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.extent import symbol
from einsum_cascade.cascade.ir import Apply, Cascade, Einsum, Expression, Read
from einsum_cascade.errors import IllegalMappingError
from einsum_cascade.mapping.merging import merge_products
from einsum_cascade.mapping.workload import Access, Task, Workload
from einsum_cascade.program.restrictions import unmet_restrictions
from einsum_cascade.program.scaling import is_scaled

__all__ = ["KERNELS", "ArrayWork", "Kernel", "Operand", "Role", "kernels_in", "recognise"]

type Role = Literal[
    "product",
    "maximum",
    "running maximum",
    "exponential",
    "sum",
    "combine",
    "correction",
    "running sum",
    "running combine",
    "quotient",
    "weights",
    "sigmoid",
]


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor in memory, and which of its axes are what.

    Parameters
    ----------
    tensor
        Its name.
    axes
        The range of every axis, in the order of the tensor.

    """

    tensor: str
    axes: tuple[str, ...]


@dataclass(frozen=True)
class ArrayWork:
    """What the array does for a cascade.

    Parameters
    ----------
    workload
        The tasks of the cascade, products merged into what adds them.
    kernel
        Which works, in what order.
    tasks
        By role, the Einsum.
    query, key, value, output
        Tensors in memory. `query` is None where the scores are given, as `key`; `value` is None if there are none.
    shared, group
        Ranges of heads that queries share with keys, and that only queries have, in order.
    steps, rows, columns, outputs
        Ranges: E of a product (None without one), M over rows, P over columns, F of a value (None without values).

    """

    workload: Workload
    kernel: "Kernel"
    tasks: Mapping[Role, Einsum]
    query: Operand | None
    key: Operand
    value: Operand | None
    output: Operand
    shared: tuple[str, ...]
    group: tuple[str, ...]
    steps: str | None
    rows: str
    columns: str
    outputs: str | None

    @property
    def cascade(self) -> Cascade:
        """The cascade, products merged into what adds them."""
        return self.workload.cascade

    @property
    def scores(self) -> Einsum:
        """The Einsum that makes the scores, or the first that reads them."""
        return next(iter(self.tasks.values()))


_REMEDY = (
    "write it as attention with running maxima, with its division deferred or with a sigmoid, as a softmax, or as a "
    "product of two inputs, or compute it elsewhere"
)


def recognise(cascade: Cascade) -> ArrayWork:
    """Return what the array does for a cascade.

    Raises
    ------
    IllegalMappingError
        An Einsum is no work of the array, or the works do not make up a kernel; a sentence each.

    """
    merged = merge_products(cascade)
    workload = Workload(merged)
    tried = [_tried(workload, kernel) for kernel in KERNELS]
    # A cascade that is none is told of the kernel that it is nearest to.
    kernel, roles, refused = min(tried, key=lambda each: (len(each[2]), len(each[0].roles) - len(each[1])))
    if refused:
        raise IllegalMappingError(refused)
    if len(roles) < len(kernel.roles):
        needed, found = f"{kernel.name} ({', '.join(kernel.roles)})", ", ".join(roles) or "none"
        raise IllegalMappingError(
            [f"all works of {needed} must be there for the array, but {cascade.name!r} has {found}; {_REMEDY}"]
        )
    named: dict[str, Task] = {**roles}
    unmet = [*unmet_restrictions(workload, named, kernel.output, is_tiled=kernel.is_tiled)]
    if unmet:
        raise IllegalMappingError(unmet)
    return _work(workload, kernel, roles)


def kernels_in(workload: Workload) -> Iterator[tuple["Kernel", Mapping[Role, Task]]]:
    """Yield every kernel all of whose works are there, and its tasks by their roles; there may be others."""
    for kernel in KERNELS:
        _, roles, _ = _tried(workload, kernel)
        if len(roles) == len(kernel.roles):
            yield kernel, roles


def _tried(workload: Workload, kernel: "Kernel") -> tuple["Kernel", dict[Role, Task], list[str]]:
    """Return the tasks by their roles in a kernel, and a refusal of every one that has none."""
    roles: dict[Role, Task] = {}
    refused: list[str] = []
    for task in workload.tasks:
        scene = _Scene(workload, kernel, roles, task)
        role: Role | None = next((name for name, test in kernel.roles.items() if test(scene)), None)
        if role is None or role in roles:
            refused.append(_refusal(workload.cascade.einsums[task.number], role))
        else:
            roles[role] = task
    return kernel, {role: roles[role] for role in kernel.roles if role in roles}, refused


def _refusal(einsum: Einsum, role: str | None) -> str:
    operators = sorted({node.operator.name for node in _applied(einsum.expression)})
    if einsum.reduction:
        operators.append(f"{einsum.reduction.operator.name} over {', '.join(einsum.reduction.variables)}")
    what = f"a second {role}" if role else f"{' and '.join(operators) or 'a copy'} in this place"
    return f"the array must be able to do every Einsum, but {einsum} needs {what}; {_REMEDY}"


def _applied(expression: Expression) -> Iterator[Apply]:
    if isinstance(expression, Apply):
        yield expression
        for argument in expression.arguments:
            yield from _applied(argument)


@dataclass(frozen=True)
class _Scene:
    """A task, and the roles of those before it."""

    workload: Workload
    kernel: "Kernel"
    roles: Mapping[Role, Task]
    task: Task

    @property
    def einsum(self) -> Einsum:
        return self.workload.cascade.einsums[self.task.number]

    def reads(self, expression: Expression, role: Role, offset: int | None = None) -> bool:
        """Tell whether an expression reads the result of a role, at a generation `offset` after the tile's own."""
        found = self.roles.get(role)
        if not isinstance(expression, Read) or found is None or expression.tensor != found.write.tensor:
            return False
        axis = self.workload.cascade.tensor[expression.tensor].generation_axis
        return offset is None or axis is None or _shift(expression.indices[axis]) == offset

    def reads_scores(self, expression: Expression) -> bool:
        """Tell whether an expression reads the scores: a product, or the one input that is taken as scores."""
        if "product" in self.kernel.roles:
            return self.reads(expression, "product")
        seen = self.roles.get("maximum")
        return self.is_given(expression) and (
            seen is None or self._source(cast(Read, expression)) == seen.reads[0].tensor
        )

    def reads_itself(self, expression: Expression) -> bool:
        """Tell whether an expression reads the previous generation of what the task writes."""
        axis = self.workload.cascade.tensor[self.task.write.tensor].generation_axis
        return (
            isinstance(expression, Read)
            and axis is not None
            and expression.tensor == self.task.write.tensor
            and _shift(expression.indices[axis]) == 0
            and _shift(self.einsum.indices[axis]) == 1
        )

    def is_final(self, read: Read) -> bool:
        """Tell whether the last generation is read."""
        tensor = self.workload.cascade.tensor[read.tensor]
        axis = tensor.generation_axis
        if axis is None:
            return False
        return not read.indices[axis].terms and read.indices[axis].offset == symbol(tensor.dimensions[axis].rank)

    def is_given(self, expression: Expression) -> bool:
        """Tell whether an expression reads an input, renamed or not."""
        if not isinstance(expression, Read):
            return False
        return self.workload.cascade.tensor[self._source(expression)].is_given

    def _source(self, read: Read) -> str:
        views, name = self.workload.views, read.tensor
        while name in views:
            (name,) = (read.tensor for read in views[name].reads)
        return name

    def applies(self, operator: str) -> tuple[Expression, ...]:
        """Return the arguments, if the expression applies an operator; nothing otherwise."""
        expression = self.einsum.expression
        is_applied = isinstance(expression, Apply) and expression.operator.name == operator
        return cast(Apply, expression).arguments if is_applied else ()

    def is_reduced_by(self, operator: str | None) -> bool:
        """Tell whether the reduction is by an operator, over one variable."""
        found = self.einsum.reduction
        if operator is None or found is None:
            return operator is None and found is None
        return found.operator.name == operator and len(found.variables) == 1

    def either(self, operator: str, first: Callable[[Expression], bool], second: Callable[[Expression], bool]) -> bool:
        """Tell whether the expression applies a commutative operator to two things, in either order."""
        match self.applies(operator):
            case (a, b):
                return (first(a) and second(b)) or (first(b) and second(a))
            case _:
                return False


def _shift(index: Affine) -> int | None:
    return index.offset.value if index.stepped is not None else None


def _is_product(scene: _Scene) -> bool:
    is_unfiltered_otherwise = scene.einsum.otherwise is None
    return scene.is_reduced_by("+") and scene.either("*", scene.is_given, scene.is_given) and is_unfiltered_otherwise


def _is_maximum(scene: _Scene) -> bool:
    return scene.is_reduced_by("max") and scene.reads_scores(scene.einsum.expression) and not scene.einsum.where


def _is_running_maximum(scene: _Scene) -> bool:
    is_plain = scene.is_reduced_by(None) and not scene.einsum.where
    return is_plain and scene.either("max", scene.reads_itself, lambda e: scene.reads(e, "maximum"))


def _is_exponential(scene: _Scene) -> bool:
    """Take the exponential less the maximum so far, or less that of all keys if there is no running one."""
    match (*scene.applies("exp"), *scene.applies("expsub")):
        case (Apply(operator, (score, maximum)),) if operator.name == "-":
            pass
        case (score, maximum):
            pass
        case _:
            return False
    is_plain = scene.is_reduced_by(None) and not scene.einsum.where
    highest: Role = "running maximum" if scene.kernel.is_tiled else "maximum"
    return is_plain and scene.reads_scores(score) and scene.reads(maximum, highest, 1)


def _is_sum(scene: _Scene) -> bool:
    return scene.is_reduced_by("+") and scene.reads(scene.einsum.expression, "exponential") and not scene.einsum.where


def _is_combine(scene: _Scene) -> bool:
    is_plain = scene.is_reduced_by("+") and not scene.einsum.where
    weights: Role = "sigmoid" if "sigmoid" in scene.kernel.roles else "exponential"
    return is_plain and scene.either("*", lambda e: scene.reads(e, weights), scene.is_given)


def _is_correction(scene: _Scene) -> bool:
    match (*scene.applies("exp"), *scene.applies("expsub")):
        case (Apply(operator, (old, new)),) if operator.name == "-":
            pass
        case (old, new):
            pass
        case _:
            return False
    is_plain = scene.is_reduced_by(None) and not scene.einsum.where
    return is_plain and scene.reads(old, "running maximum", 0) and scene.reads(new, "running maximum", 1)


def _runs(role: Role) -> Callable[[_Scene], bool]:
    def test(scene: _Scene) -> bool:
        def is_corrected(expression: Expression) -> bool:
            if not isinstance(expression, Apply) or expression.operator.name != "*" or len(expression.arguments) != 2:
                return False
            a, b = expression.arguments
            orders = (a, b), (b, a)
            return any(scene.reads_itself(own) and scene.reads(factor, "correction") for own, factor in orders)

        is_plain = scene.is_reduced_by(None) and not scene.einsum.where
        return is_plain and scene.either("+", lambda e: scene.reads(e, role), is_corrected)

    return test


def _is_quotient(scene: _Scene) -> bool:
    match scene.applies("/"):
        case (Read() as above, Read() as below) if scene.kernel.is_tiled:
            are_read = scene.reads(above, "running combine") and scene.reads(below, "running sum")
            return _is_plain(scene) and are_read and all(map(scene.is_final, (above, below)))
        case (above, below):
            return _is_plain(scene) and scene.reads(above, "combine") and scene.reads(below, "sum")
        case _:
            return False


def _are_weights(scene: _Scene) -> bool:
    match scene.applies("/"):
        case (above, below):
            return _is_plain(scene) and scene.reads(above, "exponential") and scene.reads(below, "sum")
        case _:
            return False


def _is_sigmoid(scene: _Scene) -> bool:
    match scene.applies("sigmoid"):
        case (argument,):
            return _is_plain(scene) and is_scaled(argument, lambda e: scene.reads(e, "product"))
        case _:
            return False


def _is_plain(scene: _Scene) -> bool:
    return scene.is_reduced_by(None) and not scene.einsum.where


@dataclass(frozen=True, slots=True)
class Kernel:
    """Works that the array does together.

    Parameters
    ----------
    name
        Its name.
    roles
        The works in order, the last one making the results; and for each, what tells whether an Einsum is it.
    passes
        Over the keys, for a tile of queries.
    is_tiled
        Whether the cascade says how keys are tiled.
    is_divided
        Whether results are divided by the sums.

    """

    name: str
    roles: Mapping[Role, Callable[[_Scene], bool]]
    passes: int
    is_tiled: bool
    is_divided: bool

    @property
    def output(self) -> Role:
        """The work that makes the results."""
        *_, last = self.roles
        return last


_RUNNING: dict[Role, Callable[[_Scene], bool]] = {
    "product": _is_product,
    "maximum": _is_maximum,
    "running maximum": _is_running_maximum,
    "exponential": _is_exponential,
    "sum": _is_sum,
    "combine": _is_combine,
    "correction": _is_correction,
    "running sum": _runs("sum"),
    "running combine": _runs("combine"),
    "quotient": _is_quotient,
}


def _some(*roles: Role, **more: Callable[[_Scene], bool]) -> dict[Role, Callable[[_Scene], bool]]:
    return {**{role: _RUNNING[role] for role in roles}, **cast(dict[Role, Callable[[_Scene], bool]], more)}


KERNELS = (
    Kernel("attention", _RUNNING, passes=1, is_tiled=True, is_divided=True),
    Kernel(
        "two-pass attention",
        _some("product", "maximum", "exponential", "sum", "combine", "quotient"),
        passes=2,
        is_tiled=False,
        is_divided=True,
    ),
    Kernel(
        "softmax",
        _some("product", "maximum", "exponential", "sum", weights=_are_weights),
        passes=3,
        is_tiled=False,
        is_divided=True,
    ),
    Kernel(
        "softmax",
        _some("maximum", "exponential", "sum", weights=_are_weights),
        passes=3,
        is_tiled=False,
        is_divided=True,
    ),
    Kernel(
        "sigmoid attention",
        {"product": _is_product, "sigmoid": _is_sigmoid, "combine": _is_combine},
        passes=1,
        is_tiled=False,
        is_divided=False,
    ),
    Kernel("product", _some("product"), passes=1, is_tiled=False, is_divided=False),
)
"""What the array can run. Where there is no product, the scores are an input."""


def _work(workload: Workload, kernel: Kernel, roles: Mapping[Role, Task]) -> ArrayWork:
    tasks: dict[Role, Einsum] = {role: workload.cascade.einsums[task.number] for role, task in roles.items()}
    output = _operand(workload, roles[kernel.output].write)
    if "product" not in roles:
        return _given(workload, kernel, tasks, roles["maximum"], output)
    cascade, product = workload.cascade, roles["product"]
    # What a filter reads comes after the operands.
    left, ranges = _ranges(workload, product.write), [_ranges(workload, read) for read in product.reads[:2]]
    own = [[name for name in left if name in a and name not in b] for a, b in (ranges, ranges[::-1])]
    # The keys are what a maximum, or a product of weights and values, is over.
    over = next((roles[role] for role in ("maximum", "combine") if role in roles), None)
    tiled = None if over is None else workload.parts[over.variables[-1]].range
    at = _keys(own, left, tiled)
    if at is None:
        raise _shapeless(tasks["product"])
    (rows,), columns = own[at], own[1 - at]
    shared = tuple(name for name in left if all(name in found for found in ranges))
    (steps,) = (name for name in ranges[at] if name not in left)
    value = outputs = None
    if "combine" in roles:
        value = next(r for r in roles["combine"].reads if cascade.tensor[r.tensor].is_given)
        outputs = _outputs(workload, roles["combine"], value, {rows, *shared})
    return ArrayWork(
        workload,
        kernel,
        tasks,
        _operand(workload, product.reads[1 - at]),
        _operand(workload, product.reads[at]),
        None if value is None else _operand(workload, value),
        output,
        shared,
        tuple(columns[:-1]),
        steps,
        rows,
        columns[-1],
        outputs,
    )


def _given(
    workload: Workload, kernel: Kernel, tasks: Mapping[Role, Einsum], maximum: Task, output: Operand
) -> ArrayWork:
    """Return the work on scores that are given: the last of their ranks besides the keys is that of the columns."""
    scores, rows = _operand(workload, maximum.reads[0]), workload.parts[maximum.variables[-1]].range
    others = [name for name in output.axes if name != rows]
    if not others or {*others, rows} != {*scores.axes}:
        raise _shapeless(tasks["maximum"])
    *shared, columns = others
    return ArrayWork(workload, kernel, tasks, None, scores, None, output, tuple(shared), (), None, rows, columns, None)


def _shapeless(einsum: Einsum) -> IllegalMappingError:
    return IllegalMappingError(
        [f"{einsum} must have one rank of keys, for the rows, and one of queries, for the columns"]
    )


def _keys(own: list[list[str]], left: tuple[str, ...], tiled: str | None) -> int | None:
    """Return which of two operands is the keys: it has one rank of its own, the one that is tiled if any is."""
    possible = [at for at, names in enumerate(own) if len(names) == 1 and own[1 - at] and tiled in (None, *names)]
    return min(possible, key=lambda at: left.index(own[at][0]), default=None)


def _outputs(workload: Workload, task: Task, value: Access, keys: set[str]) -> str:
    """Return the one rank that values have and keys do not.

    Raises
    ------
    IllegalMappingError
        There is none, or there are more, or values are the same for several heads of keys.

    """
    names = _ranges(workload, value)
    own = [name for name in names if name not in keys]
    if len(own) != 1 or not keys <= {*names} or own[0] not in _ranges(workload, task.write):
        where = workload.cascade.einsums[task.number]
        raise IllegalMappingError(
            [f"{where} must read {value.tensor} along the ranks of the keys and one of its own, not {', '.join(names)}"]
        )
    return own[0]


def _operand(workload: Workload, access: Access) -> Operand:
    return Operand(access.tensor, _ranges(workload, access))


def _ranges(workload: Workload, access: Access) -> tuple[str, ...]:
    """Return the ranges that a tensor is read or written along, in order of its axes, each once."""
    names = (workload.parts[name].range for index in access.indices for name in index.variables)
    return tuple(dict.fromkeys(names))
