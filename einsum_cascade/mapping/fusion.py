"""The rule of passes: Einsums inside one loop over a rank read a family along that rank in one pass.

A pass boundary is a result that needs a whole fiber. No order of a loop's iterations has it before the last of them, so
a loop around both sides of the boundary is refused, and the witness of the pass analysis is the reason.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from einsum_cascade.analysis.target import Target
from einsum_cascade.analysis.traversals import Timing
from einsum_cascade.analysis.witness import sentence_of
from einsum_cascade.errors import Span
from einsum_cascade.mapping.ir import Loop
from einsum_cascade.mapping.mapped import Branch, Mapped, Position, loops_of
from einsum_cascade.wording import listed

__all__ = ["FusionRefusal", "pass_violations"]


@dataclass(frozen=True, slots=True)
class FusionRefusal:
    """A loop that is around a pass boundary.

    Parameters
    ----------
    position
        Where the loop stands.
    sentence
        What is wrong.
    span
        The loop's place in the file.

    """

    position: Position
    sentence: str
    span: Span


def pass_violations(mapped: Mapped) -> Iterator[FusionRefusal]:
    """Yield a refusal for every loop that is around a pass boundary on its rank, and one more for each other reason."""
    for position, (loop, inside) in _shared_loops(mapped).items():
        crossings = [
            crossing
            for target, timing in (mapped.workload.timings_along(loop.variable) if len(inside) > 1 else ())
            if (crossing := _crossing(mapped, target, timing, inside)) is not None
        ]
        told: set[tuple[int, int]] = set()
        for crossing in sorted(crossings, key=lambda crossing: -len(crossing.passes)):
            if not told.issuperset(crossing.reasons):
                told |= crossing.reasons.keys()
                yield FusionRefusal(position, _sentence(loop, crossing), loop.span)


def _shared_loops(mapped: Mapped) -> dict[Position, tuple[Loop, list[Branch]]]:
    """Return the loops of more than one iteration, with the branches inside."""
    found: dict[Position, tuple[Loop, list[Branch]]] = {}
    for branch in mapped.branches.values():
        for position, loop in loops_of(branch.steps):
            if loop.variable in mapped.workload.parts and not mapped.is_single(position, branch.steps):
                found.setdefault(position, (loop, []))[1].append(branch)
    return found


@dataclass(frozen=True, slots=True)
class _Crossing:
    """The Einsums of a loop by the pass that they fire in, and why the later passes begin."""

    passes: dict[int, list[str]]
    reasons: dict[tuple[int, int], str]


def _crossing(mapped: Mapped, target: Target, timing: Timing, inside: list[Branch]) -> _Crossing | None:
    """Return what a loop crosses with respect to a target; None if all that read the family do so in one pass."""
    times = {branch.leaf.task: timing.points.get(mapped.task(branch).number) for branch in inside}
    firing = {name: time for name, time in times.items() if time is not None and time.reads_family}
    numbers = sorted({time.number for time in firing.values()})
    if len(numbers) < 2:
        return None
    last = max(firing.values(), key=lambda time: time.number)
    barriers = [barrier for barrier in (last.cause.chain() if last.cause else ()) if barrier.number > numbers[0]]
    return _Crossing(
        {number: [name for name, time in firing.items() if time.number == number] for number in numbers},
        {(b.ended, b.reader): sentence_of(mapped.workload.cascade, target, timing, b) for b in barriers},
    )


def _sentence(loop: Loop, crossing: _Crossing) -> str:
    parts = ", ".join(f"{listed(names)} in pass {number}" for number, names in crossing.passes.items())
    message = f"loop '{loop}' must be around one pass, but is around {len(crossing.passes)}: {parts}"
    return f"{message}; {'; '.join(crossing.reasons.values())}; end the loop before that"
