"""Print reports, as text or JSON, and write their tables to files."""

import io
import json
import sys
from collections.abc import Mapping
from itertools import batched
from pathlib import Path
from typing import Any

from einsum_cascade.errors import UsageError
from einsum_cascade.study.files import write_whole
from einsum_cascade.study.report import Report
from einsum_cascade.study.tables import to_csv, to_latex
from einsum_cascade.terminal.options import FormOptions

__all__ = ["print_json", "print_report", "write_tensors"]


def print_report(report: Report, form: FormOptions, shown: Report | None = None) -> None:
    """Print a report in the form that is asked for, after its tables are in the files that are.

    Parameters
    ----------
    report
        The report.
    form
        How it is printed.
    shown
        What of it is printed as text; all if not given.

    Raises
    ------
    UsageError
        A file cannot be written.

    """
    if form.csv is not None:
        _write_tables(report, form.csv)
    if form.latex is not None:
        _write(form.latex, "\n".join(map(to_latex, report.tables)), "--latex")
    if form.as_json:
        print_json(report.to_json())
        return
    from rich.console import Console

    from einsum_cascade.study.rendering import print_parts, to_text

    parts = (shown or report).parts()
    if sys.stdout.isatty():
        print_parts(parts, Console(highlight=False))
    else:
        print(to_text(parts))


def print_json(value: Any) -> None:
    """Print plain values as JSON, piece by piece: of a long report, the text is longer than the values."""
    for some in batched(json.JSONEncoder(indent=2).iterencode(value), 10_000):
        sys.stdout.write("".join(some))
    print()


def _write_tables(report: Report, file: Path) -> None:
    """Write the first table into a file, and every other one into one beside it, with its name."""
    for at, table in enumerate(report.tables):
        _write(file.with_stem(f"{file.stem}-{table.name}") if at else file, to_csv(table), "--csv")


def _write(file: Path, text: str, option: str) -> None:
    try:
        write_whole(file, text)
    except OSError as error:
        raise UsageError(f"{option} {str(file)!r} must be a file that can be written: {error.strerror}") from None


def write_tensors(tensors: Mapping[str, Any], folder: Path | None) -> dict[str, str]:
    """Write tensors into a folder, one NAME.npy each, and return the files by name; none without a folder.

    Raises
    ------
    UsageError
        The folder cannot be written.

    """
    if folder is None:
        return {}
    import numpy as np

    files = {name: folder / f"{name}.npy" for name in tensors}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, file in files.items():
            content = io.BytesIO()
            np.save(content, tensors[name])
            write_whole(file, content.getvalue())
    except OSError as error:
        raise UsageError(f"--output {str(folder)!r} must be a folder that can be written: {error.strerror}") from None
    return {name: str(file) for name, file in files.items()}
