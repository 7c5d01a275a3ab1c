"""Whether the equations of a declared tensor write all of its elements: what none writes is absent.

Along one dimension the equations continue one another (`Y[i] = ...`, `Y[H + i] = ...`) or take turns (`Y[2*i] = ...`,
`Y[2*i + 1] = ...`); along the others, each writes everything. What is not of these forms is not proved.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.extent import ONE, ZERO, Extent, constant, symbol
from einsum_cascade.cascade.ir import Cascade, Einsum
from einsum_cascade.cascade.partition import expanded, partition_of

__all__ = ["is_written_whole"]


@dataclass(frozen=True, slots=True)
class _Run:
    """Coordinates `start`, `start + stride`, ... of a dimension, `count` of them."""

    start: Extent
    count: Extent
    stride: int = 1

    @property
    def end(self) -> Extent:
        """The coordinate that would be the next one."""
        return self.start + constant(self.stride) * self.count

    def covers(self, size: Extent) -> bool:
        """Tell whether it goes over a whole dimension."""
        return self.stride == 1 and not self.start and (self.count - size).is_nonnegative()


def is_written_whole(cascade: Cascade, writers: Sequence[tuple[Einsum, Sequence[Affine]]]) -> bool:
    """Tell whether the Einsums that write a tensor write all of it; False if that is not proved.

    Parameters
    ----------
    cascade
        The cascade.
    writers
        At least one Einsum of the tensor, each with what is not negative at the points that write.

    """
    dimensions = cascade.tensor[writers[0][0].tensor].dimensions
    sizes = [expanded(symbol(dimension.rank), cascade.rank) for dimension in dimensions]
    known = [runs for einsum, bounds in writers if (runs := _runs(cascade, einsum, bounds)) is not None]
    return not sizes or any(_are_joined(known, sizes, axis) for axis in range(len(sizes)))


def _are_joined(written: Sequence[Sequence[_Run]], sizes: Sequence[Extent], axis: int) -> bool:
    """Tell whether those that write all along every other dimension write all along this one together."""
    others = [at for at in range(len(sizes)) if at != axis]
    runs = [own[axis] for own in written if all(own[at].covers(sizes[at]) for at in others)]
    return _continue(runs, sizes[axis]) or _take_turns(runs, sizes[axis])


def _continue(runs: Sequence[_Run], size: Extent) -> bool:
    """Tell whether runs of neighbours begin where others end, from 0 to the size."""
    reached, left = ZERO, [run for run in runs if run.stride == 1]
    while not (reached - size).is_nonnegative():
        run = next((run for run in left if (reached - run.start).is_nonnegative()), None)
        if run is None:
            return False
        left.remove(run)
        reached = run.end if (run.end - reached).is_nonnegative() else reached
    return True


def _take_turns(runs: Sequence[_Run], size: Extent) -> bool:
    """Tell whether runs of one stride go over every remainder by it, up to the size."""
    for stride in {run.stride for run in runs}:
        long = {run.start.value for run in runs if run.stride == stride and (run.end - size).is_nonnegative()}
        if long.issuperset(range(stride)):
            return True
    return False


def _runs(cascade: Cascade, einsum: Einsum, bounds: Sequence[Affine]) -> list[_Run] | None:
    """Return where an Einsum writes along every dimension; None if that is not a box."""
    found: list[_Run] = []
    for index in einsum.indices:
        run = _run(cascade, index)
        for bound in bounds:
            if run is not None and not set(bound.variables).isdisjoint(index.variables):
                run = _cut(cascade, run, index, bound)
        if run is None:
            return None
        found.append(run)
    return found if all(bound.terms for bound in bounds) else None


def _run(cascade: Cascade, index: Affine) -> _Run | None:
    """Return the coordinates of an index, if they are equally far apart."""

    def count(*names: str) -> Extent:
        return prod((expanded(symbol(cascade.rank_of[name]), cascade.rank) for name in names), start=ONE)

    parts = partition_of(index, cascade.rank_of, cascade.rank)
    if parts is not None:
        return _Run(ZERO, count(*parts))
    start = expanded(index.offset, cascade.rank)
    match index.terms:
        case ():
            return _Run(start, ONE)
        case ((name, coefficient),) if coefficient.value is not None and coefficient.value > 0:
            return _Run(start, count(name), coefficient.value)
        case _:
            return None


def _cut(cascade: Cascade, run: _Run, index: Affine, bound: Affine) -> _Run | None:
    """Return what a bound leaves of the run of an index of one variable, or of a partition that it ends."""
    if bound.terms == (-index).terms:
        count = expanded(bound.offset, cascade.rank) + ONE
        return replace(run, count=count) if run.stride == 1 and (run.count - count).is_nonnegative() else None
    if bound.terms == index.terms and run.stride == 1:
        first = -expanded(bound.offset, cascade.rank)
        return _Run(run.start + first, run.count - first) if first.is_nonnegative() else None
    return None
