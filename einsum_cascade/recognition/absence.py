"""Which elements of results may be absent: what a filter leaves out is nothing to a reduction, and 0 in memory."""

from collections.abc import Iterator, Mapping

from einsum_cascade.cascade.ir import Einsum, conjuncts, predicate_variables
from einsum_cascade.mapping.workload import Workload

__all__ = ["absent_tensors"]

type _Absences = Mapping[str, set[frozenset[int]]]
"""By tensor, for each reason why elements may be absent, the axes that it depends on."""


def absent_tensors(workload: Workload) -> frozenset[str]:
    """Return the computed tensors some element of which may be absent, whatever the extents are.

    What names no variable that is reduced decides about elements of the result; what names one is not seen by the
    reduction. So says `interpreter.presence`.
    """
    found: dict[str, set[frozenset[int]]] = {each.tensor: set() for each in workload.cascade.einsums}
    count = -1
    while count != (count := sum(map(len, found.values()))):
        for einsum in workload.cascade.einsums:
            found[einsum.tensor] |= {*_absences(workload, einsum, found)}
    return frozenset(name for name, axes in found.items() if axes)


def _absences(workload: Workload, einsum: Einsum, known: _Absences) -> Iterator[frozenset[int]]:
    """Yield the axes of the result on which it depends whether an element is there, reason by reason."""
    moved = frozenset(at for at, index in enumerate(einsum.indices) if index.plain is None)
    if moved and workload.cascade.tensor[einsum.tensor].is_declared:
        # A declared tensor has coordinates that its Einsum may not reach.
        yield moved
    reduced = frozenset(einsum.reduction.variables if einsum.reduction is not None else ())
    for names in _conditions(einsum, known):
        if reduced.isdisjoint(names):
            yield frozenset(at for at, index in enumerate(einsum.indices) if not names.isdisjoint(index.variables))


def _conditions(einsum: Einsum, known: _Absences) -> Iterator[frozenset[str]]:
    """Yield the variables of everything that decides whether a point is there."""
    tests = [predicate_variables(each) for each in conjuncts(einsum.where)]
    chosen = frozenset[str]() if einsum.otherwise is None else frozenset[str]().union(*tests)
    if einsum.otherwise is None:
        yield from tests
    for read in einsum.reads:
        # The parts of a partition may count past its end.
        yield from (frozenset(index.variables) | chosen for index in read.indices if len(index.variables) > 1)
        for axes in known.get(read.tensor, ()):
            yield chosen.union(*(read.indices[at].variables for at in axes))
