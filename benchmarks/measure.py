"""How the benchmarks measure: medians of alternating runs, in one process tree on one machine."""

import statistics
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Entry", "alternate", "median_seconds", "peak_bytes"]

RUNS = 5


@dataclass(frozen=True)
class Entry:
    """One figure with its limit.

    Parameters
    ----------
    name
        What was measured.
    ours, theirs
        Medians; `theirs` is None where the limit is absolute.
    unit
        Of both.
    value
        What the limit is about: the ratio, or ours.
    limit
        The greatest value allowed.

    """

    name: str
    ours: float
    theirs: float | None
    unit: str
    value: float
    limit: float

    def as_json(self) -> dict[str, Any]:
        """Return the entry as plain values."""
        return asdict(self)


def median_seconds(action: Callable[[], Any], runs: int = RUNS) -> float:
    """Return the median duration of an action, after one that does not count."""
    action()
    return statistics.median(_timed(action) for _ in range(runs))


def alternate(name: str, ours: Callable[[], Any], theirs: Callable[[], Any], limit: float, runs: int = RUNS) -> Entry:
    """Time two actions in turn and return the entry of their ratio."""
    ours(), theirs()
    pairs = [(_timed(ours), _timed(theirs)) for _ in range(runs)]
    first, second = (statistics.median(values) for values in zip(*pairs, strict=True))
    return Entry(name, first, second, "s", first / second, limit)


def peak_bytes(action: Callable[[], Any]) -> int:
    """Return the most memory that an action holds, arrays included."""
    tracemalloc.start()
    action()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def _timed(action: Callable[[], Any]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start
