"""The register map as SystemRDL 2.0 (Accellera), for generators of documents, headers and test environments."""

from collections.abc import Iterator

from einsum_cascade.array.capabilities import capabilities
from einsum_cascade.array.registers import KERNEL_OFFSET, REGISTERS, BitField, Register, offset_of
from einsum_cascade.array.shape import ArrayShape

__all__ = ["systemrdl_text"]

_ACCESS = {
    "write": "sw = rw; hw = r;",
    "read": "sw = r; hw = w;",
    "clear": "sw = rw; onwrite = woclr; hw = rw;",
    "constant": "sw = r; hw = na;",
}


def systemrdl_text(shape: ArrayShape, name: str = "array") -> str:
    """Return the map of an array; the registers that are constant have their values."""
    values = capabilities(shape)
    lines = [
        f"addrmap {name} {{",
        '    desc = "The control port of an array, AXI4-Lite.";',
        "    default regwidth = 32;",
        "    default accesswidth = 32;",
    ]
    for register in REGISTERS:
        lines += [f"    {line}" for line in _register(register, values.get(register.name, 0))]
    lines += [
        "    external mem {",
        '        desc = "The kernel table: row r has its word of the array at 8 r, that of the lanes at 8 r + 4.";',
        f"        mementries = {2 * shape.kernel_rows};",
        "        memwidth = 32;",
        "        sw = w;",
        f"    }} kernel @ 0x{KERNEL_OFFSET:04X};",
        "};",
    ]
    return "\n".join(lines) + "\n"


def _register(register: Register, value: int) -> Iterator[str]:
    yield "reg {"
    yield f"    desc = {_quoted(register.text)};"
    for field in register.fields or (BitField("value", 0, 32, register.text),):
        access = _ACCESS[register.access]
        if register.name == "control":
            access = "sw = w; singlepulse; hw = r;"
        high = field.low + field.bits - 1
        place = f"{field.name}_[{high}:{field.low}] = {field.of(value)}"
        yield f"    field {{ desc = {_quoted(field.text)}; {access} }} {place};"
    yield f"}} {register.name}_ @ 0x{offset_of(register.name):04X};"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
