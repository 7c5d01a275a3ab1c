"""The matrix products beside attention: Q, K, V, Z and the two of the feed-forward network."""

from dataclasses import dataclass
from fractions import Fraction

from einsum_cascade.reproduction.fused import largest_divisor
from einsum_cascade.reproduction.machine import PublishedMachine, Work
from einsum_cascade.reproduction.published import PES
from einsum_cascade.reproduction.workloads import BATCH, PublishedWorkload

__all__ = ["LinearRow", "linear"]


@dataclass(frozen=True, slots=True)
class LinearRow:
    """A row of the evaluation's table of linear layers.

    Parameters
    ----------
    capacity_mib, model, seq
        Which row: the machine by its buffer.
    traffic_bytes, latency_s, energy_pj
        Of one layer for the whole batch.

    """

    capacity_mib: int
    model: str
    seq: str
    traffic_bytes: float
    latency_s: float
    energy_pj: float


def linear(machine: PublishedMachine, workload: PublishedWorkload) -> LinearRow:
    """Evaluate the linear layers of a workload."""
    total = Work((), 0, 0, {}, 0, 0, 0, 0.0)
    for n, k in workload.products:
        total = _plus(total, _product(machine, BATCH * workload.tokens, n, k))
    word_bytes = machine.architecture.word_bytes
    traffic = float(sum(words for _, words in total.phases) * word_bytes)
    seconds = machine.seconds(total.phases)
    capacity = machine.capacity_bytes // (1 << 20)
    return LinearRow(capacity, workload.model.name, workload.seq, traffic, seconds, machine.energy_pj(total))


def _product(machine: PublishedMachine, m: int, n: int, k: int) -> Work:
    """Return the work of one product of (M, K) by (K, N): output tiles of 256 by 256, weights kept if they fit."""
    macs = m * n * k
    refills = _refills(machine, m, n, k)
    tiles = Fraction(macs, PES * PES)
    return Work(
        phases=((tiles, k * m + m * n + k * n * refills),),
        busy_2d=tiles,
        busy_1d=0,
        actions={"mac": macs},
        rows_read=2 * tiles,
        rows_written=Fraction(k * m + k * n * refills, PES),
        steps_2d=tiles,
        vector_pj=0.0,
    )


def _refills(machine: PublishedMachine, m: int, n: int, k: int) -> int:
    """Return how often the weights are filled."""
    capacity, blocks = machine.capacity_words, m // PES
    if k * (n + PES) <= capacity:
        return 1
    return blocks // largest_divisor(blocks, capacity // (PES * k) - 1)


def _plus(first: Work, second: Work) -> Work:
    return Work(
        first.phases + second.phases,
        first.busy_2d + second.busy_2d,
        0,
        {name: first.actions.get(name, 0) + count for name, count in second.actions.items()},
        first.rows_read + second.rows_read,
        first.rows_written + second.rows_written,
        first.steps_2d + second.steps_2d,
        0.0,
    )
