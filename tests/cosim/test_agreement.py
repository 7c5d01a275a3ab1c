"""Schedule, cost engine, model and RTL are made apart and agree on cycles; each allowed difference is stated."""

from random import Random

import numpy as np
import pytest
from array_cases import prepared
from random_counts import random_count

from einsum_cascade import load_architecture, parse, random_inputs, resolve_extents
from einsum_cascade.cosim.simulation import prepare, simulate
from einsum_cascade.cost.planning import plan_mapping
from einsum_cascade.mapping.codec import parse_mapping
from einsum_cascade.mapping.merging import merge_products, without_tasks
from einsum_cascade.mapping.presets import load_mapping, mapping_text
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.sim.stepped import step_program
from einsum_cascade.sim.timing import MemoryModel, run_timing

pytestmark = pytest.mark.xdist_group("cosim")


def cost_of(case):
    """What the cost engine says of the array's mapping on 4 x 4 PEs, products merged into what adds them or not."""
    mapping, machine = load_mapping("array"), load_architecture("fusemax-4x4")
    apart = plan_mapping(Workload(case.cascade), machine, [mapping], case.extents).estimate
    merged = without_tasks(mapping, frozenset({"SPD", "SPNV"}))
    found = plan_mapping(Workload(merge_products(case.cascade)), machine, [merged], case.extents).estimate
    assert apart.cycles == found.cycles
    return found


@pytest.mark.parametrize(
    "extents", [{"E": 16, "F": 16, "M": 24, "P": 20, "M0": 4}, {"E": 9, "F": 5, "M": 13, "P": 6, "M0": 4}]
)
def test_cycles_of_cost_schedule_models_and_rtl(extents: dict[str, int]) -> None:
    case = prepared("attention-1pass", extents, "fusemax-4x4")
    result = simulate(case, random_inputs(case.cascade, case.extents, 0))
    program, registers = case.lowered.program, result.run.registers
    tiles = program.key_tiles * program.query_tiles
    # The array, which bounds it, has an instruction in all slots of all tiles.
    cost = cost_of(case)
    assert cost.busy_cycles("2d") == registers["matrix_busy"] == tiles * (extents["E"] + extents["F"] + 9)
    # The schedule adds prologue and epilogue, and the array its skew from the corner to the last lane.
    schedule = case.lowered.schedule
    assert schedule.cycles(tiles) == schedule.latency_cycles + (tiles - 1) * schedule.interval
    assert registers["cycles"] == schedule.cycles(tiles) + case.shape.depth_cycles == cost.cycles
    # Both models have the same: one from event to event, one step by step. Memory keeps up, so nothing stalls.
    assert run_timing(program, MemoryModel()).cycles == registers["cycles"]
    tensors = {"query": np.zeros((1, extents["P"], extents["E"])), "key": np.zeros((1, extents["M"], extents["E"]))}
    stepped = step_program(program, {**tensors, "value": np.zeros((1, extents["M"], extents["F"]))})
    assert stepped.cycles == registers["cycles"]
    assert sum(result.stalls.values()) == 0


def drawn_attention(random):
    """Attention with running maxima, plain, causal or in a window, of any lengths."""
    mask = random.choice(["", "-causal", "-window"])
    extents = {name: random.randint(1, most) for name, most in (("E", 20), ("F", 20), ("M", 60), ("P", 40))} | {"M0": 4}
    if mask:
        extents["P"] = min(extents["P"], extents["M"])  # every query has a key
    return prepared(
        f"attention-1pass{mask}", extents | ({"W": random.randint(1, 20)} if mask == "-window" else {}), "fusemax-4x4"
    )


def test_cycles_of_cost_are_those_of_the_rtl(seed: int) -> None:
    """Masks, ragged lengths, any E and F: what the RTL takes but for its stalls is what the cost engine says."""
    for number in range(random_count(30)):
        case = drawn_attention(Random(f"{seed} {number}"))
        result = simulate(case, random_inputs(case.cascade, case.extents, number))
        cycles = result.run.registers["cycles"] - sum(result.stalls.values())
        assert cost_of(case).cycles == cycles, f"case {number} of seed {seed}: {case.cascade.name}, {case.extents}"


def test_cycles_of_cost_are_those_of_the_model(seed: int) -> None:
    """The same of more cases with the model, which goes from event to event."""
    for number in range(random_count(200)):
        case = drawn_attention(Random(f"{seed} model {number}"))
        trace = run_timing(case.lowered.program, MemoryModel())
        cycles = trace.cycles - sum(trace.stalls.values())
        assert cost_of(case).cycles == cycles, f"case {number} of seed {seed}: {case.cascade.name}, {case.extents}"


HEADS = """
rank B, E, F, M, P, M0
rank M1 = M/M0
input Q[b:B, e:E, p:P], K[b:B, e:E, m:M], V[b:B, f:F, m:M], LEN[b:B]
BK[b, e, m1, m0]  = K[b, e, m1*M0 + m0]
BV[b, f, m1, m0]  = V[b, f, m1*M0 + m0]
BQK[b, m1, m0, p] = Q[b, e, p] * BK[b, e, m1, m0] where m1*M0 + m0 < LEN[b]
init RM[b, 0, p]  = -inf
init RD[b, 0, p]  = 0
init RNV[b, f, 0, p] = 0
LM[b, m1, p]      = max[m0](BQK[b, m1, m0, p])
RM[b, m1 + 1, p]  = max(RM[b, m1, p], LM[b, m1, p])
SLN[b, m1, m0, p] = exp(BQK[b, m1, m0, p] - RM[b, m1 + 1, p])
SLD[b, m1, p]     = sum[m0](SLN[b, m1, m0, p])
SLNV[b, f, m1, p] = SLN[b, m1, m0, p] * BV[b, f, m1, m0]
PRM[b, m1, p]     = expsub(RM[b, m1, p], RM[b, m1 + 1, p])
RD[b, m1 + 1, p]  = SLD[b, m1, p] + RD[b, m1, p] * PRM[b, m1, p]
RNV[b, f, m1 + 1, p] = SLNV[b, f, m1, p] + RNV[b, f, m1, p] * PRM[b, m1, p]
AV[b, f, p]       = RNV[b, f, M1, p] / RD[b, M1, p]
output AV
"""


def test_cycles_of_heads_of_different_lengths(seed: int) -> None:
    """Every run of heads with one length is a program; cost, schedule and model have the same for all of them."""
    cascade, machine = parse(HEADS), load_architecture("fusemax-4x4")
    text = (
        mapping_text("array").replace("cascade: attention-1pass\n", "").replace("  - keep K", "  - for b\n  - keep K")
    )
    mapping = without_tasks(parse_mapping(text), frozenset({"SPD", "SPNV"}))
    for number in range(random_count(60)):
        rng = np.random.default_rng([seed, 23, number])
        sizes = {
            name: int(rng.integers(1, most)) for name, most in (("B", 6), ("E", 12), ("F", 12), ("M", 30), ("P", 20))
        }
        extents = resolve_extents(cascade, sizes | {"M0": 4})
        inputs = {"LEN": rng.integers(1, sizes["M"] + 1, sizes["B"])}
        steps = prepare(cascade, machine, extents, inputs=inputs).steps
        cost = plan_mapping(Workload(cascade), machine, [mapping], extents, inputs=inputs).estimate
        traces = [run_timing(step.lowered.program, MemoryModel()) for step in steps]
        cycles = sum(trace.cycles - sum(trace.stalls.values()) for trace in traces)
        where = f"case {number} of seed {seed}: {extents}, {inputs}"
        assert cost.cycles == cycles == sum(step.schedule_cycles for step in steps), where
        # Tiles with a key, E + F + 9 slots each.
        tiles = sum(-(-int(length) // 4) for length in inputs["LEN"]) * -(-sizes["P"] // 4)
        assert cost.busy_cycles("2d") == tiles * (sizes["E"] + sizes["F"] + 9), where
