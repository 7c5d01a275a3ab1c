"""Masks in cost: by hand, against enumeration, and against the operations that the analysis counts."""

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from random_counts import random_count

from einsum_cascade import load_architecture, parse, resolve_extents, zoo
from einsum_cascade.analysis.bounds import analyse
from einsum_cascade.analysis.symbolic import evaluate, substitute
from einsum_cascade.arch.ir import Architecture, Component, Engine, Memory, Operation, RegisterFile
from einsum_cascade.cascade.affine import affine_variable
from einsum_cascade.cascade.extent import constant
from einsum_cascade.cli import main
from einsum_cascade.cost.estimate import estimate
from einsum_cascade.mapping.codec import parse_mapping
from einsum_cascade.mapping.ir import Block, Compute, Keep, Loop, Mapping
from einsum_cascade.mapping.live import Live
from einsum_cascade.mapping.presets import load_mapping
from einsum_cascade.mapping.symbols import symbolic_values
from einsum_cascade.mapping.workload import Access, Workload


def machine(pes=4) -> Architecture:
    rate = {"read_bytes_per_s": None, "write_bytes_per_s": None, "is_shared": False, "instances": 1}
    memories = tuple(Memory(name, None, 16, **rate, read_pj=1.0, write_pj=1.0) for name in ("dram", "buffer"))
    operations = tuple(Operation(name, 1, 1, (("mac", 1),)) for name in ("mac", "+", "*", "max"))
    registers = RegisterFile(64, 16, 1.0, 1.0, 0.0)
    engine = Engine("pes", pes, pes, operations, registers, None, frozenset(), frozenset())
    return Architecture("plain", 10**9, 16, memories, (engine,), (Component("mac", 1.0, 0.0),))


CAUSAL = Workload(
    parse("rank M, P\ninput A[m:M], B[p:P]\nS[m, p] = A[m] * B[p] where m <= p\nT[p] = sum[m](S[m, p])\noutput T")
)


def test_tiles_that_a_filter_empties_cost_nothing() -> None:
    """m <= p of 8 x 8: 36 points; of the 4 tiles of 4 x 4, the one with m >= 4 > p is empty, two are full or cut."""
    text = (
        "name: x\nsteps: [keep S in buffer, for p by 4]\nbody:\n"
        "  - {steps: [for m by 4, keep A in buffer, for m on rows, for p on columns], compute: S on pes}\n"
        "  - {steps: [for p on columns, for m], compute: T on pes}\n"
    )
    found = estimate(CAUSAL, machine(), parse_mapping(text), {"M": 8, "P": 8})
    s, t = found.bounds
    assert (s.points, s.busy_cycles) == (36, 3)
    # Sums down the columns: of the first four, keys up to 3; of the others, all.
    assert (t.points, t.busy_cycles) == (36, 4 + 8)
    # The first tile of queries needs one tile of A, the second both: 12 elements, not 16.
    assert found.accesses["dram", "A"].reads == 12
    # Of more keys than any query sees, the rest is not fetched.
    more = estimate(CAUSAL, machine(), parse_mapping(text), {"M": 16, "P": 8})
    assert (more.accesses["dram", "A"].reads, more.bounds[0].busy_cycles) == (12, 3)


@pytest.mark.parametrize(("tile", "reads"), [(8, 8), (4, 4 + 6), (2, 3 * 4), (1, 6 * 2)])
def test_what_is_read_at_an_offset_is_not_shorter_for_a_mask(tile: int, reads: int) -> None:
    """X[m] and X[m - 2] for m of 2 to 7: tiles of points that are there, and the 2 elements before; of one, it and 1.

    The mask shortens a tile of points, or leaves it out, and not what the offset adds to it.
    """
    workload = Workload(parse("rank M\ninput X[m:M]\nY[m] = X[m - 2] + X[m] where m >= 2\noutput Y"))
    text = f"name: x\nsteps: [for m by {tile}, keep X in buffer, for m on rows]\ncompute: Y on pes"
    found = estimate(workload, machine(), parse_mapping(text), {"M": 8})
    assert found.accesses["dram", "X"].reads == reads


SUMS = [
    # One variable is masked: a tile of t points there needs t + 2 elements, and of one, three.
    ("X[m + k] * W[k]", "m >= 2", "m", 8, 6 + 2),
    ("X[m + k] * W[k]", "m >= 2", "m", 4, (2 + 2) + (4 + 2)),
    ("X[m + k] * W[k]", "m >= 2", "m", 1, 6 * 3),
    ("X[m + k] * W[k]", "k >= 1", "m", 8, 2 + 7),
    # Elements 2m + k of six points: 4 to 16.
    ("X[2*m + k] * W[k]", "m >= 2", "m", 8, 13),
    # Both are: m from 2 on, and of k all, as some m has each.
    ("X[m + k] * W[k]", "m + k >= 4", "m", 4, (2 + 2) + (4 + 2)),
    ("X[m + k] * W[k]", "m + k >= 4", "m", 2, 4 + 4 + 4),
    ("X[m + k] * W[k]", "m + k >= 4", "m", 1, 6 * 3),
]


@pytest.mark.parametrize(("product_", "where", "loop", "tile", "reads"), SUMS)
def test_what_an_index_of_two_variables_reads(product_: str, where: str, loop: str, tile: int, reads: int) -> None:
    """A mask shortens the range that it looks at, and not what the other variable adds to it; m of 8, k of 3."""
    cascade = f"rank M, K, N\ninput X[n:N], W[k:K]\nY[m] = sum[k]({product_}) where {where}\noutput Y"
    workload = Workload(parse(cascade))
    text = f"name: x\nsteps: [for {loop} by {tile}, keep X in buffer, for m on rows]\ncompute: Y on pes"
    found = estimate(workload, machine(), parse_mapping(text), {"M": 8, "K": 3, "N": 17})
    assert found.accesses["dram", "X"].reads == reads


def test_an_index_whose_variables_are_both_cut() -> None:
    """Two reads, m in fours from 3 and k in twos from 2: of m = 3, k = 2 elements 5 and 7; of m of 4 to 7, 6 to 11."""
    cascade = (
        "rank M, K, N\ninput X[n:N], W[k:K]\n"
        "Y[m] = sum[k](X[m + k] * W[k] + X[m + k + 2]) where k >= 2 and m >= 3\noutput Y"
    )
    text = "name: x\nsteps: [for m by 4, for k by 2, keep X in buffer, for m on rows]\ncompute: Y on pes"
    found = estimate(Workload(parse(cascade)), machine(), parse_mapping(text), {"M": 8, "K": 3, "N": 12})
    assert found.accesses["dram", "X"].reads == 2 + 6


def test_what_sums_of_two_variables_read_of_what_is_there(seed: int) -> None:
    """Tiles of m and k cut to what a mask of one or both leaves, at two places: what is fetched is what they touch."""
    for number in range(random_count(1_000)):
        rng = np.random.default_rng([seed, 41, number])
        extents = {"M": int(rng.integers(1, 12)), "K": int(rng.integers(1, 5))}
        step, shift = int(rng.integers(1, 3)), int(rng.integers(0, 3))
        tiles = {name: int(rng.integers(1, extents[name.upper()] + 1)) for name in "mk"}
        there = {name: [0, extents[name.upper()]] for name in "mk"}
        conditions = []
        for name in rng.choice(["m", "k"], int(rng.integers(1, 3)), replace=False):
            there[name] = low, high = int(rng.integers(0, extents[name.upper()])), int(rng.integers(1, 12))
            conditions.append(f"{name} >= {low} and {name} < {high}")
        cascade = (
            "rank M, K, N\ninput X[n:N], W[k:K]\n"
            f"Y[m] = sum[k](X[{step}*m + k] * W[k] + X[{step}*m + k + {shift}])"
            f" where {' and '.join(conditions)}\noutput Y"
        )
        loops = ", ".join(f"for {name} by {tiles[name]}" for name in rng.permutation(["m", "k"]))
        mapping = parse_mapping(f"name: x\nsteps: [{loops}, keep X in buffer, for m on rows]\ncompute: Y on pes")
        last = step * (extents["M"] - 1) + extents["K"] - 1 + shift
        found = estimate(Workload(parse(cascade)), machine(), mapping, {**extents, "N": last + 1})
        cut = {
            name: [
                range(max(at, low), min(at + tiles[name], extents[name.upper()], high))
                for at in range(0, extents[name.upper()], tiles[name])
            ]
            for name, (low, high) in there.items()
        }
        fetched = sum(
            len({step * m + k + s for m in ms for k in ks for s in (0, shift)}) for ms in cut["m"] for ks in cut["k"]
        )
        where = f"case {number} of seed {seed}: {cascade} {extents} {loops}"
        assert found.accesses["dram", "X"].reads == fetched, where


@pytest.mark.parametrize(("tile", "reads"), [(8, 6 * 8), (2, 3 * 2 * 8)])
def test_a_distance_in_another_range_is_shortened_alike(tile: int, reads: int) -> None:
    """Elements h and h + 4 of the positions that a mask of m leaves, 8 of each: it shortens both reads."""
    cascade = "rank M, H\nrank D >= 2*H\ninput X[m:M, d:D]\nY[m, h] = X[m, h] - X[m, h + H] where m >= 2\noutput Y"
    workload = Workload(parse(cascade))
    text = f"name: x\nsteps: [for m by {tile}, keep X in buffer, for m on rows]\ncompute: Y on pes"
    found = estimate(workload, machine(), parse_mapping(text), {"M": 8, "H": 4, "D": 8})
    assert found.accesses["dram", "X"].reads == reads


def test_lengths_of_heads() -> None:
    """Heads of 1, 4 and 6 of 8 keys in tiles of 2: 1, 2 and 3 tiles. Without the lengths, all are taken."""
    text = "rank B, M\ninput X[b:B, m:M], LEN[b:B]\nY[b] = sum[m](X[b, m]) where m < LEN[b]\noutput Y"
    workload = Workload(parse(text))
    mapping = parse_mapping("name: x\nsteps: [for b, for m by 2, keep X in buffer, for m on rows]\ncompute: Y on pes")
    extents, lengths = {"B": 3, "M": 8}, {"LEN": np.array([1, 4, 6])}
    found = estimate(workload, machine(), mapping, extents, 1, lengths)
    (bound,) = found.bounds
    # Of the only tile of the first head, one key is fetched: the last that it uses.
    assert (bound.points, bound.steps, found.accesses["dram", "X"].reads) == (11, 6, 11)
    assert estimate(workload, machine(), mapping, extents).bounds[0].steps == 12


def test_iterations_further_in_than_a_loop_in_space_are_none_the_fewer() -> None:
    """Two rows of PEs have keys 0 to 3 and 4 to 7, in 4 steps that are one tile: as some key is below 2, all are taken.

    In tiles of 4 in time around two rows of 2, the second tile has none, and its 2 steps are left out.
    """
    text = "rank M, P\ninput X[m:M], Z[p:P]\nY[p] = sum[m](X[m] * Z[p]) where m < 2\noutput Y"
    workload = Workload(parse(text))
    mapping = parse_mapping("name: x\nsteps: [for m by 4 on rows]\ncompute: Y on pes")
    found = estimate(workload, machine(), mapping, {"M": 8, "P": 1})
    assert (found.bounds[0].points, found.bounds[0].steps) == (2, 4)
    inside = parse_mapping("name: x\nsteps: [for m by 4, for m by 2 on rows]\ncompute: Y on pes")
    assert estimate(workload, machine(), inside, {"M": 8, "P": 1}).bounds[0].steps == 2


COMPARISONS = {
    "m <= p": lambda m, p, b, n, e: m <= p,
    "m > p - 3": lambda m, p, b, n, e: m > p - 3,
    "m + 1 < LEN[b]": lambda m, p, b, n, e: m + 1 < n[b],
    "2*m >= p": lambda m, p, b, n, e: 2 * m >= p,
    "m + p != 4": lambda m, p, b, n, e: m + p != 4,
    "p == 2": lambda m, p, b, n, e: p == 2,
    "2*m < 3*p + 1": lambda m, p, b, n, e: 2 * m < 3 * p + 1,
    "3*p <= 2*m + 1": lambda m, p, b, n, e: 3 * p <= 2 * m + 1,
    "2*m - 2*p > 1": lambda m, p, b, n, e: 2 * m - 2 * p > 1,
    "m < M - 2": lambda m, p, b, n, e: m < e["M"] - 2,
    "m + 2*M > 9 + p": lambda m, p, b, n, e: m + 2 * e["M"] > 9 + p,
}


def drawn(rng):
    names = [str(name) for name in rng.choice(list(COMPARISONS), int(rng.integers(1, 4)), replace=False)]
    joins = [str(rng.choice(["and", "or"])) for _ in names[1:]]
    text, chosen = names[0], COMPARISONS[names[0]]
    for name, join in zip(names[1:], joins, strict=True):
        text = f"({text}) {join} {name}"
        own, before = COMPARISONS[name], chosen
        chosen = (
            (lambda a, b: lambda *at: a(*at) and b(*at))(before, own)
            if join == "and"
            else (lambda a, b: lambda *at: a(*at) or b(*at))(before, own)
        )
    if rng.random() < 0.3:
        text, chosen = f"not ({text})", (lambda a: lambda *at: not a(*at))(chosen)
    return text, chosen


def reading(*variables: str) -> Access:
    return Access("X", tuple(map(affine_variable, variables)))


def test_points_and_iterations_are_those_that_are_there(seed: int) -> None:
    """Filters of up to three comparisons, parallel or not: points, tiles and what is fetched exactly."""
    for number in range(random_count(400)):
        rng = np.random.default_rng([seed, 19, number])
        text, holds = drawn(rng)
        extents = {name: int(rng.integers(1, 9)) for name in "BMP"}
        lengths = rng.integers(0, 10, extents["B"])
        cascade = (
            "rank B, M, P\ninput X[b:B, m:M, p:P], LEN[b:B]\n"
            f"S[b, m, p] = X[b, m, p] * 2 where {text}\nT[b, p] = max[m](S[b, m, p])\noutput T"
        )
        if "LEN" not in text:
            cascade = cascade.replace(", LEN[b:B]", "")
        workload = Workload(parse(cascade))
        loops = [Loop(v, constant(int(rng.integers(1, extents[v.upper()] + 1)))) for v in "bmp" if rng.random() < 0.8]
        rng.shuffle(loops)
        live = Live(workload, extents, {"LEN": lengths})
        axes = {name: range(extents[name.upper()]) for name in "bmp"}
        points = [(b, m, p) for b, m, p in product(*axes.values()) if holds(m, p, b, lengths, extents)]
        where = f"case {number} of seed {seed}: {text}, {extents}, {lengths}, {list(map(str, loops))}"
        for task in ("S", "T"):
            assert live.points(task) * extents["B"] * extents["M"] * extents["P"] == len(points), where
        tiles = {loop.variable: loop.tile.evaluate({}) for loop in loops}
        seen = {tuple(at["bmp".index(v)] // tiles[v] for v in tiles) for at in points}
        count = np.prod([-(-extents[v.upper()] // tiles[v]) for v in tiles], dtype=int)
        left = live.share(("S",), loops) * int(count)
        assert left == len(seen), where
        # Of what keys index, a level that keeps all of it gets what is between the first and the last that is used.
        keys = sorted({m for _, m, _ in points})
        width = keys[-1] - keys[0] + 1 if keys else 0
        fetched = live.share(("S",), (), (reading("m"),)) * extents["M"]
        assert fetched == width, where
        # Of what heads index, too, each with a length of its own gets its own.
        own = [[m for b, m, _ in points if b == head] for head in axes["b"]]
        widths = [max(each) - min(each) + 1 if each else 0 for each in own] if "LEN" in text else [width] * len(own)
        fetched = live.share(("S",), (), (reading("b", "m"),)) * extents["B"] * extents["M"]
        assert fetched == sum(widths), where


@pytest.mark.parametrize("mask", ["causal", "window"])
def test_operations_are_those_of_the_analysis(mask: str) -> None:
    """Points of the Einsums that a filter reaches, by the analysis's closed forms and by the cost engine."""
    cascade = zoo.load(f"attention-1pass-{mask}")
    extents = resolve_extents(
        cascade, {"E": 3, "F": 5, "M": 37, "P": 23, "M0": 4} | ({"W": 9} if mask == "window" else {})
    )
    workload = Workload(cascade)
    found = estimate(workload, load_architecture("fusemax-4x4"), load_mapping("array"), extents | {"PE": 4})
    counts = {(count.tensor, count.operator): count for count in analyse(cascade).operations}
    points = {bound.task: bound.points for bound in found.bounds}
    for task, operator in (("BQK", "*"), ("LM", "max"), ("SLN", "exp"), ("SLD", "+"), ("SLNV", "*")):
        assert points[task] == evaluate(counts[task, operator].count, extents)


def test_formulas_of_masked_tasks() -> None:
    """Every share that a mask leaves is a symbol, and a number beside numbers."""
    cascade = zoo.load("attention-1pass-causal")
    workload, mapping, architecture = Workload(cascade), load_mapping("binding"), load_architecture("fusemax-cloud")
    extents = resolve_extents(cascade, {"E": 8, "F": 8, "M": 700, "P": 900, "M0": 256}) | {"PE": 256, "P1": 2}
    formula = estimate(workload, architecture, mapping, symbolic_values(workload, mapping))
    alone = estimate(workload, architecture, mapping, extents)
    assert formula.kept.keys() == alone.kept.keys()
    known = extents | dict(alone.kept) | dict(alone.fills)
    assert float(substitute(formula.energy_pj, known)) == pytest.approx(float(alone.energy_pj), rel=1e-6)
    assert float(substitute(formula.latency_s, known)) == pytest.approx(float(alone.latency_s), rel=1e-6)


def test_candidates_of_masked_tasks() -> None:
    mapping = Mapping(
        "x",
        Block(
            (Loop("p", constant(3)), Loop("m", constant(2)), Keep("buffer", ("A",)), Keep("buffer", ("S",))),
            (Compute("S", "pes"), Compute("T", "pes")),
        ),
    )
    sizes = np.arange(1, 9)
    many = estimate(CAUSAL, machine(), mapping, {"M": sizes, "P": 7})
    alone = [estimate(CAUSAL, machine(), mapping, {"M": int(size), "P": 7}) for size in sizes]
    assert many.cycles.tolist() == [each.cycles for each in alone]
    assert many.accesses["dram", "A"].reads.tolist() == [each.accesses["dram", "A"].reads for each in alone]


def test_nothing_is_left_to_do(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A filter that no point passes: no operation, no byte, no time, and a sentence."""
    cascade, mapping = tmp_path / "none.cascade", tmp_path / "none.yaml"
    cascade.write_text("rank M, P\ninput A[m:M], B[p:P]\nS[m, p] = A[m] * B[p] where m > p + 100\noutput S\n")
    mapping.write_text("name: none\nsteps: [for m by 2, for p]\nbody: [S on 1d]\n")
    arguments = ["cost", str(cascade), "--arch", "fusemax-16x16", "--mapping", str(mapping), "--set", "M=4,P=4"]
    with pytest.raises(SystemExit):
        main(arguments)
    assert "takes no time" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--explain", "--json"])
    assert ended.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["cycles"], found["latency_s"], found["energy_pj"], found["traffic_bytes"]) == (0, 0, 0, 0)
    assert found["utilisation"] == {"2d": 0, "1d": 0}
    assert found["reason"].startswith("takes no time")


@pytest.mark.parametrize(("tile", "reads"), [(4, 4), (6, 6), (3, 6), (1, 4)])
def test_what_pes_read_of_tiles_that_are_there(tile: int, reads: int) -> None:
    """Of m below 4 of 6: tiles of 4 are 0 to 3 and 4 to 5, and the first is read; a tile that is cut is read whole."""
    workload = Workload(parse("rank M\ninput V[m:M]\nY[m] = exp(V[m]) where m + 2 < M\noutput Y"))
    engine = Engine(
        "pes", 1, 6, (Operation("exp", 1, 1, ()),), machine().engines[0].registers, None, frozenset(), frozenset()
    )
    mapping = parse_mapping(f"name: x\nsteps: [for m by {tile}, for m on columns]\ncompute: Y on pes")
    found = estimate(workload, replace(machine(), engines=(engine,)), mapping, {"M": 6})
    assert found.accesses["dram", "V"].reads == reads


def test_a_reduction_over_nothing_makes_an_element() -> None:
    """Y[p] of keys below p, of which query 0 has none: all 4 are written, as all are with an `else`; without one, 2."""
    mapping = parse_mapping("name: x\nsteps: [for p, for m]\ncompute: Y on pes")
    for filter_, written in (("m < p", 4), ("m < p and p < 2", 2)):
        text = f"rank M, P\ninput X[m:M, p:P]\nY[p] = max[m](X[m, p]) where {filter_}\noutput Y"
        kept = parse_mapping("name: x\nsteps: [keep Y in buffer, for p, for m]\ncompute: Y on pes")
        found = estimate(Workload(parse(text)), machine(), kept, {"M": 4, "P": 4})
        assert found.accesses["dram", "Y"].updates == written
    assert estimate(Workload(parse(text)), machine(), mapping, {"M": 4, "P": 4}).accesses["dram", "Y"].updates >= 2
