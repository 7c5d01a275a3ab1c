"""What a run leaves of its times: the counters of the array, and what each resource waited for."""

from dataclasses import dataclass

from einsum_cascade.array.registers import WAITS

__all__ = ["CycleTrace", "ResourceTime"]


@dataclass(frozen=True, slots=True)
class ResourceTime:
    """What a resource did in the cycles of a run.

    Parameters
    ----------
    resource
        `array`, `vector row`, `reads` or `writes`.
    busy_cycles
        In which it worked.
    waiting
        Pairs of what it waited for and the cycles; with `busy_cycles`, all there are.

    """

    resource: str
    busy_cycles: int
    waiting: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class CycleTrace:
    """The times of a run, as the registers of the array count them.

    Parameters
    ----------
    cycles
        From the first instruction leaving the corner to the last lane having done the last.
    total_cycles
        From the start until all results have left.
    stalls_keys, stalls_queries, stalls_drain, stalls_state
        Cycles of `cycles` in which the corner waited for keys and values; else for queries; else for results to leave;
        else for running state to come back.
    matrix_busy, vector_busy
        Instructions that left the corner.
    read_cycles, write_cycles
        That the data takes memory at its bandwidth.

    """

    cycles: int
    total_cycles: int
    stalls_keys: int
    stalls_queries: int
    stalls_drain: int
    stalls_state: int
    matrix_busy: int
    vector_busy: int
    read_cycles: int
    write_cycles: int

    @property
    def matrix_utilisation(self) -> float:
        """The share of `cycles` in which the array has an instruction."""
        return self.matrix_busy / self.cycles

    @property
    def vector_utilisation(self) -> float:
        """The share of `cycles` in which the vector row has an instruction."""
        return self.vector_busy / self.cycles

    @property
    def stalls(self) -> dict[str, int]:
        """Cycles of `cycles` in which the corner stood still, by what it waited for."""
        return {what: getattr(self, f"stalls_{what}") for what in WAITS}

    @property
    def waits(self) -> tuple[ResourceTime, ...]:
        """What each resource waited for: array and vector row in `cycles`, memory in `total_cycles`."""
        stalls = (*self.stalls.items(),)
        stalled = sum(self.stalls.values())
        on_array = (
            ResourceTime(name, busy, (*stalls, ("schedule", self.cycles - stalled - busy)))
            for name, busy in (("array", self.matrix_busy), ("vector row", self.vector_busy))
        )
        on_memory = (
            ResourceTime(name, busy, (("array", self.total_cycles - busy),))
            for name, busy in (("reads", self.read_cycles), ("writes", self.write_cycles))
        )
        return *on_array, *on_memory
