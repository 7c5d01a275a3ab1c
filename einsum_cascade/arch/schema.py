"""The shape of an architecture file: its keys, and how each value is written.

What the values must be together is the checker's matter. A value that cannot be read becomes a `HOLE`, so that
everything else can still be checked and all mistakes are told at once.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, ModelWrapValidatorHandler, WrapValidator, model_validator

from einsum_cascade.arch.components import PUBLISHED_MEMORIES
from einsum_cascade.arch.ir import Link
from einsum_cascade.arch.tree import HOLE
from einsum_cascade.units import AREA, BITS, BYTES, ENERGY, FREQUENCY, RATE, Quantity
from einsum_cascade.wording import quoted

__all__ = [
    "ArchitectureSpec",
    "ComponentSpec",
    "EngineSpec",
    "MemorySpec",
    "OperationSpec",
    "PerCycle",
    "RegisterSpec",
]


class PerCycle(Fraction):
    """Bytes a cycle: a bandwidth that the clock turns into one a second."""


def _keep_hole(value: Any, read: Callable[[Any], Any]) -> Any:
    return value if value is HOLE else read(value)


_Holes = WrapValidator(_keep_hole)


def _reader(quantity: Quantity, convert: Callable[[Fraction], Any], *words: str) -> Callable[[Any], Any]:
    """Return what reads a quantity, or one of some words instead; it raises ValueError with what is expected."""
    expected = quantity.expectation + "".join(f", or {word!r}" for word in words)

    def read(value: Any) -> Any:
        if value in words:
            return value
        if not isinstance(value, str):
            raise ValueError(expected)
        try:
            return convert(quantity.parse(value))
        except OverflowError:
            raise ValueError(expected) from None
        except ValueError as error:
            whole = f"a whole number of {quantity.base}"
            raise ValueError(whole if whole in str(error) else expected) from None

    return read


def _rate(value: Any) -> Fraction | PerCycle | str:
    expected = f"{RATE.expectation}, or in bytes a cycle, such as '1024 B/cycle', or 'unlimited'"
    text = value if isinstance(value, str) else ""
    try:
        if text.endswith("/cycle"):
            return PerCycle(RATE.parse(text.removesuffix("cycle") + "s"))
        return text if text == "unlimited" else RATE.parse(text)
    except ValueError:
        raise ValueError(expected) from None


def _float(value: Fraction) -> float:
    result = float(value)
    if not math.isfinite(result):
        raise OverflowError
    return result


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("a whole number")
    return value


def _count_or_unlimited(value: Any) -> int | str:
    if value == "unlimited":
        return value
    try:
        return _count(value)
    except ValueError:
        raise ValueError("a whole number, or 'unlimited'") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a text")
    return value


def _word(*words: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in words:
            *first, last = words
            raise ValueError(f"{quoted(first)} or {last!r}" if first else repr(last))
        return value

    return read


def _component(value: Any, read: Callable[[Any], Any]) -> Any:
    if isinstance(value, str) and value != "published":
        raise ValueError("'published', or a mapping of its energy and area")
    return value if value == "published" else read(value)


type Count = Annotated[int, BeforeValidator(_count), _Holes]
type CountOrUnlimited = Annotated[int | Literal["unlimited"], BeforeValidator(_count_or_unlimited), _Holes]
type Text = Annotated[str, BeforeValidator(_text), _Holes]
type Bits = Annotated[int, BeforeValidator(_reader(BITS, int)), _Holes]
type Size = Annotated[int | Literal["unlimited"], BeforeValidator(_reader(BYTES, int, "unlimited")), _Holes]
type Clock = Annotated[int, BeforeValidator(_reader(FREQUENCY, int)), _Holes]
type Rate = Annotated[Any, BeforeValidator(_rate), _Holes]
type Picojoules = Annotated[float, BeforeValidator(_reader(ENERGY, _float)), _Holes]
type Area = Annotated[float, BeforeValidator(_reader(AREA, _float)), _Holes]
type AreaOrPublished = Annotated[
    float | Literal["published"], BeforeValidator(_reader(AREA, _float, "published")), _Holes
]
type LinkName = Annotated[str, BeforeValidator(_word(*get_args(Link.__value__))), _Holes]


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="wrap")
    @classmethod
    def _keep_hole(cls, value: Any, read: ModelWrapValidatorHandler[Any]) -> Any:
        return value if value is HOLE else read(value)


class ComponentSpec(_Spec):
    """A functional unit: `{energy: 17.1645 pJ, area: 1545 um2}`."""

    energy: Picojoules
    area: Area
    source: Text = ""


class OperationSpec(_Spec):
    """An operation: `{interval_cycles: 6, latency_cycles: 6, components: {mac: 6}}`."""

    interval_cycles: Count
    latency_cycles: Count
    components: Annotated[dict[str, Count], _Holes]


class RegisterSpec(_Spec):
    """A register file: `{words: 12, word: 16 b, energy: published, area: published}`."""

    words: Count
    word: Bits
    energy: Annotated[str | None, BeforeValidator(_word("published")), _Holes] = None
    read_energy: Picojoules | None = None
    write_energy: Picojoules | None = None
    area: AreaOrPublished
    source: Text = ""


class MemorySpec(_Spec):
    """A memory level."""

    capacity: Size
    access: Bits
    instances: Count = 1
    bandwidth: Rate | None = None
    read_bandwidth: Rate | None = None
    write_bandwidth: Rate | None = None
    energy: Annotated[str | None, BeforeValidator(_word("published", "scaled", *PUBLISHED_MEMORIES)), _Holes] = None
    read_energy: Picojoules | None = None
    write_energy: Picojoules | None = None
    area: Area | None = None
    source: Text = ""


class EngineSpec(_Spec):
    """An array of PEs, or a row of them."""

    rows: Count
    columns: Count
    contexts: CountOrUnlimited = "unlimited"
    along_rows: Annotated[list[LinkName], _Holes] = []
    along_columns: Annotated[list[LinkName], _Holes] = []
    registers: RegisterSpec
    operations: Annotated[dict[str, OperationSpec], _Holes]


class ArchitectureSpec(_Spec):
    """A whole file."""

    name: Text
    source: Text = ""
    clock: Clock
    word: Bits
    memories: Annotated[dict[str, MemorySpec], _Holes]
    engines: Annotated[dict[str, EngineSpec], _Holes]
    components: Annotated[dict[str, Annotated[ComponentSpec, WrapValidator(_component), _Holes]], _Holes]
    """A component may also be the word `published`."""
