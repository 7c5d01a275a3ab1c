"""Results that stay in the array's memory for the programs after them, and the works that run on one memory.

A tensor stays if all that read it are works of the array, and if one layout of its axes is what its maker writes, a row
for each query, and what every reader reads. Where that is so, the host has nothing to do between the programs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import permutations, product

from einsum_cascade.array.program import Layout
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.recognition.layouts import EvenIndices, line_of
from einsum_cascade.recognition.sequence import HostWork, Work
from einsum_cascade.recognition.works import ArrayWork, Operand

__all__ = ["Chain", "HeldTensor", "chain_of", "layout_of"]

_MOST_AXES = 6
"""Of a tensor that stays, for all orders of its axes are tried."""

_PAGE = 4096


@dataclass(frozen=True, slots=True)
class HeldTensor:
    """A tensor that stays in the array's memory.

    Parameters
    ----------
    strides
        Bytes from an element to the next along each axis.
    size_bytes
        Of all of it.

    """

    strides: tuple[int, ...]
    size_bytes: int


@dataclass(frozen=True)
class Chain:
    """Works in the order in which they are done, and what stays in memory between them.

    Parameters
    ----------
    works
        The works; products may have keys and queries the other way round than they came.
    runs
        The numbers of works that run on one memory, one after the other: those of the array next to each other.
    held
        The tensors that stay in memory, by name.
    reasons
        Why others that works of the array read do not, by name.

    """

    works: tuple[Work, ...]
    runs: tuple[range, ...]
    held: Mapping[str, HeldTensor]
    reasons: Mapping[str, str]


def chain_of(works: Sequence[Work], extents: Mapping[str, int], shape: ArrayShape, outputs: Sequence[str]) -> Chain:
    """Return how works can run without the host between them.

    Parameters
    ----------
    works
        What array and host do, in order.
    extents
        Of all ranks.
    shape
        The array.
    outputs
        Of the cascade: they leave as they are, in fp32.

    """
    found, held, reasons = [*works], dict[str, HeldTensor](), dict[str, str]()
    of_host = {name for work in works if isinstance(work, HostWork) for name in _host_reads(work)}
    for number, work in enumerate(works):
        if isinstance(work, HostWork):
            continue
        name = work.output.tensor
        readers = [*_readers(works, name)]
        if not readers:
            continue
        reason = _kept_out(work, of_host, outputs)
        if reason is None:
            fitting = _fitting(work, readers, held, extents, shape)
            if fitting is None:
                reason = "its maker's rows of queries are not the rows that those who read it take"
            else:
                found[number], held[name] = fitting
        if reason is not None:
            reasons[name] = reason
    return _split(found, held, reasons)


def _split(works: Sequence[Work], held: dict[str, HeldTensor], reasons: dict[str, str]) -> Chain:
    """Return the chain with works on one memory as long as nothing goes through the host between them."""
    while True:
        runs = [*_runs(works, held)]
        place = {name: run for run in runs for at in run for name in _made(works[at])}
        torn = [name for name in held if any(run is not place[name] for run in runs if _reads(works, run, name))]
        if not torn:
            return Chain((*works,), (*runs,), held, reasons)
        for name in torn:
            del held[name]
            reasons[name] = "something goes through the host between its maker and one that reads it"


def _runs(works: Sequence[Work], held: Mapping[str, HeldTensor]) -> Iterator[range]:
    """Yield the numbers of works of the array between which all that is read is held."""
    first = 0
    made: set[str] = set()
    for number, work in enumerate(works):
        is_host = isinstance(work, HostWork)
        if is_host or made & {operand.tensor for _, operand in _operands(work)}:
            if first < number:
                yield range(first, number)
            first = number + is_host
            made.clear()
        made |= {name for name in _made(work) if name not in held}
    if first < len(works):
        yield range(first, len(works))


def _made(work: Work) -> tuple[str, ...]:
    return () if isinstance(work, HostWork) else tuple(operand.tensor for operand in work.results)


def _reads(works: Sequence[Work], run: range, name: str) -> bool:
    return any(operand.tensor == name for at in run for _, operand in _operands(works[at]))


def _operands(work: Work) -> Iterator[tuple[str, Operand]]:
    """Yield what a work of the array reads, by what it is."""
    if isinstance(work, HostWork):
        return
    for role in ("query", "key", "value", "weight"):
        operand: Operand | None = getattr(work, role)
        if operand is not None:
            yield role, operand


def _readers(works: Sequence[Work], name: str) -> Iterator[tuple[ArrayWork, str, Operand]]:
    for work in works:
        if not isinstance(work, HostWork):
            yield from ((work, role, operand) for role, operand in _operands(work) if operand.tensor == name)


def _host_reads(work: HostWork) -> Iterator[str]:
    """Yield the tensors that a part of the host reads."""
    for task in Workload(work.cascade).tasks:
        if task.write.tensor in work.reasons:
            yield from (read.tensor for read in task.reads)


def _kept_out(work: ArrayWork, of_host: AbstractSet[str], outputs: Sequence[str]) -> str | None:
    """Return why a result cannot stay whatever its layout is; None if it can."""
    if work.output.tensor in outputs:
        return "it is an output, which leaves in fp32"
    if len(work.results) > 1:
        beside = " and ".join(operand.tensor for operand in work.results[1:])
        return f"it leaves together with {beside}, in fp32"
    return "the host reads it" if work.output.tensor in of_host else None


def _fitting(
    work: ArrayWork,
    readers: Sequence[tuple[ArrayWork, str, Operand]],
    held: Mapping[str, HeldTensor],
    extents: Mapping[str, int],
    shape: ArrayShape,
) -> tuple[ArrayWork, HeldTensor] | None:
    """Return a maker, and how its result lies in memory, that suit each other and all who read it; None if none do.

    The maker must still be able to read what is held already.
    """
    name = work.output.tensor
    dimensions = work.cascade.tensor[name].dimensions
    sizes = [dimension.extent.evaluate(extents) for dimension in dimensions]
    if len(sizes) > _MOST_AXES or 0 in sizes:
        return None

    def suits(users: Iterable[tuple[ArrayWork, str, Operand]], tensors: Mapping[str, HeldTensor]) -> bool:
        return all(layout_of(each, role, tensors[own.tensor], extents, shape) is not None for each, role, own in users)

    for maker in _variants(work):
        if not suits(((maker, role, own) for role, own in _operands(maker) if own.tensor in held), held):
            continue
        for order in permutations(range(len(sizes))):
            found = {name: _held(sizes, order, shape)}
            if suits([(maker, "output", maker.output), *readers], found):
                return maker, found[name]
    return None


def _variants(work: ArrayWork) -> Iterator[ArrayWork]:
    """Yield works that make the same: a product may have its keys as queries, and other rows, columns and heads."""
    yield work
    if not work.kernel.is_product or work.query is None or work.scores.where is not None:
        return
    names = (*work.shared, *work.group, work.rows, work.columns)
    for key, query in ((work.key, work.query), (work.query, work.key)):
        of_keys, of_queries = (
            [name for name in names if name in one.ranges and name not in other.ranges]
            for one, other in ((key, query), (query, key))
        )
        for rows, columns in product(of_keys, of_queries):
            heads = [name for name in names if name not in (rows, columns)]
            # Heads that only queries have share keys, if they are the inner ones.
            group = [name for name in heads if name in of_queries]
            for inner in (group, []) if group else ([],):
                outer = [name for name in heads if name not in inner]
                for order in product(permutations(outer), permutations(inner)):
                    shared, own = order
                    yield replace(work, query=query, key=key, rows=rows, columns=columns, shared=shared, group=own)


def _held(sizes: Sequence[int], order: Sequence[int], shape: ArrayShape) -> HeldTensor:
    """Return a tensor with its axes in an order, the innermost first, whose elements lie side by side."""
    strides, step = [0] * len(sizes), shape.operand_bytes
    for number, axis in enumerate(order):
        strides[axis], step = step, step * sizes[axis]
        if number == 0:
            step = -(-step // shape.beat_bytes) * shape.beat_bytes
    return HeldTensor((*strides,), -(-step // _PAGE) * _PAGE)


def layout_of(
    work: ArrayWork, role: str, held: HeldTensor, extents: Mapping[str, int], shape: ArrayShape
) -> Layout | None:
    """Return where a work reads or writes a tensor that is held, from its first byte; None if it cannot.

    Parameters
    ----------
    work
        What reads or writes it.
    role
        As what: `query`, `key`, `value` or `output`.
    held
        How it lies in memory.
    extents
        Of all ranks.
    shape
        The array.

    """
    if work.query is None or work.steps is None:
        return None  # scores that are given become heads of as many columns as the array has
    heads, row, element = {
        "query": ((*work.shared, *work.group), work.columns, work.steps),
        "key": (work.shared, work.rows, work.steps),
        "value": (work.shared, work.rows, work.outputs),
        "output": ((*work.shared, *work.group), work.columns, work.outputs or work.rows),
    }.get(role, ((), "", None))
    operand: Operand | None = getattr(work, role, None)
    if operand is None or element is None or (role == "value" and work.has_more_values):
        return None
    line = line_of(work, operand, extents)
    if line is None:
        return None
    sizes = work.sizes(extents)
    return _layout(
        line, held, [(name, sizes[name]) for name in heads], (row, sizes[row]), (element, sizes[element]), shape
    )


def _layout(
    line: EvenIndices,
    held: HeldTensor,
    heads: Sequence[tuple[str, int]],
    row: tuple[str, int],
    element: tuple[str, int],
    shape: ArrayShape,
) -> Layout | None:
    def step_of(name: str) -> int:
        # A tensor that lacks a range is the same all along it.
        return sum(a * b for a, b in zip(held.strides, line.steps[name], strict=True)) if name in line.steps else 0

    (row_name, rows), (element_name, elements) = row, element
    if elements > 1 and step_of(element_name) != shape.operand_bytes:
        return None
    least = shape.beats_of(elements) * shape.beat_bytes
    stride = step_of(row_name) if rows > 1 else least
    head_stride, count = 0, 1
    for name, size in reversed(heads):
        if size > 1:
            head_stride = head_stride if count > 1 else step_of(name)
            if step_of(name) != head_stride * count:
                return None
        count *= size
    address = sum(a * b for a, b in zip(held.strides, line.first, strict=True))
    are_beats = not any(value % shape.beat_bytes for value in (address, stride, head_stride))
    if not are_beats or stride < elements * shape.operand_bytes or head_stride < 0:
        return None
    return Layout(address, stride, head_stride)
