"""What is called a bound holds for every legal mapping: words moved, also for what it holds, loops over a fiber."""

from collections import Counter

import numpy as np
import pytest
from random_cascades import extents_for, random_cascade
from random_counts import random_count
from streaming_oracle import all_extents

from einsum_cascade import analyse
from einsum_cascade.analysis.bounds import Bounds
from einsum_cascade.analysis.symbolic import evaluate
from einsum_cascade.arch.ir import Architecture, Engine, Memory, Operation, RegisterFile
from einsum_cascade.cascade.extent import constant
from einsum_cascade.cascade.operators import OPERATORS
from einsum_cascade.cost.accesses import Accesses
from einsum_cascade.cost.estimate import CostEstimate, estimate
from einsum_cascade.errors import MappingError
from einsum_cascade.mapping.demand import demands
from einsum_cascade.mapping.ir import Block, Compute, Keep, Loop, Mapping, paths
from einsum_cascade.mapping.legality import violations
from einsum_cascade.mapping.workload import Workload

CHUNKS = 8
WORD_BITS = 16


def machine() -> Architecture:
    """DRAM, a buffer without limit, one PE that can do everything."""
    operations = tuple(Operation(name, 1, 1, ()) for name in ("mac", *OPERATORS))
    engine = Engine("pe", 1, 1, operations, RegisterFile(64, WORD_BITS, 1.0, 1.0, 0.0), None, frozenset(), frozenset())
    memories = tuple(Memory(name, None, WORD_BITS, None, None, True, 1, 1.0, 1.0) for name in ("dram", "buffer"))
    return Architecture("one", 10**9, WORD_BITS, memories, (engine,), ())


def random_mapping(rng: np.random.Generator, workload: Workload, extents: dict[str, int]) -> Mapping:
    """Put neighbouring Einsums into shared loops at random, and keep tensors on chip at random."""
    names = [task.name for task in workload.tasks]
    parts: list[Block | Compute] = []
    while names:
        count = int(rng.integers(1, len(names) + 1))
        own, names = names[:count], names[count:]
        parts.append(_block(rng, workload, own, extents))
    cascade = workload.cascade
    made = [t.name for t in cascade.tensors if not t.is_given and t.name not in cascade.outputs]
    keeps = [Keep("buffer", (name,)) for name in made if rng.random() < 0.7]
    keeps += [Keep("buffer", (t.name,)) for t in cascade.inputs if rng.random() < 0.3]
    return Mapping("random", Block(tuple(keeps), tuple(parts), "sequence"))


def _block(rng: np.random.Generator, workload: Workload, names: list[str], extents: dict[str, int]) -> Block | Compute:
    shared = set.intersection(*(set(workload.task[name].variables) for name in names))
    chosen = [name for name in sorted(shared) if rng.random() < 0.6]
    rng.shuffle(chosen)
    sizes = {name: extents[workload.cascade.rank_of[name]] for name in chosen}
    loops = tuple(Loop(name, constant(int(rng.integers(1, sizes[name] + 1)))) for name in chosen)
    computes = tuple(Compute(name, "pe") for name in names)
    if len(names) == 1 and not loops:
        return computes[0]
    cut = int(rng.integers(0, len(loops) + 1))
    inner = Block(loops[cut:], computes, "sequence") if cut < len(loops) else None
    return Block(loops[:cut], (inner,) if inner else computes, "sequence")


def legal_mappings(rng: np.random.Generator, tries: int):
    """Yield cascades with extents, a legal mapping and what it costs and holds."""
    architecture = machine()
    cascade = random_cascade(rng)
    try:
        workload = Workload(cascade)
    except MappingError:
        return
    extents = all_extents(cascade, extents_for(cascade, rng, "M"))
    for _ in range(tries):
        mapping = random_mapping(rng, workload, extents)
        if not violations(workload, architecture, mapping, extents):
            yield cascade, workload, architecture, mapping, extents


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_mapping_moves_less_than_the_bounds(chunk: int, seed: int) -> None:
    """Words through DRAM against the compulsory ones, and those that passes add for what the mapping holds on chip."""
    tried = 0
    for number in range(chunk, random_count(2_000), CHUNKS):
        rng = np.random.default_rng([seed, number])
        for cascade, workload, architecture, mapping, extents in legal_mappings(rng, 3):
            tried += 1
            cost = estimate(workload, architecture, mapping, extents)
            moved = sum(phase.moved["dram"].total for phase in cost.phases if "dram" in phase.moved)
            report = analyse(cascade)
            case = f"case {number} of seed {seed}: {extents}\n{cascade}\n{mapping}"
            assert_compulsory(report, cost, extents, case)
            found = demands(workload, architecture, mapping, extents)
            (held,) = (demand.amount for demand in found if demand.resource == ("memory", "buffer"))
            capacity = held * 8 // WORD_BITS + 64  # and the registers
            proved = (*(t for t in report.traffic if t.is_exact), *report.pass_traffic(extents, capacity))
            words = sum(evaluate(entry.words, extents) for entry in proved)
            assert moved * 8 >= words * WORD_BITS, case
    assert tried


def assert_compulsory(report: Bounds, cost: CostEstimate, extents: dict[str, int], case: str) -> None:
    """Of each tensor at least the compulsory words go through DRAM, in the direction that they must."""
    for entry in report.traffic:
        accesses = cost.accesses.get(("dram", entry.tensor), Accesses())
        moved = accesses.read if entry.reason == "compulsory read" else accesses.written
        assert not entry.is_exact or evaluate(entry.words, extents) <= moved, f"{entry.tensor}, {case}"


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_mapping_loops_over_a_fiber_less_often_than_it_must(chunk: int, seed: int) -> None:
    """Einsums that read a family along a rank, by the outermost loop over it that they are in."""
    tried = 0
    for number in range(chunk, random_count(2_000), CHUNKS):
        rng = np.random.default_rng([seed, number])
        for cascade, workload, _, mapping, extents in legal_mappings(rng, 2):
            for bound in analyse(cascade).passes:
                target = cascade.tensor[bound.target.tensor]
                if target.is_given and bound.is_exact and len(bound.via) == 1 and not bound.timing.growing:
                    tried += 1
                    loops = set(_loops_over(workload, mapping, bound, extents))
                    assert len(loops) >= int(str(bound.count)), f"case {number} of seed {seed}: {extents}\n{cascade}"
    assert tried


def _loops_over(workload, mapping, bound, extents):
    """Yield the place of the outermost loop of several iterations over the rank, or of the Einsum, of every reader."""
    roots = {name for via in bound.via for name in via.variables}
    for number, (steps, leaf) in enumerate(paths(mapping.root)):
        time = bound.timing.points.get(workload.task[leaf.task].number)
        if time is not None and time.reads_family:
            loops = [step for step in steps if isinstance(step, Loop) and step.variable in roots]
            several = [
                step for step in loops if step.tile.evaluate({}) < extents[workload.cascade.rank_of[step.variable]]
            ]
            yield id(several[0]) if several else number


def traversing_mapping(rng: np.random.Generator, workload: Workload, variable: str) -> Mapping:
    """Put neighbours that have a variable into one loop over it, maybe in others, and keep what they make anywhere."""
    names = [task.name for task in workload.tasks]
    inside = [at for at, name in enumerate(names) if variable in workload.task[name].variables]
    first, last = min(inside), max(inside)
    own = names[first : last + 1]
    shared = set.intersection(*(set(workload.task[name].variables) for name in own)) - {variable}
    steps = [*(Loop(name) for name in sorted(shared) if rng.random() < 0.3), Loop(variable)]
    top = []
    for tensor in workload.cascade.tensors:
        if tensor.name in workload.writers and tensor.name not in workload.cascade.outputs:
            users = [task.name for by in (workload.writers, workload.readers) for task in by.get(tensor.name, ())]
            keep = Keep("buffer", (tensor.name,))
            if set(users) <= set(own) or rng.random() < 0.2:
                steps.insert(int(rng.integers(0, len(steps) + 1)), keep)
            else:
                top.append(keep)
    block = Block(tuple(steps), tuple(Compute(name, "pe") for name in own), "sequence")
    parts = (*(Compute(name, "pe") for name in names[:first]), block)
    return Mapping("random", Block(tuple(top), (*parts, *(Compute(name, "pe") for name in names[last + 1 :]))))


def held_words(workload, architecture, mapping, extents):
    """Words of the buffer by tensor, when it is fullest."""
    found = demands(workload, architecture, mapping, extents)
    (tiles,) = (demand.tiles for demand in found if demand.resource == ("memory", "buffer"))
    words = Counter()
    for tile in tiles:
        words[tile.tensor] += tile.amount // WORD_BITS
    return words


def _is_one_traversal(workload, mapping, bound, per, extents):
    """Tell whether one loop over a rank is around all that reads a family, with loops over fibers alone around it."""
    roots = {name for via in bound.via for name in via.variables}
    loops = set()
    for steps, leaf in paths(mapping.root):
        time = bound.timing.points.get(workload.task[leaf.task].number)
        if time is None or not time.reads_family:
            continue
        several = [
            step
            for step in steps
            if isinstance(step, Loop) and step.tile.evaluate({}) < extents[workload.cascade.rank_of[step.variable]]
        ]
        at = next((at for at, step in enumerate(several) if step.variable in roots), None)
        if at is None or any(workload.cascade.rank_of[step.variable] not in per for step in several[:at]):
            return False
        loops.add((id(several[at]), several[at].tile.evaluate({})))
    return len(loops) == 1 and next(iter(loops))[1] == 1


def test_no_mapping_holds_less_than_the_live_state(seed: int) -> None:
    """Of every tensor between Einsums, what a traversal keeps of it.

    Live state is that of one traversal of one fiber, so a mapping is comparable if it is one: a single loop, coordinate
    by coordinate, around all that reads the family, and around it loops over other fibers only, which share none of
    the state. What is at home in DRAM (inputs, results) need not be on chip, a fiber that is read again may be spilled,
    and of what another pass makes only whole cascades speak; all else that lives from one position to a later one is
    kept above that loop, so a legal mapping has a place for all of it at once.
    """
    tried = 0
    for number in range(random_count(2_000)):
        rng = np.random.default_rng([seed, 31, number])
        architecture, cascade = machine(), random_cascade(rng)
        try:
            workload = Workload(cascade)
        except MappingError:
            continue
        extents = all_extents(cascade, extents_for(cascade, rng, "M"))
        report = analyse(cascade)
        for bound, footprints in zip(report.passes, report.footprints, strict=True):
            if len(footprints) != 1 or not bound.is_exact or len(bound.via) != 1 or not footprints[0].live:
                continue
            mapping = traversing_mapping(rng, workload, bound.via[0].variables[0])
            if violations(workload, architecture, mapping, extents):
                continue
            if not _is_one_traversal(workload, mapping, bound, footprints[0].per, extents):
                continue
            held = held_words(workload, architecture, mapping, extents)
            for live in footprints[0].live:
                if live.reason != "fiber" and live.tensor in held:
                    tried += 1
                    needed = evaluate(live.elements, extents)
                    where = f"case {number} of seed {seed}: {extents}\n{cascade}\n{mapping}\n{bound.target}, {live}"
                    assert held[live.tensor] >= needed, where
    assert tried
