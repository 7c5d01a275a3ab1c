"""The analysis of a long cascade must not be waited for."""

import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Entry, median_seconds

__all__ = ["bounds_of_a_chain", "chain"]


def chain(length: int = 60) -> str:
    """Return the text of a chain of Einsums in which every third one is a barrier over the long rank."""
    lines = ["cascade chain", "rank M, P", "input X0[m:M, p:P]"]
    last = "X0"
    for number in range(1, length + 1):
        name = f"X{number}"
        if number % 3 == 1:
            lines.append(f"{name}[p] = max[m]({last}[m, p])")
            barrier = name
            continue
        right = f"exp({last}[m, p] - {barrier}[p])" if number % 3 == 2 else f"{last}[m, p] * 2"
        lines.append(f"{name}[m, p] = {right}")
        last = name
    return "\n".join([*lines, f"output {last}", ""])


def bounds_of_a_chain() -> list[Entry]:
    """Time `bounds --json` on a chain of 60 Einsums beyond the time that importing its libraries takes."""
    command = Path(sys.executable).with_name("einsum-cascade")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chain.cascade"
        path.write_text(chain())

        def run() -> None:
            subprocess.run([command, "bounds", path, "--json"], check=True, stdout=subprocess.DEVNULL)

        def start() -> None:
            modules = "einsum_cascade.cli, einsum_cascade.analysis.bounds, einsum_cascade.cascade.parser"
            subprocess.run([sys.executable, "-c", f"import {modules}, einsum_cascade.zoo"], check=True)

        whole, imports = median_seconds(run), median_seconds(start)
    return [Entry("bounds on 60 Einsums beyond start-up", whole - imports, None, "s", whole - imports, 0.5)]
