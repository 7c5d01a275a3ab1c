"""Inputs: what is refused in which words, and random ones."""

import ml_dtypes
import numpy as np
import pytest

from einsum_cascade.cascade import parse
from einsum_cascade.errors import EvaluationError
from einsum_cascade.interpreter import evaluate, random_inputs

TEXT = "rank B, M\ninput X[b:B, m:M], LEN[b:B]\nparam W[m:M]\nZ[b] = X[b, m] * W[m] where m < LEN[b]\noutput Z"
GIVEN = {"X": np.ones((2, 3)), "LEN": [1, 2], "W": np.ones(3)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": None}, r"^input 'X' must be given, but is missing; give an array of shape \(B, M\)$"),
        (
            {"W": None, "LEN": None},
            r"^input 'LEN' must be given \(and 1 more\), but is missing; give an array of shape",
        ),
        ({"Y": 1}, r"^input 'Y' must be declared by the cascade to be given; known are 'LEN', 'W', 'X'$"),
        ({"XX": 1}, r"^input 'XX' must be declared by the cascade to be given; did you mean 'X'\?$"),
        ({"Z": 1}, r"^tensor 'Z' is computed and must not be given; remove it from the inputs$"),
        ({"W": np.ones((3, 1))}, r"^param 'W' must have 1 dimensions \(M\), but has 2 in shape \(3, 1\)$"),
        ({"W": np.ones(4)}, r"^rank 'M' must have one extent, but has 3 from input 'X' and 4 in param 'W'; change one"),
        ({"W": [1j, 2, 3]}, r"^input 'W' must hold real numbers, but has the element type 'complex128'; convert it to"),
        ({"W": ["a", "b", "c"]}, r"^input 'W' must hold real numbers, but has the element type '<U1'; convert"),
        ({"W": [None, 1, 2]}, r"^input 'W' must hold real numbers, but has the element type 'object'; convert"),
    ],
)
def test_messages(change, message):
    inputs = {name: value for name, value in (GIVEN | change).items() if value is not None}
    with pytest.raises(EvaluationError, match=message):
        evaluate(parse(TEXT), inputs)


@pytest.mark.parametrize(
    "dtype", [np.float32, np.float16, np.int8, np.bool_, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn]
)
def test_element_types_that_are_taken(dtype):
    found = evaluate(parse(TEXT), GIVEN | {"X": np.ones((2, 3)).astype(dtype)})["Z"]
    np.testing.assert_array_equal(found, [1, 2])
    assert found.dtype == np.float64


def test_random_inputs_depend_on_the_seed_alone():
    cascade = parse(TEXT)
    one, two, three = (random_inputs(cascade, {"B": 50, "M": 7}, seed) for seed in (1, 1, 2))
    assert list(one) == ["X", "LEN", "W"]
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])
    assert not np.array_equal(one["X"], three["X"])
    assert one["X"].dtype == np.float64
    assert one["LEN"].dtype == np.int64
    assert set(one["LEN"]) == set(range(1, 8))


def test_random_inputs_keep_what_is_given():
    found = random_inputs(parse(TEXT), {"M": 3}, 0, {"LEN": [3, 3, 3, 3]})
    np.testing.assert_array_equal(found["LEN"], [3, 3, 3, 3])
    assert found["X"].shape == (4, 3)


# A mask compared with a number, segment labels compared with one another, a window compared with an extent.
@pytest.mark.parametrize(
    ("filter_", "values"),
    [("S[m] > 0", {0, 1}), ("S[m] == 1", {0, 1}), ("S[m] == S[b]", {0, 1, 2}), ("S[m] <= M - b", set(range(1, 41)))],
)
def test_random_inputs_that_filters_can_tell_apart(filter_, values):
    text = f"rank M = 40\nvar b : M\ninput S[m:M], X[m:M, b]\nZ[m] = X[m, b] where {filter_}\noutput Z"
    drawn = {int(n) for seed in range(9) for n in random_inputs(parse(text), {}, seed)["S"]}
    assert drawn == values


def test_random_inputs_name_what_is_missing():
    with pytest.raises(EvaluationError, match=r"^every rank must have an extent, but rank 'B' has none; give --set B="):
        random_inputs(parse(TEXT), {"M": 3}, 0)
