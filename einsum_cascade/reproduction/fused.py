"""The configurations that run the 1-pass cascade: +Cascade, +Architecture and +Binding.

Per tile of 256 keys and 256 queries; per column of tiles, which is 256 queries of a head.
"""

from collections import Counter
from fractions import Fraction

from einsum_cascade.reproduction.machine import AttentionRow, PublishedMachine, Work, columns_of, lost_share, tiles_of
from einsum_cascade.reproduction.published import PES, fitted
from einsum_cascade.reproduction.workloads import PublishedWorkload

__all__ = ["architecture", "binding", "cascade", "largest_divisor"]

_MEBIBYTES = 1 << 20


def binding(machine: PublishedMachine, workload: PublishedWorkload) -> AttentionRow:
    """Evaluate FuseMax: tiles software-pipelined in lock-step stages."""
    e, f, average = workload.head, workload.head, _average_column(workload)
    stages = (max(e + 1, 1 + f + f * average), 1, max(7 + 1, 7 + 1), max(f, f))
    return machine.row("binding", workload, _fusemax(machine, workload, sum(stages)))


def architecture(machine: PublishedMachine, workload: PublishedWorkload) -> AttentionRow:
    """Evaluate FuseMax's machine with one tile at a time."""
    e, f, average = workload.head, workload.head, _average_column(workload)
    stages = (max(e + 1, 1 + f * average), PES, 1, max(7 + 1, 7 + 1), max(f, f + f))
    return machine.row("architecture", workload, _fusemax(machine, workload, sum(stages)))


def cascade(machine: PublishedMachine, workload: PublishedWorkload) -> AttentionRow:
    """Evaluate the 1-pass cascade on FLAT's machine, with all but two products on the 1D array."""
    e, f, average = workload.head, workload.head, _average_column(workload)
    exponential = 2 if machine.has("serial-exponential") else 1
    per_point = 1 + exponential + 1
    vector = PES * per_point + 1 + exponential + 1 + f + 1 + f + f * average
    tiles, columns = tiles_of(workload), columns_of(workload)
    capacity = 16 * _MEBIBYTES if machine.has("small-plan") else machine.capacity_bytes
    state = machine.state_words
    kept = _columns_kept(workload, capacity, e + state * (f + 2) + 2 * PES)
    fills = Fraction(tiles * (e + f), kept)
    lost = (
        lost_share(machine, "cascade", "scores", workload) * 2 * PES
        + lost_share(machine, "cascade", "numerator", workload) * f
    )
    work = Work(
        phases=((tiles * max(e + f, vector), _words(workload, kept)),),
        busy_2d=tiles * (e + f),
        busy_1d=tiles * vector,
        actions=_actions(workload, exponential=None if machine.has("free-exponential") else "exp"),
        rows_read=tiles * (2 * PES + e + e + f + state * (f + 2) + lost) + columns * state * (f + 1),
        rows_written=tiles * (2 * PES + state * (f + 2)) + columns * e + fills,
        steps_2d=tiles * (e + f),
        vector_pj=_vector_pj("cascade", tiles * (PES * 4 + 5 + 2 * f), columns, f),
    )
    return machine.row("cascade", workload, work)


def largest_divisor(number: int, limit: int) -> int:
    """Return the largest divisor of a number that is at most a limit, and at least 1."""
    return max(d for d in range(1, max(1, min(number, limit)) + 1) if number % d == 0)


def _fusemax(machine: PublishedMachine, workload: PublishedWorkload, interval: int | Fraction) -> Work:
    """Return the work on FuseMax's machine: scores stay in the array, vectors of one row pass through the buffer."""
    e, f, average = workload.head, workload.head, _average_column(workload)
    tiles, columns = tiles_of(workload), columns_of(workload)
    state = machine.state_words
    kept = _columns_kept(workload, machine.capacity_bytes, e + state * (f + 2))
    fills = Fraction(tiles * (e + f), kept)
    lost = f * lost_share(machine, "fusemax", "numerator", workload)
    array, vector = e + f + 9, 2 * f + 10 + f * average
    return Work(
        phases=((tiles * interval, _words(workload, kept)),),
        busy_2d=tiles * array,
        busy_1d=tiles * vector,
        actions=_actions(workload, exponential="mac"),
        rows_read=tiles * (e + e + f + 2 + state * (f + 3 + lost)) + columns * state * (f - 2),
        rows_written=tiles * (2 + state * (f + 2)) + columns * e + fills,
        steps_2d=tiles * array,
        vector_pj=_vector_pj("fusemax", tiles * (2 * f + 10), columns, f),
    )


def _average_column(workload: PublishedWorkload) -> Fraction:
    """Return the share of a tile in what happens once for all tiles of a column."""
    return Fraction(PES, workload.tokens)


def _columns_kept(workload: PublishedWorkload, capacity_bytes: int, words: int) -> int:
    """Return how many columns of tiles share one fill of K and V: what fits beside a tile of both."""
    beside = capacity_bytes - 2 * PES * 2 * workload.head
    return largest_divisor(workload.tokens // PES, beside // (2 * PES * words))


def _words(workload: PublishedWorkload, kept: int) -> int:
    """Return the DRAM words: Q and AV once, K and V once for the columns that are kept together."""
    once = workload.heads * workload.head * workload.tokens
    return 2 * once + 2 * once * (workload.tokens // PES // kept)


def _actions(workload: PublishedWorkload, exponential: str | None) -> Counter[str]:
    """Return the actions; an exponential is one of a unit, or six multiply-adds, or not counted."""
    e, f = workload.head, workload.head
    tiles, columns = tiles_of(workload), columns_of(workload)
    points, vectors = tiles * PES * PES, tiles * PES
    exponentials = points + vectors
    actions = Counter(
        {
            "mac": points * (e + f) + vectors * (f + 1),
            "max": points + vectors,
            "add": exponentials + points + vectors * (f + 1),
            "divide": columns * PES * f,
        }
    )
    if exponential is not None:
        actions[exponential] += exponentials * (6 if exponential == "mac" else 1)
    return actions


def _vector_pj(name: str, slots: int, columns: int, f: int) -> float:
    return fitted[name].vector_slot_pj * slots + fitted[name].column_pj * columns * f / 64
