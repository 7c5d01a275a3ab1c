"""The Verilog of arrays, kept by what it is generated from: generating takes seconds, reading it back does not."""

import hashlib
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path

from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.cosim.cache import cache_folder, keep
from einsum_cascade.rtl.top import design_files

__all__ = ["verilog_of"]


@lru_cache(maxsize=32)
def verilog_of(shape: ArrayShape) -> dict[str, str]:
    """Return the Verilog of an array by file name, generated unless it was with the same sources."""
    key = hashlib.sha256(f"{shape!r} {_sources()} {version('amaranth')}".encode()).hexdigest()[:20]
    place = cache_folder() / "verilog" / key
    keep(place, lambda folder: _write(design_files(shape), folder))
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(place.iterdir())}


def _write(files: Mapping[str, str], folder: Path) -> None:
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


@cache
def _sources() -> str:
    """Return a digest of all modules that the generator may read."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    modules = (path for folder in ("rtl", "array") for path in sorted((root / folder).rglob("*.py")))
    for path in (*modules, root / "formats.py"):
        digest.update(path.read_bytes())
    return digest.hexdigest()
