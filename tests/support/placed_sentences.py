"""Whether the place that a sentence about a mapping names is the one that it speaks of."""

import re

from einsum_cascade.errors import Diagnostic, SourceError, Span
from einsum_cascade.mapping.sentences import parse_compute, parse_step

__all__ = ["is_placed"]

_NOWHERE = Span("", 1)


def is_placed(diagnostic: Diagnostic, name: str = "x") -> bool:
    """Tell whether the marked part of the file is what the sentence names: a step, an Einsum, a key, the mapping.

    Parameters
    ----------
    diagnostic
        A sentence with its place.
    name
        The name of the mapping, where sentences are placed that are about what is missing.

    """
    span = diagnostic.span
    if not re.fullmatch(r"[^:]+:\d+:\d+", str(span)):
        return False
    # YAML takes some characters for the end of a line, and folds that to a space.
    marked = span.text[span.column - 1 : span.end_column - 1]
    # What stands before a value belongs to its place, but not to the value: tags and anchors.
    value = re.sub(r"^(?:[!&]\S*\s+)+", "", marked)
    marked = " ".join(re.sub(r"^(['\"])(.*)\1$", r"\2", value).split())
    if marked == name:
        return "must be bound to an engine, but is nowhere in the mapping" in diagnostic.message
    # Steps stand between quotes as they are, with quotes of their own as well.
    quoted = (form for each in _readings(marked) for form in (repr(each), f"'{each}'"))
    return any(said in diagnostic.message or f"{said[:-1]} " in diagnostic.message for said in quoted)


def _readings(marked: str) -> set[str]:
    found = {marked}
    try:
        found.add(str(parse_step(marked, _NOWHERE)))
    except SourceError:
        try:
            leaf = parse_compute(marked, _NOWHERE)
            found |= {leaf.task, leaf.engine}
        except SourceError:
            pass
    return found
