"""What the top refuses for its size: every number of a program at its limit, and just beyond it.

The limits are those of the array that the program is for: rows of its kernel table, contexts, tiles in flight (one more
than contexts, since a tile without one may leave the corner), queue, products, outputs, beats of a key, and the widths
of the counters.
"""

from types import SimpleNamespace

import numpy as np
from amaranth.hdl import Elaboratable, Module, Signal
from clocked import run_bench

from einsum_cascade.array.instruction import PASSES
from einsum_cascade.array.registers import Flag
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl.tile_state import COUNT_BITS
from einsum_cascade.rtl.top import Top

NAMES = (
    *("interval", "stages", "contexts", "queue", "product_steps", "output_steps", "passes", "key_beats"),
    *("value_beats", "slots", "flags", "key_tiles", "block_tiles", "query_tiles", "key_heads", "group"),
)


class Judge(Elaboratable):
    """The top's rule about sizes, by itself."""

    def __init__(self, shape: ArrayShape) -> None:
        self.control = SimpleNamespace(**{name: Signal(32, name=name) for name in NAMES})
        self.is_refused = Signal()
        self.shape = shape

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.is_refused.eq(Top._is_too_large(SimpleNamespace(_shape=self.shape), m, self.control))
        return m


def limits(shape: ArrayShape) -> dict[str, int]:
    longest = (1 << COUNT_BITS) - 1
    return {
        "interval": shape.kernel_rows,
        "stages": shape.contexts + 1,
        "contexts": shape.contexts,
        "queue": shape.queue,
        "product_steps": shape.product_steps,
        "output_steps": shape.output_steps,
        "passes": PASSES,
        "key_tiles": longest,
        "block_tiles": longest,
        "query_tiles": longest,
        "key_heads": longest,
        "group": longest,
        # The program has one slot, so that what all slots hold is not what decides.
        "key_beats": shape.key_beats,
    }


def test_every_number_is_refused_just_beyond_its_limit(seed: int) -> None:
    random = np.random.default_rng([seed, 470])
    for _ in range(6):
        shape = ArrayShape(
            4,
            4,
            contexts=int(random.integers(1, 9)),
            queue=int(random.integers(1, 9)),
            product_steps=int(random.integers(1, 200)),
            output_steps=int(random.integers(1, 200)),
            slots=int(random.integers(12, 20)),
            kernel_rows=int(random.integers(8, 600)),
        )
        judge = Judge(shape)

        async def check(ctx, judge=judge, shape=shape):
            small = dict.fromkeys(NAMES, 1) | {"value_beats": 0, "flags": int(Flag.RESIDENT)}

            async def refuses(**changed):
                for name, value in (small | changed).items():
                    ctx.set(getattr(judge.control, name), value)
                await ctx.tick()  # products have a cycle of their own
                return bool(ctx.get(judge.is_refused))

            assert not await refuses()
            for name, most in limits(shape).items():
                # Keys of a block that stay need a slot each; others, more slots than tiles are in flight.
                others = {"flags": 0, "slots": 2} if name == "block_tiles" else {}
                assert not await refuses(**{name: most}, **others), (name, most)
                for beyond in (most + 1, most + 2, 1 << 30, (1 << 32) - 1):
                    assert await refuses(**{name: beyond}, **others), (name, beyond)

        run_bench(judge, check)
