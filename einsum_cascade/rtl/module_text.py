"""The Verilog of a component: its modules, named after one, and memories that hold nothing until they are written."""

import re

from amaranth.back import verilog
from amaranth.lib.wiring import Component

__all__ = ["module_text"]

_INITIAL = re.compile(r"^  initial begin\n(?:    \S+\[\d+\] = \d+'[hd][0-9a-f]+;\n)+  end\n", re.MULTILINE)
"""What a memory holds at first. Nothing needs it, and tools read a line for every word of it."""


def module_text(component: Component, name: str) -> str:
    """Return the Verilog of a component as module `name`; the modules in it have names that begin with that one."""
    return _INITIAL.sub("", verilog.convert(component, name, emit_src=False, strip_internal_attrs=True))
