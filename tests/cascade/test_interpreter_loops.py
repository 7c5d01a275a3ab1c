"""Recurrences: generations, steps, nesting, what a loop takes in and what it keeps."""

import tracemalloc

import numpy as np
import pytest
from attention_cascades import attention

from einsum_cascade.cascade import parse
from einsum_cascade.errors import CheckError, EvaluationError
from einsum_cascade.interpreter import evaluate
from einsum_cascade.interpreter.lifetimes import plan
from einsum_cascade.interpreter.stage_order import CoordinateLoop


def run(text, inputs, extents=None, **options):
    return evaluate(parse(text), inputs, extents or {}, **options)


def outline(cascade, stages):
    """Stages as nested lists of tensor names; a loop starts with its variable."""
    return [
        [f"for {stage.variable}", *outline(cascade, stage.body)]
        if isinstance(stage, CoordinateLoop)
        else cascade.einsums[stage].tensor
        for stage in stages
    ]


def test_one_pass_attention_is_one_loop():
    cascade = parse(attention("1-pass"))
    loop = "BK BV BQK LM RM SLN SLD SLNV PRM SPD RD SPNV RNV".split()  # noqa: SIM905 - reads as a sentence
    assert outline(cascade, plan(cascade).stages) == ["RM", "RD", "RNV", ["for m1", *loop], "AV"]
    held = {name for name, holding in plan(cascade).holdings.items() if holding.is_whole}
    assert held == {"AV"}


def test_what_others_read_is_computed_before_the_loop():
    # A is read by the loop alone and joins it, B is an output, D is read backwards.
    text = """
    rank I
    input X[i:I]
    A[i] = X[i] * 2
    B[i] = X[i] * 3
    D[i] = X[i] * 5
    init S[0] = 0
    S[i + 1] = S[i] + A[i] + B[i] + D[I - 1 - i]
    output S, B"""
    cascade = parse(text)
    assert outline(cascade, plan(cascade).stages) == ["B", "D", "S", ["for i", "A", "S"]]
    found = run(text, {"X": [1, 10]})
    np.testing.assert_array_equal(found["S"], [0, 5 + 50, 5 + 50 + 50 + 5])


def test_a_scan_output_has_all_generations():
    # Prefix sums, read while they grow (P), and after (Y: x_i / sum of all up to i).
    text = "rank I\ninput X[i:I]\ninit C[0] = 0\nC[i + 1] = C[i] + X[i]\nY[i] = X[i] / C[i + 1]\noutput C, Y"
    found = run(text, {"X": [1, 3, 4]})
    np.testing.assert_array_equal(found["C"], [0, 1, 4, 8])
    np.testing.assert_array_equal(found["Y"], [1, 3 / 4, 4 / 8])


def test_a_rank_without_coordinates_leaves_the_init():
    text = "rank I\ninput X[i:I]\ninit C[0] = 7\nC[i + 1] = C[i] + X[i]\nZ[] = C[I]\noutput C, Z"
    found = run(text, {"X": []})
    np.testing.assert_array_equal(found["C"], [7])
    assert found["Z"] == 7


def test_a_step_of_two():
    # Fibonacci: generations 0 and 1 are given, 2 .. 7 follow.
    text = "rank I\ninit F[0] = 0\ninit F[1] = 1\nF[i + 2] = F[i] + F[i + 1]\noutput F"
    np.testing.assert_array_equal(run(text, {}, {"I": 7})["F"], [0, 1, 1, 2, 3, 5, 8, 13])
    np.testing.assert_array_equal(run(text, {}, {"I": 1})["F"], [0, 1])
    np.testing.assert_array_equal(run(text, {}, {"I": 0})["F"], [0])


def test_several_tensors_in_one_recurrence():
    # Rotation by a quarter turn: (1, 0), (0, 1), (-1, 0), (0, -1), (1, 0).
    text = """
    rank I
    init C[0] = 1
    init S[0] = 0
    C[i + 1] = 0 - S[i]
    S[i + 1] = C[i] + 0 * S[i]
    output C, S"""
    found = run(text, {}, {"I": 4})
    np.testing.assert_array_equal(found["C"], [1, 0, -1, 0, 1])
    np.testing.assert_array_equal(found["S"], [0, 1, 0, -1, 0])


def test_a_recurrence_inside_a_recurrence():
    # Each outer step squares by repeated addition: T counts J times S, and S becomes J * S. J = 3: 2, 6, 18.
    text = """
    rank I, J
    init S[0] = 2
    init T[i, 0] = 0 * S[i]
    T[i, j + 1] = T[i, j] + S[i]
    S[i + 1] = T[i, J]
    output S"""
    cascade = parse(text)
    assert outline(cascade, plan(cascade).stages) == ["S", ["for i", "T", ["for j", "T"], "S"]]
    np.testing.assert_array_equal(run(text, {}, {"I": 2, "J": 3})["S"], [2, 6, 18])
    whole = run(text.replace("output S", "output S, T"), {}, {"I": 2, "J": 3})["T"]
    np.testing.assert_array_equal(whole, [[0, 2, 4, 6], [0, 6, 12, 18]])


def test_an_inner_tile_of_an_earlier_outer_round():
    # T[0] runs through 1, 2, 4, 8; T[1, j + 1] = T[1, j] + T[0, j]: 1, 2, 4, 8; S = 1, 8, 8.
    text = """
    rank I, J
    init S[0] = 1
    init T[i, 0] = 1 + 0 * S[i]
    T[i, j + 1] = T[i, j] + T[i - 1, j] where i >= 1 else T[i, j] * 2
    S[i + 1] = T[i, J]
    output S"""
    np.testing.assert_array_equal(run(text, {}, {"I": 2, "J": 3})["S"], [1, 8, 8])


def test_earlier_coordinates_of_a_pointwise_tensor():
    # D[i] = A[i] - A[i - 1] inside the loop, by a filter; A = 2x.
    text = """
    rank I
    input X[i:I]
    init S[0] = 0
    A[i] = X[i] * 2 + 0 * S[i]
    D[i] = A[i] - A[i - 1] where i >= 1 else A[i]
    S[i + 1] = S[i] + D[i]
    output S"""
    np.testing.assert_array_equal(run(text, {"X": [1, 4, 9]})["S"], [0, 2, 8, 18])


def test_all_rounds_so_far():
    # H[i] = 2 G[i], G[i + 1] = sum of H[0..i]: 1, 2, 6, 18.
    text = """
    rank I
    var j : I
    init G[0] = 1
    H[i] = G[i] * 2
    G[i + 1] = sum[j](H[j]) where j <= i
    output G"""
    np.testing.assert_array_equal(run(text, {}, {"I": 3})["G"], [1, 2, 6, 18])


def test_a_round_must_not_read_ahead():
    text = "rank I\nvar j : I\ninit G[0] = 1\nH[i] = G[i] * 2\nG[i + 1] = sum[j](H[j])\noutput G"
    with pytest.raises(CheckError, match=r"H\[j\] must not be read before the round of the recurrence that gives it"):
        parse(text)


def test_a_filter_ends_a_recurrence():
    # Generations after the first two steps are absent and written as 0; what reads them is absent.
    text = "rank I\ninit G[0] = 1\nG[i + 1] = G[i] * 2 where i < 2\nY[] = G[I] + 1\noutput G, Y"
    found = run(text, {}, {"I": 4})
    np.testing.assert_array_equal(found["G"], [1, 2, 4, 0, 0])
    assert found["Y"] == 0


def test_divisions_that_no_round_reaches_are_checked():
    text = "rank I, M\ninput X[m:M]\nS[] = X[m]\ninit G[0] = 1\nG[i + 1] = G[i] / S[]\noutput G"
    for count in (0, 3):
        with pytest.raises(EvaluationError, match=r"^G\[i \+ 1\] must not divide by S\[\]"):
            run(text, {"X": []}, {"I": count})


def test_a_loop_keeps_a_few_tiles():
    # E = F = 8, P = 64, M0 = 32: a tile of scores has 16 KiB in float64, all of them 2 MiB with M = 4096.
    cascade = parse(attention("1-pass").replace(", LEN[p]", ""))
    random = np.random.default_rng(0)
    inputs = {
        name: random.standard_normal(shape) for name, shape in {"Q": (8, 64), "K": (8, 4096), "V": (8, 4096)}.items()
    }
    evaluate(cascade, inputs, {"M0": 32})
    tracemalloc.start()
    evaluate(cascade, inputs, {"M0": 32})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * 1024 * 20
