"""The program of an array: a kernel table, loops, masks, and where tensors lie in memory.

Nothing else tells the cycle model or the sequencer what to do. Loops are loops, so a program does not grow with them.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from einsum_cascade.array.instruction import MatrixOp, Row
from einsum_cascade.array.numbers import Above, factors_of
from einsum_cascade.array.registers import Flag
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.array.visits import KeyBlock, Visits

__all__ = ["STATE_WORDS", "Layout", "Program", "Tile"]

STATE_WORDS = 2
"""Words of a column's running state after its accumulators: its sum, then its maximum."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a tensor lies in memory.

    Parameters
    ----------
    address
        Of its first byte.
    stride_bytes
        From one row to the next.
    head_stride_bytes
        From one head to the next.

    """

    address: int
    stride_bytes: int
    head_stride_bytes: int


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile of keys for a tile of queries, in order of execution.

    Parameters
    ----------
    number
        Of the tile, from 0.
    key_head, head
        Head of keys, and head of queries.
    query_tile, key_tile
        Which.
    pass_number
        Which pass over the keys, from 0.
    query_number, result_number
        Visits of query tiles (`array.visits`), and tiles of results, before this one, over all heads.
    starts_query, ends_query
        Whether it is the first or the last of its query tile's visit.
    restores, spills
        Whether running state is read back before the visit, or written to memory after it.
    starts_pass
        Whether it is the first of its pass.
    captures
        Whether the sums that it ends are those that results are divided by.
    starts_result, ends_result
        Whether it is the first or the last of its results.

    """

    number: int
    key_head: int
    head: int
    query_tile: int
    key_tile: int
    pass_number: int
    query_number: int
    result_number: int
    starts_query: bool
    ends_query: bool
    restores: bool
    spills: bool
    starts_pass: bool
    captures: bool
    starts_result: bool
    ends_result: bool


def _single(value: float) -> float:
    return struct.unpack("<f", struct.pack("<f", value))[0]


def _single_bits(value: float) -> int:
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    return bits


@dataclass(frozen=True)
class Program:
    """A program, checked by `array.program_rules.check_program`.

    Parameters
    ----------
    shape
        The array that it is for.
    kernel
        The rows of an interval.
    contexts, queue
        How many contexts and correction entries tiles take in turn.
    product_steps, output_steps
        E, and F.
    keys, queries
        M, and P, of a head.
    key_heads, group
        Heads of keys and values, and query heads for each.
    passes
        Over the keys, for a tile of queries.
    query, key, value, output
        Where they lie; `value` is None if there are none.
    state
        Where running state lies between the blocks of a head, `STATE_WORDS` rows more than results; None if there is
        none.
    is_resident
        Whether the keys and values of a block stay in the buffer for all queries of a head.
    block_tiles
        Key tiles of a block, of which each query tile takes its part before the next block; None where all of a head
        are one.
    is_divided
        Whether results are divided by the captured sums.
    has_tile_results
        Whether results leave after every key tile of the last pass.
    has_statistics
        Whether sums and maxima leave behind the results, as `STATE_WORDS` rows more.
    has_operand_rows
        Whether results leave in the operand format, a row for each query, so that another program can read them.
    saturates
        Whether results that are beyond that format become its greatest number, in place of infinite or NaN.
    scale, bias
        The exponential is of (score - maximum) * scale, the sigmoid of score * scale + bias; rounded where the array
        takes them.
    diagonal_high, diagonal_low
        Keys m > p + high, and m < p + low, are masked; None where there is no such mask.
    watchdog_cycles
        Standstill after which a run ends.

    """

    shape: ArrayShape
    kernel: tuple[Row, ...]
    contexts: int
    queue: int
    product_steps: int
    output_steps: int
    keys: int
    queries: int
    query: Layout
    key: Layout
    output: Layout
    value: Layout | None = None
    state: Layout | None = None
    key_heads: int = 1
    group: int = 1
    passes: int = 1
    is_resident: bool = True
    block_tiles: int | None = None
    is_divided: bool = False
    has_tile_results: bool = False
    has_statistics: bool = False
    has_operand_rows: bool = False
    saturates: bool = False
    scale: float = 1.0
    bias: float = 0.0
    diagonal_high: int | None = None
    diagonal_low: int | None = None
    watchdog_cycles: int = 100_000

    @property
    def interval(self) -> int:
        """Rows of the kernel, hence cycles from one tile to the next."""
        return len(self.kernel)

    @cached_property
    def stages(self) -> int:
        """Tiles that the kernel works on at a time."""
        return 1 + max((field.stage for row in self.kernel for field in (row.matrix, row.vector)), default=0)

    @property
    def key_tiles(self) -> int:
        """Tiles of the keys of a head."""
        return -(-self.keys // self.shape.rows)

    @property
    def query_tiles(self) -> int:
        """Tiles of the queries of a head."""
        return -(-self.queries // self.shape.columns)

    @property
    def key_beats(self) -> int:
        """Beats of a key, and of a query."""
        return self.shape.beats_of(self.product_steps)

    @cached_property
    def value_steps(self) -> int:
        """Operands of a value; 0 if there are none. It may have one more than leave, for the sums that divide them."""
        if self.value is None:
            return 0
        read = (row.matrix.index for row in self.kernel if row.matrix.op == MatrixOp.COMBINE)
        return max(self.output_steps, 1 + max(read, default=0))

    @property
    def value_beats(self) -> int:
        """Beats of a value; 0 if there are none."""
        return self.shape.beats_of(self.value_steps)

    @property
    def slot_beats(self) -> int:
        """Beats of a row's bank that a tile of keys and values takes."""
        return self.key_beats + self.value_beats

    @property
    def slots(self) -> int:
        """Tiles of keys and values that the buffer holds."""
        return self.shape.bank_beats // self.slot_beats

    @property
    def is_skipping(self) -> bool:
        """Whether key tiles that are masked as a whole are left out."""
        is_masked = self.diagonal_high is not None or self.diagonal_low is not None
        return is_masked and self.shape.rows == self.shape.columns

    @property
    def first_tile(self) -> int:
        """Where tiles are left out: query tile t starts at key tile `t + first_tile`, or at 0."""
        return -self.query_tiles if self.diagonal_low is None else self.diagonal_low // self.shape.rows

    @property
    def end_tile(self) -> int:
        """Where tiles are left out: query tile t ends before key tile `t + end_tile`, or at the last."""
        if self.diagonal_high is None:
            return self.key_tiles
        return (self.shape.columns - 1 + self.diagonal_high) // self.shape.rows + 1

    def key_range(self, query_tile: int) -> range:
        """Return the key tiles of a query tile; at least one, even if all of it is masked."""
        if not self.is_skipping:
            return range(self.key_tiles)
        first = min(max(0, query_tile + self.first_tile), self.key_tiles - 1)
        return range(first, max(first + 1, min(self.key_tiles, query_tile + self.end_tile)))

    @property
    def has_blocks(self) -> bool:
        """Whether the keys of a head are more than one block."""
        return self.block_tiles is not None and self.block_tiles < self.key_tiles

    @property
    def has_state(self) -> bool:
        """Whether running state leaves the array between blocks; results that leave all through a block have none."""
        return self.has_blocks and not self.has_tile_results

    @cached_property
    def blocks(self) -> tuple[KeyBlock, ...]:
        """The blocks of a head of keys."""
        tiles = self.block_tiles or self.key_tiles
        keys = (range(first, min(first + tiles, self.key_tiles)) for first in range(0, self.key_tiles, tiles))
        return tuple(KeyBlock(own, self._query_range(own)) for own in keys)

    def _query_range(self, keys: range) -> range:
        """Return the query tiles that have one of some key tiles: first and last key tile grow with the query tile."""
        if not self.is_skipping:
            return range(self.query_tiles)
        first = max(0, keys.start - max(self.first_tile, self.end_tile - 1)) if keys.start else 0
        end = self.query_tiles if keys.stop == self.key_tiles else keys.stop - self.first_tile
        return range(first, max(first, min(self.query_tiles, end)))

    @cached_property
    def visits(self) -> Visits:
        """The visits of query tiles to blocks, in order."""
        return Visits(self.blocks, self.key_range, self.key_heads, self.group)

    def key_sequence(self, query_tile: int) -> tuple[int, ...]:
        """Return the key tiles of a query tile in order, over all passes."""
        return self.passes * (*self.key_range(query_tile),)

    @property
    def captured_pass(self) -> int:
        """The pass whose sums divide the results: the one before the last if results leave all through the last."""
        return self.passes - 1 - (self.has_tile_results and self.passes > 1)

    @property
    def tile_count(self) -> int:
        """How many tiles there are, over all heads and passes: each key tile of a query tile is in one block."""
        own = sum(len(self.key_range(query_tile)) for query_tile in range(self.query_tiles))
        return self.key_heads * self.group * self.passes * own

    def tiles(self) -> Iterator[Tile]:
        """Yield all tiles in order of execution."""
        number = result = 0
        for query_number, visit in enumerate(self.visits):
            keys = visit.keys
            for pass_number, key_tile in product(range(self.passes), keys):
                starts, ends, is_last = key_tile == keys[0], key_tile == keys[-1], pass_number == self.passes - 1
                tile = Tile(
                    number=number,
                    key_head=visit.key_head,
                    head=visit.head,
                    query_tile=visit.query_tile,
                    key_tile=key_tile,
                    pass_number=pass_number,
                    query_number=query_number,
                    result_number=result,
                    starts_query=starts and pass_number == 0,
                    ends_query=ends and is_last,
                    restores=self.has_state and visit.is_resumed,
                    spills=self.has_state and visit.is_continued,
                    starts_pass=starts,
                    captures=ends and pass_number == self.captured_pass,
                    starts_result=is_last and (starts or self.has_tile_results),
                    ends_result=is_last and (ends or self.has_tile_results),
                )
                yield tile
                number += 1
                result += tile.ends_result

    @property
    def head_rows(self) -> int:
        """The rows of results of a head: words of a column, or one for every key."""
        return self.keys if self.has_tile_results else self.output_steps + STATE_WORDS * self.has_statistics

    def first_operand(self, key_tile: int) -> int:
        """Return which operand of a row of results its first word is, where results leave as operands."""
        return key_tile * self.shape.rows if self.has_tile_results else 0

    def result_rows(self, key_tile: int) -> int:
        """Return the rows of a tile of results: words of a column, or those of its key tile that have a key."""
        if not self.has_tile_results:
            return self.head_rows
        return min(self.shape.rows, self.keys - key_tile * self.shape.rows)

    @cached_property
    def has_maxima(self) -> bool:
        """Whether weights are exponentials of scores less their maxima."""
        return any(row.matrix.op == MatrixOp.MAXIMUM for row in self.kernel)

    @cached_property
    def constants(self) -> dict[Above, float]:
        """What the slots of functions take that is the same for all columns, in fp32.

        The scale of a program with maxima is in the factor of its exponentials; that of a sigmoid is not, for it has a
        slot of its own.
        """
        own, of_factor = (1.0, self.scale) if self.has_maxima else (self.scale, 1.0)
        factors = factors_of(of_factor, self.shape.numbers.operand_bits)
        return {"scale": _single(own), "bias": _single(self.bias), **factors}

    @property
    def flags(self) -> int:
        """The register `flags`."""
        chosen = {
            Flag.DIVIDE: self.is_divided,
            Flag.RESIDENT: self.is_resident,
            Flag.MASK_HIGH: self.diagonal_high is not None,
            Flag.MASK_LOW: self.diagonal_low is not None,
            Flag.SKIP: self.is_skipping,
            Flag.NO_VALUES: self.value is None,
            Flag.TILE_RESULTS: self.has_tile_results,
            Flag.STATISTICS: self.has_statistics,
            Flag.OPERAND_ROWS: self.has_operand_rows,
            Flag.SATURATE: self.saturates,
        }
        return sum(flag for flag, is_set in chosen.items() if is_set)

    @property
    def registers(self) -> dict[str, int]:
        """The value of every register that the host writes, by name; negative ones as they are."""
        names = "query", "key", "value", "output", "state"
        layouts: dict[str, Layout] = {name: getattr(self, name) or Layout(0, 0, 0) for name in names}
        return {
            "watchdog": self.watchdog_cycles,
            "interval": self.interval,
            "stages": self.stages,
            "contexts": self.contexts,
            "queue": self.queue,
            "slots": self.slots,
            "product_steps": self.product_steps,
            "output_steps": self.output_steps,
            "key_beats": self.key_beats,
            "value_beats": self.value_beats,
            "keys": self.keys,
            "key_tiles": self.key_tiles,
            "block_tiles": len(self.blocks[0].keys),
            "queries": self.queries,
            "query_tiles": self.query_tiles,
            "passes": self.passes,
            "key_heads": self.key_heads,
            "group": self.group,
            "flags": self.flags,
            **{name: _single_bits(value) for name, value in self.constants.items()},
            "diagonal_high": self.diagonal_high or 0,
            "diagonal_low": self.diagonal_low or 0,
            "first_tile": self.first_tile,
            "end_tile": self.end_tile,
            **{f"{name}_address": layout.address for name, layout in layouts.items()},
            **{f"{name}_stride": layout.stride_bytes for name, layout in layouts.items()},
            **{f"{name}_head_stride": layout.head_stride_bytes for name, layout in layouts.items()},
        }
