"""Registers during a run: writes are refused, told, and change nothing; the interrupt; what an array says of itself."""

from random import Random

import pytest
from array_cases import prepared
from random_counts import draw_seed, random_count
from scripted_host import follow, scripted, writes_of

from einsum_cascade import random_inputs
from einsum_cascade.array.capabilities import capabilities
from einsum_cascade.array.memory import pack
from einsum_cascade.array.registers import (
    IDENTITY,
    REGISTERS,
    ErrorCode,
    field_of,
    offset_of,
    register_of,
)
from einsum_cascade.cosim.run import Case

LIMIT = 5000
ENABLE = f"write {offset_of('interrupt_enable')} 1"
START = f"write {offset_of('control')} 1"
STATUS, TOTAL, INTERRUPT = (f"read {offset_of(name)}" for name in ("status", "total_cycles", "interrupt"))
DONE, REFUSED = 2, 2 | ErrorCode.WRITE_REFUSED << 8


@pytest.fixture(scope="module")
def ready():
    case = prepared("attention-1pass", {"E": 3, "F": 4, "M": 9, "P": 6, "M0": 4}, "fusemax-4x4")
    program = case.lowered.program
    operands = case.operands(random_inputs(case.cascade, case.extents, 7))
    return scripted(program.shape), Case.of(program, pack(program, operands)), program.shape


def test_a_register_written_during_a_run_changes_nothing(ready):
    """Every register that a run reads and every word of the kernel table, at random times."""
    build, case, _ = ready
    run = ["memory", START]
    total, status, digest = follow(build, case, ["arm 0 4", "after", ENABLE, "load", *run, "quiet 0", f"irq {LIMIT}",
                                                 TOTAL, STATUS, "digest"])[2:]  # fmt: skip
    assert int(status) == DONE
    random = Random(draw_seed())
    writes = [*writes_of(case), (offset_of("control"), 0)]
    writes = random.sample(writes, random_count(len(writes), nightly=len(writes)))
    script = ["arm 0 4", "after", ENABLE, "load"]
    for address, value in writes:
        # A write takes three cycles or more; it must be over before the run is.
        wait = random.randrange(int(total) - 12)
        script += [*run, f"wait {wait}", f"write {address} {value ^ random.choice([1, 8, 0xFFFFFFFF])}"]
        script += [f"irq {LIMIT}", STATUS, "digest", *run, f"irq {LIMIT}", TOTAL, STATUS, "digest"]
    found = follow(build, case, script)
    expected = ["response", "2", "1", str(int(REFUSED)), digest, "1", total, str(DONE), digest]
    assert len(writes) > 5
    for number, write in enumerate(writes):
        assert found[number * len(expected) : (number + 1) * len(expected)] == expected, write


def test_the_interrupt_is_enabled_and_cleared(ready):
    build, case, _ = ready
    clear = f"write {offset_of('interrupt')} 1"
    script = ["arm 0 4", "after", "memory", "load", START, f"irq {LIMIT}", INTERRUPT, STATUS]
    # Pending, though not enabled; then enabled, disabled, cleared, and cleared by a start.
    script += [ENABLE, "irq 1", ENABLE[:-1] + "0", "quiet 4", ENABLE, "irq 1", f"{clear[:-1]}0", "irq 1", clear]
    script += [INTERRUPT, "quiet 4", STATUS, START, f"irq {LIMIT}", START, INTERRUPT, f"irq {LIMIT}", INTERRUPT]
    expected = "0 1 2 1 0 1 1 0 0 2 1 0 1 1"
    assert " ".join(follow(build, case, script)) == expected


def test_an_array_says_what_it_is(ready):
    """Read from the RTL, word by word; a field at a time against what the array was made from."""
    build, case, shape = ready
    constants = [register.name for register in REGISTERS if register.access == "constant"]
    found = follow(build, case, ["arm 0 4", "after", *(f"read {offset_of(name)}" for name in constants)])
    words = dict(zip(constants, map(int, found), strict=True))
    assert words == capabilities(shape)
    assert words["identity"] == IDENTITY
    said = {(name, field.name): field.of(words[name]) for name in constants for field in register_of(name).fields}
    sizes = {
        ("size", "rows"): 4, ("size", "columns"): 4, ("depth", "stages"): 1, ("steps", "product_steps"): 64,
        ("steps", "output_steps"): 64, ("tables", "kernel_rows"): shape.kernel_rows, ("tables", "beat_bytes"): 8,
        ("tables", "passes"): 3, ("formats", "operand_exponent"): 8, ("formats", "operand_mantissa"): 7,
        ("formats", "sum_mantissa"): 23, ("formats", "multiplier"): 0, ("formats", "sigmoid"): 0,
    }  # fmt: skip
    assert {name: said[name] for name in sizes} == sizes
    # Keys and values of 64 operands of 2 bytes are 16 beats each.
    assert words["bank_beats"] == shape.slots * 32


def test_what_the_words_say_is_refused_just_beyond(ready):
    """A program of one operand, row or context more than the array says is refused, and one of as many is not."""
    build, case, shape = ready
    limits = {
        "product_steps": ("steps", "product_steps", 0), "output_steps": ("steps", "output_steps", 0),
        "contexts": ("depth", "contexts", 0), "stages": ("depth", "contexts", 1), "queue": ("depth", "queue", 0),
        "interval": ("tables", "kernel_rows", 0), "passes": ("tables", "passes", 0),
    }  # fmt: skip
    words, script, expected = capabilities(shape), ["arm 0 4", "after", ENABLE], []
    for name, (register, field, more) in limits.items():
        most = field_of(register, field).of(words[register]) + more
        script += ["memory", "load", f"write {offset_of(name)} {most + 1}", START, f"irq {LIMIT}", STATUS]
        expected += ["1", str(2 | ErrorCode.TOO_LARGE << 8)]
    assert follow(build, case, script) == expected


def test_no_field_overlaps_another():
    for register in REGISTERS:
        used = [bit for field in register.fields for bit in range(field.low, field.low + field.bits)]
        assert len(set(used)) == len(used) and all(bit < 32 for bit in used), register.name
