"""Check that every tensor is defined before it is read, earlier generations excepted, and that there is no ring."""

from collections import defaultdict
from collections.abc import Iterator

import networkx as nx

from einsum_cascade.cascade.checker.scope import Scope
from einsum_cascade.cascade.ir import Einsum, Read
from einsum_cascade.errors import Span

__all__ = ["check_order"]


def check_order(scope: Scope, einsums: list[Einsum], suspects: frozenset[str], strayed: frozenset[Span]) -> None:
    """Report cycles and reads of what is only defined later.

    Parameters
    ----------
    scope
        The names known.
    einsums
        The equations that checked, in order of the source.
    suspects
        Tensors some of whose equations did not check: nothing is said about them.
    strayed
        The places of reads that leave their tensor: they may be meant for another one.

    """
    producers: defaultdict[str, list[int]] = defaultdict(list)
    for position, einsum in enumerate(einsums):
        producers[einsum.tensor].append(position)
    needs = [
        (at, needed, read)
        for at, e in enumerate(einsums)
        for needed, read in _needs(scope, einsums, producers, e)
        if read.span not in strayed
    ]
    graph = nx.DiGraph((needed, at) for at, needed, _ in needs)
    in_ring: dict[int, int] = {}
    for number, component in enumerate(nx.strongly_connected_components(graph)):
        if len(component) > 1 or any(graph.has_edge(at, at) for at in component):
            in_ring |= dict.fromkeys(component, number)
            _report_ring(scope, einsums, sorted(component))
    if not in_ring:
        _check_recurrences(scope, einsums, producers, strayed)
    for at, needed, read in needs:
        is_ring = at in in_ring and in_ring[at] == in_ring.get(needed)
        if needed > at and not is_ring and read.tensor not in suspects:
            line = einsums[needed].span.line
            message = f"tensor {read.tensor!r} must be defined before it is read, but is defined in line {line}"
            scope.report(f"{message}; move that equation up, or read an earlier generation", read.span, read.tensor)


def _check_recurrences(
    scope: Scope, einsums: list[Einsum], producers: dict[str, list[int]], strayed: frozenset[Span]
) -> None:
    """Report reads of what a later round of the same recurrence gives; where a filter decides, numbers will tell."""
    graph = nx.DiGraph(
        (position, at)
        for at, einsum in enumerate(einsums)
        for read in einsum.reads
        for position in producers.get(read.tensor, ())
    )
    for component in nx.strongly_connected_components(graph):
        iterative = {e.tensor: rank for e in (einsums[at] for at in component) if (rank := _stepped(scope, e.tensor))}
        for at in sorted(component) if iterative else ():
            reader = einsums[at]
            for read in reader.reads if reader.where is None else ():
                is_inside = component.intersection(producers.get(read.tensor, ())) and read.tensor not in iterative
                if is_inside and read.span not in strayed:
                    _check_round(scope, reader, read, einsums[producers[read.tensor][0]], frozenset(iterative.values()))


def _stepped(scope: Scope, name: str) -> str | None:
    """Return the rank along which a tensor is iterative."""
    tensor = scope.tensors[name]
    axis = tensor.generation_axis if tensor else None
    return None if tensor is None or axis is None else tensor.dimensions[axis].rank


def _check_round(scope: Scope, reader: Einsum, read: Read, producer: Einsum, ranks: frozenset[str]) -> None:
    for index, written in zip(read.indices, producer.indices, strict=True):
        if written.plain is None or scope.variables[written.plain] not in ranks:
            continue
        ahead = index.offset.value
        is_known = not index.terms or index.stepped is not None
        is_of_all = index.stepped is not None and index.stepped not in reader.left_variables
        if is_known and (is_of_all or ahead is None or ahead > 0):
            message = f"{read} must not be read before the round of the recurrence that gives it"
            scope.report(
                f"{message}; read {read.tensor} at {written.plain}, or at an earlier coordinate", read.span, read.tensor
            )


def _needs(
    scope: Scope, einsums: list[Einsum], producers: dict[str, list[int]], einsum: Einsum
) -> Iterator[tuple[int, Read]]:
    """Yield the positions of equations that must come before this one, with the read that says so."""
    for read in einsum.reads:
        for position in producers.get(read.tensor, ()):
            producer = einsums[position]
            if producer.is_init or not _is_earlier_generation(scope, producer, read, einsum):
                yield position, read


def _is_earlier_generation(scope: Scope, producer: Einsum, read: Read, reader: Einsum) -> bool:
    """Tell whether a read reaches only generations that were finished before this iteration.

    A reader that reduces the iterative rank's variable reads all generations.
    """
    tensor = scope.tensors[read.tensor]
    axis = tensor.generation_axis if tensor else None
    if axis is None:
        return False
    index, written = read.indices[axis], producer.indices[axis]
    step = written.offset.value or 1
    if not index.terms:
        return index.offset.value is not None and index.offset.value < step
    if index.stepped != written.stepped or index.stepped not in reader.left_variables:
        return False
    return index.offset.value is not None and index.offset.value < step


def _report_ring(scope: Scope, einsums: list[Einsum], ring: list[int]) -> None:
    names = list(dict.fromkeys(einsums[at].tensor for at in ring))
    if len(names) == 1:
        message = f"tensor {names[0]!r} must not be defined by itself"
    else:
        message = f"tensors must not be defined in a cycle, but {' -> '.join([*names, names[0]])} is one"
    scope.report(f"{message}; make a rank iterative (init T[0] = ..., T[i+1] = ...)", einsums[ring[0]].span)
