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


ONE_RANK = {
    "alias": "rank N\nrank U = N\ninput X[n:N]\nG[n] = max[u](X[u]){where}\nY[n] = exp(X[n] - G[n])\noutput Y",
    "var": "rank N\ninput X[n:N]\nvar u : N\nG[n] = max[u](X[u]){where}\nY[n] = exp(X[n] - G[n])\noutput Y",
}


@pytest.mark.parametrize("spelling", ONE_RANK)
@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (" where u <= n", "1"),  # G[n] is complete when n is visited, the visit in which Y[n] fires
        (" where u < n", "1"),
        (" where u <= n and n - W <= u", "1"),
        (" where u <= n and (u >= 2 or n >= 3)", "1"),
        ("", "2"),  # G[0] needs the last element: a barrier
        (" where u >= n", "2"),  # a suffix: G[0] needs the last element, ascending
        (" where u != n", "2"),
        (" where n <= u and u >= 1", "2"),
        (" where u <= n + 1", "1+"),  # one later: within a bounded offset, which the definition leaves free
        (" where u <= n + W", "1+"),
        (" where u <= 2*n", "1+"),  # not understood: nothing is claimed
        (" where u + n < N", "1+"),
    ],
)
def test_a_filter_between_variables_of_a_rank_says_what_a_reduction_waits_for(
    spelling: str, where: str, expected: str
) -> None:
    text = ONE_RANK[spelling].format(where=where)
    text = text.replace("rank N\n", "rank N, W\n", 1) if "W" in where else text
    assert counts(text, "X/N") == {"X/N": expected}


@pytest.mark.parametrize(
    ("where", "descending"),
    [(" where u >= n", 1), (" where u > n", 1), ("", None), (" where u <= n", None), (" where u != n", None)],
)
def test_a_descending_traversal_is_told_where_it_needs_fewer_passes(where: str, descending: int | None) -> None:
    """A suffix is complete at n if the traversal comes from the end; a prefix is so ascending, and of the rest both."""
    bound = passes(parse(ONE_RANK["alias"].format(where=where)), "X", "N")
    assert bound.descending == descending


def test_the_last_element_comes_first_in_a_descending_traversal() -> None:
    text = "rank L\nrank M = L + 1\ninput X[m:M]\nC[] = X[M - 1]\nY[m] = X[m] - C[]\noutput Y"
    assert passes(parse(text), "X", "M").descending == 1
    scan = "rank M\ninput X[m:M]\ninit S[0] = 0\nS[m+1] = S[m] + X[m]\nY[m] = X[m] * S[M]\noutput Y"
    assert passes(parse(scan), "X", "M").descending is None


def test_a_prefix_in_three_spellings() -> None:
    """An alias, a `var` and a recurrence: the sum up to n exists when n is visited."""
    recurrence = """
        rank N
        input X[n:N]
        init G[0] = -inf
        G[n+1] = max(G[n], X[n])
        Y[n] = exp(X[n] - G[n+1])
        output Y
    """
    texts = [text.format(where=" where u <= n") for text in ONE_RANK.values()] + [recurrence]
    assert [counts(text, "X/N") for text in texts] == [{"X/N": "1"}] * 3


PROJECTED = """
rank D, E, F, N
rank M = N
input X[d:D, n:N]
param WQ[d, e:E], WK[d, e], WV[d, f:F]
Q[e, n] = WQ[d, e] * X[d, n]
K[e, {m}] = WK[d, e] * X[d, {m}]
V[f, {m}] = WV[d, f] * X[d, {m}]
S[m, n] = Q[e, n] * K[e, m]{where}
O[f, n] = S[m, n] * V[f, m]
"""


@pytest.mark.parametrize("variable", ["m", "n"])
def test_causal_linear_attention_from_projections(variable: str) -> None:
    """Token n needs keys up to n only, which earlier visits made: one pass. Of a residual X[n] + O[n], too."""
    text = PROJECTED.format(m=variable, where=" where m <= n") + "R[f, n] = O[f, n] + Q[e, n]\noutput R"
    text = text.replace("+ Q[e, n]", "+ X[f, n]").replace("rank D, E, F, N", "rank D, E, N\nrank F = D")
    assert counts(text, "X/N") == {"X/N": "1+"}
    assert counts(text.replace(" where m <= n", ""), "X/N") == {"X/N": "2+"}


def test_read_by_tiles_and_plainly() -> None:
    """The mean of the last tile exists at the end, and S[a, p] reads Q[p] for every p: two, unless p comes later."""
    text = """
        rank A, T
        rank P = A * T
        input Q[p:P]
        AG[a] = Q[a*T + t]
        S[a, p] = AG[a] * Q[p]{}
        output S
    """
    assert counts(text.format(""), "Q/P") == {"Q/P": "2"}
    assert counts(text.format(" where a*T + T - 1 <= p"), "Q/P") == {"Q/P": "1"}
    assert counts(text.format(" where p <= a*T"), "Q/P") == {"Q/P": "2"}


SOFTMAX_OF_TWO = """
S[m, p] = {0}[m] * {1}[p]{2}
GM[p] = max[m](S[m, p])
SN[m, p] = exp(S[m, p] - GM[p])
SD[p] = sum[m](SN[m, p])
A[m, p] = SN[m, p] / SD[p]
O[p] = A[m, p] * {0}[m]
"""


@pytest.mark.parametrize("where", ["", " where m <= p"])
@pytest.mark.parametrize(("after", "more"), [("output O", 0), ("R[n] = O[n] + X[n]\noutput R", 1)])
def test_an_elementwise_einsum_before_self_attention_hides_no_barrier(where: str, after: str, more: int) -> None:
    """Y by m and by p is like two copies of it: scores, maximum, exponentials, sum, division: three, along m.

    A residual reads X once more, after the last sum; where the filter has that complete at p, in the third pass.
    """
    head = "rank N\nrank M = N\nrank P = N\ninput X[n:N]\n"
    once = head + "Y[n] = sigmoid(X[n])" + SOFTMAX_OF_TWO.format("Y", "Y", where) + after
    twice = head + "Y[m] = sigmoid(X[m])\nZ[p] = sigmoid(X[p])" + SOFTMAX_OF_TWO.format("Y", "Z", where) + after
    expected = {"X/N": f"{3 if where else 3 + more}+"}
    assert counts(once, "X/N") == expected
    assert counts(twice, "X/N") == expected


def test_gates_that_accumulate_before_self_attention() -> None:
    """A forget gate: its running sum is read at m and at p, the softmax passes over it three times along m."""
    text = """
        rank E, N
        rank M = N
        rank P = N
        input F[n:N], Q[e:E, p:P], K[e, m:M], V[e, m]
        init C[0] = 0
        C[n+1] = C[n] + log(sigmoid(F[n]))
        S[m, p] = sum[e](Q[e, p] * K[e, m]) where m <= p
        B[m, p] = S[m, p] + C[p+1] - C[m+1]
        GM[p] = max[m](B[m, p])
        SN[m, p] = exp(B[m, p] - GM[p])
        SD[p] = sum[m](SN[m, p])
        A[m, p] = SN[m, p] / SD[p]
        O[e, p] = A[m, p] * V[e, m]
        output O
    """
    assert counts(text, "F/N", "K/M") == {"F/N": "3+", "K/M": "3"}


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


ELSE = """
rank N
rank U = N
input X[n:N]
A[n, u] = X[u] where u <= n else {}
S[n] = sum[u](A[n, u])
Y[n] = X[n] * S[n]
output Y
"""


@pytest.mark.parametrize(("otherwise", "expected"), [("0", "1"), ("n", "1"), ("X[n]", "1+")])
def test_points_of_an_else_wait_for_what_the_else_reads(otherwise: str, expected: str) -> None:
    """Beyond n the sum takes in what reads nothing, or X[n]: it is complete at n either way."""
    assert counts(ELSE.format(otherwise), "X/N") == {"X/N": expected}


def test_a_triangular_solve_streams() -> None:
    """Row i needs the solutions before it, which earlier visits made: one pass, at least."""
    text = """
        rank N
        var i : N
        rank G = N
        input L[i:N, g:G], B[i:N]
        init Z[0, i] = B[i]
        Z[g+1, i] = Z[g, i] - L[i, g] * Z[g, g] where i > g else Z[g, i]
        Y[i] = Z[i, i]
        output Y
    """
    assert counts(text, "B/N") == {"B/N": "1+"}


def test_a_witness_names_the_reduction_that_is_waited_for() -> None:
    """S and T are reduced alike, but only T is read: T is the reason, whichever stands first."""
    text = "rank M\ninput X[m:M]\nS[] = sum[m](X[m])\nT[] = max[m](X[m])\nY[m] = X[m] - T[]\noutput Y, S"
    report = analyse(parse(text))
    assert report.witness("X", "M") == ("T[] needs every X[m] before the first Y[m]: pass 2 begins",)
    first, _ = report.footprints_of("X", "M")
    assert {entry.tensor for entry in first.live} == {"X", "S", "T"}


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


def test_the_end_of_one_fiber_and_the_way_along_another_are_no_barrier() -> None:
    """Y[m, d] reads Z[m + 1, d - 1] along its fiber, and the last of Z[:, d], where it sits.

    Fibers from D - 1 down, each is gone over once.
    """
    text = """
        rank M, D
        input X[d:D, m:M]
        init Z[0, d] = 0
        Z[m + 1, d] = Z[m, d] + X[d, m]
        W[m, d] = Z[m + 1, d - 1] where d >= 1
        Y[m, d] = max(W[m, d], Z[M, d])
        G[d] = max[m](Y[m, d])
        output G
    """
    assert counts(text, "X/M", "Z/M") == {"X/M": "1", "Z/M": "1+"}


def test_nothing_reads_an_output() -> None:
    assert counts("rank M\ninput X[m:M]\nY[m] = exp(X[m])\noutput Y", "Y/M") == {"Y/M": "0"}


def test_unknown_targets() -> None:
    cascade = parse("rank M\ninput X[m:M]\nY[m] = exp(X[m])\noutput Y")
    with pytest.raises(AnalysisError, match=r"^tensor 'Z' must be one of X, Y$"):
        passes(cascade, "Z", "M")
    with pytest.raises(AnalysisError, match=r"^rank 'P' must be carried by tensor 'X', whose ranks are M$"):
        passes(cascade, "X", "P")
