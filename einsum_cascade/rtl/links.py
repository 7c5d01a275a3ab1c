"""What travels between the components of an array: the instruction word of the corner, and its parts.

Every word is a packed struct, the first field in the lowest bits, and all fields 0 mean that nothing is done.
"""

from enum import IntEnum

from amaranth import Mux, Shape, Value, signed
from amaranth.lib import data

from einsum_cascade.array.numbers import LANE_STEPS
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl.exponential import slot_bits
from einsum_cascade.rtl.floats import number_layout

__all__ = [
    "OP_BITS",
    "StateWord",
    "address_bits",
    "bank_address_bits",
    "bound_shape",
    "column_layout",
    "corner_layout",
    "counter_bits",
    "link_layout",
    "query_address_bits",
    "row_beat_bits",
    "row_layout",
    "vector_layout",
    "word_bits",
]

OP_BITS = 3


class StateWord(IntEnum):
    """What a word of a lane's running state is; the order is that in memory, with as many accumulators as there are."""

    ACCUMULATOR = 0
    SUM = 1
    MAXIMUM = 2

    @staticmethod
    def of(word: Value, accumulators: Value) -> Value:
        """Return what a word is."""
        rest = Mux(word == accumulators, StateWord.SUM, StateWord.MAXIMUM)
        return Mux(word < accumulators, StateWord.ACCUMULATOR, rest)


def address_bits(depth: int) -> int:
    """Return the bits of an index below depth, at least one."""
    return max(1, (depth - 1).bit_length())


def counter_bits(greatest: int) -> int:
    """Return the bits of a number from 0 to `greatest`."""
    return greatest.bit_length()


def bank_address_bits(shape: ArrayShape) -> int:
    """Return the bits of an operand's address in a bank: the operand in its beat below, the beat above."""
    return address_bits(shape.beat_operands) + address_bits(shape.bank_beats)


def query_address_bits(shape: ArrayShape) -> int:
    """Return the bits of an operand's address in a query file: the operand in its beat below, the beat above."""
    return address_bits(shape.beat_operands) + address_bits(2 * shape.key_beats)


def row_beat_bits(shape: ArrayShape) -> int:
    """Return the bits of a beat of a row of results: a word of all columns."""
    return address_bits(-(-shape.columns // shape.beat_words))


def word_bits(shape: ArrayShape) -> int:
    """Return the bits of the index of a word of a lane, or of a slot."""
    return max(slot_bits(LANE_STEPS), address_bits(shape.output_steps))


def link_layout(shape: ArrayShape) -> data.StructLayout:
    """Return what goes from a PE, or a row feeder, to the right.

    Members
    -------
    op : OP_BITS
        A `MatrixOp`.
    context : address_bits(contexts)
        Which context.
    flag : 1
        PRODUCT: index 0. OUT: this row.
    slot : slot_bits(steps)
        Of EXPONENTIAL.
    low, high : counter_bits(columns)
        A PE is masked if `low` > 0 or `high` is 0; both go on one less.
    operand : number_layout
        Key or value.

    """
    return data.StructLayout(
        {
            "op": OP_BITS,
            "context": address_bits(shape.contexts),
            "flag": 1,
            "slot": slot_bits(shape.numbers.steps),
            "low": counter_bits(shape.columns),
            "high": counter_bits(shape.columns),
            "operand": number_layout(shape.numbers.operand.mantissa_bits + 1),
        }
    )


def bound_shape(shape: ArrayShape) -> Shape:
    """Return the shape of a bound of columns: from -rows - columns to rows + columns."""
    return signed((shape.rows + shape.columns).bit_length() + 1)


def row_layout(shape: ArrayShape) -> data.StructLayout:
    """Return what goes from the corner down the row feeders.

    Members
    -------
    op : OP_BITS
        A `MatrixOp`.
    context : address_bits(contexts)
        Which context.
    is_first : 1
        PRODUCT: index 0.
    slot : slot_bits(steps)
        Of EXPONENTIAL.
    row : address_bits(rows)
        Of OUT: which row, counted from this one.
    address : bank_address_bits
        Of the operand in the bank.
    low, high : signed
        Columns j of this row with low <= j < high are not masked. The corner clamps to -rows..columns.
    rows : counter_bits(rows)
        How many rows from this one on are not masked as a whole.

    """
    return data.StructLayout(
        {
            "op": OP_BITS,
            "context": address_bits(shape.contexts),
            "is_first": 1,
            "slot": slot_bits(shape.numbers.steps),
            "row": address_bits(shape.rows),
            "address": bank_address_bits(shape),
            "low": bound_shape(shape),
            "high": bound_shape(shape),
            "rows": counter_bits(shape.rows),
        }
    )


def column_layout(shape: ArrayShape) -> data.StructLayout:
    """Return what goes from the corner to the right along the column tops.

    Members
    -------
    op, slot
        As in `row_layout`.
    address : query_address_bits
        Of the operand in the query file.
    queue : address_bits(queue)
        Entry of the correction queue that has the maximum of the tile.

    """
    return data.StructLayout(
        {
            "op": OP_BITS,
            "slot": slot_bits(shape.numbers.steps),
            "address": query_address_bits(shape),
            "queue": address_bits(shape.queue),
        }
    )


def vector_layout(shape: ArrayShape) -> data.StructLayout:
    """Return what goes along the lanes of the vector row.

    Members
    -------
    op : OP_BITS
        A `VectorOp`.
    index : word_bits
        Slot of CORRECTION, word of NUMERATOR and ADD.
    queue : address_bits(queue)
        Entry of the correction queue.
    is_first : 1
        Whether the operation begins anew, whatever was before.
    captures : 1
        Whether a sum is one that divides results.
    restores : 1
        Whether the operation goes on with running state that was read back.
    parity, sum_parity : 1
        Which bank of accumulators, and which captured sum and maximum.
    is_done : 1
        Whether this completes the results of the query tile.

    """
    return data.StructLayout(
        {
            "op": OP_BITS,
            "index": word_bits(shape),
            "queue": address_bits(shape.queue),
            "is_first": 1,
            "captures": 1,
            "restores": 1,
            "parity": 1,
            "sum_parity": 1,
            "is_done": 1,
        }
    )


def corner_layout(shape: ArrayShape) -> data.StructLayout:
    """Return the instruction word of the corner.

    Members
    -------
    row : row_layout
        For the row feeders; `op` and `slot` are those of the column tops too.
    query_address : query_address_bits
        Of the operand in the query files.
    queue : address_bits(queue)
        Entry of the correction queue of the tile in the array.
    vector : vector_layout
        For the lanes.

    """
    return data.StructLayout(
        {
            "row": row_layout(shape),
            "query_address": query_address_bits(shape),
            "queue": address_bits(shape.queue),
            "vector": vector_layout(shape),
        }
    )
