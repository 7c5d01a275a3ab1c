"""The loops over tiles: what the sequencer computes next, and what a loader fetches next."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from einsum_cascade.rtl.visit_loops import TILE_BITS, LoopBounds, VisitLoops

__all__ = ["TileLoops"]


class TileLoops(wiring.Component):
    """Key head, block, member of the group, query tile, pass over the keys, key tile: one tile after another.

    Members
    -------
    bounds
        What the loops run over; constant from `restart` on.
    is_keys_only
        Leave the loops over blocks, queries and passes out: every tile of keys of a head once.
    restart
        Go to the first tile.
    advance
        Go to the next tile.
    is_done
        There is no tile.
    key_head, head, query_tile, pass_number, key_tile
        Of the tile.
    starts_pass, ends_pass
        It is the first, or the last, of its pass.
    starts_query, ends_query
        It is the first, or the last, of the visit of its query tile.
    is_last_pass
        It is in the last pass of its query tile.
    restores, spills, block_first, block_count, ends_block
        Of the visit, as of `VisitLoops`.

    Timing
    ------
    Outputs are of the current tile, and change in the cycle after `advance` or `restart`. After reset there is no tile.

    """

    def __init__(self) -> None:
        """Name the members."""
        counts = "key_head", "head", "query_tile", "key_tile", "block_first", "block_count"
        places = "starts_pass", "ends_pass", "is_last_pass", "starts_query", "ends_query"
        super().__init__(
            {
                "bounds": In(LoopBounds()),
                "is_keys_only": In(1),
                "restart": In(1),
                "advance": In(1),
                "is_done": Out(1),
                **{name: Out(TILE_BITS) for name in counts},
                "pass_number": Out(2),
                **{name: Out(1) for name in (*places, "restores", "spills", "ends_block")},
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the counters within a visit."""
        m = Module()
        m.submodules.visits = visits = VisitLoops()
        wiring.connect(m, wiring.flipped(self.bounds), visits.bounds)
        names = "key_head", "head", "query_tile", "block_first", "block_count", "restores", "spills", "ends_block"
        m.d.comb += [
            *(getattr(self, name).eq(getattr(visits, name)) for name in (*names, "is_done")),
            *(visits.is_keys_only.eq(self.is_keys_only), visits.restart.eq(self.restart)),
            visits.advance.eq(self.advance & self.ends_query),
            self.is_last_pass.eq(self.is_keys_only | (self.pass_number + 1 == self.bounds.passes)),
            self.starts_pass.eq(self.key_tile == visits.first),
            self.ends_pass.eq(self.key_tile + 1 >= visits.end),
            self.starts_query.eq(self.starts_pass & (self.pass_number == 0)),
            self.ends_query.eq(self.ends_pass & self.is_last_pass),
        ]
        with m.If(self.restart):
            m.d.sync += [self.pass_number.eq(0), self.key_tile.eq(visits.next_first)]
        with m.Elif(self.advance & ~self.ends_pass):
            m.d.sync += self.key_tile.eq(self.key_tile + 1)
        with m.Elif(self.advance & ~self.is_last_pass):
            m.d.sync += [self.key_tile.eq(visits.first), self.pass_number.eq(self.pass_number + 1)]
        with m.Elif(self.advance):
            m.d.sync += [self.key_tile.eq(visits.next_first), self.pass_number.eq(0)]
        return m
