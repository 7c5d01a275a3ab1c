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
    for at, needed, read in needs:
        is_ring = at in in_ring and in_ring[at] == in_ring.get(needed)
        if needed > at and not is_ring and read.tensor not in suspects:
            line = einsums[needed].span.line
            message = f"tensor {read.tensor!r} must be defined before it is read, but is defined in line {line}"
            scope.report(f"{message}; move that equation up, or read an earlier generation", read.span, read.tensor)


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
