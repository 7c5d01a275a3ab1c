"""When tiles arrive in the buffer, the query files and the lanes: rows are read one by one, in bursts within pages.

Queries, running state, and keys with their values are three streams of rows, each as far ahead as it has places. The
reader takes the next row when the last burst of the one before is on its way, streams in this order. Times are cycles
from the start of the run.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from einsum_cascade.array.program import Program
from einsum_cascade.sim.page_split import PageSplit, TileRows
from einsum_cascade.sim.port import MemoryModel, ReadChannel, since
from einsum_cascade.sim.progress import Ordinals

__all__ = ["Loads", "Stream"]

type Stream = Literal["keys", "queries", "state"]

_OUTSTANDING = 16
"""Bursts that may be on their way at a time."""

_FAR = 64
"""Visits of query tiles; more than the drain and memory can have of them at a time."""

_KEY_MARGIN_CYCLES, _QUERY_MARGIN_CYCLES = 8, 9
"""From the corner until a place is free, beside the rows or columns that read it: the array's own margins."""


@dataclass
class _Rows:
    """A stream: where in its tile it is, when it goes on, the tile's rows, what has arrived, what has been released.

    The places of a tile are free row by row, `row_cycles` from one to the next; `released` has the first row's. Those
    of a tile count only once all those of the tiles before are free, from `whole` on.
    """

    total: int
    places: int
    row_cycles: int = 0
    last_row: int = 0
    number: int = 0
    row: int = 0
    since: int = 1
    rows: TileRows = field(default_factory=TileRows)
    arrivals: deque[tuple[int, int]] = field(default_factory=deque[tuple[int, int]])
    released: deque[tuple[int, int]] = field(default_factory=deque[tuple[int, int]])
    whole: int = 0

    def valid(self) -> int | None:
        """Return from when on the next row may be taken; None if that is not known yet, or there is none."""
        if self.number >= self.total or (free := self._free()) is None:
            return None
        return max(self.since, free) if self.row else max(self.since, free) + 1

    def _free(self) -> int | None:
        """Return when the place of the next row is free; None if that is not known yet."""
        needed, released = self.number - self.places + 1, self.released
        if needed <= 0:
            return 0
        while released and released[0][0] < needed:
            self.whole = released.popleft()[1] + self.last_row * self.row_cycles + 1
        # Keys of all rows come first, then values.
        line = self.row % self.rows.lines
        return max(self.whole, released[0][1] + line * self.row_cycles) if released else None


@dataclass
class _StateRows(_Rows):
    """The stream of running state, in which a visit waits for the results two before it and for what it goes on with.

    `visit` is the one that is read next; `released` counts results that have left, and `stored` states in memory.
    """

    visit: int = 0
    stored: deque[tuple[int, int]] = field(default_factory=deque[tuple[int, int]])

    def valid(self) -> int | None:
        """Return as of other streams."""
        if self.number >= self.total:
            return None
        if self.row:
            return self.since
        allowed = self.allowed()
        return None if allowed is None else max(self.since, allowed) + 1

    def allowed(self) -> int | None:
        """Return when the next visit may be read; None if that is not known yet."""
        left, stored = _since(self.released, self.visit - 1), _since(self.stored, self.number + 1)
        return None if left is None or stored is None else max(left, stored)

    def forget(self, now: int) -> None:
        """Forget what is past, but for the last of it."""
        for counts in (self.released, self.stored):
            while len(counts) > 1 and counts[1][1] <= now:
                counts.popleft()


def _since(counts: deque[tuple[int, int]], needed: int) -> int | None:
    """Return since when there are as many as needed; None if there are not yet."""
    if needed <= 0:
        return 0
    return next((cycle for count, cycle in counts if count >= needed), None)


class Loads:
    """Tiles of keys and values, tiles of queries, and running state, each in its order.

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
        self.resumed = _StateRows(program.visits.resumed_count if program.has_state else 0, 0)
        self.streams: dict[Stream, _Rows] = {
            "queries": _Rows(len(program.visits), 2),
            "state": self.resumed,
            "keys": _Rows(keys, program.slots, program.shape.stages, program.shape.rows - 1),
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
        after = shape.columns + _QUERY_MARGIN_CYCLES if stream == "queries" else shape.stages + _KEY_MARGIN_CYCLES
        if not self.is_ideal:
            self.streams[stream].released.append((count, cycle + after))

    def leave(self, results: int, left: int, stored: tuple[int, int] | None) -> None:
        """Give the place of the first results to running state: they are out of the lanes in a cycle.

        Parameters
        ----------
        results, left
            How many, and the cycle.
        stored
            If the last of them are running state: how many are, up to it, and when memory has acknowledged it.

        """
        if self.program.has_state:
            self.resumed.released.append((results, left))
        if stored is not None:
            self.resumed.stored.append(stored)

    def arrival(self, stream: Stream, number: int) -> int:
        """Return when a tile is there; 0 if somebody has waited for it before."""
        if self.is_ideal:
            return self._ideal_arrival(number) if stream == "state" else 0
        own = self.streams[stream]
        while own.number <= number:
            self._read_row(self._next(stream))
        found = 0
        while own.arrivals and own.arrivals[0][0] <= number:
            found = own.arrivals.popleft()[1]
        return found

    def _ideal_arrival(self, number: int) -> int:
        """Return when running state is whole, and its place free."""
        own, found = self.resumed, 0
        while own.number <= number:
            found = own.allowed()
            assert found is not None, (
                "running state is waited for that is not whole; the checker should have refused it"
            )
            own.number += 1
            self._begin_tile("state")
        return found

    def catch_up(self, now: int) -> None:
        """Take all rows that can be taken until a cycle."""
        while not self.is_ideal and (first := self._first()) is not None and first[0] <= now:
            self._read_row(first)

    def state(self, now: int, at: Ordinals) -> tuple[object, ...]:
        """Return all that the future depends on, relative to a cycle and to the tiles that start in it.

        Parameters
        ----------
        now
            The cycle, caught up with.
        at
            What was before.

        """
        resumed = self._resumed_state(now, at)
        if self.is_ideal:
            return resumed
        found: list[object] = [since(now, (self.free, *self.ends)), self.channel.state(now), resumed]
        for stream, own in self.streams.items():
            base = self._base(stream, at)
            found.append(tuple((number - base, cycle - now) for number, cycle in own.arrivals if cycle > now))
            # Keys that stay wait for the end of a block; until then, nothing depends on how far they are.
            if stream == "queries" or not self.program.is_resident or own.valid() is not None:
                found += [own.number - base, own.row, max(-1, own.since - now)]
                if not self.is_alike:
                    found.append(own.rows.offsets)
                if stream != "state":
                    past = -1 - own.last_row * own.row_cycles
                    found.append(tuple((count - base, max(past, cycle - now)) for count, cycle in own.released))
                    found.append(max(-1, own.whole - now))
        return tuple(found)

    def _resumed_state(self, now: int, at: Ordinals) -> tuple[object, ...]:
        """Return what the stream of running state depends on.

        What is far ahead is alike: visits go on in the next block at the earliest, and there are more states in memory
        than the drain is behind.
        """
        own = self.resumed
        if not own.total:
            return ()
        own.forget(now)
        return (
            own.number - at.resumed,
            min(own.visit - at.queries, _FAR),
            min(at.spilt - own.number, _FAR),
            tuple((count - at.results, max(-1, cycle - now)) for count, cycle in own.released),
            tuple((count - at.spilt, cycle - now) for count, cycle in own.stored if cycle > now),
        )

    def shift(self, cycles: int, by: Ordinals) -> None:
        """Go on later, after so many more tiles."""
        self.free += cycles
        self.ends.extend([each + cycles for each in self.ends])
        self.channel.shift(cycles)
        for stream, own in self.streams.items():
            more = self._base(stream, by)
            own.number += more
            own.since += cycles
            own.whole += cycles
            own.arrivals = deque((number + more, cycle + cycles) for number, cycle in own.arrivals)
            places = by.results if stream == "state" else more
            own.released = deque((number + places, cycle + cycles) for number, cycle in own.released)
        self.resumed.stored = deque((count + by.spilt, cycle + cycles) for count, cycle in self.resumed.stored)
        if not self.program.is_resident:
            self.user += by.queries
        self._begin_tiles()

    def _base(self, stream: Stream, at: Ordinals) -> int:
        """Return by how much the numbers of a stream grow with the tiles."""
        if stream == "state":
            return at.resumed
        return at.queries if stream == "queries" else 0 if self.program.is_resident else at.tiles

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
        if own.number >= own.total:
            return
        program = self.program
        match stream:
            case "queries":
                visit = program.visits[own.number]
                own.rows = self.split.queries(visit.head, visit.query_tile)
            case "state":
                self.resumed.visit = program.visits.resumed(own.number)
                own.rows = self.split.state(program.visits[self.resumed.visit].query_tile)
            case "keys":
                own.rows = self.split.keys(*self._key_tile())

    def _key_tile(self) -> tuple[int, int]:
        """Return the head of keys and the tile that is loaded next."""
        program = self.program
        if program.is_resident:
            return divmod(self.streams["keys"].number, program.key_tiles)
        head, tile = divmod(self.user, program.query_tiles)
        return head // program.group, program.key_sequence(tile)[self.place]


_STREAMS: tuple[Stream, ...] = ("queries", "state", "keys")
