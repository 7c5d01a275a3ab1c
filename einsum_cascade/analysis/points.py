"""What one Einsum reads and writes, seen from a traversal: where its points sit and when its result is complete."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from einsum_cascade.analysis.availability import Barrier, Piece, State, pruned
from einsum_cascade.analysis.boxes import Box, Side, is_constant, meet, renamed
from einsum_cascade.analysis.facts import Facts, Left
from einsum_cascade.analysis.positions import Order, Phase, Position
from einsum_cascade.cascade.ir import Einsum

__all__ = ["TWO_POSITIONS", "Operand", "Point", "fired", "joined", "state_of"]

TWO_POSITIONS = "read at two positions at once"
"""A reason why a count is only a lower bound."""


@dataclass(slots=True)
class Operand:
    """What one Einsum reads, in terms of its own rank variables."""

    lineage: list[Box] = field(default_factory=list[Box])
    positions: list[Position] = field(default_factory=list[Position])
    pieces: list[tuple[Piece, frozenset[str], str]] = field(default_factory=list[tuple[Piece, frozenset[str], str]])


@dataclass(frozen=True, slots=True)
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
    phase
        When the result is complete, for the fibers of the lineage.

    """

    along: frozenset[str]
    loose: frozenset[str]
    constants: frozenset[Order]
    left: frozenset[str]
    phase: Phase
    doubts: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, facts: Facts, einsum: Einsum, positions: Iterable[Position]) -> "Point":
        """Work out how the points of an Einsum sit, from where it reads."""
        ordered = (Order.ALONG, Order.TILES)
        along = frozenset(p.variables[0] for p in positions if p.order in ordered)
        loose = frozenset(v for p in positions if p.order is Order.LOOSE for v in p.variables)
        constants = frozenset(p.order for p in positions if p.order in (Order.START, Order.END))
        left = frozenset(einsum.left_variables)
        phase = _phase(facts, along, loose, constants, left)
        return cls(along, loose, constants, left, phase, _doubts(facts, einsum, along, loose, constants))

    def delays(self, phase: Phase) -> bool:
        """Tell whether an operand of that phase puts the point into the next traversal."""
        is_at_end = not (self.along or self.loose) and self.constants == frozenset({Order.END})
        return phase is Phase.END and not is_at_end


def _ends(along: frozenset[str], left: frozenset[str]) -> bool:
    """Tell whether a result waits for the end of the traversal: no variable that goes along it is left.

    Of several, which make the count a lower bound, one that is left is taken to be enough.
    """
    return not along <= left if len(along) <= 1 else not along & left


def _phase(
    facts: Facts, along: frozenset[str], loose: frozenset[str], constants: frozenset[Order], left: frozenset[str]
) -> Phase:
    gone = (along | loose) - left
    if not along | loose:
        return Phase.END if Order.END in constants else Phase.START
    if not gone or (not loose and not _ends(along, left)):
        return Phase.ALONG
    if gone <= loose and loose & left:
        return Phase.START
    is_prefix = any(facts.is_entangled(name, left) for name in gone)
    return Phase.START if is_prefix else Phase.END


def _doubts(
    facts: Facts, einsum: Einsum, along: frozenset[str], loose: frozenset[str], constants: frozenset[Order]
) -> frozenset[tuple[str, str]]:
    """Return why a count may be only a lower bound: pairs of a reason and the tensor that gives it."""
    found: set[tuple[str, str]] = set()
    if loose:
        found.add(("read in another order", einsum.tensor))
    if (along and constants) or len(along) > 1:
        found.add((TWO_POSITIONS, einsum.tensor))
    rank_of = facts.cascade.rank_of
    for name in along | loose:
        if any(rank_of[other] == rank_of[name] and other != name for other in einsum.variables):
            found.add((f"read with two variables of rank {rank_of[name]}", einsum.tensor))
    return frozenset(found)


def joined(positions: tuple[Position, ...]) -> Position:
    """Return the position of a composite read from those of its sub-ranks."""
    first = positions[0]
    if len(positions) == 1 or first.order not in (Order.ALONG, Order.TILES):
        return first
    if all(position.order in (Order.ALONG, Order.TILES) for position in positions):
        return Position(Order.TILES, tuple(name for position in positions for name in position.variables))
    return Position(Order.TILES, (*first.variables, ""))


def fired(operand: Operand, point: Point, number: int) -> Iterator[Piece]:
    """Yield the availability of an Einsum's result: of the lineage at its position, of all else as it comes."""
    has_ended = point.phase is Phase.END
    lineage = tuple(dict.fromkeys(operand.lineage))
    for box in lineage:
        yield Piece(box, 1, point.phase, number if has_ended else -1)
    for piece, along, tensor in operand.pieces:
        is_complete = piece.phase is Phase.ALONG and _ends(along, point.left)
        phase = Phase.END if is_complete else piece.phase
        is_implied = False
        for box in lineage:
            common = meet(box, piece.box)
            if common is not None:
                own = _fired_at_position(piece, common, point, number, tensor)
                is_implied |= common == piece.box and (own.number, own.phase) >= (piece.number, phase)
                yield own
        if not is_implied:
            yield Piece(piece.box, piece.number, phase, number if is_complete else piece.ended, piece.cause)


def _fired_at_position(piece: Piece, box: Box, point: Point, number: int, tensor: str) -> Piece:
    """Return the availability of a result whose point sits on the fiber and waits for an operand."""
    has_ended = point.phase is Phase.END
    if point.delays(piece.phase):
        cause = Barrier(piece.ended, tensor, number, piece.number + 1, piece.cause)
        return Piece(box, piece.number + 1, point.phase, number if has_ended else -1, cause)
    return Piece(box, max(piece.number, 1), point.phase, number if has_ended else piece.ended, piece.cause)


def state_of(facts: Facts, einsum: Einsum, operand: Operand, point: Point, pieces: Iterable[Piece]) -> State:
    """Return the state of a result: its availability over its own dimensions, and what it carries of the family."""
    left = facts.left_of(einsum)
    carriers = _carriers(left, operand.positions)

    def rename(side: Side) -> Side | None:
        if not isinstance(side.reference, str) or side.reference not in left.slots:
            return side if is_constant(side) else None
        slot, offset = left.slots[side.reference]
        return side.shifted(-offset, slot)

    kept = pruned(
        Piece(renamed(piece.box, rename), piece.number, piece.phase, piece.ended, piece.cause) for piece in pieces
    )
    streams = point.along | point.loose if operand.lineage else frozenset[str]()
    streams = streams.union(*(along for _, along, _ in operand.pieces))
    stream = tuple(sorted(left.stream_slots(streams)))
    lineage = tuple(dict.fromkeys(renamed(box, rename) for box in operand.lineage)) if carriers else ()
    return State(kept, carriers, lineage, stream)


def _carriers(left: Left, positions: list[Position]) -> tuple[tuple[int, ...], ...]:
    """Return the dimensions that carry R in the result; none for a way of reading R of which it loses a part."""
    found = (left.carrier(position) for position in positions)
    return tuple(dict.fromkeys(slots for slots in found if slots is not None))
