"""Rules of order: a reader finds what it reads, complete and still kept.

For a writer and a reader of a tensor, the loops around both are looked at from the outermost inwards. An index of the
reader that stays behind the writer's by a tile of a loop is met by an earlier iteration, whatever stands further in.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.extent import ONE, Extent, symbol
from einsum_cascade.errors import Diagnostic
from einsum_cascade.mapping.ir import Compute, Keep, Loop
from einsum_cascade.mapping.mapped import Branch, Mapped, Position, loops_of, shared_steps
from einsum_cascade.mapping.workload import Access
from einsum_cascade.wording import listed

__all__ = ["dependence_violations"]


def dependence_violations(mapped: Mapped, refused: frozenset[Position]) -> Iterator[Diagnostic]:
    """Yield what is wrong with the order of Einsums and with the tensors between them, and where.

    Parameters
    ----------
    mapped
        The mapping.
    refused
        Loops that break a rule about passes: what follows from that is not told again.

    """
    apart: dict[str, list[Compute]] = {}
    lost: dict[str, tuple[Loop, list[str]]] = {}
    for pair in _pairs(mapped):
        found = _Finding(mapped, pair)
        if found.message:
            if found.position not in refused:
                yield Diagnostic(found.message, found.span)
        elif found.is_apart:
            apart.setdefault(pair.access.tensor, []).extend((pair.writer.leaf, pair.reader.leaf))
        elif found.lost_at is not None:
            lost.setdefault(pair.access.tensor, (found.lost_at, []))[1].append(pair.reader.leaf.task)
    for tensor, found in apart.items():
        tasks = listed(dict.fromkeys(leaf.task for leaf in found))
        message = f"tensor {tensor!r} must be kept above all Einsums that write and read it"
        sentence = f"{message}, but nothing is kept around {tasks} together; keep it further out"
        yield Diagnostic(sentence, found[-1].span)
    for tensor, (loop, readers) in lost.items():
        message = f"tensor {tensor!r} must be kept above '{loop}', because what one iteration writes"
        yield Diagnostic(f"{message} is read in a later one by {listed(readers)}; keep it further out", loop.span)


@dataclass(frozen=True, slots=True)
class _Pair:
    """A writer of a tensor, a reader, and how it reads."""

    writer: Branch
    reader: Branch
    write: Access
    access: Access


def _pairs(mapped: Mapped) -> Iterator[_Pair]:
    for reader in mapped.branches.values():
        for access in mapped.task(reader).reads:
            for task in mapped.workload.writers.get(access.tensor, ()):
                writer = mapped.branches.get(task.name)
                if writer is not None and _may_meet(mapped, task.write, access):
                    yield _Pair(writer, reader, task.write, access)


def _may_meet(mapped: Mapped, write: Access, read: Access) -> bool:
    """Tell whether a reader may read an element that a writer writes."""
    return not any(
        _is_below(mapped, one, other) or _is_below(mapped, other, one)
        for one, other in zip(write.indices, read.indices, strict=True)
    )


def _is_below(mapped: Mapped, index: Affine, other: Affine) -> bool:
    """Tell whether one index is always below another, whatever their variables are."""
    upper, lower = _extreme(mapped, index, is_upper=True), _extreme(mapped, other, is_upper=False)
    return upper is not None and lower is not None and mapped.is_nonnegative(lower - upper - ONE)


def _extreme(mapped: Mapped, index: Affine, *, is_upper: bool) -> Extent | None:
    ranks = mapped.workload.cascade.rank_of
    return index.extreme(lambda name: symbol(ranks[name]) - ONE, is_upper=is_upper)


class _Finding:
    """What is wrong between a writer and a reader: a message and the loop that it is about, or nothing."""

    def __init__(self, mapped: Mapped, pair: _Pair) -> None:
        self.mapped, self.pair = mapped, pair
        self.message, self.position = "", ()
        self.span = pair.reader.leaf.span
        is_itself = pair.writer.position == pair.reader.position
        self.steps = mapped.whole_steps(pair.reader) if is_itself else shared_steps(pair.writer, pair.reader)
        writer, reader = mapped.task(pair.writer), mapped.task(pair.reader)
        self.crossed: Position | None = None
        self.is_carried = False
        for position, loop in loops_of(self.steps):
            is_common = loop.variable in writer.variables and loop.variable in reader.variables
            if is_common and not mapped.is_single(position, self.steps):
                self._enter(position, loop)
            if self.message or self.is_carried:
                break
        self._check_order()

    @property
    def is_apart(self) -> bool:
        """Whether the tensor is kept nowhere above both."""
        return self.pair.access.tensor not in self.mapped.workload.homes_outside and self._kept() is None

    def _kept(self) -> Position | None:
        """Return where the tensor is kept first above both."""
        name = self.pair.access.tensor
        keeps = (placed for placed in self.steps if isinstance(placed.step, Keep) and name in placed.step.tensors)
        return next((placed.position for placed in keeps), None)

    def _refuse(self, position: Position, message: str) -> None:
        self.message, self.position = message, position
        places = (placed.step.span for placed in self.steps if placed.position == position)
        self.span = next(places, self.pair.reader.leaf.span)

    def _enter(self, position: Position, loop: Loop) -> None:
        """Look at a loop around both: what its iteration reads must be there."""
        pair, name = self.pair, loop.variable
        writer, reader = pair.writer.leaf.task, pair.reader.leaf.task
        indexed = [axis for axis, index in enumerate(pair.write.indices) if name in index.variables]
        if not indexed:
            subject = f"Einsum {reader!r} must not read {pair.access.tensor!r} inside '{loop}'"
            self._refuse(
                position, f"{subject}, where {writer!r} is still reduced over {name!r}; move it behind the loop"
            )
            return
        lags = [self._lag(axis) for axis in indexed]
        known = [lag for lag in lags if lag is not None]
        if len(known) < len(lags) or not all(map(self.mapped.is_nonnegative, known)):
            self._refuse(position, self._ahead(loop))
        elif any(known) and loop.axis is not None:
            subject = f"'{loop}' must not be spread over PEs, because {reader!r} reads {_text(pair.access)}"
            self._refuse(position, f"{subject}, which another iteration writes as {_text(pair.write)}; loop in time")
        elif any(known):
            self.crossed = self.crossed or position
            strides = (pair.write.indices[axis].coefficient(name) * loop.tile for axis in indexed)
            self.is_carried = any(
                self.mapped.is_nonnegative(lag - stride) for lag, stride in zip(known, strides, strict=True)
            )

    def _lag(self, axis: int) -> Extent | None:
        """Return by how much the reader stays behind the writer, at least."""
        ahead = self.pair.access.indices[axis] - self.pair.write.indices[axis]
        most = _extreme(self.mapped, ahead, is_upper=True)
        return None if most is None else -most

    def _ahead(self, loop: Loop) -> str:
        pair = self.pair
        subject = (
            f"Einsum {pair.reader.leaf.task!r} must read inside '{loop}' what {pair.writer.leaf.task!r} has written"
        )
        what = f"but reads {_text(pair.access)} where {_text(pair.write)} is written"
        return f"{subject}, {what}; move one of them out of the loop"

    def _check_order(self) -> None:
        pair = self.pair
        if self.message or self.is_carried or pair.writer.position < pair.reader.position:
            return
        writer, reader = pair.writer.leaf.task, pair.reader.leaf.task
        if writer == reader:
            self._refuse(
                (), f"Einsum {reader!r} must read {_text(pair.access)} in a later iteration than it is written in"
            )
        else:
            self._refuse(
                (),
                f"Einsum {reader!r} must come after {writer!r}, because it reads {_text(pair.access)}; exchange them",
            )

    @property
    def lost_at(self) -> Loop | None:
        """The loop that writes an element in one iteration and reads it in a later one, though it is kept inside."""
        name, kept = self.pair.access.tensor, self._kept()
        if self.crossed is None or kept is None or name in self.mapped.workload.homes_outside or kept < self.crossed:
            return None
        return next(loop for position, loop in loops_of(self.steps) if position == self.crossed)


def _text(access: Access) -> str:
    return f"{access.tensor}[{', '.join(map(str, access.indices))}]"
