"""Cases derived by hand that no cascade of the zoo shows."""

import pytest

from einsum_cascade import analyse, parse, passes
from einsum_cascade.errors import AnalysisError


def counts(text: str, *wanted: str) -> dict[str, str]:
    """Return `T/R: count`, with `+` behind a lower bound."""
    report = analyse(parse(text))
    found = {f"{b.target.tensor}/{b.target.rank}": f"{b.count}{'' if b.is_exact else '+'}" for b in report.passes}
    return {name: found[name] for name in wanted}


def test_a_recurrence_reads_its_weights_in_every_generation() -> None:
    """U[t] needs all of H[t], which needs all of U[t-1]: one pass over W a generation, over X[:, t] one in all."""
    text = """
        rank D, T
        rank J = D
        input W[d:D, j:J], X[d, t:T]
        init H[0, d] = 0
        U[t, d] = W[d, j] * H[t, j]
        H[t+1, d] = tanh(U[t, d] + X[d, t])
        Y[d] = H[T, d]
        output Y
    """
    assert counts(text, "W/J", "X/T", "X/D", "H/T") == {"W/J": "T", "X/T": "1", "X/D": "1", "H/T": "1"}


def test_a_barrier_before_and_after_a_recurrence_adds_a_pass_each() -> None:
    """S needs all of W before the first generation ends; Z reads W after the last: 1 of them overlaps, T + 1."""
    text = """
        rank D, T
        rank J = D
        input W[d:D, j:J], X[d, t:T]
        S[] = sum[d, j](W[d, j])
        init H[0, d] = 0
        U[t, d] = W[d, j] * H[t, j]
        H[t+1, d] = tanh(U[t, d] + X[d, t] / S[])
        G[] = sum[d](H[T, d])
        Z[d, j] = W[d, j] * G[]
        output Z
    """
    assert counts(text, "W/J") == {"W/J": "T + 1"}


def test_two_interleaved_recurrences() -> None:
    """A step of 2 makes two chains, of even and of odd generations: ceil(T/2) passes."""
    text = """
        rank D, T
        rank J = D
        input W[d:D, j:J]
        init H[0, d] = 0
        init H[1, d] = 1
        U[t, d] = W[d, j] * H[t, j]
        H[t+2, d] = tanh(U[t, d])
        Y[d] = H[T, d]
        output Y
    """
    assert counts(text, "W/J") == {"W/J": "ceiling(T/2)"}


def test_a_barrier_of_another_fiber_does_not_count() -> None:
    """Y reads fiber c after the sum of fiber c - 1: each fiber is traversed once, if they go one after the other."""
    text = """
        rank C, M
        input X[c:C, m:M]
        B[c] = sum[m](X[c, m])
        Y[c, m] = X[c, m] * B[c - 1] where c >= 1
        Z[c, m] = X[c, m] * B[c]
        output {}
    """
    assert counts(text.format("Y"), "X/M") == {"X/M": "2"}  # Z still reads its own fiber twice
    shifted = text.replace("        Z[c, m] = X[c, m] * B[c]\n", "").format("Y")
    assert counts(shifted, "X/M") == {"X/M": "1"}


def test_running_sums_over_earlier_fibers_do_not_count() -> None:
    """R[c] sums fibers before c, and Y reads fiber c: one pass; R[c + 1] includes fiber c: two."""
    text = """
        rank C, M
        input X[c:C, m:M]
        B[c] = sum[m](X[c, m])
        init R[0] = 0
        R[c+1] = R[c] + B[c]
        Y[c, m] = X[c, m] * R[{}]
        output Y
    """
    assert counts(text.format("c"), "X/M") == {"X/M": "1"}
    assert counts(text.format("c+1"), "X/M") == {"X/M": "2"}


def test_scans_stream_and_their_end_is_a_barrier() -> None:
    text = """
        rank M
        input X[m:M]
        init S[0] = 0
        S[m+1] = S[m] + X[m]
        Y[m] = X[m] * S[{}]
        output Y
    """
    assert counts(text.format("m"), "X/M") == {"X/M": "1"}
    assert counts(text.format("m+1"), "X/M") == {"X/M": "1"}
    assert counts(text.format("M"), "X/M") == {"X/M": "2"}


def test_bounded_offsets_cost_no_pass_and_reversal_is_a_lower_bound() -> None:
    text = "rank M, S\ninput X[m:M], G[s:S]\nY[m] = X[{}] * G[s] where m + s < M\nZ[m] = X[m] - Y[m]\noutput Z"
    assert counts(text.format("m + s"), "X/M") == {"X/M": "1"}
    reverse = "rank M\ninput X[m:M]\nY[m] = X[m] + X[M - 1 - m]\noutput Y"
    assert counts(reverse, "X/M") == {"X/M": "1+"}


def test_first_and_last_elements() -> None:
    """X[0] exists from the start, X[M-1] when the traversal ends: only the latter makes another pass."""
    text = "rank L\nrank M = L + 1\ninput X[m:M]\nC[] = X[{}]\nY[m] = X[m] - C[]\noutput Y"
    assert counts(text.format("0"), "X/M") == {"X/M": "1"}
    assert counts(text.format("M - 1"), "X/M") == {"X/M": "2"}


def test_aliases_give_a_count_each_and_chains_cross_them() -> None:
    """Both sums need one pass; Y[p] reads X by p after the sum by m: two, though each variable alone makes one."""
    text = """
        rank N
        rank M = N
        rank P = N
        input X[n:N]
        S[] = sum[m](X[m])
        Y[p] = X[p] * S[]
        output Y
    """
    bound = passes(parse(text), "X", "N")
    assert {via.variables: int(via.count) for via in bound.via} == {("m",): 1, ("p",): 1}
    assert (bound.count, bound.is_exact) == (2, True)


def test_two_variables_of_one_rank_make_a_lower_bound() -> None:
    """The prefix sums stream in ascending order; the bound must not say two."""
    text = """
        rank M
        input X[m:M]
        var j : M
        S[j] = sum[m](X[m]) where m <= j
        Y[j] = X[j] * S[j]
        output Y
    """
    assert counts(text, "X/M") == {"X/M": "1+"}


def test_a_chain_through_two_positions_at_once_is_not_claimed() -> None:
    """Y1 sits at m and at p: the sum over m ends a traversal by m, but by p alone Y3 can be summed as it comes."""
    text = """
        rank M
        rank P = M
        input X[m:M]
        Y1[m, p] = X[m] * X[p]
        Y2[m] = exp(X[m])
        Y3[p] = Y1[m, p] * Y2[m]
        Y4[] = sum[p](Y3[p])
        output Y4
    """
    assert counts(text, "X/M") == {"X/M": "1+"}


def test_a_filter_never_lowers_the_count() -> None:
    text = """
        rank M, P, W
        input QK[m:M, p:P]
        S[m, p] = exp(QK[m, p]) where m <= p and p - W < m
        D[p] = sum[m](S[m, p])
        A[m, p] = S[m, p] / D[p]
        output A
    """
    assert counts(text, "QK/M") == {"QK/M": "2"}


def test_nothing_reads_an_output() -> None:
    assert counts("rank M\ninput X[m:M]\nY[m] = exp(X[m])\noutput Y", "Y/M") == {"Y/M": "0"}


def test_unknown_targets() -> None:
    cascade = parse("rank M\ninput X[m:M]\nY[m] = exp(X[m])\noutput Y")
    with pytest.raises(AnalysisError, match=r"^tensor 'Z' must be one of X, Y$"):
        passes(cascade, "Z", "M")
    with pytest.raises(AnalysisError, match=r"^rank 'P' must be carried by tensor 'X', whose ranks are M$"):
        passes(cascade, "X", "P")
