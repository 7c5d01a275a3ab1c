"""What is alike for many targets is worked out once, and what is said of each is what it would be alone."""

import json
from typing import Any

import numpy as np
import pytest
from long_cascades import blocks, chain_of_maps
from random_cascades import random_cascade
from random_counts import random_count

from einsum_cascade import parse
from einsum_cascade.analysis import footprint, traversals
from einsum_cascade.analysis.bounds import analyse
from einsum_cascade.analysis.facts import Facts
from einsum_cascade.cascade.ir import Cascade
from einsum_cascade.study.bound_reports import report_of_bounds


def report(cascade: Cascade) -> str:
    return json.dumps(report_of_bounds(analyse(cascade)).to_json())


def alone(cascade: Cascade, patch: pytest.MonkeyPatch) -> str:
    """Return the report where every Einsum is timed for every target."""
    with patch.context() as own:
        own.setattr(Facts, "is_straight", False)
        return report(cascade)


@pytest.mark.parametrize(
    "text", [chain_of_maps(12), blocks(3), blocks(6, is_normalised=False)], ids=["chain", "blocks", "plain blocks"]
)
def test_reports_of_long_cascades(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cascade = parse(text)
    assert report(cascade) == alone(cascade, monkeypatch)


def test_reports_of_random_cascades(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shared: list[object] = []
    found = traversals.Tail.append_to
    monkeypatch.setattr(traversals.Tail, "append_to", lambda self, other: (shared.append(self), found(self, other))[1])
    for number in range(random_count(300)):
        cascade = random_cascade(np.random.default_rng([seed, 71, number]))
        assert report(cascade) == alone(cascade, monkeypatch), f"case {number} of seed {seed}\n{cascade}"
    assert shared


@pytest.mark.parametrize(
    ("text", "most"),
    [(chain_of_maps(100), 2.1), (chain_of_maps(200), 2.1), (blocks(20, is_normalised=False), 8)],
    ids=["100 maps", "200 maps", "blocks"],
)
def test_steps_for_a_target_do_not_grow(text: str, most: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target is followed until all that depends on it is one tensor: here, at most to the sum of the next block."""
    steps = {"timed": 0, "held": 0}

    def counting(module: Any, name: str, what: str) -> None:
        original = getattr(module, name)

        def counted(*arguments: Any) -> Any:
            steps[what] += 1
            return original(*arguments)

        monkeypatch.setattr(module, name, counted)

    counting(traversals._Timer, "_time", "timed")
    counting(footprint, "_held", "held")
    bounds = analyse(parse(text))
    targets = len(bounds.passes)
    assert steps["timed"] <= most * targets + len(bounds.cascade.einsums)
    assert steps["held"] <= 2 * most * targets + 2 * len(bounds.cascade.einsums)
