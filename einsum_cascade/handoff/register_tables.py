"""The register map as plain values, for the driver; a copy of it that stands alone has them written out."""

from einsum_cascade.array.registers import IDENTITY, REGISTERS, VERSION, ErrorCode, offset_of

__all__ = ["ERRORS", "FIELDS", "MAJOR", "OFFSETS", "WHO"]

OFFSETS: dict[str, int] = {register.name: offset_of(register.name) for register in REGISTERS}
FIELDS: dict[str, dict[str, tuple[int, int]]] = {
    register.name: {field.name: (field.low, field.bits) for field in register.fields}
    for register in REGISTERS
    if register.fields
}
ERRORS: dict[int, tuple[str, str]] = {int(code): (code.name, code.text) for code in ErrorCode}
WHO: int = IDENTITY
MAJOR: int = VERSION[0]
