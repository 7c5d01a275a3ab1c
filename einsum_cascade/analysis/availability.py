"""When elements are available, counted in traversals of one fiber."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from einsum_cascade.analysis.boxes import Box, covers, merged, union
from einsum_cascade.analysis.positions import Phase
from einsum_cascade.cascade.extent import Extent

__all__ = ["AvailabilityPiece", "Barrier", "State", "Stream", "alike", "either", "latest", "pruned", "united"]

type Stream = tuple[tuple[str | int, Extent], ...]
"""Coordinates whose visits an element waits for, each by a rank variable or a dimension, and how long after it."""


@dataclass(frozen=True, slots=True)
class Barrier:
    """One link of a witness chain: why a traversal had to end before the next one could begin.

    Parameters
    ----------
    ended
        Position of the Einsum that needs the whole fiber.
    operand
        The tensor that carries its result to the reader.
    reader
        Position of the Einsum that reads the family again.
    number
        The pass that begins with it.
    previous
        The link before.

    """

    ended: int
    operand: str
    reader: int
    number: int
    previous: "Barrier | None"

    def chain(self) -> "tuple[Barrier, ...]":
        """Return the links from the first one to this one."""
        return (*(self.previous.chain() if self.previous else ()), self)


@dataclass(frozen=True, slots=True)
class AvailabilityPiece:
    """Availability with respect to the fibers of a box: traversal `number`, at `phase`; along which coordinates."""

    box: Box
    number: int
    phase: Phase
    ended: int = field(default=-1, compare=False)
    cause: Barrier | None = field(default=None, compare=False)
    along: Stream = ()

    @property
    def time(self) -> tuple[int, Phase]:
        """Traversal and phase."""
        return self.number, self.phase

    def joined(self, other: "AvailabilityPiece") -> "AvailabilityPiece":
        """Return the piece that waits for what either waits for, of two of the same time."""
        if self.along == other.along:
            return self
        lags = dict(self.along)
        for reference, lag in other.along:
            if reference not in lags or (lag - lags[reference]).is_nonnegative():
                lags[reference] = lag
        return replace(self, along=tuple(sorted(lags.items(), key=lambda pair: str(pair[0]))))


@dataclass(frozen=True, slots=True)
class State:
    """What is known of a tensor.

    Parameters
    ----------
    pieces
        Its availability; none if it does not depend on the target.
    carriers
        Dimensions that carry R, outermost first, one tuple per variable by which R came in; none outside the family.
    lineage
        The fibers that its elements come from, if it is in the family.

    """

    pieces: tuple[AvailabilityPiece, ...] = ()
    carriers: tuple[tuple[int, ...], ...] = ()
    lineage: tuple[Box, ...] = ()

    @property
    def later_slots(self) -> tuple[int, ...]:
        """Further dimensions whose coordinates the family's elements wait for, read by several variables."""
        known = {slot for carrier in self.carriers for slot in carrier}
        own = [piece for piece in self.pieces if any(covers(box, piece.box) for box in self.lineage)]
        return tuple(sorted({int(slot) for piece in own for slot, _ in piece.along} - known))


def latest(pieces: Iterable[AvailabilityPiece]) -> list[AvailabilityPiece]:
    """Keep the latest piece of every box."""
    best: dict[Box, AvailabilityPiece] = {}
    for piece in pieces:
        other = best.get(piece.box)
        if other is None or other.time < piece.time:
            best[piece.box] = piece
        elif other.time == piece.time:
            best[piece.box] = other.joined(piece)
    return list(best.values())


def pruned(pieces: Iterable[AvailabilityPiece]) -> tuple[AvailabilityPiece, ...]:
    """Drop what another piece implies, and join neighbours."""
    pieces = latest(pieces)
    if len(pieces) == 1:
        return tuple(pieces)
    kept: list[AvailabilityPiece] = []
    for piece in sorted(pieces, key=lambda p: (-p.number, -p.phase)):
        _keep(kept, piece)
    return tuple(sorted(kept, key=lambda p: (-p.number, -p.phase, repr(p.box))))


def _keep(kept: list[AvailabilityPiece], piece: AvailabilityPiece) -> None:
    """Add a piece to those that are not earlier."""
    for at, other in enumerate(kept):
        whole = union(other.box, piece.box) if other.time == piece.time else None
        if whole is not None:
            del kept[at]
            _keep(kept, replace(other.joined(piece), box=whole))
            return
        if covers(other.box, piece.box):
            return
    kept.append(piece)


def alike(first: State, second: State) -> bool:
    """Tell whether two states become available along the same coordinates, and carry the same."""
    streams = [{piece.along for piece in state.pieces} for state in (first, second)]
    return streams[0] == streams[1] and first.carriers == second.carriers


def either(first: State, second: State) -> State:
    """Return the state of a tensor each of whose elements comes from one of two branches; which one is not known.

    Where the branches differ, no more is claimed than holds for both: an element waits for the coordinates common to
    them, and carries the family where either does.
    """
    if alike(first, second):
        return united(first, second)
    known = [dict(p.along).keys() for p in (*first.pieces, *second.pieces) if p.phase is Phase.ALONG]
    common = {name for name in (known[0] if known else ()) if all(name in names for names in known)}
    carriers = tuple(carrier for carrier in first.carriers if carrier in second.carriers)
    lineage = merged((*first.lineage, *second.lineage)) if carriers else ()
    pieces = (_narrowed(piece, common) for piece in (*first.pieces, *second.pieces))
    return State(pruned(pieces), carriers, lineage)


def _narrowed(piece: AvailabilityPiece, common: set[str | int]) -> AvailabilityPiece:
    """Leave out coordinates that only one branch waits for."""
    along = tuple(pair for pair in piece.along if pair[0] in common)
    phase = Phase.START if piece.phase is Phase.ALONG and not along else piece.phase
    return replace(piece, phase=phase, along=along)


def united(first: State, second: State) -> State:
    """Return the state of a tensor that two equations write in parts."""
    carriers = first.carriers if first.carriers == second.carriers else first.carriers or second.carriers
    lineage = merged((*first.lineage, *second.lineage))
    return State(pruned((*first.pieces, *second.pieces)), carriers, lineage)
