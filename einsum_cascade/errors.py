"""Every error class of the package, and the source positions that errors point at.

A mistake of the user is told in one sentence: what must hold, where, the bad value, the remedy.
Wrong Python arguments raise `TypeError` or `ValueError`; `assert` is for mistakes of ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
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
        carets = "^" * max(1, self.end_column - self.column)
        return f"    {self.text}\n    {' ' * (self.column - 1)}{carets}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake in one sentence, and the place it was made at."""

    message: str
    span: Span

    def __str__(self) -> str:
        """Return `file:line:column: sentence` and the excerpt below it."""
        excerpt = self.span.excerpt()
        return f"{self.span}: {self.message}" + (f"\n{excerpt}" if excerpt else "")


class CascadeError(Exception):
    """Root of all errors of this package; never raised itself."""


class SourceError(CascadeError):
    """One or more mistakes in the source of a cascade, all those that were found."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        """Sort the mistakes by position."""
        if not diagnostics:
            raise ValueError("a SourceError needs at least one diagnostic")
        self.diagnostics = tuple(sorted(diagnostics, key=lambda d: (d.span.file, d.span.line, d.span.column)))
        super().__init__("\n".join(map(str, self.diagnostics)))


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
        texts = [str(each) if isinstance(each, Diagnostic) and each.span.file else None for each in violations]
        self.is_placed = any(texts)
        super().__init__("\n".join(text or said for text, said in zip(texts, self.violations, strict=True)))


class KernelError(IllegalMappingError):
    """A kernel is the array's by its works, but not with its filters or its extents."""


class InfeasibleMappingError(MappingError):
    """A mapping is legal, but demands more than the architecture has."""

    def __init__(self, reasons: Sequence[object]) -> None:
        """Keep every demand that exceeds its bound."""
        self.reasons = tuple(reasons)
        super().__init__("\n".join(map(str, self.reasons)))


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
