"""The register map as a header for C."""

from collections.abc import Iterable, Iterator

from einsum_cascade.array.capabilities import capabilities
from einsum_cascade.array.instruction import MatrixOp, VectorOp
from einsum_cascade.array.registers import KERNEL_FIELDS, KERNEL_OFFSET, REGISTERS, BitField, ErrorCode, offset_of
from einsum_cascade.array.shape import ArrayShape

__all__ = ["header_text"]

_NAMES = (("ERROR", ErrorCode), ("MATRIX", MatrixOp), ("VECTOR", VectorOp))


def header_text(shape: ArrayShape) -> str:
    """Return `regs.h`: offsets, shifts and masks of fields, error codes, operations, the values of constant words."""
    constants = (f"#define ECAS_{name.upper()}_VALUE 0x{value:08X}u" for name, value in capabilities(shape).items())
    lines = [
        "/* Registers of the array, byte offsets of 32-bit words; made from the table of einsum-cascade. */",
        "#ifndef ECAS_REGS_H",
        "#define ECAS_REGS_H",
        "",
        *_registers(),
        "",
        f"#define ECAS_KERNEL 0x{KERNEL_OFFSET:04X}u /* row r: the array's word at 8 r, the lanes' at 8 r + 4 */",
        *_fields("KERNEL", KERNEL_FIELDS),
        "",
        *(
            f"#define ECAS_{what}_{each.name} {int(each)}u /* {each.text} */"
            for what, names in _NAMES
            for each in names
        ),
        "",
        "/* What this design says of itself. */",
        *constants,
        "",
        "#endif",
    ]
    return "\n".join(lines) + "\n"


def _registers() -> Iterator[str]:
    for register in REGISTERS:
        name = register.name.upper()
        yield f"#define ECAS_{name} 0x{offset_of(register.name):04X}u /* {register.access}: {register.text} */"
        yield from _fields(name, register.fields)


def _fields(register: str, fields: Iterable[BitField]) -> Iterator[str]:
    for field in fields:
        name = f"ECAS_{register}_{field.name.upper()}"
        yield f"#define {name}_SHIFT {field.low} /* {field.text} */"
        yield f"#define {name}_MASK 0x{((1 << field.bits) - 1) << field.low:08X}u"
