"""The tiles of a program one after another, by their numbers, and how long the tiles of queries to come are alike."""

from dataclasses import dataclass, replace

from einsum_cascade.array.program import STATE_WORDS, Program
from einsum_cascade.sim.progress import Ordinals

__all__ = ["Job", "TileWalk"]


@dataclass(frozen=True, slots=True)
class Job:
    """A tile of the program.

    Parameters
    ----------
    at
        How many tiles, visits of tiles of queries, and so on are before it: their numbers.
    load
        The number of the keys and values it needs.
    words, queries
        How many rows its results have, and of how many columns.
    first_operand
        Which operand of a row its first word is; None if its results do not leave as operands.
    starts_query, ends_query, restores, spills, captures, starts_result, ends_result
        As of `array.program.Tile`.
    released
        How many tiles of keys and values are no longer needed after it; None if nobody is told.

    """

    at: Ordinals
    load: int
    words: int
    queries: int
    first_operand: int | None
    starts_query: bool
    ends_query: bool
    restores: bool
    spills: bool
    captures: bool
    starts_result: bool
    ends_result: bool
    released: int | None

    @property
    def number(self) -> int:
        """Its number."""
        return self.at.tiles

    @property
    def query(self) -> int:
        """The number of its visit."""
        return self.at.queries

    @property
    def result(self) -> int:
        """The number of its results."""
        return self.at.results

    def moved(self, by: Ordinals, loads: int) -> "Job":
        """Return the same tile later."""
        released = None if self.released is None else self.released + loads
        return replace(self, at=self.at.plus(by), load=self.load + loads, released=released)


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
        self.at, self.place = Ordinals(), 0
        self.run_start = self.run_end = self.run_first_tile = 0
        self.total = len(program.visits)
        self.margin = 0

    def take(self) -> Job | None:
        """Return the current tile, and go on to the next."""
        if self.at.queries == self.total:
            return None
        if self.place == 0 and self.at.queries == self.run_end:
            self._begin_run()
        job = self._job()
        self.place = 0 if job.ends_query else self.place + 1
        done = job.ends_query, job.ends_result, job.ends_query and job.restores, job.ends_query and job.spills
        self.at = self.at.plus(Ordinals(1, *done))
        return job

    def jump(self, by: Ordinals) -> None:
        """Go on as many tiles later."""
        self.at = self.at.plus(by)

    def _job(self) -> Job:
        program, visit = self.program, self.program.visits[self.at.queries]
        keys, query_tile = visit.keys, visit.query_tile
        pass_number, place = divmod(self.place, len(keys))
        is_last, starts, ends = pass_number == program.passes - 1, place == 0, place == len(keys) - 1
        load, released = self.at.tiles, self.at.tiles + 1
        if program.is_resident:
            base = visit.key_head * program.key_tiles
            load, released = base + keys[place], None
            if is_last and visit.ends_block:
                released = base + visit.block.stop if ends else load + 1
        has_all, spills = program.has_tile_results, program.has_state and visit.is_continued
        words = program.output_steps + STATE_WORDS if spills else program.result_rows(keys[place])
        return Job(
            at=self.at,
            load=load,
            words=words,
            first_operand=program.first_operand(keys[place]) if program.has_operand_rows and not spills else None,
            queries=min(program.shape.columns, program.queries - query_tile * program.shape.columns),
            starts_query=starts and pass_number == 0,
            ends_query=ends and is_last,
            restores=program.has_state and visit.is_resumed,
            spills=spills,
            captures=ends and pass_number == program.captured_pass,
            starts_result=is_last and (starts or has_all),
            ends_result=is_last and (ends or has_all),
            released=released,
        )

    def _begin_run(self) -> None:
        """Find out how long tiles of queries are alike from here on."""
        query = self.at.queries
        kind = self._kind(query)
        self.run_start, self.run_first_tile = query, self.at.tiles
        self.run_end = next((q for q in range(query + 1, self.total) if self._kind(q) != kind), self.total)
        # Loads are so many tiles of queries ahead: near the end of a run, they are those of what comes after it.
        keys = self.program.passes * len(self.program.visits[query].keys)
        ahead = 0 if self.program.is_resident else -(-self.program.slots // keys)
        self.margin = 4 + self.program.stages + ahead

    def _kind(self, query: int) -> tuple[object, ...]:
        program, visit = self.program, self.program.visits[query]
        keys, tile = visit.keys, visit.query_tile
        is_ragged = (tile + 1) * program.shape.columns > program.queries
        # Rows that are split at pages lie alike within a head only, where tiles are as far apart as the ones before.
        place = () if self.is_alike else (visit.head, program.key_range(tile + 1)[0] - keys[0])
        # Keys that stay are released by the last visit of their block.
        block = (visit.key_head, visit.block.start, visit.ends_block) if program.is_resident else ()
        goes_on = visit.is_resumed, visit.is_continued
        # Operands of a row may begin anywhere in a beat.
        begins = program.first_operand(keys[0]) % program.shape.beat_operands if program.has_operand_rows else 0
        return len(keys), keys[-1] == program.key_tiles - 1, is_ragged, block, goes_on, place, begins
