"""When results have left: the drain walks over their rows, divides, and writes a burst for each row.

A row is a word of all columns. Results that leave as operands are walked over column by column instead, and a burst is
a beat of words of one column. Times are cycles from the start of the run.
"""

from collections import deque
from collections.abc import Iterator

from einsum_cascade.array.program import Program
from einsum_cascade.sim.port import MemoryModel, WriteChannel, since

__all__ = ["DrainModel"]

_TAKEN_CYCLES = 4
"""From the corner by way of its register, the feeders' two and the count of results to the drain."""

_QUOTIENT_CYCLES = 17
"""From the address of a word to its quotient: two to read it, fifteen to divide."""

_QUEUE_CYCLES = 2
"""From an address or a beat to memory's port, by way of a queue."""

_WAITING_ROWS = 4
"""Rows that may wait for memory, beside those that are being divided."""


class DrainModel:
    """Results, one after the other.

    Parameters
    ----------
    program
        What leaves.
    memory
        To where. None: results have left as soon as they are whole.

    """

    def __init__(self, program: Program, memory: MemoryModel | None) -> None:
        """Begin with nothing to do."""
        shape = program.shape
        self.shape, self.is_ideal = shape, memory is None
        self.channel = WriteChannel(MemoryModel() if memory is None else memory, shape.beat_bytes)
        self.groups = shape.columns // shape.dividers
        self.most_beats, per_beat = -(-shape.columns // shape.beat_words), shape.beat_words // shape.dividers
        # The group of columns that completes a beat.
        self.ends = [min((beat + 1) * per_beat, self.groups) - 1 for beat in range(self.most_beats)]
        rows = _WAITING_ROWS + -(-_QUOTIENT_CYCLES * shape.dividers // shape.columns)
        # When the last beats, and the last addresses, went to memory: so many may wait.
        room = rows * self.most_beats
        self.sent, self.addressed = deque([0] * room, room), deque([0] * room, room)
        self.free = self.last = self.beats = 0
        self.gone: deque[tuple[int, int]] = deque()

    def take(
        self, result: int, words: int, columns: int, cycle: int, first_operand: int | None = None
    ) -> tuple[int, int]:
        """Let results leave, and return when they are out of the lanes, and when memory has acknowledged them.

        Parameters
        ----------
        result
            Their number.
        words, columns
            How many rows, and of how many columns.
        cycle
            In which the last instruction that writes them leaves the corner.
        first_operand
            Of results that leave as operands, which of a row their first word is; None of others.

        """
        whole = cycle + self.shape.depth_cycles + self.shape.stages
        if self.is_ideal:
            self.last = whole
            self.gone.append((result, whole))
            return whole, whole
        begin = max(self.free, whole + _TAKEN_CYCLES) + 1
        if first_operand is None:
            row_beats = -(-columns // self.shape.beat_words)
            left = self.free = self._walk(begin, words, self.ends[:row_beats])
            self.beats += words * row_beats
        else:
            left = self._walk_operands(begin, words, columns, first_operand % self.shape.beat_operands)
            self.free = left + self.shape.dividers
        self.last = self.channel.answered + 1
        self.gone.append((result, left))
        return left, self.last

    def _walk(self, begin: int, words: int, ends: list[int]) -> int:
        """Return when all rows have been read, of which the first may begin at a cycle."""
        channel, sent, addressed = self.channel, self.sent, self.addressed
        for _ in range(words):
            # There must be room for a full row.
            begin = max(begin, sent[self.most_beats - 1] + 1, addressed[0] + 1)
            addressed.append(channel.take_address(begin + _QUEUE_CYCLES))
            for end in ends:
                sent.append(channel.take_beat(begin + end + _QUOTIENT_CYCLES + _QUEUE_CYCLES))
            begin += self.groups
        return begin

    def _walk_operands(self, begin: int, words: int, columns: int, place: int) -> int:
        """Return when all words have been read, of which the first goes to a place of a beat."""
        channel, dividers = self.channel, self.shape.dividers
        for first in range(0, columns, dividers):
            own = min(dividers, columns - first)
            for count in _split(words, place, self.shape.beat_operands):
                asked = begin = max(begin, self.sent[dividers - 1] + 1, self.addressed[dividers - 1] + 1)
                # The last word waits until as many beats of the words before it have left.
                begin += max(count, dividers)
                whole = begin + _QUOTIENT_CYCLES
                for column in range(own):
                    self.addressed.append(channel.take_address(asked + column + _QUEUE_CYCLES))
                    self.sent.append(channel.take_beat(whole + column + _QUEUE_CYCLES))
                self.beats += own
        return begin

    def departure(self, result: int) -> int:
        """Return when results have left the lanes; 0 if somebody has waited for them before."""
        found = 0
        while self.gone and self.gone[0][0] <= result:
            found = self.gone.popleft()[1]
        return found

    def state(self, now: int, result: int) -> tuple[object, ...]:
        """Return all that the future depends on, relative to a cycle and to the results that start in it."""
        pending = tuple((number - result, cycle - now) for number, cycle in self.gone if cycle > now)
        return since(now, (self.free, *self.sent, *self.addressed)), pending, self.channel.state(now)

    def shift(self, cycles: int, results: int) -> None:
        """Go on as many cycles and results later."""
        self.free += cycles
        self.last += cycles
        for stored in (self.sent, self.addressed):
            stored.extend([each + cycles for each in stored])
        self.channel.shift(cycles)
        self.gone = deque((number + results, cycle + cycles) for number, cycle in self.gone)


def _split(words: int, place: int, most: int) -> Iterator[int]:
    """Yield the words of each beat of a row that begins at a place of the first one."""
    while words:
        count = min(words, most - place)
        yield count
        words, place = words - count, 0
