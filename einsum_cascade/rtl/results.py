"""A tile of results on its way: from the last instruction that writes it to the drain."""

from amaranth.lib import data

from einsum_cascade.rtl.tile_state import COUNT_BITS

__all__ = ["ResultLayout"]


class ResultLayout(data.StructLayout):
    """A tile of results that will leave."""

    def __init__(self) -> None:
        """Name the fields."""
        super().__init__(
            {"head": COUNT_BITS, "query_tile": COUNT_BITS, "key_tile": COUNT_BITS, "bank": 1, "sum_bank": 1}
        )
