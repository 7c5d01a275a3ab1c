"""Rules about how loops and levels nest."""

from collections.abc import Iterator

from einsum_cascade.cascade.extent import ONE, constant
from einsum_cascade.errors import Diagnostic
from einsum_cascade.mapping.ir import Block, Compute, Keep, Loop, leaves
from einsum_cascade.mapping.mapped import Branch, Mapped, Placed, loops_of
from einsum_cascade.wording import listed

__all__ = ["nesting_violations"]


def nesting_violations(mapped: Mapped) -> Iterator[Diagnostic]:
    """Yield what is wrong with the nests of a mapping, and where."""
    yield from _strangers(mapped, mapped.mapping.root)
    for branch in mapped.branches.values():
        yield from _tiles(mapped, branch)
        yield from _partitions(mapped, branch)
        yield from _levels(mapped, branch)
        yield from _spread(mapped, branch)


def _strangers(mapped: Mapped, block: Block) -> Iterator[Diagnostic]:
    """Say which Einsums stand in a loop over a variable that they do not have, and what is kept for nobody."""
    tasks = [found for leaf in leaves(block) if (found := mapped.workload.task.get(leaf.task)) is not None]
    for step in block.steps:
        if isinstance(step, Loop) and step.variable in mapped.workload.parts:
            others = [task.name for task in tasks if step.variable not in task.variables]
            if others:
                message = f"loop '{step}' must only be around Einsums with the rank variable {step.variable!r}"
                remedy = f"unlike {listed(others)}, which it would compute again and again; move them out"
                yield Diagnostic(f"{message}, {remedy}", step.span)
        if isinstance(step, Keep):
            used = {access.tensor for task in tasks for access in (*task.reads, task.write)}
            idle = [name for name in step.tensors if name in mapped.workload.tensors and name not in used]
            if idle:
                message = f"'{step}' must be above an Einsum that reads or writes {listed(idle)}"
                yield Diagnostic(f"{message}; remove what is not used", step.span)
    for part in block.body:
        if not isinstance(part, Compute):
            yield from _strangers(mapped, part)


def _tiles(mapped: Mapped, branch: Branch) -> Iterator[Diagnostic]:
    last: dict[str, Loop] = {}
    known = {name: constant(value) for name, value in mapped.mapping.numbers.items()}
    for _, loop in loops_of(branch.steps):
        outer = last.get(loop.variable)
        if outer is not None and (loop.tile - outer.tile - ONE).substitute(known).is_nonnegative(mapped.positive):
            message = f"the tile of '{loop}' must not be larger than that of '{outer}' around it"
            yield Diagnostic(f"{message}; make one of them smaller", loop.span)
        last[loop.variable] = loop


def _partitions(mapped: Mapped, branch: Branch) -> Iterator[Diagnostic]:
    """Say where an inner part of a partition is looped over before the outer part is down to one coordinate."""
    parts = mapped.workload.parts
    own = [name for name in mapped.task(branch).variables if name in parts]
    finished: set[str] = set()
    for _, loop in loops_of(mapped.whole_steps(branch)):
        if loop.variable not in parts:
            continue
        part = parts[loop.variable]
        outer = [
            name
            for name in own
            if parts[name].range == part.range
            and name not in finished | {loop.variable}
            and part.unit.names < parts[name].unit.names
        ]
        if outer:
            message = f"loop '{loop}' around {branch.leaf.task!r} must stand inside 'for {outer[0]}'"
            reason = f"because {loop.variable!r} counts within one tile of {part.extent}"
            yield Diagnostic(f"{message}, {reason}; move it inwards", loop.span)
        if loop.tile == ONE:
            finished.add(loop.variable)


def _levels(mapped: Mapped, branch: Branch) -> Iterator[Diagnostic]:
    """Say where a tensor is kept at a level that is not further in than the one around it."""
    home = mapped.architecture.memories[0].name
    held = dict.fromkeys(mapped.workload.homes_outside, home)
    for placed in branch.steps:
        step = placed.step
        if not isinstance(step, Keep) or step.level not in mapped.levels:
            continue
        for name in step.tensors:
            outer = held.get(name)
            if outer == step.level:
                message = f"tensor {name!r} must be kept in {outer!r} once on the way to {branch.leaf.task!r}"
                which = f" from '{step}', because it is at home there" if outer == home else f" from one '{step}'"
                yield Diagnostic(f"{message}; remove it{which}", step.span)
            elif outer is not None and mapped.levels[step.level] <= mapped.levels[outer]:
                message = f"tensor {name!r} must be kept in outer levels first, but is in {outer!r} already"
                yield Diagnostic(f"{message} where '{step}' stands; exchange the two", step.span)
            held[name] = step.level


def _spread(mapped: Mapped, branch: Branch) -> Iterator[Diagnostic]:
    """Say where a memory of one instance keeps a tile inside a spatial loop."""
    spatial: Placed | None = None
    for placed in branch.steps:
        if isinstance(placed.step, Loop) and placed.step.axis is not None:
            spatial = spatial or placed
        elif isinstance(placed.step, Keep) and spatial is not None:
            memory = mapped.architecture.find_memory(placed.step.level)
            if memory is not None and memory.instances == 1:
                message = f"'{placed.step}' must stand above '{spatial.step}', because there is one {memory.name!r}"
                yield Diagnostic(f"{message} for all PEs; move it outwards", placed.step.span)
