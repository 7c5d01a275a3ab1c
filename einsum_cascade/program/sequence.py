"""A cascade as programs of the array, one after the other: which Einsums are one, and in what order they run.

A program is a kernel: its works, from the scores on, whose last makes what leaves, beside sums if they leave as well.
What it reads are inputs, or results of programs before it, which are inputs to it. Only whole kernels are cut off; an
Einsum that is in none is refused, with what the nearest kernel says of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from einsum_cascade.cascade.ir import Cascade
from einsum_cascade.errors import IllegalMappingError
from einsum_cascade.mapping.merging import merge_products
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.program.recognition import ArrayWork, kernels_in, recognise_unscaled
from einsum_cascade.program.unscaled import Unscaled, without_factors

__all__ = ["recognise_sequence"]

type _Part = frozenset[str]
"""Tensors that Einsums of a cascade write, views apart."""


def recognise_sequence(cascade: Cascade) -> tuple[ArrayWork, ...]:
    r"""Return what the array does for a cascade: a work for each of its programs, in an order in which they can run.

    The work of a program is that of a cascade of its own, whose inputs are what it reads.

    Raises
    ------
    IllegalMappingError
        An Einsum is in no kernel, or a kernel reads or makes what the array does not; a sentence each.

    Examples
    --------
    >>> from einsum_cascade import parse
    >>> text = "rank M, K, N, L\ninput A[m:M, k:K], B[k:K, n:N], C[n:N, l:L]\n"
    >>> chain = parse(text + "Y[m, n] = A[m, k] * B[k, n]\nZ[m, l] = Y[m, n] * C[n, l]\noutput Z")
    >>> [(work.kernel.name, work.key.tensor, work.output.tensor) for work in recognise_sequence(chain)]
    [('product', 'A', 'Y'), ('product', 'Y', 'Z')]

    """
    unscaled = without_factors(merge_products(cascade))
    workload = Workload(unscaled.cascade)
    parts = _disjoint(_kernels(workload))
    left = frozenset(_tensors(workload)).difference(*parts)
    if left:
        raise IllegalMappingError(_refusals(workload, left, parts))
    if len(parts) <= 1:
        return (recognise_unscaled(unscaled),)
    order = _tensors(workload)
    parts.sort(key=lambda part: max(map(order.index, part)))
    works = tuple(recognise_unscaled(replace(unscaled, cascade=_cut(workload, part))) for part in parts)
    unmet = [*_absent_scores(works)]
    if unmet:
        raise IllegalMappingError(unmet)
    return works


def _kernels(workload: Workload) -> Iterator[_Part]:
    """Yield the Einsums of every kernel that is whole: all its works are there, and only its result leaves.

    Works of a kernel all follow from its first one, so that what does not follow from an Einsum is given to it.
    """
    for first in _tensors(workload):
        below = Workload(_cut(workload, _following(workload, first)))
        for kernel, roles in kernels_in(below):
            part = frozenset(task.write.tensor for task in roles.values())
            if {*_leaving(workload, part)} == {roles[role].write.tensor for role in kernel.results}:
                yield part


def _disjoint(parts: Iterator[_Part]) -> list[_Part]:
    """Take the largest parts first, and of the others those without an Einsum of one that is taken."""
    taken: list[_Part] = []
    for part in sorted(parts, key=len, reverse=True):
        if all(part.isdisjoint(other) for other in taken):
            taken.append(part)
    return taken


def _tensors(workload: Workload) -> tuple[str, ...]:
    """Return the tensors that Einsums write, views apart, in order of the source."""
    return tuple(dict.fromkeys(task.write.tensor for task in workload.tasks))


def _following(workload: Workload, first: str) -> _Part:
    """Return a tensor and what follows from it."""
    found: set[str] = set()
    new = {first}
    while new:
        found |= new
        new = {task.write.tensor for name in new for task in workload.readers[name]} - found
    return frozenset(found)


def _leaving(workload: Workload, part: _Part) -> tuple[str, ...]:
    """Return the tensors of a part that are outputs, or that are read outside of it or nowhere."""
    outputs = workload.cascade.outputs

    def leaves(name: str) -> bool:
        readers = [task.write.tensor for task in workload.readers[name] if task.write.tensor != name]
        return name in outputs or not readers or not part.issuperset(readers)

    return tuple(sorted(filter(leaves, part), key=(*outputs, *_tensors(workload)).index))


def _cut(workload: Workload, part: _Part) -> Cascade:
    """Return a part as a cascade of its own, with all ranks; what it reads of others is an input."""
    cascade, kept = workload.cascade, {*part}
    for einsum in reversed(cascade.einsums):
        if einsum.tensor in kept:
            kept |= {read.tensor for read in einsum.all_reads} & workload.views.keys()
    einsums = tuple(einsum for einsum in cascade.einsums if einsum.tensor in kept)
    given = {read.tensor for einsum in einsums for read in einsum.all_reads} - kept
    tensors = (
        *(
            tensor if tensor.is_given else replace(tensor, role="input", is_declared=False)
            for tensor in cascade.tensors
            if tensor.name in given
        ),
        *(tensor for tensor in cascade.tensors if tensor.name in kept),
    )
    return replace(cascade, tensors=tensors, einsums=einsums, outputs=_leaving(workload, part), documentation="")


def _refusals(workload: Workload, left: _Part, parts: Sequence[_Part]) -> Sequence[str]:
    """Return what the nearest kernel says of Einsums that are in none.

    A product that is whole may yet be the scores of what is left, or its values: parts are added to it as long as that
    makes for fewer sentences.
    """
    found = _refusal(workload, left)
    tried = [(_refusal(workload, left | part), left | part) for part in parts]
    fewest, more = min(tried, key=lambda each: (len(each[0]), -len(each[1])), default=(found, left))
    if len(fewest) > len(found) or more == left:
        return found
    return _refusals(workload, more, [part for part in parts if part.isdisjoint(more)])


def _refusal(workload: Workload, part: _Part) -> Sequence[str]:
    is_whole = len(part) == len(_tensors(workload))
    try:
        recognise_unscaled(Unscaled(workload.cascade if is_whole else _cut(workload, part), ()))
    except IllegalMappingError as error:
        return error.violations
    raise AssertionError(f"{sorted(part)} must be no kernel, for kernels are taken first")


def _absent_scores(works: Sequence[ArrayWork]) -> Iterator[str]:
    """Yield where scores would be made of results that a filter leaves out: such results are 0 in memory.

    For a product, and for values, a 0 is as good as nothing.
    """
    absent: set[str] = set()
    for work in works:
        operands = [operand.tensor for operand in (work.query, work.key) if operand is not None]
        if len(work.tasks) > 1:
            for name in dict.fromkeys(name for name in operands if name in absent):
                yield (
                    f"{work.scores} must read all elements of {name} for the array, but a filter leaves some out; "
                    f"filter the scores instead"
                )
        has_absent = work.scores.where is not None and work.value is None
        if has_absent or not absent.isdisjoint(operands):
            absent |= {operand.tensor for operand in work.results}
