"""Whatever the order of axes, the heads and the filter: the array's values are those of the float64 interpreter."""

import numpy as np
import pytest
from model_runs import modelled
from random_counts import random_count
from random_kernels import KINDS, random_kernel

from einsum_cascade import evaluate, load_architecture, parse, random_inputs, resolve_extents
from einsum_cascade.array.numbers import Numbers
from einsum_cascade.errors import EvaluationError
from einsum_cascade.formats import parse_format
from einsum_cascade.study.preparation import prepare

NUMBERS = Numbers(parse_format("fp32"), parse_format("fp32"), "wide")


@pytest.mark.parametrize("kind", KINDS)
def test_any_axes(seed: int, kind: str) -> None:
    random, machine = np.random.default_rng([seed, KINDS.index(kind)]), load_architecture("fusemax-4x4")
    for _ in range(random_count(100)):
        text = random_kernel(random, kind)
        cascade = parse(text)
        extents = resolve_extents(cascade, {rank: int(random.integers(1, 7)) for rank in cascade.free_ranks})
        inputs = random_inputs(cascade, extents, int(random.integers(1 << 30)))
        # A sum of positive features that are weighted divides the results: none is near 0.
        inputs |= {name: np.abs(inputs[name]) + 0.5 for name in inputs if name == "Z"}
        prepared = prepare(cascade, machine, extents, NUMBERS, inputs=inputs)
        try:
            exact = evaluate(cascade, prepared.stored(inputs), extents)
        except EvaluationError:  # a query without a key
            continue
        found = modelled(prepared, prepared.stored(inputs))
        for name, values in exact.items():
            assert np.abs(found[name] - values).max() <= 2e-5 * np.abs(values).max(), (text, extents)
