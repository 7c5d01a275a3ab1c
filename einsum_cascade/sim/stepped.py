"""The array stepped cycle by cycle: every PE and lane at once, as the contract of the array says.

It is the oracle of the faster models and shares nothing with them but the arithmetic: what a PE computes in a cycle
depends only on what its registers, its neighbours and its instruction are in that cycle. Memory is ideal: operands are
there, and results leave as soon as they are whole, as does running state, which is back then. So the corner stands
still only where it is told to, where it would write over results that are not whole yet, and where it would go on with
running state that is not.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.array.instruction import RETURN_CYCLES, Field, MatrixOp, VectorOp
from einsum_cascade.array.numbers import LANE_STEPS
from einsum_cascade.array.program import Program, Tile
from einsum_cascade.sim.arithmetic import LOWEST, Exponential, SlotState, add, greater, multiply_add, quotient
from einsum_cascade.sim.program_values import Results, mask_of, operands_of

__all__ = ["Stepped", "step_program"]

type Single = NDArray[np.float32]


@dataclass(frozen=True)
class Stepped:
    """What a stepped run leaves.

    Parameters
    ----------
    results
        The values.
    cycles
        From the first instruction leaving the corner to the last lane having done the last.
    stalls
        Cycles of them in which the corner stood still.

    """

    results: Results
    cycles: int
    stalls: int


@dataclass(frozen=True, slots=True)
class _Issue:
    """What leaves the corner in a cycle; a tile is None where the field does nothing."""

    matrix: Field
    matrix_tile: Tile | None
    vector: Field
    vector_tile: Tile | None


_NOTHING = _Issue(Field(), None, Field(), None)


def step_program(
    program: Program, tensors: Mapping[str, NDArray[Any]], stalls: frozenset[int] = frozenset()
) -> Stepped:
    """Run a program cycle by cycle.

    Parameters
    ----------
    program, tensors
        As of `sim.program_values.evaluate_program`.
    stalls
        Cycles in which the corner stands still, counted from the first one.

    """
    issues = [*_issues(program, stalls)]
    machine = _Machine(program, operands_of(program, tensors), issues)
    for cycle in range(len(issues) + program.shape.depth_cycles + 2 * program.shape.stages):
        machine.step(cycle)
    busy = [at for at, issue in enumerate(issues) if issue.matrix_tile or issue.vector_tile]
    stood_still = sum(issue is _NOTHING for issue in issues[busy[0] : busy[-1]])
    return Stepped(machine.results(), busy[-1] - busy[0] + 1 + program.shape.depth_cycles, stood_still)


def _issues(program: Program, stalls: frozenset[int]) -> Iterator[_Issue]:
    """Yield what leaves the corner, cycle by cycle."""
    tiles = [*program.tiles()]
    whole = _Whole()
    cycle = 0
    for iteration in range(len(tiles) + program.stages - 1):
        for row in program.kernel:
            matrix, vector = (_worked_on(field, iteration, tiles) for field in (row.matrix, row.vector))
            while cycle in stalls or cycle < whole.earliest(row.vector, vector):
                cycle += 1
                yield _NOTHING
            if vector is not None and vector.ends_result and _is_last(row.vector, program):
                whole.add(vector, cycle + program.shape.depth_cycles + program.shape.stages)
            cycle += 1
            yield _Issue(row.matrix, matrix, row.vector, vector)


def _worked_on(field: Field, iteration: int, tiles: list[Tile]) -> Tile | None:
    """Return the tile that a field works on in an iteration of the kernel, if there is one and it is in its passes."""
    number = iteration - field.stage
    if not field.op or not 0 <= number < len(tiles) or not field.passes >> tiles[number].pass_number & 1:
        return None
    return tiles[number]


_SUMS = VectorOp.DENOMINATOR, VectorOp.ADD_DENOMINATOR
_ADDS = VectorOp.NUMERATOR, VectorOp.ADD


class _Whole:
    """When results are whole: by their number, and the last ones of a query tile."""

    def __init__(self) -> None:
        self.results: dict[int, int] = {}
        self.state: dict[tuple[int, int], int] = {}

    def add(self, tile: Tile, cycle: int) -> None:
        self.results[tile.result_number] = cycle
        self.state[tile.head, tile.query_tile] = cycle

    def earliest(self, field: Field, tile: Tile | None) -> int:
        """Return when a vector instruction may leave.

        If it starts a bank, or captures a sum, which may be in an earlier pass: not before the results two before are
        whole. If it goes on with running state: not before that is whole, nor before its bank may be filled.
        """
        if tile is None:
            return 0
        is_sum = field.op in _SUMS
        starts = (is_sum or field.op in _ADDS) and tile.starts_result
        resumes = tile.restores and tile.starts_query and (is_sum or field.op in (*_ADDS, VectorOp.MAXIMUM))
        found = self.state[tile.head, tile.query_tile] if resumes else 0
        if starts or resumes or (is_sum and tile.captures):
            found = max(found, self.results.get(tile.result_number - 2, 0))
        return found


def _is_last(field: Field, program: Program) -> bool:
    return field.op in _ADDS and field.index == program.output_steps - 1


class _Machine:
    def __init__(self, program: Program, operands: dict[str, Single], issues: list[_Issue]) -> None:
        shape = program.shape
        self.program, self.operands, self.issues = program, operands, issues
        self.rows, self.columns, self.stages = shape.rows, shape.columns, shape.stages
        grid = (self.rows, self.columns)
        self.scores = np.zeros((program.contexts, *grid), np.float32)
        self.masked = np.zeros((program.contexts, *grid), np.bool_)
        self.fraction, self.exponent = np.zeros(grid, np.float32), np.zeros(grid, np.int32)
        self.kept = np.zeros(grid, np.float32)
        # What a PE sends down in a cycle is at its neighbour `stages` cycles later.
        self.down = [np.zeros(grid, np.float32) for _ in range(self.stages)]
        self.due: dict[int, list[tuple[Any, Any, Any]]] = {}
        self.accumulation = shape.numbers.accumulation
        self.exponential = Exponential(shape.numbers, shape.numbers.steps)
        self.constants = program.constants
        self.lanes = _Lanes(self, program)
        self.masks: dict[int, NDArray[np.bool_]] = {}

    def write(self, cycle: int, array: Any, index: Any, value: Any) -> None:
        """Have an array changed from a cycle on."""
        self.due.setdefault(cycle, []).append((array, index, value))

    def step(self, cycle: int) -> None:
        for array, index, value in self.due.pop(cycle, ()):
            array[index] = value
        arriving = self.down[cycle % self.stages]
        self.lanes.step(cycle, arriving[-1])
        sent = np.zeros_like(arriving)
        for row in range(self.rows):
            for column in range(self.columns):
                at = cycle - self.stages * row - column
                issue = self.issues[at] if 0 <= at < len(self.issues) else _NOTHING
                if issue.matrix_tile is not None:
                    up = arriving[row - 1, column] if row else self._top(issue, column)
                    sent[row, column] = self._execute(cycle, row, column, issue.matrix, issue.matrix_tile, up)
        self.down[cycle % self.stages] = sent

    def _top(self, issue: _Issue, column: int) -> Any:
        tile, index = issue.matrix_tile, issue.matrix.index
        assert tile is not None
        match issue.matrix.op:
            case MatrixOp.PRODUCT:
                return self.operands["query"][tile.head, tile.query_tile * self.columns + column, index]
            case MatrixOp.MAXIMUM:
                return LOWEST
            case MatrixOp.EXPONENTIAL:
                above = self.exponential.steps[index].above
                if above == "maximum":
                    return self.lanes.returned[0][tile.number % self.program.queue, column]
                return np.float32(0 if above is None else self.constants[above])
            case _:
                return np.float32(0)

    def _execute(self, cycle: int, row: int, column: int, field: Field, tile: Tile, up: np.float32) -> np.float32:
        """Do an instruction in a PE, and return what it sends down."""
        at = tile.number % self.program.contexts, row, column
        score, is_masked, then = self.scores[at], self.masked[at], cycle + self.stages
        match field.op:
            case MatrixOp.PRODUCT:
                key = self.operands["key"][tile.key_head, tile.key_tile * self.rows + row, field.index]
                before = score if field.index else np.float32(0)
                if not field.index:
                    self.write(then, self.masked, at, self._mask(tile)[row, column])
                self.write(then, self.scores, at, self._accumulated(key, up, before))
                return up
            case MatrixOp.MAXIMUM:
                return up if is_masked else _scalar(greater, up, score)
            case MatrixOp.EXPONENTIAL:
                self._exponential(then, at, field.index, up)
                return up
            case MatrixOp.SUM:
                return self._accumulated(np.float32(1), up, score)
            case MatrixOp.COMBINE:
                value = self.operands["value"][tile.key_head, tile.key_tile * self.rows + row, field.index]
                return up if is_masked else self._accumulated(value, score, up)
            case MatrixOp.OUT:
                return up if field.index != row else np.float32(0) if is_masked else score
            case _:
                raise AssertionError(field)

    def _accumulated(self, factor: np.float32, other: np.float32, before: np.float32) -> Any:
        return _scalar(partial(multiply_add, form=self.accumulation), factor, other, before)

    def _mask(self, tile: Tile) -> NDArray[np.bool_]:
        if tile.number not in self.masks:
            self.masks = {tile.number: mask_of(self.program, tile), **dict([*self.masks.items()][:64])}
        return self.masks[tile.number]

    def _exponential(self, then: int, at: tuple[int, int, int], index: int, up: np.float32) -> None:
        place = at[1:]
        parts: list[Any] = [self.scores[at], self.fraction[place], self.exponent[place], self.kept[place]]
        found = self.exponential.slot(index, SlotState(*map(np.asarray, parts)), np.asarray(up))
        is_nothing = self.exponential.steps[index].is_result and self.masked[at]
        self.write(then, self.scores, at, np.float32(0) if is_nothing else found.value)
        self.write(then, self.fraction, place, found.fraction)
        self.write(then, self.exponent, place, found.exponent)
        self.write(then, self.kept, place, found.kept)

    def results(self) -> Results:
        return Results(self.lanes.output[:, : self.program.head_rows, : self.program.queries], self.lanes.empty, 0)


@dataclass(frozen=True, slots=True)
class _State:
    """The running state of the columns of a query tile between two blocks."""

    maximum: Single
    total: Single
    accumulators: Single


class _Lanes:
    """The vector row."""

    def __init__(self, machine: _Machine, program: Program) -> None:
        self.machine, self.program = machine, program
        columns, shape = machine.columns, program.shape
        self.maximum = np.full(columns, LOWEST)
        self.old, self.new = (np.zeros((program.queue, columns), np.float32) for _ in range(2))
        # The maxima of the tiles as the tops of the columns see them, now and in the cycles to come.
        self.returned = [self.new.copy() for _ in range(RETURN_CYCLES)]
        self.fraction, self.exponent = np.zeros(columns, np.float32), np.zeros(columns, np.int32)
        self.total = np.zeros(columns, np.float32)
        self.captured, self.maxima = (np.zeros((2, columns), np.float32) for _ in range(2))
        self.accumulators = np.zeros((2, program.output_steps, columns), np.float32)
        self.exponential = Exponential(None, LANE_STEPS)
        heads = program.key_heads * program.group
        rows = program.key_tiles * shape.rows if program.has_tile_results else program.head_rows
        self.output = np.zeros((heads, rows, program.query_tiles * shape.columns), np.float32)
        self.empty = 0
        self.draining: list[tuple[int, Tile]] = []
        self.spilt: dict[tuple[int, int], _State] = {}

    def step(self, cycle: int, arriving: Single) -> None:
        machine = self.machine
        self.returned = [*self.returned[1:], self.new.copy()]
        while self.draining and self.draining[0][0] == cycle:
            self._drain(self.draining.pop(0)[1])
        for column in range(machine.columns):
            at = cycle - machine.stages * machine.rows - column
            issue = machine.issues[at] if 0 <= at < len(machine.issues) else _NOTHING
            if issue.vector_tile is not None:
                self._execute(cycle, column, issue.vector, issue.vector_tile, arriving[column])

    def _execute(self, cycle: int, column: int, field: Field, tile: Tile, arriving: np.float32) -> None:
        write, then = self.machine.write, cycle + self.machine.stages
        entry, bank = (tile.number % self.program.queue, column), tile.result_number % 2
        resumed = self.spilt[tile.head, tile.query_tile] if tile.restores and tile.starts_query else None
        match field.op:
            case VectorOp.MAXIMUM:
                old = LOWEST if tile.starts_query else self.maximum[column]
                old = resumed.maximum[column] if resumed else old
                new = _scalar(greater, old, arriving)
                write(cycle + 1, self.old, entry, old)
                write(cycle + 1, self.new, entry, new)
                write(cycle + 1, self.maximum, column, new)
            case VectorOp.CORRECTION:
                parts: list[Any] = [self.old[entry], self.fraction[column], self.exponent[column], np.float32(0)]
                above = self.exponential.steps[field.index].above
                up = self.new[entry] if above == "maximum" else self.machine.constants["factor"]
                state = SlotState(*map(np.asarray, parts))
                found = self.exponential.slot(field.index, state, np.asarray(up, np.float32))
                write(then, self.old, entry, found.value)
                write(then, self.fraction, column, found.fraction)
                write(then, self.exponent, column, found.exponent)
            case VectorOp.DENOMINATOR | VectorOp.ADD_DENOMINATOR:
                factor = self.old[entry] if field.op == VectorOp.DENOMINATOR else np.float32(1)
                before = resumed.total[column] if resumed else self.total[column]
                found = _updated(before, factor, arriving, is_first=tile.starts_pass and resumed is None)
                write(then, self.total, column, found)
                if tile.captures:
                    write(then, self.captured, (tile.query_number % 2, column), found)
                    write(then, self.maxima, (tile.query_number % 2, column), self.new[entry])
            case VectorOp.NUMERATOR | VectorOp.ADD:
                at = bank, field.index, column
                factor = self.old[entry] if field.op == VectorOp.NUMERATOR else np.float32(1)
                before = resumed.accumulators[at[1:]] if resumed else self.accumulators[at]
                found = _updated(before, factor, arriving, is_first=tile.starts_result and resumed is None)
                write(then, self.accumulators, at, found)
                if tile.ends_result and _is_last(field, self.program) and column == self.machine.columns - 1:
                    self.draining.append((then, tile))
            case _:
                raise AssertionError(field)

    def _drain(self, tile: Tile) -> None:
        shape, bank = self.program.shape, tile.result_number % 2
        found = self.accumulators[bank]
        if tile.spills:
            own = self.maxima[bank].copy(), self.captured[bank].copy(), found.copy()
            self.spilt[tile.head, tile.query_tile] = _State(*own)
            return
        if self.program.is_divided:
            found, is_empty = quotient(found, np.broadcast_to(self.captured[tile.query_number % 2], found.shape))
            kept = min(shape.columns, self.program.queries - tile.query_tile * shape.columns)
            self.empty += int(is_empty[: self.program.result_rows(tile.key_tile), :kept].sum())
        if self.program.has_statistics:
            own = tile.query_number % 2
            found = np.concatenate((found, self.captured[own, None], self.maxima[own, None]))
        first = tile.key_tile * shape.rows if self.program.has_tile_results else 0
        columns = slice(tile.query_tile * shape.columns, (tile.query_tile + 1) * shape.columns)
        self.output[tile.head, first : first + len(found), columns] = found


def _updated(before: np.float32, factor: np.float32, arriving: np.float32, *, is_first: bool) -> np.float32:
    return _scalar(add, np.float32(0), arriving) if is_first else _scalar(multiply_add, before, factor, arriving)


def _scalar(function: Any, *values: Any) -> Any:
    return function(*(np.asarray(value, np.float32) for value in values))
