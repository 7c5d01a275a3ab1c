"""The model says by itself how long the RTL takes: every counter, on memory of any latency and bandwidth.

There is no allowed difference. Random pauses of memory are the only times that a model cannot know.
"""

from dataclasses import replace
from random import Random

import pytest
from array_cases import prepared
from array_programs import as_operands, in_blocks, mistakes
from random_counts import draw_seed, random_count

from einsum_cascade import random_inputs
from einsum_cascade.array.program import Program
from einsum_cascade.array.program_rules import check_program
from einsum_cascade.cosim.memory_timing import MemoryTiming
from einsum_cascade.cosim.simulation import CosimResult, build_array, simulate
from einsum_cascade.cosim.step_runs import StepResult, run_step
from einsum_cascade.lowering.prepared import Prepared
from einsum_cascade.sim.timing import CycleTrace, MemoryModel, run_timing

SMALL, MEDIUM = "fusemax-4x4", "fusemax-8x8-4stages"
COUNTERS = (
    "cycles",
    "total_cycles",
    "stalls_keys",
    "stalls_queries",
    "stalls_drain",
    "stalls_state",
    "matrix_busy",
    "vector_busy",
)


def _check(case: Prepared, memory: MemoryTiming) -> CosimResult:
    result = simulate(case, random_inputs(case.cascade, case.extents, 0), memory)
    _check_counters(result)
    assert result.is_agreed
    return result


def _check_counters(result: CosimResult | StepResult) -> None:
    assert not result.run.error
    assert [result.run.registers[name] for name in COUNTERS] == [getattr(result.trace, name) for name in COUNTERS]


def _with(case: Prepared, program: Program) -> Prepared:
    (step,) = case.steps
    return replace(case, steps=(replace(step, lowered=replace(step.lowered, program=check_program(program))),))


def _in_another_order(program: Program, random: Random) -> Program:
    """The same, or every query tile reads keys and values anew, or goes over blocks; results may leave as operands."""
    order = random.choice(["as it is", "anew", "blocks", "blocks"])
    found = {
        "as it is": program,
        "anew": replace(program, is_resident=False, block_tiles=None, state=None),
        "blocks": in_blocks(program, random.randint(1, 5)),
    }[order]
    return as_operands(found) if random.random() < 0.4 else found


def _in_small_buffer(program: Program, more: int) -> Program:
    """The same, keys read anew, in a buffer of so many tiles more than the kernel works on."""
    sizes = {"product_steps": program.product_steps, "output_steps": max(program.output_steps, program.shape.rows)}
    shape = replace(program.shape, **sizes, slots=program.stages + more)
    return replace(program, shape=shape, is_resident=False, block_tiles=None, state=None)


def _draw_case(random: Random, n: int) -> tuple[str, dict[str, int]]:
    """Draw work that waits for each of keys, queries and drain often, and rows that cross pages sometimes."""
    kind = random.choice(
        ["plain", "causal", "window", "gqa", "product", "long", "deferred", "softmax", "scores", "scores-window"]
    )
    steps, outputs = random.randint(1, 24), random.randint(1, 24)
    keys, queries = random.randint(1, 5 * n), random.randint(1, 5 * n)
    shared = {"E": steps, "F": outputs, "M0": n}
    match kind:
        case "product":
            return kind, {"M": keys, "N": queries, "K": steps}
        case "deferred":
            return "attention-deferred-causal", {"E": steps, "F": outputs, "M": keys, "P": queries}
        case "softmax":
            return kind, {"M": keys, "P": queries}
        case "scores":
            return kind, {"E": steps, "M": keys, "P": queries}
        case "scores-window":
            return kind, {"E": steps, "M": keys, "P": queries, "W": random.randint(1, 2 * n)}
        case "gqa":
            heads = {"B": random.randint(1, 2), "G": random.randint(1, 2), "R": random.randint(1, 2)}
            return "attention-1pass-gqa", shared | heads | {"M": min(keys, 2 * n), "P": min(queries, 2 * n)}
        case "causal" | "window":
            most = {"W": random.randint(1, 2 * n)} if kind == "window" else {}
            return f"attention-1pass-{kind}", shared | most | {"M": keys, "P": queries}
        case "long":
            return "attention-1pass", shared | {"M": random.randint(20 * n, 40 * n), "P": random.randint(1, n + 1)}
        case _:
            return "attention-1pass", shared | {"M": keys, "P": queries}


def _draw_memory(random: Random) -> MemoryTiming:
    if random.random() < 0.4:
        return MemoryTiming()
    return MemoryTiming(random.choice([0, 1, 2, 9, 33, 150]), random.choice([0.0, 0.0, 0.7, 1.5, 2.4, 5.0, 7.9, 11.0]))


@pytest.mark.parametrize("architecture", [SMALL, MEDIUM])
def test_all_counters_are_those_of_the_model(architecture: str) -> None:
    random = Random(draw_seed() + len(architecture))
    for _ in range(random_count(60, nightly=300)):
        name, extents = _draw_case(random, 4 if architecture == SMALL else 8)
        memory = _draw_memory(random)
        case = prepared(name, extents, architecture)
        changed = _in_another_order(case.lowered.program, random)
        print(name, extents, memory, changed.is_resident, changed.block_tiles)
        _check(case if mistakes(changed) else _with(case, changed), memory)


def _check_in_small_buffer(case: Prepared, more: int, memory: MemoryTiming) -> CycleTrace:
    """The design has a larger buffer than the program uses."""
    program = _in_small_buffer(case.lowered.program, more)
    (step,) = _with(case, program).steps
    stored = case.stored(random_inputs(case.cascade, case.extents, 0))
    result = run_step(step, build_array(case.shape), stored, memory, None)
    _check_counters(result)
    assert result.mismatched == 0
    return result.trace


@pytest.mark.parametrize("architecture", [SMALL, MEDIUM])
def test_all_counters_are_those_of_the_model_where_the_buffer_is_small(architecture: str) -> None:
    """Keys and values wait for places, row by row; a tile of few rows waits for all those of the one before."""
    random, n = Random(draw_seed() + 3 * len(architecture)), 4 if architecture == SMALL else 8
    case = prepared("attention-1pass", {"E": 1, "F": 1, "M": 1, "P": 74, "M0": n}, architecture)
    waiting = _check_in_small_buffer(case, 1, MemoryTiming(20))
    assert waiting.stalls_keys > run_timing(case.lowered.program, MemoryModel(20)).stalls_keys
    for _ in range(random_count(60, nightly=300)):
        kind = random.choice(["attention-1pass", "attention-1pass-causal", "product"])
        steps, outputs, queries = (random.randint(1, most) for most in (4, 4, 12 * n))
        keys = random.randint(1, random.choice([n - 1, 6 * n]))
        attention = {"E": steps, "F": outputs, "P": queries, "M0": n}
        attention["M"] = max(keys, queries) if kind.endswith("causal") else keys
        case = prepared(kind, {"M": keys, "N": queries, "K": steps} if kind == "product" else attention, architecture)
        memory = MemoryTiming(random.choice([0, 0, 9, 20, 60]), random.choice([0.0, 0.0, 7.9]))
        more = random.choice([1, 2])
        print(kind, case.extents, memory, more)
        if not mistakes(_in_small_buffer(case.lowered.program, more)):
            _check_in_small_buffer(case, more, memory)


@pytest.mark.parametrize("architecture", [SMALL, MEDIUM])
def test_all_counters_are_those_of_the_model_over_blocks_of_keys(architecture: str) -> None:
    """Few query tiles or many, so that their state is in memory just before it is needed, or long before."""
    random, n = Random(draw_seed() + 7 * len(architecture)), 4 if architecture == SMALL else 8
    for _ in range(random_count(40, nightly=200)):
        kind = random.choice(["attention-1pass", "attention-1pass-causal", "attention-1pass-gqa"])
        keys, queries = random.randint(2 * n + 1, 8 * n), random.randint(n + 1, 6 * n)
        extents = {"E": random.randint(9, 24), "F": random.randint(1, 24), "M0": n, "M": keys, "P": queries}
        if kind.endswith("causal"):
            extents["M"] = extents["P"] = max(keys, queries)
        if kind.endswith("gqa"):
            extents |= {"B": 1, "G": random.randint(1, 2), "R": random.randint(1, 2)}
        case = prepared(kind, extents, architecture)
        tiles = case.lowered.program.key_tiles
        changed = (in_blocks(case.lowered.program, count) for count in random.sample(range(1, tiles), tiles - 1))
        program = next((each for each in changed if not mistakes(each)), None)
        if program is not None:
            memory = _draw_memory(random)
            print(kind, extents, program.block_tiles, memory)
            _check(_with(case, program), memory)


def test_a_drain_slower_than_query_tiles_by_hand() -> None:
    """4 x 4, E = 1, F = 16, one key tile, ten query tiles of 26 cycles; results leave in 16 x 4 of one divider, and 1.

    If the corner begins in cycle B, tile k writes its first result in B + 26 k + 14 and its last in B + 26 k + 32. The
    drain has it 7 + 1 cycles later, when the last lane has written it, and 4 for the ways: results 0 leave from B + 44
    on and are gone at B + 109. Tile 2 would write at B + 66, and waits 43. Results 1 are gone 65 later, at B + 174.
    Tile 3, at B + 92 + 43, waits 39, as do the six after it, 65 - 26 each.
    """
    result = _check(prepared("attention-1pass", {"E": 1, "F": 16, "M": 4, "P": 40, "M0": 4}, SMALL), MemoryTiming())
    assert result.prepared.lowered.program.interval == 26
    assert result.stalls == {"keys": 0, "queries": 0, "drain": 43 + 7 * 39, "state": 0}


def test_pauses_by_seed_are_taken_from_the_array() -> None:
    case = prepared("attention-1pass", {"E": 8, "F": 8, "M": 24, "P": 20, "M0": 4}, SMALL)
    result = simulate(case, random_inputs(case.cascade, case.extents, 0), MemoryTiming(0, 0.0, 11))
    own = sum(result.trace.stalls.values())
    assert sum(result.stalls.values()) > own
    assert result.model_cycles == result.trace.cycles - own + sum(result.stalls.values())
    assert result.is_agreed


def test_a_beat_of_one_operand_takes_a_cycle_for_each_divider() -> None:
    """9 words in beats of 8, two columns at a time: 8 cycles, then 2, in which both beats of the ninth word leave."""
    case = prepared("attention-1pass", {"E": 4, "F": 9, "M": 8, "P": 19, "M0": 8}, MEDIUM)
    assert case.shape.dividers == 2 and case.shape.beat_operands == 8
    _check(_with(case, as_operands(case.lowered.program)), MemoryTiming())
