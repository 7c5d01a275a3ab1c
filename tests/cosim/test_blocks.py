"""Blocks of keys on the array: values as without them, whatever memory does, and what goes wrong with running state.

Its counters are compared with the model's in tests/cosim/test_times.py.
"""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from array_cases import prepared
from array_programs import in_blocks, mistakes
from random_counts import draw_seed, random_count

from einsum_cascade import load_architecture, random_inputs, resolve_extents, zoo
from einsum_cascade.array.memory import pack, unpack
from einsum_cascade.array.numbers import Numbers
from einsum_cascade.array.program import Program
from einsum_cascade.array.program_rules import check_program
from einsum_cascade.array.registers import ErrorCode, Waiting
from einsum_cascade.cosim.memory_timing import MemoryTiming
from einsum_cascade.cosim.run import Case, RunResult, run_case
from einsum_cascade.cosim.simulation import build_array, simulate
from einsum_cascade.lowering.prepared import Prepared
from einsum_cascade.sim.program_values import evaluate_program
from einsum_cascade.study.preparation import prepare

SMALL, MEDIUM = "fusemax-4x4", "fusemax-8x8-4stages"
WATCHDOG_CYCLES = 3000
# Five key tiles in blocks of 2, 2 and 1, for three query tiles, the last of 3 queries.
CASE = "attention-1pass", {"E": 8, "F": 8, "M": 18, "P": 11, "M0": 4}


def _with(case: Prepared, program: Program) -> Prepared:
    (step,) = case.steps
    return replace(case, steps=(replace(step, lowered=replace(step.lowered, program=check_program(program))),))


@pytest.mark.parametrize("architecture", [SMALL, MEDIUM])
def test_values_are_those_of_one_block(architecture: str) -> None:
    """With random pauses of memory, of every mask and grouping; and of products, which have no running state."""
    random, n = Random(draw_seed() + len(architecture)), 4 if architecture == SMALL else 8
    for _ in range(random_count(40, nightly=200)):
        name = random.choice(["attention-1pass", "attention-1pass-causal", "attention-1pass-gqa", "product"])
        keys, queries = random.randint(2 * n + 1, 7 * n), random.randint(n + 1, 6 * n)
        extents = {"E": random.randint(1, 24), "F": random.randint(1, 24), "M0": n, "M": keys, "P": queries}
        if name == "product":
            extents = {"M": keys, "N": queries, "K": extents["E"]}
        if name.endswith("gqa"):
            extents |= {"B": random.randint(1, 2), "G": 1, "R": random.randint(1, 2)}
        case = prepared(name, extents, architecture)
        program = in_blocks(case.lowered.program, random.randint(1, 3))
        if mistakes(program):
            continue
        memory = MemoryTiming(random.choice([0, 7, 60]), random.choice([0.0, 1.5]), random.getrandbits(30))
        print(name, extents, program.block_tiles, memory)
        inputs = random_inputs(case.cascade, case.extents, random.getrandbits(30))
        result = simulate(_with(case, program), inputs, memory)
        assert result.is_agreed
        operands = case.operands(inputs)
        whole = replace(program, block_tiles=None, state=None)
        assert np.array_equal(evaluate_program(whole, operands).output, evaluate_program(program, operands).output)


@pytest.mark.parametrize(
    ("name", "extents", "numbers"),
    [
        ("attention-sigmoid", {"E": 6, "F": 7, "M": 30, "P": 14}, Numbers(multiplier="wide")),
        ("attention-linear", {"E": 6, "F": 7, "M": 30, "P": 14}, None),
    ],
)
def test_sums_alone_are_running_state(name: str, extents: dict[str, int], numbers: Numbers | None) -> None:
    """Kernels without maxima: what they leave behind for a maximum is never read."""
    cascade = zoo.load(name)
    case = prepare(cascade, load_architecture(SMALL), resolve_extents(cascade, extents), numbers)
    programs = [in_blocks(step.lowered.program, 2) for step in case.steps]
    steps = tuple(
        step if mistakes(program) else replace(step, lowered=replace(step.lowered, program=program))
        for step, program in zip(case.steps, programs, strict=True)
    )
    assert any(step.lowered.program.has_state for step in steps)
    case = replace(case, steps=steps)
    assert simulate(case, random_inputs(cascade, case.extents, 3), MemoryTiming(9, 2.4)).is_agreed


def test_keys_beyond_the_buffer_are_in_blocks() -> None:
    """513 tiles in a buffer for 512: two blocks, and keys are read once. One query tile would save nothing."""
    sizes = {"E": 64, "F": 64, "M": 2052, "M0": 4}
    case = prepared("attention-1pass", sizes | {"P": 8}, SMALL)
    program = case.lowered.program
    assert (program.slots, program.key_tiles, program.block_tiles) == (512, 513, 257)
    result = simulate(case, random_inputs(case.cascade, case.extents, 0))
    assert result.is_agreed
    # Beats of 8 bytes: 16 of a key, of a value, and of a query, which both blocks read; 2 of a word of 4 columns.
    assert result.trace.read_cycles == 2052 * 32 + 2 * 8 * 16 + 2 * (64 + 2) * 2
    decode = prepared("attention-1pass", sizes | {"P": 4}, SMALL).lowered.program
    assert (decode.is_resident, decode.has_blocks) == (False, False)


def test_passes_over_all_keys_have_no_blocks() -> None:
    case = prepared("attention-deferred", {"E": 64, "F": 64, "M": 2052, "P": 8}, SMALL)
    program = case.lowered.program
    assert (program.passes, program.is_resident, program.has_blocks) == (2, False, False)


def test_products_have_blocks_without_state() -> None:
    """1025 tiles of keys without values, in a buffer for 1024."""
    case = prepared("product", {"M": 4100, "K": 64, "N": 6}, SMALL)
    program = case.lowered.program
    assert (program.slots, program.block_tiles, program.has_state, program.state) == (1024, 513, False, None)
    assert simulate(case, random_inputs(case.cascade, case.extents, 1)).is_agreed


def _run(memory: MemoryTiming | None = None, runs: int = 1, **changes: int) -> tuple[RunResult, Program, Prepared]:
    """Run a program over blocks with registers changed."""
    case = prepared(*CASE, SMALL)
    program = check_program(in_blocks(case.lowered.program, 2))
    operands = case.operands(random_inputs(case.cascade, case.extents, 5))
    found = Case.of(program, pack(program, operands), memory)
    registers = {**found.registers, "watchdog": WATCHDOG_CYCLES, **changes}
    found = replace(found, registers=registers, runs=runs, limit_cycles=40_000)
    return run_case(build_array(program.shape), found), program, case


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"block_tiles": 0}, ErrorCode.EMPTY),
        ({"block_tiles": 1 << 24}, ErrorCode.TOO_LARGE),
        ({"slots": 1}, ErrorCode.TOO_LARGE),
        ({"state_address": 8}, ErrorCode.MISALIGNED),
        ({"state_stride": 40}, ErrorCode.MISALIGNED),
        ({"state_head_stride": 8}, ErrorCode.MISALIGNED),
    ],
)
def test_a_block_that_cannot_be_is_refused(changes: dict[str, int], error: ErrorCode) -> None:
    result, _, _ = _run(**changes)
    (run,) = result.runs
    assert (run.has_ended, run.error) == (True, error)


# Reads, counted in bursts: 11 queries, 8 keys with 8 values, then queries of the second block and, from the third visit
# on, running state. Writes: the state of the first visit is the first 10 bursts.
@pytest.mark.parametrize(
    ("memory", "error"),
    [
        (MemoryTiming(failing_write=4), ErrorCode.WRITE_ERROR),
        (MemoryTiming(failing_write=45), ErrorCode.WRITE_ERROR),
        *((MemoryTiming(failing_read=burst), ErrorCode.READ_ERROR) for burst in (60, 70, 80, 100)),
        *((MemoryTiming(marked_read=beat), ErrorCode.READ_PROTOCOL) for beat in (140, 150)),
    ],
)
def test_errors_of_memory_in_running_state_end_in_a_status(memory: MemoryTiming, error: ErrorCode) -> None:
    result, _, _ = _run(memory)
    (run,) = result.runs
    assert (run.has_ended, run.error) == (True, error)


def test_running_state_that_never_comes_ends_in_a_status() -> None:
    """The last beat that is read is one of running state: the corner waits for it until the watchdog ends the run."""
    beats = prepared(*CASE, SMALL)
    program = check_program(in_blocks(beats.lowered.program, 2))
    columns = [2, 2, 2]  # beats of 2 words; the last query tile has 3 columns
    blocks = 3
    total = 18 * 4 + blocks * 11 * 2 + (blocks - 1) * sum(columns) * (program.output_steps + 2)
    result, _, _ = _run(MemoryTiming(dropped_read=total - 1))
    (run,) = result.runs
    assert (run.has_ended, run.error) == (True, ErrorCode.WATCHDOG)
    assert run.registers["waiting"] & Waiting.STATE


@pytest.mark.parametrize(("tiles", "slots"), [(1, 1), (1, 2), (2, 2), (3, 3)])
def test_blocks_that_the_checker_refuses_for_room_end_in_the_watchdog(tiles: int, slots: int) -> None:
    """And no others do: where the buffer has no place for the next block, the corner waits for keys forever."""
    case = prepared(*CASE, SMALL)
    program = in_blocks(case.lowered.program, tiles)
    shape = replace(program.shape, product_steps=8, output_steps=8, slots=slots)
    program = replace(program, shape=shape)
    is_refused = any("a place for the keys of the next block" in each for each in mistakes(program))
    assert is_refused == (slots == 1)
    content = pack(program, case.operands(random_inputs(case.cascade, case.extents, 5)))
    found = Case.of(program, content, limit_cycles=40_000)
    registers = {**found.registers, "watchdog": WATCHDOG_CYCLES}
    (run,) = run_case(build_array(case.shape), replace(found, registers=registers)).runs
    assert (run.has_ended, run.error) == (True, ErrorCode.WATCHDOG if is_refused else ErrorCode.NONE)
    assert not is_refused or run.registers["waiting"] == Waiting.KEYS


def test_a_run_over_blocks_needs_no_reset_before_it() -> None:
    result, program, case = _run(runs=3)
    assert len({run.registers["cycles"] for run in result.runs}) == 1
    operands = case.operands(random_inputs(case.cascade, case.extents, 5))
    assert np.array_equal(unpack(program, result.memory), evaluate_program(program, operands).output)
