"""When tiles arrive in the buffer and in the query files, and when results have left, on a memory of a given speed.

Reads share one channel and are served in the order in which they are asked for, queries first where both are asked for
in the same cycle; results have a channel of their own. A transfer takes a beat a cycle at the most. Times are cycles
from the start of the run. Divisions are pipelined, so that their latency is left out.
"""

from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from einsum_cascade.program.ir import Program

__all__ = ["Drain", "Loads", "MemoryModel", "Stream"]

type Stream = Literal["keys", "queries"]


@dataclass(frozen=True, slots=True)
class MemoryModel:
    """The memory behind the array's port.

    Parameters
    ----------
    latency_cycles
        From asking for data, or sending it, to the answer.
    bytes_per_cycle
        Of each direction. None: memory always keeps up, which means that operands are there when they are wanted, and
        that results have left when they are whole.

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
        if self.bytes_per_cycle is not None and self.bytes_per_cycle <= 0:
            raise ValueError(f"bytes_per_cycle of a memory must be above 0, not {self.bytes_per_cycle!r}")

    def cycles_of(self, beats: int, beat_bytes: int) -> int:
        """Return the cycles that a transfer takes of its channel."""
        if self.bytes_per_cycle is None:
            return 0
        return max(beats, int(-(-beats * beat_bytes // self.bytes_per_cycle)))


class Loads:
    """Tiles of keys and values, and tiles of queries, each in its order.

    Parameters
    ----------
    program, memory
        What is loaded, and from where.

    """

    def __init__(self, program: Program, memory: MemoryModel) -> None:
        """Begin with everything empty, at cycle 0."""
        self.program, self.memory = program, memory
        self.channel_free = self.busy_cycles = 0
        per_head = sum(len(program.key_sequence(tile)) for tile in range(program.query_tiles))
        heads = program.key_heads * program.group
        keys = program.key_heads * program.key_tiles if program.is_resident else heads * per_head
        self.total: dict[Stream, int] = {"keys": keys, "queries": heads * program.query_tiles}
        self.places: dict[Stream, int] = {"keys": program.slots, "queries": 2}
        # The next to be loaded, when those arrive that nobody waited for so far, and how many are free since when.
        self.next: dict[Stream, int] = {"keys": 0, "queries": 0}
        self.arrivals: dict[Stream, deque[tuple[int, int]]] = {"keys": deque(), "queries": deque()}
        self.released: dict[Stream, deque[tuple[int, int]]] = {"keys": deque(), "queries": deque()}
        # Where the keys that are loaded next are used: in which tile of queries, and at which place of its keys.
        self.user, self.place = 0, 0

    def release(self, stream: Stream, count: int, cycle: int) -> None:
        """Give the places of the first `count` tiles back."""
        if self.memory.bytes_per_cycle is not None:
            self.released[stream].append((count, cycle))

    def arrival(self, stream: Stream, number: int) -> int:
        """Return when a tile is there; 0 if somebody has waited for it before."""
        if self.memory.bytes_per_cycle is None:
            return 0
        while self.next[stream] <= number:
            self._load_next(stream)
        own, found = self.arrivals[stream], 0
        while own and own[0][0] <= number:
            found = own.popleft()[1]
        return found

    def state(self, now: int, tile: int, query: int) -> tuple[object, ...]:
        """Return all that the future depends on, relative to a cycle and to the tiles that start in it.

        Parameters
        ----------
        now
            The cycle.
        tile, query
            Number of the tile, and of the tile of queries.

        """
        if self.memory.bytes_per_cycle is None:
            return ()
        found: list[object] = [self.channel_free - now]
        for stream in _STREAMS:
            base = self._base(stream, tile, query)
            found.append(tuple((number - base, cycle - now) for number, cycle in self.arrivals[stream] if cycle > now))
            # Keys that stay wait for the end of a head; until then, nothing depends on how far they are.
            if stream == "queries" or not self.program.is_resident or self._asked(stream) is not None:
                asked = tuple((count - base, cycle - now) for count, cycle in self.released[stream])
                found += [self.next[stream] - base, asked]
        return tuple(found)

    def shift(self, cycles: int, tiles: int, queries: int) -> None:
        """Go on as many cycles, tiles and tiles of queries later."""
        self.channel_free += cycles
        for stream in _STREAMS:
            by = self._base(stream, tiles, queries)
            self.next[stream] += by
            for stored in (self.arrivals, self.released):
                stored[stream] = deque((number + by, cycle + cycles) for number, cycle in stored[stream])
        if not self.program.is_resident:
            self.user += queries

    def _base(self, stream: Stream, tiles: int, queries: int) -> int:
        """Return by how much the numbers of a stream grow with tiles and tiles of queries."""
        return queries if stream == "queries" else 0 if self.program.is_resident else tiles

    def _load_next(self, wanted: Stream) -> None:
        """Load what was asked for first."""
        asked: dict[Stream, int] = {}
        for stream in _STREAMS:
            cycle = self._asked(stream)
            if cycle is not None:
                asked[stream] = cycle
        assert wanted in asked, f"{wanted} wait for a place that only they can free; the checker should have refused it"
        stream = min(asked, key=lambda each: asked[each])
        cycles = self.memory.cycles_of(self._beats(stream), self.program.shape.beat_bytes)
        arrival = max(self.channel_free, asked[stream] + self.memory.latency_cycles) + cycles
        self.channel_free = arrival
        self.busy_cycles += cycles
        self.arrivals[stream].append((self.next[stream], arrival))
        self.next[stream] += 1

    def _asked(self, stream: Stream) -> int | None:
        """Return when the next tile is asked for; None if that is not known yet, or there is none."""
        needed = self.next[stream] - self.places[stream] + 1
        if self.next[stream] >= self.total[stream]:
            return None
        released = self.released[stream]
        while released and released[0][0] < needed:
            released.popleft()
        return 0 if needed <= 0 else released[0][1] if released else None

    def _beats(self, stream: Stream) -> int:
        program, shape = self.program, self.program.shape
        if stream == "queries":
            first = self.next[stream] % program.query_tiles * shape.columns
            return min(shape.columns, program.queries - first) * program.key_beats
        first = self._next_key_tile() * shape.rows
        return min(shape.rows, program.keys - first) * program.slot_beats

    def _next_key_tile(self) -> int:
        program = self.program
        if program.is_resident:
            return self.next["keys"] % program.key_tiles
        own = program.key_sequence(self.user % program.query_tiles)
        found = own[self.place]
        self.place += 1
        if self.place == len(own):
            self.user, self.place = self.user + 1, 0
        return found


_STREAMS: tuple[Stream, ...] = ("queries", "keys")


class Drain:
    """Results, one after the other.

    Parameters
    ----------
    program, memory
        What leaves, and to where.

    """

    def __init__(self, program: Program, memory: MemoryModel) -> None:
        """Begin with nothing to do."""
        self.program, self.memory = program, memory
        self.free = self.busy_cycles = self.last = 0
        self.gone: deque[tuple[int, int]] = deque()

    def take(self, result: int, queries: int, cycle: int) -> None:
        """Let results leave that are whole at a cycle."""
        shape, memory = self.program.shape, self.memory
        beats = -(-queries // shape.beat_words)
        sending = self.program.output_steps * memory.cycles_of(beats, shape.beat_bytes)
        is_paced = self.program.is_divided and memory.bytes_per_cycle is not None
        dividing = self.program.output_steps * (shape.columns // shape.dividers) if is_paced else 0
        self.free = max(self.free, cycle) + max(sending, dividing)
        self.busy_cycles += sending
        self.last = self.free + (0 if memory.bytes_per_cycle is None else memory.latency_cycles)
        self.gone.append((result, self.last))

    def departure(self, result: int) -> int:
        """Return when results have left; 0 if somebody has waited for them before."""
        found = 0
        while self.gone and self.gone[0][0] <= result:
            found = self.gone.popleft()[1]
        return found

    def state(self, now: int, result: int) -> tuple[object, ...]:
        """Return all that the future depends on, relative to a cycle and to the results that start in it."""
        pending = tuple((number - result, cycle - now) for number, cycle in self.gone if cycle > now)
        return max(0, self.free - now), pending

    def shift(self, cycles: int, results: int) -> None:
        """Go on as many cycles and results later."""
        self.free += cycles
        self.last += cycles
        self.gone = deque((number + results, cycle + cycles) for number, cycle in self.gone)
