"""What the sequencer knows of a tile in flight, worked out once as the tile starts."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from einsum_cascade.array.instruction import PASSES
from einsum_cascade.array.registers import Flag
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl.links import address_bits, bound_shape, counter_bits
from einsum_cascade.rtl.tile_loops import TileLoops
from einsum_cascade.rtl.visit_loops import TILE_BITS, LoopBounds

__all__ = ["COUNT_BITS", "TileLayout", "TileStates"]

COUNT_BITS = TILE_BITS
"""Of ordinals of tiles, which are compared modulo their range."""


class TileLayout(data.StructLayout):
    """A tile in flight: where it is, what masks it, and what waits for it; `pass_bit` has the bit of its pass."""

    def __init__(self, shape: ArrayShape) -> None:
        """Take the array."""
        super().__init__(
            {
                "is_valid": 1,
                "context": address_bits(shape.contexts),
                "entry": address_bits(shape.queue),
                "slot_beat": address_bits(shape.bank_beats),
                "low": bound_shape(shape),
                "high": bound_shape(shape),
                "rows": counter_bits(shape.rows),
                "pass_bit": PASSES,
                "starts_pass": 1,
                "captures": 1,
                "starts_result": 1,
                "ends_result": 1,
                "starts_query": 1,
                "ends_query": 1,
                "restores": 1,
                "spills": 1,
                "result": COUNT_BITS,
                "query": COUNT_BITS,
                "state": COUNT_BITS,
                "key": COUNT_BITS,
                "releases_keys": 1,
                "keys_released": COUNT_BITS,
                "head": COUNT_BITS,
                "query_tile": COUNT_BITS,
                "key_tile": COUNT_BITS,
            }
        )


class TileStates(wiring.Component):
    """The tiles of a program, one after another, as the sequencer needs them.

    Members
    -------
    bounds, restart, advance, is_done
        As of `TileLoops`.
    contexts, queue, slots, slot_beats, keys, diagonal_high, diagonal_low
        From the registers.
    tile
        The tile; not valid if there is none.

    Timing
    ------
    As of `TileLoops`.

    """

    def __init__(self, shape: ArrayShape) -> None:
        """Take the array."""
        self.shape = shape
        super().__init__(
            {
                "bounds": In(LoopBounds()),
                "contexts": In(8),
                "queue": In(8),
                "slots": In(COUNT_BITS),
                "slot_beats": In(16),
                "keys": In(32),
                "diagonal_high": In(signed(32)),
                "diagonal_low": In(signed(32)),
                "restart": In(1),
                "advance": In(1),
                "is_done": Out(1),
                "tile": Out(TileLayout(shape)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the counters beside the loops."""
        m = Module()
        m.submodules.loops = loops = TileLoops()
        wiring.connect(m, wiring.flipped(self.bounds), loops.bounds)
        tile, flags = self.tile, self.bounds.flags
        is_resident = Signal()
        has_tile_results = Signal()
        captured_pass = Signal(2)
        m.d.comb += [
            is_resident.eq((flags & Flag.RESIDENT) != 0),
            has_tile_results.eq((flags & Flag.TILE_RESULTS) != 0),
            loops.restart.eq(self.restart),
            loops.advance.eq(self.advance),
            self.is_done.eq(loops.is_done),
            tile.is_valid.eq(~loops.is_done),
            tile.pass_bit.eq(1 << loops.pass_number),
            tile.starts_pass.eq(loops.starts_pass),
            captured_pass.eq(self.bounds.passes - 1 - (has_tile_results & (self.bounds.passes > 1))),
            tile.captures.eq(loops.ends_pass & (loops.pass_number == captured_pass)),
            tile.starts_result.eq(loops.is_last_pass & (loops.starts_pass | has_tile_results)),
            tile.ends_result.eq(loops.is_last_pass & (loops.ends_pass | has_tile_results)),
            tile.starts_query.eq(loops.starts_query),
            tile.ends_query.eq(loops.ends_query),
            tile.restores.eq(loops.restores),
            tile.spills.eq(loops.spills),
            tile.head.eq(loops.head),
            tile.query_tile.eq(loops.query_tile),
            tile.key_tile.eq(loops.key_tile),
        ]
        self._turns(m)
        self._ordinals(m, loops)
        self._buffer(m, loops, is_resident)
        self._mask(m, loops)
        return m

    def _turns(self, m: Module) -> None:
        """Contexts and queue entries are taken in turn."""
        for name, count in (("context", self.contexts), ("entry", self.queue)):
            field = getattr(self.tile, name)
            turn = Signal(len(field), name=f"{name}_turn")
            m.d.comb += field.eq(turn)
            with m.If(self.restart):
                m.d.sync += turn.eq(0)
            with m.Elif(self.advance):
                m.d.sync += turn.eq(Mux(turn + 1 == count, 0, turn + 1))

    def _ordinals(self, m: Module, loops: TileLoops) -> None:
        tile = self.tile
        ends_of = (
            ("query", tile.ends_query),
            ("result", tile.ends_result),
            ("state", tile.ends_query & tile.restores),
        )
        for name, ends in ends_of:
            ordinal = Signal(COUNT_BITS, name=f"{name}_ordinal")
            m.d.comb += getattr(tile, name).eq(ordinal)
            with m.If(self.restart):
                m.d.sync += ordinal.eq(0)
            with m.Elif(self.advance & ends):
                m.d.sync += ordinal.eq(ordinal + 1)

    def _buffer(self, m: Module, loops: TileLoops, is_resident: Signal) -> None:
        """Tiles of keys take slots of the buffer in order: per block where they stay, else one after another."""
        tile = self.tile
        base = Signal(COUNT_BITS)
        base_slot = Signal(COUNT_BITS)
        slot = Signal(COUNT_BITS)
        step = Mux(is_resident, loops.block_count, 1)
        after = base_slot + step
        ends_block = loops.ends_query & loops.ends_block
        offset = Mux(is_resident, loops.key_tile - loops.block_first, 0)[:COUNT_BITS]
        within = base_slot + offset
        m.d.comb += [
            slot.eq(Mux(within >= self.slots, within - self.slots, within)),
            tile.slot_beat.eq(slot * self.slot_beats),
            tile.key.eq(base + offset),
            tile.releases_keys.eq(~is_resident | (loops.ends_block & loops.is_last_pass)),
            tile.keys_released.eq(Mux(is_resident & loops.ends_query, base + loops.block_count, tile.key + 1)),
        ]
        with m.If(self.restart):
            m.d.sync += [base.eq(0), base_slot.eq(0)]
        with m.Elif(self.advance & (~is_resident | ends_block)):
            m.d.sync += [base.eq(base + step), base_slot.eq(Mux(after >= self.slots, after - self.slots, after))]

    def _mask(self, m: Module, loops: TileLoops) -> None:
        shape, tile, flags = self.shape, self.tile, self.bounds.flags
        m_base = Signal(signed(34))
        p_base = Signal(signed(34))
        low = Signal(signed(36))
        high = Signal(signed(36))
        rows = Signal(signed(36))
        m.d.comb += [
            m_base.eq(loops.key_tile * shape.rows),
            p_base.eq(loops.query_tile * shape.columns),
            low.eq(m_base - p_base - self.diagonal_high),
            high.eq(m_base - p_base - self.diagonal_low + 1),
            rows.eq(self.keys.as_signed() - m_base),
        ]
        for field, value, flag, free in (
            (tile.low, low, Flag.MASK_HIGH, -shape.rows),
            (tile.high, high, Flag.MASK_LOW, shape.columns),
        ):
            with m.If((flags & flag) == 0):
                m.d.comb += field.eq(free)
            with m.Elif(value > shape.columns):
                m.d.comb += field.eq(shape.columns)
            with m.Elif(value < -shape.rows):
                m.d.comb += field.eq(-shape.rows)
            with m.Else():
                m.d.comb += field.eq(value)
        m.d.comb += tile.rows.eq(Mux(rows > shape.rows, shape.rows, rows))
