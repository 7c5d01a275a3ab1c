"""What the wheel holds beside the package: the preset files, as data."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

__all__ = ["Presets"]

FOLDERS = ("arch", "mappings")


class Presets(BuildHookInterface[Any]):
    """Put the folders of preset files into the package of a wheel.

    Not into an editable install, which finds them in the checkout: data beside the import system's link to the
    package would hide it.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the folders that there are."""
        if version != "editable":
            there = [folder for folder in FOLDERS if (Path(self.root) / folder).is_dir()]
            build_data["force_include"].update({folder: f"einsum_cascade/data/{folder}" for folder in there})
