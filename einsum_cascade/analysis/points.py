"""What one Einsum reads and writes, seen from a traversal: where its points sit and when its result is complete.

A point that reads the family by several variables sits at the latest of their positions. A result is complete when the
last of its points has fired: at the coordinate of a variable on the left that bounds the reduced ones, else at the end.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from einsum_cascade.analysis.availability import AvailabilityPiece, Barrier, State, Stream, pruned
from einsum_cascade.analysis.boxes import Box, Side, is_constant, meet, merged, renamed
from einsum_cascade.analysis.facts import Facts, Left
from einsum_cascade.analysis.positions import Order, Phase, Position
from einsum_cascade.analysis.precedence import Ordering, Wait
from einsum_cascade.cascade.extent import ZERO, Extent, constant
from einsum_cascade.cascade.ir import Einsum

__all__ = ["Doubts", "OwnRead", "Point", "fired", "joined", "state_of"]

type Doubts = set[tuple[str, str]]
"""Why a count may be only a lower bound: pairs of a reason and the tensor that gives it."""

_REASONS = {
    Wait.LAGS: "waited for within a bounded offset",
    Wait.UNCLEAR: "filtered in a way that does not say what is waited for",
}


@dataclass(slots=True)
class OwnRead:
    """What one Einsum reads, in terms of its own rank variables."""

    lineage: list[Box] = field(default_factory=list[Box])
    positions: list[Position] = field(default_factory=list[Position])
    pieces: list[tuple[AvailabilityPiece, str]] = field(default_factory=list[tuple[AvailabilityPiece, str]])


@dataclass(frozen=True)
class Point:
    """How the points of an Einsum sit on the fiber.

    Parameters
    ----------
    along
        Variables whose order the traversal follows.
    loose
        Variables that go in another order.
    constants
        Constant positions.
    left
        Variables on the left side.
    generation
        The one of them that counts generations, if any.
    ordering
        What the filters say of the order of its variables.
    doubts
        Why a count may be only a lower bound.

    """

    along: frozenset[str]
    loose: frozenset[str]
    constants: frozenset[Order]
    left: tuple[str, ...]
    generation: str | None
    ordering: Ordering
    doubts: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, facts: Facts, einsum: Einsum, ordering: Ordering, positions: Iterable[Position]) -> "Point":
        """Work out how the points of an Einsum sit, from where it reads."""
        ordered = (Order.ALONG, Order.TILES)
        along = frozenset(p.variables[0] for p in positions if p.order in ordered)
        loose = frozenset(v for p in positions if p.order is Order.LOOSE for v in p.variables)
        constants = frozenset(p.order for p in positions if p.order in (Order.START, Order.END))
        reasons = ["read in another order"] if loose else []
        if (along and constants) or len(along) > 1:
            reasons.append("read at two positions at once")
        doubts = frozenset((reason, einsum.tensor) for reason in reasons)
        axis = facts.cascade.tensor[einsum.tensor].generation_axis
        generation = None if axis is None else einsum.indices[axis].stepped
        return cls(along, loose, constants, einsum.left_variables, generation, ordering, doubts)

    @cached_property
    def positions(self) -> frozenset[str]:
        """The variables whose coordinates are positions."""
        return self.along | self.loose

    @cached_property
    def folds(self) -> bool:
        """Whether the result waits for points at several positions."""
        return not self.positions.issubset(self.left)

    @cached_property
    def completion(self) -> tuple[Phase, Stream, Wait]:
        """Return when the result of points that sit on the fiber is complete."""
        gone = self.positions.difference(self.left)
        if not self.positions:
            return (Phase.END if Order.END in self.constants else Phase.START), (), Wait.NONE
        if gone and gone <= self.loose and not self.loose.isdisjoint(self.left):
            return Phase.START, (), Wait.NONE
        return self.reduced(tuple((name, ZERO) for name in sorted(self.positions)))

    def reduced(self, along: Stream) -> tuple[Phase, Stream, Wait]:
        """Return when a result is complete whose points fire along some variables: phase, coordinates, certainty."""
        lags: dict[str | int, Extent] = {}
        worst = Wait.NONE
        for name, lag in along:
            found = self._bounding(str(name), lag)
            if found is None:
                return Phase.END, (), Wait.NONE
            wait, bound = found
            worst = max(worst, wait)
            if bound is not None and (bound[0] not in lags or (bound[1] - lags[bound[0]]).is_nonnegative()):
                lags[bound[0]] = bound[1]
        return (Phase.ALONG if lags else Phase.START), tuple(sorted(lags.items(), key=str)), worst

    def _bounding(self, name: str, lag: Extent) -> tuple[Wait, tuple[str, Extent] | None] | None:
        """Return the variable on the left at which a reduction is over, and how long after it; None for at the end."""
        if name in self.left:
            return Wait.NONE, (name, lag)
        others = sorted(self.left, key=lambda v: v not in self.along)
        aheads = {other: self.ordering.ahead(name, other) for other in others if self.ordering.is_alike(name, other)}
        least = min(((ahead.wait(lag), at) for at, ahead in enumerate(aheads.values())), default=(Wait.WHOLE, 0))
        if least[0] is Wait.WHOLE:
            return None
        other, ahead = list(aheads.items())[least[1]]
        if least[0] is Wait.UNCLEAR:
            return Wait.UNCLEAR, None
        return least[0], (other, lag + ahead.least)

    def lasting(self, name: str) -> str:
        """Return a variable of the same coordinate that later generations still have (`where s == t`), or `name`."""
        others = (other for other in self.left if name == self.generation != other)
        same = (o for o in others if self.ordering.wait(name, o) == self.ordering.wait(o, name) == Wait.NONE)
        return next(same, name)

    def wait(self, piece: AvailabilityPiece) -> Wait:
        """Tell whether a point waits for an operand until the next traversal."""
        if piece.phase is Phase.END:
            # What reads the end as well, of this fiber or of another one, sits there at the latest.
            return Wait.NONE if Order.END in self.constants else Wait.WHOLE
        if piece.phase is Phase.START or not self.positions:
            return Wait.NONE
        return max((self._wait_along(str(name), lag) for name, lag in piece.along), default=Wait.NONE)

    def delayed_by(self, piece: AvailabilityPiece) -> Iterator[str]:
        """Yield the variables that points wait for within a bounded offset, to read what comes along with them."""
        if piece.phase is Phase.ALONG and self.positions:
            yield from (str(name) for name, lag in piece.along if self._wait_along(str(name), lag) is Wait.LAGS)

    def _wait_along(self, name: str, lag: Extent) -> Wait:
        return min(self.ordering.wait(name, position, lag) for position in self.positions)

    @cached_property
    def is_at_one_position(self) -> bool:
        """Whether all points of an element of the result sit at one position, that of a variable on the left."""
        kept = self.along.intersection(self.left)
        gone = self.positions - kept
        is_at_end = self.along and Order.END in self.constants
        return not is_at_end and all(any(self.ordering.wait(name, k) is Wait.NONE for k in kept) for name in gone)


def joined(positions: tuple[Position, ...]) -> Position:
    """Return the position of a composite read from those of its sub-ranks."""
    first = positions[0]
    if len(positions) == 1 or first.order not in (Order.ALONG, Order.TILES):
        return first
    if all(position.order in (Order.ALONG, Order.TILES) for position in positions):
        return Position(Order.TILES, tuple(name for position in positions for name in position.variables))
    return Position(Order.TILES, (*first.variables, ""))


def fired(operand: OwnRead, point: Point, number: int, tensor: str, doubts: Doubts) -> Iterator[AvailabilityPiece]:
    """Yield the availability of an Einsum's result: of the lineage at its position, of all else as it comes.

    What is not certain is taken to wait for nothing, and noted among the doubts.
    """
    for box in operand.lineage:
        yield _completed(AvailabilityPiece(box, 1, Phase.START), point, number, tensor, doubts)
    for piece, name in operand.pieces:
        is_implied = False
        for box in operand.lineage:
            common = meet(box, piece.box)
            if common is not None:
                awaited = _awaited(piece, common, point, number, name, doubts)
                own = _completed(awaited, point, number, tensor, doubts)
                is_implied |= common == piece.box and _is_later(own, piece)
                yield own
        if not is_implied:
            yield _passed_on(piece, point, number, tensor, doubts)


def _is_later(own: AvailabilityPiece, piece: AvailabilityPiece) -> bool:
    """Tell whether a result at its position is complete no earlier than one that only waits for an operand."""
    if own.number > piece.number or own.phase is Phase.END:
        return True
    return own.phase is Phase.ALONG and piece.phase is not Phase.END


def _awaited(
    piece: AvailabilityPiece, box: Box, point: Point, number: int, name: str, doubts: Doubts
) -> AvailabilityPiece:
    """Return when a point that sits on the fibers of a box fires, of all that its operand asks for."""
    wait = point.wait(piece)
    if wait in _REASONS:
        doubts.add((f"{_REASONS[wait]} along with it", name))
    if wait is not Wait.WHOLE:
        return AvailabilityPiece(box, max(piece.number, 1), Phase.START, piece.ended, piece.cause)
    cause = Barrier(piece.ended, name, number, piece.number + 1, piece.cause)
    return AvailabilityPiece(box, piece.number + 1, Phase.START, -1, cause)


def _completed(piece: AvailabilityPiece, point: Point, number: int, tensor: str, doubts: Doubts) -> AvailabilityPiece:
    """Return when the result of points on the fiber is complete, given the traversal in which they fire."""
    phase, along, wait = point.completion
    if wait in _REASONS:
        doubts.add((_REASONS[wait], tensor))
    ended = number if point.folds else piece.ended
    return AvailabilityPiece(piece.box, piece.number, phase, ended, piece.cause, along)


def _passed_on(piece: AvailabilityPiece, point: Point, number: int, tensor: str, doubts: Doubts) -> AvailabilityPiece:
    """Return when a result is complete of which no point sits on the fiber of an operand."""
    if piece.phase is not Phase.ALONG:
        return piece
    phase, along, wait = point.reduced(tuple((point.lasting(str(name)), lag) for name, lag in piece.along))
    if wait in _REASONS:
        doubts.add((_REASONS[wait], tensor))
    ended = number if phase is Phase.END or along != piece.along else piece.ended
    return AvailabilityPiece(piece.box, piece.number, phase, ended, piece.cause, along)


def state_of(
    facts: Facts, einsum: Einsum, operand: OwnRead, point: Point, pieces: Iterable[AvailabilityPiece]
) -> State:
    """Return the state of a result: its availability over its own dimensions, and what it carries of the family."""
    left = facts.left_of(einsum)
    carriers = _carriers(left, operand.positions) if point.is_at_one_position else ()

    def rename(side: Side) -> Side | None:
        if not isinstance(side.reference, str) or side.reference not in left.slots:
            return side if is_constant(side) else None
        slot, offset = left.slots[side.reference]
        return side.shifted(-offset, slot)

    kept = pruned(_over_dimensions(facts, left, point, piece, renamed(piece.box, rename)) for piece in pieces)
    lineage = merged(renamed(box, rename) for box in operand.lineage) if carriers else ()
    return State(kept, carriers, lineage)


def _over_dimensions(facts: Facts, left: Left, point: Point, piece: AvailabilityPiece, box: Box) -> AvailabilityPiece:
    """Express a piece by the dimensions of the result instead of the variables of the Einsum."""
    along: dict[str | int, Extent] = {}
    for name, lag in piece.along:
        slot = left.slot(str(name))
        if slot is not None:
            along[slot[0]] = lag - point.ordering.ahead_by(constant(slot[1]) * facts.coordinates.stride(str(name)))
    phase = Phase.START if piece.phase is Phase.ALONG and not along else piece.phase
    return AvailabilityPiece(box, piece.number, phase, piece.ended, piece.cause, tuple(sorted(along.items(), key=str)))


def _carriers(left: Left, positions: list[Position]) -> tuple[tuple[int, ...], ...]:
    """Return the dimensions that carry R in the result; none for a way of reading R of which it loses a part."""
    found = (left.carrier(position) for position in positions)
    return tuple(dict.fromkeys(slots for slots in found if slots is not None))
