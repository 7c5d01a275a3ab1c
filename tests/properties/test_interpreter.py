"""The interpreter against an evaluator that walks point by point and shares no code with it (decision 0002)."""

import numpy as np
import pytest
from brute_force import BruteForceError, brute_force
from random_counts import random_count
from random_equations import operators, random_cascade, random_tensors

from einsum_cascade import evaluate, parse, resolve_extents
from einsum_cascade.errors import EvaluationError, SourceError

CHUNKS = 8


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("is_wild", [False, True], ids=["finite", "with NaN and infinities"])
def test_values_agree_point_by_point(chunk: int, is_wild: bool, seed: int) -> None:
    registry = operators()
    for number in range(chunk, random_count(4_000), CHUNKS):
        case = seed + number
        text, settings = random_cascade(case)
        try:
            cascade = parse(text, "random.cascade", registry)
        except SourceError:
            continue  # the generator draws what the language refuses, too
        extents = resolve_extents(cascade, settings)
        shapes = {t.name: tuple(extents[d.rank] for d in t.dimensions) for t in cascade.inputs}
        tensors = random_tensors(shapes, case, is_wild=is_wild)
        context = f"case {case}, {settings}:\n{text}"
        try:
            wanted = brute_force(cascade, tensors, settings)
        except BruteForceError as error:
            with pytest.raises(EvaluationError):
                evaluate(cascade, tensors, settings)
                pytest.fail(f"{error} was not refused; {context}")
            continue
        found = evaluate(cascade, tensors, settings)
        for name, value in wanted.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-9, err_msg=f"{name} in {context}")
