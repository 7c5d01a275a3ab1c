"""The parts of a graph of operations: resources, operations, dependences, contexts.

Values only; what must hold between them is checked by `schedule.graph`. Cycles are exact: integers or fractions.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

__all__ = ["Context", "Cycles", "Dependence", "Hold", "Kind", "Resource", "TileOperation", "Use", "exact"]

type Cycles = int | Fraction
"""A time or duration in cycles, whole or a share of a cycle, never rounded."""

type Kind = Literal["finish", "stream"]
"""What a consumer waits for: the end of the producer, or its progress."""


def exact(cycles: Cycles) -> Cycles:
    """Return the same number as an integer if it is whole.

    Examples
    --------
    >>> exact(Fraction(64, 4)), exact(Fraction(1, 3))
    (16, Fraction(1, 3))

    """
    return cycles.numerator if cycles.denominator == 1 else cycles


@dataclass(frozen=True, slots=True)
class Resource:
    """What operations take up: the issue slot of an array, a port, a channel; or a buffer that results are held in.

    Parameters
    ----------
    name
        Its name.
    capacity
        Units of it in every cycle.

    """

    name: str
    capacity: int = 1


@dataclass(frozen=True, slots=True)
class Use:
    """A resource that an operation takes up besides its own.

    Parameters
    ----------
    resource
        Its name.
    offset
        Cycles from the start of the operation, or of each slot of a chain, to the start of the use.
    duration
        Cycles that the use lasts.
    amount
        Units taken.

    """

    resource: str
    offset: Cycles = 0
    duration: Cycles = 1
    amount: int = 1


@dataclass(frozen=True, slots=True)
class Hold:
    """Units of a buffer that the result of an operation occupies.

    They are taken when the operation starts, and given back when the last of its consumers ends.
    """

    resource: str
    amount: int


@dataclass(frozen=True, slots=True)
class TileOperation:
    """An operation of one tile: a block, or a chain of unit slots.

    Parameters
    ----------
    name
        Its name.
    resource
        The resource that it takes one unit of; None if it takes only time.
    duration
        Cycles of a block. Work done once per several tiles has its share, such as `Fraction(64, 4)`.
    slots
        Number of slots. More than one makes a chain, whose slots last one cycle each.
    spacing
        Least number of cycles from the start of a slot to the start of the next one: the stages of a pipelined unit
        where each slot needs the one before.
    uses
        Further resources taken up, by each slot of a chain.
    holds
        Buffers that the result occupies.

    """

    name: str
    resource: str | None = None
    duration: Cycles = 1
    slots: int = 1
    spacing: Cycles = 1
    uses: tuple[Use, ...] = ()
    holds: tuple[Hold, ...] = ()

    @property
    def is_chain(self) -> bool:
        """Whether it consists of several slots."""
        return self.slots > 1

    @property
    def all_uses(self) -> tuple[Use, ...]:
        """What the block, or each slot, takes up: its own resource first."""
        own = () if self.resource is None else (Use(self.resource, 0, self.duration),)
        return own + self.uses


@dataclass(frozen=True, slots=True)
class Dependence:
    """A consumer needs a producer.

    Parameters
    ----------
    producer, consumer
        Names of operations.
    latency
        Cycles that have to lie in between.
    distance
        How many tiles earlier the producer's tile is; 0 for the same tile.
    kind
        `finish`: the consumer starts no earlier than the producer's end plus the latency. `stream`: it follows the
        producer slot by slot. Between two chains, a slot of the consumer starts no earlier than the latency after the
        start of the producer's slot at the same share of the chain, the k-th after the k-th where they are equally
        long. Otherwise the consumer neither starts nor ends earlier than the latency after the producer does.

    """

    producer: str
    consumer: str
    latency: Cycles = 0
    distance: int = 0
    kind: Kind = "finish"


@dataclass(frozen=True, slots=True)
class Context:
    """State that a tile keeps while it is in flight, of which there are a few copies.

    Parameters
    ----------
    name
        Its name.
    count
        How many copies there are, hence tiles that can have one at a time.
    taken_by
        The operation at whose start a tile takes its copy.
    released_by
        The operations at whose last end the tile gives it back.

    """

    name: str
    count: int
    taken_by: str
    released_by: tuple[str, ...]
