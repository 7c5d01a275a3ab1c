"""Puts the presets into the wheel as data.

An editable install must not have them: their folder beside the installed packages would hide the package itself.
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_FOLDERS = ("arch", "mappings")


class Presets(BuildHookInterface):
    """Includes the top-level folders of data, which `preset_files` finds in the wheel and in the checkout."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the folders to a wheel that is not editable."""
        if version != "editable":
            build_data["force_include"] |= {folder: f"einsum_cascade/data/{folder}" for folder in _FOLDERS}
