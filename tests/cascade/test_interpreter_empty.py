"""Absence and emptiness where a rank has no coordinate, and where loops have taken a tensor apart."""

import numpy as np
import pytest

from einsum_cascade import evaluate, parse


@pytest.mark.parametrize("length", [0, 2])
def test_absence_survives_a_loop_without_points(length: int) -> None:
    """Decision 0002: R2 exists for b < 2 only, so R5[b], which reads it at b + 2, is absent and nothing is divided."""
    cascade = parse("""
        rank B, C
        input LEN[b:B], X[c:C, b:B]
        init R1[c, 0] = 0
        R1[c, b + 1] = R1[c, b] + X[c, b]
        R2[c, b] = LEN[b] - R1[c, b] where b < 2
        R3[b, c] = R2[c, b + 2] where b + 2 < B
        R5[b] = sum[c](R3[b, c])
        R6[b] = 1 / R5[b]
        output R6
    """)
    inputs = {"LEN": np.ones(3), "X": np.ones((length, 3))}
    np.testing.assert_array_equal(evaluate(cascade, inputs, {"B": 3, "C": length})["R6"], np.zeros(3))


@pytest.mark.parametrize("length", [0, 1])
def test_what_is_absent_stays_so_where_a_loop_never_runs(length: int) -> None:
    """R is absent in its last generation, so all that reads it is, and the maximum of that: not -inf, its identity."""
    cascade = parse(
        "rank A, B\nvar b, j : B\ninput X[a:A, b:B]\ninit R[0] = 0\nR[a + 1] = R[a] where a >= 1\n"
        "init S[0] = 1\nT[b] = S[b]*R[A]\nS[b + 1] = S[b] + T[b]\nM[] = max[j](T[j])\noutput M"
    )
    assert evaluate(cascade, {"X": np.ones((4, length))}, {})["M"] == 0
