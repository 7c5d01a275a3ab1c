"""What attention starts from: queries, keys and values, given or projected, and which pairs of them meet.

The forms of attention are written against `Operands` and `Filter`, once for all settings.
"""

from collections.abc import Callable
from dataclasses import dataclass

from einsum_cascade.cascade.builder import CascadeBuilder, Filtered, RankHandle, TensorHandle, Value

__all__ = ["Filter", "Operands", "cross_operands", "every", "filtered", "grouped_operands", "self_operands"]

type Filter = Callable[[Value, Value], Value | None]
"""Says for key m and query p whether they meet; None if all do."""


@dataclass(frozen=True, slots=True)
class Operands:
    """Queries, keys and values with their rank variables.

    Parameters
    ----------
    Q, K, V
        `Q[*q, e, p]`, `K[*kv, e, m]` and `V[*kv, f, m]`.
    e, f, m, p
        Variables of the query and key width, the value width, the keys and the queries.
    M
        The rank of the keys.
    q, kv
        Variables that ride along with the queries, and with the keys and values: batch and heads.

    """

    Q: TensorHandle
    K: TensorHandle
    V: TensorHandle
    e: Value
    f: Value
    m: Value
    p: Value
    M: RankHandle
    q: tuple[Value, ...] = ()
    kv: tuple[Value, ...] = ()

    @property
    def tensors(self) -> tuple[TensorHandle, TensorHandle, TensorHandle]:
        """Q, K and V."""
        return self.Q, self.K, self.V

    @property
    def variables(self) -> tuple[Value, Value, Value, Value]:
        """The variables e, f, m and p."""
        return self.e, self.f, self.m, self.p


def every(m: Value, p: Value) -> None:
    """Let every key meet every query."""


def filtered(value: Value, keep: Value | None) -> Value | Filtered:
    """Filter an equation, or leave it alone if there is no filter."""
    return value if keep is None else value.where(keep)


def cross_operands(c: CascadeBuilder, E: RankHandle, F: RankHandle, M: RankHandle, P: RankHandle) -> Operands:
    """Take Q, K and V as inputs."""
    e, f, m, p = c.ranks(e=E, f=F, m=M, p=P)
    return Operands(c.input("Q", e, p), c.input("K", e, m), c.input("V", f, m), e, f, m, p, M)


def self_operands(c: CascadeBuilder, D: RankHandle, E: RankHandle, F: RankHandle, N: RankHandle) -> Operands:
    """Project Q, K and V from the tokens X, which are keys by m and queries by p."""
    M, P = c.rank("M", N), c.rank("P", N)
    d, e, f, n, m, p = c.ranks(d=D, e=E, f=F, n=N, m=M, p=P)
    X = c.input("X", d, n)
    WQ, WK, WV = c.param("WQ", d, e), c.param("WK", d, e), c.param("WV", d, f)
    c.Q[e, p] = WQ[d, e] * X[d, p]
    c.K[e, m] = WK[d, e] * X[d, m]
    c.V[f, m] = WV[d, f] * X[d, m]
    return Operands(c.Q, c.K, c.V, e, f, m, p, M)


def grouped_operands(
    c: CascadeBuilder,
    B: RankHandle,
    G: RankHandle,
    R: RankHandle,
    E: RankHandle,
    F: RankHandle,
    M: RankHandle,
    P: RankHandle,
) -> Operands:
    """Take Q, K and V as inputs of B sequences, with G key heads and R query heads for each of them."""
    b, g, r = c.ranks(b=B, g=G, r=R)
    e, f, m, p = c.ranks(e=E, f=F, m=M, p=P)
    Q, K, V = c.input("Q", b, g, r, e, p), c.input("K", b, g, e, m), c.input("V", b, g, f, m)
    return Operands(Q, K, V, e, f, m, p, M, (b, g, r), (b, g))
