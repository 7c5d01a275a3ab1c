"""The published table, and the rules that go beyond it (FuseMax, arXiv 2406.10491, 45 nm)."""

import math

import pytest

from einsum_cascade.arch.codec import parse_architecture
from einsum_cascade.arch.components import (
    PUBLISHED_COMPONENTS,
    PUBLISHED_MEMORIES,
    REGISTER_FILE_DEPTHS,
    register_file_area_um2,
    register_file_energies,
    scaled_memory,
)

# Energy of a read and of a write per word, by depth: 4 and 16 are FLAT's 2D and 1D arrays, 12 and 32 FuseMax's.
REGISTER_FILES = {
    4: (2.182395, 1.894395),
    12: (2.190435, 1.902435),
    16: (2.190435, 1.902435),
    32: (2.194455, 1.906455),
}


def test_components_are_the_published_ones() -> None:
    figures = {name: (it.energy_pj, it.area_um2) for name, it in PUBLISHED_COMPONENTS.items()}
    assert figures == {
        "mac": (17.1645, 1545.0),
        "add": (8.3395, 0.0),
        "max": (0.028036, 49.29),
        "divide": (36.251153, 23740.94),
        "exp": (94.6475, 8240.0),
    }
    assert all("arXiv 2406.10491" in it.source for it in PUBLISHED_COMPONENTS.values())


@pytest.mark.parametrize("depth", REGISTER_FILE_DEPTHS)
def test_published_register_files_lie_on_the_line(depth: int) -> None:
    energies = register_file_energies(depth)
    assert (energies.read_pj, energies.write_pj) == REGISTER_FILES[depth]
    assert "not published" not in energies.source


def test_other_register_files_say_so() -> None:
    # 259 words have 9 address bits, 7 more than 4 words: 2.182395 + 7 * 0.00402.
    energies = register_file_energies(259)
    assert energies.read_pj == pytest.approx(2.210535, abs=1e-9)
    assert energies.source.startswith("not published: extended from 4 to 32 words")
    assert "not published" in register_file_energies(8).source
    assert "not published" in register_file_energies(2).source


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 12, 63, 64, 65, 128, 259])
def test_area_formula(depth: int) -> None:
    published = (5.98 * 32 + 71) * max(64, depth) + 2 * 5.81742 * math.ceil(math.log2(depth))
    assert register_file_area_um2(depth) == pytest.approx(published, rel=1e-15)


def test_register_file_without_words() -> None:
    with pytest.raises(ValueError, match=r"^a register file must have at least one word, not 0$"):
        register_file_area_um2(0)


def test_scaling_rule() -> None:
    # An eighth of the bits over a side sqrt(32) shorter; at the reference itself nothing changes.
    reference = PUBLISHED_MEMORIES["sram-16MiB-4096b"].energies
    assert scaled_memory(16 << 20, 4096).read_pj == reference.read_pj
    edge = scaled_memory(512 << 10, 512)
    assert edge.write_pj == pytest.approx(reference.write_pj / 8 / math.sqrt(32), rel=1e-14)
    assert edge.source.startswith("not published: scaled from 16 MiB with rows of 4096 b")


@pytest.mark.parametrize("name", PUBLISHED_MEMORIES)
def test_a_published_memory_is_asked_for_by_name(name: str) -> None:
    """By name, and by `published` where it has the capacity and the width: the same figures."""
    memory = PUBLISHED_MEMORIES[name]
    capacity = "unlimited" if memory.capacity_bytes is None else f"{memory.capacity_bytes >> 20} MiB"
    text = (
        f"name: x\nclock: 1 GHz\nword: 16 b\nmemories:\n"
        f"  m: {{capacity: {capacity}, access: {memory.access_bits} b, bandwidth: unlimited, energy: NAME}}\n"
        "engines:\n  1d:\n    rows: 1\n    columns: 1\n"
        "    registers: {words: 4, word: 16 b, energy: published, area: published}\n"
        "    operations: {mac: {interval_cycles: 1, latency_cycles: 1, components: {mac: 1}}}\n"
        "components: {mac: published}\n"
    )
    for word in (name, "published"):
        (found,) = parse_architecture(text.replace("NAME", word)).memories
        assert (found.read_pj, found.write_pj) == (memory.energies.read_pj, memory.energies.write_pj)
