"""Sigmoid attention: every weight depends on its own score only, so that no row of scores is ever needed whole."""

from einsum_cascade.cascade.builder import CascadeBuilder, RankHandle, TensorHandle, cascade
from einsum_cascade.cascade.functions import log, sigmoid, sqrt

__all__ = ["attention_sigmoid"]


@cascade
def attention_sigmoid(c: CascadeBuilder, E: RankHandle, F: RankHandle, M: RankHandle, P: RankHandle) -> TensorHandle:
    """Sigmoid attention, one pass (Ramapuram et al., arXiv 2409.04431, Section 2).

    The bias is the paper's choice b = -log(number of keys), and the scores are scaled by 1/sqrt(E), as there.
    """
    e, f, m, p = c.ranks(e=E, f=F, m=M, p=P)
    Q, K, V = c.input("Q", e, p), c.input("K", e, m), c.input("V", f, m)
    c.QK[m, p] = Q[e, p] * K[e, m]
    c.SN[m, p] = sigmoid(c.QK[m, p] / sqrt(E) - log(M))
    c.AV[f, p] = c.SN[m, p] * V[f, m]
    return c.AV
