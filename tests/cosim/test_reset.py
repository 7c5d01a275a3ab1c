"""After any reset the array is idle: nothing leaves it, and the next run is as one without a reset before it."""

from functools import cache
from random import Random

import numpy as np
import pytest
from array_cases import prepared
from array_programs import in_blocks
from random_counts import draw_seed, random_count
from scripted_host import follow, scripted, writes_of

from einsum_cascade import random_inputs
from einsum_cascade.array.memory import pack
from einsum_cascade.array.program_rules import check_program
from einsum_cascade.array.registers import REGISTERS, offset_of
from einsum_cascade.cosim.run import Case

LIMIT = 5000
FOUND = [register.name for register in REGISTERS if register.access == "read"]
# What leaves an array late, and what it has asked for: reads, results of two query tiles, running state.
CASES = {
    "attention": ("attention-1pass", {"E": 3, "F": 4, "M": 5, "P": 6, "M0": 4}, None),
    "blocks": ("attention-1pass", {"E": 2, "F": 2, "M": 11, "P": 5, "M0": 4}, 2),
}
# Cycles from the reset until everything that was on its way would have come out: more than the drain is deep.
QUIET = 64


@cache
def case_of(name):
    text, extents, block_tiles = CASES[name]
    ready = prepared(text, extents, "fusemax-4x4")
    program = ready.lowered.program
    if block_tiles:
        program = check_program(in_blocks(program, block_tiles))
    operands = ready.operands(random_inputs(ready.cascade, ready.extents, 7))
    return scripted(program.shape), Case.of(program, pack(program, operands))


def run_of():
    """The commands of a run: load, start, wait, read everything."""
    reads = [f"read {offset_of(name)}" for name in FOUND]
    enable = f"write {offset_of('interrupt_enable')} 1"
    return ["memory", enable, "load", f"write {offset_of('control')} 1", f"irq {LIMIT}", *reads, "digest"]


def reference(name):
    build, case = case_of(name)
    found = follow(build, case, ["arm 0 4", "after", *run_of()])
    assert found[0] == "1"
    status = dict(zip(FOUND, map(int, found[1:-1]), strict=True))
    assert status["status"] == 2 and status["cycles"] > 0
    return found, status


@pytest.mark.parametrize("forgetful", [1, 0], ids=["memory-too", "reads-are-answered"])
@pytest.mark.parametrize("name", CASES)
def test_a_reset_at_any_time_leaves_nothing(name, forgetful):
    """At every cycle from the start on, of 1 to 16 cycles: nothing leaves until the next start, whose run is the same.

    A memory that is not reset goes on answering what it was asked to read; the array takes it, and throws it away.
    """
    _, status = reference(name)
    random = Random(draw_seed())
    lengths = [random.sample(range(1, 17), random_count(16, nightly=16)) for _ in range(status["total_cycles"] + 8)]
    check(name, forgetful, [(at, length, True) for at, own in enumerate(lengths) for length in own])


def test_a_reset_while_a_program_is_loaded_leaves_nothing():
    """Within an access to a register as well: half of it is forgotten."""
    random, (_, case) = Random(draw_seed()), case_of("attention")
    loading = 4 * len(writes_of(case))
    check("attention", 1, [(random.randrange(loading), random.randint(1, 16), False) for _ in range(random_count(500))])


def check(name, forgetful, times):
    """Reset at times, of lengths, counted from the start of a run or of loading it, and run again."""
    build, case = case_of(name)
    expected, _ = reference(name)
    script = ["arm 0 4", "after", f"forgetful {forgetful}"]
    for at, length, is_running in times:
        arm = f"arm {at} {length}"
        start = ["memory", *(["load", arm] if is_running else [arm, "load"]), f"write {offset_of('control')} 1"]
        script += [*start, f"wait {LIMIT}", "after", f"quiet {QUIET}", "settle", *run_of()]
    found = np.array(follow(build, case, script)).reshape(len(times), -1)
    for time, own in zip(times, found.tolist(), strict=True):
        assert own == ["0", *expected], time
