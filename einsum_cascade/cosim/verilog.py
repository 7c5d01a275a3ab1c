"""The Verilog of arrays, kept by what it is generated from: generating takes seconds, reading it back does not."""

import hashlib
import os
import shutil
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path

import einsum_cascade
from einsum_cascade.cosim.toolchain import cache_folder
from einsum_cascade.program.shape import ArrayShape
from einsum_cascade.rtl.top import design_files

__all__ = ["verilog_of"]


@lru_cache(maxsize=32)
def verilog_of(shape: ArrayShape) -> dict[str, str]:
    """Return the Verilog of an array by file name, generated unless it was with the same sources."""
    key = hashlib.sha256(f"{shape!r} {_sources()} {version('amaranth')}".encode()).hexdigest()[:20]
    place = cache_folder() / "verilog" / key
    if place.exists():
        return {path.name: path.read_text(encoding="utf-8") for path in sorted(place.iterdir())}
    files = design_files(shape)
    draft = place.with_name(f"{key}.{os.getpid()}")
    draft.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (draft / name).write_text(text, encoding="utf-8")
    try:
        draft.rename(place)
    except OSError:  # another process was faster
        shutil.rmtree(draft)
    return files


@cache
def _sources() -> str:
    """Return a digest of all modules that the generator may read."""
    root = Path(einsum_cascade.__file__).parent
    digest = hashlib.sha256()
    for folder in ("rtl", "program", "cascade"):
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
