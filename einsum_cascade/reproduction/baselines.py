"""The configurations that run the 3-pass cascade: FLAT, whose dataflow is searched for, and Unfused."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from einsum_cascade.reproduction.machine import (
    AttentionRow,
    Number,
    PublishedMachine,
    Work,
    columns_of,
    lost_share,
    tiles_of,
)
from einsum_cascade.reproduction.published import PES, fitted
from einsum_cascade.reproduction.workloads import PublishedWorkload

__all__ = ["Dataflow", "dataflow_of", "flat", "unfused"]

_ROWS = (1024, 512, 256)
"""Queries that FLAT may take together."""


@dataclass(frozen=True, slots=True)
class Dataflow:
    """A point of FLAT's space.

    Parameters
    ----------
    rows
        Queries that are taken together; all of a head's where the granularity is the head.
    is_on_chip
        Whether scores and softmax stay on the chip, as far as they fit; QK and AV are output-stationary then and
        weight-stationary otherwise.
    share
        Share of the scores that fits.

    """

    rows: int
    is_on_chip: bool
    share: Fraction

    def words(self, workload: PublishedWorkload) -> Number:
        """Return the DRAM words of all heads."""
        m, once = workload.tokens, workload.head * workload.tokens
        if self.is_on_chip:
            return workload.heads * (once + 3 * once * Fraction(m, PES) + 7 * (1 - self.share) * m * m)
        return workload.heads * (4 * m * m + 2 * once + 2 * once * Fraction(m, self.rows))

    def cycles(self, workload: PublishedWorkload) -> int:
        """Return the cycles of all heads: the 2D or the 1D array, whichever takes longer."""
        array = workload.head + PES if self.is_on_chip else 2 * PES
        return tiles_of(workload) * max(array, 4 * PES)


def dataflow_of(machine: PublishedMachine, workload: PublishedWorkload) -> Dataflow:
    """Search FLAT's space: the first of the fastest, in the order in which the published choices come out."""
    candidates = list(_candidates(machine, workload))
    times = [machine.seconds([(c.cycles(workload), c.words(workload))]) for c in candidates]
    return candidates[times.index(min(times))]


def _candidates(machine: PublishedMachine, workload: PublishedWorkload) -> Iterator[Dataflow]:
    sizes = (workload.tokens, *(rows for rows in _ROWS if rows <= workload.tokens))
    for rows in sizes:
        yield Dataflow(rows, True, _share(machine, workload, rows))
    for rows in sizes:
        if 4 * workload.head * rows <= machine.capacity_bytes:
            yield Dataflow(rows, False, Fraction(0))


def _share(machine: PublishedMachine, workload: PublishedWorkload, rows: int) -> Fraction:
    """Return the share of the scores of some queries that fits beside a tile of Q, K, V and AV each."""
    footprint_bytes = rows * workload.tokens * 2 + 4 * (4 * PES) * workload.head
    return min(Fraction(1), Fraction(machine.capacity_bytes, footprint_bytes))


def flat(machine: PublishedMachine, workload: PublishedWorkload) -> AttentionRow:
    """Evaluate FLAT with the dataflow that its search finds."""
    flow = dataflow_of(machine, workload)
    name = "flat" if flow.is_on_chip else "flat-off-chip"
    e = f = workload.head
    tiles, columns = tiles_of(workload), columns_of(workload)
    lost = PES * lost_share(machine, name, "scores", workload)
    on_chip = (4 * PES, 3 * PES, 0, 0)
    off_chip = (3 * PES + e + f, 2 * PES + f, -f, e)
    read, written, column_read, column_written = on_chip if flow.is_on_chip else off_chip
    work = Work(
        phases=((flow.cycles(workload), flow.words(workload)),),
        busy_2d=tiles * (e + f),
        busy_1d=tiles * 4 * PES,
        actions=_actions(workload),
        rows_read=tiles * (read + lost) + columns * column_read,
        rows_written=tiles * written + columns * column_written,
        steps_2d=tiles * (e + f),
        vector_pj=_vector_pj(name, workload),
    )
    return machine.row("flat", workload, work)


def unfused(machine: PublishedMachine, workload: PublishedWorkload) -> AttentionRow:
    """Evaluate the three steps one after the other, with all scores in DRAM between them."""
    e = f = workload.head
    m, tiles, columns = workload.tokens, tiles_of(workload), columns_of(workload)
    blocks = _blocks(machine, workload)
    product = workload.heads * (m * m + e * m + e * m * blocks)
    lost = PES * lost_share(machine, "unfused", "scores", workload)
    work = Work(
        phases=((tiles * e, product), (tiles * 4 * PES, workload.heads * 2 * m * m), (tiles * PES, product)),
        busy_2d=tiles * (e + f),
        busy_1d=tiles * 4 * PES,
        actions=_actions(workload),
        rows_read=tiles * (3 * PES + 2 * e + 2 * f + lost) - columns * f,
        rows_written=tiles * (2 * PES + f) + columns * (e + (e + f) * blocks),
        steps_2d=tiles * (e + f),
        vector_pj=_vector_pj("unfused", workload),
    )
    return machine.row("unfused", workload, work)


def _blocks(machine: PublishedMachine, workload: PublishedWorkload) -> int:
    """Return into how many blocks the operand that stays on the chip must be cut: a power of two."""
    blocks = 1
    while Fraction(workload.tokens * workload.head, blocks) >= machine.capacity_words:
        blocks *= 2
    return 4 * blocks if machine.has("small-tile") and workload.seq == "256K" else blocks


def _actions(workload: PublishedWorkload) -> Counter[str]:
    """Return the actions: a maximum, an exponential of a difference, a sum and a division for each score."""
    points = tiles_of(workload) * PES * PES
    return Counter(
        {
            "mac": points * 2 * workload.head,
            "max": points,
            "exp": points,
            "add": points * 2,
            "divide": points,
        }
    )


def _vector_pj(name: str, workload: PublishedWorkload) -> float:
    return fitted[name].vector_slot_pj * tiles_of(workload) * 4 * PES + fitted[name].column_pj * columns_of(workload)
