"""Rules for parameters as small sentences: `columns of 2d`, `largest divisor of P/PE that fits buffer`."""

import re
from dataclasses import replace
from typing import Any

from einsum_cascade.cascade.extent import Extent
from einsum_cascade.cascade.extent_text import parse_extent
from einsum_cascade.errors import CheckError, Diagnostic, Span
from einsum_cascade.mapping.parameters import BestOf, LargestFitting, PartSize, Rule, ShareOf

__all__ = ["parse_rule"]

_SIZE = re.compile(r"(?P<side>rows|columns)\s+of\s+(?P<engine>\S+)")
_LARGEST = re.compile(r"largest\s+divisor\s+of\s+(?P<of>.+?)\s+that\s+fits\s+(?P<level>\S+)")
_SHARE = re.compile(r"share\s+of\s+(?P<words>.+?)\s+words\s+that\s+fits\s+(?P<level>\S+)")
_BEST = re.compile(r"(?:best|fastest)\s+of\s+(?P<choices>.+?)\s+up\s+to\s+(?P<most>.+)")
_FORMS = (
    "'columns of ENGINE', 'largest divisor of NUMBER that fits LEVEL', 'share of NUMBER words that fits LEVEL' or "
    "'best of NUMBER, ... up to NUMBER'"
)


def parse_rule(text: str, span: Span) -> Rule:
    """Read the rule that a parameter follows.

    Parameters
    ----------
    text
        The sentence.
    span
        Where it stands.

    Raises
    ------
    SourceError
        It is none of the rules.

    """
    if found := _SIZE.fullmatch(text):
        side: Any = found["side"]
        return PartSize(found["engine"], side)
    if found := _LARGEST.fullmatch(text):
        return LargestFitting(_number(found, "of", span), found["level"])
    if found := _SHARE.fullmatch(text):
        return ShareOf(_number(found, "words", span), found["level"])
    if found := _BEST.fullmatch(text):
        choices = tuple(parse_extent(part.strip(), span) for part in found["choices"].split(","))
        return BestOf(choices, _number(found, "most", span))
    raise CheckError([Diagnostic(f"a parameter must be a whole number or a rule, {_FORMS}, unlike {text!r}", span)])


def _number(found: re.Match[str], group: str, span: Span) -> Extent:
    start = span.column + found.start(group)
    return parse_extent(found[group], replace(span, column=start, end_column=start + len(found[group])))
