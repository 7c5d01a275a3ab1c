"""How much of the buffers a periodic schedule fills, the tiles in flight counted."""

from collections.abc import Sequence

from einsum_cascade.schedule.problem import Lease, Problem

__all__ = ["lease_end", "overfull", "peak"]


def overfull(problem: Problem, interval: int, starts: Sequence[int]) -> int | None:
    """Return a buffer that is filled beyond its capacity; None if there is none."""
    for resource in sorted({lease.resource for lease in problem.leases}):
        if peak(problem, interval, starts, resource) > problem.capacities[resource]:
            return resource
    return None


def peak(problem: Problem, interval: int, starts: Sequence[int], resource: int) -> int:
    """Return the most units of a buffer that are filled at a time in the steady state."""
    always, changes = 0, dict[int, int]()
    for lease in problem.leases:
        if lease.resource == resource:
            begin = starts[lease.taken_by]
            turns, rest = divmod(lease_end(problem, interval, starts, lease) - begin, interval)
            always += turns * lease.amount
            if rest:
                wraps = begin % interval + rest >= interval
                always += lease.amount if wraps else 0
                changes[begin % interval] = changes.get(begin % interval, 0) + lease.amount
                changes[(begin + rest) % interval] = changes.get((begin + rest) % interval, 0) - lease.amount
    level, most = always, 0
    for _, change in sorted({0: 0, **changes}.items()):
        level += change
        most = max(most, level)
    return most


def lease_end(problem: Problem, interval: int, starts: Sequence[int], lease: Lease) -> int:
    """Return when tile 0 gives back what a lease holds."""
    return max(
        starts[piece] + distance * interval + problem.pieces[piece].duration for piece, distance in lease.released_by
    )
