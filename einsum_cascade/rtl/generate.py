"""The Verilog of an array."""

from amaranth.back import verilog

from einsum_cascade.rtl.array import COMPONENTS, array_text, components_of
from einsum_cascade.rtl.shape import ArrayShape

__all__ = ["WAIVERS", "verilog_of"]

_WAIVED = {
    "WIDTHEXPAND": "Yosys writes additions and shifts of operands that are narrower than the result.",
    "WIDTHTRUNC": "Yosys writes a comparison with zero as the logical negation of a word.",
    "PROCASSINIT": "Registers have an initial value, and a reset to the same value.",
    "CASEINCOMPLETE": "A case follows an assignment of what holds in all cases that it does not name.",
    "DECLFILENAME": "The file of a component holds the modules that it is made of, too.",
}

WAIVERS = "\n".join(
    [
        "`verilator_config",
        "// Links leave the last row and column to nowhere, and not every bit of an intermediate value is used.",
        "lint_off -rule UNUSEDSIGNAL",
        *(
            line
            for rule, reason in _WAIVED.items()
            for line in (f"// {reason}", *(f'lint_off -rule {rule} -file "*{name}.v"' for name in COMPONENTS))
        ),
        "",
    ]
)
"""A configuration file for `verilator --lint-only -Wall`: what it would say about text that Amaranth has written."""


def verilog_of(shape: ArrayShape) -> dict[str, str]:
    """Return the Verilog of an array, by file name; `array.v` holds the top module.

    Examples
    --------
    >>> sorted(verilog_of(ArrayShape(2, 2)))
    ['array.v', 'column_top.v', 'pe.v', 'row_feeder.v', 'vector_delay.v', 'vector_lane.v']

    """
    components = {
        f"{name}.v": verilog.convert(component, name, emit_src=False, strip_internal_attrs=True)
        for name, component in components_of(shape).items()
    }
    return {"array.v": array_text(shape), **components}
