"""Turn command-line arguments into values: cascades, extents, input tensors, operators."""

import importlib.util
import re
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from einsum_cascade.cascade import parse
from einsum_cascade.cascade.ir import Cascade
from einsum_cascade.errors import CascadeError, UsageError
from einsum_cascade.units import MOST_DIGITS, long_number, parse_count

if TYPE_CHECKING:
    import numpy as np

__all__ = ["load_cascade", "load_inputs", "parse_options", "parse_settings"]

_NEXT_INPUT = re.compile(r",(?=\s*\w+\s*=)")


def load_cascade(argument: str, operator_files: Iterable[str] = ()) -> Cascade:
    """Return the cascade that an argument names: a zoo name, a `.cascade` file, or `file.py:name`.

    Raises
    ------
    UsageError
        There is no such cascade.
    SourceError
        The file has mistakes.

    """
    from einsum_cascade import zoo

    for file in operator_files:
        _run_python(file)
    path, _, name = argument.rpartition(":")
    if path.endswith(".py"):
        return _from_python(path, name)
    if argument.endswith(".py"):
        raise UsageError(f"a Python file must be followed by the name of its cascade, as {argument}:NAME")
    if argument.endswith(".cascade") or "/" in argument:
        return parse(_read_text(argument), argument)
    try:
        return zoo.load(argument)
    except ValueError as error:
        raise UsageError(f"{error}; a file must end in .cascade or be given as file.py:name") from None


def _read_text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"cascade file {path!r} must be readable, but is not: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"cascade file {path!r} must be UTF-8 text") from None


def _from_python(path: str, name: str) -> Cascade:
    module = _run_python(path)
    found = getattr(module, name, None)
    if isinstance(found, Cascade):
        return found
    known = sorted(key for key, value in vars(module).items() if isinstance(value, Cascade))
    raise UsageError(f"{path!r} must define a cascade {name!r}; it defines {', '.join(known) or 'none'}")


def _run_python(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None or not Path(path).is_file():
        raise UsageError(f"Python file {path!r} must exist and end in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except CascadeError:
        raise
    except Exception as error:
        line = next((f.lineno for f in reversed(traceback.extract_tb(error.__traceback__)) if f.filename == path), None)
        line = error.lineno if isinstance(error, SyntaxError) else line
        raise UsageError(f"{path}:{line or 1}: {type(error).__name__}: {error}") from None
    return module


def parse_settings(arguments: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Read `--set M=64K,P=11`, given any number of times, each rank once.

    A rank may have several values: `M=1K,4K..64K` is 1K, and 4K doubled until 64K.

    Raises
    ------
    UsageError
        An entry is not a name and counts, or names a rank that another one names as well.

    """
    settings: dict[str, tuple[int, ...]] = {}
    name = ""
    for entry in (part for argument in arguments for part in argument.split(",") if part.strip()):
        left, equals, value = (part.strip() for part in entry.partition("=")) if "=" in entry else ("", "", entry)
        if found := long_number(value):
            what = f"--set {left or name} must be given a number of at most {MOST_DIGITS} digits"
            raise UsageError(f"{what}, not {len(found[1])}; set a smaller one")
        try:
            numbers = _counts(value)
        except ValueError:
            left, equals, name, numbers = "", "", "", ()
        if equals and left in settings:
            raise UsageError(
                f"rank {left!r} must be set once, but is set twice: --set {left}={settings[left][0]} and {entry}"
            )
        name = left if equals else name
        if not name:
            raise UsageError(f"--set must be given as RANK=NUMBER[,...], such as M=4096,P=1K,2K..16K, not {entry!r}")
        settings[name] = tuple(dict.fromkeys((*settings.get(name, ()), *numbers)))
    return settings


def _counts(text: str) -> tuple[int, ...]:
    """Read a count, or a range that doubles from one to another, which is in it."""
    first, dots, last = text.partition("..")
    if not dots:
        return (parse_count(text),)
    least, most = parse_count(first), parse_count(last)
    if not 0 < least <= most:
        raise ValueError(f"a range must rise from a count of at least 1, unlike {text!r}")
    values = (least << power for power in range((most // least).bit_length()))
    return tuple(dict.fromkeys((*values, most)))


def load_inputs(arguments: Iterable[str]) -> "Mapping[str, np.ndarray[Any, Any]]":
    """Read `--input Q=q.npy,K=k.npy`, given any number of times, each input once.

    A comma that no `NAME=` follows is part of a file's name.

    Raises
    ------
    UsageError
        An entry is not a name and a readable `.npy` file, or names a tensor twice.

    """
    from zipfile import BadZipFile

    import numpy as np

    inputs: dict[str, np.ndarray[Any, Any]] = {}
    for entry in (part for argument in arguments for part in _NEXT_INPUT.split(argument) if part.strip()):
        name, equals, path = (part.strip() for part in entry.partition("="))
        if not equals or not name or not path:
            raise UsageError(f"--input must be given as NAME=FILE.npy[,...], not {entry!r}")
        if name in inputs:
            raise UsageError(f"input {name!r} must be given once, but is given twice")
        try:
            with Path(path).open("rb") as file:
                found = np.load(file, allow_pickle=False)
        except OSError as error:
            reason = error.strerror or str(error)
            raise UsageError(f"input {name!r} must be a readable .npy file, but {path!r} is not: {reason}") from None
        except (ValueError, EOFError, BadZipFile, MemoryError):
            # What NumPy says of it may advise to read it all the same.
            what = f"input {name!r} must be a readable .npy file, but {path!r} is not one of numbers, whole"
            raise UsageError(f"{what}; write it with numpy.save") from None
        if not isinstance(found, np.ndarray):
            raise UsageError(f"input {name!r} must be a .npy file of one array, but {path!r} holds several")
        inputs[name] = found
    return inputs


def parse_options(quirks: Iterable[str], refinements: Iterable[str], *, is_audited: bool) -> frozenset[str]:
    """Read `--quirk NAME=off` and `--refine NAME`, given any number of times; return all that is on.

    A quirk may be given by its number. Quirks that are not told are on, unless the run is audited.

    Raises
    ------
    UsageError
        An entry is not a known name, or not `on` or `off`.

    """
    from einsum_cascade.reproduction import QUIRKS, REFINEMENTS

    numbers = {str(quirk.number): name for name, quirk in QUIRKS.items()}
    on = set[str]() if is_audited else set(QUIRKS)
    for entry in quirks:
        name, equals, value = entry.partition("=")
        name = numbers.get(name, name)
        if name not in QUIRKS:
            raise UsageError(f"--quirk must name one of {', '.join(QUIRKS)}, not {name!r}")
        if not equals or value not in ("on", "off"):
            raise UsageError(f"--quirk must be given as {name}=off or {name}=on, not {entry!r}")
        on = on | {name} if value == "on" else on - {name}
    for name in refinements:
        if name not in REFINEMENTS:
            raise UsageError(f"--refine must name one of {', '.join(REFINEMENTS)}, not {name!r}")
        on |= {name}
    return frozenset(on)
