"""Architectures by name: the preset files, the family `fusemax-NxN`, and files of the user's."""

import re
from pathlib import Path

from einsum_cascade import preset_files
from einsum_cascade.arch.codec import parse_architecture, read_architecture
from einsum_cascade.arch.fusemax import contexts_for, fusemax
from einsum_cascade.arch.ir import Architecture
from einsum_cascade.errors import ArchitectureError, Diagnostic, Span
from einsum_cascade.wording import did_you_mean

__all__ = ["architecture_names", "described", "load_architecture", "preset_text"]

_FAMILY = re.compile(r"fusemax-([1-9]\d{0,3})x([1-9]\d{0,3})(?:-([1-9])stages)?", re.ASCII)
_SIZES, _STAGES = range(4, 513), range(1, 9)


def architecture_names() -> tuple[str, ...]:
    """Return the names that `load_architecture` takes; the last ones stand for a family.

    Examples
    --------
    >>> architecture_names()
    ('flat-cloud', 'flat-edge', 'fusemax-cloud', 'systolic', 'fusemax-NxN', 'fusemax-NxN-Lstages')

    """
    return (*preset_files.preset_files("arch"), "fusemax-NxN", "fusemax-NxN-Lstages")


def described() -> tuple[tuple[str, str], ...]:
    """Return every name that `load_architecture` takes, and what it stands for."""
    family = "FuseMax's array as the RTL builds it, N x N PEs"
    files = ((name, load_architecture(name).source) for name in preset_files.preset_files("arch"))
    return (*files, ("fusemax-NxN", family), ("fusemax-NxN-Lstages", f"{family} of L pipeline stages"))


def preset_text(name: str) -> str:
    """Return the text of a preset file, to start a file of one's own from.

    Raises
    ------
    ValueError
        There is no such file; `to_yaml` writes one of the family.

    """
    return preset_files.preset_text("arch", name)


def load_architecture(name: str) -> Architecture:
    """Return the architecture of a preset name, one of the family such as `fusemax-16x16`, or of a `.yaml` file.

    Raises
    ------
    ArchitectureError
        There is none of that name, or the file has mistakes.

    Examples
    --------
    >>> load_architecture("fusemax-cloud").engine("2d").pes
    65536

    """
    if name.endswith((".yaml", ".yml")):
        return read_architecture(name)
    if match := _FAMILY.fullmatch(name):
        return _of_family(name, int(match[1]), int(match[2]), int(match[3] or 1))
    if name in preset_files.preset_files("arch"):
        return parse_architecture(preset_text(name), f"{name}.yaml")
    if Path(name).is_file():
        raise _refused(name, f"an architecture file must end in '.yaml', unlike {name!r}; rename it")
    hint = did_you_mean(name, architecture_names())
    raise _refused(name, f"architecture {name!r} must be a preset or a '.yaml' file, but is neither{hint}")


def _of_family(name: str, rows: int, columns: int, stages: int) -> Architecture:
    if rows == columns and rows in _SIZES and stages in _STAGES:
        # Slots of several stages may have to wait for a free one, which takes a context more.
        contexts = contexts_for(rows, e=64, f=64, stages=stages) + (stages > 1)
        return fusemax(rows, stages=stages, contexts=contexts, name=name)
    rule = f"a preset 'fusemax-NxN' must be square with N from {_SIZES[0]} to {_SIZES[-1]}"
    rule += f", and may have {_STAGES[0]} to {_STAGES[-1]} stages"
    raise _refused(name, f"{rule}, unlike {name!r}; write a file for another one")


def _refused(name: str, message: str) -> ArchitectureError:
    return ArchitectureError([Diagnostic(message, Span(name, 0))])
