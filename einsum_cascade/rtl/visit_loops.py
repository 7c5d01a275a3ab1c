"""The loops over blocks of keys and query tiles: what is read of queries and running state, and in what order."""

from amaranth import Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from einsum_cascade.array.registers import Flag

__all__ = ["TILE_BITS", "LoopBounds", "VisitLoops"]

TILE_BITS = 24
"""Of numbers of tiles."""


class LoopBounds(wiring.Signature):
    """What the loops run over, from the registers of the same names.

    Members
    -------
    key_heads, group, query_tiles, key_tiles, block_tiles, passes, first_tile, end_tile, flags
        As in the register map.

    """

    def __init__(self) -> None:
        """Name the members."""
        counts = ("key_heads", "group", "query_tiles", "key_tiles", "block_tiles")
        super().__init__(
            {
                **{name: Out(TILE_BITS) for name in counts},
                "passes": Out(2),
                "first_tile": Out(signed(TILE_BITS)),
                "end_tile": Out(signed(TILE_BITS)),
                "flags": Out(8),
            }
        )


class VisitLoops(wiring.Component):
    """Key head, block of key tiles, member of the group, query tile: one visit after another.

    Members
    -------
    bounds
        What the loops run over; constant from `restart` on.
    is_keys_only
        Leave the loops over blocks and queries out: a head of keys is one visit.
    restart
        Go to the first visit.
    advance
        Go to the next visit.
    is_done
        There is no visit.
    key_head, head, query_tile
        Of the visit.
    first, end
        Its first key tile, and the one after its last.
    next_first
        The first key tile of the next visit, or of the first one where they restart.
    block_first, block_count
        The first key tile of its block, and how many there are.
    restores, spills
        Its running state is read back before it, or written to memory after it.
    ends_block
        It is the last of its block.

    Timing
    ------
    Outputs are of the current visit, and change in the cycle after `advance` or `restart`. After reset there is none.

    """

    def __init__(self) -> None:
        """Name the members."""
        names = "key_head", "head", "query_tile", "first", "end", "next_first", "block_first", "block_count"
        super().__init__(
            {
                "bounds": In(LoopBounds()),
                "is_keys_only": In(1),
                "restart": In(1),
                "advance": In(1),
                "is_done": Out(1, init=1),
                **{name: Out(TILE_BITS) for name in names},
                **{name: Out(1) for name in ("restores", "spills", "ends_block")},
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the counters, and compare what a query tile needs with what its block has."""
        m = Module()
        bounds = self.bounds
        first_head = Signal(TILE_BITS)
        member = Signal(TILE_BITS)
        is_last_query = Signal()
        is_last_member = Signal()
        is_last_block = Signal()
        block_end = self._end_of_block(m, self.block_first, "now")
        next_block = Signal(TILE_BITS)
        next_end = self._end_of_block(m, next_block, "next")
        next_query = Signal(TILE_BITS)
        m.d.comb += [
            self.head.eq(first_head + member),
            self.block_count.eq(block_end - self.block_first),
            is_last_query.eq(self.is_keys_only | (self.query_tile + 1 >= self._end_of_queries(m, block_end))),
            is_last_member.eq(self.is_keys_only | (member + 1 == bounds.group)),
            is_last_block.eq(block_end == bounds.key_tiles),
            self.ends_block.eq(is_last_query & is_last_member),
        ]
        with m.If(~self.restart):
            m.d.comb += [
                next_block.eq(Mux(self.ends_block, Mux(is_last_block, 0, block_end), self.block_first)),
                next_query.eq(Mux(is_last_query, self._first_query(m, next_block), self.query_tile + 1)),
            ]
        self._visit(m, block_end, next_query, next_block, next_end)
        with m.If(self.restart):
            m.d.sync += [self.is_done.eq(0), self.key_head.eq(0), first_head.eq(0), member.eq(0)]
            m.d.sync += [self.block_first.eq(0), self.query_tile.eq(0)]
        with m.Elif(self.advance):
            m.d.sync += [self.query_tile.eq(next_query), self.block_first.eq(next_block)]
            with m.If(is_last_query):
                m.d.sync += member.eq(Mux(is_last_member, 0, member + 1))
            with m.If(self.ends_block & is_last_block):
                m.d.sync += [self.key_head.eq(self.key_head + 1), first_head.eq(first_head + bounds.group)]
                with m.If(self.key_head + 1 == bounds.key_heads):
                    m.d.sync += self.is_done.eq(1)
        return m

    def _visit(self, m: Module, block_end: Value, next_query: Value, next_block: Value, next_end: Value) -> None:
        """Say which key tiles the visit has, and whether its query tile has more."""
        bounds = self.bounds
        own_first, own_end = self._range(m, self.query_tile, "now")
        next_first, _ = self._range(m, next_query, "next")
        has_state = (bounds.flags & Flag.TILE_RESULTS) == 0
        m.d.comb += [
            self.first.eq(Mux(own_first < self.block_first, self.block_first, own_first)),
            self.end.eq(Mux(own_end > block_end, block_end, own_end)),
            self.next_first.eq(Mux(next_first < next_block, next_block, next_first)),
            self.restores.eq(has_state & (own_first < self.block_first)),
            self.spills.eq(has_state & (own_end > block_end)),
        ]

    def _end_of_block(self, m: Module, first: Signal, name: str) -> Signal:
        """Return the key tile after the last of a block."""
        bounds = self.bounds
        end = Signal(TILE_BITS, name=f"{name}_block_end")
        m.d.comb += end.eq(bounds.key_tiles)
        with m.If(~self.is_keys_only & (bounds.block_tiles < bounds.key_tiles - first)):
            m.d.comb += end.eq(first + bounds.block_tiles)
        return end

    def _first_query(self, m: Module, block_first: Value) -> Value:
        """Return the first query tile that has a key tile of a block."""
        bounds = self.bounds
        first = Signal(signed(TILE_BITS + 1))
        last_tile = bounds.end_tile - 1
        m.d.comb += first.eq(block_first - Mux(last_tile > bounds.first_tile, last_tile, bounds.first_tile))
        return Mux(self._is_skipping & (block_first != 0) & (first > 0), first[:TILE_BITS], 0)

    def _end_of_queries(self, m: Module, block_end: Value) -> Value:
        """Return the query tile after the last that has a key tile of a block."""
        bounds = self.bounds
        end = Signal(signed(TILE_BITS + 1))
        m.d.comb += end.eq(block_end - bounds.first_tile)
        is_earlier = self._is_skipping & (block_end != bounds.key_tiles) & (end < bounds.query_tiles)
        return Mux(is_earlier, Mux(end < 0, 0, end[:TILE_BITS]), bounds.query_tiles)

    @property
    def _is_skipping(self) -> Value:
        return ((self.bounds.flags & Flag.SKIP) != 0) & ~self.is_keys_only

    def _range(self, m: Module, query_tile: Value, name: str) -> tuple[Signal, Signal]:
        """Return the first key tile of a query tile, and the one after its last, over all blocks."""
        bounds = self.bounds
        first = Signal(TILE_BITS, name=f"{name}_first")
        end = Signal(TILE_BITS, name=f"{name}_end")
        low = Signal(signed(TILE_BITS + 1), name=f"{name}_low")
        high = Signal(signed(TILE_BITS + 1), name=f"{name}_high")
        m.d.comb += [
            low.eq(query_tile + bounds.first_tile),
            high.eq(query_tile + bounds.end_tile),
            first.eq(0),
            end.eq(bounds.key_tiles),
        ]
        with m.If(self._is_skipping):
            with m.If(low >= bounds.key_tiles):
                m.d.comb += first.eq(bounds.key_tiles - 1)
            with m.Elif(low > 0):
                m.d.comb += first.eq(low)
            with m.If(high <= first):
                m.d.comb += end.eq(first + 1)
            with m.Elif(high < bounds.key_tiles):
                m.d.comb += end.eq(high)
        return first, end
