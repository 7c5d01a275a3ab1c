"""A cascade as programs of the array, one after the other: which Einsums are one, and in what order they run.

A program is a kernel: its works, from the scores on, whose last makes what leaves, beside sums if they leave as well.
What it reads are inputs, or results of programs before it, which are inputs to it. Only whole kernels are cut off; an
Einsum that is in none is refused, with what the nearest kernel says of it, or is the host's.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from einsum_cascade.cascade.ir import Cascade, Einsum
from einsum_cascade.cascade.transform import as_input, rebuild
from einsum_cascade.errors import IllegalMappingError
from einsum_cascade.mapping.merging import merge_products
from einsum_cascade.mapping.workload import Access, Workload
from einsum_cascade.recognition.absence import absent_tensors
from einsum_cascade.recognition.patterns import last_generation
from einsum_cascade.recognition.unscaled import Unscaled, without_factors
from einsum_cascade.recognition.works import ArrayWork, Shortfall, kernels_in, recognise_unscaled, shortfall_of

__all__ = ["HostWork", "Work", "divide", "recognise_sequence"]

type _Part = frozenset[str]
"""Tensors that Einsums of a cascade write, views apart."""


@dataclass(frozen=True)
class HostWork:
    """What the host does between programs of the array, in the interpreter.

    Parameters
    ----------
    cascade
        The whole cascade, products merged into what adds them.
    outputs
        What is read after it, or leaves.
    reasons
        Why the array does not do it, a sentence for each tensor that its Einsums write, in order.

    """

    cascade: Cascade
    outputs: tuple[str, ...]
    reasons: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return what it makes, and its Einsums with the reasons, as plain values; its cycles are not counted."""
        einsums = {each.tensor: str(each) for each in self.cascade.einsums if not each.is_init}
        told = [{"einsum": einsums[name], "reason": reason} for name, reason in self.reasons.items()]
        return {"kernel": "host", "outputs": [*self.outputs], "cycles": None, "einsums": told}


type Work = ArrayWork | HostWork
"""A part of a cascade, and who does it."""


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
        raise IllegalMappingError([*_causes(workload, left, parts).values()])
    if len(parts) <= 1:
        return (recognise_unscaled(unscaled, _ready(workload, parts[0]) if parts else frozenset()),)
    order = _tensors(workload)
    parts.sort(key=lambda part: max(map(order.index, part)))
    works = tuple(_recognised(unscaled, workload, part) for part in parts)
    unmet = [*_absent_scores(works).values()]
    if unmet:
        raise IllegalMappingError(unmet)
    return works


def divide(cascade: Cascade, refused: Mapping[_Part, Sequence[str]] | None = None) -> tuple[Work, ...]:
    r"""Return what the array does for a cascade and what the host does, in an order in which they can run.

    Parameters
    ----------
    cascade
        The cascade.
    refused
        Kernels that the array cannot do, by the tensors that they write, and why.

    Raises
    ------
    IllegalMappingError
        Nothing is left for the array, or as of `recognise_sequence`.

    Examples
    --------
    >>> from einsum_cascade import parse
    >>> text = "rank M, K, N\ninput A[m:M, k:K], B[k:K, n:N]\n"
    >>> cascade = parse(text + "Y[m, n] = A[m, k] * B[k, n]\nZ[m, n] = tanh(Y[m, n])\noutput Z")
    >>> product, host = divide(cascade)
    >>> print(host.reasons["Z"].split(";")[0])
    the array must be able to do every Einsum, but Z[m, n] needs tanh in this place

    """
    unscaled = without_factors(merge_products(cascade))
    workload = Workload(unscaled.cascade)
    refused, candidates = {**(refused or {})}, [*_kernels(workload)]
    while True:
        parts = _disjoint(part for part in candidates if part not in refused)
        unmet = _unmet(unscaled, workload, parts)
        if not unmet:
            break
        refused |= unmet
    left = frozenset(_tensors(workload)).difference(*parts)
    if not parts:
        raise IllegalMappingError([*_causes(workload, left, [], refused).values()])
    if not left and len(parts) == 1:
        return (recognise_unscaled(unscaled, _ready(workload, parts[0])),)
    return tuple(_ordered(unscaled, workload, parts, left, _reasons(workload, left, parts, refused)))


def _kernels(workload: Workload) -> Iterator[_Part]:
    """Yield the Einsums of every kernel that is whole: all its works are there, and only its result leaves.

    Works of a kernel all follow from its first one, so that what does not follow from an Einsum is given to it.
    """
    for first in _tensors(workload):
        below = Workload(_cut(workload, _following(workload, first)))
        for kernel, roles in kernels_in(below):
            part = frozenset(task.write.tensor for task in roles.values())
            leaving, results = {*_leaving(workload, part)}, {roles[role].write.tensor for role in kernel.results}
            beside = {roles[role].write.tensor for role in kernel.statistics.values()} & _ready(workload, part)
            if results <= leaving <= results | beside:
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
    return _reached(first, lambda name: (task.write.tensor for task in workload.readers[name]))


def _reached(first: str, following: Callable[[str], Iterable[str]]) -> _Part:
    """Return a tensor and those that follow from it, in any number of steps."""
    found: set[str] = set()
    new = {first}
    while new:
        found |= new
        new = {each for name in new for each in following(name)} - found
    return frozenset(found)


def _leaving(workload: Workload, part: _Part) -> tuple[str, ...]:
    """Return the tensors of a part that are outputs, or that are read outside of it or nowhere."""
    outputs = workload.cascade.outputs

    def leaves(name: str) -> bool:
        readers = [task.write.tensor for task in workload.readers[name] if task.write.tensor != name]
        return name in outputs or not readers or not part.issuperset(readers)

    return tuple(sorted(filter(leaves, part), key=(*outputs, *_tensors(workload)).index))


def _ready(workload: Workload, part: _Part) -> _Part:
    """Return the tensors of a part of which others need no more than is there when it is done."""

    def is_last(access: Access) -> bool:
        tensor = workload.cascade.tensor[access.tensor]
        axis = tensor.generation_axis
        return axis is None or access.indices[axis] == last_generation(tensor)

    def is_ready(name: str) -> bool:
        readers = [task for task in workload.readers[name] if task.write.tensor not in part]
        reads = [read for task in readers for read in task.reads if read.tensor == name]
        is_stepped = workload.cascade.tensor[name].generation_axis is not None
        return all(map(is_last, reads)) and not (is_stepped and name in workload.cascade.outputs)

    return frozenset(filter(is_ready, part))


def _cut(workload: Workload, part: _Part) -> Cascade:
    """Return a part as a cascade of its own; what it reads of others is an input."""
    cascade, kept = workload.cascade, {*part}
    for einsum in reversed(cascade.einsums):
        if einsum.tensor in kept:
            kept |= {read.tensor for read in einsum.all_reads} & workload.views.keys()
    einsums = tuple(einsum for einsum in cascade.einsums if einsum.tensor in kept)
    given = {read.tensor for einsum in einsums for read in einsum.all_reads} - kept
    made = (as_input(tensor) for tensor in cascade.tensors if tensor.name in given and not tensor.is_given)
    return rebuild(cascade, einsums, given=made, outputs=_leaving(workload, part))


def _recognised(unscaled: Unscaled, workload: Workload, part: _Part) -> ArrayWork:
    """Return what the array does for a part."""
    return recognise_unscaled(replace(unscaled, cascade=_cut(workload, part)), _ready(workload, part))


def _unmet(unscaled: Unscaled, workload: Workload, parts: Sequence[_Part]) -> dict[_Part, Sequence[str]]:
    """Return kernels that cannot be done after all, and why: what they lack, or what would have to be done inside."""
    found: dict[_Part, Sequence[str]] = {}
    works: dict[_Part, ArrayWork] = {}
    for part in parts:
        try:
            works[part] = _recognised(unscaled, workload, part)
        except IllegalMappingError as error:
            found[part] = list(map(str, error.violations))
    if found:
        return found
    order = _tensors(workload)
    works = dict(sorted(works.items(), key=lambda each: max(map(order.index, each[0]))))
    absent = absent_tensors(workload).difference(*parts)
    sentences = _absent_scores([*works.values()], absent)
    return {part: [sentences[work.output.tensor]] for part, work in works.items() if work.output.tensor in sentences}


def _operands(workload: Workload, part: _Part) -> _Part:
    """Return what a part reads of others."""
    return frozenset(name for own in part for name in _sources(workload, own)) - part


def _sources(workload: Workload, name: str) -> _Part:
    """Return the computed tensors that a tensor is made from, in one step."""
    reads = (read.tensor for task in workload.writers[name] for read in task.reads)
    return frozenset(each for each in reads if not workload.cascade.tensor[each].is_given)


def _above(workload: Workload, name: str) -> _Part:
    """Return a tensor and what it is made from, in any number of steps."""
    return _reached(name, lambda one: _sources(workload, one))


def _ordered(
    unscaled: Unscaled, workload: Workload, parts: Sequence[_Part], left: _Part, reasons: Mapping[str, str]
) -> Iterator[Work]:
    """Yield works so that each follows what it reads; the host does as much at a time as it can."""
    order = _tensors(workload)
    waiting = {*parts, *(_circle(workload, name) for name in left)}
    done: set[str] = set()

    def taken(*, by_array: bool) -> Iterator[_Part]:
        while ready := [n for n in waiting if (n in parts) == by_array and _operands(workload, n) <= done]:
            for node in sorted(ready, key=lambda each: max(map(order.index, each))):
                waiting.remove(node)
                done.update(node)
                yield node

    while waiting:
        yield from (_recognised(unscaled, workload, part) for part in taken(by_array=True))
        if host := frozenset[str]().union(*taken(by_array=False)):
            why = {name: reasons[name] for name in order if name in host}
            yield HostWork(workload.cascade, _leaving(workload, host), why)


def _circle(workload: Workload, name: str) -> _Part:
    """Return a tensor with those that are made from it and that it is made from."""
    return frozenset({name, *(each for each in _above(workload, name) if name in _above(workload, each))})


def _reasons(
    workload: Workload, left: _Part, parts: Sequence[_Part], refused: Mapping[_Part, Sequence[str]]
) -> dict[str, str]:
    """Return for every Einsum of the host why it is not the array's."""
    found: dict[str, str] = {}
    for component in _components(workload, left):
        causes = _component_causes(workload, component, parts, refused)
        found |= {name: causes.get(name) or _following_from(workload, name, [*causes]) for name in component}
    return found


def _following_from(workload: Workload, name: str, causes: Sequence[str]) -> str:
    """Say which Einsums are the reason why another one is not the array's."""
    above = [cause for cause in causes if cause in _above(workload, name)]
    if above:
        return f"{_einsum(workload, name)} works on what {' and '.join(above)} holds, which the host makes"
    breaking = " and ".join(str(_einsum(workload, cause)) for cause in causes)
    return f"{_einsum(workload, name)} is a work of the array only in a whole kernel, which this is not with {breaking}"


def _einsum(workload: Workload, name: str) -> Einsum:
    """Return the Einsum of a tensor; of an iterative one, that of its steps."""
    return workload.cascade.einsums[workload.writers[name][-1].number]


def _causes(
    workload: Workload,
    left: _Part,
    parts: Sequence[_Part],
    refused: Mapping[_Part, Sequence[str]] | None = None,
) -> dict[str, str]:
    """Return a sentence for each Einsum that is the reason why it, or others, are in no kernel, in order."""
    found: dict[str, str] = {}
    for component in _components(workload, left):
        found |= _component_causes(workload, component, parts, refused or {})
    return dict(sorted(found.items(), key=lambda each: _tensors(workload).index(each[0])))


def _component_causes(
    workload: Workload, component: _Part, parts: Sequence[_Part], refused: Mapping[_Part, Sequence[str]]
) -> dict[str, str]:
    """Return the sentences of Einsums that hang together, but for what works on the results of others with one."""
    told = max((each for each in refused if each & component), key=len, default=None)
    if told is None:
        sentences = {**_nearest(workload, component, parts).sentences, **_recurrent(workload, component)}
    else:
        sentences = _attributed(workload, told, refused[told])

    def follows(name: str, other: str) -> bool:
        return other in _above(workload, name) and name not in _above(workload, other)

    return {name: each for name, each in sentences.items() if not any(follows(name, other) for other in sentences)}


def _recurrent(workload: Workload, component: _Part) -> dict[str, str]:
    """Return a sentence for each Einsum that is made from another one and that one from it."""
    found: dict[str, str] = {}
    for name in _tensors(workload):
        circle = _circle(workload, name) if name in component else frozenset[str]()
        others = [str(_einsum(workload, each)) for each in _tensors(workload) if each in circle - {name}]
        if others:
            found[name] = (
                f"{_einsum(workload, name)} must be done as a whole for the array, but is made from "
                f"{' and '.join(others)} step by step, and the other way round; compute it elsewhere"
            )
    return found


def _attributed(workload: Workload, part: _Part, sentences: Sequence[str]) -> dict[str, str]:
    """Return the sentences by the tensors whose Einsums they name; else of the last one."""
    order = [name for name in _tensors(workload) if name in part]
    return {next((name for name in order if f"{name}[" in each), order[-1]): each for each in reversed(sentences)}


def _components(workload: Workload, left: _Part) -> Iterator[_Part]:
    """Yield Einsums that are in no kernel and hang together, by what they read of one another."""
    rest = {*left}
    while rest:
        found: set[str] = set()
        new = {min(rest, key=_tensors(workload).index)}
        while new:
            found |= new
            near = {each for name in new for each in (*_sources(workload, name), *_targets(workload, name))}
            new = near & left - found
        rest -= found
        yield frozenset(found)


def _targets(workload: Workload, name: str) -> _Part:
    return frozenset(task.write.tensor for task in workload.readers[name])


def _nearest(workload: Workload, left: _Part, parts: Sequence[_Part]) -> Shortfall:
    """Return what the nearest kernel says of Einsums that are in none.

    A product that is whole may yet be the scores of what is left, or its values: parts are added to it as long as that
    makes for fewer Einsums without a place.
    """
    found = _shortfall(workload, left)
    tried = [(_shortfall(workload, left | part), left | part) for part in parts]
    best, more = min(tried, key=lambda each: each[0].count, default=(found, left))
    if best.count >= found.count:
        return found
    return _nearest(workload, more, [part for part in parts if part.isdisjoint(more)])


def _shortfall(workload: Workload, part: _Part) -> Shortfall:
    cascade = workload.cascade if len(part) == len(_tensors(workload)) else _cut(workload, part)
    found = shortfall_of(cascade)
    if found.sentences:
        return found
    try:
        recognise_unscaled(Unscaled(cascade, ()))
    except IllegalMappingError as error:
        return replace(found, sentences=_attributed(workload, part, [*map(str, error.violations)]))
    raise AssertionError(f"{sorted(part)} must be no kernel, for kernels are taken first")


def _absent_scores(works: Sequence[ArrayWork], absent: _Part = frozenset()) -> dict[str, str]:
    """Return by result where scores would be made of results that a filter leaves out: such results are 0 in memory.

    For a product, and for values, a 0 is as good as nothing.
    """
    found: dict[str, str] = {}
    for work in works:
        operands = [operand.tensor for operand in (work.query, work.key) if operand is not None]
        if len(work.tasks) > 1:
            for name in dict.fromkeys(name for name in operands if name in absent):
                found[work.output.tensor] = (
                    f"{work.scores} must read all elements of {name} for the array, but a filter leaves some out; "
                    f"filter the scores instead"
                )
        has_absent = work.scores.where is not None and work.value is None
        if has_absent or not absent.isdisjoint(operands):
            absent |= {operand.tensor for operand in work.results}
    return found
