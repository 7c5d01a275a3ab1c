"""What each work of the array looks like in a cascade, and which works it can do together."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.extent import symbol
from einsum_cascade.cascade.ir import Apply, Constant, Einsum, Expression, Read, Tensor
from einsum_cascade.mapping.workload import Access, Task, Workload
from einsum_cascade.recognition.scaling import is_scaled, without_constants

__all__ = [
    "KERNELS",
    "STATISTICS",
    "WEIGHTS",
    "Kernel",
    "Role",
    "Scene",
    "Statistic",
    "given_read",
    "last_generation",
    "ranges_of",
]

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
    "feature",
    "weighted sum",
]


type Statistic = Literal["sum", "maximum"]

STATISTICS: tuple[Statistic, ...] = "sum", "maximum"
"""What may leave beside results, in the order of its words."""


@dataclass(frozen=True)
class Scene:
    """A task, and the roles of those before it."""

    workload: Workload
    kernel: "Kernel"
    roles: Mapping[Role, Task]
    task: Task

    @property
    def einsum(self) -> Einsum:
        """The Einsum of the task."""
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
        seen = self.roles.get(next(iter(self.kernel.roles)))
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
        return axis is not None and read.indices[axis] == last_generation(tensor)

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

    @property
    def difference(self) -> tuple[Expression, Expression] | None:
        """The two things whose difference is raised, if the expression is its exponential; constants may multiply them.

        What the constants are is told by `recognition.unscaled`.
        """
        match [without_constants(argument)[0] for argument in (*self.applies("exp"), *self.applies("expsub"))]:
            case (Apply(operator, (left, right)),) if operator.name == "-":
                return without_constants(left)[0], without_constants(right)[0]
            case (left, right):
                return left, right
            case _:
                return None

    def is_plain(self, operator: str | None = None) -> bool:
        """Tell whether there is no filter, and no reduction but one by an operator, over one variable."""
        return self.is_reduced_by(operator) and not self.einsum.where

    @property
    def is_zero_elsewhere(self) -> bool:
        """Tell whether there is no reduction, and what a filter leaves out, if there is one, is 0.

        That of queries without keys is what the array gives anyway (`recognition.zeros`).
        """
        return self.is_reduced_by(None) and (self.einsum.where is None or self.einsum.otherwise == Constant(0))

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


def _is_product(scene: Scene) -> bool:
    is_unfiltered_otherwise = scene.einsum.otherwise is None
    return scene.is_reduced_by("+") and scene.either("*", scene.is_given, scene.is_given) and is_unfiltered_otherwise


def _is_maximum(scene: Scene) -> bool:
    return scene.is_plain("max") and scene.reads_scores(scene.einsum.expression)


def _is_running_maximum(scene: Scene) -> bool:
    return scene.is_plain() and scene.either("max", scene.reads_itself, lambda e: scene.reads(e, "maximum"))


def _is_exponential(scene: Scene) -> bool:
    """Take the exponential less the maximum so far, or less that of all keys if there is no running one."""
    if scene.difference is None:
        return False
    score, maximum = scene.difference
    highest: Role = "running maximum" if scene.kernel.is_tiled else "maximum"
    return scene.is_plain() and scene.reads_scores(score) and scene.reads(maximum, highest, 1)


def _is_sum(scene: Scene) -> bool:
    return scene.is_plain("+") and scene.reads(scene.einsum.expression, scene.kernel.weights)


def _is_combine(scene: Scene) -> bool:
    return scene.is_plain("+") and scene.either("*", lambda e: scene.reads(e, scene.kernel.weights), scene.is_given)


def _is_weighted_sum(scene: Scene) -> bool:
    """Take what has no rank beside those of the weights."""
    weights = scene.roles.get(scene.kernel.weights)
    if weights is None or not _is_combine(scene):
        return False
    read = given_read(scene.workload, scene.task)
    return {*ranges_of(scene.workload, read)} < {*ranges_of(scene.workload, weights.write)}


def _is_correction(scene: Scene) -> bool:
    if scene.difference is None:
        return False
    old, new = scene.difference
    return scene.is_plain() and scene.reads(old, "running maximum", 0) and scene.reads(new, "running maximum", 1)


def _runs(role: Role) -> Callable[[Scene], bool]:
    def test(scene: Scene) -> bool:
        def is_corrected(expression: Expression) -> bool:
            if not isinstance(expression, Apply) or expression.operator.name != "*" or len(expression.arguments) != 2:
                return False
            a, b = expression.arguments
            orders = (a, b), (b, a)
            return any(scene.reads_itself(own) and scene.reads(factor, "correction") for own, factor in orders)

        return scene.is_plain() and scene.either("+", lambda e: scene.reads(e, role), is_corrected)

    return test


def _is_quotient(scene: Scene) -> bool:
    match scene.applies("/"):
        case (Read() as above, Read() as below) if scene.kernel.is_tiled:
            are_read = scene.reads(above, "running combine") and scene.reads(below, "running sum")
            return scene.is_zero_elsewhere and are_read and all(map(scene.is_final, (above, below)))
        case (above, below):
            sums: Role = "weighted sum" if "weighted sum" in scene.kernel.roles else "sum"
            return scene.is_zero_elsewhere and scene.reads(above, "combine") and scene.reads(below, sums)
        case _:
            return False


def _are_weights(scene: Scene) -> bool:
    match scene.applies("/"):
        case (above, below):
            return scene.is_zero_elsewhere and scene.reads(above, "exponential") and scene.reads(below, "sum")
        case _:
            return False


def _is_sigmoid(scene: Scene) -> bool:
    match scene.applies("sigmoid"):
        case (argument,):
            return scene.is_plain() and is_scaled(argument, lambda e: scene.reads(e, "product"))
        case _:
            return False


def _is_feature(scene: Scene) -> bool:
    """Take elu(x) + 1 = max(x, 0) + exp(min(x, 0)) of a score x."""

    def is_bounded(expression: Expression, operator: str) -> bool:
        match expression:
            case Apply(found, (one,)) if operator == "max" and found.name == "relu":
                return scene.reads_scores(one)
            case Apply(found, (a, b)) if found.name == operator:
                return any(scene.reads_scores(x) and zero == Constant(0) for x, zero in ((a, b), (b, a)))
            case _:
                return False

    def is_raised(expression: Expression) -> bool:
        return (
            isinstance(expression, Apply)
            and expression.operator.name == "exp"
            and is_bounded(expression.arguments[0], "min")
        )

    # The scores are of one place: a second read would be of another one.
    is_one = len({*scene.einsum.reads}) == 1
    return scene.is_plain() and is_one and scene.either("+", lambda e: is_bounded(e, "max"), is_raised)


WEIGHTS: tuple[Role, ...] = "sigmoid", "feature", "exponential"
"""The works that make what is summed up, and what values are multiplied by: one in a kernel, if any."""


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
    roles: Mapping[Role, Callable[[Scene], bool]]
    passes: int
    is_tiled: bool
    is_divided: bool

    @property
    def results(self) -> tuple[Role, ...]:
        """The works that make what leaves: the last one, and the sums beside it if nothing is divided by them."""
        *_, last = self.roles
        return (last, "sum") if "sum" in self.roles and not self.is_divided else (last,)

    @property
    def statistics(self) -> Mapping[Statistic, Role]:
        """The works that make what may leave beside the results: sums and maxima that are there when these leave."""
        if not self.is_divided or not {"maximum", "combine"} <= self.roles.keys():
            return {}
        if self.is_tiled:
            return {"sum": "running sum", "maximum": "running maximum"}
        return {"sum": "sum", "maximum": "maximum"}

    @property
    def is_product(self) -> bool:
        """Whether products are all that is done, and leave."""
        return self.results == ("product",)

    @property
    def weights(self) -> Role:
        """The work that makes what is summed up, and what values are multiplied by."""
        return next(role for role in WEIGHTS if role in self.roles)


_TESTS: Mapping[Role, Callable[[Scene], bool]] = {
    "product": _is_product,
    "maximum": _is_maximum,
    "running maximum": _is_running_maximum,
    "exponential": _is_exponential,
    "sigmoid": _is_sigmoid,
    "feature": _is_feature,
    "sum": _is_sum,
    "weighted sum": _is_weighted_sum,
    "combine": _is_combine,
    "correction": _is_correction,
    "running sum": _runs("sum"),
    "running combine": _runs("combine"),
    "weights": _are_weights,
    "quotient": _is_quotient,
}


def _kernel(name: str, *roles: Role, passes: int = 1, is_tiled: bool = False, is_divided: bool = False) -> Kernel:
    return Kernel(name, {role: _TESTS[role] for role in roles}, passes, is_tiled, is_divided)


def _kernels() -> Iterator[Kernel]:
    yield _kernel(
        "attention",
        *("product", "maximum", "running maximum", "exponential", "sum", "combine"),
        *("correction", "running sum", "running combine", "quotient"),
        is_tiled=True,
        is_divided=True,
    )
    weighted: tuple[Role, ...] = "maximum", "exponential", "sum"
    yield _kernel("two-pass attention", "product", *weighted, "combine", "quotient", passes=2, is_divided=True)
    for scores in _SCORES:
        yield _kernel("softmax", *scores, *weighted, "weights", passes=3, is_divided=True)
    yield _kernel("sigmoid attention", "product", "sigmoid", "combine")
    for scores in _SCORES:
        yield _kernel("feature product", *scores, "feature", "combine")
        yield _kernel("feature sums", *scores, "feature", "sum", "combine")
        yield _kernel("feature attention", *scores, "feature", "sum", "combine", "quotient", is_divided=True)
        yield _kernel("linear attention", *scores, "feature", "weighted sum", "combine", "quotient", is_divided=True)
    yield _kernel("product", "product")


_SCORES: tuple[tuple[Role, ...], ...] = ("product",), ()
"""Scores are made, or given."""

KERNELS = (*_kernels(),)
"""What the array can run."""


def ranges_of(workload: Workload, access: Access) -> tuple[str, ...]:
    """Return the ranges that a tensor is read or written along, in order of its axes, each once."""
    names = (workload.parts[name].range for index in access.indices for name in index.variables)
    return tuple(dict.fromkeys(names))


def last_generation(tensor: Tensor) -> Affine | None:
    """Return the index of the last generation of a tensor that is made step by step; None of others."""
    axis = tensor.generation_axis
    return None if axis is None else Affine((), symbol(tensor.dimensions[axis].rank))


def given_read(workload: Workload, task: Task) -> Access:
    """Return the read of the first input that a task reads."""
    return next(read for read in task.reads if workload.cascade.tensor[read.tensor].is_given)
