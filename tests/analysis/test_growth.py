"""What grows with a rank, also where sympy would compare infinity less infinity."""

import pytest

from einsum_cascade import analyse, parse
from einsum_cascade.analysis.symbolic import grows_with, positive_part, smallest, to_sympy
from einsum_cascade.cascade.extent import symbol

M, N, W = (to_sympy(symbol(name)) for name in ("M", "N", "W"))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (positive_part(M * (M + W) / 2 - M * M / 2), True),  # W M / 2
        (positive_part((M + W) * (M + W) / 2 - M * M / 2 - M * W), False),  # W^2 / 2
        (positive_part(M * M / 2 - M * (M + W) / 2), False),  # negative, so 0
    ],
)
def test_infinities_that_meet(expression, expected: bool) -> None:
    assert grows_with(expression, {"M"}) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (positive_part(M - N), True),
        (positive_part(N - M), True),
        (smallest(M, N), True),
        (smallest(M, W * W * W), False),
        (smallest(M, N) - smallest(N, M), False),
        (W, False),
    ],
)
def test_ranks_that_grow_together_or_apart(expression, expected: bool) -> None:
    """Whichever of two grows faster, and whatever order sympy takes them in."""
    assert grows_with(expression, {"M", "N"}) == expected


def test_a_window_in_a_state_is_analysed() -> None:
    """The points of a window are a difference of triangles of M."""
    text = (
        "rank M, S, W\nrank P = M\ninput X[m:M], V[p:P]\nY1[m] = sum[s](X[m + s]) where m + s < M\n"
        "Y2[p, m] = V[p] / Y1[m]\nY5[p, m] = exp(Y2[p, m]) where p - W < m and m <= p\n"
        "Y6[] = max[p, m](Y5[p, m])\nY7[p, m] = Y5[p, m] / Y6[]\noutput Y1, Y7"
    )
    assert analyse(parse(text)).passes
