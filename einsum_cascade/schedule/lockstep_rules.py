"""The rules of lock-step: which operations may share a stage, and how long a stage lasts.

The steady state is a cyclic sequence of stages. All engines begin a stage together and wait for the slowest; in a stage
each engine runs its blocks one after the other. What a stage works on may belong to an earlier tile: its lag.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from einsum_cascade.errors import ScheduleError
from einsum_cascade.schedule.graph import OperationGraph
from einsum_cascade.schedule.problem import lower

__all__ = ["Lockstep", "Need", "arranged", "needs_within", "regulated", "stage_length"]


@dataclass(frozen=True, slots=True)
class Need:
    """Operation `target` needs operation `source` of `distance` tiles earlier.

    `is_strict` says that they cannot share a stage of the same tiles: they are on different engines and do not stream.
    """

    source: int
    target: int
    distance: int
    is_strict: bool
    is_stream: bool


@dataclass(frozen=True, slots=True)
class Lockstep:
    """A graph as the rules see it: durations in quanta, engines by number, needs by number of operation."""

    graph: OperationGraph
    scale: int
    durations: tuple[int, ...]
    engines: tuple[int, ...]
    needs: tuple[Need, ...]

    def is_crossing(self, need: Need) -> bool:
        """Tell whether a need is met by streaming from one engine to another."""
        return need.is_stream and self.engines[need.source] != self.engines[need.target]

    def load(self, members: int) -> int:
        """Return the cycles of the engine with the most work among a set of operations, given as bits."""
        loads = [0] * len(self.graph.resources)
        for at, (engine, duration) in enumerate(zip(self.engines, self.durations, strict=True)):
            if members >> at & 1:
                loads[engine] += duration
        return max(loads)


def regulated(graph: OperationGraph) -> Lockstep:
    """Return a graph as the rules see it.

    Raises
    ------
    ScheduleError
        The graph has something that lock-step does not know; all such things, a sentence each.

    """
    mistakes = [*_mistakes(graph)]
    if mistakes:
        raise ScheduleError("\n".join(mistakes))
    problem = lower(graph)
    numbers = {operation.name: at for at, operation in enumerate(graph.operations)}
    engines = {resource.name: at for at, resource in enumerate(graph.resources)}
    on = tuple(engines[str(operation.resource)] for operation in graph.operations)
    needs: list[Need] = []
    for dependence in graph.dependences:
        source, target = numbers[dependence.producer], numbers[dependence.consumer]
        is_stream = dependence.kind == "stream"
        is_strict = on[source] != on[target] and not is_stream
        needs.append(Need(source, target, dependence.distance, is_strict, is_stream))
    durations = tuple(piece.duration for piece in problem.pieces)
    return Lockstep(graph, problem.scale, durations, on, tuple(needs))


def needs_within(rules: Lockstep, lags: Sequence[int]) -> list[Need] | None:
    """Return the needs that hold within one period, given the lags of all operations; None if one cannot be met.

    A need that crosses periods is met by then, as all that a period begins it also ends.
    """
    within: list[Need] = []
    for need in rules.needs:
        ahead = lags[need.target] + need.distance - lags[need.source]
        if ahead < 0:
            return None
        if ahead == 0 and need.source != need.target:
            within.append(need)
    return within


def arranged(rules: Lockstep, members: int, within: Sequence[Need]) -> dict[int, int]:
    """Return the starts of the operations of a stage, such that it is as short as can be.

    Parameters
    ----------
    rules
        What lock-step demands.
    members
        The operations of the stage, as bits.
    within
        The needs within a period; those between members are orders on an engine, or streams.

    """
    arranger = _Arranger(rules, members, within)
    arranger.extend(members, {}, [0] * len(rules.graph.resources))
    assert arranger.best is not None
    return arranger.best


def stage_length(rules: Lockstep, starts: dict[int, int]) -> int:
    """Return the last end of the operations of a stage."""
    return max((start + rules.durations[at] for at, start in starts.items()), default=0)


class _Arranger:
    """Branch and bound over the orders in which the operations of a stage are given to their engines."""

    def __init__(self, rules: Lockstep, members: int, within: Sequence[Need]) -> None:
        self.rules = rules
        self.inside = [need for need in within if members >> need.source & 1 and members >> need.target & 1]
        self.best: dict[int, int] | None = None
        self.least = 0

    def extend(self, left: int, starts: dict[int, int], free: list[int]) -> None:
        if self.best is not None and max(free) >= self.least:
            return
        if not left:
            self.best, self.least = dict(starts), max(free)
            return
        for at, engine in enumerate(self.rules.engines):
            if self.best is not None and self._floor(left, free) >= self.least:
                return
            if left >> at & 1 and not any(need.target == at and left >> need.source & 1 for need in self.inside):
                start = max([free[engine], *self._streamed(at, starts)])
                end = start + self.rules.durations[at]
                later = [*free[:engine], end, *free[engine + 1 :]]
                self.extend(left & ~(1 << at), {**starts, at: start}, later)

    def _floor(self, left: int, free: list[int]) -> int:
        """Return the length that a stage has at least, given when the engines are free."""
        ends = list(free)
        for at, engine in enumerate(self.rules.engines):
            if left >> at & 1:
                ends[engine] += self.rules.durations[at]
        return max(ends)

    def _streamed(self, at: int, starts: dict[int, int]) -> Iterator[int]:
        """Yield the starts before which an operation would overtake what it follows."""
        for need in self.inside:
            if need.target == at and need.is_stream:
                yield starts[need.source]
                yield starts[need.source] + self.rules.durations[need.source] - self.rules.durations[at]


def _mistakes(graph: OperationGraph) -> Iterator[str]:
    for resource in graph.resources:
        if resource.capacity != 1:
            yield (
                f"Lock-step engines must do one block at a time, but {resource.name!r} has capacity "
                f"{resource.capacity}; use the modulo scheduler."
            )
    for operation in graph.operations:
        what = None
        if operation.is_chain:
            what = f"is a chain of {operation.slots} slots"
        elif operation.resource is None:
            what = "has no resource"
        elif operation.uses or operation.holds:
            what = "takes or holds further resources"
        if what:
            yield (
                f"Lock-step operations must be blocks on one engine, but {operation.name!r} {what}; "
                "use the modulo scheduler."
            )
    for dependence in graph.dependences:
        if dependence.latency:
            yield (
                f"Lock-step dependences must have latency 0, but that of {dependence.consumer!r} on "
                f"{dependence.producer!r} has {dependence.latency}; add it to a duration."
            )
    for context in graph.contexts:
        yield (
            f"Lock-step must not be limited by contexts, but {context.name!r} is given; "
            "limit the tiles in flight instead."
        )
