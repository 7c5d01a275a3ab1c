"""The register map of the array's AXI4-Lite port: control, status, counters, parameters of a program, capabilities.

One table that the RTL, the drivers, the headers and the documentation are made from. All registers are 32 bits wide.
"""

from dataclasses import dataclass
from typing import Literal

from einsum_cascade.array.instruction import INDEX_BITS, OP_BITS, PASSES, STAGE_BITS
from einsum_cascade.array.told import ToldEnum, told

__all__ = [
    "IDENTITY",
    "KERNEL_FIELDS",
    "KERNEL_OFFSET",
    "MOST_BYTES",
    "MOST_HEADS",
    "MOST_TILES",
    "REGISTERS",
    "VERSION",
    "WAITS",
    "BitField",
    "ErrorCode",
    "Flag",
    "Register",
    "Waiting",
    "counters",
    "field_of",
    "offset_of",
    "register_of",
]

MOST_TILES = (1 << 23) - 1
"""Tiles of keys, and of queries: the array counts them in 24 bits, and differences of them have a sign."""

MOST_HEADS = (1 << 24) - 1
"""Query heads: the array counts them in 24 bits."""

MOST_BYTES = 1 << 32
"""Bytes of memory: addresses have 32 bits."""

IDENTITY, VERSION = 0x45434153, (1, 0)
"""What an array says that it is, and of which major and minor version its register map is."""

type Access = Literal["read", "write", "clear", "constant"]


@dataclass(frozen=True, slots=True)
class BitField:
    """Bits of a word.

    Parameters
    ----------
    name
        Its name.
    low, bits
        Its lowest bit, and how many it has.
    text
        What it holds.

    """

    name: str
    low: int
    bits: int
    text: str

    @property
    def range(self) -> str:
        """The bits as documents name them, the highest first."""
        return str(self.low) if self.bits == 1 else f"{self.low + self.bits - 1}..{self.low}"

    def of(self, word: int) -> int:
        """Return the value that the field has in a word."""
        return word >> self.low & ((1 << self.bits) - 1)


@dataclass(frozen=True, slots=True)
class Register:
    """A register.

    Parameters
    ----------
    name
        Its name.
    access
        `write`: the host writes it, and reads back what it wrote. `read`: the array writes it. `clear`: the array sets
        bits, the host clears those that it writes as 1. `constant`: it says what the array is.
    text
        What it holds.
    fields
        Its bits, if it is no number.
    counted
        Where, if it counts what happens during a run: at the corner of the array, or over all of it.

    """

    name: str
    access: Access
    text: str
    fields: tuple[BitField, ...] = ()
    counted: Literal["", "corner", "array"] = ""


class ErrorCode(ToldEnum):
    """Bits 15..8 of `status`: why a run ended early, or did not begin."""

    NONE = told(0, "All is well.")
    EMPTY = told(1, "A loop of the program has no iteration, the kernel has no row, or a row of operands no beat.")
    TOO_LARGE = told(
        2, "The program asks for more rows, contexts, queue entries, buffer, beats, words or tiles than the array has."
    )
    READ_ERROR = told(3, "Memory answered a read with an error.")
    WRITE_ERROR = told(4, "Memory answered a write with an error.")
    WATCHDOG = told(5, "Nothing happened for `watchdog` cycles; `waiting` says what waits for what.")
    READ_PROTOCOL = told(6, "A read burst was shorter or longer than asked for.")
    INCONSISTENT = told(7, "`key_tiles` is not ceil(keys / rows), or `query_tiles` is not ceil(queries / columns).")
    MISALIGNED = told(
        8,
        "An address or a stride is not whole beats, or one of results in fp32 not whole query tiles of a row of them.",
    )
    UNSETTLED = told(
        9, "The start was refused, for what an earlier run asked of memory has not come back: bit 2 of `status`."
    )
    WRITE_REFUSED = told(
        10, "A register was written during the run; it kept what it held, and the run is as it would have been."
    )


class Waiting(ToldEnum):
    """Bits of `waiting`: what the array was waiting for when it last stood still."""

    KEYS = told(1, "The sequencer, for keys and values in the buffer.")
    QUERIES = told(2, "The sequencer, for queries in the query files.")
    DRAIN = told(4, "The sequencer, for results of an earlier query tile to leave.")
    READ_ADDRESS = told(8, "A loader, for memory to take an address.")
    READ_DATA = told(16, "A loader, for memory to send data.")
    WRITE = told(32, "The drain, for memory to take an address or data, or to acknowledge.")
    STATE = told(64, "The sequencer, for the running state of a query tile to come back from memory.")


class Flag(ToldEnum):
    """Bits of the register `flags`."""

    DIVIDE = told(1, "Results are divided by the captured sums.")
    RESIDENT = told(
        2, "A block's tiles of keys stay in the buffer for all queries; otherwise each query tile reads them anew."
    )
    MASK_HIGH = told(4, "`diagonal_high` holds.")
    MASK_LOW = told(8, "`diagonal_low` holds.")
    SKIP = told(16, "`first_tile` and `end_tile` hold: tiles outside are masked as a whole and are not computed.")
    NO_VALUES = told(32, "There are no values: only keys are loaded.")
    TILE_RESULTS = told(
        64,
        "Results leave after every key tile of the last pass, word r being row r of it; `output_steps` is then rows.",
    )
    STATISTICS = told(
        128, "Two words follow the results of a column: the captured sum, and the greatest score, neither divided."
    )
    OPERAND_ROWS = told(
        256, "Results leave in the operand format, a row for each query, as queries, keys and values lie in memory."
    )
    SATURATE = told(512, "Results beyond the operand format become its greatest number, not infinite or NaN.")


def _flags_of(names: type[ToldEnum]) -> tuple[BitField, ...]:
    return tuple(BitField(each.name.lower(), each.bit_length() - 1, 1, each.text) for each in names)


def _packed(*fields: tuple[str, int, str]) -> tuple[BitField, ...]:
    """Return fields one above the other."""
    found: list[BitField] = []
    low = 0
    for name, bits, text in fields:
        found.append(BitField(name, low, bits, text))
        low += bits
    return tuple(found)


KERNEL_FIELDS = _packed(
    ("op", OP_BITS, "The operation: of `MatrixOp` in the first word of a row, of `VectorOp` in the second."),
    ("stage", STAGE_BITS, "How many tiles behind the newest one it works."),
    ("index", INDEX_BITS, "Its index: of an operand, a word, a slot or a row."),
    ("passes", PASSES, "In which passes over the keys it is done: bit n for pass n."),
)
"""The bits of a word of the kernel table."""

_STATUS = (
    BitField("busy", 0, 1, "A run is on: registers of a program take no writes."),
    BitField("done", 1, 1, "A run has ended, or was refused."),
    BitField("unsettled", 2, 1, "What a run asked of memory has not come back: no start is taken."),
    BitField("error", 8, 8, "Why, as `ErrorCode`."),
)
_FORMATS = (
    *(
        (f"{what}_{part}", bits, f"{part.capitalize()} bits of {of}.")
        for what, of in (("operand", "queries, keys and values"), ("score", "exponentials"), ("sum", "accumulation"))
        for part, bits in (("exponent", 4), ("mantissa", 5))
    ),
    ("multiplier", 2, "Of a PE: 0 narrow, 1 mixed, 2 wide."),
    ("sigmoid", 1, "PEs have the slots of a sigmoid."),
    ("feature_map", 1, "PEs have the slots of a feature map."),
)

WAITS = {
    "keys": "Cycles of `cycles` in which the corner waited for keys and values.",
    "queries": "Cycles in which it waited for queries.",
    "drain": "Cycles in which it waited for results to leave.",
    "state": "Cycles in which it waited for running state to come back.",
}
"""What the corner may wait for; where it waits for several, the first counts."""

_COUNTERS = (
    Register(
        "cycles",
        "read",
        "From the first instruction leaving the corner to the last lane having done the last.",
        counted="corner",
    ),
    Register("total_cycles", "read", "From the start until memory has all results, loads included.", counted="array"),
    *(Register(f"stalls_{what}", "read", text, counted="corner") for what, text in WAITS.items()),
    Register("matrix_busy", "read", "Matrix instructions that left the corner.", counted="corner"),
    Register("vector_busy", "read", "Vector instructions that left the corner.", counted="corner"),
    Register(
        "empty_columns",
        "read",
        "Results whose denominator was 0: of a query without keys, all its words.",
        counted="array",
    ),
)

REGISTERS: tuple[Register, ...] = (
    Register("control", "write", "Reads as 0.", (BitField("start", 0, 1, "1 starts a run."),)),
    Register("status", "read", "How the array is, and how the last run ended.", _STATUS),
    Register("waiting", "read", "What the array waited for when it last stood still.", _flags_of(Waiting)),
    *_COUNTERS,
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
    Register("flags", "write", "What kind of program it is.", _flags_of(Flag)),
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
    Register(
        "interrupt_enable", "write", "Written at any time.", (BitField("done", 0, 1, "`irq` is high while `done` is."),)
    ),
    Register(
        "interrupt", "clear", "Cleared by a start, too.", (BitField("done", 0, 1, "A run has ended, or was refused."),)
    ),
    Register("identity", "constant", "0x45434153, the letters ECAS: this map is of such an array."),
    Register(
        "version",
        "constant",
        "Of this map.",
        _packed(("minor", 16, "More where there was nothing."), ("major", 16, "Another meaning of what there was.")),
    ),
    Register(
        "size", "constant", "The grid.", _packed(("rows", 16, "Rows of PEs."), ("columns", 16, "Columns of PEs."))
    ),
    Register(
        "depth",
        "constant",
        "What is in flight.",
        _packed(
            ("stages", 8, "Stages of a multiply-add."),
            ("contexts", 8, "Contexts of a PE; a kernel has at most one stage more."),
            ("queue", 8, "Entries of a lane's correction queue."),
            ("dividers", 8, "Quotients a cycle."),
        ),
    ),
    Register(
        "steps",
        "constant",
        "The longest operands; more are refused.",
        _packed(
            ("product_steps", 16, "E: operands of a key and of a query."),
            ("output_steps", 16, "F: words of a column, and operands of a value."),
        ),
    ),
    Register(
        "tables",
        "constant",
        "What programs may have.",
        _packed(
            ("kernel_rows", 16, "Rows of the kernel table."),
            ("beat_bytes", 8, "Bytes of a beat of memory."),
            ("passes", 8, "Passes over the keys."),
        ),
    ),
    Register(
        "bank_beats", "constant", "Beats of a row's bank, which slots times the beats of key and value may not exceed."
    ),
    Register("formats", "constant", "The numbers of the array.", _packed(*_FORMATS)),
    Register(
        "factor", "write", "Of an exponential: what differences are multiplied by, log2(e) times their scale, fp32."
    ),
    Register("factor_high", "write", "`factor` rounded to the bits of a multiplier that is not wide, fp32."),
    Register("factor_low", "write", "`factor` less `factor_high`, rounded to as many, fp32."),
)


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


def register_of(name: str) -> Register:
    """Return a register."""
    return next(register for register in REGISTERS if register.name == name)


def field_of(name: str, field: str) -> BitField:
    """Return a field of a register.

    Examples
    --------
    >>> field_of("status", "error").range
    '15..8'

    """
    return next(each for each in register_of(name).fields if each.name == field)


def counters(where: Literal["corner", "array"]) -> tuple[str, ...]:
    """Return the registers that count at the corner of the array, or over all of it.

    Examples
    --------
    >>> counters("array")
    ('total_cycles', 'empty_columns')

    """
    return tuple(register.name for register in REGISTERS if register.counted == where)
