"""What is made once and kept: folders under one place, each made aside and moved there whole."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

__all__ = ["cache_folder", "keep"]


def cache_folder() -> Path:
    """Return the folder that built designs are kept in: EINSUM_CASCADE_CACHE, or a user's folder for caches."""
    told = os.environ.get("EINSUM_CASCADE_CACHE")
    if told:
        return Path(told)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "einsum-cascade"


def keep(place: Path, make: Callable[[Path], None]) -> None:
    """Make a folder, unless it is there.

    Parameters
    ----------
    place
        Where it is kept.
    make
        Fills an empty folder. It is moved to its place when all is in it, so that two processes that make the same one
        do not meet, and none sees half of it.

    """
    if place.exists():
        return
    draft = place.with_name(f"{place.name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    make(draft)
    try:
        draft.rename(place)
    except OSError:  # another process was faster
        shutil.rmtree(draft)
