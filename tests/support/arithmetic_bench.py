"""The arithmetic of the array, everything on the same inputs, compiled once for all tests that need it."""

from functools import cache

from amaranth import Module
from amaranth.lib.wiring import Component, In, Out
from verilated import Columns, Verilated, compile_component

from einsum_cascade.formats import Format, parse_format
from einsum_cascade.rtl.cuts import cuts_of
from einsum_cascade.rtl.divider import DIVIDER_LATENCY, Divider
from einsum_cascade.rtl.floats import Decoder, Encoder, HighPiece, LowPiece, Rounder, upper_bits
from einsum_cascade.rtl.maximum import Maximum
from einsum_cascade.rtl.multiply_add import MultiplyAdd

__all__ = ["FORMATS", "MULTIPLY_ADDS", "PIECES", "run"]

MULTIPLY_ADDS = {
    f"fma_{operand}x{score}_{stages}" + (f"_{narrow}" if narrow else ""): (
        *(operand, score, cuts_of(stages)),
        parse_format(narrow) if narrow else None,
    )
    for operand, score, stages, narrow in [
        (8, 8, 1, ""),
        (8, 24, 2, ""),
        (11, 11, 3, ""),
        (24, 24, 4, ""),
        (8, 8, 4, ""),
        (24, 24, 1, ""),
        (8, 8, 5, ""),
        (24, 24, 6, ""),
        (8, 24, 7, ""),
        (11, 11, 8, ""),
        (8, 8, 2, "bf16"),
        (8, 24, 3, "e8m10"),
        (24, 24, 2, "e8m15"),
        (8, 8, 1, "e8m22"),
        (8, 8, 4, "e8m1"),
        (8, 8, 1, "fp16"),
        (11, 11, 4, "fp16"),
        (24, 24, 3, "e6m9"),
        (8, 8, 2, "e5m23"),
        (8, 8, 1, "e2m1"),
        (8, 8, 8, "bf16"),
        (11, 11, 7, "e5m10"),
    ]
}
"""Significand bits of both factors, where it is cut, and the narrower format that results can have."""
FORMATS: dict[str, Format] = {
    name: parse_format(name) for name in ("bf16", "fp16", "fp8_e4m3", "fp8_e5m2", "fp32", "e8m10")
}
ENCODED = ("bf16", "fp16", "fp8_e4m3", "fp8_e5m2", "fp32")
"""Those that operands may have."""
PIECES = (8, 11, 22)


class _Bench(Component):
    """a, b, c, d are fp32 bits; the factors of a narrower multiplier are the upper bits of a and b."""

    def __init__(self) -> None:
        outputs = [*MULTIPLY_ADDS, *(f"round_{name}" for name in FORMATS), *(f"decode_{name}" for name in FORMATS)]
        outputs += [f"{part}_{name}" for part in ("encode", "saturate") for name in ENCODED]
        outputs += [f"{part}_{bits}" for part in ("high", "low") for bits in PIECES]
        outputs += ["maximum", "quotient", "is_undivided"]
        flags = dict.fromkeys(("is_sum", "is_narrow"), In(1))
        super().__init__({**dict.fromkeys("abcd", In(32)), **flags, **dict.fromkeys(outputs, Out(32))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name, parameters in MULTIPLY_ADDS.items():
            m.submodules[name] = unit = MultiplyAdd(*parameters)
            m.d.comb += [
                *(unit.operand.eq(upper_bits(self.a, parameters[0])), unit.score.eq(upper_bits(self.b, parameters[1]))),
                *(unit.addend.eq(self.c), unit.augend.eq(self.d), unit.is_sum.eq(self.is_sum)),
                getattr(self, name).eq(unit.result),
            ]
            if parameters[3] is not None:
                m.d.comb += unit.is_narrow.eq(self.is_narrow)
        for name, form in FORMATS.items():
            m.submodules += (rounder := Rounder(form))
            m.submodules += (decoder := Decoder(form))
            m.d.comb += [rounder.value.eq(self.a), getattr(self, f"round_{name}").eq(rounder.rounded)]
            number = decoder.number.as_value()
            m.d.comb += [decoder.operand.eq(self.a), getattr(self, f"decode_{name}").eq(number << (32 - len(number)))]
        for name in ENCODED:
            for part, saturates in (("encode", 0), ("saturate", 1)):
                m.submodules += (encoder := Encoder(FORMATS[name]))
                m.d.comb += [encoder.value.eq(self.a), encoder.saturates.eq(saturates)]
                m.d.comb += getattr(self, f"{part}_{name}").eq(encoder.operand)
        for bits in PIECES:
            for part, piece in (("high", HighPiece(bits)), ("low", LowPiece(bits))):
                m.submodules += piece
                m.d.comb += [
                    piece.value.eq(self.a),
                    getattr(self, f"{part}_{bits}").eq(piece.piece.as_value() << (24 - bits)),
                ]
        self._connect_pairs(m)
        return m

    def _connect_pairs(self, m: Module) -> None:
        m.submodules.maximum_unit = maximum = Maximum()
        m.submodules.divider = divider = Divider()
        m.d.comb += [
            *(maximum.left.eq(self.a), maximum.right.eq(self.b), self.maximum.eq(maximum.greater)),
            *(divider.dividend.eq(self.a), divider.divisor.eq(self.b)),
            *(self.quotient.eq(divider.quotient), self.is_undivided.eq(divider.is_undivided)),
        ]


_LATENCY = {name: len(cuts - {"halved"}) for name, (_, _, cuts, _) in MULTIPLY_ADDS.items()} | dict.fromkeys(
    ("quotient", "is_undivided"), DIVIDER_LATENCY
)


@cache
def _bench() -> Verilated:
    return compile_component(_Bench())


def run(**columns: object) -> Columns:
    """Give columns of a, b, c, d, is_sum, is_narrow, 0 where none; return those of all units, each with its latency."""
    return _bench().run({**dict.fromkeys([*"abcd", "is_sum", "is_narrow"], 0), **columns}, _LATENCY)
