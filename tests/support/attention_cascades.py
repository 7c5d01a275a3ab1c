"""Softmax attention in its four forms with a filter on the scores, where `{m}` stands for the key's position."""

__all__ = ["FORMS", "attention"]

HEAD = "rank E, F, M, P\ninput Q[e:E, p:P], K[e:E, m:M], V[f:F, m:M], LEN[p]\n"
TILED = "rank E, F, M, P, M0 = 4\nrank M1 = M / M0\ninput Q[e:E, p:P], K[e:E, m:M], V[f:F, m:M], LEN[p]\n"

THREE_PASS = """
QK[m, p] = Q[e, p] * K[e, m]
S[m, p] = QK[m, p] FILTER
GM[p] = max[m](S[m, p])
SN[m, p] = exp(S[m, p] - GM[p])
SD[p] = sum[m](SN[m, p])
A[m, p] = SN[m, p] / SD[p] ELSE
AV[f, p] = A[m, p] * V[f, m]
output AV
"""
DEFERRED = """
S[m, p] = Q[e, p] * K[e, m] FILTER
GM[p] = max[m](S[m, p])
SN[m, p] = exp(S[m, p] - GM[p])
SD[p] = sum[m](SN[m, p])
SNV[f, p] = SN[m, p] * V[f, m]
AV[f, p] = SNV[f, p] / SD[p] ELSE
output AV
"""
TWO_PASS = """
BK[e, m1, m0] = K[e, m1*M0 + m0]
BV[f, m1, m0] = V[f, m1*M0 + m0]
BQK[m1, m0, p] = Q[e, p] * BK[e, m1, m0] FILTER
LM[m1, p] = max[m0](BQK[m1, m0, p])
SLN[m1, m0, p] = exp(BQK[m1, m0, p] - LM[m1, p])
SLD[m1, p] = sum[m0](SLN[m1, m0, p])
GM[p] = max[m1](LM[m1, p])
PRM[m1, p] = expsub(LM[m1, p], GM[p])
GD[p] = SLD[m1, p] * PRM[m1, p]
A[m1, m0, p] = SLN[m1, m0, p] * PRM[m1, p] / GD[p] ELSE
AV[f, p] = A[m1, m0, p] * BV[f, m1, m0]
output AV
"""
ONE_PASS = """
BK[e, m1, m0] = K[e, m1*M0 + m0]
BV[f, m1, m0] = V[f, m1*M0 + m0]
init RM[0, p] = -inf
init RD[0, p] = 0
init RNV[f, 0, p] = 0
BQK[m1, m0, p] = Q[e, p] * BK[e, m1, m0] FILTER
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
AV[f, p] = RNV[f, M1, p] / RD[M1, p] ELSE
output AV
"""
FORMS = {
    "3-pass": (HEAD + THREE_PASS, "m"),
    "deferred": (HEAD + DEFERRED, "m"),
    "2-pass": (TILED + TWO_PASS, "m1*M0 + m0"),
    "1-pass": (TILED + ONE_PASS, "m1*M0 + m0"),
}


def attention(form, filter_="", otherwise=""):
    """The text of a form; `otherwise` is a filter and an `else` for the division."""
    text, position = FORMS[form]
    text = text.replace("FILTER", f"where {filter_.format(m=position)}" if filter_ else "")
    return text.replace("ELSE", otherwise)
