"""Run every benchmark, print the ratios, keep the figures of this run as JSON, and fail where a limit is passed.

Run it with `make bench` on an idle machine.
"""

import json
import platform
import sys
import time
from pathlib import Path

from analysis import bounds_of_a_chain, bounds_of_many_einsums
from arrays import array_entries
from cost import cost_entries
from interpreter import interpreter_entries
from measure import Entry
from rich.console import Console
from rich.table import Table
from startup import version

RUNS = Path(__file__).parent / "runs"


def main() -> int:
    """Run all entries and return the exit code."""
    entries: list[Entry] = []
    timed = (version, bounds_of_a_chain, bounds_of_many_einsums, cost_entries, interpreter_entries, array_entries)
    for benchmark in timed:
        entries += benchmark()
    RUNS.mkdir(exist_ok=True)
    path = RUNS / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    machine = {"python": platform.python_version(), "processor": platform.machine()}
    path.write_text(json.dumps({"machine": machine, "entries": [entry.as_json() for entry in entries]}, indent=2))
    print_table(entries)
    return 1 if any(entry.value > entry.limit for entry in entries) else 0


def print_table(entries: list[Entry]) -> None:
    """Print one row per entry."""
    table = Table("benchmark", "ours", "theirs", "value", "limit", "verdict")
    for entry in entries:
        verdict = "ok" if entry.value <= entry.limit else "[bold red]over"
        theirs = f"{entry.theirs:.4g} {entry.unit}" if entry.theirs is not None else ""
        table.add_row(
            entry.name, f"{entry.ours:.4g} {entry.unit}", theirs, f"{entry.value:.3g}", f"{entry.limit:g}", verdict
        )
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
