"""The plain mapping: legal and feasible for every cascade on every machine, in the largest tiles that fit."""

import cProfile
import re
from collections import Counter
from dataclasses import replace
from math import prod

import numpy as np
import pytest
from random_cascades import extents_for, random_cascade
from random_counts import random_count
from random_machines import random_machine
from streaming_oracle import all_extents

from einsum_cascade import analyse, load_architecture, parse, resolve_extents, zoo
from einsum_cascade.analysis.symbolic import evaluate
from einsum_cascade.arch.ir import Architecture, Operation
from einsum_cascade.cascade.affine import affine_variable
from einsum_cascade.cascade.extent import constant
from einsum_cascade.cost.accesses import Accesses
from einsum_cascade.cost.estimate import estimate
from einsum_cascade.errors import IllegalMappingError, MappingError
from einsum_cascade.mapper.plain import plain_mapping
from einsum_cascade.mapper.recurrences import ordered_tasks
from einsum_cascade.mapping.demand import demands
from einsum_cascade.mapping.ir import Block, Compute, Keep, Loop, Mapping, leaves, paths
from einsum_cascade.mapping.legality import violations
from einsum_cascade.mapping.workload import Access, Task, Workload

MACHINES = ("flat-cloud", "flat-edge", "fusemax-cloud", "systolic", "fusemax-8x8")
MATMUL = "rank M, N, K\ninput A[m:M, k:K], B[k:K, n:N]\nZ[m, n] = A[m, k] * B[k, n]\noutput Z"


def unmet(workload: Workload, architecture: Architecture, mapping: Mapping, extents: dict[str, int]) -> list[str]:
    """What a mapping breaks and what does not fit, a sentence each."""
    broken = violations(workload, architecture, mapping, extents)
    found = () if broken else demands(workload, architecture, mapping, extents)
    too_much = [need for need in found if need.bound is not None and need.amount > need.bound]
    return [*broken, *(f"{need.constraint}: {need.amount} of {need.bound} {need.unit}" for need in too_much)]


def extents_of(name: str, architecture: Architecture, size: int) -> dict[str, int]:
    """Extents of a cascade of the zoo: `size` of what grows, at most 64 of all else, tiles as long as a column."""
    cascade = zoo.load(name)
    rows = max(engine.rows for engine in architecture.engines)
    given = {rank: size if rank in ("M", "N", "P", "K", "D", "O") else min(size, 64) for rank in cascade.free_ranks}
    return resolve_extents(cascade, given | ({"M0": rows} if "M0" in given else {}))


@pytest.mark.parametrize("architecture", MACHINES)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_every_cascade_of_the_zoo_has_one_or_a_reason(architecture: str, size: int) -> None:
    machine, refused = load_architecture(architecture), set[str]()
    for name in zoo.names():
        workload, extents = Workload(zoo.load(name)), extents_of(name, machine, size)
        try:
            mapping = plain_mapping(workload, machine, extents)
        except IllegalMappingError as error:
            # What no engine of these machines does: logarithms, roots, rectifiers.
            assert re.search(r"^Einsum '\w+' must have an engine of .* lacks '.*; add '", str(error)), error
            refused.add(name)
            continue
        assert not unmet(workload, machine, mapping, extents), name
        assert {leaf.task for leaf in leaves(mapping.root)} == {task.name for task in workload.tasks}
        assert mapping.name == "plain"
    assert refused == {
        *("attention-lse", "attention-1pass-lse", "attention-linear", "attention-linear-causal"),
        *("attention-sigmoid", "layernorm", "layernorm-matmul", "rmsnorm"),
    }


def small_machine(rng: np.random.Generator) -> Architecture:
    """A random machine with small memories inside the outermost one, of one instance each."""
    while len((machine := random_machine(rng)).memories) < 2:
        pass
    first, *others = machine.memories
    memories = (replace(it, instances=1, capacity_bytes=int(2 ** rng.uniform(2, 9))) for it in others)
    return replace(machine, memories=(first, *memories))


def drawn(seed: int, test: int, count: int, draw=random_machine):
    """Yield random cascades with extents and machines, and their plain mappings."""
    for number in range(random_count(count)):
        rng = np.random.default_rng([seed, test, number])
        cascade = random_cascade(rng)
        try:
            workload = Workload(cascade)
        except MappingError:
            continue
        machine = draw(rng)
        extents = all_extents(cascade, extents_for(cascade, rng, "M"))
        mapping = plain_mapping(workload, machine, extents)
        yield (
            f"case {number} of seed {seed}: {extents}\n{cascade}\n{machine}\n{mapping}",
            workload,
            machine,
            extents,
            mapping,
        )


def test_random_cascades_on_random_machines(seed: int) -> None:
    """Legal, within every capacity, and not below what must be moved."""
    for where, workload, machine, extents, mapping in drawn(seed, 171, 1_000):
        assert not unmet(workload, machine, mapping, extents), where
        cost = estimate(workload, machine, mapping, extents)
        assert cost.latency_s > 0, where
        for entry in analyse(workload.cascade).traffic:
            moved = cost.accesses.get(("far", entry.tensor), Accesses())
            least = evaluate(entry.words, extents) - numbers(workload, entry.tensor, extents)
            assert not entry.is_exact or moved.read + moved.written >= least, f"{where}\n{entry}, {moved}"


def numbers(workload: Workload, tensor: str, extents: dict[str, int]) -> int:
    """How many elements of a result are numbers from the start: no Einsum of a mapping writes those."""
    cascade = workload.cascade
    is_given = any(e.tensor == tensor and e.is_init and not e.reads for e in cascade.einsums)
    sizes = (d.extent.evaluate(extents) for d in cascade.tensor[tensor].dimensions if not d.is_generational)
    return is_given * prod(sizes)


def shared_loops(parts, around=frozenset()):
    """By task, the variables of the loops that it shares with others, or with itself."""
    found = {}
    for part in parts:
        own = {part.name: around} if isinstance(part, Task) else shared_loops(part.parts, around | {part.variable})
        found |= own
    return found


def larger_tiles(block: Block | Compute, memories: set[str], shared: dict[str, frozenset[str]]):
    """Yield a tree for every loop that cuts tiles for a memory: with twice the coordinates."""
    if isinstance(block, Compute):
        return
    for at, part in enumerate(block.body):
        for other in larger_tiles(part, memories, shared):
            yield replace(block, body=(*block.body[:at], other, *block.body[at + 1 :]))
    if len(block.body) > 1 or not isinstance(block.body[0], Compute):
        return
    last = max(
        (at for at, step in enumerate(block.steps) if isinstance(step, Keep) and step.level in memories), default=0
    )
    for at, step in enumerate(block.steps[:last]):
        if isinstance(step, Loop) and step.variable not in shared[block.body[0].task]:
            loop = replace(step, tile=constant(2 * step.tile.evaluate({})))
            yield replace(block, steps=(*block.steps[:at], loop, *block.steps[at + 1 :]))


def test_tiles_are_as_large_as_fit(seed: int) -> None:
    """Twice the coordinates of one variable, where the loops allow it, do not fit."""
    tried = 0
    for where, workload, machine, extents, mapping in drawn(seed, 172, 600, small_machine):
        memories = {memory.name for memory in machine.memories}
        for root in larger_tiles(mapping.root, memories, shared_loops(ordered_tasks(workload, extents))):
            tried += 1
            assert unmet(workload, machine, replace(mapping, root=root), extents), f"{where}\n{root}"
    assert tried


def machine_like(architecture: Architecture, names: dict[str, str]) -> Architecture:
    """A machine whose engines and memories have other names."""
    return replace(
        architecture,
        memories=tuple(replace(memory, name=names.get(memory.name, memory.name)) for memory in architecture.memories),
        engines=tuple(replace(engine, name=names.get(engine.name, engine.name)) for engine in architecture.engines),
    )


@pytest.mark.parametrize("name", ["attention-1pass", "attention-causal", "attention-aaren", "attention-self"])
def test_names_decide_nothing(name: str) -> None:
    """Engines `array` and `vector`, memories `far` and `near`: the same figures."""
    machine = load_architecture("fusemax-cloud")
    other = machine_like(machine, {"2d": "array", "1d": "vector", "dram": "far", "buffer": "near"})
    workload, extents = Workload(zoo.load(name)), extents_of(name, machine, 3_000)
    one, same = (estimate(workload, it, plain_mapping(workload, it, extents), extents) for it in (machine, other))
    assert (one.latency_s, one.cycles) == (same.latency_s, same.cycles)
    assert one.energy_pj == pytest.approx(same.energy_pj)
    assert list(one.traffic_bytes.values()) == list(same.traffic_bytes.values())


def test_a_matrix_product_fills_the_array() -> None:
    # 512^3 multiply-adds on 256 x 256 PEs take 2 x 2 x 512 cycles, none of which is lost.
    workload, machine = Workload(parse(MATMUL)), load_architecture("fusemax-cloud")
    extents = {"M": 512, "N": 512, "K": 512}
    cost = estimate(workload, machine, plain_mapping(workload, machine, extents), extents)
    assert cost.cycles == 2048
    assert 512**3 / (cost.cycles * 256 * 256) > 0.9
    # All of it fits the buffer, so that it goes through DRAM once: three matrices of two bytes an element.
    assert cost.traffic_bytes["dram"] == 3 * 2 * 512 * 512


def test_the_fastest_engine_that_can_is_taken() -> None:
    machine = load_architecture("flat-cloud")
    workload = Workload(parse(MATMUL))
    mapping = plain_mapping(workload, machine, {"M": 256, "N": 256, "K": 256})
    assert [leaf.engine for leaf in leaves(mapping.root)] == ["2d"]
    # One row is all that a vector needs of the array; the vector row is as fast and moves as much.
    scalar = replace(machine, engines=machine.engines[1:])
    mapping = plain_mapping(workload, scalar, {"M": 256, "N": 256, "K": 256})
    assert [leaf.engine for leaf in leaves(mapping.root)] == ["1d"]


def test_sums_along_an_axis_need_a_link() -> None:
    """A sum of 256 is spread over the rows, which columns of the array add up; over PEs without a link it is not."""
    workload, machine = (
        Workload(parse("rank K\ninput A[k:K]\nZ[] = A[k]\noutput Z")),
        load_architecture("fusemax-cloud"),
    )
    (steps, _), *_ = paths(plain_mapping(workload, machine, {"K": 256}).root)
    assert Loop("k", axis="rows") in steps
    apart = replace(machine, engines=tuple(replace(e, along_columns=frozenset()) for e in machine.engines))
    (steps, _), *_ = paths(plain_mapping(workload, apart, {"K": 256}).root)
    assert not any(isinstance(step, Loop) and step.axis for step in steps)


RNN = """
rank D, T
rank K = D
input X[d:D, t:T], W[d:D, k:K]
init H[d, 0] = 0
S[d, t] = W[d, k] * H[k, t]
H[d, t+1] = tanh(S[d, t] + X[d, t])
output H
"""


def able(architecture: Architecture, *names: str) -> Architecture:
    """A machine whose engines can do more."""
    more = tuple(Operation(name, 1, 1, ()) for name in names)
    engines = (replace(engine, operations=(*engine.operations, *more)) for engine in architecture.engines)
    return replace(architecture, engines=tuple(engines))


def test_what_depends_on_one_another_shares_a_loop() -> None:
    """The weights of a recurrent network are fetched once and stay beside the steps that use them."""
    workload, extents = Workload(parse(RNN)), {"D": 64, "K": 64, "T": 1000}
    machine = able(load_architecture("fusemax-cloud"), "tanh")
    mapping = plain_mapping(workload, machine, extents)
    assert not unmet(workload, machine, mapping, extents)
    assert [step for step in mapping.root.steps if isinstance(step, Loop)] == [Loop("t")]
    cost = estimate(workload, machine, mapping, extents)
    assert cost.accesses["dram", "W"].reads == 64 * 64


def test_what_no_loop_carries_is_refused() -> None:
    """Checked cascades have none: two Einsums that read all of one another."""
    workload = Workload(parse(MATMUL))
    m, k = map(affine_variable, "mk")
    workload.tasks = (
        Task("S", 0, ("m",), (Access("T", (k,)),), Access("S", (m,))),
        Task("T", 1, ("k",), (Access("S", (m,)),), Access("T", (k,))),
    )
    workload.__dict__ |= {"tensors": ("S", "T")}
    with pytest.raises(IllegalMappingError) as raised:
        ordered_tasks(workload, {"M": 2, "N": 2, "K": 2})
    assert re.fullmatch(
        r"Einsums that depend on one another must have a rank variable whose loop carries that, unlike 'S' and 'T', "
        r"which read 'T' and 'S' of one another; write them with a rank that counts the generations",
        str(raised.value),
    )


def test_tiles_of_long_ranks_take_no_longer() -> None:
    """10^12 keys: the work is that of some doublings, as many as bits of the buffer's capacity, not of coordinates."""
    machine, calls = load_architecture("fusemax-cloud"), Counter[int]()
    for size in (10**6, 10**12):
        workload = Workload(zoo.load("attention"))
        extents = {"E": 64, "F": 64, "M": size, "P": size}
        profile = cProfile.Profile()
        mapping = profile.runcall(plain_mapping, workload, machine, extents)
        assert not unmet(workload, machine, mapping, extents)
        calls[size] = sum(entry.callcount for entry in profile.getstats())
    assert calls[10**12] <= 1.5 * calls[10**6]


def test_a_missing_operation_is_named() -> None:
    workload, machine = Workload(zoo.load("attention-lse")), load_architecture("fusemax-cloud")
    with pytest.raises(IllegalMappingError) as raised:
        plain_mapping(workload, machine, {"E": 4, "F": 4, "M": 4, "P": 4})
    assert re.fullmatch(
        r"Einsum 'LSE' must have an engine of fusemax-cloud that can do all of it, but none can: '2d' lacks 'log'; "
        r"'1d' lacks 'log'; add 'log' to the operations of '2d'",
        str(raised.value),
    )
