"""What a mapping binds: the Einsums of a cascade that compute, with what they read and write.

Einsums that only rename coordinates (`BK[e, m1, m0] = K[e, m1*M0 + m0]`) are views: nothing moves for them, and their
readers read what they read. The parts of a partition become one range, so that a tail is counted exactly; they do not
where some Einsum goes past the end of the rank (`mapping.tails`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from einsum_cascade.analysis.facts import Facts
from einsum_cascade.analysis.passes import timing_via, ways_of
from einsum_cascade.analysis.target import Target, partitions, targets
from einsum_cascade.analysis.traversals import Timing
from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.extent import ONE, Extent, symbol
from einsum_cascade.cascade.ir import Cascade, Einsum, Read, reads_of
from einsum_cascade.cascade.partition import partition_of
from einsum_cascade.mapping.tails import overrun_partitions

__all__ = ["Access", "Part", "Task", "Workload", "range_of"]


@dataclass(frozen=True, slots=True)
class Access:
    """A read or a write of a tensor, by the task's rank variables."""

    tensor: str
    indices: tuple[Affine, ...]

    @property
    def variables(self) -> frozenset[str]:
        """The rank variables that occur."""
        return frozenset(name for index in self.indices for name in index.variables)


@dataclass(frozen=True, slots=True)
class Task:
    """An Einsum that computes.

    Parameters
    ----------
    name
        The tensor that it defines; `T#2` for the second equation of a tensor `T`.
    number
        Its position in the cascade.
    variables
        Its iteration space.
    reads
        What it reads, views resolved, each access once.
    write
        What it writes.

    """

    name: str
    number: int
    variables: tuple[str, ...]
    reads: tuple[Access, ...]
    write: Access


@dataclass(frozen=True, slots=True)
class Part:
    """A rank variable as part of a range: `m1` is the range of M in units of M0 coordinates.

    Parameters
    ----------
    range
        Name of the range; of a variable that is no part of a partition, the variable.
    extent
        Coordinates of the whole range.
    unit
        Coordinates of the range that one coordinate of the variable covers.
    limit
        Coordinates of the variable.

    """

    range: str
    extent: Extent
    unit: Extent
    limit: Extent


class Workload:
    """The tasks of a cascade and the ranges that its variables run over.

    Parameters
    ----------
    cascade
        The cascade.
    apart
        Names of ranges whose parts are ranges of their own instead; those that some Einsum overruns always are.

    """

    def __init__(self, cascade: Cascade, apart: frozenset[str] = frozenset()) -> None:
        """Resolve views and find the partitions."""
        self.cascade = cascade
        self.overrun = overrun_partitions(cascade)
        wholes = partitions(cascade) if self.overrun else {}
        self.apart = apart.union(range_of(ranks, wholes[ranks]) for ranks in self.overrun)
        self.views = _views(cascade)
        self.parts = _parts(cascade, self.apart)
        self._timings: dict[str, tuple[tuple[Target, Timing], ...]] = {}
        names: Counter[str] = Counter()
        tasks: list[Task] = []
        for number, einsum in enumerate(cascade.einsums):
            if einsum.tensor in self.views or einsum.is_constant_start:
                continue
            names[einsum.tensor] += 1
            count = names[einsum.tensor]
            name = einsum.tensor if count == 1 else f"{einsum.tensor}#{count}"
            tasks.append(self._task(name, number, einsum))
        self.tasks = tuple(tasks)

    @cached_property
    def task(self) -> dict[str, Task]:
        """Tasks by name."""
        return {task.name: task for task in self.tasks}

    @cached_property
    def writers(self) -> dict[str, tuple[Task, ...]]:
        """Tasks by the tensor that they write."""
        return {name: tuple(t for t in self.tasks if t.write.tensor == name) for name in self.tensors}

    @cached_property
    def readers(self) -> dict[str, tuple[Task, ...]]:
        """Tasks by the tensors that they read."""
        return {name: tuple(t for t in self.tasks if any(a.tensor == name for a in t.reads)) for name in self.tensors}

    @cached_property
    def tensors(self) -> tuple[str, ...]:
        """The tensors that exist somewhere: all but views, in order of the source."""
        return tuple(tensor.name for tensor in self.cascade.tensors if tensor.name not in self.views)

    @cached_property
    def homes_outside(self) -> frozenset[str]:
        """The tensors that come from or go to the outermost memory."""
        return frozenset(t.name for t in self.cascade.inputs) | frozenset(self.cascade.outputs)

    @cached_property
    def is_masked(self) -> bool:
        """Whether a filter, or the end of a rank within a tile, leaves points out."""
        return bool(self.overrun) or any(einsum.where is not None for einsum in self.cascade.einsums)

    def ends_of(self, task: Task) -> Iterator[tuple[Affine, Extent]]:
        """Yield the indices of a task that go past the end of their rank, and the extent that ends them."""
        for access in (*task.reads, task.write) if self.overrun else ():
            dimensions = self.cascade.tensor[access.tensor].dimensions
            for index, dimension in zip(access.indices, dimensions, strict=True):
                parts = partition_of(index, self.cascade.rank_of, self.cascade.rank)
                if parts is not None and tuple(self.cascade.rank_of[name] for name in parts) in self.overrun:
                    yield index, dimension.extent

    def timings_along(self, variable: str) -> tuple[tuple[Target, Timing], ...]:
        """Return when Einsums fire in the passes over all that is read along a rank variable, outermost parts first.

        The pass analysis runs once for each variable that it is asked for.
        """
        if variable not in self._timings:
            self._timings[variable] = tuple(
                (target, timing_via(self._facts, target, way))
                for target in targets(self.cascade)
                for way in ways_of(self._facts, target)
                if way[0] == variable
            )
        return self._timings[variable]

    @cached_property
    def _facts(self) -> Facts:
        return Facts(self.cascade)

    def _task(self, name: str, number: int, einsum: Einsum) -> Task:
        reads = [self._resolved(read) for read in einsum.all_reads]
        return Task(
            name,
            number,
            einsum.variables,
            tuple(dict.fromkeys(reads)),
            Access(einsum.tensor, einsum.indices),
        )

    def _resolved(self, read: Read) -> Access:
        access = Access(read.tensor, read.indices)
        while access.tensor in self.views:
            view = self.views[access.tensor]
            (source,) = reads_of(view.expression)
            values = {i.variables[0]: own for i, own in zip(view.indices, access.indices, strict=True)}
            access = Access(source.tensor, tuple(index.substituted(values) for index in source.indices))
        return access


def _views(cascade: Cascade) -> dict[str, Einsum]:
    """Return the Einsums that only rename the coordinates of an input or of a computed tensor."""
    found: dict[str, Einsum] = {}
    for einsum in cascade.einsums:
        is_copy = isinstance(einsum.expression, Read) and einsum.reduction is None and einsum.where is None
        is_plain = all(index.plain is not None for index in einsum.indices)
        tensor = cascade.tensor[einsum.tensor]
        if is_copy and is_plain and not einsum.is_init and not tensor.is_declared and tensor.generation_axis is None:
            found[einsum.tensor] = einsum
    return {name: einsum for name, einsum in found.items() if name not in cascade.outputs}


def range_of(ranks: Iterable[str], whole: str) -> str:
    """Return the name of the range of a rank that is partitioned into others, outermost first."""
    return f"{whole}:{'*'.join(ranks)}"


def _parts(cascade: Cascade, apart: frozenset[str]) -> dict[str, Part]:
    """Return for every rank variable the range that it belongs to."""
    by_rank: dict[str, Part] = {}
    for ranks, whole in partitions(cascade).items():
        unit, name = ONE, range_of(ranks, whole)
        for at in reversed(range(len(ranks) if name not in apart else 0)):
            limit = symbol(ranks[at])
            by_rank.setdefault(ranks[at], Part(name, symbol(whole), unit, limit))
            unit *= limit
    found: dict[str, Part] = {}
    for name, rank in cascade.variables:
        part = by_rank.get(rank)
        found[name] = part or Part(name, symbol(rank), ONE, symbol(rank))
    return found
