"""Random cascades: the interpreter and the evaluator that goes point by point give the same, or both refuse."""

import numpy as np
import pytest
from brute_force import BruteForceError, brute_force
from random_counts import random_count
from random_equations import operators, random_cascade, random_tensors

from einsum_cascade.cascade import parse
from einsum_cascade.cascade.extents import resolve_extents
from einsum_cascade.errors import CheckError, EvaluationError
from einsum_cascade.interpreter import evaluate, reduction

PARTS = 16


@pytest.mark.parametrize("part", range(PARTS))
def test_interpreter_agrees_with_brute_force(part, seed, monkeypatch):
    # Half of the parts fold in blocks of a few points, which otherwise takes arrays of millions.
    if part % 2:
        monkeypatch.setattr(reduction, "_BLOCK", 1 + part // 2)
    registry = operators()
    compared = 0
    for number in range(random_count(3200) // PARTS):
        compared += compare(hash((seed, part, number)) % 2**32, registry)
    assert compared > 0


def compare(seed, registry):
    text, settings = random_cascade(seed)
    try:
        cascade = parse(text, operators=registry)
    except CheckError:
        return 0
    extents = resolve_extents(cascade, settings)
    shapes = {t.name: tuple(extents[d.rank] for d in t.dimensions) for t in cascade.inputs}
    inputs = random_tensors(shapes, seed, is_wild=seed % 3 == 0)
    context = f"case {seed}, extents {settings}:\n{text}"
    try:
        expected = brute_force(cascade, inputs, settings)
    except BruteForceError:
        # Which of several mistakes is found first depends on the order of equations.
        with pytest.raises(EvaluationError, match=r"must not divide by|must stay inside|must read what"):
            evaluate(cascade, inputs, settings)
        return 1
    try:
        found = evaluate(cascade, inputs, settings)
    except EvaluationError as error:
        error.add_note(context)
        raise
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-9, atol=1e-9, err_msg=f"{name} in {context}")
    return 1
