import math
from pathlib import Path

import pytest

from einsum_cascade import CascadeBuilder, cascade, exp, expsub, maximum, parse, sqrt, where
from einsum_cascade.errors import CheckError


def test_decorator_and_text_are_equal() -> None:
    @cascade
    def scores(c, E, M, P, W):
        """Filtered scores."""
        e, m, p = c.ranks(e=E, m=M, p=P)
        Q, K, LEN = c.input("Q", e, p), c.input("K", e, m), c.input("LEN")
        c.QK[m, p] = (Q[e, p] * K[e, m]).where((m <= p) & (p - W < m) & ~(m >= LEN[()]))
        c.S[m, p] = c.QK[m, p] / sqrt(E)
        c.B[m, p] = where(1, m <= p, 0)
        c.GM[p] = c.S[m, p].max(m)
        return c.S, c.GM, c.B

    text = """
        cascade scores
        rank E, M, P, W
        input Q[e:E, p:P], K[e:E, m:M], LEN[]
        QK[m, p] = Q[e, p] * K[e, m] where m <= p and p - W < m and not (m >= LEN[])
        S[m, p] = QK[m, p] / sqrt(E)
        B[m, p] = 1 where m <= p else 0
        GM[p] = max[m](S[m, p])
        output S, GM, B
    """
    assert scores == parse(text)
    assert scores.documentation == "Filtered scores."


def test_plain_class_and_text_are_equal() -> None:
    c = CascadeBuilder("running")
    M, P, M0 = c.rank("M"), c.rank("P"), c.rank("M0")
    M1 = c.rank("M1", M / M0)
    N = c.rank("N", M)
    m, p, m0, m1, n = c.ranks(m=M, p=P, m0=M0, m1=M1, n=N)
    X, G = c.input("X", m, p), c.param("G", m)
    c.tensor("T", n)
    c.BX[m1, m0, p] = X[m1 * M0 + m0, p] * G[m1 * M0 + m0]
    c.LM[m1, p] = c.BX[m1, m0, p].max(m0)
    c.init.RM[0, p] = -math.inf
    c.RM[m1 + 1, p] = maximum(c.RM[m1, p], c.LM[m1, p])
    c.PRM[m1, p] = expsub(c.RM[m1, p], c.RM[m1 + 1, p])
    c.L[p] = c.RM[M1, p]
    c.T[n] = exp(-G[n]).where(n >= 0)
    c.output(c.PRM, "L", "T")
    text = """
        cascade running
        rank M, P, M0
        rank M1 = M / M0
        rank N = M
        input X[m:M, p:P]
        param G[m:M]
        tensor T[n:N]
        BX[m1, m0, p] = X[m1*M0 + m0, p] * G[m1*M0 + m0]
        LM[m1, p] = max[m0](BX[m1, m0, p])
        init RM[0, p] = -inf
        RM[m1+1, p] = max(RM[m1, p], LM[m1, p])
        PRM[m1, p] = expsub(RM[m1, p], RM[m1+1, p])
        L[p] = RM[M1, p]
        T[n] = exp(-G[n]) where n >= 0
        output PRM, L, T
    """
    assert c.build() == parse(text)


def test_mistakes_name_the_python_line() -> None:
    def wrong(c, M, P):
        m, p = c.ranks(m=M, p=P)
        X = c.input("X", m, p)
        c.Y[m] = X[m]  # the line that is named
        c.Z[m] = exp(c.Y[m], 2)
        return c.Z

    with pytest.raises(CheckError) as raised:
        cascade(wrong)
    first = wrong.__code__.co_firstlineno
    lines = [(Path(d.span.file).name, d.span.line - first) for d in raised.value.diagnostics]
    assert lines == [("test_builder.py", 3), ("test_builder.py", 4)]
    assert "c.Y[m] = X[m]  # the line that is named" in str(raised.value)


def test_wrong_python_arguments() -> None:
    c = CascadeBuilder("wrong")
    m = c.rank_variable("m", c.rank("M"))
    X = c.input("X", m)
    with pytest.raises(TypeError, match=r"test_builder.py:\d+: tensor 'X' must be read with its indices in brackets"):
        c.Y[m] = exp(X)
