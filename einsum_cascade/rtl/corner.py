"""What leaves the corner in a cycle: a microinstruction with all that the array needs to know of its tile."""

from amaranth import signed
from amaranth.lib import data

from einsum_cascade.program.instruction import INDEX_BITS
from einsum_cascade.program.shape import ArrayShape

__all__ = ["BEAT_BITS", "TURN_BITS", "corner_layout", "counter_bits", "matrix_members", "vector_layout"]

BEAT_BITS, TURN_BITS = 24, 6
"""Of the address of a beat in a bank, and of contexts and queue entries."""


def counter_bits(shape: ArrayShape) -> int:
    """Return the bits of a signed number from -n to 2 n, n the rows or the columns."""
    return max(shape.rows, shape.columns).bit_length() + 2


def matrix_members(shape: ArrayShape) -> dict[str, object]:
    """Return what goes down the row feeders.

    `index` is an exponential slot, the operand of a product, or how far below the row is whose scores leave; `beat` is
    where a bank has the operand; `low` and `high` say how many columns on the left are masked, and are kept, `rows` how
    many rows from this one on have a key.
    """
    count = signed(counter_bits(shape))
    return {
        "op": 4,
        "index": INDEX_BITS,
        "context": TURN_BITS,
        "beat": BEAT_BITS,
        "low": count,
        "high": count,
        "rows": count,
    }


def vector_layout() -> data.StructLayout:
    """Return what goes along the vector row."""
    members = {"op": 4, "index": INDEX_BITS, "entry": TURN_BITS, "bank": 1, "starts_result": 1, "ends_result": 1}
    return data.StructLayout(members)


def corner_layout(shape: ArrayShape) -> data.StructLayout:
    """Return the word at the corner; `query_bank` is the place of the queries in the files."""
    matrix = data.StructLayout(matrix_members(shape))
    return data.StructLayout({"matrix": matrix, "query_bank": 1, "vector": vector_layout()})
