"""The order in which Einsums can run one after another, and the loops that those in a recurrence must share.

Einsums that depend on one another are the strongly connected parts of the dependence graph. A loop around such a part,
coordinate by coordinate, carries what an earlier iteration writes; what is left without it is ordered in the same way,
with further loops inside where there are recurrences still.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.errors import IllegalMappingError
from einsum_cascade.mapping.workload import Access, Task, Workload
from einsum_cascade.wording import listed

__all__ = ["Recurrence", "is_inside", "members", "ordered_tasks"]


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Einsums in a loop that carries what they read of one another.

    Parameters
    ----------
    variable
        The rank variable of the loop.
    parts
        What runs in an iteration, in order.
    carried
        The tensors of which an iteration reads what an earlier one has written.

    """

    variable: str
    parts: "tuple[Task | Recurrence, ...]"
    carried: frozenset[str]


def members(part: Task | Recurrence) -> tuple[Task, ...]:
    """Return the tasks of a part, in order."""
    if isinstance(part, Task):
        return (part,)
    return tuple(task for inner in part.parts for task in members(inner))


def is_inside(workload: Workload, inner: str, outer: str) -> bool:
    """Tell whether a variable counts within one coordinate of another, as `m0` does within one of `m1`."""
    own, other = workload.parts[inner], workload.parts[outer]
    return own.range == other.range and own.unit.names < other.unit.names


def ordered_tasks(workload: Workload, extents: Mapping[str, int]) -> tuple[Task | Recurrence, ...]:
    """Return the tasks of a workload in an order in which each finds what it reads.

    Parameters
    ----------
    workload
        Whose tasks they are.
    extents
        Of all ranks.

    Raises
    ------
    IllegalMappingError
        Einsums depend on one another, and no loop around them carries that.

    """
    return tuple(_Order(workload, extents).parts(workload.tasks, tuple(_reads(workload, extents)), frozenset()))


@dataclass(frozen=True, slots=True)
class _Dependence:
    """A task that reads what another one, or itself, writes."""

    writer: Task
    reader: Task
    access: Access


def _reads(workload: Workload, extents: Mapping[str, int]) -> Iterator[_Dependence]:
    for reader in workload.tasks:
        for access in reader.reads:
            for writer in workload.writers.get(access.tensor, ()):
                if _may_meet(workload, extents, writer.write, access):
                    yield _Dependence(writer, reader, access)


def _may_meet(workload: Workload, extents: Mapping[str, int], write: Access, read: Access) -> bool:
    """Tell whether some element may be written by one access and read by another."""
    for one, other in zip(write.indices, read.indices, strict=True):
        (low, high), (least, most) = (_bounds(workload, extents, index) for index in (one, other))
        if high < least or most < low:
            return False
    return True


def _bounds(workload: Workload, extents: Mapping[str, int], index: Affine) -> tuple[int, int]:
    """Return the least and the greatest value of an index."""
    least = greatest = index.offset.evaluate(extents)
    for name, coefficient in index.terms:
        reach = coefficient.evaluate(extents) * (_extent(workload, extents, name) - 1)
        least, greatest = least + min(reach, 0), greatest + max(reach, 0)
    return least, greatest


def _extent(workload: Workload, extents: Mapping[str, int], variable: str) -> int:
    return extents[workload.cascade.rank_of[variable]]


class _Order:
    def __init__(self, workload: Workload, extents: Mapping[str, int]) -> None:
        self.workload, self.extents = workload, extents

    def parts(
        self, tasks: Sequence[Task], reads: Sequence[_Dependence], around: frozenset[str]
    ) -> Iterator[Task | Recurrence]:
        """Yield tasks, and those that depend on one another in loops over variables that are not around them yet."""
        for component in _components(tasks, reads):
            own = [read for read in reads if read.writer in component and read.reader in component]
            if own:
                yield self._recurrence(component, own, around)
            else:
                yield from component

    def _recurrence(self, tasks: Sequence[Task], reads: Sequence[_Dependence], around: frozenset[str]) -> Recurrence:
        shared = [name for name in tasks[0].variables if all(name in task.variables for task in tasks)]
        usable = [name for name in shared if name not in around and self._is_possible(name, tasks, reads, around)]
        carried = {name: [read for read in reads if self._is_carried(name, read)] for name in usable}
        variable = max(usable, key=lambda name: len(carried[name]), default=None)
        if variable is None or not carried[variable]:
            raise IllegalMappingError([_refusal(tasks, reads)])
        rest = [read for read in reads if read not in carried[variable]]
        crossing = frozenset(read.access.tensor for read in reads if any(self._lags(variable, read)))
        return Recurrence(variable, tuple(self.parts(tasks, rest, around | {variable})), crossing)

    def _is_possible(
        self, variable: str, tasks: Iterable[Task], reads: Iterable[_Dependence], around: frozenset[str]
    ) -> bool:
        """Tell whether a loop around tasks finds all they read in this iteration or an earlier one."""
        part = self.workload.parts[variable]
        for task in tasks:
            others = (name for name in task.variables if name not in around | {variable})
            if any(is_inside(self.workload, variable, name) for name in others):
                return False
        has_some = part.limit.evaluate(self.extents) > 1
        return has_some and all((lags := self._lags(variable, read)) and min(lags) >= 0 for read in reads)

    def _is_carried(self, variable: str, read: _Dependence) -> bool:
        """Tell whether all that a task reads is written in an earlier iteration."""
        strides = [i.coefficient(variable) for i in read.writer.write.indices if variable in i.variables]
        return any(
            lag >= stride.evaluate(self.extents)
            for lag, stride in zip(self._lags(variable, read), strides, strict=True)
        )

    def _lags(self, variable: str, read: _Dependence) -> list[int]:
        """Return by how much an index of the reader stays behind the writer's, at least, where it has the variable."""
        pairs = zip(read.access.indices, read.writer.write.indices, strict=True)
        ahead = (access - write for access, write in pairs if variable in write.variables)
        return [-_bounds(self.workload, self.extents, difference)[1] for difference in ahead]


def _components(tasks: Sequence[Task], reads: Sequence[_Dependence]) -> Iterator[tuple[Task, ...]]:
    """Yield the strongly connected parts, each after what it reads, otherwise in order of the cascade."""
    sources = {task.name: {read.writer.name for read in reads if read.reader == task} for task in tasks}
    above = {name: _reached(name, sources) for name in sources}
    done: set[str] = set()
    for task in tasks:
        # What a part needs besides itself is done first; a part stands where its first member can.
        yield from _with_sources(task, tasks, above, done)


def _with_sources(
    task: Task, tasks: Sequence[Task], above: Mapping[str, frozenset[str]], done: set[str]
) -> Iterator[tuple[Task, ...]]:
    """Yield the part of a task after those that it needs, as far as they are not done."""
    needed = [other for other in tasks if other.name in above[task.name] | {task.name}]
    for other in sorted(needed, key=lambda each: len(above[each.name])):
        if other.name not in done:
            own = [each for each in tasks if each is other or _is_mutual(each.name, other.name, above)]
            done.update(each.name for each in own)
            yield tuple(own)


def _is_mutual(one: str, other: str, above: Mapping[str, frozenset[str]]) -> bool:
    return one in above[other] and other in above[one]


def _reached(name: str, sources: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """Return the names that are reached from one by one step or more."""
    found: set[str] = set()
    todo = [*sources[name]]
    while todo:
        other = todo.pop()
        if other not in found:
            found.add(other)
            todo += sources[other]
    return frozenset(found)


def _refusal(tasks: Sequence[Task], reads: Sequence[_Dependence]) -> str:
    names, tensors = listed(task.name for task in tasks), listed(dict.fromkeys(r.access.tensor for r in reads))
    return (
        f"Einsums that depend on one another must have a rank variable whose loop carries that, unlike {names}, which "
        f"read {tensors} of one another; write them with a rank that counts the generations"
    )
