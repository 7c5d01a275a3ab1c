"""The number formats of an array, and the slots of its exponential, its sigmoid and its feature map.

What each unit does with these values is written down in docs/decisions/0006-the-array-and-its-program.md. The
polynomials are ours: least squares on [-1/2, 1/2]. That of the exponential has the constant term 1, so that the
exponential of 0 is exactly 1; that of the reciprocal is exactly 1 and 1/2 at its ends, so that a sigmoid is within 0
and 1.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from einsum_cascade.formats import Format, parse_format, round_to

__all__ = [
    "BFLOAT16",
    "FACTORS",
    "FORMAT_MEMBERS",
    "LANE_STEPS",
    "LEAST_SCALE",
    "LOWEST",
    "MOST_SCALE",
    "OPERANDS",
    "SINGLE",
    "Above",
    "FunctionSlot",
    "Multiplier",
    "Numbers",
    "Part",
    "exponential_steps",
    "factors_of",
    "feature_steps",
    "piece_of",
    "sigmoid_steps",
]

SINGLE, BFLOAT16 = parse_format("fp32"), parse_format("bf16")

LOWEST = -SINGLE.greatest
"""What running maxima start with."""

OPERANDS = {name: parse_format(name) for name in ("bf16", "fp16", "fp8_e4m3", "fp8_e5m2", "fp32")}
"""The formats of operands in memory, by name."""
"""What sums, running state and contexts are held in; and operands, if nothing else is said."""

type Multiplier = Literal["narrow", "mixed", "wide"]
"""Significands of a multiplier: operand x operand, operand x 24 bits, 24 x 24 bits."""

FORMAT_MEMBERS = "operand", "score", "accumulation"
"""The members of `Numbers` that are formats."""

type Part = Literal["whole", "high", "low"]
"""A number, or one of its two pieces of as many significand bits as a multiplier has."""

type Above = Literal["maximum", "scale", "bias", "factor", "factor_high", "factor_low"]
"""What comes from above in a slot: the maximum, the scale and the bias of a sigmoid, or a part of the factor."""

FACTORS: dict[Part, Above] = {"whole": "factor", "high": "factor_high", "low": "factor_low"}
"""The parts of the factor of an exponential, by what they are."""

LEAST_SCALE, MOST_SCALE = 2.0**-56, 2.0**61
"""Of an exponential. Differences are at most 2^64: times the factor, they are then beyond all powers of fp32, and no
product with a piece of it overflows."""

_POLYNOMIALS = {
    "wide": (0x3A91D302, 0x3C1E5F54, 0x3D63A191, 0x3E75FD27, 0x3F3171CF, 0x3F800000),
    "mixed": (0x3C204882, 0x3D654804, 0x3E75F8DA, 0x3F316FE5, 0x3F800000),
    "narrow": (0x3D2ACC4F, 0x3E77D6D9, 0x3F321DC6, 0x3F800000),
}
"""Coefficients of 2^f by multiplier, fp32 bits, highest degree first."""


_RECIPROCAL = (
    0xBD47624C,
    0x3D99BEDF,
    0xBDB11D5A,
    0x3E03D5E8,
    0xBE4A4AB0,
    0x3E97C9B3,
    0xBEE38E83,
    0x3F2AAA93,
)
"""Coefficients of 1 / (3/2 + u), fp32 bits, highest degree first; within 2.4e-6."""


@dataclass(frozen=True, slots=True)
class FunctionSlot:
    """One slot of an exponential, of a sigmoid or of a feature map.

    Parameters
    ----------
    kind
        `subtract`: x = value - maximum, clamped. `scale`: a part of x times the factor, scale log2(e), is added to the
        sum of such parts; the last one splits it. `horner`: one multiply-add of the polynomial; the last one adds the
        exponent.
        A sigmoid of s has `multiply`: s scale; `add`: x = s scale + bias, clamped, and from here on -|x|; then the
        slots of the exponential e = exp(-|x|); `complement`: u = e - 1/2; those of the polynomial 1 / (1 + e); and
        `finish`, which multiplies it by e where x is negative.
        A feature map has `rectify`: x = min(value, 0), clamped, and max(value, 0) is kept; then the slots of the
        exponential of x; and `restore`, which adds what is kept.
    value_part, factor_part
        Of a scale: which part of x, and of the factor, the multiplier sees: `whole`, or the `high` or `low` piece of
        as many significand bits as it has.
    coefficient_bits
        Of a Horner step: the coefficient that is added, fp32 bits.
    leading_bits
        Of the first Horner step: the coefficient that is multiplied, fp32 bits; 0 on later ones.
    is_last
        Whether it is the last one of its kind.
    is_result
        Whether what it leaves is the result, rounded to the score format in a PE.

    """

    kind: Literal["subtract", "multiply", "add", "scale", "horner", "complement", "finish", "rectify", "restore"]
    value_part: Part = "whole"
    factor_part: Part = "whole"
    coefficient_bits: int = 0
    leading_bits: int = 0
    is_last: bool = False
    is_result: bool = False

    @property
    def above(self) -> Above | None:
        """What the slot takes from above; None if it takes nothing."""
        match self.kind:
            case "subtract":
                return "maximum"
            case "multiply":
                return "scale"
            case "add":
                return "bias"
            case "scale":
                return FACTORS[self.factor_part]
            case _:
                return None


def piece_of(value: float, part: Part, significand_bits: int) -> float:
    """Return a part of a number of fp32.

    Examples
    --------
    >>> piece_of(1 + 2**-8 + 2**-9, "high", 8), piece_of(1 + 2**-8 + 2**-9, "low", 8)
    (1.0078125, -0.001953125)

    """
    form = Format(8, significand_bits - 1)
    high = float(round_to(np.array(value), form))
    return {"whole": value, "high": high, "low": float(round_to(np.array(value - high), form))}[part]


def factors_of(scale: float, significand_bits: int) -> dict[Above, float]:
    """Return what the slots of an exponential of scaled differences multiply by, in parts: log2(e) times the scale.

    Parameters
    ----------
    scale
        Of the differences, from `LEAST_SCALE` to `MOST_SCALE`.
    significand_bits
        Of a piece.

    Examples
    --------
    >>> factors_of(0.5, 8)
    {'factor': 0.7213475108146667, 'factor_high': 0.72265625, 'factor_low': -0.001312255859375}

    """
    factor = float(np.float32(scale * math.log2(math.e)))
    return {name: piece_of(factor, part, significand_bits) for part, name in FACTORS.items()}


def exponential_steps(multiplier: Multiplier) -> tuple[FunctionSlot, ...]:
    """Return the slots of an exponential on a multiplier, seven for each.

    Examples
    --------
    >>> [step.kind for step in exponential_steps("mixed")]
    ['subtract', 'scale', 'scale', 'horner', 'horner', 'horner', 'horner']

    """
    match multiplier:
        case "wide":
            scales = [FunctionSlot("scale", is_last=True)]
        case "mixed":
            scales = [FunctionSlot("scale", "whole", "low"), FunctionSlot("scale", "whole", "high", is_last=True)]
        case "narrow":
            scales = [
                FunctionSlot("scale", "low", "high"),
                FunctionSlot("scale", "high", "low"),
                FunctionSlot("scale", "high", "high", is_last=True),
            ]
    *horner, last = _horner(_POLYNOMIALS[multiplier])
    return (FunctionSlot("subtract", is_last=True), *scales, *horner, replace(last, is_last=True, is_result=True))


def _horner(coefficients: tuple[int, ...]) -> list[FunctionSlot]:
    leading, *others = coefficients
    return [
        FunctionSlot("horner", coefficient_bits=bits, leading_bits=leading if at == 0 else 0)
        for at, bits in enumerate(others)
    ]


def sigmoid_steps() -> tuple[FunctionSlot, ...]:
    """Return the slots of a sigmoid on the wide multiplier.

    Examples
    --------
    >>> len(sigmoid_steps())
    17

    """
    _, *exponential, last = exponential_steps("wide")
    return (
        FunctionSlot("multiply"),
        FunctionSlot("add"),
        *exponential,
        replace(last, is_result=False),
        FunctionSlot("complement"),
        *_horner(_RECIPROCAL),
        FunctionSlot("finish", is_last=True, is_result=True),
    )


def feature_steps(multiplier: Multiplier) -> tuple[FunctionSlot, ...]:
    """Return the slots of elu(x) + 1, the feature map of linear attention, on a multiplier.

    It is max(x, 0) + exp(min(x, 0)), so that no large number is raised. Source: Katharopoulos et al. (arXiv
    2006.16236), Equation 7.

    Examples
    --------
    >>> [step.kind for step in feature_steps("wide")]
    ['rectify', 'scale', 'horner', 'horner', 'horner', 'horner', 'horner', 'restore']

    """
    _, *exponential, last = exponential_steps(multiplier)
    return (
        FunctionSlot("rectify"),
        *exponential,
        replace(last, is_result=False),
        FunctionSlot("restore", is_last=True, is_result=True),
    )


LANE_STEPS = exponential_steps("wide")
"""The slots of a correction in a lane of the vector row, which multiplies 24 x 24 bits."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """The number formats of an array.

    Parameters
    ----------
    operand
        Of queries, keys and values: bf16, fp16, fp8 (e4m3, e5m2) or fp32.
    score
        Of the exponentials that are multiplied by values; what the column sums add up is rounded to it.
    multiplier
        Of every PE. The vector row always multiplies 24 x 24 bits.
    accumulation
        What the multiply-adds of PRODUCT, SUM and COMBINE are rounded to, once: scores, and sums down a column. Any
        that fits into fp32 and has the bias and the infinities of IEEE 754, also with fewer bits than `score`. Slots of
        exponential, sigmoid and feature map are rounded to fp32 all the same, for x log2(e) has up to 8 bits before the
        point, and those behind it would be lost; so is the vector row, which adds up as many tiles as there are.
    has_sigmoid
        Whether PEs have the slots of a sigmoid as well, which only the wide multiplier does.
    has_feature_map
        Whether PEs have the slots of elu(x) + 1 as well.

    Raises
    ------
    ValueError
        A format does not fit the multiplier, or a single-precision number; or sums would have no infinity.

    """

    operand: Format = BFLOAT16
    score: Format = BFLOAT16
    multiplier: Multiplier = "narrow"
    accumulation: Format = SINGLE
    has_sigmoid: bool = False
    has_feature_map: bool = False

    def __post_init__(self) -> None:
        """Check that single precision holds all formats, and that the multiplier takes what it is given."""
        for what, form in (("operand", self.operand), ("score", self.score)):
            if form.exponent_bits > 8 or form.mantissa_bits > 23:
                raise ValueError(
                    f"the {what} format must fit into fp32, not {form.name}; choose bf16, fp16, fp8 or fp32"
                )
        sums = self.accumulation
        fits = sums.exponent_bits <= SINGLE.exponent_bits and sums.mantissa_bits <= SINGLE.mantissa_bits
        if not fits or sums.specials != "ieee" or not sums.has_standard_bias:
            raise ValueError(
                "the accumulation format must fit into fp32, with the bias and the infinities of IEEE 754, not be "
                f"{sums!r}; choose fp32, bf16, fp16, or widths such as e8m10"
            )
        if self.operand.mantissa_bits > 22 and self.multiplier != "wide":
            raise ValueError(f"operands of {self.operand.name} need the wide multiplier, not {self.multiplier!r}")
        if self.has_sigmoid and self.multiplier != "wide":
            raise ValueError(f"a sigmoid needs the wide multiplier, of 24 x 24 bits, not {self.multiplier!r}")
        if self.score.mantissa_bits + 1 > self.score_bits:
            raise ValueError(
                f"scores of {self.score.name} must have at most {self.score_bits} significand bits on the "
                f"{self.multiplier} multiplier; choose a narrower format or a wider multiplier"
            )

    @property
    def operand_bits(self) -> int:
        """Significand bits of the multiplier's side for keys and values; at least 8, which the exponential needs."""
        return 24 if self.multiplier == "wide" else max(8, self.operand.mantissa_bits + 1)

    @property
    def score_bits(self) -> int:
        """Significand bits of the multiplier's side for queries and scores."""
        return self.operand_bits if self.multiplier == "narrow" else 24

    @property
    def steps(self) -> tuple[FunctionSlot, ...]:
        """The slots of a PE: those of its exponential, then those of its sigmoid, then those of its feature map."""
        sigmoid = sigmoid_steps() if self.has_sigmoid else ()
        feature = feature_steps(self.multiplier) if self.has_feature_map else ()
        return exponential_steps(self.multiplier) + sigmoid + feature

    @property
    def constants(self) -> tuple[Above, ...]:
        """What slots take from above that is the same for all columns, in order."""
        return tuple(dict.fromkeys(step.above for step in self.steps if step.above not in (None, "maximum")))

    @property
    def exponential_slots(self) -> range:
        """The slots of an exponential, by their numbers."""
        return range(len(exponential_steps(self.multiplier)))

    @property
    def sigmoid_slots(self) -> range:
        """The slots of a sigmoid, by their numbers; none if PEs do not have them."""
        first = self.exponential_slots.stop
        return range(first, first + (len(sigmoid_steps()) if self.has_sigmoid else 0))

    @property
    def feature_slots(self) -> range:
        """The slots of a feature map, by their numbers; none if PEs do not have them."""
        return range(self.sigmoid_slots.stop, len(self.steps))
