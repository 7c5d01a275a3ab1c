"""The generated array: how fast it is generated, built and simulated, beside the model and a driver without cocotb."""

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from measure import Entry, median_seconds
from numpy.typing import NDArray

from einsum_cascade import load_architecture, random_inputs, resolve_extents, zoo
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.cosim.build import build_design
from einsum_cascade.cosim.simulation import build_array, hierarchical_modules, simulate
from einsum_cascade.cosim.verilog import verilog_of
from einsum_cascade.lowering.prepared import Prepared
from einsum_cascade.lowering.shapes import shape_of
from einsum_cascade.rtl.feeder import RowFeeder
from einsum_cascade.rtl.module_text import module_text
from einsum_cascade.rtl.top import design_files, design_ports
from einsum_cascade.sim.program_values import evaluate_program
from einsum_cascade.study.preparation import prepare

__all__ = ["array_entries"]

_DRIVEN_CYCLES = 20_000


def array_entries() -> list[Entry]:
    """Return generation, build and speed of arrays."""
    return [*_generation(), *_builds(), *(entry for rows in (8, 16) for entry in _speeds(rows))]


def _generation() -> list[Entry]:
    sizes = (4, 8, 16, 32, 64, 128, 256)
    seconds = [
        median_seconds(lambda n=n: design_files(shape_of(load_architecture(f"fusemax-{n}x{n}"))), 3) for n in sizes
    ]
    bank = median_seconds(lambda: module_text(RowFeeder(ArrayShape(4, 4, slots=1 << 14)), "row_feeder"))
    exponent = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
    return [
        Entry("Verilog of 256 x 256", seconds[-1], None, "s", seconds[-1], 60),
        Entry("Verilog of a bank, 4 x 4 with a buffer of 16 MiB", bank, None, "s", bank, 1),
        Entry("generation time, exponent of the rows from 4 to 256", exponent, None, "", exponent, 1),
    ]


def _builds() -> list[Entry]:
    shape = shape_of(load_architecture("fusemax-16x16"))
    kept = os.environ.get("EINSUM_CASCADE_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["EINSUM_CASCADE_CACHE"] = folder
        cold, warm = (_timed(lambda: build_array(shape)) for _ in range(2))
    if kept is None:
        del os.environ["EINSUM_CASCADE_CACHE"]
    else:
        os.environ["EINSUM_CASCADE_CACHE"] = kept
    return [
        Entry("build 16 x 16, cold", cold, None, "s", cold, 90),
        Entry("build 16 x 16, warm", warm, None, "s", warm, 5),
    ]


def _timed(action) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _speeds(rows: int) -> list[Entry]:
    """Return the speeds of a cycle: of the RTL from two runs, so that neither has the simulator's start in it."""
    short, prepared = _prepared(rows, rows), _prepared(rows, 4 * rows)
    tensors = random_inputs(prepared.cascade, prepared.extents, 0)
    start, start_seconds = _run(short, random_inputs(short.cascade, short.extents, 0))
    cycles, seconds = _run(prepared, tensors)
    ours = (seconds - start_seconds) / (cycles - start)
    driven = _driven_seconds(prepared) / _DRIVEN_CYCLES
    operands = prepared.operands(tensors)
    model = median_seconds(lambda: evaluate_program(prepared.lowered.program, operands), 3) / cycles
    name = f"{rows} x {rows}, a cycle"
    return [
        Entry(f"{name}: cocotb against a C++ driver", ours, driven, "s", ours / driven, 2),
        Entry(f"{name}: the model against the RTL", model, ours, "s", model / ours, 1),
    ]


def _prepared(rows: int, queries: int) -> Prepared:
    cascade = zoo.load("attention-1pass")
    extents = resolve_extents(cascade, {"E": 64, "F": 64, "M": 1024, "P": queries, "M0": rows})
    return prepare(cascade, load_architecture(f"fusemax-{rows}x{rows}"), extents)


def _run(prepared: Prepared, tensors: Mapping[str, NDArray[Any]]) -> tuple[int, float]:
    """Return the cycles of a run and its seconds, the least of three."""
    simulate(prepared, tensors)  # builds
    result = min((simulate(prepared, tensors) for _ in range(3)), key=lambda found: found.run_seconds)
    return result.run.registers["total_cycles"], result.run_seconds


_DRIVER = """
#include "Vtop.h"
#include "verilated.h"
#include <cstdlib>

double sc_time_stamp() { return 0; }

int main(int count, char** arguments) {
    Vtop top;
    for (long cycle = 0; cycle < std::atol(arguments[1]); ++cycle) {
        top.rst = cycle < 4;
        top.clk = 0;
        top.eval();
        top.clk = 1;
        top.eval();
    }
}
"""


def _driven_seconds(prepared: Prepared) -> float:
    """Return the seconds of a clock alone, on the same design built the same way."""
    files, ports = verilog_of(prepared.shape), design_ports(prepared.shape)
    build = build_design(files, *ports, hierarchical=hierarchical_modules(prepared.shape), driver=_DRIVER)
    command = [str(build.program), str(_DRIVEN_CYCLES)]
    return median_seconds(lambda: subprocess.run(command, check=True), 3)
