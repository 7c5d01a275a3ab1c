"""The schedule: the periodic steady state, what bounds it, and how much of that is proved."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from einsum_cascade.schedule.graph import OperationGraph
from einsum_cascade.schedule.operation import Cycles, exact

__all__ = ["Placement", "Proof", "RecurrenceBound", "ResourceBound", "Schedule"]

type Proof = Literal["bound", "exhausted", "open"]
"""Why no shorter interval exists: it equals a bound, every shorter one was refuted, or nobody knows."""


@dataclass(frozen=True, slots=True)
class Placement:
    """When an operation of tile 0 happens: the start of its block, or of each of its slots."""

    operation: str
    starts: tuple[Cycles, ...]


@dataclass(frozen=True, slots=True)
class ResourceBound:
    """Cycles that a tile occupies the busiest resource for, per unit of it; None if nothing is occupied."""

    cycles: Cycles
    resource: str | None


@dataclass(frozen=True, slots=True)
class RecurrenceBound:
    """Cycles per tile around the slowest cycle of dependences.

    Parameters
    ----------
    cycles
        Its length in cycles over its length in tiles.
    operations
        The operations around it; empty if there is no cycle.
    contexts
        Those whose number closes the cycle.

    """

    cycles: Cycles
    operations: tuple[str, ...]
    contexts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Schedule:
    """A periodic schedule: tile t does what tile 0 does, `t * interval` later.

    Parameters
    ----------
    graph
        What is scheduled.
    interval
        Cycles from one tile to the next, a multiple of `quantum`.
    placements
        When tile 0 does its operations, in the order of the graph. The first of them starts at 0.
    resource_bound, recurrence_bound
        What no interval is below.
    quantum
        The grid of all times: the largest share of a cycle that all times of the graph are multiples of, at most 1.
    proof
        Why no shorter interval exists, or `open`.
    floor
        The least interval that is not refuted: equal to `interval` unless the proof is open.
    obstacle
        What kept the interval from `floor`, a sentence; empty if nothing did.

    """

    graph: OperationGraph
    interval: Cycles
    placements: tuple[Placement, ...]
    resource_bound: ResourceBound
    recurrence_bound: RecurrenceBound
    quantum: Cycles
    proof: Proof
    floor: Cycles
    obstacle: str = ""

    @property
    def bound(self) -> Cycles:
        """The larger of both bounds, rounded up to the grid of times."""
        larger = Fraction(max(self.resource_bound.cycles, self.recurrence_bound.cycles))
        return exact(max(1, math.ceil(larger / self.quantum)) * self.quantum)

    @property
    def gap(self) -> Cycles:
        """Cycles between the interval and the least one that is not refuted."""
        return exact(self.interval - self.floor)

    @property
    def is_proved(self) -> bool:
        """Whether no shorter interval exists."""
        return self.proof != "open"

    @property
    def latency_cycles(self) -> Cycles:
        """Cycles of one tile from the first start to the last end."""
        return max(self.end(placement.operation) for placement in self.placements)

    @property
    def tiles_in_flight(self) -> int:
        """Most tiles that are begun and not ended at one time."""
        return max(1, math.ceil(Fraction(self.latency_cycles) / self.interval))

    @property
    def prologue_cycles(self) -> Cycles:
        """Cycles before as many tiles are in flight as ever will be."""
        return exact((self.tiles_in_flight - 1) * self.interval)

    @property
    def epilogue_cycles(self) -> Cycles:
        """Cycles from the end of the last full interval to the end of the last tile."""
        return exact(max(0, self.latency_cycles - self.interval))

    def starts(self, operation: str) -> tuple[Cycles, ...]:
        """Return the starts of the slots of an operation of tile 0; of a block, the one start."""
        return next(placement.starts for placement in self.placements if placement.operation == operation)

    def end(self, operation: str) -> Cycles:
        """Return when an operation of tile 0 has ended."""
        return self.starts(operation)[-1] + self.graph.operation[operation].duration

    def cycles(self, tiles: int) -> Cycles:
        """Return the cycles of a number of tiles, from the first start to the last end.

        Examples
        --------
        >>> from einsum_cascade.schedule.graph import Dependence, TileOperation, OperationGraph, Resource
        >>> from einsum_cascade.schedule.modulo import modulo_schedule
        >>> load, add = TileOperation("load", "port", 3), TileOperation("add", "adder", 2)
        >>> ports = (Resource("port"), Resource("adder"))
        >>> modulo_schedule(OperationGraph(ports, (load, add), (Dependence("load", "add"),))).cycles(10)
        32

        """
        if tiles < 0:
            raise ValueError(f"the number of tiles must be at least 0, not {tiles!r}")
        return exact(self.latency_cycles + (tiles - 1) * self.interval) if tiles else 0

    def lifetime_cycles(self, context: str) -> Cycles:
        """Return the cycles for which a tile has its copy of a context."""
        found = next(value for value in self.graph.contexts if value.name == context)
        return exact(max(map(self.end, found.released_by)) - self.starts(found.taken_by)[0])

    def contexts_needed(self, context: str) -> int:
        """Return the number of copies of a context that are in use at a time."""
        return math.ceil(Fraction(self.lifetime_cycles(context)) / self.interval)

    def busy_cycles(self, resource: str) -> Cycles:
        """Return the unit-cycles that a tile takes of a resource."""
        taken = (
            use.duration * use.amount * operation.slots
            for operation in self.graph.operations
            for use in operation.all_uses
            if use.resource == resource
        )
        return exact(sum(taken, Fraction(0)))
