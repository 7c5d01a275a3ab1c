"""What is proved of extents is true: every proof is compared with the values on a grid."""

import itertools
import random
from collections.abc import Iterator

import pytest
from random_counts import random_count

from einsum_cascade.cascade.extent import ONE, ZERO, Extent, ceil_div, constant, symbol
from einsum_cascade.cascade.extent_text import parse_extent
from einsum_cascade.cascade.inequality import is_nonnegative

STREAM = 1302
NAMES = "MBP"
GRID = [dict(zip(NAMES, point, strict=True)) for point in itertools.product(range(5), repeat=len(NAMES))]


def draw_linear(rng: random.Random) -> Extent:
    atoms = [*map(symbol, NAMES), ONE]
    return sum((constant(rng.choice((-2, -1, 0, 0, 1, 1, 2))) * atom for atom in atoms), ZERO)


def draw_product(rng: random.Random) -> Extent:
    """A quotient times its own divisor, less its numerator and a little: what the proofs are about."""
    numerator = draw_linear(rng)
    plain = [symbol("B"), symbol("P"), symbol("B") * symbol("P"), symbol("B") + ONE]
    divisor = rng.choice([*plain, constant(2), constant(3), constant(2) * symbol("B")])
    cofactor = rng.choice([ONE, ONE, symbol("M"), ceil_div(draw_linear(rng), constant(2)), constant(3)])
    gap = rng.choice([ZERO, divisor, divisor - ONE, divisor - constant(2), ONE, draw_linear(rng)])
    return constant(rng.choice((-1, 1))) * (ceil_div(numerator, divisor) * divisor - numerator - gap) * cofactor


def draw_extent(rng: random.Random) -> Extent:
    parts = [draw_linear(rng), draw_product(rng), draw_product(rng), symbol("M") * draw_linear(rng)]
    return sum(rng.sample(parts, rng.choice((1, 1, 2))), ZERO)


def values(extent: Extent, positive: frozenset[str], facts: tuple[Extent, ...] = ()) -> Iterator[int]:
    """Yield the values where every rank in `positive` is at least 1, every fact holds and no divisor is 0."""
    for point in GRID:
        try:
            if all(point[name] for name in positive) and all(fact.evaluate(point) >= 0 for fact in facts):
                yield extent.evaluate(point)
        except ZeroDivisionError:
            continue


def test_what_is_proved_is_true(seed: int) -> None:
    rng = random.Random(f"{seed} {STREAM}")
    proved = 0
    for _ in range(random_count(20_000)):
        extent, positive = draw_extent(rng), frozenset(rng.sample(NAMES, rng.randint(0, 3)))
        if extent.is_nonnegative(positive):
            proved += 1
            assert min(values(extent, positive), default=0) >= 0, (str(extent), positive)
    assert proved > random_count(200)


def test_what_is_proved_with_relations_is_true(seed: int) -> None:
    rng = random.Random(f"{seed} {STREAM + 1}")
    proved = 0
    for _ in range(random_count(6_000)):
        facts = tuple(draw_linear(rng) if rng.random() < 0.7 else draw_product(rng) for _ in range(rng.randint(1, 2)))
        extent, positive = draw_extent(rng), frozenset(rng.sample(NAMES, rng.randint(0, 3)))
        if rng.random() < 0.5:
            extent += rng.choice(facts) * rng.choice([ONE, symbol("B")])
        if not extent.is_nonnegative(positive) and is_nonnegative(extent, facts, positive):
            proved += 1
            assert min(values(extent, positive, facts), default=0) >= 0, (str(extent), positive, [*map(str, facts)])
    assert proved > random_count(60)


@pytest.mark.parametrize(
    ("extent", "positive", "facts"),
    [
        # b*ceil(a/b) lies between a and a + b - 1.
        ("M0*(M/M0) - M", "", ()),
        ("M + M0 - 1 - M0*(M/M0)", "", ()),
        ("M1*M0*(M/(M1*M0)) - M", "", ()),
        # Also of numbers, and of more than the divisor.
        ("8*(M/8) - M", "", ()),
        ("M + 7 - 8*(M/8)", "", ()),
        ("3*(M/2) - M", "", ()),
        ("4*M0*(M/(2*M0)) - 2*M", "", ()),
        ("M + P - 2", "MP", ()),
        # An extent of at least 2 has coordinate 1; what is at most I has its coordinates in I.
        ("G - 2", "", ("G - 2",)),
        ("I - S", "", ("I - S",)),
        ("I*P - S*P", "", ("I - S",)),
        ("M - S", "", ("I - S", "M - I")),
        ("M - S", "", ("M - I", "I - S")),
        ("I + J - S - T", "", ("I - S", "J - T")),
        ("I - 1", "S", ("I - S",)),
        ("M/M0 - 2", "", ("M/M0 - 2",)),
    ],
)
def test_what_must_be_proved(extent: str, positive: str, facts: tuple[str, ...]) -> None:
    assert is_nonnegative(parse_extent(extent), tuple(map(parse_extent, facts)), frozenset(positive))


@pytest.mark.parametrize(
    ("extent", "positive"),
    [
        # With M = 1 and M0 = 2 the tile ends at 2 = M + M0 - 1, one past M + M0 - 2.
        ("M + M0 - 2 - M0*(M/M0)", ""),
        ("M - M0*(M/M0)", ""),
        ("M + P - 2", "M"),
        # (S - 9)/2 is -4 with S = 1, and what multiplies it turns round: M = 1, B = 2 give 2*1*-4 - 1*-4 = -4.
        ("M + (S - 9)/2", ""),
        ("B*(M/B)*((S - 9)/2) - M*((S - 9)/2)", ""),
    ],
)
def test_what_must_not_be_proved(extent: str, positive: str) -> None:
    assert not parse_extent(extent).is_nonnegative(frozenset(positive))
