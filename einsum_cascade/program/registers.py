"""The register map of the array's AXI4-Lite port: control, status, counters, and the parameters of a program.

One table that the RTL, the bench's driver and the documentation are made from. All registers are 32 bits wide.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

__all__ = [
    "KERNEL_OFFSET",
    "MOST_BYTES",
    "MOST_HEADS",
    "MOST_TILES",
    "REGISTERS",
    "ErrorCode",
    "Flag",
    "Register",
    "Waiting",
    "offset_of",
]

MOST_TILES = (1 << 23) - 1
"""Tiles of keys, and of queries: the array counts them in 24 bits, and differences of them have a sign."""

MOST_HEADS = (1 << 24) - 1
"""Query heads: the array counts them in 24 bits."""

MOST_BYTES = 1 << 32
"""Bytes of memory: addresses have 32 bits."""

type Access = Literal["read", "write"]


@dataclass(frozen=True, slots=True)
class Register:
    """A register.

    Parameters
    ----------
    name
        Its name.
    access
        `write`: the host writes it, and reads back what it wrote. `read`: the array writes it.
    text
        What it holds.

    """

    name: str
    access: Access
    text: str


class ErrorCode(IntEnum):
    """Bits 15..8 of `status`: why a run ended early, or did not begin."""

    NONE = 0
    EMPTY = 1
    """A loop of the program has no iteration, the kernel has no row, or a row of operands no beat."""
    TOO_LARGE = 2
    """The program asks for more rows, contexts, queue entries, buffer, beats, words or tiles than the array has."""
    READ_ERROR = 3
    """Memory answered a read with an error."""
    WRITE_ERROR = 4
    """Memory answered a write with an error."""
    WATCHDOG = 5
    """Nothing happened for `watchdog` cycles; `waiting` says what waits for what."""
    READ_PROTOCOL = 6
    """A read burst was shorter or longer than asked for."""
    INCONSISTENT = 7
    """`key_tiles` is not ceil(keys / rows), or `query_tiles` is not ceil(queries / columns)."""
    MISALIGNED = 8
    """An address or a stride is not whole beats, or one of the results not whole query tiles of a row of them."""
    UNSETTLED = 9
    """The start was refused, for what an earlier run asked of memory has not come back: bit 2 of `status`."""


class Waiting(IntEnum):
    """Bits of `waiting`: what the array was waiting for when it last stood still."""

    KEYS = 1
    """The sequencer, for keys and values in the buffer."""
    QUERIES = 2
    """The sequencer, for queries in the query files."""
    DRAIN = 4
    """The sequencer, for results of an earlier query tile to leave."""
    READ_ADDRESS = 8
    """A loader, for memory to take an address."""
    READ_DATA = 16
    """A loader, for memory to send data."""
    WRITE = 32
    """The drain, for memory to take an address or data, or to acknowledge."""
    STATE = 64
    """The sequencer, for the running state of a query tile to come back from memory."""


REGISTERS: tuple[Register, ...] = (
    Register("control", "write", "Bit 0 starts a run; reads as 0."),
    Register("status", "read", "Bit 0 busy, bit 1 done, bit 2 unsettled, bits 15..8 the error code."),
    Register("waiting", "read", "What the array waited for when it last stood still, bits of `Waiting`."),
    Register("cycles", "read", "From the first instruction leaving the corner to the last lane having done the last."),
    Register("total_cycles", "read", "From the start until memory has all results, loads included."),
    Register("stalls_keys", "read", "Cycles of `cycles` in which the corner waited for keys and values."),
    Register("stalls_queries", "read", "Cycles in which it waited for queries."),
    Register("stalls_drain", "read", "Cycles in which it waited for results to leave."),
    Register("stalls_state", "read", "Cycles in which it waited for running state to come back."),
    Register("matrix_busy", "read", "Matrix instructions that left the corner."),
    Register("vector_busy", "read", "Vector instructions that left the corner."),
    Register("empty_columns", "read", "Results whose denominator was 0: of a query without keys, all its words."),
    Register("watchdog", "write", "Cycles of standstill after which a run ends."),
    Register("interval", "write", "Rows of the kernel table."),
    Register("stages", "write", "Tiles that the kernel works on at a time: 1 + the greatest stage of a row."),
    Register("contexts", "write", "Contexts per PE that tiles take in turn."),
    Register("queue", "write", "Entries of a lane's correction queue that tiles take in turn."),
    Register("slots", "write", "Tiles of keys and values that the buffer holds."),
    Register("product_steps", "write", "E: operands of a key and of a query."),
    Register(
        "output_steps",
        "write",
        "F: words of a column that leave per query tile; operands of a value, which may have one more for sums.",
    ),
    Register("key_beats", "write", "Beats of a key, and of a query, in memory and in a bank."),
    Register("value_beats", "write", "Beats of a value; 0 if there are none."),
    Register("keys", "write", "M: keys of a head."),
    Register("key_tiles", "write", "ceil(M / rows)."),
    Register("block_tiles", "write", "Key tiles of a block, after which running state leaves; key_tiles if it stays."),
    Register("queries", "write", "P: queries of a head."),
    Register("query_tiles", "write", "ceil(P / columns)."),
    Register("passes", "write", "Passes over the keys for a tile of queries, at most 3."),
    Register("key_heads", "write", "Heads of keys and values."),
    Register("group", "write", "Query heads that share a head of keys and values."),
    Register("flags", "write", "Bits of `Flag`."),
    Register("scale", "write", "Of a sigmoid: what scores are multiplied by, fp32."),
    Register("bias", "write", "Of a sigmoid: what is added then, fp32."),
    Register("diagonal_high", "write", "Signed: keys m > p + diagonal_high are masked, if flagged."),
    Register("diagonal_low", "write", "Signed: keys m < p + diagonal_low are masked, if flagged."),
    Register("first_tile", "write", "Signed: query tile t starts at key tile max(0, t + first_tile), if flagged."),
    Register("end_tile", "write", "Signed: query tile t ends before key tile t + end_tile, if flagged."),
    Register("query_address", "write", "Byte address of the queries."),
    Register("key_address", "write", "Byte address of the keys."),
    Register("value_address", "write", "Byte address of the values."),
    Register("output_address", "write", "Byte address of the results, whole query tiles."),
    Register("state_address", "write", "Byte address of the running state between blocks, whole query tiles."),
    Register("query_stride", "write", "Bytes from one query to the next, whole beats."),
    Register("key_stride", "write", "Bytes from one key to the next, whole beats."),
    Register("value_stride", "write", "Bytes from one value to the next, whole beats."),
    Register(
        "output_stride",
        "write",
        "Bytes from word f of all queries to word f + 1; each query tile in its own power of two.",
    ),
    Register("state_stride", "write", "Bytes from word f of the running state of all queries to word f + 1."),
    Register("query_head_stride", "write", "Bytes from one query head to the next."),
    Register("key_head_stride", "write", "Bytes from one head of keys to the next."),
    Register("value_head_stride", "write", "Bytes from one head of values to the next."),
    Register("output_head_stride", "write", "Bytes from one query head of results to the next."),
    Register("state_head_stride", "write", "Bytes from one query head of running state to the next."),
)


class Flag(IntEnum):
    """Bits of the register `flags`."""

    DIVIDE = 1
    """Results are divided by the captured sums."""
    RESIDENT = 2
    """A block's tiles of keys stay in the buffer for all queries; otherwise each query tile reads them anew."""
    MASK_HIGH = 4
    """`diagonal_high` holds."""
    MASK_LOW = 8
    """`diagonal_low` holds."""
    SKIP = 16
    """`first_tile` and `end_tile` hold: tiles outside are masked as a whole and are not computed."""
    NO_VALUES = 32
    """There are no values: only keys are loaded."""
    TILE_RESULTS = 64
    """Results leave after every key tile of the last pass, word r being row r of it; `output_steps` is then rows."""


KERNEL_OFFSET = 0x4000
"""Byte offset of the kernel table: row r has its matrix word at 8 r and its vector word at 8 r + 4."""


def offset_of(name: str) -> int:
    """Return the byte offset of a register.

    Examples
    --------
    >>> offset_of("control"), offset_of("status")
    (0, 4)

    """
    return 4 * next(at for at, register in enumerate(REGISTERS) if register.name == name)
