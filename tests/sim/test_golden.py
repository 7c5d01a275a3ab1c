"""Golden cases in sim/: small tensors, and what must come of them to the bit and to the cycle."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from array_cases import prepared

from einsum_cascade import random_inputs
from einsum_cascade.sim.program_values import evaluate_program
from einsum_cascade.sim.timing import MemoryModel, run_timing

FOLDER = Path(__file__).parents[2] / "sim"
CASES = {
    "attention-causal-4x4": (
        "attention-1pass-causal",
        {"E": 5, "F": 3, "M": 10, "P": 9, "M0": 4},
        "fusemax-4x4",
    ),
    "attention-grouped-8x8-4stages": (
        "attention-1pass-gqa",
        {"B": 1, "G": 2, "R": 2, "E": 8, "F": 8, "M": 19, "P": 3, "M0": 8},
        "fusemax-8x8-4stages",
    ),
    "product-4x4": ("product", {"M": 9, "N": 7, "K": 5}, "fusemax-4x4"),
}


def _digest(values: np.ndarray[Any, Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


@pytest.mark.parametrize("name", CASES)
def test_values_and_times_are_those_kept(name: str, request: pytest.FixtureRequest) -> None:
    cascade, extents, architecture = CASES[name]
    case = prepared(cascade, extents, architecture)
    program = case.lowered.program
    tensors = random_inputs(case.cascade, case.extents, 0)
    operands = case.operands(tensors)
    trace = run_timing(program, MemoryModel())
    found = {
        "cascade": cascade,
        "extents": extents,
        "architecture": architecture,
        "operands_sha256": {key: _digest(values) for key, values in operands.items()},
        "results_sha256": _digest(evaluate_program(program, operands).output),
        "interval_cycles": program.interval,
        "cycles": trace.cycles,
        "matrix_busy": trace.matrix_busy,
        "vector_busy": trace.vector_busy,
    }
    path = FOLDER / name / "trace.json"
    if request.config.getoption("--update-golden"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=2) + "\n")
    assert found == json.loads(path.read_text()), f"differs from sim/{name}/trace.json; `make golden` rewrites it"
