"""The lowering of a graph of operations to pieces and differences of starts, in whole quanta.

A piece is a block or one slot of a chain. All that a schedule must meet becomes one of three: a least difference of two
starts that shrinks with the interval, uses of resources that recur every interval, and leases of a buffer. A context
of c copies is a difference: the tile c later starts to use its copy after this tile has given it back.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from einsum_cascade.schedule.graph import Context, Dependence, OperationGraph, TileOperation
from einsum_cascade.schedule.operation import Cycles

__all__ = ["Edge", "Issued", "Lease", "PieceUse", "Problem", "lower"]


@dataclass(frozen=True, slots=True)
class PieceUse:
    """`amount` units of a resource, from `offset` after the start of a piece, for `duration` quanta."""

    resource: int
    offset: int
    duration: int
    amount: int


@dataclass(frozen=True, slots=True)
class Issued:
    """A block, or a slot of a chain."""

    operation: int
    slot: int
    duration: int
    uses: tuple[PieceUse, ...]


@dataclass(frozen=True, slots=True)
class Edge:
    """Piece `target` starts at least `weight - distance * interval` after piece `source`.

    `context` is the context's name if that is where the difference is from.
    """

    source: int
    target: int
    weight: int
    distance: int
    context: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """Units of a buffer, from the start of a piece to the last end of others, each some tiles later."""

    resource: int
    amount: int
    taken_by: int
    released_by: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """What the schedulers work on.

    Parameters
    ----------
    graph
        What it was lowered from.
    scale
        Quanta in a cycle.
    pieces, edges, leases
        See their classes.
    capacities
        Units of each resource.

    """

    graph: OperationGraph
    scale: int
    pieces: tuple[Issued, ...]
    edges: tuple[Edge, ...]
    leases: tuple[Lease, ...]
    capacities: tuple[int, ...]

    @property
    def quantum(self) -> Fraction:
        """The grid of times in cycles."""
        return Fraction(1, self.scale)


def lower(graph: OperationGraph) -> Problem:
    """Lower a graph of operations."""
    scale = math.lcm(*(Fraction(time).denominator for time in _times(graph)))
    lowering = _Lowering(graph, scale)
    capacities = tuple(resource.capacity for resource in graph.resources)
    edges = tuple(lowering.edges())
    return Problem(graph, scale, tuple(lowering.pieces), edges, tuple(lowering.leases()), capacities)


def _times(graph: OperationGraph) -> Iterator[Cycles]:
    for operation in graph.operations:
        yield from (operation.duration, operation.spacing)
        for use in operation.uses:
            yield from (use.offset, use.duration)
    for dependence in graph.dependences:
        yield dependence.latency


class _Lowering:
    def __init__(self, graph: OperationGraph, scale: int) -> None:
        self.graph, self.scale = graph, scale
        self.numbers = {resource.name: number for number, resource in enumerate(graph.resources)}
        self.pieces: list[Issued] = []
        self.of: dict[str, range] = {}
        for number, operation in enumerate(graph.operations):
            first = len(self.pieces)
            uses = self._uses(operation)
            duration = self._quanta(operation.duration)
            self.pieces += [Issued(number, slot, duration, uses) for slot in range(operation.slots)]
            self.of[operation.name] = range(first, len(self.pieces))

    def edges(self) -> Iterator[Edge]:
        for operation in self.graph.operations:
            own, spacing = self.of[operation.name], self._quanta(operation.spacing)
            yield from (Edge(piece, piece + 1, spacing, 0) for piece in own[:-1])
        for dependence in self.graph.dependences:
            yield from self._dependence_edges(dependence)
        for context in self.graph.contexts:
            yield from self._context_edges(context)

    def leases(self) -> Iterator[Lease]:
        for operation in self.graph.operations:
            consumers = [
                (self.of[dependence.consumer][-1], dependence.distance)
                for dependence in self.graph.dependences
                if dependence.producer == operation.name
            ]
            own = self.of[operation.name]
            released_by = tuple([(own[-1], 0), *consumers])
            for hold in operation.holds:
                if hold.amount:
                    yield Lease(self.numbers[hold.resource], hold.amount, own[0], released_by)

    def _quanta(self, cycles: Cycles) -> int:
        return int(cycles * self.scale)

    def _uses(self, operation: TileOperation) -> tuple[PieceUse, ...]:
        return tuple(
            PieceUse(self.numbers[use.resource], self._quanta(use.offset), self._quanta(use.duration), use.amount)
            for use in operation.all_uses
            if use.duration
        )

    def _dependence_edges(self, dependence: Dependence) -> Iterator[Edge]:
        producer, consumer = self.of[dependence.producer], self.of[dependence.consumer]
        latency, distance = self._quanta(dependence.latency), dependence.distance
        ended = latency + self.pieces[producer[-1]].duration
        if dependence.kind == "finish":
            yield Edge(producer[-1], consumer[0], ended, distance)
        elif len(producer) > 1 and len(consumer) > 1:
            for slot, piece in enumerate(consumer):
                needed = math.ceil(Fraction((slot + 1) * len(producer), len(consumer))) - 1
                yield Edge(producer[needed], piece, latency, distance)
        else:
            yield Edge(producer[0], consumer[0], latency, distance)
            yield Edge(producer[-1], consumer[-1], ended - self.pieces[consumer[-1]].duration, distance)

    def _context_edges(self, context: Context) -> Iterator[Edge]:
        for name in context.released_by:
            last = self.of[name][-1]
            yield Edge(last, self.of[context.taken_by][0], self.pieces[last].duration, context.count, context.name)
