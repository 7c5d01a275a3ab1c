"""Shorten the time for which results are held: what holds them happens as late as its consumers allow."""

from collections.abc import Sequence

from einsum_cascade.schedule.leases import lease_end
from einsum_cascade.schedule.problem import Problem
from einsum_cascade.schedule.table import ReservationTable

__all__ = ["delayed"]


def delayed(problem: Problem, interval: int, starts: Sequence[int]) -> list[int]:
    """Return starts at which less is held in all, or the same ones.

    Pieces are moved one at a time, the last first, to the latest start that breaks no rule; a move is kept if the
    units held, each times how long, become fewer.
    """
    table = ReservationTable(interval, problem.capacities)
    for piece, start in zip(problem.pieces, starts, strict=True):
        table.add(piece.uses, start)
    after = [dict[int, int]() for _ in starts]
    for edge in problem.edges:
        if edge.source != edge.target:
            least = edge.weight - edge.distance * interval
            after[edge.source][edge.target] = max(least, after[edge.source].get(edge.target, least))
    moved, held = list(starts), _held(problem, interval, starts)
    for piece in sorted(range(len(moved)), key=lambda piece: -moved[piece]):
        if not after[piece]:
            continue
        start, uses = moved[piece], problem.pieces[piece].uses
        table.remove(uses, start)
        latest = min(moved[target] - least for target, least in after[piece].items())
        later = range(latest, max(start, latest - interval), -1)
        moved[piece] = next((other for other in later if table.first_fit(uses, other, other) is not None), start)
        if (fewer := _held(problem, interval, moved)) < held:
            held = fewer
        else:
            moved[piece] = start
        table.add(uses, moved[piece])
    return moved


def _held(problem: Problem, interval: int, starts: Sequence[int]) -> int:
    return sum(
        lease.amount * (lease_end(problem, interval, starts, lease) - starts[lease.taken_by])
        for lease in problem.leases
    )
