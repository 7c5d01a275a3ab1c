"""The loops over tiles: what the sequencer computes next, and what a loader fetches next."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from einsum_cascade.program.registers import Flag

__all__ = ["LoopBounds", "TileLoops"]

_COUNT = 24


class LoopBounds(wiring.Signature):
    """What the loops run over, from the registers of the same names.

    Members
    -------
    key_heads, group, query_tiles, key_tiles, passes, first_tile, end_tile, flags
        As in the register map.

    """

    def __init__(self) -> None:
        """Name the members."""
        counts = ("key_heads", "group", "query_tiles", "key_tiles")
        super().__init__(
            {
                **{name: Out(_COUNT) for name in counts},
                "passes": Out(2),
                "first_tile": Out(signed(_COUNT)),
                "end_tile": Out(signed(_COUNT)),
                "flags": Out(8),
            }
        )


class TileLoops(wiring.Component):
    """Key head, member of the group, query tile, pass over the keys, key tile: one tile after another.

    Members
    -------
    bounds
        What the loops run over; constant from `restart` on.
    is_keys_only
        Leave the loops over queries and passes out: every tile of keys of a head once.
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
        It is the first, or the last, of its query tile.
    is_last_pass
        It is in the last pass of its query tile.
    ends_group
        Its query tile is the last of the last member of the group.

    Timing
    ------
    Outputs are of the current tile, and change in the cycle after `advance` or `restart`. After reset there is no tile.

    """

    def __init__(self) -> None:
        """Name the members."""
        super().__init__(
            {
                "bounds": In(LoopBounds()),
                "is_keys_only": In(1),
                "restart": In(1),
                "advance": In(1),
                "is_done": Out(1, init=1),
                **{name: Out(_COUNT) for name in ("key_head", "head", "query_tile", "key_tile")},
                "pass_number": Out(2),
                **{name: Out(1) for name in ("starts_pass", "ends_pass", "is_last_pass")},
                **{name: Out(1) for name in ("starts_query", "ends_query", "ends_group")},
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the counters."""
        m = Module()
        bounds = self.bounds
        member = Signal(_COUNT)
        is_last_query, is_last_member = Signal(), Signal()
        next_query = Signal(_COUNT)
        m.d.comb += [
            is_last_query.eq(self.is_keys_only | (self.query_tile + 1 == bounds.query_tiles)),
            is_last_member.eq(self.is_keys_only | (member + 1 == bounds.group)),
            self.is_last_pass.eq(self.is_keys_only | (self.pass_number + 1 == bounds.passes)),
            self.ends_group.eq(is_last_query & is_last_member),
            next_query.eq(Mux(is_last_query, 0, self.query_tile + 1)),
        ]
        first, end = self._range(m, self.query_tile, "now")
        next_first, _ = self._range(m, next_query, "next")
        m.d.comb += [
            self.starts_pass.eq(self.key_tile == first),
            self.ends_pass.eq(self.key_tile + 1 == end),
            self.starts_query.eq(self.starts_pass & (self.pass_number == 0)),
            self.ends_query.eq(self.ends_pass & self.is_last_pass),
        ]
        with m.If(self.restart):
            zero_first, _ = self._range(m, Signal(_COUNT, name="zero"), "zero")
            m.d.sync += [self.is_done.eq(0), self.key_head.eq(0), self.head.eq(0), member.eq(0)]
            m.d.sync += [self.query_tile.eq(0), self.pass_number.eq(0), self.key_tile.eq(zero_first)]
        with m.Elif(self.advance & ~self.ends_pass):
            m.d.sync += self.key_tile.eq(self.key_tile + 1)
        with m.Elif(self.advance & ~self.is_last_pass):
            m.d.sync += [self.key_tile.eq(first), self.pass_number.eq(self.pass_number + 1)]
        with m.Elif(self.advance):
            m.d.sync += [self.key_tile.eq(next_first), self.query_tile.eq(next_query), self.pass_number.eq(0)]
            with m.If(is_last_query):
                m.d.sync += [self.head.eq(self.head + 1), member.eq(Mux(is_last_member, 0, member + 1))]
            with m.If(self.ends_group):
                m.d.sync += self.key_head.eq(self.key_head + 1)
                with m.If(self.key_head + 1 == bounds.key_heads):
                    m.d.sync += self.is_done.eq(1)
        return m

    def _range(self, m: Module, query_tile: Signal, name: str) -> tuple[Signal, Signal]:
        """Return the first key tile of a query tile, and the one after its last."""
        bounds = self.bounds
        is_skipping = Signal(name=f"{name}_is_skipping")
        first, end = Signal(_COUNT, name=f"{name}_first"), Signal(_COUNT, name=f"{name}_end")
        low, high = Signal(signed(_COUNT + 1), name=f"{name}_low"), Signal(signed(_COUNT + 1), name=f"{name}_high")
        m.d.comb += [
            is_skipping.eq(((bounds.flags & Flag.SKIP) != 0) & ~self.is_keys_only),
            low.eq(query_tile + bounds.first_tile),
            high.eq(query_tile + bounds.end_tile),
            first.eq(0),
            end.eq(bounds.key_tiles),
        ]
        with m.If(is_skipping):
            with m.If(low >= bounds.key_tiles):
                m.d.comb += first.eq(bounds.key_tiles - 1)
            with m.Elif(low > 0):
                m.d.comb += first.eq(low)
            with m.If(high <= first):
                m.d.comb += end.eq(first + 1)
            with m.Elif(high < bounds.key_tiles):
                m.d.comb += end.eq(high)
        return first, end
