"""Run commands of Yosys (pyosys), each list in a process of its own: an error of Yosys ends the process it is in."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

__all__ = ["YosysError", "run_yosys"]

_RUNNER = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for command in sys.stdin.read().splitlines():
    libyosys.run_pass(command, design)
"""


class YosysError(Exception):
    """Yosys ended with an error; the text is its own."""


def run_yosys(commands: Iterable[str], folder: Path) -> str:
    """Run commands in a folder and return what they printed."""
    script = "\n".join(commands)
    done = subprocess.run(
        [sys.executable, "-c", _RUNNER], input=script, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        printed = (done.stdout + done.stderr).splitlines()
        errors = [line for line in printed if line.startswith("ERROR")]
        raise YosysError("\n".join(errors or [*printed[-20:], f"Yosys ended with code {done.returncode}"]))
    return done.stdout
