"""When tiles arrive in the buffer and in the query files: rows are asked for one by one, in bursts within pages.

Keys with their values, and queries, are two streams of rows, each as far ahead as it has places. The reader takes the
next row when the last burst of the one before is on its way, queries first. Times are cycles from the start of the run.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from einsum_cascade.program.ir import Program
from einsum_cascade.sim.memory import MemoryModel, ReadChannel, since
from einsum_cascade.sim.page_split import PageSplit, TileRows

__all__ = ["Loads", "Stream"]

type Stream = Literal["keys", "queries"]

_OUTSTANDING = 16
"""Bursts that may be on their way at a time."""

_MARGIN_CYCLES = 9
"""From the corner until a place is free, beside the rows or columns that read it: the array's own margin."""


@dataclass
class _Rows:
    """A stream: where in its tile it is, when it goes on, the tile's rows, what has arrived, what has been released."""

    total: int
    places: int
    number: int = 0
    row: int = 0
    since: int = 1
    rows: TileRows = field(default_factory=TileRows)
    arrivals: deque[tuple[int, int]] = field(default_factory=deque[tuple[int, int]])
    released: deque[tuple[int, int]] = field(default_factory=deque[tuple[int, int]])

    def valid(self) -> int | None:
        """Return from when on the next row may be taken; None if that is not known yet, or there is none."""
        if self.number >= self.total:
            return None
        if self.row:
            return self.since
        needed = self.number - self.places + 1
        if needed <= 0:
            return self.since + 1
        released = self.released
        while released and released[0][0] < needed:
            released.popleft()
        return max(self.since, released[0][1]) + 1 if released else None


class Loads:
    """Tiles of keys and values, and tiles of queries, each in its order.

    Parameters
    ----------
    program
        What is loaded.
    memory
        From where. None: operands are there when they are wanted.

    """

    def __init__(self, program: Program, memory: MemoryModel | None) -> None:
        """Begin with everything empty, at cycle 0."""
        self.program, self.is_ideal = program, memory is None
        self.channel = ReadChannel(MemoryModel() if memory is None else memory, program.shape.beat_bytes)
        per_head = sum(len(program.key_sequence(tile)) for tile in range(program.query_tiles))
        heads = program.key_heads * program.group
        keys = program.key_heads * program.key_tiles if program.is_resident else heads * per_head
        self.streams: dict[Stream, _Rows] = {
            "queries": _Rows(heads * program.query_tiles, 2),
            "keys": _Rows(keys, program.slots),
        }
        # When the reader can take the next row, and when the last bursts had arrived.
        self.free = self.beats = 0
        self.ends = deque([0] * _OUTSTANDING, _OUTSTANDING)
        # Where the keys that are loaded next are used: in which tile of queries, and at which place of its keys.
        self.user, self.place = 0, 0
        self.split = PageSplit(program)
        self._begin_tiles()

    @property
    def is_alike(self) -> bool:
        """Whether all rows of a tensor are split into the same bursts."""
        return self.split.is_alike

    def release(self, stream: Stream, count: int, cycle: int) -> None:
        """Give the places of the first `count` tiles back: their last instruction leaves the corner in a cycle."""
        shape = self.program.shape
        skew = shape.columns if stream == "queries" else shape.stages * shape.rows
        if not self.is_ideal:
            self.streams[stream].released.append((count, cycle + skew + _MARGIN_CYCLES))

    def arrival(self, stream: Stream, number: int) -> int:
        """Return when a tile is there; 0 if somebody has waited for it before."""
        if self.is_ideal:
            return 0
        own = self.streams[stream]
        while own.number <= number:
            self._read_row(self._next(stream))
        found = 0
        while own.arrivals and own.arrivals[0][0] <= number:
            found = own.arrivals.popleft()[1]
        return found

    def catch_up(self, now: int) -> None:
        """Take all rows that can be taken until a cycle."""
        while not self.is_ideal and (first := self._first()) is not None and first[0] <= now:
            self._read_row(first)

    def state(self, now: int, tile: int, query: int) -> tuple[object, ...]:
        """Return all that the future depends on, relative to a cycle and to the tiles that start in it.

        Parameters
        ----------
        now
            The cycle, caught up with.
        tile, query
            Number of the tile, and of the tile of queries.

        """
        if self.is_ideal:
            return ()
        found: list[object] = [since(now, (self.free, *self.ends)), self.channel.state(now)]
        for stream, own in self.streams.items():
            base = self._base(stream, tile, query)
            found.append(tuple((number - base, cycle - now) for number, cycle in own.arrivals if cycle > now))
            # Keys that stay wait for the end of a head; until then, nothing depends on how far they are.
            if stream == "queries" or not self.program.is_resident or own.valid() is not None:
                released = tuple((count - base, max(-1, cycle - now)) for count, cycle in own.released)
                found += [own.number - base, own.row, max(-1, own.since - now), released]
                if not self.is_alike:
                    found.append(own.rows.offsets)
        return tuple(found)

    def shift(self, cycles: int, tiles: int, queries: int) -> None:
        """Go on as many cycles, tiles and tiles of queries later."""
        self.free += cycles
        self.ends.extend([each + cycles for each in self.ends])
        self.channel.shift(cycles)
        for stream, own in self.streams.items():
            by = self._base(stream, tiles, queries)
            own.number += by
            own.since += cycles
            own.arrivals = deque((number + by, cycle + cycles) for number, cycle in own.arrivals)
            own.released = deque((number + by, cycle + cycles) for number, cycle in own.released)
        if not self.program.is_resident:
            self.user += queries
        self._begin_tiles()

    def _base(self, stream: Stream, tiles: int, queries: int) -> int:
        """Return by how much the numbers of a stream grow with tiles and tiles of queries."""
        return queries if stream == "queries" else 0 if self.program.is_resident else tiles

    def _first(self) -> tuple[int, Stream] | None:
        """Return when a row is taken, as far as is known, and of which stream."""
        found: tuple[int, Stream] | None = None
        for stream in _STREAMS:
            valid = self.streams[stream].valid()
            if valid is not None and (found is None or max(self.free, valid) < found[0]):
                found = max(self.free, valid), stream
        return found

    def _next(self, wanted: Stream) -> tuple[int, Stream]:
        found = self._first()
        assert found, f"{wanted} wait for a place that only they can free; the checker should have refused it"
        return found

    def _read_row(self, taken: tuple[int, Stream]) -> None:
        """Ask for the bursts of a row that is taken in a cycle, and go on to the next row."""
        cycle, stream = taken
        own, arrives = self.streams[stream], 0
        self.free = cycle
        for beats in own.rows.bursts[own.row]:
            # A burst needs the place of the one so many before it.
            self.free, arrives = self.channel.read(max(self.free, self.ends[0]) + 1, beats)
            self.ends.append(arrives)
            self.beats += beats
        own.row, own.since = own.row + 1, cycle + 1
        if own.row == len(own.rows.bursts):
            own.arrivals.append((own.number, arrives + 1))
            own.number, own.row = own.number + 1, 0
            if stream == "keys" and not self.program.is_resident:
                self._advance_user()
            self._begin_tile(stream)

    def _advance_user(self) -> None:
        self.place += 1
        if self.place == len(self.program.key_sequence(self.user % self.program.query_tiles)):
            self.user, self.place = self.user + 1, 0

    def _begin_tiles(self) -> None:
        for stream in _STREAMS:
            self._begin_tile(stream)

    def _begin_tile(self, stream: Stream) -> None:
        """Find out which rows the next tile of a stream has."""
        own = self.streams[stream]
        if own.number < own.total:
            queries = divmod(own.number, self.program.query_tiles)
            own.rows = self.split.queries(*queries) if stream == "queries" else self.split.keys(*self._key_tile())

    def _key_tile(self) -> tuple[int, int]:
        """Return the head of keys and the tile that is loaded next."""
        program = self.program
        if program.is_resident:
            return divmod(self.streams["keys"].number, program.key_tiles)
        head, tile = divmod(self.user, program.query_tiles)
        return head // program.group, program.key_sequence(tile)[self.place]


_STREAMS: tuple[Stream, ...] = ("queries", "keys")
