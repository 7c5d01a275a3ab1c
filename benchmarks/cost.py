"""Costs by the million: one mapping of 1-pass attention with arrays for its tile sizes."""

import subprocess
import sys
from functools import cached_property
from pathlib import Path

import numpy as np
from measure import Entry, alternate, median_seconds, peak_bytes

from einsum_cascade import load_architecture, resolve_extents, zoo
from einsum_cascade.mapper.many import Costs, estimate_many
from einsum_cascade.mapper.planning import plan_mapping
from einsum_cascade.mapping.binding import bound_tasks
from einsum_cascade.mapping.presets import load_mapping
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.schedule.lowering import tile_graphs
from einsum_cascade.schedule.modulo import modulo_schedule
from einsum_cascade.schedule.whole import tile_time

__all__ = ["cost_entries"]

ATTENTION = {"E": 64, "F": 64, "M": 65536, "P": 65536, "M0": 256}


def reproduction() -> Entry:
    """Compare the whole reproduction of FuseMax's evaluation with importing NumPy and SymPy."""
    command = Path(sys.executable).with_name("einsum-cascade")

    def ours() -> None:
        subprocess.run([command, "reproduce", "fusemax", "--json"], check=True, stdout=subprocess.DEVNULL)

    def theirs() -> None:
        subprocess.run([sys.executable, "-c", "import numpy, sympy"], check=True)

    return alternate("reproduce fusemax / import numpy, sympy", ours, theirs, limit=10)


class Problem:
    """1-pass attention in FuseMax's binding, and tilings drawn at random: tiles need not divide anything."""

    def __init__(self) -> None:
        self.workload = Workload(zoo.load("attention-1pass"))
        self.architecture = load_architecture("fusemax-cloud")
        self.extents = resolve_extents(self.workload.cascade, ATTENTION)
        self.mapping = load_mapping("binding")

    def costs(self, candidates: int) -> Costs:
        rng = np.random.default_rng(0)
        tilings = {name: rng.integers(1, 257, candidates) for name in ("PE", "P1")}
        return estimate_many(self.workload, self.architecture, self.mapping, {**self.extents, **tilings})

    def tile_interval(self) -> None:
        """Take a mapping whose parameters have values to the schedule of its tile, in lock-step as it says."""
        bounds = bound_tasks(self.workload, self.architecture, self.mapping.root, self.values)
        (tile,) = tile_graphs(self.workload, self.architecture, self.mapping.root, bounds, self.values)
        tile_time.cache_clear()
        assert tile_time(tile).interval >= modulo_schedule(tile.graph).interval

    @cached_property
    def values(self):
        return plan_mapping(self.workload, self.architecture, [self.mapping], self.extents).values


def cost_entries() -> list[Entry]:
    """Time the reproduction, costs of many tilings, and the schedule of a tile."""
    problem = Problem()
    each = median_seconds(lambda: problem.costs(10**4)) / 10**4 * 1000
    million = median_seconds(lambda: problem.costs(10**6), runs=3)
    peak = peak_bytes(lambda: problem.costs(10**6)) / 2**30
    tile = median_seconds(problem.tile_interval)
    return [
        reproduction(),
        Entry("cost of 1-pass attention, of 10^4 tilings each", each, None, "ms", each, 2),
        Entry("cost of 10^6 tilings", million, None, "s", million, 5),
        Entry("cost of 10^6 tilings: peak memory", peak, None, "GiB", peak, 2),
        Entry("schedule of the attention tile", tile, None, "s", tile, 1),
    ]
