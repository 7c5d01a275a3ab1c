"""Memories of several instances: capacity, bandwidth and energy are those of one, and what several use is in each."""

from dataclasses import replace
from fractions import Fraction
from itertools import product
from random import Random

import pytest
from random_counts import random_count

from einsum_cascade import parse
from einsum_cascade.arch.ir import Architecture, Component, Engine, Memory, Operation, RegisterFile
from einsum_cascade.cost.estimate import estimate
from einsum_cascade.mapping.capacity import infeasibilities
from einsum_cascade.mapping.codec import parse_mapping
from einsum_cascade.mapping.demand import demands
from einsum_cascade.mapping.legality import violations
from einsum_cascade.mapping.workload import Workload

PRODUCT = Workload(parse("rank M, N, K\ninput A[m:M, k:K], B[k:K, n:N]\nZ[m, n] = A[m, k] * B[k, n]\noutput Z"))
EXTENTS = {"M": 4, "N": 3, "K": 5}


def machine(instances: int, capacity: int = 64) -> Architecture:
    """Pads of 64 B, each of 2 GB/s, beside the rows of four PEs; DRAM has no limit."""
    dram = Memory("dram", None, 16, None, None, True, 1, 1.0, 1.0)
    rate = Fraction(2 * 10**9)
    pad = Memory("pad", capacity, 16, rate, rate, True, instances, 3.0, 3.0)
    registers = RegisterFile(8, 16, 1.0, 1.0, 0.0)
    engine = Engine("pes", 4, 1, (Operation("mac", 1, 1, (("mac", 1),)),), registers, None, frozenset(), frozenset())
    return Architecture("pads", 10**9, 16, (dram, pad), (engine,), (Component("mac", 1.0, 0.0),))


def mapping(steps: str):
    return parse_mapping(f"name: x\nsteps: {steps}\ncompute: Z on pes")


def need(steps: str, instances: int) -> int:
    found = demands(PRODUCT, machine(instances), mapping(steps), EXTENTS)
    return next(each.amount for each in found if each.resource == ("memory", "pad"))


@pytest.mark.parametrize(
    ("steps", "instances", "bytes_each", "fills"),
    [
        # Rows of A, of 5 words: all four in one pad, two in each of two, one in each of four, and no less in eight.
        ("[keep A in pad, for m on rows]", 1, 40, 20),
        ("[keep A in pad, for m on rows]", 2, 20, 20),
        ("[keep A in pad, for m on rows]", 4, 10, 20),
        ("[keep A in pad, for m on rows]", 8, 10, 20),
        # All rows use B, of 15 words: every pad that is used has all of it.
        ("[keep B in pad, for m on rows]", 2, 30, 30),
        ("[keep B in pad, for m on rows]", 8, 30, 60),
        # Inside the loop, each row of PEs has its tile: two rows in each of two pads.
        ("[for m on rows, keep A in pad]", 2, 20, 20),
        ("[for m on rows, keep A in pad]", 4, 10, 20),
    ],
)
def test_what_an_instance_has(steps: str, instances: int, bytes_each: int, fills: int) -> None:
    assert violations(PRODUCT, machine(instances), mapping(steps), EXTENTS) == ()
    assert need(steps, instances) == bytes_each
    tensor = "B" if "keep B" in steps else "A"
    found = estimate(PRODUCT, machine(instances), mapping(steps), EXTENTS)
    assert found.accesses["pad", tensor].fills == found.accesses["dram", tensor].reads == fills


def test_the_capacity_is_that_of_one() -> None:
    """B takes 30 B in each of two pads: of 28 B each, neither has it, though both together have more."""
    steps = "[keep B in pad, for m on rows]"
    assert infeasibilities(PRODUCT, machine(2, 30), mapping(steps), EXTENTS) == ()
    (told,) = infeasibilities(PRODUCT, machine(2, 28), mapping(steps), EXTENTS)
    assert (told.demand, told.bound) == (30, 28)


@pytest.mark.parametrize(("instances", "used"), [(1, 1), (2, 2), (4, 4), (8, 4)])
def test_the_bandwidth_is_that_of_the_instances_that_are_used(instances: int, used: int) -> None:
    """Four PEs read 60 words of A from the pads, 120 B: 60 ns at one of 2 GB/s, 15 ns at the four beside them."""
    found = estimate(PRODUCT, machine(instances), mapping("[keep A in pad, for m on rows]"), EXTENTS)
    moves, task = found.phases
    assert float(task.memory_s["pad"]) == pytest.approx(120 / 2e9 / used)
    assert float(moves.memory_s["pad"]) == pytest.approx(40 / 2e9 / used)
    # One PE alone reads from one pad, however many there are.
    alone = estimate(PRODUCT, machine(instances), mapping("[keep A in pad]"), EXTENTS)
    assert float(alone.phases[1].memory_s["pad"]) == pytest.approx(120 / 2e9)


def test_the_energy_is_that_of_one() -> None:
    """20 words written and 60 read, at 3 pJ each, wherever they are."""
    for instances in (1, 2, 4):
        found = estimate(PRODUCT, machine(instances), mapping("[keep A in pad, for m on rows]"), EXTENTS)
        pads = sum(item.total_pj for item in found.energy if item.where == "pad")
        assert pads == pytest.approx(3 * (20 + 60))


def shares_of(instances, order, sizes):
    """Elements of every tensor in every pad: PEs are dealt out in the order of loops, a pad has what its PEs use."""
    pes = list(product(*(range(sizes[name]) for name in order)))
    each = -(-len(pes) // min(instances, len(pes)))
    groups = [[dict(zip(order, pe, strict=True)) for pe in pes[at : at + each]] for at in range(0, len(pes), each)]
    names = {"A": "mk", "B": "kn", "Z": "mn"}
    found = {}
    for tensor, indices in names.items():
        free = [name for name in indices if name not in order]
        rest = list(product(*(range(sizes[name]) for name in free)))
        found[tensor] = [
            len({(tuple(pe[name] for name in indices if name in order), own) for pe in group for own in rest})
            for group in groups
        ]
    return found


def test_pads_have_what_their_pes_use(seed: int) -> None:
    """Any number of pads beside PEs that one or two loops in space spread: capacity, bytes, bandwidth and energy."""
    for number in range(random_count(300)):
        random = Random(f"{seed} {number}")
        sizes = {name: random.randint(1, 4) for name in "mnk"}
        order = random.sample("mn", random.randint(1, 2))
        kept = random.sample("AB", random.randint(1, 2))
        axes = random.sample(["rows", "columns"], 2)
        loops = [f"for {name} on {axis}" for name, axis in zip(order, axes, strict=False)]
        steps = f"[keep {' '.join(kept)} in pad, {', '.join(loops)}]"
        instances, extents = random.randint(1, 17), {name.upper(): size for name, size in sizes.items()}
        pads = machine(instances)
        pads = replace(pads, engines=(replace(pads.engines[0], rows=4, columns=4),))
        shares = shares_of(instances, order, sizes)
        where = f"case {number} of seed {seed}: {extents}, {instances} pads, {steps}"
        found = demands(PRODUCT, pads, mapping(steps), extents)
        (needed,) = (each.amount for each in found if each.resource == ("memory", "pad"))
        assert needed == 2 * max(map(sum, zip(*(shares[name] for name in kept), strict=True))), where
        cost = estimate(PRODUCT, pads, mapping(steps), extents)
        fills = sum(sum(shares[name]) for name in kept)
        assert sum(cost.accesses["pad", name].fills for name in kept) == fills, where
        reads = sum(cost.accesses["pad", name].reads for name in kept)
        spent = sum(item.total_pj for item in cost.energy if item.where == "pad")
        assert spent == pytest.approx(3 * (fills + reads)), where
        moved = sum(float(phase.memory_s["pad"]) for phase in cost.phases)
        assert moved == pytest.approx(2 * (fills + reads) / 2e9 / len(shares["A"])), where
