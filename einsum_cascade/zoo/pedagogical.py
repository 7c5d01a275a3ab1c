"""The three cascades by which FuseMax (arXiv 2406.10491) explains passes: Z = (A . B) * sum(A) in 2, 1 and 1 passes."""

from einsum_cascade.cascade.builder import CascadeBuilder, RankHandle, TensorHandle, cascade

__all__ = ["pedagogical_2pass", "pedagogical_deferred", "pedagogical_iterative"]


@cascade
def pedagogical_2pass(c: CascadeBuilder, K: RankHandle) -> TensorHandle:
    """Read A again once Y is known: two passes over A (FuseMax, arXiv 2406.10491, Cascade 1)."""
    (k,) = c.ranks(k=K)
    A, B = c.input("A", k), c.input("B", k)
    c.Y[()] = A[k] * B[k]
    c.Z[()] = c.Y[()] * A[k]
    return c.Z


@cascade
def pedagogical_deferred(c: CascadeBuilder, K: RankHandle) -> TensorHandle:
    """Multiply with Y after the sum, not before: one pass over A (FuseMax, arXiv 2406.10491, Cascade 2)."""
    (k,) = c.ranks(k=K)
    A, B = c.input("A", k), c.input("B", k)
    c.Y[()] = A[k] * B[k]
    c.X[()] = A[k].sum(k)
    c.Z[()] = c.Y[()] * c.X[()]
    return c.Z


@cascade
def pedagogical_iterative(c: CascadeBuilder, K: RankHandle) -> TensorHandle:
    """Correct a running product whenever Y grows: one pass over A (FuseMax, arXiv 2406.10491, Cascade 3).

    The paper divides by RY_0 = 0 in the first iteration. Here that iteration is apart: RZ_0 = 0 contributes nothing,
    so it is left out. No later partial sum of A * B may be 0, in the paper as here.
    """
    (k,) = c.ranks(k=K)
    A, B = c.input("A", k), c.input("B", k)
    c.init.RY[0] = 0
    c.init.RZ[0] = 0
    c.RY[k + 1] = c.RY[k] + A[k] * B[k]
    c.RZ[k + 1] = (c.RZ[k] * c.RY[k + 1] / c.RY[k] + c.RY[k + 1] * A[k]).where(k > 0, c.RY[k + 1] * A[k])
    c.Z[()] = c.RZ[K]
    return c.Z
