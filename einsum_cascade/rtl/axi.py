"""The buses of the array: an AXI4 master for memory, and AXI4-Lite for control (Arm IHI 0022, AMBA AXI)."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = [
    "ADDRESS_BITS",
    "BURST_INCREMENT",
    "LITE_ADDRESS_BITS",
    "OKAY",
    "SUBORDINATE_ERROR",
    "LiteSignature",
    "MemorySignature",
]

ADDRESS_BITS, LITE_ADDRESS_BITS, _ID_BITS = 32, 16, 4
BURST_INCREMENT = 1
OKAY, SUBORDINATE_ERROR = 0, 2


class MemorySignature(wiring.Signature):
    """AXI4 as the master sees it; names are those of the standard.

    Members
    -------
    ar*, r*, aw*, w*, b*
        The five channels. All reads have one ID, so that data arrives in the order of the addresses.

    """

    def __init__(self, beat_bytes: int) -> None:
        """Take the bytes of a beat."""
        members: dict[str, wiring.Member] = {}
        for channel in ("ar", "aw"):
            members |= {
                f"{channel}valid": Out(1),
                f"{channel}ready": In(1),
                f"{channel}id": Out(_ID_BITS),
                f"{channel}addr": Out(ADDRESS_BITS),
                f"{channel}len": Out(8),
                f"{channel}size": Out(3),
                f"{channel}burst": Out(2),
            }
        members |= {"rvalid": In(1), "rready": Out(1), "rid": In(_ID_BITS), "rdata": In(8 * beat_bytes)}
        members |= {"rresp": In(2), "rlast": In(1)}
        members |= {"wvalid": Out(1), "wready": In(1), "wdata": Out(8 * beat_bytes), "wstrb": Out(beat_bytes)}
        members |= {"wlast": Out(1), "bvalid": In(1), "bready": Out(1), "bid": In(_ID_BITS), "bresp": In(2)}
        super().__init__(members)


class LiteSignature(wiring.Signature):
    """AXI4-Lite as the subordinate sees it, 32 bits wide."""

    def __init__(self) -> None:
        """Name the channels."""
        super().__init__(
            {
                "awvalid": In(1),
                "awready": Out(1),
                "awaddr": In(LITE_ADDRESS_BITS),
                "wvalid": In(1),
                "wready": Out(1),
                "wdata": In(32),
                "wstrb": In(4),
                "bvalid": Out(1),
                "bready": In(1),
                "bresp": Out(2),
                "arvalid": In(1),
                "arready": Out(1),
                "araddr": In(LITE_ADDRESS_BITS),
                "rvalid": Out(1),
                "rready": In(1),
                "rdata": Out(32),
                "rresp": Out(2),
            }
        )
