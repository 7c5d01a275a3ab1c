"""Costs by the million: one mapping of 1-pass attention with arrays for its tile sizes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from measure import Entry, alternate, median_seconds, peak_bytes

from einsum_cascade import load_architecture, resolve_extents, zoo
from einsum_cascade.cascade.extent import symbol
from einsum_cascade.cost.many import Costs, estimate_many
from einsum_cascade.mapping.binding import bound_tasks
from einsum_cascade.mapping.ir import Block, Compute, Keep, Loop, Mapping
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.schedule.lockstep import lockstep_schedule
from einsum_cascade.schedule.lowering import tile_graphs
from einsum_cascade.schedule.modulo import modulo_schedule

__all__ = ["cost_entries"]

ATTENTION = {"E": 64, "F": 64, "M": 65536, "P": 65536, "M0": 256}


def fusemax_binding() -> Mapping:
    """FuseMax's mapping of the 1-pass cascade (arXiv 2406.10491, Sec. V), with its tile sizes as parameters.

    `PE` queries at a time are spread over the columns, and `P1` such tiles share one fill of K and V.
    """
    rows, columns = Loop("m0", axis="rows"), Loop("p", axis="columns")

    def part(task, engine, stage, *steps):
        return Block(steps, (Compute(task, engine, stage),))

    tile = Block(
        (
            Loop("m1"),
            Keep("buffer", ("K", "V")),
            Loop("p", symbol("PE")),
            Keep("2d", ("BQK", "SLN")),
            Keep("1d", ("PRM", "SPD", "SPNV", "SLNV")),
        ),
        (
            part("BQK", "2d", 1, rows, columns),
            part("LM", "2d", 1, rows, columns),
            part("RM", "1d", 2, columns),
            part("SLN", "2d", 3, rows, columns),
            part("SLD", "2d", 3, rows, columns),
            part("PRM", "1d", 3, columns),
            part("SPD", "1d", 3, columns),
            part("SLNV", "2d", 4, rows, columns),
            part("SPNV", "1d", 4, columns),
            part("RD", "1d", 1, columns),
            part("RNV", "1d", 1, columns),
        ),
    )
    last = Block((Loop("p", symbol("PE")),), (part("AV", "1d", 1, columns),))
    outer = (
        Loop("p", symbol("P1") * symbol("PE")),
        Keep("buffer", ("Q", "LM", "RM", "SLD", "RD", "RNV")),
    )
    return Mapping("binding", Block(outer, (tile, last), "lock-step"), (("PE", 256), ("P1", 1)))


def reproduction() -> Entry:
    """Compare the whole reproduction of FuseMax's evaluation with importing NumPy and SymPy."""
    command = Path(sys.executable).with_name("einsum-cascade")

    def ours() -> None:
        subprocess.run([command, "reproduce", "fusemax", "--json"], check=True, stdout=subprocess.DEVNULL)

    def theirs() -> None:
        subprocess.run([sys.executable, "-c", "import numpy, sympy"], check=True)

    return alternate("reproduce fusemax / import numpy, sympy", ours, theirs, limit=10)


class Problem:
    """1-pass attention on FuseMax, and tilings drawn at random: tiles need not divide anything."""

    def __init__(self) -> None:
        self.workload = Workload(zoo.load("attention-1pass"))
        self.architecture = load_architecture("fusemax-cloud")
        self.extents = resolve_extents(self.workload.cascade, ATTENTION)
        self.mapping = fusemax_binding()

    def costs(self, candidates: int) -> Costs:
        rng = np.random.default_rng(0)
        tilings = {name: rng.integers(1, 257, candidates) for name in ("PE", "P1")}
        return estimate_many(self.workload, self.architecture, self.mapping, {**self.extents, **tilings})

    def tile_interval(self) -> None:
        bounds = bound_tasks(self.workload, self.architecture, self.mapping.root, self.values)
        (tile,) = tile_graphs(self.workload, self.mapping.root, bounds, self.values)
        assert modulo_schedule(tile.graph).interval <= lockstep_schedule(tile.graph, tile.stages).interval

    @property
    def values(self) -> dict[str, int]:
        return {**dict(self.mapping.parameters), **self.extents}


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
