"""Sizes with a unit, as users write them."""

import re

__all__ = ["parse_bytes"]

_FACTORS = {"B": 1} | {
    f"{prefix}{suffix}": base**power
    for power, prefix in enumerate("KMGT", start=1)
    for suffix, base in (("iB", 1024), ("B", 1000))
}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")


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
    match = _SIZE.fullmatch(text)
    units = {unit.lower(): factor for unit, factor in _FACTORS.items()}
    if not match or match[2].lower() not in units:
        raise ValueError(f"a size must be a number with a unit of {', '.join(_FACTORS)}, such as '16MiB', not {text!r}")
    size = float(match[1]) * units[match[2].lower()]
    if size != int(size):
        raise ValueError(f"a size must be a whole number of bytes, not {text!r}")
    return int(size)
