"""Where the user's Python stands that builds a cascade."""

import linecache
import sys
from pathlib import Path

from einsum_cascade.errors import BuilderError, Diagnostic, Span

__all__ = ["here", "refusal"]

_OWN = str(Path(__file__).parent)


def here() -> Span:
    """Return the line of the user's code: the innermost frame outside this folder."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage] - inspect.currentframe may return None
    while frame.f_back is not None and str(Path(frame.f_code.co_filename).parent) == _OWN:
        frame = frame.f_back
    file = frame.f_code.co_filename
    return Span(file, frame.f_lineno, text=linecache.getline(file, frame.f_lineno).rstrip("\n"))


def refusal(sentence: str, span: Span | None = None) -> BuilderError:
    """Return the error that says what is wrong with the user's line, or with another place."""
    return BuilderError([Diagnostic(sentence, span or here())])
