"""Schedule, cost engine, model and RTL are made apart and agree on cycles; each allowed difference is stated."""

import numpy as np
import pytest
from array_cases import prepared

from einsum_cascade import load_architecture, random_inputs
from einsum_cascade.cosim.simulation import simulate
from einsum_cascade.cost.planning import plan_mapping
from einsum_cascade.mapping.merging import merge_products, without_tasks
from einsum_cascade.mapping.presets import load_mapping
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.sim.stepped import step_program
from einsum_cascade.sim.timing import MemoryModel, run_timing

pytestmark = pytest.mark.xdist_group("cosim")


@pytest.mark.parametrize(
    "extents", [{"E": 16, "F": 16, "M": 24, "P": 20, "M0": 4}, {"E": 9, "F": 5, "M": 13, "P": 6, "M0": 4}]
)
def test_cycles_of_cost_schedule_models_and_rtl(extents: dict[str, int]) -> None:
    case = prepared("attention-1pass", extents, "fusemax-4x4")
    result = simulate(case, random_inputs(case.cascade, case.extents, 0))
    program, registers = case.lowered.program, result.run.registers
    tiles = program.key_tiles * program.query_tiles
    # The cost engine counts the steady state: the cycles in which the array, which bounds it, has an instruction.
    mapping = without_tasks(load_mapping("array"), frozenset({"SPD", "SPNV"}))
    workload = Workload(merge_products(case.cascade))
    cost = plan_mapping(workload, load_architecture("fusemax-4x4"), [mapping], case.extents).estimate
    assert cost.busy_cycles("2d") == registers["matrix_busy"] == tiles * (extents["E"] + extents["F"] + 9)
    # The schedule adds prologue and epilogue, and the array its skew from the corner to the last lane.
    schedule = case.lowered.schedule
    assert schedule.cycles(tiles) == schedule.latency_cycles + (tiles - 1) * schedule.interval
    assert registers["cycles"] == schedule.cycles(tiles) + case.shape.depth_cycles
    # Both models have the same: one from event to event, one step by step. Memory keeps up, so nothing stalls.
    assert run_timing(program, MemoryModel()).cycles == registers["cycles"]
    tensors = {"query": np.zeros((1, extents["P"], extents["E"])), "key": np.zeros((1, extents["M"], extents["E"]))}
    stepped = step_program(program, {**tensors, "value": np.zeros((1, extents["M"], extents["F"]))})
    assert stepped.cycles == registers["cycles"]
    assert sum(result.stalls.values()) == 0
