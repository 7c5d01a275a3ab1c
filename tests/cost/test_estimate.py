"""Costs of a small matrix product, derived by hand."""

from fractions import Fraction

import numpy as np
import pytest

from einsum_cascade import parse
from einsum_cascade.arch.ir import Architecture, Component, Engine, Memory, Operation, RegisterFile
from einsum_cascade.cost.accesses import Accesses
from einsum_cascade.cost.estimate import estimate
from einsum_cascade.errors import InfeasibleMappingError, MappingError
from einsum_cascade.mapper.planning import plan_mapping
from einsum_cascade.mapping.codec import parse_mapping
from einsum_cascade.mapping.workload import Workload

PRODUCT = Workload(parse("rank M, N, K\ninput A[m:M, k:K], B[k:K, n:N]\nZ[m, n] = A[m, k] * B[k, n]\noutput Z"))
TILES = parse_mapping("""
name: output-stationary
parameters: {T: 2}
steps: [for m by T, for n by T]
body:
  - {steps: [for m on rows, for n on columns, keep Z in pes, for k], compute: Z on pes}
""")


def machine(links=("broadcast",), bandwidth=None, capacity=None):
    """Four PEs at 1 GHz with words of 16 bits; DRAM moves 4 words an access at 10 pJ, registers take 1 and 2 pJ."""
    rate = None if bandwidth is None else Fraction(bandwidth)
    dram = Memory("dram", capacity, 64, rate, rate, True, 1, 10.0, 10.0)
    mac = Operation("mac", 1, 1, (("mac", 1),))
    engine = Engine("pes", 2, 2, (mac,), RegisterFile(8, 16, 1.0, 2.0, 0.0), None, frozenset(links), frozenset(links))
    return Architecture("small", 10**9, 16, (dram,), (engine,), (Component("mac", 5.0, 0.0),))


FOUR = {"M": 4, "N": 4, "K": 4}


def test_by_hand() -> None:
    """Four tiles of 2 x 2, 4 steps each: a row of A and a column of B serve two PEs, Z is added up in the PEs."""
    found = estimate(PRODUCT, machine(), TILES, FOUR)
    assert found.accesses["dram", "A"] == Accesses(reads=4 * 2 * 4)
    assert found.accesses["dram", "Z"] == Accesses(updates=16)
    assert found.accesses["pes", "Z"] == Accesses(updates=64, reads=64 - 16, drains=16)
    assert (found.cycles, found.latency_s, found.utilisation("pes"), found.limit) == (16, 16e-9, 1.0, "pes")
    dram, registers, macs = (32 + 32 + 16) / 4 * 10, (48 + 16) * 1 + 64 * 2, 64 * 5
    assert found.energy_pj == pytest.approx(dram + registers + macs)


def test_without_links_every_pe_reads_for_itself() -> None:
    found = estimate(PRODUCT, machine(links=()), TILES, FOUR)
    assert found.accesses["dram", "A"].reads == 64


def test_ragged_tiles() -> None:
    """M = 3: the second tile of m has one row, so 12 rows of A instead of 16, but as many cycles."""
    found = estimate(PRODUCT, machine(), TILES, FOUR | {"M": 3})
    assert found.accesses["dram", "A"].reads == 2 * 3 * 4
    assert (found.cycles, found.utilisation("pes")) == (16, 0.75)


def test_dram_may_be_the_limit() -> None:
    """80 words of 2 bytes at 1 GB/s take 160 ns, ten times as long as the PEs."""
    found = estimate(PRODUCT, machine(bandwidth=10**9), TILES, FOUR)
    assert (found.latency_s, found.limit) == (pytest.approx(160e-9), "dram")


def test_many_mappings_at_once() -> None:
    """An array for a parameter gives an array of estimates, each that of its own."""
    tiles = np.arange(1, 7)
    together = estimate(PRODUCT, machine(), TILES, FOUR | {"T": tiles})
    apart = [estimate(PRODUCT, machine(), TILES, FOUR | {"T": int(tile)}) for tile in tiles]
    np.testing.assert_array_equal(together.energy_pj, [one.energy_pj for one in apart])
    np.testing.assert_array_equal(together.cycles, [one.cycles for one in apart])


def test_repeats_multiply() -> None:
    once, thrice = (estimate(PRODUCT, machine(), TILES, FOUR, repeats) for repeats in (1, 3))
    assert (thrice.energy_pj, thrice.latency_s) == pytest.approx((3 * once.energy_pj, 3 * once.latency_s))


def test_a_parameter_takes_the_largest_value_that_fits() -> None:
    """A tile of Z has T x T words of 2 bytes: of 1, 2 and 4, T = 2 is the largest that takes at most 16 bytes."""
    text = """
name: kept
parameters: {T: largest divisor of M that fits buffer}
steps: [for m by T, for n by T, keep Z in buffer]
body:
  - {steps: [for m on rows, for n on columns, for k], compute: Z on pes}
"""
    small = machine()
    buffer = Memory("buffer", 16, 16, None, None, False, 1, 1.0, 1.0)
    both = Architecture("two", small.clock_hz, 16, (*small.memories, buffer), small.engines, small.components)
    mapping = parse_mapping(text)
    assert plan_mapping(PRODUCT, both, [mapping], FOUR).values["T"] == 2
    tiny = Memory("buffer", 1, 16, None, None, False, 1, 1.0, 1.0)
    none = Architecture("two", small.clock_hz, 16, (*small.memories, tiny), small.engines, small.components)
    with pytest.raises(MappingError, match=r"^parameter T, the largest divisor of M that fits buffer, must"):
        plan_mapping(PRODUCT, none, [mapping], FOUR)


def test_of_equals_the_first_is_taken() -> None:
    other = parse_mapping(
        "name: other\nsteps: [for n by 2, for m by 2]\nbody:\n"
        "  - {steps: [for m on rows, for n on columns, keep Z in pes, for k], compute: Z on pes}\n"
    )
    for first, second in ((TILES, other), (other, TILES)):
        assert plan_mapping(PRODUCT, machine(), [first, second], FOUR).mapping.name == first.name


def test_what_fits_is_preferred_to_what_is_faster() -> None:
    """A tile of Z of 4 x 4 takes 16 PEs: on four, it is faster than four tiles of 2 x 2, but there are none."""
    wide = parse_mapping(
        "name: wide\nbody:\n  - {steps: [for m on rows, for n on columns, keep Z in pes, for k], compute: Z on pes}\n"
    )
    found = plan_mapping(PRODUCT, machine(), [wide, TILES], FOUR)
    assert (found.mapping.name, found.infeasibilities) == ("output-stationary", ())
    alone = plan_mapping(PRODUCT, machine(), [wide], FOUR)
    assert [each.demand for each in alone.infeasibilities] == [4, 4]
    # 64 operations in 4 cycles: of the 16 PEs that it needs, all are busy; not 400 % of those that there are.
    assert (alone.estimate.cycles, alone.estimate.utilisation("pes")) == (4, 1.0)


def test_a_search_without_a_candidate_is_told() -> None:
    none = parse_mapping("name: none\nparameters:\n  T: best of 8, 16 up to M\nsteps: [for m by T]\nbody: [Z on pes]\n")
    sentence = (
        r"^parameter T of none, the best of 8, 16 up to M, must have one of these values, but none is that small "
        r"\(M = 4\); take another mapping$"
    )
    with pytest.raises(InfeasibleMappingError, match=sentence):
        plan_mapping(PRODUCT, machine(), [none], FOUR)
    assert plan_mapping(PRODUCT, machine(), [none, TILES], FOUR).mapping.name == "output-stationary"
