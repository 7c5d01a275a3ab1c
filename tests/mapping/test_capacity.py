"""What a mapping needs: by hand on small cases, and against runs with sets of elements."""

from dataclasses import replace

import numpy as np
import pytest
from loop_walk import Pe, Reference
from peak_walk import PeakWalk
from random_counts import random_count
from random_mappings import CASES, random_architecture, random_extents, random_mapping

from einsum_cascade import load_architecture, parse
from einsum_cascade.arch.ir import Architecture, Engine, Memory, Operation, RegisterFile
from einsum_cascade.cascade.extents import resolve_extents
from einsum_cascade.errors import InfeasibleMappingError
from einsum_cascade.mapper.planning import plan_mapping
from einsum_cascade.mapping.capacity import Infeasibility, check_capacity, infeasibilities
from einsum_cascade.mapping.codec import parse_mapping
from einsum_cascade.mapping.demand import demands
from einsum_cascade.mapping.ir import Keep, Loop, paths
from einsum_cascade.mapping.presets import load_mapping
from einsum_cascade.mapping.workload import Workload

MATMUL = "rank M, N, K\ninput A[m:M, k:K], B[k:K, n:N]\nZ[m, n] = A[m, k] * B[k, n]\noutput Z"
RUNNING = (
    "rank I, P\ninput X[i:I, p:P]\ninit R[0, p] = -inf\nR[i+1, p] = max(R[i, p], X[i, p])\nO[p] = R[I, p] * 2\noutput O"
)


def machine(buffer_bytes: int, words: int = 4) -> Architecture:
    rate = {"read_bytes_per_s": None, "write_bytes_per_s": None, "is_shared": False, "instances": 1}
    levels = tuple(
        Memory(name, size, 16, **rate, read_pj=1.0, write_pj=1.0)
        for name, size in (("dram", None), ("buffer", buffer_bytes))
    )
    able = (Operation("mac", 1, 1, ()), Operation("max", 1, 1, ()))
    registers = RegisterFile(words, 16, 1.0, 1.0, 0.0)
    engine = Engine("pes", 8, 4, able, registers, None, frozenset(), frozenset())
    return Architecture("small", 10**9, 16, levels, (engine,), ())


def needs(cascade: str, body: str, extents: dict[str, int], architecture: Architecture | None = None):
    workload = Workload(parse(cascade))
    whole = resolve_extents(workload.cascade, extents)
    found = demands(workload, architecture or machine(10**6), parse_mapping("name: x\n" + body), whole)
    return {demand.resource: demand.amount for demand in found}


def reasons(cascade: str, body: str, extents: dict[str, int], architecture: Architecture) -> list[str]:
    workload = Workload(parse(cascade))
    whole = resolve_extents(workload.cascade, extents)
    return [str(it) for it in infeasibilities(workload, architecture, parse_mapping("name: x\n" + body), whole)]


def test_tiles_on_a_path_are_held_at_once() -> None:
    # A: 4 x 10 elements, twice; B: 10 x 3; Z: 4 x 3, of 4 bytes: 2 * 80 + 60 + 48 = 268 bytes.
    text = (
        "words: {Z: 32 b}\nsteps: [for m by 4, keep A in buffer x2, for n by 3, keep B Z in buffer]\ncompute: Z on pes"
    )
    extents = {"M": 9, "N": 7, "K": 10}
    assert needs(MATMUL, text, extents)["memory", "buffer"] == 268
    # Tiles that are larger than their rank cover all of it: A 2 x 90 words, B 30, Z 27 of two.
    assert needs(MATMUL, text.replace("by 4", "by 40"), extents)["memory", "buffer"] == 2 * 180 + 60 + 4 * 27
    # At home are A, B and Z: 90 + 70 + 2 * 63 words.
    assert needs(MATMUL, text, extents)["memory", "dram"] == 2 * (90 + 70 + 2 * 63)


CHAIN = (
    "rank E, F, M, P\ninput Q[e:E, p:P], K[e:E, m:M], V[f:F, m:M]\n"
    "S[m, p] = Q[e, p] * K[e, m]\nT[f, p] = S[m, p] * V[f, m]\noutput T"
)


@pytest.mark.parametrize(("order", "words"), [("sequence", 12 + 24), ("overlap", 12 + 20 + 24), ("lock-step", 56)])
def test_siblings_share_their_place_unless_they_overlap(order: str, words: int) -> None:
    # Of 4 keys and 3 queries: S has 4 x 3 elements, K 5 x 4, V 6 x 4.
    text = f"order: {order}\nsteps: [for m by 4, for p by 3, keep S in buffer]\nbody:\n"
    text += "  - {steps: [keep K in buffer], compute: S on pes}\n  - {steps: [keep V in buffer], compute: T on pes}\n"
    assert needs(CHAIN, text, {"E": 5, "F": 6, "M": 8, "P": 6})["memory", "buffer"] == 2 * words


def test_a_running_value_needs_one_generation_unless_all_are_asked_for() -> None:
    # One generation of 3 columns, whatever the number of tiles; nobody asks for another one.
    text = "steps: [for p by 3, keep R in buffer]\nbody: [{steps: [for i], compute: R on pes}, O on pes]"
    assert needs(RUNNING, text, {"I": 9, "P": 6})["memory", "buffer"] == 2 * 3
    # As an output, all ten generations of the three columns are wanted.
    scan = RUNNING.replace("output O", "output O, R")
    assert needs(scan, text, {"I": 9, "P": 6})["memory", "buffer"] == 2 * 3 * 10
    # So they are if an earlier one is read at the end.
    early = RUNNING.replace("O[p] = R[I, p] * 2", "O[p] = R[I, p] - R[0, p]")
    assert needs(early, text, {"I": 9, "P": 6})["memory", "buffer"] == 2 * 3 * 10


def test_generations_that_are_read_in_another_loop_are_all_held() -> None:
    # S reads every generation after the last one is there: ten of 6 columns. In one loop with R, it reads the newest.
    scan = RUNNING.replace("O[p] = R[I, p] * 2\noutput O", "S[i, p] = R[i+1, p] * 2\noutput S")
    apart = (
        "steps: [keep R in buffer]\nbody: [{steps: [for i], compute: R on pes}, {steps: [for i], compute: S on pes}]"
    )
    assert needs(scan, apart, {"I": 9, "P": 6})["memory", "buffer"] == 2 * 6 * 10
    together = "steps: [keep R in buffer, for i]\nbody: [R on pes, S on pes]"
    assert needs(scan, together, {"I": 9, "P": 6})["memory", "buffer"] == 2 * 6
    # Where they come from outside, four are fetched together.
    fetched = (
        "steps: [keep R in dram]\nbody: [{steps: [for i], compute: R on pes}, "
        "{steps: [for i by 4, keep R in buffer], compute: S on pes}]"
    )
    assert needs(scan, fetched, {"I": 9, "P": 6})["memory", "buffer"] == 2 * 6 * 4
    # Three generations at a time are written, then read: with the one before, four.
    some = "steps: [for i by 3, keep R in buffer]\nbody: [{steps: [for i], compute: R on pes}, S on pes]"
    assert needs(scan, some, {"I": 9, "P": 6})["memory", "buffer"] == 2 * 6 * 4


def test_registers_hold_what_the_loops_in_space_leave_to_a_pe() -> None:
    # 8 rows of 16 columns on 8 x 4 PEs: every PE has 1 x 4 elements of Z, and one of A at a time.
    text = "steps: [for m by 8, keep Z in pes, for m on rows, for n by 4, for n on columns, keep A in pes, for k]\n"
    text += "compute: Z on pes"
    found = needs(MATMUL, text, {"M": 20, "N": 16, "K": 5})
    assert found["registers", "pes"] == 4 + 5
    assert (found["rows", "pes", "Z"], found["columns", "pes", "Z"]) == (8, 4)


def test_what_would_make_it_fit_is_said_and_true() -> None:
    extents = {"M": 64, "N": 64, "K": 64}
    # A needs 64 t words, B 64 x 64: 2 * (4096 + 64 t) <= 10000 bytes up to t = 14.
    text = "steps: [keep B in buffer, for m by 32, keep A in buffer]\ncompute: Z on pes"
    assert reasons(MATMUL, text, extents, machine(10_000)) == [
        "what 'buffer' holds at once ('B' and 'A') must be at most 10000 B, not 12288 B; 'for m by 32' fits with tiles "
        "of 14 coordinates or less"
    ]
    assert reasons(MATMUL, text.replace("32", "14"), extents, machine(10_000)) == []
    assert len(reasons(MATMUL, text.replace("32", "15"), extents, machine(10_000))) == 1
    # Without a loop over what B has, one is proposed: B has 64 t elements, A 2 t, so 2 * 66 t <= 1000 up to t = 7.
    text = "steps: [keep B in buffer, for m by 2, keep A in buffer]\ncompute: Z on pes"
    (told,) = reasons(MATMUL, text, extents, machine(1000))
    assert told.endswith("; with a loop 'for k by 7' above 'keep B in buffer' it fits")
    assert reasons(MATMUL, text.replace("[keep B", "[for k by 7, keep B"), extents, machine(1000)) == []
    assert len(reasons(MATMUL, text.replace("[keep B", "[for k by 8, keep B"), extents, machine(1000))) == 1
    # Where nothing helps, the largest is named.
    (told,) = reasons(MATMUL, "steps: [keep A B Z in buffer]\ncompute: Z on pes", extents, machine(1))
    assert told.endswith("; no tile of one loop makes it fit, and 'A' takes the most; keep less of it there")


def test_axes_and_registers_have_their_bounds() -> None:
    text = "steps: [for m on rows, for k by 2, keep A in pes]\ncompute: Z on pes"
    extents = {"M": 20, "N": 2, "K": 16}
    assert reasons(MATMUL, text, extents, machine(10, words=1)) == [
        "what the registers of a PE of 'pes' hold at once ('A') must be at most 1 words, not 2 words; 'for k by 2' "
        "fits with tiles of 1 coordinates or less",
        "the iterations of 'Z' spread over the rows of 'pes' must be at most 8 PEs, not 20 PEs; 'for m on rows' fits "
        "with tiles of 3 coordinates or more",
    ]
    assert (
        reasons(MATMUL, text.replace("for m on", "for m by 3 on").replace("by 2", "by 1"), extents, machine(10, 3))
        == []
    )


def test_infeasible_is_a_value() -> None:
    workload, mapping = Workload(parse(MATMUL)), parse_mapping("name: x\nsteps: [keep A in buffer]\ncompute: Z on pes")
    extents = {"M": 8, "N": 8, "K": 8}
    with pytest.raises(
        InfeasibleMappingError, match=r"^what 'buffer' holds at once \('A'\) must be at most 100 B"
    ) as raised:
        check_capacity(workload, machine(100), mapping, extents)
    (reason,) = raised.value.reasons
    assert isinstance(reason, Infeasibility)
    assert (reason.demand, reason.bound, reason.unit) == (128, 100, "B")
    check_capacity(workload, machine(128), mapping, extents)


@pytest.mark.parametrize("name", CASES)
def test_needs_equal_those_of_a_walk(name: str, seed: int) -> None:
    """Every tile that is held, in a memory and in each PE's registers: ragged edges, halos and tails included.

    A halo in registers whose coordinates a loop in time around one in space deals out in turn is bounded from above.
    """
    case = CASES[name]
    workload = Workload(parse(case.text))
    for number in range(random_count(350)):
        rng = np.random.default_rng([seed, number])
        extents = random_extents(rng, case)
        architecture = random_architecture(rng)
        mapping = random_mapping(rng, case, extents)
        tails = ((case.tail[0], case.tail[1], extents[case.tail[2]]),) if case.tail else ()
        walk = PeakWalk(_with_strides(case, extents), extents, tails, "pes")
        variables = sorted({v for task in case.tasks.values() for v in task["variables"]})
        whole = tuple((v, (0, extents[v.upper()])) for v in variables)
        homes = {tensor: ("dram", mapping.root) for tensor in case.homes}
        walk.run(mapping.root, [Pe((), whole)], homes, ())
        for demand in demands(workload, architecture, mapping, extents):
            for held in demand.tiles:
                if held.position and not _is_inside_space(mapping, held, demand.resource[1]):
                    bits = 16 if demand.resource[0] == "memory" else 1
                    wanted = walk.peak[held.position, held.tensor] * bits
                    is_bound = (
                        name in ("convolution", "strided", "spread", "stencil", "halves")
                        and bits == 1
                        and _is_dealt(mapping, held.position)
                    )
                    is_right = held.amount >= wanted if is_bound else held.amount == wanted
                    assert is_right, f"case {number} of seed {seed}: {extents}\n{mapping.root}\n{held}, not {wanted}"


def _is_dealt(mapping, position) -> bool:
    """Whether a variable has a loop in time around one in space below a step of a mapping of one block."""
    last = {}
    for step in mapping.root.steps[position[0] + 1 :]:
        if isinstance(step, Loop):
            if step.axis and last.get(step.variable) == "time":
                return True
            last[step.variable] = step.axis or "time"
    return False


def _is_inside_space(mapping, held, level) -> bool:
    """Whether a memory keeps a tile inside a spatial loop, which is not legal."""
    return level == "buffer" and any(
        isinstance(loop, Loop) and loop.axis and any(step is not loop for step in steps[at:] if _keeps(step, held))
        for steps, _ in paths(mapping.root)
        for at, loop in enumerate(steps)
    )


def _keeps(step, held) -> bool:
    return isinstance(step, Keep) and step.level == "buffer" and held.tensor in step.tensors


def _with_strides(case, extents):
    """Give `k1x` the stride that it has in `k1*K0 + k0`."""

    def own(reference):
        strides = {"k1x": ("k1", extents.get("K0", 1))}
        return Reference(
            reference.tensor,
            tuple(tuple(strides.get(v, (v, stride)) for v, stride in dim) for dim in reference.terms),
            reference.offsets,
        )

    return {
        name: {**task, "reads": [own(r) for r in task["reads"]], "write": own(task["write"])}
        for name, task in case.tasks.items()
    }


@pytest.mark.parametrize("name", ["output-stationary", "weight-stationary"])
@pytest.mark.parametrize("extents", [(1, 1, 1), (100, 200, 300), (4096, 4096, 4096), (1000, 77, 130)])
def test_presets_of_a_product_fit(name: str, extents: tuple[int, int, int]) -> None:
    workload, machine_ = Workload(parse(MATMUL)), load_architecture("systolic")
    values = dict(zip("MNK", extents, strict=True))
    assert plan_mapping(workload, machine_, [load_mapping(name)], values).infeasibilities == ()
    small = replace(machine_, memories=(machine_.memories[0], replace(machine_.memories[1], capacity_bytes=2048)))
    small_plan = plan_mapping(workload, small, [load_mapping(name)], values)
    assert bool(small_plan.infeasibilities) == (extents != (1, 1, 1))
