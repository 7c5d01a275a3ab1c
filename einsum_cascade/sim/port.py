"""The memory behind the array's port, beat by beat: when it takes an address or data, and when it sends data.

It answers one burst after the other. What it does in a cycle depends on the cycles before, so that a time that is
returned is never corrected later; nothing here counts cycles one by one. Times are cycles from the start of the run, in
which something is on the bus.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["MemoryModel", "ReadChannel", "WriteChannel", "since"]

_QUEUE = 2
"""Addresses, and beats that are written, that memory takes before it is at work on them; beats that it reads ahead."""


@dataclass(frozen=True, slots=True)
class MemoryModel:
    """The memory behind the array's port.

    Parameters
    ----------
    latency_cycles
        From the address of a read to its first beat, beyond the least.
    bytes_per_cycle
        Of each direction. None: a beat a cycle, which is the most.

    Raises
    ------
    ValueError
        A latency is below 0, or a bandwidth not above it.

    """

    latency_cycles: int = 0
    bytes_per_cycle: int | Fraction | None = None

    def __post_init__(self) -> None:
        """Check both."""
        if self.latency_cycles < 0:
            raise ValueError(f"latency_cycles of a memory must be at least 0, not {self.latency_cycles!r}")
        if self.bytes_per_cycle is not None and not 0 < self.bytes_per_cycle < math.inf:
            raise ValueError(f"bytes_per_cycle of a memory must be a number above 0, not {self.bytes_per_cycle!r}")

    def beat_cycles(self, beat_bytes: int) -> Fraction:
        """Return the cycles from a beat to the next one at the earliest.

        Examples
        --------
        >>> MemoryModel(bytes_per_cycle=3).beat_cycles(8)
        Fraction(8, 3)

        """
        if self.bytes_per_cycle is None:
            return Fraction(1)
        return max(Fraction(1), beat_bytes / Fraction(self.bytes_per_cycle))


def since(now: int, cycles: Iterable[int]) -> tuple[int, ...]:
    """Return cycles from one on; those that are past are alike."""
    return tuple(max(0, cycle - now) for cycle in cycles)


class _Pace:
    """Lets beats pass that are not too close to the ones before; a time that is not used is not made up for."""

    def __init__(self, memory: MemoryModel, beat_bytes: int) -> None:
        cycles = memory.beat_cycles(beat_bytes)
        self.is_slow = cycles > 1
        # In parts of a cycle, so that all is whole numbers.
        self.parts, self.cost = cycles.denominator, cycles.numerator
        self.due = 0

    def pass_beats(self, cycle: int, beats: int) -> int:
        """Return the cycle of the last of as many beats, if the first comes at a cycle or after it."""
        last = max(self.due, cycle * self.parts) + (beats - 1) * self.cost
        self.due = last + self.cost
        return -(-last // self.parts)

    def state(self, now: int) -> int:
        return max(0, self.due - now * self.parts)

    def shift(self, cycles: int) -> None:
        self.due += cycles * self.parts


class ReadChannel:
    """Reads bursts in the order of their addresses.

    Parameters
    ----------
    memory
        Its latency and its bandwidth.
    beat_bytes
        Bytes of a beat.

    """

    def __init__(self, memory: MemoryModel, beat_bytes: int) -> None:
        """Begin with nothing to do."""
        self.latency, self.pace = memory.latency_cycles, _Pace(memory, beat_bytes)
        # When work on the last bursts began, when it can go on, and when the last two beats were on the bus.
        self.begun = deque([0] * _QUEUE, _QUEUE)
        self.free = 0
        self.beats = deque([0] * _QUEUE, _QUEUE)

    def read(self, asked: int, beats: int) -> tuple[int, int]:
        """Return when memory takes an address that it is asked for, and when the last beat arrives."""
        # Addresses that wait out their latency are kept elsewhere, so that any number of them is taken.
        taken = asked if self.latency else max(asked, self.begun[0] + 1)
        begins = max(taken + 1 + self.latency, self.free)
        self.begun.append(begins)
        if self.pace.is_slow:
            self.free = self.pace.pass_beats(begins, beats)
            last = self.free + 1
            self.beats.extend((last - 1, last))
            return taken, last
        last = max(begins, self.beats[-1]) + beats
        # Memory goes on to the next burst when it has room for the last beat of this one: two beats before that.
        before = [*self.beats, *range(max(last - beats, last - 3) + 1, last + 1)]
        self.free = max(begins, before[-1 - _QUEUE])
        self.beats.extend(before[-_QUEUE:])
        return taken, last

    def state(self, now: int) -> tuple[object, ...]:
        """Return all that the future depends on, relative to a cycle."""
        return since(now, (*self.begun, self.free, *self.beats)), self.pace.state(now)

    def shift(self, cycles: int) -> None:
        """Go on as many cycles later."""
        for stored in (self.begun, self.beats):
            stored.extend([each + cycles for each in stored])
        self.free += cycles
        self.pace.shift(cycles)


class WriteChannel:
    """Writes bursts in the order of their addresses.

    Parameters
    ----------
    memory
        Its bandwidth; there is no latency.
    beat_bytes
        Bytes of a beat.

    """

    def __init__(self, memory: MemoryModel, beat_bytes: int) -> None:
        """Begin with nothing to do."""
        self.pace = _Pace(memory, beat_bytes)
        self.begun, self.taken = deque([0] * _QUEUE, _QUEUE), deque([0] * _QUEUE, _QUEUE)
        self.address = self.beat = self.done = 0

    def take_address(self, asked: int) -> int:
        """Return when memory takes the address of the next burst."""
        self.address = max(asked, self.address + 1, self.begun[0] + 1)
        self.begun.append(max(self.address + 1, self.done))
        return self.address

    def take_beat(self, asked: int) -> int:
        """Return when memory takes the next beat of the burst whose address it took last."""
        self.beat = max(asked, self.beat + 1, self.taken[0] + 1)
        taken = max(self.beat + 1, self.begun[-1], self.done)
        self.taken.append(taken)
        self.done = self.pace.pass_beats(taken, 1) if self.pace.is_slow else taken
        return self.beat

    @property
    def answered(self) -> int:
        """When all bursts whose beats were taken have been acknowledged."""
        return self.done + 1

    def state(self, now: int) -> tuple[object, ...]:
        """Return all that the future depends on, relative to a cycle."""
        times = since(now, (*self.begun, *self.taken, self.address, self.beat, self.done))
        return times, self.pace.state(now)

    def shift(self, cycles: int) -> None:
        """Go on as many cycles later."""
        for stored in (self.begun, self.taken):
            stored.extend([each + cycles for each in stored])
        self.address += cycles
        self.beat += cycles
        self.done += cycles
        self.pace.shift(cycles)
