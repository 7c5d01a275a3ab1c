"""Steps and bindings as small sentences: `for p by 4 on rows`, `keep K, V in buffer x2`, `QK on 2d`."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import cast, get_args

from einsum_cascade.cascade.extent import ONE, Extent
from einsum_cascade.cascade.extent_text import parse_extent
from einsum_cascade.errors import CheckError, Diagnostic, SourceError, Span
from einsum_cascade.mapping.ir import Axis, Compute, Keep, Loop, Step
from einsum_cascade.wording import did_you_mean, nearest

__all__ = ["parse_compute", "parse_step", "parse_tile"]

_NAME = re.compile(r"\w+", re.ASCII)
_FOR = re.compile(r"for\s+(?P<variable>\w+)(?:\s+by\s+(?P<tile>.+?))?(?:\s+on\s+(?P<axis>\S+))?", re.ASCII)
_KEEP = re.compile(
    r"keep\s+(?P<tensors>.+?)\s+in\s+(?P<level>(?u:\S+))(?:\s+x(?P<copies>[0-9]+))?(?:\s+up\s+to\s+(?P<share>\w+))?",
    re.ASCII,
)
_COMPUTE = re.compile(r"(?P<task>\w+(?:#[0-9]+)?)\s+on\s+(?P<engine>(?u:\S+))", re.ASCII)
_AXES: tuple[str, ...] = get_args(Axis.__value__)


def parse_step(text: str, span: Span) -> Step:
    """Read a loop or a `keep`.

    Parameters
    ----------
    text
        The sentence.
    span
        Where it stands.

    Raises
    ------
    SourceError
        It is neither; every mistake is told.

    """
    if found := _FOR.fullmatch(text):
        return _loop(found, span)
    if found := _KEEP.fullmatch(text):
        return _keep(found, span)
    forms = "'for VARIABLE', 'for VARIABLE by TILE', either with 'on rows' or 'on columns', or 'keep TENSORS in LEVEL'"
    raise _mistake(f"a step must be {forms}, unlike {text!r}{_hint(text)}", span)


def parse_compute(text: str, span: Span) -> Compute:
    """Read the binding of an Einsum; parameters and errors are those of `parse_step`."""
    found = _COMPUTE.fullmatch(text)
    if found is None:
        raise _mistake(f"an Einsum must be bound as 'EINSUM on ENGINE', unlike {text!r}", span)
    return Compute(found["task"], found["engine"])


def parse_tile(text: str, span: Span) -> Extent:
    """Read an expression over ranks and parameters; parameters and errors are those of `parse_step`."""
    return parse_extent(text, span)


def _hint(text: str) -> str:
    first = text.split(maxsplit=1)[:1]
    if first == ["keep"]:
        return "; in a list in brackets, a step with a comma needs quotes"
    words = ["for", "keep"]
    return did_you_mean(first[0], words) if first and nearest(first[0], words) else ""


def _loop(found: re.Match[str], span: Span) -> Loop:
    mistakes: list[Diagnostic] = []
    tile, axis = ONE, found["axis"]
    if found["tile"] is not None:
        try:
            tile = parse_extent(found["tile"], _within(found, "tile", span))
        except SourceError as error:
            mistakes += error.diagnostics
    if axis is not None and axis not in _AXES:
        place = _within(found, "axis", span)
        mistakes.append(Diagnostic(f"a loop must be on 'rows' or 'columns', unlike {axis!r}", place))
    if mistakes:
        raise CheckError(mistakes)
    return Loop(found["variable"], tile, cast("Axis | None", axis))


def _keep(found: re.Match[str], span: Span) -> Keep:
    names = re.split(r"\s*,\s*|\s+", found["tensors"])
    mistakes = [Diagnostic(message, _within(found, "tensors", span)) for message in _bad_names(names)]
    if mistakes:
        raise CheckError(mistakes)
    return Keep(found["level"], tuple(names), int(found["copies"] or 1), found["share"] or "")


def _bad_names(names: list[str]) -> Iterator[str]:
    for name in names:
        if not _NAME.fullmatch(name):
            yield f"the tensors of a 'keep' must be names with commas or spaces between them, unlike {name!r}"


def _within(found: re.Match[str], group: str, span: Span) -> Span:
    """Return the place of a part of a sentence."""
    start = span.column + found.start(group)
    return replace(span, column=start, end_column=start + len(found[group]))


def _mistake(message: str, span: Span) -> CheckError:
    return CheckError([Diagnostic(message, span)])
