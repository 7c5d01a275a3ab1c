import re

import numpy as np
import pytest
from random_cascades import counted_ranks, extents_for, random_cascade, random_text, shrink
from random_counts import random_count
from streaming_oracle import passes_at

from einsum_cascade.cascade.checker import check
from einsum_cascade.cascade.parser import parse_module

ATTENTION = """
rank E, F, M, P
input Q[e:E, p:P], K[e:E, m:M], V[f:F, m]
QK[m, p] = Q[e, p] * K[e, m]
"""

THREE_PASS = (
    ATTENTION
    + """
GM[p] = max[m](QK[m, p])
SN[m, p] = exp(QK[m, p] - GM[p])
SD[p] = sum[m](SN[m, p])
A[m, p] = SN[m, p] / SD[p]
AV[f, p] = A[m, p] * V[f, m]
output AV
"""
)

DEFERRED = (
    ATTENTION
    + """
GM[p] = max[m](QK[m, p])
SN[m, p] = exp(QK[m, p] - GM[p])
SD[p] = sum[m](SN[m, p])
SNV[f, p] = SN[m, p] * V[f, m]
AV[f, p] = SNV[f, p] / SD[p]
output AV
"""
)

CAUSAL = """
rank E, F, M, P
input Q[e:E, p:P], K[e:E, m:M], V[f:F, m]
QK[m, p] = Q[e, p] * K[e, m] where m <= p
GM[p] = max[m](QK[m, p])
SN[m, p] = exp(QK[m, p] - GM[p])
SD[p] = sum[m](SN[m, p])
A[m, p] = SN[m, p] / SD[p]
AV[f, p] = A[m, p] * V[f, m]
output AV
"""

PARTITIONED = """
rank E, F, M, P, M0
rank M1 = M / M0
input Q[e:E, p:P], K[e:E, m:M], V[f:F, m]
BK[e, m1, m0] = K[e, m1*M0 + m0]
BV[f, m1, m0] = V[f, m1*M0 + m0]
"""

TWO_PASS = (
    PARTITIONED
    + """
BQK[m1, m0, p] = Q[e, p] * BK[e, m1, m0]
LM[m1, p] = max[m0](BQK[m1, m0, p])
GM[p] = max[m1](LM[m1, p])
SLN[m1, m0, p] = exp(BQK[m1, m0, p] - LM[m1, p])
SLD[m1, p] = sum[m0](SLN[m1, m0, p])
PRM[m1, p] = exp(LM[m1, p] - GM[p])
GD[p] = SLD[m1, p] * PRM[m1, p]
CN[m1, m0, p] = SLN[m1, m0, p] * PRM[m1, p]
A[m1, m0, p] = CN[m1, m0, p] / GD[p]
AV[f, p] = A[m1, m0, p] * BV[f, m1, m0]
output AV
"""
)

ONE_PASS = (
    PARTITIONED
    + """
init RM[0, p] = -inf
init RD[0, p] = 0
init RNV[f, 0, p] = 0
BQK[m1, m0, p] = Q[e, p] * BK[e, m1, m0]
LM[m1, p] = max[m0](BQK[m1, m0, p])
RM[m1+1, p] = max(RM[m1, p], LM[m1, p])
SLN[m1, m0, p] = exp(BQK[m1, m0, p] - RM[m1+1, p])
SLD[m1, p] = sum[m0](SLN[m1, m0, p])
SLNV[f, m1, p] = SLN[m1, m0, p] * BV[f, m1, m0]
PRM[m1, p] = expsub(RM[m1, p], RM[m1+1, p])
SPD[m1, p] = RD[m1, p] * PRM[m1, p]
RD[m1+1, p] = SLD[m1, p] + SPD[m1, p]
SPNV[f, m1, p] = RNV[f, m1, p] * PRM[m1, p]
RNV[f, m1+1, p] = SLNV[f, m1, p] + SPNV[f, m1, p]
AV[f, p] = RNV[f, M1, p] / RD[M1, p]
output AV
"""
)

FUSEMAX_1 = """
rank K
input A[k:K], B[k]
Y[] = A[k] * B[k]
Z[] = Y[] * A[k]
output Z
"""

FUSEMAX_2 = """
rank K
input A[k:K], B[k]
Y[] = A[k] * B[k]
X[] = A[k]
Z[] = Y[] * X[]
output Z
"""

FUSEMAX_3 = """
rank K
input A[k:K], B[k]
init RY[0] = 0
init RZ[0] = 0
RY[k+1] = RY[k] + A[k] * B[k]
RZ[k+1] = RZ[k] * RY[k+1] / RY[k] + RY[k+1] * A[k]
Z[] = RZ[K]
output Z
"""

LAYER_NORM = """
rank C, M
input X[c:C, m:M]
MU[c] = sum[m](X[c, m] / M)
D[c, m] = X[c, m] - MU[c]
VAR[c] = sum[m](square(D[c, m]) / M)
Y[c, m] = D[c, m] * rsqrt(VAR[c])
output Y
"""

SOFTMAX = """
rank C, M
input X[c:C, m:M]
G[c] = max[m](X[c, m])
N[c, m] = exp(X[c, m] - G[c])
D[c] = sum[m](N[c, m])
Y[c, m] = N[c, m] / D[c]
output Y
"""

RNN = """
rank T, D
rank J = D
input X[d:D, t:T], W[d, j:J], H0[d]
init H[0, d] = H0[d]
U[t, d] = W[d, j] * H[t, j]
H[t+1, d] = tanh(U[t, d] + X[d, t])
output H
"""

SHIFTED_FIBER = """
rank C, M
input X[c:C, m:M]
B[c] = sum[m](X[c, m])
Y[c, m] = X[c, m] * B[c-1] where c >= 1
output Y
"""

RUNNING_MAX = """
rank M, P
input X[m:M, p:P]
init R[0, p] = -inf
R[m+1, p] = max(R[m, p], X[m, p])
Y[m, p] = X[m, p] - R[m+1, p]
output Y
"""

CONVOLUTION = """
rank M, S
input X[m:M], F[s:S]
Y[m] = sum[s](X[m+s] * F[s]) where m + s < M
output Y
"""


SELF_ATTENTION = """
rank D, N
rank M = N
rank P = N
input X[d:D, n:N]
QK[m, p] = X[d, m] * X[d, p]
G[p] = max[m](QK[m, p])
A[m, p] = exp(QK[m, p] - G[p])
Y[d, p] = A[m, p] * X[d, m]
output Y
"""

ELSE = """
rank M
input X[m:M]
S[] = sum[m](X[m])
Y[m] = 0 where m < 2 else X[m] * S[]
output Y
"""

M4 = {"E": 2, "F": 2, "M": 4, "P": 5}
TILES = {"E": 2, "F": 2, "M": 14, "P": 2, "M0": 4}
ROWS = {"C": 3, "M": 4}

KNOWN = [
    ("FuseMax 1", FUSEMAX_1, {"K": 4}, "A", (0,), 2),
    ("FuseMax 1", FUSEMAX_1, {"K": 4}, "B", (0,), 1),
    ("FuseMax 2", FUSEMAX_2, {"K": 4}, "A", (0,), 1),
    ("FuseMax 3", FUSEMAX_3, {"K": 4}, "A", (0,), 1),
    ("three-pass", THREE_PASS, M4, "K", (1,), 3),
    ("three-pass", THREE_PASS, M4, "V", (1,), 1),
    ("three-pass", THREE_PASS, M4, "QK", (0,), 3),
    ("three-pass", THREE_PASS, M4, "SN", (0,), 2),
    ("three-pass", THREE_PASS, M4, "A", (0,), 1),
    ("causal", CAUSAL, M4, "K", (1,), 3),
    ("causal", CAUSAL, M4, "V", (1,), 1),
    ("deferred", DEFERRED, M4, "K", (1,), 2),
    ("two-pass", TWO_PASS, TILES, "K", (1,), 2),
    ("two-pass", TWO_PASS, TILES, "BK", (1, 2), 2),
    ("two-pass", TWO_PASS, TILES, "BK", (1,), 3),
    ("two-pass", TWO_PASS, TILES, "BK", (2,), 3),
    ("two-pass", TWO_PASS, TILES, "V", (1,), 1),
    ("one-pass", ONE_PASS, TILES, "K", (1,), 1),
    ("one-pass", ONE_PASS, TILES, "V", (1,), 1),
    ("one-pass", ONE_PASS, TILES, "BK", (1, 2), 1),
    ("one-pass", ONE_PASS, TILES, "BK", (1,), 1),
    ("one-pass", ONE_PASS, TILES, "BK", (2,), 2),
    ("one-pass", ONE_PASS, TILES, "BV", (2,), 1),
    ("layer norm", LAYER_NORM, ROWS, "X", (1,), 3),
    ("softmax", SOFTMAX, ROWS, "X", (1,), 3),
    ("shifted fiber", SHIFTED_FIBER, ROWS, "X", (1,), 1),
    ("running maximum", RUNNING_MAX, {"M": 4, "P": 2}, "X", (0,), 1),
    ("convolution", CONVOLUTION, {"M": 6, "S": 3}, "X", (0,), 1),
    ("convolution", CONVOLUTION, {"M": 6, "S": 3}, "F", (0,), 1),
]


@pytest.mark.parametrize(
    ("text", "extents", "tensor", "axes", "expected"),
    [case[1:] for case in KNOWN],
    ids=[f"{name}-{tensor}-{axes}" for name, _, _, tensor, axes, _ in KNOWN],
)
def test_known_counts(text: str, extents: dict[str, int], tensor: str, axes: tuple[int, ...], expected: int) -> None:
    assert passes_at(check(parse_module(text)), extents, tensor, axes) == expected


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5])
def test_recurrent_weights_are_read_once_a_step(steps: int) -> None:
    cascade = check(parse_module(RNN))
    assert passes_at(cascade, {"T": steps, "D": 7}, "W", (1,)) == steps


@pytest.mark.parametrize(("variables", "expected"), [(("m",), 2), (("p",), 1), (("m", "p"), 2), (None, 2)])
def test_self_attention_has_a_count_per_variable(variables: tuple[str, ...] | None, expected: int) -> None:
    cascade = check(parse_module(SELF_ATTENTION))
    assert passes_at(cascade, {"D": 2, "N": 6}, "X", (1,), variables) == expected


def test_else_is_read_where_the_filter_fails() -> None:
    assert passes_at(check(parse_module(ELSE)), {"M": 6}, "X", (0,)) == 2


def test_nothing_reads_an_output() -> None:
    assert passes_at(check(parse_module(SOFTMAX)), ROWS, "Y", (1,)) == 0


def test_random_cascades_cover_the_language() -> None:
    text = "\n".join(random_text(np.random.default_rng(number)) for number in range(400))
    for pattern in (
        r"init ",
        r"tanh\(",
        r"m1\*M0 \+ m0",
        r"max\[m0\]",
        r"max\[m1",
        r"m-1\D",
        r"m \+ s",
        r"m <= p",
        r"p - W < m",
        r"m < LEN\[c\]",
        r"c-1\D",
        r"rank P = M",
        r"output \w+, \w+",
        r"else",
        r"Y\d\[M[\],]",
        r"Y\d\[m\+1[\],]",
        r"Y\d\[T[\],]",
    ):
        assert re.search(pattern, text), pattern


def test_counts_do_not_depend_on_extents(seed: int) -> None:
    """As long as fibers are longer than the longest chain: where counts differ, all extents are doubled."""
    rng = np.random.default_rng((seed, 1))
    for _ in range(random_count(200)):
        cascade = random_cascade(rng)
        for tensor, axes, rank in counted_ranks(cascade):
            draws = [extents_for(cascade, rng, rank) for _ in range(2)]
            steps = {"T": 3, "C": 3, "D": 3}
            draws = [
                draw | {name: steps[name] for name in draw.keys() & steps.keys() if name != rank} for draw in draws
            ]
            found = {passes_at(cascade, draw, tensor, axes) for draw in draws}
            if len(found) > 1:
                longer = [{name: n if name == "M0" else 2 * n for name, n in draw.items()} for draw in draws]
                longer = [draw | {name: steps[name] for name in draw.keys() & steps.keys()} for draw in longer]
                found = {passes_at(cascade, draw, tensor, axes) for draw in longer}
            assert len(found) == 1, (str(cascade), tensor, axes)


def test_shrink_keeps_what_fails_and_drops_the_rest() -> None:
    def fails(text: str) -> bool:
        return "K" in check(parse_module(text)).tensor and passes_at(check(parse_module(text)), M4, "K", (1,)) >= 2

    assert len(check(parse_module(shrink(THREE_PASS, fails))).einsums) == 3
