"""The mappings that AccelForge 1.0.467 finds for matrix products, and what its model says of them.

`make peers-accelforge` runs AccelForge itself; here are two of its mappings and what it found.
"""

import re
from pathlib import Path

import pytest
from simple_machine import estimated_simple

PAGE = Path(__file__).parents[2] / "docs/peers.md"
BUFFER_BITS = 65536 * 8
OF_64 = (
    ("keep", "GlobalBuffer", ["T0"]),
    ("loop", "n1", 1),
    ("keep", "GlobalBuffer", ["W0"]),
    ("loop", "m", 1),
    ("keep", "GlobalBuffer", ["T1"]),
    ("loop", "n0", 1),
)
OF_1024 = (
    ("loop", "m", 256),
    ("loop", "n1", 128),
    ("keep", "GlobalBuffer", ["T1"]),
    ("loop", "n0", 1),
    ("keep", "GlobalBuffer", ["T0"]),
    ("loop", "n1", 1),
    ("keep", "GlobalBuffer", ["W0"]),
    ("loop", "m", 1),
)


@pytest.mark.parametrize(
    ("size", "steps", "energy", "moved"),
    [
        # Per multiply-add the buffer reads T0, W0 and T1 and writes T1, 8 bits each, and the multiply-add takes 1: 33
        # per point. A word of DRAM takes 80 and a write or read of the buffer 8; T0, W0, T1 move once: 264 per element.
        # The first read of a sum is left out: 8 per element less. 33 * 64^3 + (264 - 8) * 64^2 = 9,699,328.
        (64, OF_64, 9_699_328, {"T0": 1, "W0": 1, "T1": 1}),
        # T0 moves 1024 / 128 = 8 times, W0 4 times: 33 * 1024^3 + (13 * 88 - 8) * 1024^2 = 36,624,662,528.
        (1024, OF_1024, 36_624_662_528, {"T0": 8, "W0": 4, "T1": 1}),
    ],
)
def test_energy_and_dram_actions(size, steps, energy, moved) -> None:
    found = estimated_simple(size, size, 10, BUFFER_BITS, steps)
    assert found.energy_pj == energy
    assert found.cycles == size**3
    dram = {tensor: entry for (level, tensor), entry in found.accesses.items() if level == "dram"}
    assert {tensor: (entry.read + entry.written) // size**2 for tensor, entry in dram.items()} == moved


def test_the_page_has_these_numbers() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for energy in ("9,699,328", "36,624,662,528"):
        assert re.search(rf"\| energy \| {energy} \| {energy} \|", text)
