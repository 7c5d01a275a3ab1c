"""Quantities with a unit, as users write them: `16 MiB`, `400 GiB/s`, `940 MHz`, `4096 b`, `249.6 pJ`, `1545 um2`.

A number without a unit is never accepted, but for counts, which have none: `4096`, `64K`, `1Mi`. What is counted is
exact: a decimal is the fraction that it spells.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

__all__ = [
    "AREA",
    "BITS",
    "BYTES",
    "ENERGY",
    "FREQUENCY",
    "MOST_DIGITS",
    "RATE",
    "Quantity",
    "has_many_digits",
    "long_number",
    "parse_bytes",
    "parse_count",
    "written",
]

MOST_DIGITS = 1000
"""How many digits a number may be written with. Python itself gives up at 4300, with an error of its own."""

_LONG = re.compile(
    rf"(?:0[xob](?=[0-9A-Fa-f]{{{MOST_DIGITS + 1}}})|(?=[0-9]{{{MOST_DIGITS + 1}}}))([0-9A-Fa-f]+)", re.ASCII
)
_FIRST_LONG = 10**MOST_DIGITS
_COUNT = re.compile(r"(\d+(?:\.\d+)?)([KMGT])i?", re.ASCII)
_NUMBER = re.compile(r"\s*(\d+/\d+|\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?)\s*([A-Za-z]\S*)\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A kind of quantity: what its values are called, and the units that they may be written in.

    Parameters
    ----------
    noun
        What a value is called in a sentence.
    base
        The unit that values are held in.
    units
        The value of one of each unit in `base`, which is among them.
    example
        How a value may be written.
    is_whole
        Whether only whole numbers of `base` exist.

    """

    noun: str
    base: str
    units: dict[str, Fraction]
    example: str
    is_whole: bool = False

    @property
    def expectation(self) -> str:
        """What a text must be, to follow `must be`."""
        return f"a number with a unit of {', '.join(self.units)}, such as '{self.example}'"

    def parse(self, text: str) -> Fraction:
        """Read a value, exactly, in units of `base`; units are told apart by case.

        Raises
        ------
        ValueError
            The text is not a number followed by a unit, or not a whole number of `base` where it must be.

        Examples
        --------
        >>> RATE.parse("1.5 KiB/s")
        Fraction(1536, 1)

        """
        if found := long_number(text):
            raise ValueError(f"{self.noun} must be a number of at most {MOST_DIGITS} digits, not {len(found[1])}")
        match = _NUMBER.fullmatch(text)
        if not match or match[2] not in self.units or re.fullmatch(r"\d+/0+", match[1]):
            raise ValueError(f"{self.noun} must be {self.expectation}, not {text!r}")
        value = Fraction(match[1]) * self.units[match[2]]
        if self.is_whole and value.denominator != 1:
            raise ValueError(f"{self.noun} must be a whole number of {self.base}, not {text!r}")
        return value

    def format(self, value: Fraction | int) -> str:
        """Write a value so that `parse` gives it back, in the unit that makes it shortest, the larger one of two.

        Examples
        --------
        >>> RATE.format(Fraction(419430400)), RATE.format(Fraction(1, 3)), BYTES.format(0)
        ('400 MiB/s', '1/3 B/s', '0 B')

        """
        units = sorted(self.units, key=lambda unit: (value == 0 and unit != self.base, -self.units[unit]))
        spellings = [f"{number} {unit}" for unit in units if (number := _decimal(value / self.units[unit]))]
        return (
            min(spellings, key=lambda text: len(text) + ("." in text))
            if spellings
            else f"{Fraction(value)} {self.base}"
        )


def _decimal(value: Fraction) -> str:
    """Write a fraction as a decimal without an exponent; nothing if it has no end or a long one."""
    digits = next((digits for digits in range(13) if 10**digits % value.denominator == 0), None)
    if digits is None:
        return ""
    whole, rest = divmod(int(value * 10**digits), 10**digits)
    return f"{whole}.{rest:0{digits}}" if digits else str(whole)


def _prefixed(unit: str, *, binary: bool) -> dict[str, Fraction]:
    factors = {unit: Fraction(1)}
    for power, prefix in enumerate("KMGT" if binary else "kMGT", start=1):
        if binary:
            factors[f"{prefix}i{unit}"] = Fraction(1024**power)
        factors[f"{prefix}{unit}"] = Fraction(1000**power)
    return factors


BYTES = Quantity("a size", "B", _prefixed("B", binary=True), "16 MiB", is_whole=True)
"""Capacities, in bytes."""
BITS = Quantity("a width", "b", {"b": Fraction(1), "B": Fraction(8)}, "4096 b", is_whole=True)
"""Widths of words and accesses, in bits."""
RATE = Quantity("a bandwidth", "B/s", {f"{unit}/s": size for unit, size in BYTES.units.items()}, "400 GiB/s")
"""Bandwidths, in bytes a second."""
FREQUENCY = Quantity("a frequency", "Hz", _prefixed("Hz", binary=False), "940 MHz", is_whole=True)
"""Clocks, in cycles a second."""
ENERGY = Quantity("an energy", "pJ", {"fJ": Fraction(1, 1000), "pJ": Fraction(1), "nJ": Fraction(1000)}, "249.6 pJ")
"""Energies, in picojoules."""
AREA = Quantity("an area", "um2", {"um2": Fraction(1), "mm2": Fraction(10**6)}, "1545 um2")
"""Areas, in square micrometres."""


def long_number(text: str) -> re.Match[str] | None:
    """Find the first number in a text that has more than `MOST_DIGITS` digits: the first group of the match.

    Examples
    --------
    >>> long_number("M + 4096") is None, len(long_number("M + " + "9" * 1001)[1])
    (True, 1001)

    """
    return _LONG.search(text) if len(text) > MOST_DIGITS else None


def has_many_digits(value: int) -> bool:
    """Tell whether a number has more than `MOST_DIGITS` digits."""
    return abs(value) >= _FIRST_LONG


def written(value: int) -> str:
    """Write a number in digits, however many: what is computed from long numbers is longer than Python writes.

    Examples
    --------
    >>> written(12), len(written(10**5000))
    ('12', 5001)

    """
    return str(Decimal(value))


def parse_count(text: str) -> int:
    """Read how many there are of something: a whole number, or one with K, M, G or T, which are powers of 1024.

    Lengths of sequences are told in such powers, so that `64K` and `64Ki` are both 65536.

    Raises
    ------
    ValueError
        The text is not such a number, or not a whole one.

    Examples
    --------
    >>> parse_count("4096"), parse_count("64K"), parse_count("1Mi"), parse_count("1.5K")
    (4096, 65536, 1048576, 1536)

    """
    if found := long_number(text):
        raise ValueError(f"a count must be a number of at most {MOST_DIGITS} digits, not {len(found[1])}")
    match = _COUNT.fullmatch(text.strip())
    if match is None:
        return int(text)
    value = Fraction(match[1]) * 1024 ** ("KMGT".index(match[2]) + 1)
    if value.denominator != 1:
        raise ValueError(f"a count must be a whole number, not {text!r}")
    return int(value)


def parse_bytes(text: str) -> int:
    """Read a size in bytes such as `16MiB`, `512 KiB` or `4096 B`.

    Raises
    ------
    ValueError
        The text is not a number followed by a unit, or not a whole number of bytes.

    Examples
    --------
    >>> parse_bytes("16MiB")
    16777216

    """
    return int(BYTES.parse(text))
