"""Figures of CACTI; those that run it are collected in `make test-all` and `make nightly`, which install it."""

import sys
from fractions import Fraction
from types import SimpleNamespace

import pytest
from random_counts import mode

from einsum_cascade.arch.components import PUBLISHED_MEMORIES, scaled_memory
from einsum_cascade.arch.presets import load_architecture
from einsum_cascade.arch.sram import banks_for, sram, with_sram
from einsum_cascade.errors import ToolFailedError, ToolMissingError

MIB = 1 << 20


def test_missing_tool_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    sram.cache_clear()
    monkeypatch.setitem(sys.modules, "hwcomponents_cacti", None)
    with pytest.raises(
        ToolMissingError, match=r"^hwcomponents-cacti must be installed: make setup-sram \(or: pip install"
    ):
        sram(16 * MIB, 4096)


def test_failing_tool_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("CACTI failed with exit code 127")

    sram.cache_clear()
    monkeypatch.setitem(sys.modules, "hwcomponents_cacti", SimpleNamespace(SRAM=fail))
    with pytest.raises(
        ToolFailedError, match=r"(?s)^'cacti' must end with .*CACTI failed .*make setup-sram .* builds it"
    ):
        sram(16 * MIB, 4096)


@pytest.mark.parametrize(
    ("arguments", "options", "sentence"),
    [
        ((16 * MIB, 4096), {"node_nm": 16}, r"^the node of an SRAM must be from 22 to 90 nm, not 16 nm$"),
        ((16 * MIB, 4096), {"node_nm": 130}, r"^the node of an SRAM must be from 22 to 90 nm, not 130 nm$"),
        ((16 * MIB, 4096), {"banks": 3}, r"^the banks of an SRAM must be a power of two up to 1024, not 3$"),
        ((16 * MIB, 16), {}, r"^the rows of an SRAM must be of whole bytes and at least 32 b, not 16 b$"),
        (
            (1000, 4096),
            {},
            r"^an SRAM must hold whole rows of 4096 b, at least 64 in each of its 1 banks \(32768 B\), un",
        ),
    ],
)
def test_memories_that_have_no_model(arguments: tuple[int, int], options: dict[str, int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        sram(*arguments, **options)


def test_only_levels_of_limited_capacity() -> None:
    for name in ("dram", "l2"):
        with pytest.raises(ValueError, match=rf"^memory '{name}' must be a level of limited capacity of .*: 'buffer'$"):
            with_sram(load_architecture("fusemax-cloud"), name)


if mode() != "quick":

    def test_published_energy_is_that_of_one_bank() -> None:
        # FuseMax's table has 12512.76 and 15751.46 pJ for 16 MiB, 23854.66 and 27097.56 for 32 MiB.
        for memory in PUBLISHED_MEMORIES.values():
            if memory.capacity_bytes is not None:
                figures = sram(memory.capacity_bytes, memory.access_bits)
                assert figures.read_pj == pytest.approx(memory.energies.read_pj, rel=1e-5)
                assert figures.write_pj == pytest.approx(memory.energies.write_pj, rel=1e-5)

    def test_sixteen_banks_deliver_what_the_array_asks_for() -> None:
        # Two rows a cycle at 940 MHz are more than 16 banks have, one row is less.
        one, sixteen = sram(16 * MIB, 4096), sram(16 * MIB, 4096, banks=16)
        assert one.accesses_per_s == pytest.approx(34e6, rel=0.01)
        assert sixteen.accesses_per_s == pytest.approx(1.6e9, rel=0.02)
        assert (sixteen.read_pj, sixteen.write_pj) == pytest.approx((19650, 21580), rel=1e-3)
        assert banks_for(16 * MIB, 4096, 940e6) == 16
        with pytest.raises(ValueError, match=r"^an SRAM of 16777216 B with rows of 4096 b must be accessed at most"):
            banks_for(16 * MIB, 4096, 1e12)

    def test_architecture_with_banks() -> None:
        machine = load_architecture("fusemax-cloud")
        banked = with_sram(machine, "buffer", banks=16).memory("buffer")
        figures = sram(16 * MIB, 4096, banks=16)
        assert banked is not None
        assert (banked.read_pj, banked.area_um2, banked.source) == (figures.read_pj, figures.area_um2, figures.source)
        assert banked.read_bytes_per_s == Fraction(round(figures.accesses_per_s)) * 512
        # A bandwidth that the banks have is kept: 1 GB/s of 17 GB/s.
        slow = load_architecture("fusemax-256x256")
        assert (
            with_sram(slow, "buffer", banks=1).memory("buffer").read_bytes_per_s
            < slow.memory("buffer").read_bytes_per_s
        )

    def test_nodes_are_in_order() -> None:
        # The ends are in the range: 90e-9 * 1e9 is above 90 in floating point.
        areas = [sram(MIB // 2, 512, node_nm=node).area_um2 for node in (22, 28, 32, 45, 65, 90)]
        reads = [sram(MIB // 2, 512, node_nm=node).read_pj for node in (22, 28, 32, 45, 65, 90)]
        assert areas == sorted(areas)
        assert reads == sorted(reads)

    @pytest.mark.parametrize(
        ("capacity", "bits", "low", "high"),
        [(MIB // 2, 512, 0.96, 1.01), (MIB, 1024, 0.96, 1.01), (8 * MIB, 2048, 0.96, 0.98), (32 * MIB, 4096, 1.3, 1.4)],
    )
    def test_scaled_energies_are_near(capacity: int, bits: int, low: float, high: float) -> None:
        # What docs/machines.md says of the rule.
        assert low <= sram(capacity, bits).read_pj / scaled_memory(capacity, bits).read_pj <= high
