"""The interpreter against NumPy written by hand for the same equations: time and peak memory, as ratios in one run."""

import numpy as np
from measure import Entry, alternate, peak_bytes

from einsum_cascade.cascade import parse
from einsum_cascade.interpreter import evaluate, random_inputs

__all__ = ["interpreter_entries"]

THREE_PASS = """
rank E, F, M, P
input Q[e:E, p:P], K[e:E, m:M], V[f:F, m:M]
QK[m, p] = Q[e, p] * K[e, m]
GM[p] = max[m](QK[m, p])
SN[m, p] = exp(QK[m, p] - GM[p])
SD[p] = sum[m](SN[m, p])
A[m, p] = SN[m, p] / SD[p]
AV[f, p] = A[m, p] * V[f, m]
output AV
"""
ONE_PASS = """
rank E, F, M, P, M0 = 256
rank M1 = M / M0
input Q[e:E, p:P], K[e:E, m:M], V[f:F, m:M]
BK[e, m1, m0] = K[e, m1*M0 + m0]
BV[f, m1, m0] = V[f, m1*M0 + m0]
init RM[0, p] = -inf
init RD[0, p] = 0
init RNV[f, 0, p] = 0
BQK[m1, m0, p] = Q[e, p] * BK[e, m1, m0]
LM[m1, p] = max[m0](BQK[m1, m0, p])
RM[m1 + 1, p] = max(RM[m1, p], LM[m1, p])
SLN[m1, m0, p] = exp(BQK[m1, m0, p] - RM[m1 + 1, p])
SLD[m1, p] = sum[m0](SLN[m1, m0, p])
SLNV[f, m1, p] = SLN[m1, m0, p] * BV[f, m1, m0]
PRM[m1, p] = expsub(RM[m1, p], RM[m1 + 1, p])
SPD[m1, p] = RD[m1, p] * PRM[m1, p]
RD[m1 + 1, p] = SLD[m1, p] + SPD[m1, p]
SPNV[f, m1, p] = RNV[f, m1, p] * PRM[m1, p]
RNV[f, m1 + 1, p] = SLNV[f, m1, p] + SPNV[f, m1, p]
AV[f, p] = RNV[f, M1, p] / RD[M1, p]
output AV
"""
HEADS = """
rank B, H, E, F, M, P
input Q[b:B, h:H, e:E, p:P], K[b:B, h:H, e:E, m:M], V[b:B, h:H, f:F, m:M]
QK[b, h, m, p] = Q[b, h, e, p] * K[b, h, e, m]
S[b, h, m, p] = QK[b, h, m, p] where m <= p
GM[b, h, p] = max[m](S[b, h, m, p])
SN[b, h, m, p] = exp(S[b, h, m, p] - GM[b, h, p])
SD[b, h, p] = sum[m](SN[b, h, m, p])
A[b, h, m, p] = SN[b, h, m, p] / SD[b, h, p]
AV[b, h, f, p] = A[b, h, m, p] * V[b, h, f, m]
output AV
"""
ATTENTION = {"M": 4096, "P": 4096, "E": 64, "F": 64}


def three_pass(q, k, v):
    """As written by someone who overwrites what is dead."""
    scores = k.T @ q
    scores -= scores.max(axis=0)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=0)
    return v @ scores


def one_pass(q, k, v, width=256):
    with np.errstate(invalid="ignore"):
        queries = q.shape[1]
        maximum = np.full(queries, -np.inf, q.dtype)
        denominator = np.zeros(queries, q.dtype)
        numerator = np.zeros((v.shape[0], queries), q.dtype)
        for start in range(0, k.shape[1], width):
            scores = k[:, start : start + width].T @ q
            new = np.maximum(maximum, scores.max(axis=0))
            scores -= new
            np.exp(scores, out=scores)
            correction = np.exp(maximum - new)
            denominator = denominator * correction + scores.sum(axis=0)
            numerator *= correction
            numerator += v[:, start : start + width] @ scores
            maximum = new
        return numerator / denominator


def causal_heads(q, k, v):
    scores = k.swapaxes(-1, -2) @ q
    kept = np.arange(k.shape[-1])[:, None] <= np.arange(q.shape[-1])
    scores[..., ~kept] = -np.inf
    scores -= scores.max(axis=-2, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-2, keepdims=True)
    return v @ scores


CASES = (
    ("3-pass attention", THREE_PASS, ATTENTION, three_pass, 1.3, 1.3),
    ("1-pass attention, M0 = 256", ONE_PASS, ATTENTION, one_pass, 1.5, 1.5),
    (
        "causal attention, 2 x 4 heads",
        HEADS,
        {"B": 2, "H": 4, "M": 1024, "P": 1024, "E": 64, "F": 64},
        causal_heads,
        1.5,
        1.5,
    ),
)


def inputs_of(cascade, extents):
    return {name: array.astype(np.float32) for name, array in random_inputs(cascade, extents, 0).items()}


def pair(text, extents, by_hand):
    """The two ways to compute the same, after making sure that they agree."""
    cascade = parse(text)
    inputs = inputs_of(cascade, extents)

    def ours():
        return evaluate(cascade, inputs, dtype="float32")["AV"]

    def theirs():
        return by_hand(inputs["Q"], inputs["K"], inputs["V"])

    np.testing.assert_allclose(ours(), theirs(), rtol=1e-3, atol=1e-4)
    return ours, theirs


def interpreter_entries() -> list[Entry]:
    """Compare time, then peak memory beyond the inputs, of every case."""
    found: list[Entry] = []
    for name, text, extents, by_hand, time_limit, memory_limit in CASES:
        ours, theirs = pair(text, extents, by_hand)
        found.append(alternate(f"{name}: time", ours, theirs, time_limit))
        a, b = peak_bytes(ours), peak_bytes(theirs)
        found.append(Entry(f"{name}: peak memory", a / 2**20, b / 2**20, "MiB", a / b, memory_limit))
    return found
