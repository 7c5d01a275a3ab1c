import pytest

from einsum_cascade import analyse, parse, zoo
from einsum_cascade.analysis.footprint import Footprint


def live(footprint: Footprint) -> dict[str, str]:
    return {entry.tensor: f"{entry.elements} {entry.reason}" for entry in footprint.live}


def test_three_passes() -> None:
    """FuseMax, Sec. III-B: the fiber of QK (then SN) of a query is live over a boundary, M elements.

    Beside it the maximum and the denominator of the query, and in the last pass the F sums of its output. Not keeping a
    fiber means writing and reading it: 2 M P words.
    """
    first, second, third = analyse(zoo.load("attention")).footprints_of("K", "M")
    assert live(first) == {"QK": "M fiber", "GM": "1 accumulator"}
    assert live(second) == {"GM": "1 result", "SN": "M fiber", "SD": "1 accumulator"}
    assert live(third) == {"SD": "1 result", "AV": "F accumulator"}
    assert [str(f.elements) for f in (first, second, third)] == ["M + 1", "M + 2", "F + 1"]
    assert [str(f.words) for f in (first, second, third)] == ["2*M*P", "2*M*P", "0"]
    assert [f.depends_on_rank for f in (first, second, third)] == [True, True, False]
    assert first.per == ("P",)


def test_one_pass() -> None:
    """F + 2 elements a query: running maximum, denominator and numerators (reference table C, row 0)."""
    (only,) = analyse(zoo.load("attention-1pass")).footprints_of("K", "M")
    assert live(only) == {"RM": "1 running", "RD": "1 running", "RNV": "F running"}
    assert not only.depends_on_rank


def test_one_pass_holds_a_tile() -> None:
    """Within a tile the scores are passed over twice, so M0 of them are live (reference A.2, subtlety i)."""
    first, second = analyse(zoo.load("attention-1pass")).footprints_of("BK", "M0")
    assert live(first)["BQK"] == "M0 fiber"
    assert first.depends_on_rank
    assert not second.depends_on_rank
    assert set(first.per) == {"M1", "P"}


def test_two_passes_keep_a_summary_per_tile() -> None:
    """M/M0 local maxima and denominators: not independent of the length (reference A.2, subtlety ii)."""
    first, second = analyse(zoo.load("attention-2pass")).footprints_of("K", "M")
    assert live(first)["LM"] == "M1 summary"
    assert live(first)["SLD"] == "M1 summary"
    assert live(second)["PRM"] == "M1 result"
    assert first.depends_on_rank and second.depends_on_rank


def test_window_bounds_the_fiber() -> None:
    """A query sees at most W keys, so what it keeps stops growing with M."""
    report = analyse(zoo.load("attention-window"))
    first, *_ = report.footprints_of("K", "M")
    assert live(first)["QK"] == "Min(M, W) fiber"
    assert not first.depends_on_rank
    position = report.passes.index(report.of("K", "M"))
    assert str(report.fibers[position]) in ("M", "Min(M, W)")


def test_sinks_beside_a_window_bound_the_fiber() -> None:
    """A query reads the W keys before it and the first G ones: at most W + G scores, however many keys there are."""
    text = """
        rank M, N, W, G
        input Q[n:N], K[m:M], V[m:M]
        S[m, n] = Q[n] * K[m] where m <= n and (n - W < m or m < G)
        GM[n] = max[m](S[m, n])
        SN[m, n] = exp(S[m, n] - GM[n])
        Z[n] = sum[m](SN[m, n] * V[m])
        output Z
    """
    report = analyse(parse(text))
    for target in ("K", "S"):
        first, _ = report.footprints_of(target, "M")
        assert live(first) == {"S": "Min(M, G + W) fiber", "GM": "1 accumulator"}
        assert not first.depends_on_rank


def test_a_window_of_an_alias_keeps_the_scores_until_their_maximum_is_there() -> None:
    """Key v visited, queries v to v + W - 1 are open: W maxima. A score (m, n) is made at m and read again at n.

    Of those with m < v <= n < m + W there are W - k for every k = v - m from 1 to W - 1: W (W - 1) / 2. The sums of a
    query begin and end in the visit of its own coordinate.
    """
    text = """
        rank N, W
        rank M = N
        input Q[n:N], K[n:N], V[n:N]
        S[m, n] = Q[n] * K[m] where m <= n and n - W < m
        GM[n] = max[m](S[m, n])
        SN[m, n] = exp(S[m, n] - GM[n])
        SD[n] = sum[m](SN[m, n])
        SNV[n] = sum[m](SN[m, n] * V[m])
        Z[n] = SNV[n] / SD[n]
        output Z
    """
    (only,) = analyse(parse(text)).footprints_of("K", "N")
    assert live(only) == {"S": "W**2/2 - W/2 kept", "GM": "W accumulator"}
    assert not only.depends_on_rank


@pytest.mark.parametrize("name", ["attention-causal", "attention-1pass-causal"])
def test_causal_fibers_still_grow(name: str) -> None:
    report = analyse(zoo.load(name))
    grows = report.footprints_of("K", "M")[0].depends_on_rank
    assert grows == (name == "attention-causal")


def test_sigmoid_and_linear_attention() -> None:
    """Reference table C: sigmoid holds F sums a query; linear attention E x F sums and E normalisers."""
    (sigmoid,) = analyse(zoo.load("attention-sigmoid")).footprints_of("K", "M")
    assert str(sigmoid.elements) == "1"
    assert set(sigmoid.per) == {"F", "P"}
    report = analyse(zoo.load("attention-linear"))
    (linear,) = report.footprints_of("K", "M")
    assert not linear.depends_on_rank


def test_a_bounded_offset_holds_a_window() -> None:
    """X[m + s] with s < S needs S - 1 earlier elements; Y[m - 1] beside Y[m] needs one."""
    text = """
        rank M, S
        input X[m:M], G[s:S]
        Y[m] = X[m + s] * G[s] where m + s < M
        Z[m] = Y[m] - Y[m - 1] where m >= 1
        output Z
    """
    (only,) = analyse(parse(text)).footprints_of("X", "M")
    assert live(only) == {"X": "S - 1 window", "Y": "1 window"}


def test_weights_of_a_recurrence_are_kept_or_read_again() -> None:
    """Every generation reads W again: keep D elements of a fiber, or read D * D words once more a generation."""
    text = """
        rank D, T
        rank J = D
        input W[d:D, j:J], X[d, t:T]
        init H[0, d] = 0
        U[t, d] = W[d, j] * H[t, j]
        H[t+1, d] = tanh(U[t, d] + X[d, t])
        output H
    """
    report = analyse(parse(text))
    (every,) = report.footprints_of("W", "J")
    assert str(report.of("W", "J").count) == "T"
    assert live(every)["W"] == "D fiber"
    assert str(every.words) == "D**2"


def test_a_recurrence_inside_a_visit_is_not_live_along_it() -> None:
    """U[n, 0] to U[n, I] are made and used while n is visited: one generation; Y sums tokens: one element."""
    text = """
        rank N, I
        input X[n:N]
        init U[n, 0] = 1
        U[n, i+1] = U[n, i] * X[n]
        Y[] = sum[n](U[n, I])
        output Y
    """
    (only,) = analyse(parse(text)).footprints_of("X", "N")
    assert live(only) == {"U": "1 running", "Y": "1 accumulator"}
    assert not only.depends_on_rank


def test_a_chunk_of_a_recurrence_does_not_grow_with_the_length() -> None:
    """Forward substitution inside a chunk of T tokens, a state between chunks (the delta rule's chunked form)."""
    text = """
        rank E, N, T
        rank C = N / T
        var s : T
        input K[e:E, n:N], V[e, n]
        KC[e, c, t] = K[e, c*T + t]
        A[c, t, s] = KC[e, c, t] * KC[e, c, s] where s < t
        init Y[0, e] = 0
        R[c, t] = sum[e](V[e, c*T + t] - KC[e, c, t] * Y[c, e])
        init U[c, 0, t] = 0
        AU[c, t] = sum[s](A[c, t, s] * U[c, t, s]) where s < t
        U[c, t+1, s] = R[c, t] - AU[c, t] where s == t else U[c, t, s]
        UP[c, e] = KC[e, c, t] * U[c, T, t]
        Y[c+1, e] = Y[c, e] + UP[c, e]
        Z[e] = Y[C, e]
        output Z
    """
    (only,) = analyse(parse(text)).footprints_of("K", "N")
    assert live(only) == {"Y": "1 running", "U": "T running"}
    assert only.per == ("E",)
    assert not only.depends_on_rank


PREFIXES = {
    "alias": "rank U = N\ninput X[n:N]\nG[n] = max[u](X[u]) where u <= n\nY[n] = X[n] - G[n]\noutput Y",
    "var": "input X[n:N]\nvar u : N\nG[n] = max[u](X[u]) where u <= n\nY[n] = X[n] - G[n]\noutput Y",
    "loop": "input X[n:N]\ninit G[0] = 0\nG[n+1] = max(G[n], X[n])\nY[n] = X[n] - G[n+1]\noutput Y",
}


@pytest.mark.parametrize("text", PREFIXES.values(), ids=PREFIXES)
def test_a_prefix_is_one_sum_in_every_spelling(text: str) -> None:
    (only,) = analyse(parse("rank N\n" + text)).footprints_of("X", "N")
    assert str(only.elements) == "1"


@pytest.mark.parametrize(
    ("right", "expected"),
    [
        ("sum[u](X[u] * W[n]) where u <= n", "N"),  # every coordinate's sum has terms of its own
        ("sum[u](X[u]) where u <= n and n - B < u", "B"),  # B windows are open at once
        ("sum[u](X[u]) where u >= n", "N"),
    ],
)
def test_sums_over_several_visits_are_counted_per_coordinate(right: str, expected: str) -> None:
    extra = ("B" in right) * ", B"
    text = f"rank N{extra}\nrank U = N\ninput X[n:N]{', W[n]' * ('W' in right)}\nG[n] = {right}\noutput G"
    (only,) = analyse(parse(text)).footprints_of("X", "N")
    assert live(only) == {"G": f"{expected} accumulator"}


def test_what_a_later_position_reads_persists() -> None:
    """Scores of two gates read C at m and at p: all N of them are kept. A window keeps what is before it."""
    text = """
        rank N, W
        rank M = N
        rank P = N
        input Q[n:N], K[n], G[n]
        C[n] = sigmoid(G[n])
        S[m, p] = Q[p] * K[m] * C[m] * C[p]{}
        output S
    """
    for where, expected in (
        (" where m - p < W", "N"),
        (" where m <= p and W >= 1", "N"),
        (" where m <= p and p - W < m", "W - 1"),
    ):
        (only,) = analyse(parse(text.format(where))).footprints_of("G", "N")
        assert live(only) == {"C": f"{expected} kept"}


def test_deferred_division_holds_the_sums_of_its_output() -> None:
    """In the second pass the denominator and F numerators of a query are open."""
    _, second = analyse(zoo.load("attention-deferred")).footprints_of("K", "M")
    assert live(second) == {"GM": "1 result", "SD": "1 accumulator", "SNV": "F accumulator"}


@pytest.mark.parametrize(
    ("update", "read", "expected"),
    [
        ("S[n+1] = S[n] + X[n]", "S[n+1]", "1"),
        ("S[n+1] = S[n] + X[n]", "S[n - 4]", "5"),  # S[n - 3] to S[n + 1] are still read after visit n
        ("S[n+3] = S[n+2] + S[n+1] + S[n] * X[n]", "S[n]", "3"),
    ],
)
def test_generations_that_are_read_later_are_live(update: str, read: str, expected: str) -> None:
    steps = 3 if "n+3" in update else 1
    inits = "\n".join(f"init S[{generation}] = {generation}" for generation in range(steps))
    text = f"rank N\ninput X[n:N], Z[n:N]\n{inits}\n{update}\nY[n] = Z[n] * {read} where n >= 4\noutput Y"
    (only,) = analyse(parse(text)).footprints_of("X", "N")
    assert live(only) == {"S": f"{expected} running"}


def test_what_is_mapped_after_a_loop_accumulates_nothing() -> None:
    text = """
        rank N
        input X[n:N]
        init S[0] = 0
        S[n+1] = S[n] + X[n]
        Y[n] = exp(X[n]) / S[N]
        output Y
    """
    (only,) = analyse(parse(text)).footprints_of("S", "N")
    assert "Y" not in live(only)


def test_a_fiber_has_the_elements_that_exist() -> None:
    """Scores of a causal self-attention: N (N + 1) / 2 of N * N, kept for the next pass over the keys."""
    text = """
        rank N
        rank P = N
        input K[n:N], Q[n:N]
        S[n, p] = K[n] * Q[p] where n <= p
        G[p] = max[n](S[n, p])
        A[n, p] = exp(S[n, p] - G[p])
        Y[p] = sum[n](A[n, p])
        output Y
    """
    first, _ = analyse(parse(text)).footprints_of("K", "N")
    assert live(first)["S"] == "N*(N + 1)/2 fiber"
