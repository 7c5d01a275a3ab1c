"""The values that an array computes, tile by tile, to the bit: what every PE and lane does, without when.

The order of operations is that of the program: products in order of their index, columns from the first row down, tiles
one after the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.program.instruction import Field, MatrixOp, VectorOp
from einsum_cascade.program.ir import Program, Tile
from einsum_cascade.program.memory import rounded
from einsum_cascade.program.numbers import LANE_STEPS, Above
from einsum_cascade.sim.arithmetic import LOWEST, Exponential, add, greater, multiply_add, quotient

__all__ = ["Results", "evaluate_program", "mask_of", "operands_of"]

type Single = NDArray[np.float32]

_SUMS = VectorOp.DENOMINATOR, VectorOp.ADD_DENOMINATOR


@dataclass(frozen=True)
class Results:
    """What a program leaves.

    Parameters
    ----------
    output
        (H, F, P), fp32; (H, M, P) where scores are the results.
    empty_columns
        Results whose denominator was 0.

    """

    output: Single
    empty_columns: int


@dataclass
class _Lanes:
    """The running state of the vector row for one query tile."""

    maximum: Single
    total: Single
    captured: Single
    accumulators: Single


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
    shape = program.shape
    m = tile.key_tile * shape.rows + np.arange(shape.rows)[:, None]
    p = tile.query_tile * shape.columns + np.arange(shape.columns)[None, :]
    masked = np.broadcast_to(m >= program.keys, (shape.rows, shape.columns)).copy()
    if program.diagonal_high is not None:
        masked |= m > p + program.diagonal_high
    if program.diagonal_low is not None:
        masked |= m < p + program.diagonal_low
    return masked


def evaluate_program(program: Program, tensors: Mapping[str, NDArray[Any]]) -> Results:
    """Return what a program computes; parameters are those of `operands_of`."""
    return _Evaluation(program, operands_of(program, tensors)).run()


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
        rows = program.key_tiles * shape.rows if program.has_tile_results else program.output_steps
        self.output = np.zeros((heads, rows, program.query_tiles * shape.columns), np.float32)
        self.empty = 0
        self.spilt: dict[tuple[int, int], _Lanes] = {}

    def run(self) -> Results:
        lanes: _Lanes | None = None
        for tile in self.program.tiles():
            if tile.starts_query or lanes is None:
                lanes = self.spilt.pop((tile.head, tile.query_tile)) if tile.restores else self._fresh()
            scores, masked = self._scores(tile)
            if MatrixOp.EXPONENTIAL in self.passes:
                scores = self._weigh(tile, scores, masked, lanes)
            if self._does(MatrixOp.OUT, tile):
                lanes.accumulators = add(np.zeros_like(scores), np.where(masked, np.float32(0), scores))
            if tile.ends_query and tile.spills:
                self.spilt[tile.head, tile.query_tile] = lanes
            elif tile.ends_result:
                self._drain(tile, lanes)
        rows = self.program.keys if self.program.has_tile_results else self.program.output_steps
        return Results(self.output[:, :rows, : self.program.queries], self.empty)

    def _fresh(self) -> _Lanes:
        columns = self.program.shape.columns
        zeros = np.zeros(columns, np.float32)
        accumulators = np.zeros((self.program.output_steps, columns), np.float32)
        return _Lanes(np.full(columns, LOWEST), zeros, zeros, accumulators)

    def _does(self, op: MatrixOp, tile: Tile) -> bool:
        """Tell whether an operation is done in the pass of a tile."""
        return bool(self.passes.get(op, 0) >> tile.pass_number & 1)

    def _scores(self, tile: Tile) -> tuple[Single, NDArray[np.bool_]]:
        """Return the scores of a tile (rows, columns), and which are masked."""
        shape = self.program.shape
        keys = self._rows("key", tile.key_head, tile.key_tile, shape.rows)
        queries = self._rows("query", tile.head, tile.query_tile, shape.columns)
        scores = np.zeros((shape.rows, shape.columns), np.float32)
        for step in range(self.program.product_steps):
            scores = multiply_add(keys[:, step, None], queries[None, :, step], scores, self.accumulation)
        return scores, mask_of(self.program, tile)

    def _rows(self, name: str, head: int, tile: int, count: int) -> Single:
        return self.operands[name][head, tile * count : (tile + 1) * count]

    def _weigh(self, tile: Tile, scores: Single, masked: NDArray[np.bool_], lanes: _Lanes) -> Single:
        """Take a tile of scores into the running state, and return what weights values."""
        old = lanes.maximum
        weights = np.where(masked, np.float32(0), self._weights(scores, masked, lanes))
        correction = self.in_lane.run(old, self._ups(lanes)) if self.is_corrected else None
        if self.sums is not None and self.sums.passes >> tile.pass_number & 1:
            total = self._summed(tile, self.sums, weights, masked)
            lanes.total = _updated(lanes.total, correction, total, is_first=tile.starts_pass and not tile.restores)
            lanes.captured = lanes.total if tile.captures else lanes.captured
        if self._does(MatrixOp.COMBINE, tile):
            found = self._combined(tile, weights, masked, slice(self.program.output_steps))
            factor = None if correction is None else correction[None, :]
            is_first = tile.starts_result and not tile.restores
            lanes.accumulators = _updated(lanes.accumulators, factor, found, is_first=is_first)
        return weights

    def _weights(self, scores: Single, masked: NDArray[np.bool_], lanes: _Lanes) -> Single:
        """Return exponentials less the maxima, which are updated; or sigmoids, or features."""
        if MatrixOp.MAXIMUM in self.passes:
            arriving = np.full(scores.shape[1], LOWEST)
            for row, own in enumerate(scores):
                arriving = np.where(masked[row], arriving, greater(arriving, own))
            lanes.maximum = greater(lanes.maximum, arriving)
        return self.in_pe.run(scores, self._ups(lanes), self.first_slot)

    def _ups(self, lanes: _Lanes) -> Mapping[Above, Single | float]:
        """Return what comes from above, or from the running state of the lanes themselves."""
        return {**self.program.constants, "maximum": lanes.maximum}

    def _summed(self, tile: Tile, sums: Field, weights: Single, masked: NDArray[np.bool_]) -> Single:
        """Return the sums of the columns: of weights as they are, or as an operand of the values weights them."""
        if sums.op == MatrixOp.COMBINE:
            (weighted,) = self._combined(tile, weights, masked, slice(sums.index, sums.index + 1))
            return weighted
        total = np.zeros(weights.shape[1], np.float32)
        for row in weights:
            total = add(total, row, self.accumulation)
        return total

    def _combined(self, tile: Tile, weights: Single, masked: NDArray[np.bool_], which: slice) -> Single:
        """Return the sums down the columns of products of weights with some operands of the values."""
        values = self._rows("value", tile.key_head, tile.key_tile, len(weights))[:, which]
        sums = np.zeros((values.shape[1], weights.shape[1]), np.float32)
        for row, own in enumerate(weights):
            found = multiply_add(values[row, :, None], own[None, :], sums, self.accumulation)
            sums = np.where(masked[row], sums, found)
        return sums

    def _drain(self, tile: Tile, lanes: _Lanes) -> None:
        shape = self.program.shape
        columns = slice(tile.query_tile * shape.columns, (tile.query_tile + 1) * shape.columns)
        first = tile.key_tile * shape.rows if self.program.has_tile_results else 0
        found = lanes.accumulators
        if self.program.is_divided:
            found, is_empty = quotient(found, np.broadcast_to(lanes.captured, found.shape))
            kept = min(shape.columns, self.program.queries - tile.query_tile * shape.columns)
            self.empty += int(is_empty[: self.program.result_rows(tile.key_tile), :kept].sum())
        self.output[tile.head, first : first + len(found), columns] = found


def _updated(before: Single, correction: Single | None, arriving: Single, *, is_first: bool) -> Single:
    if is_first:
        return add(np.zeros_like(arriving), arriving)
    return add(before, arriving) if correction is None else multiply_add(before, correction, arriving)
