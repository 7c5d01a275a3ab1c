"""Run a plan: stages in order, loops coordinate by coordinate, and drop what nothing reads any more."""

from einsum_cascade.cascade.ir import Einsum
from einsum_cascade.interpreter.equation import run_einsum
from einsum_cascade.interpreter.frame import RunContext
from einsum_cascade.interpreter.lifetimes import Path
from einsum_cascade.interpreter.recurrence import stepped_variable
from einsum_cascade.interpreter.stage_order import CoordinateLoop, einsums_of

__all__ = ["run_plan"]


def run_plan(context: RunContext) -> None:
    """Evaluate every Einsum of a cascade."""
    plan = context.store.plan
    for place, stage in enumerate(plan.stages):
        dying = plan.last_reads[place]
        if isinstance(stage, int):
            run_einsum(context, context.cascade.einsums[stage], dying)
        else:
            _run_loop(context, stage, (place,))
        for name in dying:
            context.store.drop(name)


def _run_loop(context: RunContext, loop: CoordinateLoop, path: Path) -> None:
    store, cascade = context.store, context.cascade
    count = context.numbers.extents[cascade.rank_of[loop.variable]]
    einsums = [cascade.einsums[at] for at in einsums_of(loop)]
    writes = {einsum.tensor for einsum in einsums} - store.unfinished
    store.unfinished |= writes
    _run_idle(context, loop, einsums)
    deaths = [store.plan.deaths.get((*path, place), []) for place in range(len(loop.body))]
    steps = [0 if isinstance(stage, CoordinateLoop) else _step(context, loop.variable, stage) for stage in loop.body]
    for coordinate in range(count):
        store.fixed[loop.variable] = coordinate
        for place, stage in enumerate(loop.body):
            if isinstance(stage, CoordinateLoop):
                _run_loop(context, stage, (*path, place))
            elif coordinate + steps[place] <= count:
                dying = [d.tensor for d in deaths[place] if not store.is_kept(d, coordinate + d.offset)]
                run_einsum(context, cascade.einsums[stage], frozenset(dying))
            for death in deaths[place]:
                store.drop_tile(death, coordinate + death.offset)
    store.fixed.pop(loop.variable, None)
    store.unfinished -= writes
    for death in (death for found in deaths for death in found):
        store.drop_tiles(death)


def _step(context: RunContext, variable: str, at: int) -> int:
    """Return the step of a recurrence in a variable; 0 for an equation that is pointwise in it."""
    cascade = context.cascade
    einsum = cascade.einsums[at]
    axis = cascade.tensor[einsum.tensor].generation_axis
    if axis is None or stepped_variable(cascade, einsum) != variable:
        return 0
    return einsum.indices[axis].offset.value or 0


def _run_idle(context: RunContext, loop: CoordinateLoop, einsums: list[Einsum]) -> None:
    """Evaluate at once what the loop never runs: there is no element to give, but checks, and what makes all absent."""
    for einsum in einsums:
        space = context.facts.space(einsum, context.store.fixed)
        if loop.variable in space.axis and space.counts[space.axis[loop.variable]] == 0:
            run_einsum(context, einsum, frozenset())
