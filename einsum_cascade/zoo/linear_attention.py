"""Linear attention: a feature map in place of the softmax, so that keys and values are summed up once for all queries.

After Katharopoulos et al. (arXiv 2006.16236), Section 3.2, and Section 3.3 for the causal form. The feature map is
theirs, elu(x) + 1 (Equation 7), written as relu(x) + exp(min(x, 0)): equal, and exp never sees a large number.
"""

from einsum_cascade.cascade.builder import CascadeBuilder, RankHandle, TensorHandle, Value, cascade
from einsum_cascade.cascade.functions import exp, minimum, relu

__all__ = ["attention_linear", "attention_linear_causal"]


def _phi(x: Value) -> Value:
    return relu(x) + exp(minimum(x, 0))


@cascade
def attention_linear(c: CascadeBuilder, E: RankHandle, F: RankHandle, M: RankHandle, P: RankHandle) -> TensorHandle:
    """Linear attention to all keys (Katharopoulos et al., arXiv 2006.16236, Section 3.2)."""
    e, f, m, p = c.ranks(e=E, f=F, m=M, p=P)
    Q, K, V = c.input("Q", e, p), c.input("K", e, m), c.input("V", f, m)
    c.PQ[e, p] = _phi(Q[e, p])
    c.PK[e, m] = _phi(K[e, m])
    c.KV[e, f] = c.PK[e, m] * V[f, m]
    c.KS[e] = c.PK[e, m].sum(m)
    c.NV[f, p] = c.PQ[e, p] * c.KV[e, f]
    c.ND[p] = c.PQ[e, p] * c.KS[e]
    c.AV[f, p] = c.NV[f, p] / c.ND[p]
    return c.AV


@cascade
def attention_linear_causal(c: CascadeBuilder, E: RankHandle, F: RankHandle, N: RankHandle) -> TensorHandle:
    """Linear attention to the tokens so far, as a recurrence (Katharopoulos et al., arXiv 2006.16236, Section 3.3)."""
    e, f, n = c.ranks(e=E, f=F, n=N)
    Q, K, V = c.input("Q", e, n), c.input("K", e, n), c.input("V", f, n)
    c.PQ[e, n] = _phi(Q[e, n])
    c.PK[e, n] = _phi(K[e, n])
    c.init.KV[e, f, 0] = 0
    c.init.KS[e, 0] = 0
    c.KV[e, f, n + 1] = c.KV[e, f, n] + c.PK[e, n] * V[f, n]
    c.KS[e, n + 1] = c.KS[e, n] + c.PK[e, n]
    c.NV[f, n] = c.PQ[e, n] * c.KV[e, f, n + 1]
    c.ND[n] = c.PQ[e, n] * c.KS[e, n + 1]
    c.AV[f, n] = c.NV[f, n] / c.ND[n]
    return c.AV
