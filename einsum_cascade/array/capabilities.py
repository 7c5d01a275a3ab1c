"""What an array says of itself: identity, version, sizes and formats, as its registers have them."""

from typing import get_args

from einsum_cascade.array.instruction import PASSES
from einsum_cascade.array.numbers import Multiplier
from einsum_cascade.array.registers import IDENTITY, VERSION, register_of
from einsum_cascade.array.shape import ArrayShape

__all__ = ["capabilities"]

_MULTIPLIERS: tuple[str, ...] = get_args(Multiplier.__value__)


def capabilities(shape: ArrayShape) -> dict[str, int]:
    """Return the value of every register that is constant, by name.

    Examples
    --------
    >>> hex(capabilities(ArrayShape(4, 8))["size"])
    '0x80004'

    """
    numbers = shape.numbers
    formats: dict[str, int] = {
        "multiplier": _MULTIPLIERS.index(numbers.multiplier),
        "sigmoid": numbers.has_sigmoid,
        "feature_map": numbers.has_feature_map,
    }
    for name, form in (("operand", numbers.operand), ("score", numbers.score), ("sum", numbers.accumulation)):
        formats |= {f"{name}_exponent": form.exponent_bits, f"{name}_mantissa": form.mantissa_bits}
    return {
        "identity": IDENTITY,
        "version": _word("version", major=VERSION[0], minor=VERSION[1]),
        "size": _word("size", rows=shape.rows, columns=shape.columns),
        "depth": _of_shape(shape, "depth"),
        "steps": _of_shape(shape, "steps"),
        "tables": _word("tables", kernel_rows=shape.kernel_rows, beat_bytes=shape.beat_bytes, passes=PASSES),
        "bank_beats": shape.bank_beats,
        "formats": _word("formats", **formats),
    }


def _of_shape(shape: ArrayShape, name: str) -> int:
    return _word(name, **{field.name: getattr(shape, field.name) for field in register_of(name).fields})


def _word(name: str, **values: int) -> int:
    return sum(values[field.name] << field.low for field in register_of(name).fields)
