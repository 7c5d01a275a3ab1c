"""Views and contractions: what is copied and what is not, and BLAS against plain sums."""

import itertools
import string

import numpy as np
import pytest
from random_counts import random_count

from einsum_cascade.cascade import parse
from einsum_cascade.cascade.extents import resolve_extents
from einsum_cascade.interpreter.contraction import ProductFactor, contract
from einsum_cascade.interpreter.equation_facts import EquationFacts
from einsum_cascade.interpreter.views import IndexNumbers, view

HEADER = """
rank A, B, C
rank A1 = A / B
rank D = A + C - 1
input X[a, c], Y[d:D], T[a1, b]
"""


def view_of(equation, array, **extents):
    """The first read of an equation over its space."""
    cascade = parse(f"{HEADER}{equation}\noutput R")
    numbers = IndexNumbers(cascade, resolve_extents(cascade, {"A": 6, "B": 2, "C": 4} | extents))
    (einsum,) = cascade.einsums
    space = EquationFacts(cascade, numbers.extents).space(einsum, {})
    return view(array, tuple(numbers.line(index, space) for index in einsum.reads[0].indices), space)


@pytest.mark.parametrize(
    ("equation", "expected"),
    [
        ("R[a, c] = X[a, c]", lambda x, y: x),
        ("R[c, a] = X[a, c]", lambda x, y: x.T),
        ("R[c] = sum[a](X[A - 1 - a, c])", lambda x, y: x[::-1].T),
        ("R[a1, b, c] = X[a1*B + b, c]", lambda x, y: x.reshape(3, 2, 4)),
        ("R[c] = X[c + 2, c] where c + 2 < A", lambda x, y: [x[2, 0], x[3, 1], x[4, 2], x[5, 3]]),
        ("R[a] = Y[a + c]", lambda x, y: np.lib.stride_tricks.sliding_window_view(y, 4)),
        ("R[a, c] = Y[a - c + C - 1]", lambda x, y: y[np.subtract.outer(range(6), range(4)) + 3]),
    ],
)
def test_reads_that_stay_inside_are_views(equation, expected):
    x, y = np.arange(24.0).reshape(6, 4), np.arange(9.0)
    read = y if "Y" in equation else x
    found = view_of(equation, read)
    np.testing.assert_array_equal(found, expected(x, y))
    assert np.shares_memory(found, read)
    assert not found.flags.writeable


def test_reads_that_leave_are_gathered():
    # A ragged partition repeats the last element, which the caller masks.
    found = view_of("R[a1, b, c] = X[a1*B + b, c]", np.arange(20.0).reshape(5, 4), A=5)
    np.testing.assert_array_equal(found[..., 0], [[0, 4], [8, 12], [16, 16]])


@pytest.mark.parametrize("part", range(4))
def test_contractions_agree_with_einsum(part, seed):
    random = np.random.default_rng([seed, part])
    for _ in range(random_count(400)):
        extents = random.integers(1, 4, 5)
        chosen = [
            sorted(random.choice(5, random.integers(1, 4), replace=False).tolist())
            for _ in range(random.integers(1, 5))
        ]
        present = sorted(set(itertools.chain(*chosen)))
        kept = tuple(axis for axis in present if random.random() < 0.5)
        arrays = [random.integers(-4, 5, extents[axes]).astype(float) for axes in chosen]
        if random.random() < 0.5:
            arrays = [np.asfortranarray(array) for array in arrays]
        operands = [ProductFactor(array, tuple(axes)) for array, axes in zip(arrays, chosen, strict=True)]
        names = string.ascii_lowercase
        terms = ",".join("".join(names[axis] for axis in axes) for axes in chosen)
        expected = np.einsum(f"{terms}->{''.join(names[axis] for axis in kept)}", *arrays)
        np.testing.assert_array_equal(contract(operands, kept), expected, err_msg=f"{chosen} -> {kept}")


def test_batches_go_through_blas(monkeypatch):
    # Eight heads as eight matrix products and not as one einsum in C.
    seen = []
    plain = np.matmul
    monkeypatch.setattr(np, "matmul", lambda a, b: (seen.append((a.shape, b.shape)), plain(a, b))[1])
    q, k = np.ones((8, 3, 5)), np.ones((8, 3, 7))
    assert contract([ProductFactor(q, (0, 3, 2)), ProductFactor(k, (0, 3, 1))], (0, 1, 2)).shape == (8, 7, 5)
    assert seen == [((8, 7, 3), (8, 3, 5))]
