"""Say in words why a pass begins."""

from collections.abc import Iterator

from einsum_cascade.analysis.availability import Barrier
from einsum_cascade.analysis.passes import PassBound
from einsum_cascade.analysis.symbolic import symbols_of
from einsum_cascade.analysis.target import Target
from einsum_cascade.analysis.traversals import Timing
from einsum_cascade.cascade.ir import Cascade, Einsum

__all__ = ["sentence_of", "sentences"]


def sentences(cascade: Cascade, bound: PassBound) -> Iterator[str]:
    """Yield one sentence for every barrier of a witness chain.

    Examples
    --------
    "GM[p] needs every QK[m, p] before the first SN[m, p]: pass 2 begins"

    """
    for barrier in bound.witness:
        yield sentence_of(cascade, bound.target, bound.timing, barrier)
    for rank in sorted(bound.timing.growing & symbols_of(bound.count).keys()):
        yield f"every generation of {rank} does so again: {bound.count} passes"


def sentence_of(cascade: Cascade, target: Target, timing: Timing, barrier: Barrier) -> str:
    """Return the sentence for one barrier of a timing."""
    ended, reader = cascade.einsums[barrier.ended], cascade.einsums[barrier.reader]
    way = "" if barrier.operand == ended.tensor else f" (through {barrier.operand})"
    whole = _whole(target, timing, ended)
    return f"{ended} needs every {whole}{way} before the first {reader}: pass {barrier.number} begins"


def _whole(target: Target, timing: Timing, ended: Einsum) -> str:
    """Return the read of the family that an Einsum needs all of."""
    for read in ended.reads:
        state = timing.state(read.tensor)
        if read.tensor == target.tensor or state.carriers or any(piece.along for piece in state.pieces):
            return str(read)
    return str(ended.reads[0])
