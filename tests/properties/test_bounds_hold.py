"""What is called a bound holds for every legal mapping: words moved, also for what it holds, loops over a fiber."""

import numpy as np
import pytest
from random_cascades import extents_for, random_cascade
from random_counts import random_count
from streaming_oracle import all_extents

from einsum_cascade import analyse
from einsum_cascade.analysis.symbolic import evaluate
from einsum_cascade.arch.ir import Architecture, Engine, Memory, Operation, RegisterFile
from einsum_cascade.cascade.extent import constant
from einsum_cascade.cascade.operators import OPERATORS
from einsum_cascade.cost.estimate import estimate
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
            phases = estimate(workload, architecture, mapping, extents).phases
            moved = sum(phase.moved["dram"].total for phase in phases if "dram" in phase.moved)
            report = analyse(cascade)
            on_chip = sum(d.amount for d in demands(workload, architecture, mapping, extents) if d.resource == "buffer")
            capacity = on_chip // WORD_BITS + 64
            proved = (*(t for t in report.traffic if t.is_exact), *report.pass_traffic(extents, capacity))
            words = sum(evaluate(entry.words, extents) for entry in proved)
            assert moved * 8 >= words * WORD_BITS, f"case {number} of seed {seed}: {extents}\n{cascade}\n{mapping}"
    assert tried


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
