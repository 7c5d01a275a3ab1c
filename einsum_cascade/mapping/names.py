"""Rules about single names and values of a mapping: what it speaks of exists, and engines can do their part."""

from collections import Counter
from collections.abc import Iterable, Iterator

from einsum_cascade.arch.ir import Engine
from einsum_cascade.cascade.extent import Extent
from einsum_cascade.errors import Diagnostic, Span
from einsum_cascade.mapping.covers import cover
from einsum_cascade.mapping.ir import Compute, Keep, Loop, leaves
from einsum_cascade.mapping.mapped import Mapped, blocks_of
from einsum_cascade.mapping.rule_names import rule_violations
from einsum_cascade.wording import did_you_mean, listed

__all__ = ["name_violations"]


def name_violations(mapped: Mapped) -> Iterator[Diagnostic]:
    """Yield what is wrong with names and values, and where."""
    mapping = mapped.mapping
    for name, count in Counter(name for name, _ in mapping.parameters).items():
        yield from _at(mapping.place(name), _parameter(mapped, name, count))
    known = set(mapped.ranks)
    for name, rule in mapping.parameters:
        yield from _at(mapping.place(name), rule_violations(mapped, name, rule, frozenset(known)))
        known.add(name)
    for name, bits in mapping.word_bits:
        yield from _at(mapping.place(name), _word(mapped, name, bits))
    yield from _at(mapping.span, _missing(mapped))
    bound = {leaf.task: leaf for leaf in leaves(mapping.root)}
    for leaf in bound.values():  # of one bound twice, the last
        yield from _at(leaf.span, _task(mapped, leaf.task))
    for leaf in leaves(mapping.root):
        yield from _at(leaf.span, _compute(mapped, leaf))
    for block in blocks_of(mapping.root):
        if not block.body:
            steps = "; ".join(map(str, block.steps))
            message = f"a block must have something inside, unlike the one of {steps!r}; remove it"
            yield Diagnostic(message, block.span)
        for step in block.steps:
            yield from _at(step.span, _loop(mapped, step) if isinstance(step, Loop) else _keep(mapped, step))


def _at(span: Span, sentences: Iterable[str]) -> Iterator[Diagnostic]:
    return (Diagnostic(sentence, span) for sentence in sentences)


def _parameter(mapped: Mapped, name: str, count: int) -> Iterator[str]:
    if name in mapped.ranks:
        yield f"parameter {name!r} must have a name of its own, but a rank is called so; rename it"
    if count > 1:
        yield f"parameter {name!r} must be given once, but is given {count} times; remove all but one"


def _word(mapped: Mapped, name: str, bits: int) -> Iterator[str]:
    yield from _tensor(mapped, name, "word_bits")
    if bits < 1:
        yield f"a word of tensor {name!r} must have at least 1 b, not {bits} b"


def _missing(mapped: Mapped) -> Iterator[str]:
    bound = {leaf.task for leaf in leaves(mapped.mapping.root)}
    for name in mapped.workload.task:
        if name not in bound:
            yield f"Einsum {name!r} must be bound to an engine, but is nowhere in the mapping; add it to a body"


def _task(mapped: Mapped, name: str) -> Iterator[str]:
    count = sum(leaf.task == name for leaf in leaves(mapped.mapping.root))
    if count > 1:
        yield f"Einsum {name!r} must be bound once, but is bound {count} times; remove all but one"
    if name in mapped.workload.views:
        yield f"Einsum {name!r} must not be bound, because it only renames coordinates; remove it"
    elif name not in mapped.workload.task:
        yield f"Einsum {name!r} must be one of the cascade{did_you_mean(name, mapped.workload.task)}"


def _compute(mapped: Mapped, leaf: Compute) -> Iterator[str]:
    if leaf.stage < 0:
        yield f"the stage of Einsum {leaf.task!r} must be at least 1, or 0 for none, not {leaf.stage}"
    yield from _expression(mapped, leaf.overhead_cycles, f"the overhead of Einsum {leaf.task!r}")
    cycles = mapped.number(leaf.overhead_cycles)
    if cycles is not None and cycles < 0:
        what = f"the overhead of Einsum {leaf.task!r} must be at least 0 cycles"
        yield f"{what}, not {cycles}; leave it out where none is"
    engine = mapped.architecture.find_engine(leaf.engine)
    if engine is None:
        known = did_you_mean(leaf.engine, [engine.name for engine in mapped.architecture.engines])
        yield f"engine {leaf.engine!r} of Einsum {leaf.task!r} must be one of the architecture{known}"
    elif leaf.task in mapped.workload.task:
        yield from _ability(mapped, leaf, engine)


def _ability(mapped: Mapped, leaf: Compute, engine: Engine) -> Iterator[str]:
    einsum = mapped.workload.cascade.einsums[mapped.workload.task[leaf.task].number]
    missing = cover(einsum, engine).missing
    if missing:
        can = listed(operation.name for operation in engine.operations)
        others = [other.name for other in mapped.architecture.engines if not cover(einsum, other).missing]
        remedy = f"bind it to {others[0]!r}" if others else "no engine of the architecture can do all of it"
        message = f"engine {engine.name!r} must be able to do {listed(missing)} for Einsum {leaf.task!r}"
        yield f"{message}, but can do {can} only; {remedy}"


def _loop(mapped: Mapped, loop: Loop) -> Iterator[str]:
    if loop.variable not in mapped.workload.parts:
        known = did_you_mean(loop.variable, mapped.workload.parts)
        yield f"the rank variable {loop.variable!r} of '{loop}' must be one of the cascade{known}"
    yield from _expression(mapped, loop.tile, f"the tile of '{loop}'")
    number = mapped.number(loop.tile)
    if number is not None and number < 1:
        yield f"the tile of '{loop}' must be at least 1 coordinate, not {number}"


def _expression(mapped: Mapped, extent: Extent, subject: str) -> Iterator[str]:
    known = mapped.ranks | dict(mapped.mapping.parameters).keys()
    for name in sorted(extent.names - known):
        yield f"{subject} must be made of ranks and parameters, unlike {name!r}{did_you_mean(name, known)}"
    if mapped.values is not None and extent.names <= mapped.values.keys() and mapped.number(extent) is None:
        yield f"{subject} must not be divided by 0; give other extents or parameters"


def _keep(mapped: Mapped, keep: Keep) -> Iterator[str]:
    if keep.level not in mapped.levels:
        yield f"the level {keep.level!r} of '{keep}' must be one of the architecture" + did_you_mean(
            keep.level, mapped.levels
        )
    if keep.copies < 1:
        yield f"'{keep}' must keep at least 1 copy, not {keep.copies}"
    for name, count in Counter(keep.tensors).items():
        yield from _tensor(mapped, name, f"'{keep}'")
        if count > 1:
            yield f"'{keep}' must name tensor {name!r} once, but names it {count} times"


def _tensor(mapped: Mapped, name: str, subject: str) -> Iterator[str]:
    if name in mapped.workload.views:
        origin = mapped.workload.views[name].reads[0].tensor
        yield f"{subject} must not name {name!r}, because it only renames the coordinates of {origin!r}; name that"
    elif name not in mapped.workload.tensors:
        hint = did_you_mean(name, mapped.workload.tensors)
        yield f"{subject} must name tensors of the cascade, unlike {name!r}{hint}"
