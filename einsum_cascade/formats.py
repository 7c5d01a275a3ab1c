"""Number formats as values, and exact rounding into them.

What a format means for a cascade: every tensor, inputs included, is stored in it. The arithmetic inside one Einsum runs
in float32, or in float64 for float64 and whatever does not fit float32, and is rounded once, when the tensor is
populated. Rounding is to the nearest value, ties to even; subnormals are kept, never flushed.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import ml_dtypes
import numpy as np

__all__ = ["LIBRARY_TYPES", "Format", "parse_format", "round_to"]

type Array = np.ndarray[Any, np.dtype[Any]]
type Specials = Literal["ieee", "nan", "unsigned_zero", "finite"]


@dataclass(frozen=True)
class Format:
    """A binary floating-point format: one sign bit, an exponent, a mantissa with a hidden bit, subnormals.

    Parameters
    ----------
    exponent_bits, mantissa_bits
        Widths in bits, without the sign and the hidden bit.
    bias
        What is subtracted from the stored exponent; None for the IEEE 754 bias.
    specials
        `ieee`: the greatest exponent is infinity and NaN. `nan`: only all ones is NaN, no infinity (OCP e4m3).
        `unsigned_zero`: the negative zero is NaN, no infinity. `finite`: neither. What overflows becomes infinity, else
        NaN, else the greatest value; NaN becomes 0 where there is none.

    Examples
    --------
    >>> parse_format("bf16")
    Format(exponent_bits=8, mantissa_bits=7, bias=None, specials='ieee')
    >>> float(round_to(np.array(1.01), parse_format("bf16")))
    1.0078125

    """

    exponent_bits: int
    mantissa_bits: int
    bias: int | None = None
    specials: Specials = "ieee"

    def __post_init__(self) -> None:
        if not 2 <= self.exponent_bits <= 11 or not 1 <= self.mantissa_bits <= 52:
            raise ValueError(f"a format must have 2 to 11 exponent bits and 1 to 52 mantissa bits, not {self.name!r}")
        if not -1022 <= self.least_exponent <= self.greatest_exponent <= 1023:
            raise ValueError(f"the bias of a format must keep its values inside float64, not {self.bias!r}")

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """The widths, as in `e5m10`."""
        return f"e{self.exponent_bits}m{self.mantissa_bits}"

    @property
    def width_bits(self) -> int:
        """Number of bits, the sign included."""
        return 1 + self.exponent_bits + self.mantissa_bits

    @property
    def least_exponent(self) -> int:
        """Exponent of the least normal value, and of the subnormals."""
        return 1 - self._bias

    @property
    def greatest_exponent(self) -> int:
        """Exponent of the greatest finite value."""
        return 2**self.exponent_bits - (2 if self.specials == "ieee" else 1) - self._bias

    @cached_property
    def greatest(self) -> float:
        """The greatest finite value."""
        units = 2 ** (self.mantissa_bits + 1) - (2 if self.specials == "nan" else 1)
        return float(np.ldexp(float(units), self.greatest_exponent - self.mantissa_bits))

    @cached_property
    def arithmetic(self) -> "np.dtype[np.float32] | np.dtype[np.float64]":
        """The NumPy type that the arithmetic on tensors of this format runs in; it holds every value of the format."""
        single = Format(8, 23)
        least, single_least = self.least_exponent - self.mantissa_bits, single.least_exponent - single.mantissa_bits
        fits = self.mantissa_bits <= 23 and least >= single_least and self.greatest_exponent <= single.greatest_exponent
        return np.dtype(np.float32) if fits else np.dtype(np.float64)

    @property
    def has_standard_bias(self) -> bool:
        """Whether the bias is that of IEEE 754."""
        return self._bias == 2 ** (self.exponent_bits - 1) - 1

    @property
    def _bias(self) -> int:
        return 2 ** (self.exponent_bits - 1) - 1 if self.bias is None else self.bias


_NAMED = {
    "float64": Format(11, 52),
    "float32": Format(8, 23),
    "fp64": Format(11, 52),
    "fp32": Format(8, 23),
    "fp16": Format(5, 10),
    "float16": Format(5, 10),
    "bf16": Format(8, 7),
    "bfloat16": Format(8, 7),
    "fp8_e4m3": Format(4, 3, None, "nan"),
    "fp8_e5m2": Format(5, 2),
    "float8_e3m4": Format(3, 4),
    "float8_e4m3": Format(4, 3),
    "float8_e4m3fn": Format(4, 3, None, "nan"),
    "float8_e4m3fnuz": Format(4, 3, 8, "unsigned_zero"),
    "float8_e4m3b11fnuz": Format(4, 3, 11, "unsigned_zero"),
    "float8_e5m2": Format(5, 2),
    "float8_e5m2fnuz": Format(5, 2, 16, "unsigned_zero"),
    "float6_e2m3fn": Format(2, 3, None, "finite"),
    "float6_e3m2fn": Format(3, 2, None, "finite"),
    "float4_e2m1fn": Format(2, 1, None, "finite"),
}
_NATIVE = (_NAMED["float64"], _NAMED["float32"])
LIBRARY_TYPES: dict[Format, Any] = {
    Format(11, 52): np.float64,
    Format(8, 23): np.float32,
    Format(5, 10): np.float16,
    **{form: getattr(ml_dtypes, name) for name, form in _NAMED.items() if hasattr(ml_dtypes, name)},
}
"""The element types of formats that NumPy or ml_dtypes have."""


def parse_format(text: str | Format) -> Format:
    """Return the format of a name such as `float64`, `fp16`, `bf16`, `fp8_e4m3`, or of widths as in `e5m10`.

    The names of ml_dtypes are known too. `fp8_e4m3` is that of the Open Compute Project (no infinity, up to 448);
    `float8_e4m3` and `e4m3` have infinities and reach 240.

    Raises
    ------
    ValueError
        The name is unknown, or the widths are beyond those of float64.

    """
    if isinstance(text, Format):
        return text
    if text in _NAMED:
        return _NAMED[text]
    widths = re.fullmatch(r"e(\d+)m(\d+)", text)
    if widths is None:
        known = ", ".join(_NAMED)
        raise ValueError(f"a number format must be one of {known}, or widths as in e5m10, not {text!r}")
    return Format(int(widths[1]), int(widths[2]))


def round_to(array: Array, form: Format) -> Array:
    """Round every element to the nearest value of a format, ties to even.

    Parameters
    ----------
    array
        Real numbers of any NumPy type.
    form
        The format.

    Returns
    -------
    Array
        Of type `form.arithmetic`; the argument itself if nothing can change.

    """
    if array.dtype == form.arithmetic and form in _NATIVE:
        return array
    with np.errstate(all="ignore"):
        # ml_dtypes goes through float32 and would round a float64 twice.
        if form in LIBRARY_TYPES and (
            array.dtype == np.float32 or LIBRARY_TYPES[form] in (np.float16, np.float32, np.float64)
        ):
            return array.astype(LIBRARY_TYPES[form]).astype(form.arithmetic)
        return _round_exactly(array.astype(np.float64), form).astype(form.arithmetic)


@np.errstate(all="ignore")
def _round_exactly(values: Array, form: Format) -> Array:
    """Count in units of the last place, which float64 does exactly, and round the count."""
    _, exponents = np.frexp(values)
    last_place = np.maximum(exponents - 1, form.least_exponent) - form.mantissa_bits
    rounded = np.ldexp(np.rint(np.ldexp(values, -last_place)), last_place)
    rounded = np.where(np.isfinite(values), rounded, values)
    beyond = np.abs(rounded) > form.greatest
    match form.specials:
        case "ieee":
            return np.where(beyond, np.copysign(np.inf, values), rounded)
        case "nan":
            return np.where(beyond, np.nan, rounded)
        case "unsigned_zero":
            return np.where(beyond, np.nan, rounded) + 0.0
        case "finite":
            limited = np.where(beyond, np.copysign(form.greatest, values), rounded)
            return np.where(np.isnan(values), 0.0, limited)
