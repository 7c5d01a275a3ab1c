"""What is made once and kept: folders under one place, each made aside and moved there whole, and looked at before use.

Beside every folder are a digest of what is in it and a lock. A folder that is not what its digest says (cut off,
changed, with a file removed) is made anew; while one process makes a folder, others that want it wait.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from einsum_cascade.errors import CacheError

__all__ = ["cache_folder", "clear", "is_whole", "keep", "kept"]

_ENDINGS = ".sha256", ".lock"
"""Of the files beside a folder."""

_seen: dict[Path, tuple[tuple[str, int, int], ...]] = {}
"""Folders that this process has found whole: their files with sizes and times of the last change, then."""


def cache_folder() -> Path:
    """Return the folder that built designs are kept in: EINSUM_CASCADE_CACHE, or a user's folder for caches.

    Raises
    ------
    CacheError
        Its path has a space, which make cannot build in.

    """
    told = os.environ.get("EINSUM_CASCADE_CACHE")
    folder = Path(told) if told else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "einsum-cascade"
    folder = folder.absolute()
    if any(character.isspace() for character in str(folder)):
        raise CacheError(f"the cache must be at a path without spaces, for make builds there, not at {str(folder)!r}")
    return folder


def keep(place: Path, make: Callable[[Path], None]) -> None:
    """Make a folder, unless it is there and whole.

    Parameters
    ----------
    place
        Where it is kept.
    make
        Fills an empty folder. It is moved to its place when all is in it, so that none sees half of it.

    Raises
    ------
    CacheError
        The cache cannot be read, or written.

    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with _locked(place):
            if is_whole(place):
                return
            _remove_drafts(place)
            shutil.rmtree(place, ignore_errors=True)
            draft = place.with_name(f"{place.name}.{os.getpid()}")
            draft.mkdir()
            make(draft)
            draft.rename(place)
            _beside(place, ".sha256").write_text(_digest(place))
            _seen[place] = _signature(place)
    except OSError as error:
        raise CacheError(
            f"the cache at {str(cache_folder())!r} must be one that can be read and written, but "
            f"{error.filename or place}: {error.strerror}; set EINSUM_CASCADE_CACHE to another folder"
        ) from None


def kept() -> Iterator[tuple[str, int, int]]:
    """Yield every kind of what is kept, how many folders there are, and their bytes."""
    root = cache_folder()
    for kind in sorted(each for each in root.glob("*") if each.is_dir()):
        folders = [each for each in kind.iterdir() if each.is_dir()]
        files = (file for folder in folders for file in folder.rglob("*") if file.is_file())
        yield kind.name, len(folders), sum(file.stat().st_size for file in files)


def clear() -> None:
    """Remove all that is kept."""
    for kind in ("designs", "runtime", "verilog"):
        shutil.rmtree(cache_folder() / kind, ignore_errors=True)


def _beside(place: Path, ending: str) -> Path:
    return place.with_name(place.name + ending)


@contextmanager
def _locked(place: Path) -> Generator[None]:
    with _beside(place, ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_whole(place: Path) -> bool:
    """Tell whether a folder is what its digest says; one that was, and has not changed since, is not read again."""
    told = _beside(place, ".sha256")
    if not place.is_dir() or not told.is_file():
        return False
    signature = _signature(place)
    if _seen.get(place) != signature:
        if told.read_text() != _digest(place):
            return False
        _seen[place] = signature
    return True


def _files(place: Path) -> list[Path]:
    return sorted(each for each in place.rglob("*") if each.is_file())


def _signature(place: Path) -> tuple[tuple[str, int, int], ...]:
    stats = ((str(file.relative_to(place)), file.stat()) for file in _files(place))
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


def _digest(place: Path) -> str:
    found = hashlib.sha256()
    for file in _files(place):
        found.update(f"{file.relative_to(place)}\0{file.stat().st_size}\0".encode())
        found.update(file.read_bytes())
    return found.hexdigest()


def _remove_drafts(place: Path) -> None:
    """Remove drafts of processes that are no longer there; who makes this one has the lock."""
    for draft in place.parent.glob(f"{place.name}.*"):
        if draft.suffix not in _ENDINGS:
            shutil.rmtree(draft, ignore_errors=True)
