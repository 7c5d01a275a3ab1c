"""Many mappings at once: each candidate of an array costs what it costs alone."""

from dataclasses import replace

import numpy as np
import pytest
from random_counts import random_count
from random_mappings import CASES, random_architecture, random_extents, random_mapping, with_parameters

from einsum_cascade import load_architecture, parse, resolve_extents, zoo
from einsum_cascade.cascade.extent import symbol
from einsum_cascade.cost.accesses import count_accesses
from einsum_cascade.cost.estimate import estimate
from einsum_cascade.mapper.many import estimate_many
from einsum_cascade.mapping.binding import bound_tasks
from einsum_cascade.mapping.ir import Block, Compute, Keep, Loop, Mapping
from einsum_cascade.mapping.presets import load_mapping
from einsum_cascade.mapping.residency import sites_of
from einsum_cascade.mapping.workload import Workload

CANDIDATES = 7
KINDS = ("fills", "reads", "updates", "drains")


def numbers(workload, architecture, mapping, values):
    table = count_accesses(workload, architecture, sites_of(workload, architecture, mapping), values)
    found = {(*key, kind): getattr(entry, kind) for key, entry in table.items() for kind in KINDS}
    bounds = bound_tasks(workload, architecture, mapping.root, values)
    return found | {bound.task: bound.busy_cycles for bound in bounds}


@pytest.mark.parametrize("name", CASES)
def test_arrays_count_what_each_candidate_does(name: str, seed: int) -> None:
    """Tiles of any size in any order, so that some candidates have edges where others have none."""
    case, workload = CASES[name], Workload(parse(CASES[name].text))
    for number in range(random_count(100)):
        rng = np.random.default_rng([seed, 63, number])
        extents, architecture = random_extents(rng, case), random_architecture(rng)
        names: list[str] = []
        mapping = random_mapping(rng, case, extents)
        mapping = replace(mapping, root=with_parameters(rng, mapping.root, names))
        tiles = {name: rng.integers(1, 9, CANDIDATES) for name in names}
        together = numbers(workload, architecture, mapping, {**extents, **tiles})
        for at in range(CANDIDATES):
            own = {name: int(sizes[at]) for name, sizes in tiles.items()}
            alone = numbers(workload, architecture, mapping, {**extents, **own})
            taken = {key: int(np.broadcast_to(value, CANDIDATES)[at]) for key, value in together.items()}
            assert taken == alone, f"case {number} of seed {seed}: {own} of {extents}\n{mapping}"


@pytest.fixture
def softmax():
    """The maximum of every row, in tiles of rows whose number is a parameter, on FuseMax."""
    workload = Workload(parse("rank M, P\ninput X[m:M, p:P]\nG[p] = max[m](X[m, p])\noutput G"))
    steps = (Loop("p", symbol("T")), Keep("buffer", ("X",)), Loop("p", axis="columns"))
    mapping = Mapping("tiles", Block(steps, (Compute("G", "1d"),)), (("T", 256),))
    return workload, load_architecture("fusemax-cloud"), mapping


@pytest.mark.parametrize("chunk", [1, 3, 10, 100])
def test_chunks_are_put_together(softmax, chunk) -> None:
    """10 candidates in chunks that do and do not divide them."""
    extents = {"M": 100, "P": 1000, "T": np.arange(1, 20, 2)}
    whole, found = estimate(*softmax, extents, 3), estimate_many(*softmax, extents, 3, chunk)
    np.testing.assert_array_equal(found.latency_s, whole.latency_s)
    np.testing.assert_array_equal(found.cycles, whole.cycles)
    np.testing.assert_array_equal(found.energy_pj, np.broadcast_to(whole.energy_pj, 10))
    for memory, traffic in found.traffic_bytes.items():
        np.testing.assert_array_equal(traffic, np.broadcast_to(whole.traffic_bytes[memory], 10))


def test_cycles_by_hand(softmax) -> None:
    """1000 rows in tiles of T, side by side on the columns: ceil(1000 / T) times 100 maxima."""
    found = estimate_many(*softmax, {"M": 100, "P": 1000, "T": np.array([1, 3, 250, 256])})
    assert found.cycles.tolist() == [100_000, 33_400, 400, 400]


@pytest.mark.parametrize(
    ("tiles", "shapes"),
    [(4, "{}"), (np.ones((2, 2), int), r"\{'T': \(2, 2\)\}"), (np.array(3), r"\{'T': \(\)\}")],
)
def test_other_shapes_are_refused(softmax, tiles, shapes) -> None:
    sentence = rf"^Extents must hold arrays of one dimension and the same length, not of shapes {shapes}$"
    with pytest.raises(ValueError, match=sentence):
        estimate_many(*softmax, {"M": 100, "P": 1000, "T": tiles})


def test_attention_takes_arrays() -> None:
    """Generations, tails and several engines: one query tile size after the other."""
    workload, architecture = Workload(zoo.load("attention-1pass")), load_architecture("fusemax-16x16")
    extents = resolve_extents(workload.cascade, {"E": 8, "F": 5, "M": 100, "P": 77, "M0": 16})
    steps = (Loop("p", symbol("T")), Keep("buffer", ("Q", "RM", "RD", "RNV")), Loop("m1"))
    body = tuple(
        Block((Loop("p", axis="columns"),), (Compute(task.name, "2d" if "m0" in task.variables else "1d"),))
        for task in workload.tasks
    )
    mapping = Mapping("tiles", Block(steps, body, "overlap"), (("T", 16),))
    tiles = np.arange(1, 17)
    found = estimate_many(workload, architecture, mapping, {**extents, "T": tiles}, chunk=5)
    alone = [estimate(workload, architecture, mapping, {**extents, "T": int(tile)}) for tile in tiles]
    assert found.cycles.tolist() == [cost.cycles for cost in alone]
    assert found.latency_s.tolist() == [cost.latency_s for cost in alone]
    assert found.energy_pj == pytest.approx([cost.energy_pj for cost in alone], rel=1e-14)


@pytest.mark.parametrize("name", ["binding", "architecture"])
def test_stages_take_arrays(name: str) -> None:
    """Tilings of FuseMax's machine, whose stages work on tiles that are 1 to 20 tiles apart: all as one by one."""
    workload, architecture = Workload(zoo.load("attention-1pass")), load_architecture("fusemax-cloud")
    extents = resolve_extents(workload.cascade, {"E": 8, "F": 5, "M": 700, "P": 900, "M0": 256})
    rng = np.random.default_rng(5)
    tilings = {"PE": rng.integers(1, 257, 60), "P1": rng.integers(1, 21, 60)}
    mapping = load_mapping(name)
    found = estimate_many(workload, architecture, mapping, {**extents, **tilings}, chunk=25)
    one = [{key: int(value[at]) for key, value in tilings.items()} for at in range(60)]
    alone = [estimate(workload, architecture, mapping, {**extents, **own}) for own in one]
    assert found.cycles.tolist() == [cost.cycles for cost in alone]
    assert found.latency_s == pytest.approx([float(cost.latency_s) for cost in alone], rel=1e-12)
