"""Schedule, cost engine, model and RTL are made apart and agree on cycles; each allowed difference is stated."""

from dataclasses import replace
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from array_cases import prepared
from random_counts import random_count

from einsum_cascade import load_architecture, parse, random_inputs, resolve_extents
from einsum_cascade.analysis.symbolic import substitute
from einsum_cascade.cosim.simulation import simulate
from einsum_cascade.cost.estimate import estimate
from einsum_cascade.mapper.planning import plan_mapping
from einsum_cascade.mapping.codec import parse_mapping
from einsum_cascade.mapping.merging import merge_products, without_tasks
from einsum_cascade.mapping.presets import load_mapping, mapping_text
from einsum_cascade.mapping.symbols import symbolic_values
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.sim.stepped import step_program
from einsum_cascade.sim.timing import MemoryModel, run_timing
from einsum_cascade.study.explain import formulas
from einsum_cascade.study.preparation import prepare


def cost_of(case, machine=None):
    """What the cost engine says of the array's mapping on 4 x 4 PEs, products merged into what adds them or not."""
    mapping, machine = load_mapping("array"), machine or load_architecture("fusemax-4x4")
    apart = plan_mapping(Workload(case.cascade), machine, [mapping], case.extents).estimate
    merged = without_tasks(mapping, frozenset({"SPD", "SPNV"}))
    found = plan_mapping(Workload(merge_products(case.cascade)), machine, [merged], case.extents).estimate
    assert apart.cycles == found.cycles
    # What is beyond the steady state of the slots that the array has is a time.
    assert min([*apart.fills.values(), *found.fills.values()]) >= 0
    return found


def test_formulas_of_an_array_are_its_numbers(seed: int) -> None:
    """Products merged into what adds them or not: steady state and fill are the program's cycles, latencies equal."""
    mapping, machine = load_mapping("array"), load_architecture("fusemax-4x4")
    merged = without_tasks(mapping, frozenset({"SPD", "SPNV"}))
    for number in range(random_count(6, 20)):
        case = drawn_attention(Random(f"{seed} formulas {number}"))
        for own, cascade in ((mapping, case.cascade), (merged, merge_products(case.cascade))):
            workload = Workload(cascade)
            plan = plan_mapping(workload, machine, [own], case.extents)
            cost = plan.estimate
            formula = estimate(workload, machine, own, symbolic_values(workload, own), array=cost.array)
            known = {**plan.values, **cost.fills, **cost.kept}
            where = f"case {number} of seed {seed}: {case.cascade.name}, {case.extents}"
            assert substitute(formula.cycles, known) == cost.cycles, where
            assert float(substitute(formula.latency_s, known)) == pytest.approx(float(cost.latency_s), rel=1e-9), where
            rows = {row.number: row for row in formulas(workload, plan)}
            assert rows["latency (s)"].value == float(cost.latency_s), where


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
    for number in range(random_count(100)):
        case = drawn_attention(Random(f"{seed} model {number}"))
        trace = run_timing(case.lowered.program, MemoryModel())
        cycles = trace.cycles - sum(trace.stalls.values())
        assert cost_of(case).cycles == cycles, f"case {number} of seed {seed}: {case.cascade.name}, {case.extents}"


def beats_of(cost, extents, shape, heads=1):
    """Beats of DRAM that the words of a cost are: rows are padded to beats, results are a row of a tile of queries."""
    lengths = {"Q": extents["E"], "K": extents["E"], "V": extents["F"]}
    read = 0
    for name, length in lengths.items():
        rows, left = divmod(cost.accesses["dram", name].read, length)
        assert left == 0 == cost.accesses["dram", name].written
        read += rows * -(-length * shape.operand_bytes // shape.beat_bytes)
    results = cost.accesses["dram", "AV"]
    assert (results.read, results.written) == (0, heads * extents["F"] * extents["P"])
    columns = [min(shape.columns, extents["P"] - first) for first in range(0, extents["P"], shape.columns)]
    written = heads * extents["F"] * sum(-(-each // shape.beat_words) for each in columns)
    # But for the padding, those are the bytes: operands of 2 B, results of 4 B. Lengths, which cost reads where a
    # filter does, are in the array's program.
    lengths |= {"LEN": 1} if ("dram", "LEN") in cost.accesses else {}
    moved = [phase.moved["dram"] for phase in cost.phases if "dram" in phase.moved]
    assert sum(each.read for each in moved) == 2 * sum(cost.accesses["dram", name].read for name in lengths)
    assert sum(each.written for each in moved) == 4 * results.written
    return read, written


def test_traffic_of_cost_is_that_of_the_model(seed: int) -> None:
    """Rows of DRAM that a program reads, and results that it writes, plain or masked, of any lengths."""
    for number in range(random_count(100)):
        case = drawn_attention(Random(f"{seed} traffic {number}"))
        trace = run_timing(case.lowered.program, MemoryModel())
        told = beats_of(cost_of(case), case.extents, case.lowered.program.shape)
        where = f"case {number} of seed {seed}: {case.cascade.name}, {case.extents}"
        assert told == (trace.read_cycles, trace.write_cycles), where


def with_dram(machine, bytes_per_cycle):
    """A machine whose DRAM reads, and writes beside it, so many bytes a cycle."""
    rate = Fraction(bytes_per_cycle * machine.clock_hz)
    dram = replace(machine.memories[0], read_bytes_per_s=rate, write_bytes_per_s=rate, is_shared=False)
    return replace(machine, memories=(dram, *machine.memories[1:]))


def longest_beside_the_schedule(program, rate, extents):
    """Cycles that the model may have before and behind what cost counts, where nothing stalls.

    Before: three cycles of the sequencer, and for each row of the first tiles of queries, keys and values up to a beat
    of padding and three cycles of its address. Behind: F rows of results, as fast as they are divided or written,
    through 17 cycles of division and two dozen of registers and queues.
    """
    shape = program.shape
    beat = max(1.0, shape.beat_bytes / rate)
    rows = min(shape.columns, extents["P"]) + 2 * shape.rows
    row = max(shape.columns // shape.dividers, -(-shape.columns // shape.beat_words) * beat)
    return 3 + rows * (beat + 3) + extents["F"] * row + 17 + 24


def test_latency_of_cost_is_that_of_the_model(seed: int) -> None:
    """An array waits for its first tiles only, and memory works beside it: no later than the model, and where memory
    keeps up no earlier than by what cost does not count: addresses, padding, and results on their way out.
    """
    kept_up = 0
    for number in range(random_count(100)):
        random = Random(f"{seed} latency {number}")
        case, rate = drawn_attention(random), random.choice([1, 2, 3, 4, 6, 8])
        trace = run_timing(case.lowered.program, MemoryModel(bytes_per_cycle=rate))
        machine = with_dram(load_architecture("fusemax-4x4"), rate)
        told = float(cost_of(case, machine).latency_s) * machine.clock_hz
        where = f"case {number} of seed {seed}: {case.cascade.name}, {case.extents}, {rate} B a cycle"
        assert told <= trace.total_cycles * (1 + 1e-12), where
        if not sum(trace.stalls.values()):
            kept_up += 1
            assert trace.total_cycles <= told + longest_beside_the_schedule(case.lowered.program, rate, case.extents), (
                where
            )
    assert kept_up


def test_an_array_waits_for_its_first_tiles() -> None:
    """E = F = 4, M = 8 and P = 8 on 4 x 4 PEs, 8 B a cycle: of 64 B of keys and of values, half before it runs.

    Four keys, values and queries of 8 B each come in 3 * 4 cycles; everything else beside the 96 cycles of the program.
    """
    extents = {"E": 4, "F": 4, "M": 8, "P": 8, "M0": 4}
    case, machine = prepared("attention-1pass", extents, "fusemax-4x4"), load_architecture("fusemax-4x4")
    found = cost_of(case, with_dram(machine, 8))
    assert float(found.latency_s) * machine.clock_hz == pytest.approx(found.cycles + 12)
    # All of it twice as slow, from both sides of the program: twice the wait, the same beside it.
    slower = cost_of(case, with_dram(machine, 4))
    assert float(slower.latency_s) * machine.clock_hz == pytest.approx(found.cycles + 24)


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
        assert cost.cycles == cycles == sum(step.cycles for step in steps), where
        moved = tuple(sum(getattr(trace, name) for trace in traces) for name in ("read_cycles", "write_cycles"))
        assert beats_of(cost, extents, steps[0].lowered.program.shape, sizes["B"]) == moved, where
        # Tiles with a key, E + F + 9 slots each.
        tiles = sum(-(-int(length) // 4) for length in inputs["LEN"]) * -(-sizes["P"] // 4)
        assert cost.busy_cycles("2d") == tiles * (sizes["E"] + sizes["F"] + 9), where


def test_queries_of_several_heads_share_keys(seed: int) -> None:
    """Keys and values that all heads of queries use are read once: cycles and traffic of cost and model."""
    text = HEADS.replace("K[b:B, e:E, m:M], V[b:B, f:F, m:M], LEN[b:B]", "K[e:E, m:M], V[f:F, m:M]")
    for old, new in (("BK[b, ", "BK["), ("BV[b, ", "BV["), ("K[b, e, m1*", "K[e, m1*"), ("V[b, f, m1*", "V[f, m1*")):
        text = text.replace(old, new)
    cascade, machine = parse(text.replace(" where m1*M0 + m0 < LEN[b]", "")), load_architecture("fusemax-4x4")
    tree = (
        mapping_text("array")
        .replace("cascade: attention-1pass\n", "")
        .replace("  - for p by", "  - for b\n  - for p by")
    )
    mapping = without_tasks(parse_mapping(tree), frozenset({"SPD", "SPNV"}))
    for number in range(random_count(60)):
        rng = np.random.default_rng([seed, 29, number])
        sizes = {
            name: int(rng.integers(1, most)) for name, most in (("B", 6), ("E", 12), ("F", 12), ("M", 30), ("P", 20))
        }
        extents = resolve_extents(cascade, sizes | {"M0": 4})
        (step,) = prepare(cascade, machine, extents).steps
        cost = plan_mapping(Workload(cascade), machine, [mapping], extents).estimate
        trace, where = run_timing(step.lowered.program, MemoryModel()), f"case {number} of seed {seed}: {extents}"
        assert cost.cycles == trace.cycles - sum(trace.stalls.values()), where
        assert beats_of(cost, extents, step.lowered.program.shape, sizes["B"]) == (
            trace.read_cycles,
            trace.write_cycles,
        ), where
