"""The Verilog of a component: its modules, named after one, with memories as instances of the module `ram`."""

from amaranth.back import verilog
from amaranth.lib.wiring import Component

from einsum_cascade.rtl.ram import RamPlatform

__all__ = ["module_text"]


def module_text(component: Component, name: str, prefix: str = "") -> str:
    """Return the Verilog of a component.

    Parameters
    ----------
    component
        What becomes Verilog.
    name
        Of its module, after the prefix; the modules in it have names that begin with that.
    prefix
        What the names of all modules of the design begin with.

    """
    platform = RamPlatform(prefix)
    return verilog.convert(component, f"{prefix}{name}", platform, emit_src=False, strip_internal_attrs=True)
