"""The least interval by trying everything: for tests of the schedulers, with which nothing is shared.

Only whole cycles, blocks and no buffers.
"""

import itertools
from collections.abc import Iterator, Sequence

from einsum_cascade.schedule.graph import OperationGraph

__all__ = ["least_interval", "least_lags", "least_lockstep_interval"]


def least_interval(graph: OperationGraph) -> int:
    """Return the least interval in whole cycles at which residues of all operations exist that break no rule."""
    differences = [*_differences(graph)]
    return next(
        interval
        for interval in itertools.count(1)
        if any(_can_be_met(differences, residues, interval) for residues in _residues(graph, interval))
    )


def _differences(graph: OperationGraph) -> Iterator[tuple[int, int, int, int]]:
    """Yield (a, b, cycles, tiles): b starts at least `cycles - tiles * interval` after a."""
    at = {operation.name: number for number, operation in enumerate(graph.operations)}
    length = {operation.name: int(operation.duration) for operation in graph.operations}
    for edge in graph.dependences:
        producer, consumer = at[edge.producer], at[edge.consumer]
        latency = int(edge.latency)
        if edge.kind == "finish":
            yield producer, consumer, length[edge.producer] + latency, edge.distance
        else:
            yield producer, consumer, latency, edge.distance
            yield producer, consumer, latency + length[edge.producer] - length[edge.consumer], edge.distance
    for context in graph.contexts:
        for last in context.released_by:
            yield at[last], at[context.taken_by], length[last], context.count


def _residues(graph: OperationGraph, interval: int) -> Iterator[list[int]]:
    """Yield the residues of all operations for which no resource is taken more often than it is there."""
    capacity = {resource.name: resource.capacity for resource in graph.resources}
    taken = {resource.name: [0] * interval for resource in graph.resources}
    chosen: list[int] = []

    def choose(number: int) -> Iterator[list[int]]:
        if number == len(graph.operations):
            yield list(chosen)
            return
        for residue in range(interval if number else 1):
            cells = [
                (use.resource, (residue + int(use.offset) + cycle) % interval)
                for use in graph.operations[number].all_uses
                for cycle in range(int(use.duration))
                for _ in range(use.amount)
            ]
            for resource, cell in cells:
                taken[resource][cell] += 1
            if all(taken[resource][cell] <= capacity[resource] for resource, cell in cells):
                chosen.append(residue)
                yield from choose(number + 1)
                chosen.pop()
            for resource, cell in cells:
                taken[resource][cell] -= 1

    yield from choose(0)


def _can_be_met(differences: list[tuple[int, int, int, int]], residues: list[int], interval: int) -> bool:
    starts = list(residues)
    for _ in range(len(starts) + 1):
        is_met = True
        for a, b, cycles, tiles in differences:
            while starts[b] < starts[a] + cycles - tiles * interval:
                if a == b:
                    return False
                starts[b] += interval
                is_met = False
        if is_met:
            return True
    return False


def least_lockstep_interval(graph: OperationGraph, tiles: int) -> int:
    """Return the least sum over the stages, over all sequences of stages and all lags below `tiles`."""
    count = len(graph.operations)
    found: list[int] = []
    for stages in range(1, count + 1):
        for stage_of in itertools.product(range(stages), repeat=count):
            for lags in itertools.product(range(tiles), repeat=count):
                positions = [lag * stages + stage for lag, stage in zip(lags, stage_of, strict=True)]
                together = _together(graph, positions, stages)
                if together is not None:
                    members = [[at for at in range(count) if stage_of[at] == stage] for stage in range(stages)]
                    found.append(sum(_stage_length(graph, inside, together) for inside in members))
    return min(found)


def least_lags(graph: OperationGraph, stages: Sequence[Sequence[str]], most: int) -> tuple[int, ...] | None:
    """Return the least lags with which given stages meet all dependences, up to `most`; None if there are none.

    Lags that meet them all meet them when each is the smaller one of two such choices, so that there is a least choice.
    """
    stage_of = [next(at for at, stage in enumerate(stages) if one.name in stage) for one in graph.operations]
    legal = [
        lags
        for lags in itertools.product(range(most + 1), repeat=len(stage_of))
        if _together(graph, [lag * len(stages) + at for lag, at in zip(lags, stage_of, strict=True)], len(stages))
        is not None
    ]
    return tuple(map(min, zip(*legal, strict=True))) if legal else None


def _together(graph: OperationGraph, positions: list[int], stages: int) -> list[tuple[int, int, str]] | None:
    """Return the dependences within a stage of a period; None if one is broken."""
    at = {operation.name: number for number, operation in enumerate(graph.operations)}
    together: list[tuple[int, int, str]] = []
    for edge in graph.dependences:
        producer, consumer = at[edge.producer], at[edge.consumer]
        ahead = positions[consumer] + edge.distance * stages - positions[producer]
        is_one_engine = graph.operations[producer].resource == graph.operations[consumer].resource
        if ahead < 0 or (ahead == 0 and edge.kind == "finish" and not is_one_engine):
            return None
        if ahead == 0 and producer != consumer:
            together.append((producer, consumer, edge.kind))
    return together


def _stage_length(graph: OperationGraph, members: list[int], together: list[tuple[int, int, str]]) -> int:
    lengths: list[int] = []
    for order in itertools.permutations(members):
        ends: dict[int, int] = {}
        free: dict[str | None, int] = {}
        for number in order:
            before = [(a, kind) for a, b, kind in together if b == number and a in members]
            if any(a not in ends for a, _ in before):
                break
            operation = graph.operations[number]
            end = free.get(operation.resource, 0) + int(operation.duration)
            for a, kind in before:
                begun = ends[a] - int(graph.operations[a].duration)
                if kind == "stream":
                    end = max(end, begun + int(operation.duration), ends[a])
            ends[number] = free[operation.resource] = end
        else:
            lengths.append(max(ends.values(), default=0))
    return min(lengths)
