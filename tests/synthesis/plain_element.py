"""A PE of a plain array for matrix products, to compare areas with: the array's own without what attention needs."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl.cuts import cuts_of
from einsum_cascade.rtl.floats import SINGLE_LAYOUT, number_layout, upper_bits
from einsum_cascade.rtl.links import address_bits
from einsum_cascade.rtl.multiply_add import MultiplyAdd, delayed

__all__ = ["PlainElement"]


class PlainElement(Component):
    """Multiplies what comes from the left and from above and adds it to a context; sends contexts down.

    Members
    -------
    left, right
        An instruction and an operand: `is_product`, with `is_first` of a sum, or `is_out`, with `is_own` of this row.
    up, down
        Operands and results.

    Timing
    ------
    That of `ProcessingElement`; it has no stage behind the multiply-add, for nothing becomes of a result.

    """

    def __init__(self, shape: ArrayShape) -> None:
        self._shape = shape
        link = data.StructLayout(
            {
                **dict.fromkeys(("is_product", "is_first", "is_out", "is_own"), 1),
                "context": address_bits(shape.contexts),
                "operand": number_layout(shape.numbers.operand_bits),
            }
        )
        super().__init__({"left": In(link), "right": Out(link), "up": In(SINGLE_LAYOUT), "down": Out(SINGLE_LAYOUT)})

    def elaborate(self, platform: object) -> Module:
        """Read the context, compute, and write back L cycles later."""
        m = Module()
        numbers, left, cuts = self._shape.numbers, self.left, cuts_of(self._shape.stages)
        m.submodules.contexts = memory = Memory(
            shape=SINGLE_LAYOUT, depth=1 << address_bits(self._shape.contexts), init=[]
        )
        read, write = memory.read_port(domain="comb"), memory.write_port()
        m.submodules.multiply_add = unit = MultiplyAdd(numbers.operand_bits, numbers.score_bits, cuts)
        going = Signal(data.StructLayout({"context": len(left.context), "is_product": 1, "passing": SINGLE_LAYOUT}))
        m.d.sync += self.right.eq(left)
        m.d.comb += [
            read.addr.eq(left.context),
            unit.operand.eq(left.operand),
            unit.score.eq(upper_bits(self.up.as_value(), numbers.score_bits)),
            unit.addend.eq(Mux(left.is_first, 0, read.data.as_value())),
            going.context.eq(left.context),
            going.is_product.eq(left.is_product),
            going.passing.eq(Mux(left.is_out & left.is_own, read.data.as_value(), self.up.as_value())),
        ]
        going = delayed(m, going, unit.latency)
        m.d.comb += [write.addr.eq(going.context), write.en.eq(going.is_product), write.data.eq(unit.result)]
        m.d.sync += self.down.eq(going.passing)
        return m
