"""Texts as scalars of YAML."""

import re

__all__ = ["yaml_scalar"]

_PLAIN = re.compile(
    r"[A-Za-z][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*"  # words
    r"|[0-9]+(\.[0-9]+)? [A-Za-z][A-Za-z0-9/]*"  # a quantity
    r"|[0-9][a-df-wyz][a-z]*",  # a name such as 2d, but neither 1e nor 0x
    re.ASCII,
)
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def yaml_scalar(text: str) -> str:
    """Write a text as a scalar of YAML, in quotes where it might be taken for something else."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    code = ord(character)
    if character.isprintable() and code < 0xD800:
        return character
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
