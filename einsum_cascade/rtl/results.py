"""A tile of results on its way: from the last instruction that writes it to the drain."""

from amaranth.lib import data

from einsum_cascade.rtl.tile_state import COUNT_BITS

__all__ = ["ResultLayout"]


class ResultLayout(data.StructLayout):
    """A tile of results, or the running state of a query tile, that will leave."""

    def __init__(self) -> None:
        """Name the fields."""
        super().__init__(
            {
                **dict.fromkeys(("head", "query_tile", "key_tile"), COUNT_BITS),
                **dict.fromkeys(("bank", "sum_bank", "is_state"), 1),
            }
        )
