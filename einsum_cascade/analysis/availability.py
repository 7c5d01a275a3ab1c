"""When elements are available, counted in traversals of one fiber."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from einsum_cascade.analysis.boxes import Box, covers, hull
from einsum_cascade.analysis.positions import Phase

__all__ = ["Barrier", "Piece", "State", "latest", "pruned", "united"]


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
class Piece:
    """Availability with respect to the fibers of a box: traversal `number`, at `phase`."""

    box: Box
    number: int
    phase: Phase
    ended: int = field(default=-1, compare=False)
    cause: Barrier | None = field(default=None, compare=False)


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
    stream
        Dimensions along which it becomes available.

    """

    pieces: tuple[Piece, ...] = ()
    carriers: tuple[tuple[int, ...], ...] = ()
    lineage: tuple[Box, ...] = ()
    stream: tuple[int, ...] = ()


def latest(pieces: Iterable[Piece]) -> list[Piece]:
    """Keep the latest piece of every box."""
    best: dict[Box, Piece] = {}
    for piece in pieces:
        other = best.get(piece.box)
        if other is None or (other.number, other.phase) < (piece.number, piece.phase):
            best[piece.box] = piece
    return list(best.values())


def pruned(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """Drop what another piece implies, and join neighbours."""
    pieces = latest(pieces)
    if len(pieces) == 1:
        return tuple(pieces)
    kept: list[Piece] = []
    for piece in sorted(pieces, key=lambda p: (-p.number, -p.phase)):
        if any(covers(other.box, piece.box) for other in kept):
            continue
        for at, other in enumerate(kept):
            whole = hull(other.box, piece.box) if (other.number, other.phase) == (piece.number, piece.phase) else None
            if whole is not None:
                kept[at] = Piece(whole, other.number, other.phase, other.ended, other.cause)
                break
        else:
            kept.append(piece)
    return tuple(sorted(kept, key=lambda p: (-p.number, -p.phase, repr(p.box))))


def united(first: State, second: State) -> State:
    """Return the state of a tensor that two equations write in parts."""
    carriers = first.carriers if first.carriers == second.carriers else first.carriers or second.carriers
    return State(
        pruned((*first.pieces, *second.pieces)),
        carriers,
        tuple(dict.fromkeys((*first.lineage, *second.lineage))),
        tuple(sorted({*first.stream, *second.stream})),
    )
