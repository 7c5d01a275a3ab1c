"""The values that an array computes, tile by tile, to the bit: what every PE and lane does, without when.

The order of operations is that of the program: products in order of their index, columns from the first row down, tiles
one after the other. Query tiles, and heads, do not see each other: they are computed side by side, as one array.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.array.instruction import Field, MatrixOp, VectorOp
from einsum_cascade.array.memory import rounded
from einsum_cascade.array.numbers import LANE_STEPS, Above
from einsum_cascade.array.program import Program, Tile
from einsum_cascade.sim.arithmetic import LOWEST, Exponential, add, greater, multiply_add, quotient

__all__ = ["Results", "evaluate_program", "mask_of", "masked", "operands_of"]

type Single = NDArray[np.float32]

_SUMS = VectorOp.DENOMINATOR, VectorOp.ADD_DENOMINATOR


@dataclass(frozen=True)
class Results:
    """What a program leaves.

    Parameters
    ----------
    output
        (H, F, P), fp32, with two rows more for sums and maxima if the program has them; (H, M, P) where scores are the
        results.
    empty_columns
        Results whose denominator was 0.
    zero_sums
        Queries, of any head, whose denominator was 0 though they have keys; not counted by the model of every cycle.

    """

    output: Single
    empty_columns: int
    zero_sums: int


@dataclass
class _Lanes:
    """The running state of the vector row for query tiles side by side: (N, columns), accumulators (N, F, columns)."""

    maximum: Single
    total: Single
    captured: Single
    accumulators: Single
    have_keys: NDArray[np.bool_]

    @classmethod
    def fresh(cls, program: Program, count: int) -> "_Lanes":
        """Return the state before the first tile."""
        columns = program.shape.columns
        zeros = np.zeros((count, columns), np.float32)
        words = program.shape.rows if program.has_tile_results else program.output_steps
        accumulators = np.zeros((count, words, columns), np.float32)
        return cls(np.full((count, columns), LOWEST), zeros, zeros.copy(), accumulators, zeros > 0)

    def of(self, which: NDArray[np.int_]) -> "_Lanes":
        """Return that of some query tiles."""
        return _Lanes(*(getattr(self, member.name)[which] for member in fields(self)))

    def put(self, which: NDArray[np.int_], own: "_Lanes") -> None:
        """Take back that of some query tiles."""
        for member in fields(self):
            getattr(self, member.name)[which] = getattr(own, member.name)


class _Tiles:
    """Tiles that are computed side by side, no two for the same query tile: members of `Tile`, as arrays."""

    def __init__(self, tiles: Sequence[Tile]) -> None:
        self.pass_number = tiles[0].pass_number
        self.head, self.key_head, self.query_tile, self.key_tile = (
            np.array([getattr(tile, name) for tile in tiles]) for name in ("head", "key_head", "query_tile", "key_tile")
        )
        starts_pass, starts_result, self.captures, ends_result = (
            np.array([getattr(tile, name) for tile in tiles])
            for name in ("starts_pass", "starts_result", "captures", "ends_result")
        )
        restores, spills = (np.array([getattr(tile, name) for tile in tiles]) for name in ("restores", "spills"))
        # Running state is no result: nothing is divided, and no sum of 0 is counted.
        self.leaves = ends_result & ~spills
        self.starts_sum, self.starts_result = starts_pass & ~restores, starts_result & ~restores


def operands_of(program: Program, tensors: Mapping[str, NDArray[Any]]) -> dict[str, Single]:
    """Return tensors as the array reads them: rounded to its operands, padded with zeros to whole tiles.

    Parameters
    ----------
    program
        Says how long everything is.
    tensors
        `query` (H, P, E), `key` (G, M, E), `value` (G, M, F) if there are values.

    """
    shape = program.shape
    sides = {"query": program.query_tiles * shape.columns, "key": program.key_tiles * shape.rows}
    sides["value"] = sides["key"]
    found: dict[str, Single] = {}
    for name, values in tensors.items():
        missing = sides[name] - values.shape[1]
        found[name] = np.pad(rounded(values, shape.numbers.operand), ((0, 0), (0, missing), (0, 0)))
    return found


def mask_of(program: Program, tile: Tile) -> NDArray[np.bool_]:
    """Return which scores of a tile are masked, (rows, columns)."""
    (found,) = _masks(program, np.array([tile.key_tile]), np.array([tile.query_tile]))
    return found


def _masks(program: Program, key_tiles: NDArray[np.int_], query_tiles: NDArray[np.int_]) -> NDArray[np.bool_]:
    shape = program.shape
    m = (key_tiles[:, None] * shape.rows + np.arange(shape.rows))[:, :, None]
    p = (query_tiles[:, None] * shape.columns + np.arange(shape.columns))[:, None, :]
    return masked(program, m, p)


def masked(program: Program, m: NDArray[np.int_], p: NDArray[np.int_]) -> NDArray[np.bool_]:
    """Return which scores of keys m and queries p are masked; their shapes are broadcast."""
    found = np.broadcast_to(m >= program.keys, np.broadcast_shapes(m.shape, p.shape)).copy()
    if program.diagonal_high is not None:
        found |= m > p + program.diagonal_high
    if program.diagonal_low is not None:
        found |= m < p + program.diagonal_low
    return found


def evaluate_program(program: Program, tensors: Mapping[str, NDArray[Any]]) -> Results:
    """Return what a program computes; parameters are those of `operands_of`."""
    return _Evaluation(program, operands_of(program, tensors)).run()


_TOGETHER = 1 << 15
"""Scores that are computed at a time, about: what caches hold."""


class _Evaluation:
    def __init__(self, program: Program, operands: dict[str, Single]) -> None:
        self.program, self.operands = program, operands
        shape = program.shape
        self.accumulation = shape.numbers.accumulation
        self.in_pe = Exponential(shape.numbers, shape.numbers.steps)
        self.in_lane = Exponential(None, LANE_STEPS)
        self.passes = {row.matrix.op: row.matrix.passes for row in program.kernel}
        self.sums = next((row.matrix for row in program.kernel if row.vector.op in _SUMS), None)
        slots = (row.matrix.index for row in program.kernel if row.matrix.op == MatrixOp.EXPONENTIAL)
        self.first_slot = min(slots, default=0)
        self.is_corrected = any(row.vector.op == VectorOp.CORRECTION for row in program.kernel)
        heads = program.key_heads * program.group
        rows = program.key_tiles * shape.rows if program.has_tile_results else program.head_rows
        self.output = np.zeros((heads, rows, program.query_tiles * shape.columns), np.float32)
        self.empty = 0
        # By head and tile of queries.
        self.zero_sums: dict[tuple[int, int], int] = {}

    def run(self) -> Results:
        visits: defaultdict[tuple[int, int], list[Tile]] = defaultdict(list)
        for tile in self.program.tiles():
            visits[tile.head, tile.query_tile].append(tile)
        shape, queues = self.program.shape, [*visits.values()]
        count = max(1, _TOGETHER // (shape.rows * shape.columns))
        for first in range(0, len(queues), count):
            self._run(queues[first : first + count])
        output = self.output[:, : self.program.head_rows, : self.program.queries]
        return Results(output, self.empty, sum(self.zero_sums.values()))

    def _run(self, queues: Sequence[Sequence[Tile]]) -> None:
        """Compute query tiles side by side, given the tiles of each in order; state in memory is state kept."""
        lanes = _Lanes.fresh(self.program, len(queues))
        for which, tiles in _side_by_side(queues):
            own = lanes.of(which)
            self._step(tiles, own)
            lanes.put(which, own)

    def _step(self, tiles: _Tiles, lanes: _Lanes) -> None:
        scores, masked = self._scores(tiles)
        lanes.have_keys |= ~masked.all(axis=1)
        if MatrixOp.EXPONENTIAL in self.passes:
            scores = self._weigh(tiles, scores, masked, lanes)
        if self._does(MatrixOp.OUT, tiles):
            lanes.accumulators = add(np.zeros_like(scores), np.where(masked, np.float32(0), scores))
        self._drain(tiles, lanes)

    def _does(self, op: MatrixOp, tiles: _Tiles) -> bool:
        """Tell whether an operation is done in the pass of some tiles."""
        return bool(self.passes.get(op, 0) >> tiles.pass_number & 1)

    def _scores(self, tiles: _Tiles) -> tuple[Single, NDArray[np.bool_]]:
        """Return the scores of tiles, (N, rows, columns), and which are masked."""
        shape = self.program.shape
        keys = self._rows("key", tiles.key_head, tiles.key_tile, shape.rows)
        queries = self._rows("query", tiles.head, tiles.query_tile, shape.columns)
        scores = np.zeros((len(keys), shape.rows, shape.columns), np.float32)
        for step in range(self.program.product_steps):
            scores = multiply_add(keys[:, :, step, None], queries[:, None, :, step], scores, self.accumulation)
        return scores, _masks(self.program, tiles.key_tile, tiles.query_tile)

    def _rows(self, name: str, head: NDArray[np.int_], tile: NDArray[np.int_], count: int) -> Single:
        """Return operands, (N, rows or columns, operands)."""
        operand = self.operands[name]
        return operand.reshape(len(operand), -1, count, operand.shape[-1])[head, tile]

    def _weigh(self, tiles: _Tiles, scores: Single, masked: NDArray[np.bool_], lanes: _Lanes) -> Single:
        """Take tiles of scores into the running state, and return what weights values."""
        old = lanes.maximum
        weights = np.where(masked, np.float32(0), self._weights(scores, masked, lanes))
        correction = self.in_lane.run(old, self._ups(lanes.maximum)) if self.is_corrected else None
        if self.sums is not None and self.sums.passes >> tiles.pass_number & 1:
            total = self._summed(tiles, self.sums, weights, masked)
            lanes.total = _updated(lanes.total, correction, total, tiles.starts_sum[:, None])
            lanes.captured = np.where(tiles.captures[:, None], lanes.total, lanes.captured)
        if self._does(MatrixOp.COMBINE, tiles):
            found = self._combined(tiles, weights, masked, slice(self.program.output_steps))
            factor = None if correction is None else correction[:, None, :]
            lanes.accumulators = _updated(lanes.accumulators, factor, found, tiles.starts_result[:, None, None])
        return weights

    def _weights(self, scores: Single, masked: NDArray[np.bool_], lanes: _Lanes) -> Single:
        """Return exponentials less the maxima, which are updated; or sigmoids, or features."""
        if MatrixOp.MAXIMUM in self.passes:
            arriving = np.full_like(lanes.maximum, LOWEST)
            for row in range(scores.shape[1]):
                arriving = np.where(masked[:, row], arriving, greater(arriving, scores[:, row]))
            lanes.maximum = greater(lanes.maximum, arriving)
        return self.in_pe.run(scores, self._ups(lanes.maximum[:, None, :]), self.first_slot)

    def _ups(self, maximum: Single) -> Mapping[Above, Single | float]:
        """Return what comes from above, or from the running state of the lanes themselves."""
        return {**self.program.constants, "maximum": maximum}

    def _summed(self, tiles: _Tiles, sums: Field, weights: Single, masked: NDArray[np.bool_]) -> Single:
        """Return the sums of the columns: of weights as they are, or as an operand of the values weights them."""
        if sums.op == MatrixOp.COMBINE:
            return self._combined(tiles, weights, masked, slice(sums.index, sums.index + 1))[:, 0]
        total = np.zeros_like(weights[:, 0])
        for row in range(weights.shape[1]):
            total = add(total, weights[:, row], self.accumulation)
        return total

    def _combined(self, tiles: _Tiles, weights: Single, masked: NDArray[np.bool_], which: slice) -> Single:
        """Return the sums down the columns of products of weights with some operands of the values, (N, F, columns)."""
        values = self._rows("value", tiles.key_head, tiles.key_tile, weights.shape[1])[:, :, which]
        sums = np.zeros((len(values), values.shape[2], weights.shape[2]), np.float32)
        for row in range(weights.shape[1]):
            found = multiply_add(values[:, row, :, None], weights[:, row, None, :], sums, self.accumulation)
            sums = np.where(masked[:, row, None, :], sums, found)
        return sums

    def _drain(self, tiles: _Tiles, lanes: _Lanes) -> None:
        """Put the results that are complete where they belong."""
        shape = self.program.shape
        for at in np.flatnonzero(tiles.leaves):
            query_tile, key_tile = int(tiles.query_tile[at]), int(tiles.key_tile[at])
            columns = slice(query_tile * shape.columns, (query_tile + 1) * shape.columns)
            first = key_tile * shape.rows if self.program.has_tile_results else 0
            found = lanes.accumulators[at]
            if self.program.is_divided:
                found, is_empty = quotient(found, np.broadcast_to(lanes.captured[at], found.shape))
                kept = min(shape.columns, self.program.queries - query_tile * shape.columns)
                self.empty += int(is_empty[: self.program.result_rows(key_tile), :kept].sum())
                where = int(tiles.head[at]), query_tile
                self.zero_sums[where] = int((is_empty[0] & lanes.have_keys[at])[:kept].sum())
            if self.program.has_statistics:
                found = np.concatenate((found, lanes.captured[at, None], lanes.maximum[at, None]))
            self.output[tiles.head[at], first : first + len(found), columns] = found


def _side_by_side(queues: Sequence[Sequence[Tile]]) -> Iterator[tuple[NDArray[np.int_], _Tiles]]:
    """Yield tiles of one pass, at most one of each queue, in the order of each; and the numbers of their queues."""
    for step in range(max(map(len, queues))):
        own: defaultdict[int, list[int]] = defaultdict(list)
        for number, queue in enumerate(queues):
            if step < len(queue):
                own[queue[step].pass_number].append(number)
        for numbers in own.values():
            yield np.array(numbers), _Tiles([queues[number][step] for number in numbers])


def _updated(before: Single, correction: Single | None, arriving: Single, is_first: NDArray[np.bool_]) -> Single:
    later = add(before, arriving) if correction is None else multiply_add(before, correction, arriving)
    return np.where(is_first, add(np.zeros_like(arriving), arriving), later)
