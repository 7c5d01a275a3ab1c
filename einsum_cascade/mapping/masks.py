"""Which points of a task are there: its own filter, and those of what it reads, as linear constraints.

A point that a filter removes is absent, and so is what is mapped from it. A reduction over nothing is the identity of
its operator: running state that is updated by that alone stays as it is, so that a machine may leave the update out,
and what is only made for it. Where the rules do not tell, a point is taken to be there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from math import gcd
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.cascade.affine import Affine, affine_constant
from einsum_cascade.cascade.constraints import without_negations
from einsum_cascade.cascade.extent import ONE
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
)
from einsum_cascade.mapping.workload import Access, Task, Workload

__all__ = ["ANYWHERE", "Constraint", "Mask", "bounds_of", "masks_of"]


@dataclass(frozen=True, slots=True)
class Constraint:
    """A sum that must not be negative.

    Parameters
    ----------
    constant
        Its constant part.
    terms
        Pairs of a rank variable and its coefficient.
    data
        Triples of a coefficient, an input, and the rank variables that index it.

    """

    constant: int
    terms: tuple[tuple[str, int], ...]
    data: tuple[tuple[int, str, tuple[str, ...]], ...] = ()

    @property
    def variables(self) -> frozenset[str]:
        """The rank variables that it looks at."""
        return frozenset(name for name, _ in self.terms) | {name for _, _, names in self.data for name in names}

    @property
    def form(self) -> tuple[tuple[str, int], ...]:
        """Its terms without their common factor, the first positive: what parallel constraints have in common."""
        factor = self._factor
        return tuple((name, value // factor) for name, value in self.terms)

    @property
    def bound(self) -> tuple[int | None, int | None]:
        """The least and the most that its form may be: one of them is open. Of constraints without data."""
        factor = self._factor
        return (-(self.constant // factor), None) if factor > 0 else (None, self.constant // -factor)

    @property
    def _factor(self) -> int:
        common = gcd(*(value for _, value in self.terms))
        return common if self.terms[0][1] > 0 else -common

    def minus(self, other: "Constraint") -> "Constraint":
        """Return the difference of two sums."""
        return self.plus(other.times(-1))

    def plus(self, other: "Constraint") -> "Constraint":
        """Return the sum of two."""
        found = dict(self.terms)
        for name, coefficient in other.terms:
            found[name] = found.get(name, 0) + coefficient
        return Constraint(self.constant + other.constant, _terms(found), (*self.data, *other.data))

    def times(self, factor: int) -> "Constraint":
        """Return a multiple."""
        terms = {name: factor * coefficient for name, coefficient in self.terms}
        data = tuple((factor * coefficient, name, at) for coefficient, name, at in self.data)
        return Constraint(factor * self.constant, _terms(terms), data)


type Mask = frozenset[frozenset[Constraint]]
"""Points are there where all constraints of one of the sets hold."""


def bounds_of(constraints: Iterable[Constraint]) -> tuple[int | None, int | None]:
    """Return the least and the most that the form of parallel constraints may be, None where they leave it open."""
    bounds = [own.bound for own in constraints]
    least = max((low for low, _ in bounds if low is not None), default=None)
    most = min((high for _, high in bounds if high is not None), default=None)
    return least, most


ANYWHERE: Mask = frozenset({frozenset[Constraint]()})
"""All points are there."""

_MOST = 4
"""Sets of constraints up to which they are told apart."""


def _terms(coefficients: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((name, value) for name, value in coefficients.items() if value))


def masks_of(
    workload: Workload,
    values: Mapping[str, Any],
    inputs: Mapping[str, NDArray[Any]] | None = None,
    *,
    is_settled: bool = True,
) -> dict[str, Mask]:
    """Return by task where its points may be, by its name.

    Parameters
    ----------
    workload
        The tasks.
    values
        Of all ranks, numbers.
    inputs
        What filters read, by name; what reads others leaves no point out.
    is_settled
        Whether constraints that these numbers decide are left out. If not, the masks look at the same variables
        whatever the numbers.

    """
    if not workload.is_masked:
        return {task.name: ANYWHERE for task in workload.tasks}
    return _Masks(workload, values, inputs or {}, is_settled=is_settled).found


class _Masks:
    def __init__(
        self, workload: Workload, values: Mapping[str, Any], inputs: Mapping[str, NDArray[Any]], *, is_settled: bool
    ) -> None:
        self.workload, self.values, self.inputs, self.is_settled = workload, values, inputs, is_settled
        self.absent: dict[str, Mask] = {}
        self.idle: dict[str, Mask] = {}
        self.found: dict[str, Mask] = {}
        for task in workload.tasks:
            self.found[task.name] = self._decided(self._forward(task))
            self._note(task, self.found[task.name])
        for task in reversed(workload.tasks):
            self.found[task.name] = self._decided(both(self.found[task.name], self._needed(task)))

    def _decided(self, mask: Mask) -> Mask:
        return _settled(mask) if self.is_settled else mask

    def _einsum(self, task: Task) -> Any:
        return self.workload.cascade.einsums[task.number]

    def _forward(self, task: Task) -> Mask:
        """Return where a task has points: its filter holds, all that it reads is there, some of it is not idle.

        With an `else` there are points where the filter fails, and where operands of the expression are absent.
        """
        einsum = self._einsum(task)
        if einsum.otherwise is not None:
            return ANYWHERE
        mask = ANYWHERE if einsum.where is None else self._holds(without_negations(einsum.where))
        for index, extent in self.workload.ends_of(task):
            room = self._sum(affine_constant(extent - ONE) - index)
            mask = self._decided(both(mask, _one(room)))
        for access in task.reads:
            if access.tensor in self.absent:
                mask = both(mask, self._read(self.absent[access.tensor], access))
        return both(mask, self._woken(task))

    def _woken(self, task: Task) -> Mask:
        """Return where an update of running state has something other than that state to take in."""
        axis = self.workload.cascade.tensor[task.write.tensor].generation_axis
        if axis is None or self._einsum(task).reduction is not None:
            return ANYWHERE
        others = [access for access in task.reads if not self._is_state(access.tensor, frozenset())]
        if not others or any(access.tensor not in self.idle for access in others):
            return ANYWHERE
        return _any(self._read(self.idle[access.tensor], access) for access in others)

    def _is_state(self, name: str, above: frozenset[str]) -> bool:
        """Tell whether a tensor is running state, or made of nothing else."""
        if name in above or self.workload.cascade.tensor[name].generation_axis is not None:
            return True
        writers = self.workload.writers.get(name, ())
        reads = [access.tensor for task in writers for access in task.reads]
        return bool(reads) and all(self._is_state(read, above | {name}) for read in reads)

    def _note(self, task: Task, mask: Mask) -> None:
        """Keep where what a task writes is absent, or is the identity of a reduction, by what indexes it."""
        einsum, name = self._einsum(task), task.write.tensor
        if mask == ANYWHERE or len(self.workload.writers[name]) > 1 or einsum.otherwise is not None:
            return
        if self.workload.cascade.tensor[name].generation_axis is not None:
            return
        used = frozenset(v for group in mask for own in group for v in own.variables)
        if einsum.reduction is None or used.isdisjoint(einsum.reduction.variables):
            self.absent[name] = mask
        else:
            self.idle[name] = self._without(mask, frozenset(einsum.reduction.variables))

    def _needed(self, task: Task) -> Mask:
        """Return where a task that looks at running state only is needed by those that read it."""
        name = task.write.tensor
        is_kept = (
            name in self.workload.cascade.outputs or self.workload.cascade.tensor[name].generation_axis is not None
        )
        if is_kept or not self._is_state(name, frozenset()) or self._einsum(task).reduction is not None:
            return ANYWHERE
        wanted: list[Mask] = []
        for reader in self.workload.readers[name]:
            for access in (access for access in reader.reads if access.tensor == name):
                plain = [index.plain for index in access.indices]
                if None in plain or plain != [index.plain for index in task.write.indices]:
                    return ANYWHERE
                wanted.append(self._without(self.found[reader.name], frozenset(reader.variables) - set(plain)))
        return _any(wanted)

    def _read(self, mask: Mask, access: Access) -> Mask:
        """Return a mask of what is written in the variables of a reader."""
        (writer,) = self.workload.writers[access.tensor]
        values: dict[str, Constraint] = {}
        for written, read in zip(writer.write.indices, access.indices, strict=True):
            if written.stepped is not None:
                values[written.stepped] = self._sum(read - Affine((), written.offset))
        found = [[self._put(own, values) for own in group] for group in mask]
        return frozenset(frozenset(own for own in group if own is not None) for group in found)

    def _put(self, constraint: Constraint, values: Mapping[str, Constraint]) -> Constraint | None:
        """Put sums for variables into a constraint; None if that leaves out what it says."""
        total = Constraint(constraint.constant, ())
        for name, coefficient in constraint.terms:
            if name not in values:
                return None
            total = total.plus(values[name].times(coefficient))
        for coefficient, name, at in constraint.data:
            own = [values.get(variable) for variable in at]
            names = [one.terms[0][0] if one is not None and _is_plain(one) else None for one in own]
            if None in names:
                return None
            total = total.plus(Constraint(0, (), ((coefficient, name, cast("tuple[str, ...]", tuple(names))),)))
        return total

    def _without(self, mask: Mask, variables: frozenset[str]) -> Mask:
        """Return where a mask holds for some coordinates of some variables."""
        return frozenset(
            frozenset(own for each in group if (own := self._relaxed(each, variables)) is not None) for group in mask
        )

    def _relaxed(self, constraint: Constraint, variables: frozenset[str]) -> Constraint | None:
        if any(not variables.isdisjoint(at) for _, _, at in constraint.data):
            return None
        constant = constraint.constant
        for name, coefficient in constraint.terms:
            if name in variables:
                last = int(self.workload.parts[name].limit.evaluate(self.values)) - 1
                constant += max(coefficient * last, 0)
        terms = tuple(term for term in constraint.terms if term[0] not in variables)
        return Constraint(constant, terms, constraint.data)

    def _holds(self, predicate: Predicate) -> Mask:
        """Return where a predicate without negations holds."""
        match predicate:
            case And(operands):
                return self._decided(_all(map(self._holds, operands)))
            case Or(operands):
                return self._decided(_any(map(self._holds, operands)))
            case Comparison():
                return self._decided(self._compared(predicate))
            case Not():
                raise AssertionError("negations are gone")

    def _compared(self, comparison: Comparison) -> Mask:
        left, right = self._value(comparison.left), self._value(comparison.right)
        if left is None or right is None:
            return ANYWHERE
        ahead, one = left.minus(right), Constraint(1, ())
        below, above = ahead.times(-1).minus(one), ahead.minus(one)
        match comparison.operator:
            case "<=":
                return _one(ahead.times(-1))
            case "<":
                return _one(below)
            case ">=":
                return _one(ahead)
            case ">":
                return _one(above)
            case "==":
                return both(_one(ahead), _one(ahead.times(-1)))
            case _:
                return _any((_one(below), _one(above)))

    def _value(self, expression: Expression) -> Constraint | None:
        """Return an expression as a sum of whole numbers; None if it is none, or reads what is not given."""
        match expression:
            case Constant(value) if value.is_integer():
                return Constraint(int(value), ())
            case RankExtent(rank):
                return Constraint(int(self.values[rank]), ())
            case Coordinate(variable):
                return Constraint(0, ((variable, 1),))
            case Read(tensor, indices):
                names = tuple(index.plain for index in indices)
                known = self.inputs.get(tensor)
                if known is None or None in names or not np.array_equal(known, np.floor(known)):
                    return None
                return Constraint(0, (), ((1, tensor, cast("tuple[str, ...]", names)),))
            case Apply(operator, arguments):
                return self._applied(operator.name, [self._value(argument) for argument in arguments])
            case _:
                return None

    def _applied(self, name: str, values: list[Constraint | None]) -> Constraint | None:
        match name, values:
            case "+", [Constraint() as a, Constraint() as b]:
                return a.plus(b)
            case "-", [Constraint() as a, Constraint() as b]:
                return a.minus(b)
            case "neg", [Constraint() as a]:
                return a.times(-1)
            case "*", [Constraint(constant, (), ()), Constraint() as b]:
                return b.times(constant)
            case "*", [Constraint() as a, Constraint(constant, (), ())]:
                return a.times(constant)
            case _:
                return None

    def _sum(self, index: Affine) -> Constraint:
        terms = {name: int(coefficient.evaluate(self.values)) for name, coefficient in index.terms}
        return Constraint(int(index.offset.evaluate(self.values)), _terms(terms))


def _is_plain(constraint: Constraint) -> bool:
    return constraint.constant == 0 and len(constraint.terms) == 1 and constraint.terms[0][1] == 1


def _one(constraint: Constraint) -> Mask:
    return frozenset({frozenset({constraint})})


def _settled(mask: Mask) -> Mask:
    """Leave out constraints that always hold, and sets of them that no point meets: a sum below 0, or opposites."""
    found: set[frozenset[Constraint]] = set()
    for group in mask:
        by_form: dict[object, list[Constraint]] = {}
        for own in group:
            if own.terms and not own.data:
                by_form.setdefault(own.form, []).append(own)
        ranges = [bounds_of(parallel) for parallel in by_form.values()]
        is_met = all(own.constant >= 0 for own in group if not own.variables)
        if is_met and not any(low is not None and high is not None and low > high for low, high in ranges):
            found.add(frozenset(own for own in group if own.variables))
    return _simple(frozenset(found))


def both(one: Mask, other: Mask) -> Mask:
    """Return where two masks hold."""
    return _simple(frozenset(a | b for a, b in product(one, other)))


def _all(masks: Iterable[Mask]) -> Mask:
    found = ANYWHERE
    for mask in masks:
        found = both(found, mask)
    return found


def _any(masks: Iterable[Mask]) -> Mask:
    return _simple(frozenset(group for mask in masks for group in mask))


def _simple(mask: Mask) -> Mask:
    """Leave out sets that follow from others; of too many sets, none is told apart."""
    found = frozenset(group for group in mask if not any(other < group for other in mask))
    return found if len(found) <= _MOST else ANYWHERE
