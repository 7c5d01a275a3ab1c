"""The command line must start quickly: heavy imports are lazy."""

import subprocess
import sys
from pathlib import Path

from measure import Entry, alternate

__all__ = ["version"]


def version() -> list[Entry]:
    """Compare `einsum-cascade --version` with importing NumPy."""
    command = Path(sys.executable).with_name("einsum-cascade")

    def ours() -> None:
        subprocess.run([command, "--version"], check=True, stdout=subprocess.DEVNULL)

    def theirs() -> None:
        subprocess.run([sys.executable, "-c", "import numpy"], check=True)

    return [alternate("einsum-cascade --version / import numpy", ours, theirs, limit=3.0)]
