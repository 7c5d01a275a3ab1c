"""Extents that are set in place of defaults: refused if and only if they leave out what the defaults reach.

The rule is docs/decisions/0009; what is reached is found here by walking over all points.
"""

import itertools
import random

import pytest
from random_counts import random_count

from einsum_cascade.cascade import parse
from einsum_cascade.cascade.extents import resolve_extents
from einsum_cascade.cascade.ir import Cascade
from einsum_cascade.errors import EvaluationError

STREAM = 1301


def reads_all(cascade: Cascade, extents: dict[str, int]) -> bool:
    """Walk over every point of every Einsum and see whether each element of X is read."""
    reached: set[int] = set()
    for einsum in cascade.einsums:
        ranges = [range(extents[cascade.rank_of[name]]) for name in einsum.variables]
        for point in itertools.product(*ranges):
            at = dict(zip(einsum.variables, point, strict=True))
            reached |= {read.indices[0].evaluate(at, extents) for read in einsum.reads}
    return reached >= set(range(extents["M"]))


def draw_cascade(rng: random.Random) -> Cascade:
    """Two reads of X[m:M] through ranks whose extents are made of M, T and numbers."""
    defaults = ["M/T", "T", "M - T + 1", "3", "M/3", "(M + 1)/2", "M", "M/(2*T)", "M*1 - 2"]
    strides = ["1", "T", "2", "3", "1", "B"]
    offsets = ["", " + T", " - 1", " + 1", ""]
    lines = ["rank M, T", *(f"rank {name} = 0*T + {rng.choice(defaults)}" for name in "ABCD"), "input X[m:M]"]
    for tensor, (v, w) in (("Y", "ab"), ("Z", "cd")):
        index = f"{v}*{rng.choice(strides)} + {w}*{rng.choice(strides)}{rng.choice(offsets)}"
        lines.append(f"{tensor}[{v}, {w}] = X[{index}] where {index} < M and {index} >= 0")
    return parse("\n".join([*lines, "output Y, Z"]))


def test_refused_if_and_only_if_something_is_left_out(seed: int) -> None:
    rng = random.Random(f"{seed} {STREAM}")
    refused = accepted = 0
    while refused + accepted < random_count(3000):
        cascade = draw_cascade(rng)
        free = {"M": rng.randint(1, 14), "T": rng.randint(1, 5)}
        try:
            defaults = resolve_extents(cascade, free)
        except EvaluationError:
            continue  # an extent below 0
        chosen = rng.sample("ABCD", rng.randint(1, 2))
        settings = free | {name: rng.randint(0, 1 + 2 * max(1, defaults[name])) for name in chosen}
        extents = free | {name: defaults[name] for name in "ABCD"} | settings
        # A default over M and T alone never depends on one that is set.
        is_contradiction = reads_all(cascade, defaults) and not reads_all(cascade, extents)
        if is_contradiction:
            refused += 1
            with pytest.raises(
                EvaluationError, match=r"^rank 'M' must be reached as a whole by index .* is never read"
            ):
                resolve_extents(cascade, settings)
        else:
            accepted += 1
            assert resolve_extents(cascade, settings) == extents
    assert refused > random_count(100)


def test_an_index_of_many_stretches_is_judged_at_once() -> None:
    # 2**40 tiles of 3 of every 4 coordinates: what is left out first is coordinate 3.
    cascade = parse("rank M, T = 4\nrank A = M/4\ninput X[m:M]\nY[a, t] = X[4*a + t] where 4*a + t < M\noutput Y")
    with pytest.raises(EvaluationError, match=r"coordinate 3 of 'X' is never read; drop --set T=3$"):
        resolve_extents(cascade, {"M": 2**42, "T": 3})
