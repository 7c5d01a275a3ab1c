"""Say in words why a pass begins."""

from collections.abc import Iterator

from einsum_cascade.analysis.availability import Barrier
from einsum_cascade.analysis.passes import PassBound
from einsum_cascade.cascade.ir import Cascade, Einsum

__all__ = ["sentences"]


def sentences(cascade: Cascade, bound: PassBound) -> Iterator[str]:
    """Yield one sentence for every barrier of a witness chain.

    Examples
    --------
    "GM[p] needs every QK[m, p] before the first SN[m, p]: pass 2 begins"

    """
    for barrier in bound.witness:
        yield _sentence(cascade, bound, barrier)
    for rank in sorted(bound.timing.growing):
        yield f"every generation of {rank} does so again: {bound.count} passes"


def _sentence(cascade: Cascade, bound: PassBound, barrier: Barrier) -> str:
    ended, reader = cascade.einsums[barrier.ended], cascade.einsums[barrier.reader]
    way = "" if barrier.operand == ended.tensor else f" (through {barrier.operand})"
    whole = _whole(bound, ended)
    return f"{ended} needs every {whole}{way} before the first {reader}: pass {barrier.number} begins"


def _whole(bound: PassBound, ended: Einsum) -> str:
    """Return the read of the family that an Einsum needs all of."""
    target = bound.target.tensor
    for read in ended.reads:
        state = bound.timing.state(read.tensor)
        if read.tensor == target or state.carriers or state.stream:
            return str(read)
    return str(ended.reads[0])
