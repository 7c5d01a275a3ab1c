"""The benches catch faults: each must change a result, end in a status, take other cycles, or break a rule of AXI.

A fault that provably changes nothing is left out by how the list is made; the reasons are beside the lists:

- `watchdog` matters only to a run that stands still;
- a key more, where the mask lets no query see it, so `keys` changes where there is no mask;
- more contexts, queue entries or stages than a kernel needs are as good as those it needs, so they become one fewer;
- addresses and strides are whole beats, and memory ignores the bits below, so they change by a beat;
- the stage of a CORRECTION, where the queue has one entry, only matters to the first tile, which is not corrected;
- bits of a kernel word that its operation does not read: the index of MAXIMUM, SUM and DENOMINATOR, an index above a
  slot's three bits in EXPONENTIAL and CORRECTION or above the longest word in PRODUCT, COMBINE and NUMERATOR, stages
  above those that the contexts allow, and the fourth bit of an operation, which the array does not have.
"""

from dataclasses import dataclass, replace
from functools import cache
from random import Random

import numpy as np
import pytest
from array_cases import prepared
from array_programs import in_blocks
from random_counts import draw_seed, mode, random_count

from einsum_cascade import random_inputs
from einsum_cascade.array.instruction import MatrixOp, VectorOp
from einsum_cascade.array.memory import pack, unpack
from einsum_cascade.array.program_rules import check_program
from einsum_cascade.array.registers import WAITS, ErrorCode
from einsum_cascade.cosim.build import build_design
from einsum_cascade.cosim.memory_timing import MemoryTiming
from einsum_cascade.cosim.run import Case, run_case
from einsum_cascade.cosim.simulation import build_array
from einsum_cascade.errors import ToolFailedError
from einsum_cascade.rtl.top import design_files, design_ports
from einsum_cascade.sim.program_values import evaluate_program
from einsum_cascade.sim.timing import MemoryModel, run_timing

CASES = {
    # Ragged in keys and queries, masked on both sides, tiles left out.
    "window": ("attention-1pass-window", {"E": 8, "F": 8, "M": 22, "P": 19, "M0": 4, "W": 7}),
    # Two heads of keys, two query heads for each.
    "heads": ("attention-1pass-gqa", {"B": 2, "G": 1, "R": 2, "E": 8, "F": 8, "M": 14, "P": 7, "M0": 4}),
    # Five key tiles in blocks of 2, for two query heads of two query tiles each.
    "blocks": ("attention-1pass-gqa", {"B": 1, "G": 1, "R": 2, "E": 8, "F": 8, "M": 18, "P": 7, "M0": 4}),
}
BLOCK_TILES = {"blocks": 2}
WATCHDOG_CYCLES = 3000


@dataclass(frozen=True)
class Clean:
    """A case that runs as it should, and what comes of it."""

    shape: object
    case: Case
    memory: object
    cycles: tuple[int, int]
    beats_read: int


@cache
def clean(name):
    ready = prepared(*CASES[name], "fusemax-4x4")
    program = ready.lowered.program
    if name in BLOCK_TILES:
        program = check_program(in_blocks(program, BLOCK_TILES[name]))
    tensors = random_inputs(ready.cascade, ready.extents, 5)
    operands = ready.operands(tensors)
    case = Case.of(program, pack(program, operands))
    # As few slots as the program can do with, so that one fewer is too few; blocks need some for the next one.
    slots = len(program.blocks[0].keys) if program.is_resident else program.slots
    slots += program.stages + 1 if program.has_blocks else 0
    registers = {**case.registers, "watchdog": WATCHDOG_CYCLES, "slots": slots}
    case = replace(case, registers=registers, limit_cycles=20_000)
    result = run_case(build_array(program.shape), case)
    (run,) = result.runs
    assert run.has_ended
    assert run.error == ErrorCode.NONE
    assert np.array_equal(unpack(program, result.memory), evaluate_program(program, operands).output)
    assert run.registers["cycles"] == ready.schedule_cycles + sum(run.registers[f"stalls_{what}"] for what in WAITS)
    beats = run_timing(program, MemoryModel()).read_cycles
    return Clean(program.shape, case, result.memory, _cycles(run), beats)


def _cycles(run):
    return run.registers["cycles"], run.registers["total_cycles"]


@dataclass(frozen=True)
class Fault:
    """A fault of one kind, and where it is."""

    name: str
    kind: str
    where: tuple
    case: str = "window"


# How much a register changes; by one if it is not told.
CHANGES = {"contexts": -1, "queue": -1, "stages": -1, "slots": -1}
BEAT = 8
LAYOUTS = [f"{tensor}_{part}" for tensor in ("query", "key", "value", "output") for part in ("address", "stride")]
# Of running state, whole query tiles, so that it is only in another place, over other tensors or over itself.
STATE, STATE_PARTS = -16, ("address", "stride", "head_stride")
HEADS = [f"{tensor}_head_stride" for tensor in ("query", "key", "value", "output")]
PLAIN = [
    "interval", "stages", "contexts", "queue", "slots", "product_steps", "output_steps", "key_beats", "value_beats",
    "key_tiles", "queries", "query_tiles", "key_heads", "group", "flags", "diagonal_high", "diagonal_low",
    "first_tile", "end_tile",
]  # fmt: skip
REGISTER_FAULTS = [
    *(Fault(f"register {name}", "register", (name, CHANGES.get(name, 1))) for name in PLAIN),
    *(Fault(f"register {name}", "register", (name, BEAT)) for name in LAYOUTS),
    *(Fault(f"register {name}", "register", (name, BEAT), "heads") for name in HEADS),
    Fault("register keys", "register", ("keys", 1), "heads"),
    Fault("register block_tiles", "register", ("block_tiles", 1), "blocks"),
    Fault("register block_tiles less", "register", ("block_tiles", -1), "blocks"),
    *(Fault(f"register state_{part}", "register", (f"state_{part}", STATE), "blocks") for part in STATE_PARTS),
]

# The half of a row, its operation, which row that has it, and the bit: 0 to 2 operation, 4 on stage, 10 on index.
BITS = [
    *((0, MatrixOp.PRODUCT, 2, bit) for bit in (0, 2, 4, 10, 12)),
    (0, MatrixOp.PRODUCT, 0, 11),
    *((0, MatrixOp.MAXIMUM, 0, bit) for bit in (1, 4)),
    *((0, MatrixOp.EXPONENTIAL, 3, bit) for bit in (0, 4, 11)),
    *((0, MatrixOp.SUM, 0, bit) for bit in (2, 4)),
    *((0, MatrixOp.COMBINE, 4, bit) for bit in (0, 4, 10)),
    *((1, VectorOp.MAXIMUM, 0, bit) for bit in (0, 4)),
    *((1, VectorOp.CORRECTION, 2, bit) for bit in (1, 10)),
    *((1, VectorOp.DENOMINATOR, 0, bit) for bit in (0, 4)),
    *((1, VectorOp.NUMERATOR, 3, bit) for bit in (2, 4, 12)),
]
HALVES = ("matrix", "vector")
KERNEL_FAULTS = [
    *(
        Fault(f"{HALVES[half]} {op.name.lower()} {nth} bit {bit}", "bit", (half, op, nth, bit))
        for half, op, nth, bit in BITS
    ),
    Fault("products swapped", "swap", (0, MatrixOp.PRODUCT, 0, MatrixOp.PRODUCT, 3)),
    Fault("slots swapped", "swap", (0, MatrixOp.EXPONENTIAL, 1, MatrixOp.EXPONENTIAL, 2)),
    Fault("values swapped", "swap", (0, MatrixOp.COMBINE, 1, MatrixOp.COMBINE, 6)),
    Fault("maximum and sum swapped", "swap", (0, MatrixOp.MAXIMUM, 0, MatrixOp.SUM, 0)),
    Fault("corrections swapped", "swap", (1, VectorOp.CORRECTION, 0, VectorOp.CORRECTION, 4)),
]

MEMORY_FAULTS = [
    *(Fault(f"beat {beat} dropped", "memory", ("dropped_read", beat)) for beat in (0, 9, 30)),
    *(Fault(f"mark of beat {beat}", "memory", ("marked_read", beat)) for beat in (1, 16)),
    *(Fault(f"beat {beat} flipped", "memory", ("flipped_read", beat), "heads") for beat in (2, 11, 40, 90, -1)),
    *(Fault(f"beat {beat} of blocks flipped", "memory", ("flipped_read", beat), "blocks") for beat in (-1, -4, -20)),
    *(Fault(f"beat {beat} answered with an error", "memory", ("failing_read", beat)) for beat in (0, 25, -1)),
    *(Fault(f"beat {beat} refused", "memory", ("failing_write", beat)) for beat in (0, 17)),
]

# One register more between two neighbours: what a row, a column top or a lane does comes a cycle late.
SKEWS = {
    "row 2": ("above", "rows[i-1].below", "ROW_BITS", "i == 2"),
    "column 1": ("left", "columns[j-1].right", "TOP_BITS", "j == 1"),
    "lane 3": ("lane_left", "columns[j-1].lane_right", "VECTOR_BITS", "j == 3"),
}
SKEW_FAULTS = [Fault(f"{name} a cycle late", "skew", (name,)) for name in SKEWS]

FAULTS = [*REGISTER_FAULTS, *KERNEL_FAULTS, *MEMORY_FAULTS, *SKEW_FAULTS]
CHOSEN = Random(draw_seed()).sample(FAULTS, random_count(len(FAULTS), nightly=len(FAULTS)))


def row_of(kernel, half, op, nth):
    """The number of the `nth` row whose half has an operation."""
    return [number for number, words in enumerate(kernel) if words[half] & 0xF == op][nth]


def with_word(kernel, row, half, word):
    words = [list(pair) for pair in kernel]
    words[row][half] = word
    return tuple(tuple(pair) for pair in words)


def faulty(fault, good):
    """The case of a fault."""
    case = good.case
    match fault.kind, fault.where:
        case "register", (name, change):
            return replace(case, registers={**case.registers, name: case.registers[name] + change})
        case "bit", (half, op, nth, bit):
            row = row_of(case.kernel, half, op, nth)
            return replace(case, kernel=with_word(case.kernel, row, half, case.kernel[row][half] ^ 1 << bit))
        case "swap", (half, op, nth, other, other_nth):
            one, two = row_of(case.kernel, half, op, nth), row_of(case.kernel, half, other, other_nth)
            kernel = with_word(case.kernel, one, half, case.kernel[two][half])
            return replace(case, kernel=with_word(kernel, two, half, case.kernel[one][half]))
        case "memory", (what, beat):
            number = beat if beat >= 0 else good.beats_read + beat
            return replace(case, memory=MemoryTiming(**{what: number}))
        case _:
            return case


def build_of(fault, shape):
    """The design, changed if the fault is one of it."""
    if fault.kind != "skew":
        return build_array(shape)
    name, source, bits, where = SKEWS[fault.where[0]]
    files = design_files(shape)
    before = f"assign {name} = {source};"
    assert files["array.v"].count(before) == 1
    late = f"reg [{bits}-1:0] late_{name}; always @(posedge clk) late_{name} <= {source};"
    after = f"{late} assign {name} = {where} ? late_{name} : {source};"
    return build_design({**files, "array.v": files["array.v"].replace(before, after)}, *design_ports(shape))


@pytest.mark.parametrize("fault", CHOSEN, ids=lambda fault: fault.name.replace(" ", "-"))
def test_every_fault_is_caught(fault):
    good = clean(fault.case)
    changed = faulty(fault, good)
    assert fault.kind == "skew" or changed != good.case
    build = build_of(fault, good.shape)
    try:
        result = run_case(build, changed)
    except ToolFailedError as error:  # the memory of the bench checks bursts
        assert "AssertionError" in str(error)
        return
    (run,) = result.runs
    findings = {
        "status": not run.has_ended or run.error != ErrorCode.NONE,
        "values": not np.array_equal(result.memory, good.memory),
        "cycles": _cycles(run) != good.cycles,
    }
    assert any(findings.values()), fault


def test_there_are_enough_faults():
    assert len(FAULTS) >= 50
    assert len(CHOSEN) >= (6 if mode() == "quick" else 50)
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
