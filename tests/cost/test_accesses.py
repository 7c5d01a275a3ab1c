"""Accesses of loop nests: by hand on small cases, and against a walk that runs the loops."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from loop_walk import walk_mapping
from random_counts import random_count
from random_mappings import CASES, random_architecture, random_extents, random_mapping

from einsum_cascade import parse
from einsum_cascade.arch.ir import Architecture, Component, Engine, Memory, Operation, RegisterFile
from einsum_cascade.cost.accesses import Accesses, count_accesses
from einsum_cascade.cost.estimate import estimate
from einsum_cascade.mapping.codec import parse_mapping
from einsum_cascade.mapping.residency import sites_of
from einsum_cascade.mapping.workload import Workload


def plain_machine() -> Architecture:
    """PEs without links, DRAM and a buffer, words of 16 bits."""
    rate = {"read_bytes_per_s": None, "write_bytes_per_s": None, "is_shared": False, "instances": 1}
    memories = tuple(Memory(name, None, 16, **rate, read_pj=1.0, write_pj=1.0) for name in ("dram", "buffer"))
    operations = tuple(Operation(name, 1, 1, (("mac", 1),)) for name in ("mac", "+", "-", "*"))
    registers = RegisterFile(64, 16, 1.0, 1.0, 0.0)
    engine = Engine("pes", 8, 8, operations, registers, None, frozenset(), frozenset())
    return Architecture("plain", 10**9, 16, memories, (engine,), (Component("mac", 1.0, 0.0),))


def counted(case, mapping, architecture, extents):
    workload = Workload(parse(case.text))
    table = count_accesses(workload, architecture, sites_of(workload, architecture, mapping), extents)
    kinds = ("fills", "reads", "updates", "drains")
    found = {(*key, kind): int(getattr(entry, kind)) for key, entry in table.items() for kind in kinds}
    return Counter({key: count for key, count in found.items() if count})


def shared_axes(architecture, kind):
    (engine,) = architecture.engines
    wanted = {"reduce"} if kind == "write" else {"broadcast", "shift"}
    axes = {"rows": engine.along_columns, "columns": engine.along_rows}
    return {axis for axis, links in axes.items() if links & wanted}


@pytest.mark.parametrize("name", CASES)
def test_counts_equal_those_of_a_walk(name: str, seed: int) -> None:
    """Ragged tiles, halos, tails, multicast and spatial reduction included: equal, not close."""
    case = CASES[name]
    for number in range(random_count(350)):
        rng = np.random.default_rng([seed, number])
        extents = random_extents(rng, case)
        architecture = random_architecture(rng)
        mapping = random_mapping(rng, case, extents)
        links = {kind: shared_axes(architecture, kind) for kind in ("read", "write")}
        tails = ((case.tail[0], case.tail[1], extents[case.tail[2]]),) if case.tail else ()
        tasks = case.tasks
        if case.tail:
            tasks = with_strides(tasks, extents)
        walked = walk_mapping(mapping.root, tasks, extents, tails=tails, homes=case.homes, home="dram", links=links)
        found = counted(case, mapping, architecture, extents)
        assert found == walked, (
            f"case {number} of seed {seed}: {extents}\n{mapping}\n{found - walked}\n{walked - found}"
        )


def with_strides(tasks, extents):
    """Give `k1x` the stride that it has in `k1*K0 + k0`."""
    from loop_walk import Reference

    def own(reference):
        terms = tuple(
            tuple(("k1", extents["K0"]) if name == "k1x" else (name, stride) for name, stride in dim)
            for dim in reference.terms
        )
        return Reference(reference.tensor, terms, reference.offsets)

    return {
        name: {**task, "reads": [own(r) for r in task["reads"]], "write": own(task["write"])}
        for name, task in tasks.items()
    }


PAIR = Workload(
    parse("rank H = 8\nrank D = 2*H\ninput X[d:D], C[h:H], S[h:H]\nY[h] = X[h]*C[h] - X[h + H]*S[h]\noutput Y")
)


@pytest.mark.parametrize("steps", ["[keep X C S in buffer]", "[for h by 3, keep X C S in buffer]", "[for h]"])
def test_reads_that_differ_by_constants_are_elements_of_their_own(steps: str) -> None:
    """16 elements of X, 8 of C and of S, and 8 of Y, of 2 B: 80 B, whatever the tiles."""
    mapping = parse_mapping(f"name: x\nsteps: {steps}\ncompute: Y on pes")
    found = estimate(PAIR, plain_machine(), mapping, {"H": 8, "D": 16})
    assert found.traffic_bytes["dram"] == 80
    assert found.accesses["dram", "X"].reads == 16


def test_neighbours_are_read_once_and_a_halo_for_every_tile() -> None:
    """X[h], X[h + 1] and X[h + 3] of 9 in tiles of 4: 4 + 3 for the whole tiles, of the last one 0, 1 and 3."""
    text = "rank H\nrank D = H + 3\ninput X[d:D]\nY[h] = X[h] + X[h + 1] + X[h + 3]\noutput Y"
    workload = Workload(parse(text))
    mapping = parse_mapping("name: x\nsteps: [for h by 4, keep X in buffer]\ncompute: Y on pes")
    found = estimate(workload, plain_machine(), mapping, {"H": 9, "D": 12})
    assert found.accesses["dram", "X"].reads == 7 + 7 + 3


@pytest.mark.parametrize("share", [Fraction(1, 4), 0, 1])
def test_a_share_that_spills_goes_outside_instead_of_inside(share) -> None:
    """T is written once and read once, 12 words: so much of either in both levels together, as the share says."""
    text = "rank M, P\ninput X[m:M, p:P]\nT[m, p] = X[m, p] + X[m, p]\nY[m, p] = T[m, p] + X[m, p]\noutput Y"
    mapping = parse_mapping(
        "name: x\nparameters: {Q: share of M*P words that fits buffer}\n"
        "steps: [keep T X in buffer up to Q]\nbody: [T on pes, Y on pes]"
    )
    found = estimate(Workload(parse(text)), plain_machine(), mapping, {"M": 3, "P": 4, "Q": share})
    inside, outside = found.accesses["buffer", "T"], found.accesses["dram", "T"]
    assert (inside.updates, inside.reads, inside.fills) == (12 * share, 12 * share, 0)
    assert (outside.updates, outside.reads) == (12 - 12 * share, 12 - 12 * share)
    # Of X, which comes from outside, the share is filled once; both Einsums read the rest where it is.
    assert found.accesses["buffer", "X"] == Accesses(fills=12 * share, reads=24 * share)
    assert found.accesses["dram", "X"].reads == 12 * share + 24 * (1 - share)
