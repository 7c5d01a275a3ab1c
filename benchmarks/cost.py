"""Costs by the million: one mapping of 1-pass attention with arrays for its tile sizes."""

import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
from measure import Entry, alternate, median_seconds

from einsum_cascade import load_architecture, resolve_extents, zoo
from einsum_cascade.cascade.extent import symbol
from einsum_cascade.cost.estimate import estimate
from einsum_cascade.mapping.ir import Block, Compute, Keep, Loop, Mapping
from einsum_cascade.mapping.workload import Workload

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
