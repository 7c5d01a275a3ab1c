"""What the benchmarks time must run: whether their limits are kept only `make bench` sees."""

import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
QUICK = """
import analysis, arrays, bench, interpreter, startup
from cost import Problem

problem = Problem()
problem.costs(10)
problem.tile_interval()
"""


def test_the_benchmarks_of_costs_run_and_the_others_load() -> None:
    subprocess.run([sys.executable, "-c", QUICK], cwd=BENCHMARKS, check=True)
