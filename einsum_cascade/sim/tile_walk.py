"""The tiles of a program one after another, by their numbers, and how long the tiles of queries to come are alike."""

from dataclasses import dataclass

from einsum_cascade.program.ir import Program

__all__ = ["Job", "TileWalk"]


@dataclass(frozen=True, slots=True)
class Job:
    """A tile of the program.

    Parameters
    ----------
    number, load, query, result
        Its number, and those of the keys and values it needs, of its tile of queries, of its results.
    words, queries
        How many rows its results have, and of how many columns.
    starts_query, ends_query, captures, starts_result, ends_result
        As of `program.ir.Tile`.
    released
        How many tiles of keys and values are no longer needed after it; None if nobody is told.

    """

    number: int
    load: int
    query: int
    result: int
    words: int
    queries: int
    starts_query: bool
    ends_query: bool
    captures: bool
    starts_result: bool
    ends_result: bool
    released: int | None

    def moved(self, tiles: int, loads: int, queries: int, results: int) -> "Job":
        """Return the same tile later."""
        released = None if self.released is None else self.released + loads
        moved = self.number + tiles, self.load + loads, self.query + queries, self.result + results
        rest = self.starts_query, self.ends_query, self.captures, self.starts_result, self.ends_result
        return Job(*moved, self.words, self.queries, *rest, released)


class TileWalk:
    """Where the loops of a program are, and how long the tiles of queries to come are alike.

    Parameters
    ----------
    program
        The program.
    is_alike
        Whether all rows of a tensor are split into the same bursts.

    """

    def __init__(self, program: Program, *, is_alike: bool) -> None:
        """Begin with the first tile."""
        self.program, self.is_alike = program, is_alike
        self.query = self.place = self.number = self.result = 0
        self.run_start = self.run_end = self.run_first_tile = 0
        self.per_head = program.query_tiles * program.group
        self.total = program.key_heads * self.per_head
        self.margin = 0

    def take(self) -> Job | None:
        """Return the current tile, and go on to the next."""
        if self.query == self.total:
            return None
        if self.place == 0 and self.query == self.run_end:
            self._begin_run()
        job = self._job()
        self.number += 1
        self.result += job.ends_result
        self.place += 1
        if job.ends_query:
            self.query, self.place = self.query + 1, 0
        return job

    def jump(self, queries: int, tiles: int, results: int) -> None:
        """Go on as many tiles later."""
        self.query += queries
        self.number += tiles
        self.result += results

    def _job(self) -> Job:
        program = self.program
        query_tile = self.query % program.query_tiles
        keys = program.key_range(query_tile)
        pass_number, place = divmod(self.place, len(keys))
        is_last, starts, ends = pass_number == program.passes - 1, place == 0, place == len(keys) - 1
        base = self.query // self.per_head * program.key_tiles
        load, released = self.number, self.number + 1
        if program.is_resident:
            load = base + keys[place]
            released = None
            if is_last and (self.query + 1) % self.per_head == 0:
                released = base + program.key_tiles if ends else load + 1
        has_all = program.has_tile_results
        kept = min(program.shape.columns, program.queries - query_tile * program.shape.columns)
        words = program.output_steps
        if has_all:
            words = min(program.shape.rows, program.keys - keys[place] * program.shape.rows)
        return Job(
            self.number,
            load,
            self.query,
            self.result,
            words,
            kept,
            starts and pass_number == 0,
            ends and is_last,
            ends and pass_number == program.captured_pass,
            is_last and (starts or has_all),
            is_last and (ends or has_all),
            released,
        )

    def _begin_run(self) -> None:
        """Find out how long tiles of queries are alike from here on."""
        kind = self._kind(self.query)
        self.run_start, self.run_first_tile = self.query, self.number
        self.run_end = next((q for q in range(self.query + 1, self.total) if self._kind(q) != kind), self.total)
        # Loads are so many tiles of queries ahead: near the end of a run, they are those of what comes after it.
        keys = len(self.program.key_sequence(self.query % self.program.query_tiles))
        ahead = 0 if self.program.is_resident else -(-self.program.slots // keys)
        self.margin = 4 + self.program.stages + ahead

    def _kind(self, query: int) -> tuple[object, ...]:
        program = self.program
        tile = query % program.query_tiles
        keys = program.key_range(tile)
        is_ragged = (tile + 1) * program.shape.columns > program.queries
        # Rows that are split at pages lie alike within a head only, where tiles are as far apart as the ones before.
        place = () if self.is_alike else (query // program.query_tiles, program.key_range(tile + 1)[0] - keys[0])
        head = query // self.per_head if program.is_resident else 0
        is_last = program.is_resident and (query + 1) % self.per_head == 0
        return len(keys), keys[-1] == program.key_tiles - 1, is_ragged, head, is_last, place
