"""What leaves the corner in a cycle: a microinstruction with all that the array needs to know of its tile."""

from amaranth.hdl import signed
from amaranth.lib import data

from einsum_cascade.program.instruction import INDEX_BITS
from einsum_cascade.program.shape import ArrayShape
from einsum_cascade.rtl.tile_state import counter_bits

__all__ = ["CornerLayout"]


class CornerLayout(data.StructLayout):
    """The word at the array's corner.

    Members
    -------
    op, index, context
        Of the array; the index is an exponential slot, or the row whose scores leave.
    is_first
        The index is 0.
    slot_beat
        First beat of the tile in every row's bank.
    is_value
        The operand is one of the value, not of the key.
    low, high, rows
        Masked columns of row 0 on the left, kept columns of row 0, and keys of the tile.
    query_bank
        Place of the query in the files.
    vector_op, vector_index, entry, bank, starts_result, ends_result
        Of the vector row.

    """

    def __init__(self, shape: ArrayShape) -> None:
        """Take the array."""
        count = signed(counter_bits(shape))
        super().__init__(
            {
                "op": 4,
                "index": INDEX_BITS,
                "context": 6,
                "is_first": 1,
                "slot_beat": 24,
                "is_value": 1,
                "low": count,
                "high": count,
                "rows": count,
                "query_bank": 1,
                "vector_op": 4,
                "vector_index": INDEX_BITS,
                "entry": 6,
                "bank": 1,
                "starts_result": 1,
                "ends_result": 1,
            }
        )
