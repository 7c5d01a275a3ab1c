"""The rules of the evaluation against the general engine on the preset mappings: two derivations, one number.

Traffic, latency and utilisation of every row, all models and lengths, T5 and XLM included.
"""

from dataclasses import replace

import pytest

from einsum_cascade import resolve_extents, zoo
from einsum_cascade.arch.presets import load_architecture
from einsum_cascade.mapper.planning import plan_mapping
from einsum_cascade.mapping.presets import load_mapping
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.reproduction import QUIRKS, reproduce_fusemax
from einsum_cascade.reproduction.accounting import published_figures
from einsum_cascade.reproduction.configurations import CONFIGURATIONS, extents_of, workload_of


@pytest.fixture(scope="module")
def rows():
    """FLAT's cascade with its real plan, and Unfused's with its real tiles: what a general engine would choose."""
    found = reproduce_fusemax(QUIRKS.keys() - {"small-tile", "small-plan", "serial-exponential"})
    return {(row.configuration, row.model, row.seq): row for row in found.attention}


def plan(name: str, model: str, seq: str):
    configuration = CONFIGURATIONS[name]
    case = workload_of(model, seq)
    workload = Workload(zoo.load(configuration.cascade))
    settings = {rank: n for rank, n in extents_of(case, 256).items() if rank in workload.cascade.free_ranks}
    extents = resolve_extents(workload.cascade, settings)
    machine = load_architecture(configuration.architecture)
    return published_figures(workload, machine, [load_mapping(m) for m in configuration.mappings], extents, case.heads)


@pytest.mark.parametrize("seq", ["1K", "4K", "16K", "64K", "256K", "1M"])
@pytest.mark.parametrize("model", ["BERT", "TrXL", "T5", "XLM"])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_rules_and_engine_agree(rows, name: str, model: str, seq: str) -> None:
    row, found = rows[name, model, seq], plan(name, model, seq)
    assert found.traffic_bytes == pytest.approx(row.traffic_bytes, rel=1e-9)
    assert found.latency_s == pytest.approx(row.latency_s, rel=1e-9)
    assert found.utilisation["2d"] == pytest.approx(row.util_2d, rel=1e-9)
    assert found.utilisation["1d"] == pytest.approx(row.util_1d, rel=1e-9)


def test_the_engine_counts_lengths_that_tiles_do_not_divide() -> None:
    """1,000 keys in tiles of 256: 3 whole ones and one of 232, so 4 x 64 cycles of QK, but 232 rows of it at work."""
    workload = Workload(zoo.load("attention-1pass"))
    extents = resolve_extents(workload.cascade, {"E": 64, "F": 64, "M": 1000, "P": 700, "M0": 256})
    found = plan_mapping(workload, load_architecture("fusemax-cloud"), [load_mapping("binding")], extents).estimate
    scores = next(bound for bound in found.bounds if bound.task == "BQK")
    assert (scores.points, scores.busy_cycles) == (1000 * 700 * 64, 4 * 3 * 64)
    assert found.accesses["dram", "K"].reads == 64 * 1000
    assert found.accesses["dram", "AV"].updates == 64 * 700


def test_running_state_in_more_bits_moves_more() -> None:
    workload = Workload(zoo.load("attention-1pass"))
    extents = resolve_extents(workload.cascade, {"E": 64, "F": 64, "M": 1024, "P": 1024, "M0": 256})
    machine, mapping = load_architecture("fusemax-cloud"), load_mapping("binding")
    wide = replace(mapping, word_bits=tuple((name, 32) for name in ("RM", "RD", "RNV")))
    narrow, more = (plan_mapping(workload, machine, [m], extents).estimate for m in (mapping, wide))
    assert more.energy_pj > narrow.energy_pj
    assert more.latency_s == narrow.latency_s
