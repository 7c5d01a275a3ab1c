"""How long a program takes on an array with a memory of a given speed: from event to event, without its values.

The corner stands still in three places of a tile only: at its first product, for keys, values and queries; at its first
instruction that writes results, or captures a sum for them, for the results of two tiles before; and at its first
instruction for the lanes, for running state that comes back. Between them it goes on row by row, so that a tile costs a
few steps, however many cycles it takes. Once all that is under way is as it was at an earlier tile of queries, and the
tiles to come are as they were then, whole periods are skipped.
"""

import math
from collections import deque
from dataclasses import dataclass, field, fields
from typing import Literal

from einsum_cascade.array.instruction import MatrixOp, VectorOp
from einsum_cascade.array.program import Program
from einsum_cascade.array.registers import WAITS
from einsum_cascade.sim.draining import DrainModel
from einsum_cascade.sim.loads import Loads
from einsum_cascade.sim.port import MemoryModel
from einsum_cascade.sim.tile_walk import Job, TileWalk
from einsum_cascade.sim.trace import CycleTrace, ResourceTime

__all__ = ["CycleTrace", "MemoryModel", "ResourceTime", "run_timing"]


def run_timing(program: Program, memory: MemoryModel | None, *, skip: bool = True) -> CycleTrace:
    """Return the times of a program.

    Parameters
    ----------
    program
        A program that its checker accepts.
    memory
        The memory. None: operands are there when they are wanted, and results have left when they are whole.
    skip
        Whether to skip what repeats. It changes no number.

    """
    return _Run(program, memory, skip=skip).run()


_START_CYCLES = 3
"""From the start to the first row of the kernel: the first tile, and the first row, are fetched."""

type _Kind = Literal["begin", "resume", "capture", "write", "products", "reads", "whole"]


def _events(program: Program) -> list[tuple[int, list[tuple[int, _Kind]]]]:
    """Return the rows at which something depends on time or makes time, and of which stage the tile is."""
    times: dict[tuple[str, int], list[int]] = {}
    for at, row in enumerate(program.kernel):
        for unit, part in (("array", row.matrix), ("lane", row.vector)):
            times.setdefault((unit, part.op), []).append(part.stage * program.interval + at)
    products = times["array", MatrixOp.PRODUCT]
    results = [time for op in (VectorOp.NUMERATOR, VectorOp.ADD) for time in times.get(("lane", op), [])]
    sums = [time for op in (VectorOp.DENOMINATOR, VectorOp.ADD_DENOMINATOR) for time in times.get(("lane", op), [])]
    reads = [*products, *times.get(("array", MatrixOp.COMBINE), [])]
    is_captured_before = program.captured_pass < program.passes - 1
    kinds: dict[_Kind, int] = {
        "begin": min(products),
        "resume": min([*results, *sums, *times.get(("lane", VectorOp.MAXIMUM), [])]),
        "write": min(results if is_captured_before else results + sums),
        "products": max(products),
        "reads": max(reads),
        "whole": max(results),
    }
    if is_captured_before:
        kinds["capture"] = min(sums)
    found: dict[int, list[tuple[int, _Kind]]] = {}
    for kind, time in kinds.items():
        stage, at = divmod(time, program.interval)
        found.setdefault(at, []).append((stage, kind))
    return sorted(found.items())


@dataclass
class _Counts:
    keys: int = 0
    queries: int = 0
    drain: int = 0
    state: int = 0
    reads: int = 0
    writes: int = 0


@dataclass
class _Seen:
    """A start of a tile of queries, as it was."""

    job: Job
    now: int
    counts: _Counts = field(default_factory=_Counts)


class _Run:
    def __init__(self, program: Program, memory: MemoryModel | None, *, skip: bool) -> None:
        self.program, self.memory, self.skip = program, memory, skip
        self.loads, self.drain = Loads(program, memory), DrainModel(program, memory)
        self.counts = _Counts()
        self.late = _START_CYCLES  # from the start: by which rows leave the corner later than without stalls
        self.begun: int | None = None
        self.position = TileWalk(program, is_alike=self.loads.is_alike)

    def run(self) -> CycleTrace:
        program = self.program
        events, flight = _events(program), deque[Job | None](maxlen=program.stages)
        iteration, last = 0, 0
        seen: dict[object, _Seen] = {}
        while True:
            job = self.position.take()
            flight.appendleft(job)
            if job is not None:
                last = job.number
                if self.skip and job.starts_query:
                    self._skip(iteration * program.interval + self.late, job, flight, seen)
                    job = flight[0]
                    assert job is not None
                    iteration = last = job.number
            elif all(each is None for each in flight):
                break
            for row, own in events:
                self._row(iteration * program.interval + row, own, flight)
            iteration += 1
        return self._trace(last + 1, iteration * program.interval + self.late)

    def _row(self, time: int, events: list[tuple[int, _Kind]], flight: deque[Job | None]) -> None:
        jobs: dict[_Kind, Job] = {
            kind: job for stage, kind in events if stage < len(flight) and (job := flight[stage]) is not None
        }
        self._stand_still(time + self.late, jobs)
        now = time + self.late
        if (job := jobs.get("products")) is not None and job.ends_query:
            self.loads.release("queries", job.query + 1, now)
        if (job := jobs.get("reads")) is not None and job.released is not None:
            self.loads.release("keys", job.released, now)
        if (job := jobs.get("whole")) is not None and job.ends_result:
            left, stored = self.drain.take(job.result, job.words, job.queries, now, job.first_operand)
            self.loads.leave(job.result + 1, left, (job.at.spilt + 1, stored) if job.spills else None)

    def _stand_still(self, now: int, jobs: dict[_Kind, Job]) -> None:
        """Wait for all that the instructions of a row need; a cycle counts for the first of what it waits for."""
        keys = queries = drain = now
        if (job := jobs.get("begin")) is not None:
            keys = max(now, self.loads.arrival("keys", job.load))
            queries = max(keys, self.loads.arrival("queries", job.query))
        if (job := jobs.get("write")) is not None and job.starts_result:
            drain = self.drain.departure(job.result - 2)
        if (job := jobs.get("capture")) is not None and job.captures:
            drain = max(drain, self.drain.departure(job.result - 2))
        keys, queries = max(now, keys), max(now, keys, queries)
        drain = state = max(queries, drain)
        if (job := jobs.get("resume")) is not None and job.restores and job.starts_query:
            state = max(drain, self.loads.arrival("state", job.at.resumed))
        self.late += state - now
        if self.begun is None:
            self.begun = drain if "begin" in jobs else None
            return
        self.counts.keys += keys - now
        self.counts.queries += queries - keys
        self.counts.drain += drain - queries
        self.counts.state += state - drain

    def _skip(self, now: int, job: Job, flight: deque[Job | None], seen: dict[object, _Seen]) -> None:
        """Skip whole periods, if everything is as it was at an earlier start of a tile of queries."""
        position = self.position
        if job.query == position.run_start:
            seen.clear()
        if job.number - position.run_first_tile < self.program.stages:
            return
        self.loads.catch_up(now)
        self.counts.reads, self.counts.writes = self.loads.beats, self.drain.beats
        state = self.loads.state(now, job.at), self.drain.state(now, job.result)
        before = seen.setdefault(state, _Seen(job, now, _copied(self.counts)))
        if before.job is job:
            return
        queries = job.query - before.job.query
        times = (position.run_end - position.margin - job.query) // queries
        if times < 1:
            return
        seen.clear()
        self._jump(times, before, now, flight)

    def _jump(self, times: int, before: _Seen, now: int, flight: deque[Job | None]) -> None:
        job = flight[0]
        assert job is not None
        by, cycles = job.at.plus(before.job.at.times(-1)).times(times), times * (now - before.now)
        loads = 0 if self.program.is_resident else by.tiles
        for each in fields(_Counts):
            own = getattr(self.counts, each.name)
            setattr(self.counts, each.name, own + times * (own - getattr(before.counts, each.name)))
        self.loads.beats, self.drain.beats = self.counts.reads, self.counts.writes
        self.loads.shift(cycles, by)
        self.drain.shift(cycles, by.results)
        self.late += cycles - by.tiles * self.program.interval
        for at, each in enumerate(flight):
            if each is not None:
                flight[at] = each.moved(by, loads)
        self.position.jump(by)

    def _trace(self, tiles: int, stopped: int) -> CycleTrace:
        program = self.program
        ends = [
            part.stage * program.interval + at
            for at, row in enumerate(program.kernel)
            for part in (row.matrix, row.vector)
            if part.op
        ]
        matrix, vector = (_issued(program, half) * (tiles // program.passes) for half in ("matrix", "vector"))
        assert self.begun is not None
        end = (tiles - 1) * program.interval + max(ends) + self.late
        return CycleTrace(
            cycles=end - self.begun + 1 + program.shape.depth_cycles,
            total_cycles=max(self.drain.last, stopped),
            **{f"stalls_{what}": getattr(self.counts, what) for what in WAITS},
            matrix_busy=matrix,
            vector_busy=vector,
            read_cycles=self._occupied(self.loads.beats),
            write_cycles=self._occupied(self.drain.beats),
        )

    def _occupied(self, beats: int) -> int:
        memory = self.memory or MemoryModel()
        return math.ceil(beats * memory.beat_cycles(self.program.shape.beat_bytes))


def _issued(program: Program, half: Literal["matrix", "vector"]) -> int:
    """Return the instructions of a tile that goes through all passes."""
    parts = (getattr(row, half) for row in program.kernel)
    return sum((part.passes & ((1 << program.passes) - 1)).bit_count() for part in parts if part.op)


def _copied(counts: _Counts) -> _Counts:
    return _Counts(*(getattr(counts, each.name) for each in fields(_Counts)))
