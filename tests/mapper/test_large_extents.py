"""Extents of thirty digits: what is computed from them is exact, in steps that do not grow with them, or is refused."""

import math

import numpy as np
import pytest
import sympy

from einsum_cascade import load_architecture, parse, resolve_extents, zoo
from einsum_cascade.cost.estimate import estimate
from einsum_cascade.errors import MappingError, ScheduleError
from einsum_cascade.mapper.divisors import divisors_up_to, largest_divisor
from einsum_cascade.mapper.many import estimate_many
from einsum_cascade.mapper.planning import _largest, plan_mapping
from einsum_cascade.mapping.codec import parse_mapping
from einsum_cascade.mapping.live import Live
from einsum_cascade.mapping.presets import load_mapping
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.schedule.table import ReservationTable

LARGE = {
    "power of ten": 10**30,
    "power of two": 2**100,
    "two primes": 999999999999989 * 999999999999947,
    "prime": 10**30 + 57,
    "composite": 2**20 * 3**10 * 5**6 * 7**4 * 11 * 13 * 17 * 19,
    "primorial": math.prod(sympy.primerange(2, 2350)),
    "two primes of fifty digits": (10**49 + 9) * (3 * 10**49 + 133),
}


@pytest.mark.parametrize("number", [*range(1, 65), 720, 1009, 65536, 1000003 * 7])
def test_divisors_of_small_numbers(number: int) -> None:
    every = [each for each in range(1, min(number, 70000) + 1) if number % each == 0]
    assert [each for each in divisors_up_to(number, number) if each <= 70000] == every
    for most in (1, 2, 10, number // 2 or 1, number):
        assert divisors_up_to(number, most)[-1] == largest_divisor(number, most)
        assert all(each <= most for each in divisors_up_to(number, most))


@pytest.mark.parametrize("most", [1, 100, 10**5, 10**9, 10**14])
@pytest.mark.parametrize("name", LARGE)
def test_the_largest_divisor_that_fits(name: str, most: int) -> None:
    """It takes some hundred trials at most, and no smaller number shows that a larger divisor was passed over."""
    number, tried = LARGE[name], list[int]()
    found = _largest(number, lambda each: (tried.append(each), each <= most)[1], "what")
    assert number % found == 0
    assert found <= most
    assert len(tried) <= 2 * number.bit_length()
    assert all(number % each for each in range(found + 1, min(most, found + 1000) + 1))


def test_divisors_with_large_primes() -> None:
    """Primes beyond those that are tried one by one: 1000003 is the first."""
    assert largest_divisor(1000003**5, 10**7) == 1000003
    assert largest_divisor(1000003**5, 10**13) == 1000003**2
    assert largest_divisor(999999937 * 999999929 * 10**12, 10**9 - 1) == 999999937


@pytest.mark.parametrize("architecture", ["fusemax-cloud", "flat-cloud"])
@pytest.mark.parametrize("name", [name for name, number in LARGE.items() if number < 10**40])
def test_a_plan(name: str, architecture: str) -> None:
    """Products are counted exactly, and time is a float."""
    workload, machine = Workload(zoo.load("attention")), load_architecture(architecture)
    extents = resolve_extents(workload.cascade, {"E": 64, "F": 64, "M": 4096, "P": LARGE[name]})
    plan = plan_mapping(workload, machine, [load_mapping("unfused")], extents)
    assert math.isfinite(plan.estimate.latency_s)
    points = {bound.task: bound.points for bound in plan.estimate.bounds}
    assert points["QK"] == 64 * 4096 * LARGE[name]


def test_what_is_beyond_the_floats_is_refused() -> None:
    workload, machine = Workload(zoo.load("attention")), load_architecture("flat-cloud")
    extents = resolve_extents(workload.cascade, {"E": 64, "F": 64, "M": 10**200, "P": 10**200})
    with pytest.raises(
        MappingError, match=r"^time and energy must be below 1\.8e308, but are not with these extents and "
    ):
        plan_mapping(workload, machine, [load_mapping("unfused")], extents)


def test_an_interval_without_a_table() -> None:
    with pytest.raises(
        ScheduleError, match=r"^a tile must be scheduled in an interval of at most 1073741824 quanta, bu"
    ):
        ReservationTable(10**30, [1])


MASKED = parse("rank B, M, P = M\ninput X[b:B, m:M, p:P]\nZ[b, p] = sum[m](X[b, m, p]) where m <= p\noutput Z")


def test_shares_of_masks_are_exact() -> None:
    """Of `n` tiles of keys for each of `n` tiles of queries, those up to the own one are there; B is no part of it."""
    mapping = parse_mapping("name: x\nsteps: [for b by 1000, for p by 4, for m by 4]\ncompute: Z on 1d\n")
    workload = Workload(MASKED)
    for tiles, batch in ((4, 1), (1000, 1), (1000, 10**30)):
        live = Live(workload, {"B": batch, "M": 4 * tiles, "P": 4 * tiles})
        share = live.share(("Z",), mapping.root.steps, workload.task["Z"].reads[:1])
        # In the tile of a query's own keys, 10 of 16 pairs are there; as what moves, the tile is cut to its hull.
        assert 2 * tiles * share == tiles + 1
    live = Live(workload, {"B": 1, "M": 10**30, "P": 10**30})
    assert live.share(("Z",), mapping.root.steps) == 1


def test_arrays_never_wrap_around() -> None:
    workload, machine = Workload(zoo.load("attention-1pass")), load_architecture("fusemax-cloud")
    mapping = load_mapping("binding")
    tiles = {name: np.array([16, 200]) for name, _ in mapping.parameters}
    refused = 0
    for length in (2**10, 2**16, 2**20, 2**24, 2**28, 2**31, 10**30):
        extents = resolve_extents(workload.cascade, {"E": 64, "F": 64, "M": length, "P": length, "M0": 256})
        try:
            many = estimate_many(workload, machine, mapping, {**extents, **tiles}, repeats=500)
        except MappingError as error:
            assert "many candidates together must have at most" in str(error)
            refused += 1
            continue
        alone = estimate(workload, machine, mapping, {**extents, **{name: 200 for name in tiles}}, 500)
        assert many.cycles[1] == alone.cycles
        assert many.energy_pj[1] == pytest.approx(float(alone.energy_pj), rel=1e-9)
    assert 1 <= refused <= 5
