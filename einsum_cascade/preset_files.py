"""Where the files are that come with the package: in it once it is installed, in the checkout before."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from einsum_cascade.wording import quoted

__all__ = ["preset_files", "preset_text"]


def preset_files(folder: str) -> dict[str, Traversable]:
    """Return the YAML files of a top-level folder by their names without suffix, sorted.

    Parameters
    ----------
    folder
        The folder in the checkout, such as `arch`.

    Examples
    --------
    >>> "flat-cloud" in preset_files("arch")
    True

    """
    packaged = files("einsum_cascade") / "data" / folder
    found = packaged if packaged.is_dir() else Path(__file__).parents[1] / folder
    entries = {entry.name.removesuffix(".yaml"): entry for entry in found.iterdir() if entry.name.endswith(".yaml")}
    return dict(sorted(entries.items()))


def preset_text(folder: str, name: str) -> str:
    """Return the text of a file of a top-level folder.

    Raises
    ------
    ValueError
        There is no such file.

    """
    found = preset_files(folder)
    if name not in found:
        raise ValueError(f"a preset file must be one of {quoted(found)}, not {name!r}")
    return found[name].read_text(encoding="utf-8")
