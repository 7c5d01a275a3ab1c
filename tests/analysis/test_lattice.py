"""Counts of integer points against counting them one by one."""

from itertools import product

import numpy as np
import pytest
from random_counts import random_count

from einsum_cascade.analysis import projection
from einsum_cascade.analysis.halfspaces import Bound, opposite
from einsum_cascade.analysis.lattice import count_points_of, count_where
from einsum_cascade.analysis.projection import Hiding, count_visible

NAMES = ("x", "y", "z")


def box(sizes: dict[str, int]) -> list[Bound]:
    return [bound for name, size in sizes.items() for bound in (Bound.of({name: 1}, 0), Bound.of({name: -1}, size - 1))]


def random_bound(rng: np.random.Generator, names: tuple[str, ...], greatest: int) -> Bound:
    chosen = rng.choice(names, int(rng.integers(1, len(names) + 1)), replace=False)
    signs = rng.choice([-1, 1], len(chosen)) * rng.integers(1, greatest + 1, len(chosen))
    return Bound.of({str(name): int(c) for name, c in zip(chosen, signs, strict=True)}, int(rng.integers(-6, 7)))


def value(bound: Bound, at: dict[str, int]) -> int:
    return sum(c * at[name] for name, c in bound.terms) + bound.constant


def holds(bounds: list[Bound], at: dict[str, int]) -> bool:
    return all(value(bound, at) >= 0 for bound in bounds)


def test_counts_are_those_of_an_enumeration(seed: int) -> None:
    for number in range(random_count(2_000)):
        rng = np.random.default_rng([seed, number])
        names = NAMES[: int(rng.integers(1, 4))]
        sizes = {name: int(rng.integers(0, 7)) for name in names}
        shapes = [
            [random_bound(rng, names, 1 + 2 * (number % 3 == 0)) for _ in range(int(rng.integers(0, 4)))]
            for _ in range(int(rng.integers(1, 4)))
        ]
        spaces = [dict(zip(names, at, strict=True)) for at in product(*(range(sizes[name]) for name in names))]
        inside = box(sizes)
        case = f"case {number} of seed {seed}: {sizes}, {shapes}"
        assert count_points_of(names, [*inside, *shapes[0]]) == sum(holds(shapes[0], at) for at in spaces), case
        wanted = sum(any(holds(shape, at) for shape in shapes) for at in spaces)
        assert count_where(names, inside, [shapes]) == wanted, case
        wanted = sum(all(any(holds([b], at) for b in shape) for shape in shapes if shape) for at in spaces)
        assert count_where(names, inside, [[[b] for b in shape] for shape in shapes if shape]) == wanted, case


@pytest.mark.parametrize("few", [1, 10])
def test_visible_points_are_those_of_an_enumeration(seed: int, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Points of which some values of the hidden variables meet one of several conjunctions, found one by one.

    With `few` of 1, all are summed symbolically, however many quotients there are.
    """
    monkeypatch.setattr(projection, "_FEW", few)
    for number in range(random_count(1_000)):
        rng = np.random.default_rng([seed, few, number])
        names = NAMES[: int(rng.integers(2, 4))]
        sizes = {name: int(rng.integers(1, 7)) for name in names}
        shown = names[: int(rng.integers(1, len(names)))]
        shapes = [
            [random_bound(rng, names, 4) for _ in range(int(rng.integers(0, 4)))]
            for _ in range(int(rng.integers(1, 4)))
        ]
        if number % 2:
            shapes[0].append(opposite(shapes[0][0]) if shapes[0] else random_bound(rng, names, 4))
        spaces = [dict(zip(names, at, strict=True)) for at in product(*(range(sizes[name]) for name in names))]
        wanted = {tuple(at[name] for name in shown) for at in spaces if any(holds(shape, at) for shape in shapes)}
        hidden = tuple(name for name in names if name not in shown)
        limits = box({name: sizes[name] for name in hidden})
        parts = [Hiding(hidden, (*shape, *limits)) for shape in shapes]
        case = f"case {number} of seed {seed}: {sizes}, {shown}, {shapes}"
        assert count_visible(shown, box({name: sizes[name] for name in shown}), parts) == len(wanted), case


def test_visible_points_under_many_strides_are_soon_counted() -> None:
    """Two cases of which elimination makes seven and thirteen quotients, among them some that nothing asks for."""
    shapes = [
        [Bound.of({"x": 2, "y": -1}, 0), Bound.of({"x": 1, "z": 2}, 1), Bound.of({"x": 1, "y": -4, "z": 1}, -2)],
        [],
        [
            Bound.of({"x": -3, "y": 2, "z": 4}, -3),
            Bound.of({"x": 2, "y": 4, "z": -3}, -1),
            Bound.of({"x": 1, "y": -3, "z": -1}, -2),
        ],
    ]
    hidden = box({"y": 5, "z": 2})
    parts = [Hiding(("y", "z"), (*shape, *hidden)) for shape in shapes]
    # The second conjunction is empty, so that every x is there.
    assert count_visible(("x",), box({"x": 4}), parts) == 4
    strided = [
        [Bound.of({"x": -4, "y": 3, "z": -1}, 2), Bound.of({"x": 5, "y": -5, "z": 6}, -4)],
        [Bound.of({"x": -1, "y": 5, "z": -3}, 5), Bound.of({"y": -6, "z": 5}, -2)],
    ]
    hidden = box({"y": 4, "z": 5})
    wanted = {
        x
        for x, y, z in product(range(6), range(4), range(5))
        if any(holds(shape, {"x": x, "y": y, "z": z}) for shape in strided)
    }
    parts = [Hiding(("y", "z"), (*shape, *hidden)) for shape in strided]
    assert count_visible(("x",), box({"x": 6}), parts) == len(wanted)


def test_images_are_those_of_an_enumeration(seed: int) -> None:
    """Points that one or two indices of two or three variables reach, under a filter or none."""
    for number in range(random_count(1_000)):
        rng = np.random.default_rng([seed, 7, number])
        names = NAMES[: int(rng.integers(2, 4))]
        sizes = {name: int(rng.integers(1, 8)) for name in names}
        indices = [random_bound(rng, names, 7) for _ in range(int(rng.integers(1, 3)))]
        filters = [random_bound(rng, names, 3) for _ in range(int(rng.integers(0, 2)))]
        hidden = [*box(sizes), *filters]
        spaces = [dict(zip(names, at, strict=True)) for at in product(*(range(sizes[name]) for name in names))]
        reached = {tuple(value(index, at) for index in indices) for at in spaces if holds(filters, at)}
        shown = [f"#{axis}" for axis in range(len(indices))]
        for name, index in zip(shown, indices, strict=True):
            equation = Bound.of({**dict(index.terms), name: -1}, index.constant)
            hidden += (equation, opposite(equation))
        inside = [own for name in shown for own in (Bound.of({name: 1}, 1000), Bound.of({name: -1}, 1000))]
        case = f"case {number} of seed {seed}: {sizes}, {indices}, {filters}"
        assert count_visible(shown, inside, [Hiding(names, tuple(hidden))]) == len(reached), case


def test_images_of_any_size() -> None:
    """Of x + y + z and x + 2 y + 3 z, points along (1, -2, 1) look alike: N^3, (N - 1)^2 (N - 2) one step on."""
    n = 10**6
    first, second = (Bound.of({"x": 1, "y": c, "z": 2 * c - 1, name: -1}, 0) for c, name in ((1, "#0"), (2, "#1")))
    equations = (first, opposite(first), second, opposite(second))
    part = Hiding(NAMES, (*equations, *box(dict.fromkeys(NAMES, n))))
    assert count_visible(["#0", "#1"], box({"#0": 3 * n, "#1": 6 * n}), [part]) == n**3 - (n - 1) ** 2 * (n - 2)


def test_visible_points_of_any_size() -> None:
    """Of x = 5 y + 7 z below 10^9 all exist but those that no sum is: (5 - 1) * (7 - 1) / 2 of them (Sylvester)."""
    n = 10**9
    equation = Bound.of({"x": 1, "y": -5, "z": -7}, 0)
    part = Hiding(("y", "z"), (equation, opposite(equation), *box({"y": n, "z": n})))
    assert count_visible(("x",), box({"x": n}), [part]) == n - 12


def test_counts_of_any_size() -> None:
    """Triples m + s <= p below n: by s = p - m - s, as many as ways to choose 3 of n + 2."""
    n = 2**21
    bounds = [*box({"m": n, "s": n, "p": n}), Bound.of({"p": 1, "m": -1, "s": -1}, 0)]
    assert count_points_of(("m", "s", "p"), bounds) == n * (n + 1) * (n + 2) // 6
