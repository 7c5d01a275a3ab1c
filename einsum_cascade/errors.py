"""Every error class of the package, and the source positions that errors point at.

A mistake of the user is told in one sentence: what must hold, where, the bad value, the remedy.
Wrong Python arguments raise `TypeError` or `ValueError`; `assert` is for mistakes of ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "MOST_TOLD",
    "AnalysisError",
    "ArchitectureError",
    "BuilderError",
    "CacheError",
    "CascadeError",
    "CheckError",
    "Diagnostic",
    "EvaluationError",
    "IllegalMappingError",
    "InfeasibleMappingError",
    "MappingError",
    "MappingFileError",
    "ParseError",
    "ScheduleError",
    "SourceError",
    "Span",
    "ToolError",
    "ToolFailedError",
    "ToolMissingError",
    "UsageError",
]

MOST_TOLD = 20
"""How many mistakes are told at once; of the others, how many there are."""

_LONGEST = 4000
"""The longest sentence that is told whole; of one that quotes more of a file, both ends are."""

_WIDEST = 320
"""The longest line that is shown whole; of a longer one, the part about the mistake is."""


@dataclass(frozen=True, slots=True)
class Span:
    """A place in the source of a cascade or an architecture, text or Python.

    Parameters
    ----------
    file
        Name of the file as the user gave it.
    line, column
        Position of the first character, both counted from 1. Column 0 means that only the line is known
        (the Python builder), line 0 that only the file is.
    end_column
        Column after the last character, on the same line.
    text
        The source line, for the caret; empty if unknown.

    """

    file: str
    line: int
    column: int = 0
    end_column: int = 0
    text: str = ""

    def __str__(self) -> str:
        numbers = (self.line, self.column) if self.column else (self.line,) if self.line else ()
        return ":".join(map(str, (self.file, *numbers)))

    def excerpt(self) -> str:
        """Return the source line with carets under the span, or nothing if the line is unknown."""
        if not self.text:
            return ""
        if not self.column:
            return f"    {self.text.strip()}"
        text, start, end = self.text, self.column - 1, max(self.column, self.end_column - 1)
        if len(text) > _WIDEST:
            first = max(0, start - _WIDEST // 4)
            text = f"{'...' if first else ''}{text[first : first + _WIDEST]}..."
            start, end = (min(at - first + 3 * (first > 0), len(text)) for at in (start, end))
        return f"    {text}\n    {' ' * start}{'^' * max(1, end - start)}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake in one sentence, and the place it was made at."""

    message: str
    span: Span

    def __str__(self) -> str:
        """Return `file:line:column: sentence` and the excerpt below it."""
        excerpt, said = self.span.excerpt(), self.message
        if len(said) > _LONGEST:
            said = f"{said[: _LONGEST // 2]} ... {said[-_LONGEST // 2 :]}"
        return f"{self.span}: {said}" + (f"\n{excerpt}" if excerpt else "")


class CascadeError(Exception):
    """Root of all errors of this package; never raised itself."""


class SourceError(CascadeError):
    """One or more mistakes in the source of a cascade, all those that were found; the first `MOST_TOLD` are told."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        """Sort the mistakes by position."""
        if not diagnostics:
            raise ValueError("a SourceError needs at least one diagnostic")
        self.diagnostics = _by_position(diagnostics)
        super().__init__(_told(_by_position(diagnostics[:MOST_TOLD]), len(diagnostics)))


def _by_position(diagnostics: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    return tuple(sorted(diagnostics, key=lambda d: (d.span.file, d.span.line, d.span.column)))


def _told(found: Sequence[object], count: int, noun: str = "mistake") -> str:
    """Return the first of some mistakes, one below the other, and how many more there are."""
    lines, more = [*map(str, found[:MOST_TOLD])], count - MOST_TOLD
    return "\n".join(lines + [f"and {more} more {noun}{'s' if more > 1 else ''}"] * (more > 0))


class ParseError(SourceError):
    """The text is not in the grammar."""


class CheckError(SourceError):
    """The cascade is in the grammar, but breaks a rule of the language."""


class BuilderError(SourceError, TypeError, AttributeError):
    """A line of Python does something with the builder's values that no cascade can say."""


class EvaluationError(CascadeError):
    """A cascade cannot be evaluated on the given extents and tensors."""


class UsageError(CascadeError):
    """An argument on the command line has no meaning."""


class AnalysisError(CascadeError):
    """An analysis was asked something that the cascade has no answer to."""


class ArchitectureError(SourceError):
    """An architecture breaks a rule, in its file or in Python."""


class MappingError(CascadeError):
    """A mapping cannot be used."""


class MappingFileError(SourceError, MappingError):
    """A mapping's file is not in the format."""


class IllegalMappingError(MappingError):
    """A mapping contradicts the cascade or the architecture."""

    def __init__(self, violations: Sequence[str | Diagnostic]) -> None:
        """Keep every sentence that says what must hold and does not, and tell its place where it has one."""
        self.violations = tuple(each if isinstance(each, str) else each.message for each in violations)
        placed = [isinstance(each, Diagnostic) and bool(each.span.file) for each in violations]
        self.is_placed = any(placed)
        pairs = zip(violations, self.violations, placed, strict=True)
        super().__init__(_told([each if has_place else said for each, said, has_place in pairs], len(violations)))


class KernelError(IllegalMappingError):
    """A kernel is the array's by its works, but not with its filters or its extents."""


class InfeasibleMappingError(MappingError):
    """A mapping is legal, but demands more than the architecture has."""

    def __init__(self, reasons: Sequence[object]) -> None:
        """Keep every demand that exceeds its bound."""
        self.reasons = tuple(reasons)
        super().__init__(_told(self.reasons, len(self.reasons), "reason"))


class ScheduleError(CascadeError):
    """A graph of operations has no schedule, or a schedule breaks a rule."""


class ToolError(CascadeError):
    """An outside tool is missing or failed."""


class CacheError(ToolError):
    """The folder that built designs are kept in cannot be used."""


class ToolMissingError(ToolError):
    """A tool is not installed."""

    def __init__(self, name: str, remedy: str) -> None:
        """Name the tool and how to install it."""
        self.name, self.remedy = name, remedy
        super().__init__(f"{name} must be installed: {remedy}")


class ToolFailedError(ToolError):
    """A tool ran and failed."""

    def __init__(self, command: str, code: int, log: str) -> None:
        """Keep the command, its exit code and what it printed."""
        self.command, self.code, self.log = command, code, log
        super().__init__(f"{command!r} must end with exit code 0, but ended with {code}:\n{log}")
