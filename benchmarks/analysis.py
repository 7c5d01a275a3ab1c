"""The analysis of a long cascade must not be waited for."""

import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from measure import Entry, median_seconds

__all__ = ["bounds_of_a_chain", "bounds_of_many_einsums", "chain", "maps"]

DELTA_RULE = Path(__file__).with_name("delta-rule.cascade")
"""Gated delta rule in chunks, from token projections: forward substitution inside a chunk, a state between chunks."""


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


def maps(length: int = 2000) -> str:
    """Return the text of a chain of Einsums each of which maps what the one before it made."""
    lines = [f"X{n}[m, p] = exp(X{n - 1}[m, p])" for n in range(1, length + 1)]
    return "\n".join(["cascade maps", "rank M, P", "input X0[m:M, p:P]", *lines, f"output X{length}", ""])


def bounds_of_many_einsums() -> list[Entry]:
    """Time `bounds --json` on 2000 Einsums, all of it, and take the most memory that its process has."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "maps.cascade"
        path.write_text(maps())
        took = median_seconds(partial(_bounds, path))
        peak = int(subprocess.run([sys.executable, "-c", _PEAK, path], check=True, capture_output=True).stdout) / 2**10
    return [
        Entry("bounds on 2000 Einsums", took, None, "s", took, 10),
        Entry("bounds on 2000 Einsums, memory", peak, None, "MiB", peak, 512),
    ]


_PEAK = """
import resource, subprocess, sys
from pathlib import Path
command = Path(sys.executable).with_name("einsum-cascade")
subprocess.run([command, "bounds", sys.argv[1], "--json"], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""Prints the most memory of a process in KiB, as its parent knows it."""


def bounds_of_a_chain() -> list[Entry]:
    """Time `bounds --json` beyond the time that importing its libraries takes: chains, recurrences in one another."""
    with tempfile.TemporaryDirectory() as folder:
        texts = {60: Path(folder) / "chain.cascade", 200: Path(folder) / "long.cascade"}
        for length, path in texts.items():
            path.write_text(chain(length))
        timed = [("60 Einsums", texts[60], 0.5), ("200 Einsums", texts[200], 5)]
        timed += [("grouped queries", "attention-1pass-gqa", 2), ("a chunked delta rule", DELTA_RULE, 2)]
        start = median_seconds(_start)
        found = [(name, median_seconds(partial(_bounds, cascade)) - start, limit) for name, cascade, limit in timed]
    return [Entry(f"bounds on {name} beyond start-up", took, None, "s", took, limit) for name, took, limit in found]


def _bounds(cascade: str | Path) -> None:
    command = Path(sys.executable).with_name("einsum-cascade")
    subprocess.run([command, "bounds", cascade, "--json"], check=True, stdout=subprocess.DEVNULL)


def _start() -> None:
    modules = "einsum_cascade.cli, einsum_cascade.analysis.bounds, einsum_cascade.cascade.parser"
    subprocess.run([sys.executable, "-c", f"import {modules}, einsum_cascade.zoo"], check=True)
