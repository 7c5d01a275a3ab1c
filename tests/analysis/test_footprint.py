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
    """Every generation reads W again: keep J elements of a fiber, or read D J words once more a generation."""
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
    assert live(every)["W"] == "J fiber"
    assert str(every.words) == "D*J"
