"""How the memory of a simulation behaves."""

from dataclasses import dataclass
from fractions import Fraction

from einsum_cascade.array.program import Program

__all__ = ["MemoryTiming", "limit_of"]


@dataclass(frozen=True, slots=True)
class MemoryTiming:
    """How memory behaves.

    Parameters
    ----------
    latency_cycles
        From an address to its first beat, beyond the least.
    bytes_per_cycle
        Of data that is read, and of data that is written; 0 for a beat a cycle. Beats are that far apart on average;
        cycles without data are not made up for.
    backpressure
        Seed of pauses on all channels; None for none.
    failing_read, failing_write
        A beat that is read or written, counted from 0, that is answered with an error; None for none.
    dropped_read, marked_read, flipped_read
        A beat that is read, counted from 0: that does not come, whose mark as the last one of its burst is wrong, or
        whose sign of the first operand (bit 15) is; None for none.

    """

    latency_cycles: int = 0
    bytes_per_cycle: float = 0.0
    backpressure: int | None = None
    failing_read: int | None = None
    failing_write: int | None = None
    dropped_read: int | None = None
    marked_read: int | None = None
    flipped_read: int | None = None

    @property
    def rate(self) -> Fraction | None:
        """Bytes a cycle, as the number is written; None for a beat a cycle.

        Examples
        --------
        >>> MemoryTiming(bytes_per_cycle=2.4).rate
        Fraction(12, 5)

        """
        return Fraction(str(self.bytes_per_cycle)) if self.bytes_per_cycle else None


_MARGIN, _PAUSES_MARGIN = 2, 8
"""Times the model's cycles after which the bench gives up: where memory pauses at random half of the time, the model
knows less."""


def limit_of(program: Program, total_cycles: int, memory: MemoryTiming) -> int:
    """Return after how many cycles a run cannot be right; the array's own watchdog has ended one that stands still.

    Parameters
    ----------
    program
        What runs.
    total_cycles
        What the model takes for it, from start to done.
    memory
        How memory behaves.

    """
    margin = _MARGIN if memory.backpressure is None else _PAUSES_MARGIN
    return margin * total_cycles + 4 * program.watchdog_cycles
