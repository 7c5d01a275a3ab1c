"""The values that an array computes, tile by tile, to the bit: what every PE and lane does, without when.

The order of operations is that of the program: products in order of their index, columns from the first row down, tiles
one after the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.program.instruction import MatrixOp, VectorOp
from einsum_cascade.program.ir import Program, Tile
from einsum_cascade.program.memory import rounded
from einsum_cascade.program.numbers import LANE_STEPS
from einsum_cascade.sim.arithmetic import LOWEST, Exponential, add, greater, multiply_add, quotient

__all__ = ["Results", "evaluate_program", "mask_of", "operands_of"]

type Single = NDArray[np.float32]


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
    accumulators: Single
    old: Single = field(default_factory=lambda: np.zeros(0, np.float32))


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
        self.in_pe = Exponential(shape.numbers, shape.numbers.steps)
        self.in_lane = Exponential(None, LANE_STEPS)
        ops = {(unit, f.op) for row in program.kernel for unit, f in (("m", row.matrix), ("v", row.vector))}
        self.has_scores_out = ("m", MatrixOp.OUT) in ops
        self.is_corrected = ("v", VectorOp.NUMERATOR) in ops
        heads = program.key_heads * program.group
        rows = program.key_tiles * shape.rows if program.has_tile_results else program.output_steps
        self.output = np.zeros((heads, rows, program.query_tiles * shape.columns), np.float32)
        self.empty = 0

    def run(self) -> Results:
        lanes: _Lanes | None = None
        for tile in self.program.tiles():
            if tile.starts_result or lanes is None:
                lanes = self._fresh()
            scores, masked = self._scores(tile)
            if self.has_scores_out:
                lanes.accumulators = add(np.zeros_like(scores), np.where(masked, np.float32(0), scores))
            else:
                self._attend(tile, scores, masked, lanes)
            if tile.ends_result:
                self._drain(tile, lanes)
        rows = self.program.keys if self.program.has_tile_results else self.program.output_steps
        return Results(self.output[:, :rows, : self.program.queries], self.empty)

    def _fresh(self) -> _Lanes:
        columns = self.program.shape.columns
        zeros = np.zeros(columns, np.float32)
        accumulators = np.zeros((self.program.output_steps, columns), np.float32)
        return _Lanes(np.full(columns, LOWEST), zeros, accumulators)

    def _scores(self, tile: Tile) -> tuple[Single, NDArray[np.bool_]]:
        """Return the scores of a tile (rows, columns), and which are masked."""
        shape = self.program.shape
        keys = self._rows("key", tile.key_head, tile.key_tile, shape.rows)
        queries = self._rows("query", tile.head, tile.query_tile, shape.columns)
        scores = np.zeros((shape.rows, shape.columns), np.float32)
        for step in range(self.program.product_steps):
            scores = multiply_add(keys[:, step, None], queries[None, :, step], scores)
        return scores, mask_of(self.program, tile)

    def _rows(self, name: str, head: int, tile: int, count: int) -> Single:
        return self.operands[name][head, tile * count : (tile + 1) * count]

    def _attend(self, tile: Tile, scores: Single, masked: NDArray[np.bool_], lanes: _Lanes) -> None:
        """Take a tile of scores into the running state."""
        rows, columns = scores.shape
        old = lanes.maximum
        arriving = np.full(columns, LOWEST)
        for row in range(rows):
            arriving = np.where(masked[row], arriving, greater(arriving, scores[row]))
        lanes.maximum = greater(old, arriving)
        weights = self.in_pe(scores, np.broadcast_to(lanes.maximum, scores.shape))
        weights = np.where(masked, np.float32(0), weights)
        values = self._rows("value", tile.key_head, tile.key_tile, rows)
        total = np.zeros(columns, np.float32)
        sums = np.zeros((self.program.output_steps, columns), np.float32)
        for row in range(rows):
            total = add(total, weights[row])
            more = multiply_add(values[row, :, None], weights[row][None, :], sums)
            sums = np.where(masked[row], sums, more)
        correction = self.in_lane(old, lanes.maximum)
        if tile.starts_result:
            zero = np.zeros_like(total)
            lanes.total, lanes.accumulators = add(zero, total), add(np.zeros_like(sums), sums)
        else:
            lanes.total = multiply_add(lanes.total, correction, total)
            lanes.accumulators = multiply_add(lanes.accumulators, correction[None, :], sums)

    def _drain(self, tile: Tile, lanes: _Lanes) -> None:
        shape = self.program.shape
        columns = slice(tile.query_tile * shape.columns, (tile.query_tile + 1) * shape.columns)
        first = tile.key_tile * shape.rows if self.program.has_tile_results else 0
        found = lanes.accumulators
        if self.program.is_divided:
            found, is_empty = quotient(found, np.broadcast_to(lanes.total, found.shape))
            kept = min(shape.columns, self.program.queries - tile.query_tile * shape.columns)
            self.empty += int(is_empty[:, :kept].sum())
        self.output[tile.head, first : first + len(found), columns] = found
