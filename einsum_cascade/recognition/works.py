"""Which work of the array each Einsum of a cascade is: recognised by what it computes, never by a name.

The array multiplies keys by queries into scores, takes maxima and sums down its columns, exponentials in place, and
products of scores with values down its columns. The vector row keeps running maxima, sums and products, corrected as
the maximum rises, or the keys are gone over again once the maximum of all is known. An Einsum that is none of these is
refused, and named.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.ir import Apply, Cascade, Einsum, Expression, conjuncts, predicate_variables
from einsum_cascade.errors import IllegalMappingError
from einsum_cascade.mapping.merging import merge_products
from einsum_cascade.mapping.workload import Access, Task, Workload
from einsum_cascade.recognition.factors import Scaled
from einsum_cascade.recognition.patterns import (
    KERNELS,
    Kernel,
    Role,
    Scene,
    Statistic,
    given_read,
    last_generation,
    ranges_of,
)
from einsum_cascade.recognition.refusals import refusal_of
from einsum_cascade.recognition.restrictions import unmet_restrictions
from einsum_cascade.recognition.unscaled import Unscaled, without_factors

__all__ = [
    "ArrayWork",
    "Operand",
    "Shortfall",
    "kernels_in",
    "recognise",
    "recognise_unscaled",
    "shortfall_of",
]


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor in memory, and what is read or written of it.

    Parameters
    ----------
    tensor
        Its name.
    indices
        One for every axis, in rank variables of the cascade.
    ranges
        Those that the variables run along, each once.

    """

    tensor: str
    indices: tuple[Affine, ...]
    ranges: tuple[str, ...]


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
    weight
        What weights the scores whose sum divides the results, beside the values; None if there is nothing.
    sums
        The sums of scores, where they leave beside the results; None if they do not.
    statistics
        The sums that results are divided by, and the maxima, where they leave beside them: the last of each.
    shared, group
        Ranges of heads that queries share with keys, and that only queries have, in order.
    steps, rows, columns, outputs
        Ranges: E of a product (None without one), M over rows, P over columns, F of a value (None without values).
    scaled
        The Einsums that compare scores, with the factors that these had.

    """

    workload: Workload
    kernel: Kernel
    tasks: Mapping[Role, Einsum]
    query: Operand | None
    key: Operand
    value: Operand | None
    weight: Operand | None
    output: Operand
    sums: Operand | None
    shared: tuple[str, ...]
    group: tuple[str, ...]
    steps: str | None
    rows: str
    columns: str
    outputs: str | None
    scaled: tuple[Scaled, ...] = ()
    statistics: Mapping[Statistic, Operand] = field(default_factory=dict[Statistic, Operand])

    @property
    def cascade(self) -> Cascade:
        """The cascade, products merged into what adds them, and without the factors of scores."""
        return self.workload.cascade

    def sizes(self, extents: Mapping[str, int]) -> dict[str, int]:
        """Return the coordinates of every range, given the extents of the ranks."""
        return {part.range: part.extent.evaluate(extents) for part in self.workload.parts.values()}

    @property
    def results(self) -> tuple[Operand, ...]:
        """The tensors that leave."""
        beside = () if self.sums is None else (self.sums,)
        return self.output, *beside, *self.statistics.values()

    @property
    def quotient(self) -> Einsum | None:
        """The Einsum that divides, if one does."""
        return self.tasks.get("quotient", self.tasks.get("weights"))

    @property
    def has_more_values(self) -> bool:
        """Whether a value has an operand more than the results have words: of `weight`, or 1 for `sums`."""
        return self.weight is not None or self.sums is not None

    @property
    def scores(self) -> Einsum:
        """The Einsum that makes the scores, or the first that reads them."""
        return next(iter(self.tasks.values()))


_REMEDY = (
    "write it as attention with running maxima, with its division deferred, with a sigmoid or with a feature map, as a "
    "softmax, or as a product of two inputs, or compute it elsewhere"
)


def recognise(cascade: Cascade) -> ArrayWork:
    """Return what the array does for a cascade.

    Raises
    ------
    IllegalMappingError
        An Einsum is no work of the array, or the works do not make up a kernel; a sentence each.

    """
    return recognise_unscaled(without_factors(merge_products(cascade)))


def recognise_unscaled(unscaled: Unscaled, beside: AbstractSet[str] = frozenset()) -> ArrayWork:
    """Return what the array does for a cascade whose products are merged, and whose scores have no factors.

    Parameters
    ----------
    unscaled
        The cascade.
    beside
        Outputs that may leave beside the results. Of those that are made step by step, it is the last that does.

    Raises
    ------
    IllegalMappingError
        As of `recognise`.

    """
    workload, kernel, roles, refused = _nearest(unscaled.cascade)
    if refused or len(roles) < len(kernel.roles):
        raise IllegalMappingError([*_sentences(workload, kernel, roles, refused).values()])
    named: dict[str, Task] = {**roles}
    outputs = beside & {*unscaled.cascade.outputs}
    statistics = {name: role for name, role in kernel.statistics.items() if roles[role].write.tensor in outputs}
    leaving = [*kernel.results, *statistics.values()]
    unmet = [*unmet_restrictions(workload, named, leaving, is_tiled=kernel.is_tiled)]
    if unmet:
        raise IllegalMappingError(unmet)
    scaled = unscaled.among(task.write.tensor for task in roles.values())
    left = {name: _operand(workload, _last(workload, named[role])) for name, role in statistics.items()}
    return replace(_work(workload, kernel, roles), scaled=scaled, statistics=left)


def _last(workload: Workload, task: Task) -> Access:
    """Return what a task writes; of what is made step by step, the last."""
    tensor = workload.cascade.tensor[task.write.tensor]
    axis, last, indices = tensor.generation_axis, last_generation(tensor), [*task.write.indices]
    if axis is not None and last is not None:
        indices[axis] = last
    return Access(tensor.name, (*indices,))


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What a cascade lacks to be the kernel that it is nearest to.

    Parameters
    ----------
    count
        Einsums that have no place in it, then works of it that are missing.
    sentences
        By tensor, what is said of those that read nothing of others without a place.

    """

    count: tuple[int, int]
    sentences: Mapping[str, str]


def shortfall_of(cascade: Cascade) -> Shortfall:
    """Return what a cascade lacks to be a kernel; nothing if it lacks nothing."""
    workload, kernel, roles, refused = _nearest(cascade)
    missing = len(kernel.roles) - len(roles)
    return Shortfall((len(refused), missing), _sentences(workload, kernel, roles, refused))


def _nearest(cascade: Cascade) -> tuple[Workload, Kernel, dict[Role, Task], list[tuple[Task, Role | None]]]:
    """Return the kernel that a cascade is nearest to, and the workload as it takes it."""
    views = _views(Workload(cascade))
    tried = [_tried(views[kernel.is_tiled], kernel) for kernel in KERNELS]
    kernel, roles, refused = min(tried, key=lambda each: (len(each[2]), len(each[0].roles) - len(each[1])))
    return views[kernel.is_tiled], kernel, roles, refused


def _sentences(
    workload: Workload, kernel: Kernel, roles: Mapping[Role, Task], refused: Sequence[tuple[Task, Role | None]]
) -> dict[str, str]:
    """Return by tensor what is refused, and why."""
    if refused or len(roles) == len(kernel.roles):
        return _reasons(workload, refused)
    needed, found = f"{kernel.name} ({', '.join(kernel.roles)})", ", ".join(roles) or "none"
    last = workload.tasks[-1].write.tensor
    return {
        last: f"all works of {needed} must be there for the array, but {workload.cascade.name!r} has {found}; {_REMEDY}"
    }


def kernels_in(workload: Workload) -> Iterator[tuple[Kernel, Mapping[Role, Task]]]:
    """Yield every kernel all of whose works are there, and its tasks by their roles; there may be others."""
    views = _views(workload)
    for kernel in KERNELS:
        _, roles, _ = _tried(views[kernel.is_tiled], kernel)
        if len(roles) == len(kernel.roles):
            yield kernel, roles


def _views(workload: Workload) -> dict[bool, Workload]:
    """Return the workload as kernels take it, by whether they say how keys are tiled.

    The parts of a range are ranges of their own where a tensor is along some of them alone. Softmax inside blocks of
    keys is such a case: the blocks are heads. So is a result with heads and values in one rank. Where a kernel says how
    keys are tiled, the parts of what is gone over step by step are that tiling.
    """
    apart = _parts_apart(workload)
    tiled = apart - {*_stepped(workload)}
    return {is_tiled: Workload(workload.cascade, own) for is_tiled, own in ((False, apart), (True, tiled))}


def _parts_apart(workload: Workload) -> frozenset[str]:
    """Return the ranges of which a tensor is along some parts alone."""
    used: dict[str, set[str]] = {}
    accesses = [access.variables for task in workload.tasks for access in (*task.reads, task.write)]
    for names in accesses:
        for name in names:
            used.setdefault(workload.parts[name].range, set()).add(name)
    # Variables of the same rank are one part.
    ranks = {range_: {workload.cascade.rank_of[name] for name in names} for range_, names in used.items()}
    found: set[str] = set()
    for names in accesses:
        for range_ in {workload.parts[name].range for name in names}:
            own = {workload.cascade.rank_of[name] for name in names & used[range_]}
            found |= {range_} if own != ranks[range_] else set()
    return frozenset(found)


def _stepped(workload: Workload) -> Iterator[str]:
    """Yield the ranges along which something is made step by step."""
    for task in workload.tasks:
        axis = workload.cascade.tensor[task.write.tensor].generation_axis
        if axis is not None:
            yield from (workload.parts[name].range for name in task.write.indices[axis].variables)


def _tried(workload: Workload, kernel: Kernel) -> tuple[Kernel, dict[Role, Task], list[tuple[Task, Role | None]]]:
    """Return the tasks by their roles in a kernel, and those that have none, with the role that another one has."""
    roles: dict[Role, Task] = {}
    refused: list[tuple[Task, Role | None]] = []
    for task in workload.tasks:
        scene = Scene(workload, kernel, roles, task)
        role: Role | None = next((name for name, test in kernel.roles.items() if test(scene)), None)
        if role is None or role in roles:
            refused.append((task, role))
        else:
            roles[role] = task
    return kernel, {role: roles[role] for role in kernel.roles if role in roles}, refused


def _reasons(workload: Workload, refused: Sequence[tuple[Task, Role | None]]) -> dict[str, str]:
    """Return a refusal of every task that reads nothing of another one that is refused, which may be all it lacks."""
    lost = {task.write.tensor for task, _ in refused}
    first = [
        (task, role)
        for task, role in refused
        if lost.isdisjoint(read.tensor for read in task.reads if read.tensor != task.write.tensor)
    ]
    # Where they go round in a circle, none is the first.
    einsums = workload.cascade.einsums
    return {task.write.tensor: _refusal(einsums[task.number], role) for task, role in reversed(first or refused)}


def _refusal(einsum: Einsum, role: str | None) -> str:
    operators = sorted({node.operator.name for node in _applied(einsum.expression)})
    if einsum.reduction:
        operators.append(f"{einsum.reduction.operator.name} over {', '.join(einsum.reduction.variables)}")
    conditions = [name for name, found in (("filter", einsum.where), ("else", einsum.otherwise)) if found is not None]
    under = f", under its {' and '.join(conditions)}," if conditions else ""
    what = f"a second {role}" if role else f"{' and '.join(operators) or 'a copy'}{under} in this place"
    known = None if role else refusal_of(einsum)
    why = _REMEDY if known is None else f"{known.reason}; {known.remedy}"
    return f"the array must be able to do every Einsum, but {einsum} needs {what}; {why}"


def _applied(expression: Expression) -> Iterator[Apply]:
    if isinstance(expression, Apply):
        yield expression
        for argument in expression.arguments:
            yield from _applied(argument)


def _work(workload: Workload, kernel: Kernel, roles: Mapping[Role, Task]) -> ArrayWork:
    scores = _product(workload, roles) if "product" in roles else _given(workload, kernel, roles)
    keys = {scores.rows, *scores.shared}
    value = weight = outputs = None
    if "combine" in roles:
        value = given_read(workload, roles["combine"])
        outputs = _outputs(workload, roles["combine"], value, keys)
    if "weighted sum" in roles:
        weight = given_read(workload, roles["weighted sum"])
        _check_keys(workload, roles["weighted sum"], weight, keys)
    result, *sums = (_operand(workload, roles[name].write) for name in kernel.results)
    return ArrayWork(
        workload=workload,
        kernel=kernel,
        tasks={role: workload.cascade.einsums[task.number] for role, task in roles.items()},
        query=scores.query,
        key=scores.key,
        value=None if value is None else _operand(workload, value),
        weight=None if weight is None else _operand(workload, weight),
        output=result,
        sums=sums[0] if sums else None,
        shared=scores.shared,
        group=scores.group,
        steps=scores.steps,
        rows=scores.rows,
        columns=scores.columns,
        outputs=outputs,
    )


@dataclass(frozen=True, slots=True)
class _Scores:
    """Where scores come from; members are those of `ArrayWork`."""

    query: Operand | None
    key: Operand
    shared: tuple[str, ...]
    group: tuple[str, ...]
    steps: str | None
    rows: str
    columns: str


def _product(workload: Workload, roles: Mapping[Role, Task]) -> _Scores:
    """Return the scores that a product makes."""
    product = roles["product"]
    # What a filter reads comes after the operands.
    left, ranges = ranges_of(workload, product.write), [ranges_of(workload, read) for read in product.reads[:2]]
    own = [[name for name in left if name in a and name not in b] for a, b in (ranges, ranges[::-1])]
    # The keys are what a maximum, or a product of weights and values, is over.
    over = next((roles[role] for role in ("maximum", "combine") if role in roles), None)
    compared = [*_compared(workload, product)]
    at = _keys(own, left, None if over is None else _over(workload, over), compared)
    if at is None:
        raise _shapeless(workload, product)
    rows = own[at][-1] if over is None else _over(workload, over)
    queries = own[1 - at]
    # A mask needs its queries along the columns.
    columns = next((name for name in reversed(queries) if any(name in names for names in compared)), queries[-1])
    group = (name for name in queries if name != columns)
    # Ranks that only keys have beside the rows are heads, too, whose queries are the same.
    shared = tuple(name for name in left if name not in (rows, *queries))
    steps = _over(workload, product)
    if steps in left:
        raise _shapeless(workload, product)
    query, key = (_operand(workload, product.reads[number]) for number in (1 - at, at))
    return _Scores(query, key, shared, tuple(group), steps, rows, columns)


def _given(workload: Workload, kernel: Kernel, roles: Mapping[Role, Task]) -> _Scores:
    """Return the scores that are given.

    The last of their ranks, of what is neither that of the keys nor one of the values, is that of the columns.
    """
    first = roles[next(iter(kernel.roles))]
    scores = _operand(workload, first.reads[0])
    weighted = [roles[role] for role in ("combine", "weighted sum") if role in roles]
    rows = _over(workload, roles["combine" if weighted else "maximum"])
    taken = {name for task in weighted for name in ranges_of(workload, given_read(workload, task))}
    others = [name for name in ranges_of(workload, roles[kernel.weights].write) if name != rows]
    possible = [name for name in others if name not in taken]
    if not possible or {*others, rows} != {*scores.ranges}:
        raise _shapeless(workload, first)
    columns = possible[-1]
    return _Scores(None, scores, tuple(name for name in others if name != columns), (), None, rows, columns)


def _over(workload: Workload, task: Task) -> str:
    """Return the range that a task reduces."""
    return workload.parts[task.variables[-1]].range


def _shapeless(workload: Workload, task: Task) -> IllegalMappingError:
    einsum = workload.cascade.einsums[task.number]
    return IllegalMappingError(
        [f"{einsum} must have one rank of keys, for the rows, and one of queries, for the columns"]
    )


def _compared(workload: Workload, task: Task) -> Iterator[set[str]]:
    """Yield the ranges that each comparison of the filter names."""
    for predicate in conjuncts(workload.cascade.einsums[task.number].where):
        yield {workload.parts[name].range for name in predicate_variables(predicate)}


def _keys(own: list[list[str]], left: tuple[str, ...], tiled: str | None, compared: list[set[str]]) -> int | None:
    """Return which of two operands is the keys: both have ranks of their own, it the one that is tiled if any is.

    If both may be, it is the one with one such rank, then the one that the filter bounds, for bounds of queries are no
    mask, then the first in the result.
    """
    possible = [at for at, names in enumerate(own) if names and own[1 - at] and tiled in (None, *names)]

    def bounded_queries(at: int) -> int:
        return sum(not names.isdisjoint(own[1 - at]) and own[at][-1] not in names for names in compared)

    def order(at: int) -> tuple[bool, int, int]:
        return len(own[at]) > 1, bounded_queries(at), left.index(own[at][-1])

    return min(possible, key=order, default=None)


def _outputs(workload: Workload, task: Task, value: Access, keys: set[str]) -> str:
    """Return the one rank that values have and keys do not.

    Raises
    ------
    IllegalMappingError
        There is none, or there are more, or the values are those of no key.

    """
    names = ranges_of(workload, value)
    own = [name for name in names if name not in keys]
    if len(own) != 1 or _over(workload, task) not in names or own[0] not in ranges_of(workload, task.write):
        where = workload.cascade.einsums[task.number]
        raise IllegalMappingError(
            [f"{where} must read {value.tensor} along the ranks of the keys and one of its own, not {', '.join(names)}"]
        )
    return own[0]


def _check_keys(workload: Workload, task: Task, weight: Access, keys: set[str]) -> None:
    """Check that what weights scores is the same for all columns, and has one for every key."""
    names = ranges_of(workload, weight)
    if not {_over(workload, task)} <= {*names} <= keys:
        where = workload.cascade.einsums[task.number]
        raise IllegalMappingError(
            [f"{where} must read {weight.tensor} along the ranks of the keys alone, not {', '.join(names)}"]
        )


def _operand(workload: Workload, access: Access) -> Operand:
    return Operand(access.tensor, access.indices, ranges_of(workload, access))
