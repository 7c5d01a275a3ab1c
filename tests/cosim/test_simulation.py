"""RTL and model side by side: every bit and every cycle, for every kind of work, whatever memory does."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from array_cases import SCALED, cases, draw_case, prepared, scaled
from array_programs import PRODUCT, SOFTMAX
from random_counts import draw_seed, random_count

from einsum_cascade import load_architecture, parse, random_inputs, resolve_extents, zoo
from einsum_cascade.array.memory import pack, unpack
from einsum_cascade.array.registers import WAITS, ErrorCode, Waiting
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.cosim.memory_timing import MemoryTiming
from einsum_cascade.cosim.run import Case, run_case
from einsum_cascade.cosim.simulation import build_array, hierarchical_modules, simulate
from einsum_cascade.sim.program_values import evaluate_program
from einsum_cascade.study.preparation import prepare
from einsum_cascade.study.simulations import report_of_simulation

SMALL, MEDIUM = "fusemax-4x4", "fusemax-8x8-4stages"
HASTE = MemoryTiming()


def _tensors(case, seed=0):
    return random_inputs(case.cascade, case.extents, seed)


def _check(case, memory=HASTE, seed=0):
    result = simulate(case, _tensors(case, seed), memory)
    assert result.run.error == ErrorCode.NONE
    assert result.mismatched == 0
    # Rows of scores that a filter leaves out are not computed.
    (step,), output = case.steps, result.output
    left_out = len(np.flatnonzero(~output.any(axis=1))) * output.shape[1] if step.work.value is None else 0
    assert output.size - left_out <= result.compared <= output.size
    assert result.is_agreed, result.to_json()
    return result


@pytest.mark.parametrize(("name", "extents"), [*cases(4)])
def test_values_and_cycles_agree(name, extents):
    result = _check(prepared(name, extents, SMALL))
    assert result.max_rel_error is not None and result.max_rel_error < 0.02


@pytest.mark.parametrize(("name", "extents"), [*cases(8)])
def test_values_and_cycles_agree_with_four_stages(name, extents):
    _check(prepared(name, extents, MEDIUM))


@pytest.mark.parametrize("architecture", [SMALL, MEDIUM])
@pytest.mark.parametrize("name", SCALED)
def test_scaled_scores_agree(name, architecture):
    """With 1/sqrt(E) and any other factor; no slot is lost, and every bit and cycle is the model's."""
    random = Random(draw_seed())
    side = 8 if "8x8" in architecture else 4
    for scale in (1 / 3, random.uniform(0.01, 4)):
        case = scaled(name, scale, architecture, {"E": 9, "F": 7, "M": 3 * side + 2, "P": side + 3, "M0": side})
        plain = scaled(name, 1.0, architecture, {"E": 9, "F": 7, "M": 3 * side + 2, "P": side + 3, "M0": side})
        program = case.lowered.program
        assert (program.scale, program.kernel) == (pytest.approx(scale, rel=1e-15), plain.lowered.program.kernel)
        result = _check(case)
        assert result.max_rel_error is not None and result.max_rel_error < 0.02


def test_indices_of_inputs_and_outputs_are_honoured():
    """A result that is written backwards, of queries in blocks and heads in one index, is that of the interpreter."""
    text = """
        rank M, P, E, F, P0, R, G
        rank P1 = P / P0
        rank H = R*G
        input Q[h:H, e:E, p:P], K[g:G, e:E, m:M], V[g:G, f:F, m:M]
        tensor Z[p:P, h:H, f:F]
        S[r, g, m, p1, p0] = Q[r*G + g, e, p1*P0 + p0] * K[g, e, M - 1 - m]
        GM[r, g, p1, p0] = max[m](S[r, g, m, p1, p0])
        SN[r, g, m, p1, p0] = exp(S[r, g, m, p1, p0] - GM[r, g, p1, p0])
        SD[r, g, p1, p0] = sum[m](SN[r, g, m, p1, p0])
        SNV[r, g, f, p1, p0] = SN[r, g, m, p1, p0] * V[g, f, M - 1 - m]
        Z[p1*P0 + p0, r*G + g, F - 1 - f] = SNV[r, g, f, p1, p0] / SD[r, g, p1, p0]
        output Z
    """
    cascade = parse(text)
    extents = resolve_extents(cascade, {"M": 6, "P": 7, "E": 5, "F": 3, "P0": 4, "R": 2, "G": 2})
    result = _check(prepare(cascade, load_architecture(SMALL), extents))
    assert result.max_rel_error is not None and result.max_rel_error < 0.02


def test_no_cycle_is_lost_between_query_tiles_when_memory_keeps_up():
    # Three tiles of keys, five of queries: a result leaves in less than the three intervals that the next one takes.
    result = _check(prepared("attention-1pass", {"E": 16, "F": 16, "M": 12, "P": 20, "M0": 4}, SMALL))
    assert result.stalls == dict.fromkeys(WAITS, 0)
    registers = result.run.registers
    assert registers["matrix_busy"] == 15 * (16 + 16 + 9)
    assert registers["cycles"] == result.prepared.schedule_cycles


@pytest.mark.parametrize("architecture", [SMALL, MEDIUM])
def test_random_cases_agree(architecture):
    random = Random(draw_seed() + len(architecture))
    for _ in range(random_count(60, nightly=200)):
        name, extents = draw_case(random, 4 if architecture == SMALL else 8)
        memory = MemoryTiming(
            random.choice([0, 0, 7, 60]),
            random.choice([0.0, 0.0, 1.5, 5.0]),
            random.choice([None, random.getrandbits(30)]),
        )
        print(name, extents, memory)
        _check(prepared(name, extents, architecture), memory, random.getrandbits(30))


@pytest.mark.parametrize(
    "text", [PRODUCT, SOFTMAX, str(zoo.load("attention-deferred"))], ids=["product", "softmax", "attention"]
)
def test_a_filter_may_leave_the_last_keys_out(text):
    """11 keys, of which 5 count: two tiles, the second ragged, and as much memory."""
    cascade = parse(text)
    scores = cascade.einsums[0].span.text
    assert text.count(scores) == 1
    cascade = parse(text.replace(scores, scores + " where m < 5"))
    extents = resolve_extents(cascade, dict.fromkeys([rank.name for rank in cascade.ranks], 7) | {"M": 11})
    result = _check(prepare(cascade, load_architecture(SMALL), extents))
    assert result.prepared.steps[0].lowered.program.keys == 5
    assert result.max_rel_error is not None and result.max_rel_error < 0.02


def test_slow_memory_changes_no_value_and_adds_its_stalls_only():
    case = prepared("attention-1pass", {"E": 8, "F": 8, "M": 24, "P": 20, "M0": 4}, SMALL)
    fast = _check(case)
    for memory in (MemoryTiming(80), MemoryTiming(0, 1.0), MemoryTiming(30, 2.5, 11)):
        slow = _check(case, memory)
        assert np.array_equal(fast.output, slow.output)
        assert slow.run.registers["cycles"] == fast.run.registers["cycles"] + sum(slow.stalls.values())
        assert slow.run.registers["total_cycles"] > fast.run.registers["total_cycles"]


def test_stalls_let_no_later_maximum_overtake():
    # A tile every 25 cycles, a maximum back after 4 x 8 + 2: the next one is on its way when a tile is subtracted.
    # Keys are read anew by every query tile, at about their rate, so that it stalls between the two again and again.
    case = prepared("attention-1pass", {"E": 1, "F": 1, "M": 48, "P": 24, "M0": 8}, MEDIUM)
    assert case.shape.stages * case.shape.rows + 2 > case.lowered.program.interval
    for seed in range(4):
        result = _check(case, MemoryTiming(5, 6.0, seed))
        assert sum(result.stalls.values()) > 0


def _run(case, **changes):
    """Run a case with registers changed."""
    program = case.lowered.program
    operands = case.operands(_tensors(case))
    memory = changes.pop("memory", HASTE)
    runs = changes.pop("runs", 1)
    spoilt = changes.pop("spoilt", {})
    limit = changes.pop("limit_cycles", 200_000)
    found = Case.of(program, pack(program, operands), memory)
    found = replace(found, registers={**found.registers, **changes}, runs=runs, limit_cycles=limit)
    found = replace(found, spoilt=spoilt)
    return run_case(build_array(program.shape), found), operands


def test_a_second_run_gives_the_same():
    case = prepared("attention-1pass", {"E": 8, "F": 8, "M": 13, "P": 9, "M0": 4}, SMALL)
    result, operands = _run(case, runs=3)
    assert len({run.registers["cycles"] for run in result.runs}) == 1
    expected = evaluate_program(case.lowered.program, operands)
    assert np.array_equal(unpack(case.lowered.program, result.memory), expected.output)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"keys": 0}, ErrorCode.EMPTY),
        ({"query_tiles": 0}, ErrorCode.EMPTY),
        ({"interval": 0}, ErrorCode.EMPTY),
        ({"interval": 513}, ErrorCode.TOO_LARGE),
        ({"contexts": 9}, ErrorCode.TOO_LARGE),
        ({"product_steps": 1 << 14}, ErrorCode.TOO_LARGE),
        ({"slots": 1 << 20}, ErrorCode.TOO_LARGE),
        ({"value_beats": 0}, ErrorCode.EMPTY),
        ({"key_heads": 1 << 24}, ErrorCode.TOO_LARGE),
        ({"key_heads": 1 << 12, "group": 1 << 12}, ErrorCode.TOO_LARGE),
        ({"group": (1 << 32) - 1}, ErrorCode.TOO_LARGE),
        # 13 keys are four tiles of 4, 9 queries three.
        ({"keys": 12}, ErrorCode.INCONSISTENT),
        ({"keys": 17}, ErrorCode.INCONSISTENT),
        ({"keys": (1 << 32) - 1}, ErrorCode.INCONSISTENT),
        ({"queries": 8}, ErrorCode.INCONSISTENT),
        ({"queries": 13}, ErrorCode.INCONSISTENT),
        ({"query_tiles": 4}, ErrorCode.INCONSISTENT),
        ({"query_tiles": 2}, ErrorCode.INCONSISTENT),
        ({"query_tiles": (1 << 24) - 1}, ErrorCode.INCONSISTENT),
        ({"query_address": 4}, ErrorCode.MISALIGNED),
        ({"value_stride": 17}, ErrorCode.MISALIGNED),
        ({"output_address": 8}, ErrorCode.MISALIGNED),
        ({"memory": MemoryTiming(failing_read=5)}, ErrorCode.READ_ERROR),
        ({"memory": MemoryTiming(failing_write=3)}, ErrorCode.WRITE_ERROR),
    ],
)
def test_what_goes_wrong_ends_in_a_status(changes, error):
    case = prepared("attention-1pass", {"E": 8, "F": 8, "M": 13, "P": 9, "M0": 4}, SMALL)
    result, operands = _run(case, **changes)
    (run,) = result.runs
    assert run.has_ended
    assert run.error == error
    if error not in (ErrorCode.READ_ERROR, ErrorCode.WRITE_ERROR):
        assert np.array_equal(result.memory, pack(case.lowered.program, operands))


BEFORE = {
    "bus error on a read": ({"memory": MemoryTiming(failing_read=30)}, ErrorCode.READ_ERROR),
    "bus error on a write": ({"memory": MemoryTiming(failing_write=3)}, ErrorCode.WRITE_ERROR),
    "burst too short": ({"memory": MemoryTiming(dropped_read=30)}, ErrorCode.READ_PROTOCOL),
    "end of a burst too early": ({"memory": MemoryTiming(marked_read=30)}, ErrorCode.READ_PROTOCOL),
    "watchdog": ({"spoilt": {"watchdog": 60}, "memory": MemoryTiming(latency_cycles=90)}, ErrorCode.WATCHDOG),
    "too large": ({"spoilt": {"interval": 513}}, ErrorCode.TOO_LARGE),
    "empty": ({"spoilt": {"keys": 0}}, ErrorCode.EMPTY),
    "inconsistent": ({"spoilt": {"queries": 1}}, ErrorCode.INCONSISTENT),
}
SIZES = {
    # Keys and values stay in the buffer; all loads of queries and keys are under way when the run ends.
    "attention-1pass": {"E": 8, "F": 8, "M": 13, "P": 9, "M0": 4},
    "attention-1pass-gqa": {"B": 2, "G": 1, "R": 2, "E": 8, "F": 5, "M": 11, "P": 5, "M0": 4},
}


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("before", BEFORE, ids=lambda text: text.replace(" ", "-"))
def test_a_run_after_an_error_is_as_good_as_the_first(before, name):
    changes, error = BEFORE[before]
    case = prepared(name, SIZES[name], SMALL)
    program = case.lowered.program
    slow = {"memory": MemoryTiming(latency_cycles=90)} if before == "watchdog" else {}
    clean, operands = _run(case, **slow)
    result, _ = _run(case, runs=3, **changes)
    bad, *good = result.runs
    assert (bad.has_ended, bad.error, bad.is_settled) == (True, error, True)
    for run in good:
        assert run.registers == clean.runs[0].registers
    assert np.array_equal(unpack(program, result.memory), evaluate_program(program, operands).output)


@pytest.mark.parametrize("seed", range(3))
def test_a_run_after_an_error_is_good_whatever_memory_does(seed):
    random = Random(draw_seed() + seed)
    kind = random.choice(["failing_read", "failing_write", "dropped_read"])
    # Not the last beats of a burst: its mark would be missing.
    beat = 2 * random.randint(0, 12) if kind == "dropped_read" else random.randint(0, 25)
    latency, share = random.choice([0, 20]), random.choice([0.0, 3.0])
    case = prepared("attention-1pass", SIZES["attention-1pass"], SMALL)
    memory = MemoryTiming(latency, share, random.getrandbits(30), **{kind: beat})
    print(memory)
    result, operands = _run(case, runs=3, memory=memory)
    bad, *good = result.runs
    assert (bad.has_ended, bad.error != ErrorCode.NONE, bad.is_settled) == (True, True, True)
    for run in good:
        stalls = sum(run.registers[f"stalls_{what}"] for what in WAITS)
        assert (run.error, run.registers["cycles"]) == (ErrorCode.NONE, case.schedule_cycles + stalls)
    expected = evaluate_program(case.lowered.program, operands)
    assert np.array_equal(unpack(case.lowered.program, result.memory), expected.output)


def test_a_start_is_refused_while_memory_owes_an_answer():
    # The mark of a burst's last beat is missing, so that its end never comes.
    case = prepared("attention-1pass", SIZES["attention-1pass"], SMALL)
    result, _ = _run(case, runs=3, memory=MemoryTiming(marked_read=31), watchdog=500)
    bad, *refused = result.runs
    assert (bad.error, bad.is_settled) == (ErrorCode.READ_PROTOCOL, False)
    for run in refused:
        assert (run.has_ended, run.error, run.is_settled) == (True, ErrorCode.UNSETTLED, False)
        assert run.registers["waiting"] == Waiting.READ_DATA
        assert run.registers["total_cycles"] == 0


def test_a_start_is_taken_once_memory_has_answered():
    # Both waits of 40 cycles, of the run and of its end, are over before the first answer comes after 90.
    case = prepared("attention-1pass", SIZES["attention-1pass"], SMALL)
    memory = MemoryTiming(latency_cycles=90)
    result, operands = _run(case, runs=2, memory=memory, spoilt={"watchdog": 40})
    bad, good = result.runs
    assert (bad.error, bad.is_settled) == (ErrorCode.WATCHDOG, False)
    assert (good.error, good.is_settled) == (ErrorCode.NONE, True)
    expected = evaluate_program(case.lowered.program, operands)
    assert np.array_equal(unpack(case.lowered.program, result.memory), expected.output)


def test_the_watchdog_names_what_waits_for_what():
    case = prepared("attention-1pass", {"E": 8, "F": 8, "M": 13, "P": 9, "M0": 4}, SMALL)
    result, _ = _run(case, memory=MemoryTiming(bytes_per_cycle=1e-3), watchdog=500)
    (run,) = result.runs
    assert run.has_ended
    assert run.error == ErrorCode.WATCHDOG
    assert run.registers["waiting"] & Waiting.READ_DATA


def test_a_row_without_keys_gives_zero_and_is_counted():
    # Query p has the keys p - 3 < m <= p, of which only 0..4 exist: queries 8 to 10 have none.
    case = prepared("attention-1pass-window", {"E": 4, "F": 5, "M": 5, "P": 11, "M0": 4, "W": 3}, SMALL)
    result = _check(case)
    assert result.run.registers["empty_columns"] == 5 * 4
    assert not result.output[:, 7:].any()


def _told(result):
    """What the terminal says of a result."""
    return str(report_of_simulation(result))


def test_a_counter_that_differs_is_told_as_one():
    """Every bit is right, and one number of the model is not: that, and nothing else, is said."""
    result = _check(prepared("attention-1pass", {"E": 3, "F": 4, "M": 5, "P": 6, "M0": 4}, SMALL))
    assert "agree in every bit and every cycle" in _told(result)
    (step,) = result.steps
    registers = step.run.registers
    for name in ("empty_columns", "stalls_keys", "cycles", "total_cycles"):
        run = replace(step.run, registers={**registers, name: registers[name] + 3})
        changed = replace(result, steps=(replace(step, run=run),))
        assert not changed.is_agreed
        told = f"counters differ: {name} ({registers[name]} in the model, {registers[name] + 3} in the RTL)"
        assert f"agree in every bit; {told}" in _told(changed)
        differing = changed.to_json()["steps"][0]["differing_counters"]
        assert differing == {name: {"model": registers[name], "rtl": registers[name] + 3}}


def test_the_bench_waits_longer_than_the_model_says():
    """A beat of 8 bytes every 800 cycles: 420 keys and values of 64 operands are 13,440 beats, 10.8 million cycles."""
    case = prepared("attention-1pass", {"E": 64, "F": 64, "M": 420, "P": 4, "M0": 4}, SMALL)
    program = case.lowered.program
    least = 420 * 2 * 64 * 2 // 8 * 800
    assert least > 10_000_000
    for memory in (MemoryTiming(bytes_per_cycle=0.01), MemoryTiming(bytes_per_cycle=0.01, backpressure=1)):
        found = Case.of(program, pack(program, case.operands(_tensors(case))), memory)
        assert found.limit_cycles > 1.5 * least


def test_the_bench_says_where_it_gives_up():
    case = prepared("attention-1pass", SIZES["attention-1pass"], SMALL)
    result = _check(case)
    late, _ = _run(case, limit_cycles=50)
    (run,) = late.runs
    assert (run.has_ended, run.limit_cycles) == (False, 50)
    (step,) = result.steps
    told = _told(replace(result, steps=(replace(step, run=run),)))
    total = step.run.registers["total_cycles"]
    assert f"the bench gave up after 50 cycles, where the model takes {total:,}" in told


def test_long_runs_and_small_arrays_are_built_flat() -> None:
    small, large = ArrayShape(8, 8), ArrayShape(16, 16)
    assert not hierarchical_modules(small)
    assert "pe" in hierarchical_modules(large) == hierarchical_modules(large, 999_999)
    assert not hierarchical_modules(large, 1_000_000)
