from itertools import product

import numpy as np
import pytest
from random_counts import random_count

from einsum_cascade import analyse, parse, resolve_extents, zoo
from einsum_cascade.analysis.symbolic import evaluate
from einsum_cascade.errors import AnalysisError


def test_compulsory_traffic_reads_and_writes_once() -> None:
    report = analyse(zoo.load("attention"))
    rows = {(entry.tensor, str(entry.words), entry.reason) for entry in report.traffic}
    assert rows == {
        ("Q", "E*P", "compulsory read"),
        ("K", "E*M", "compulsory read"),
        ("V", "F*M", "compulsory read"),
        ("AV", "F*P", "compulsory write"),
    }


def test_inputs_that_nothing_reads_cost_nothing() -> None:
    report = analyse(parse("rank M\ninput X[m:M], Z[m:M]\nY[m] = exp(X[m])\noutput Y"))
    assert [entry.tensor for entry in report.traffic] == ["X", "Y"]


@pytest.mark.parametrize(("start", "words"), [("0", "E*N"), ("B[e]", "E*(N + 1)"), ("-inf", "E*N")])
def test_constants_that_an_output_starts_from_need_not_move(start: str, words: str) -> None:
    """Generations 1 to N of E elements are computed; generation 0 moves only if it is data."""
    given = ", B[e:E]" if "B" in start else ""
    report = analyse(
        parse(f"rank N, E\ninput X[n:N, e:E]{given}\ninit H[0, e] = {start}\nH[n + 1, e] = H[n, e] + X[n, e]\noutput H")
    )
    found = {str(entry.words) for entry in report.traffic if entry.tensor == "H"}
    assert found == {words}


def test_generations_that_are_not_there_are_not_subtracted() -> None:
    """Two starts, generations 0 and 1 of N + 1: the other N - 1 are computed, none where N is 0."""
    report = analyse(
        parse(
            "rank N, E\ninput X[n:N, e:E]\ninit H[0, e] = 0\ninit H[1, e] = 1\n"
            "H[n + 2, e] = H[n, e] + X[n, e]\noutput H"
        )
    )
    (found,) = (entry.words for entry in report.traffic if entry.tensor == "H")
    assert [evaluate(found, {"N": n, "E": 3}) for n in range(4)] == [0, 0, 3, 6]


def extra(name: str, capacity_words: int, **settings: int) -> dict[tuple[str, str], int]:
    report = analyse(zoo.load(name))
    extents = resolve_extents(report.cascade, settings)
    entries = report.plain_plan(extents, capacity_words)
    return {(entry.tensor, entry.reason.split(":")[0]): evaluate(entry.words, {}) for entry in entries}


def test_what_fits_costs_nothing() -> None:
    """All of K and V (2 * 8 * 64 words) and one query's live state fit: the queries stream past them."""
    assert extra("attention", 2 * 8 * 64 + 200, E=8, F=8, M=64, P=1000) == {}


def test_three_passes_spill_when_keys_do_not_fit() -> None:
    """K and V do not fit, and QK, SN of few queries at a time would read them too often: spill both fibers.

    With E = F = 8, M = 4096 and 2048 words: keeping M + 2 + E words a query is impossible, so 2 M P words for QK and
    for SN; F + 2 + E = 18 words a query without the fibers, 113 queries at once, K and V read ceil(256/113) = 3 times.
    """
    found = extra("attention", 2048, E=8, F=8, M=4096, P=256)
    assert found == {
        ("QK", "spilled for pass 2 over K along M"): 2 * 4096 * 256,
        ("SN", "spilled for pass 3 over K along M"): 2 * 4096 * 256,
        ("K", "read 3 times"): 2 * 8 * 4096,
        ("V", "read 3 times"): 2 * 8 * 4096,
    }


def test_one_pass_only_reads_the_keys_again() -> None:
    """F + 2 + E = 18 words a query: 113 at once, K and V read 3 times, nothing spilled."""
    found = extra("attention-1pass", 2048, E=8, F=8, M=4096, P=256, M0=16)
    assert found == {("K", "read 3 times"): 2 * 8 * 4096, ("V", "read 3 times"): 2 * 8 * 4096}


def test_a_direct_second_pass_reads_the_input_again() -> None:
    """FuseMax Cascade 1: Z needs the finished sum Y and all of A once more."""
    text = "rank K\ninput A[k:K], B[k:K]\nY[] = A[k] * B[k]\nZ[] = Y[] * A[k]\noutput Z"
    report = analyse(parse(text))
    (entry,) = report.plain_plan({"K": 1000}, 100)
    assert (entry.tensor, evaluate(entry.words, {})) == ("A", 1000)
    assert entry.reason == "read again for pass 2 over A along K"


def test_a_capacity_that_nothing_fits_says_so() -> None:
    found = extra("attention", 4, E=8, F=8, M=64, P=16)
    assert found == {("Q", "no order of the passes fits 4 words"): 0}


def test_a_capacity_needs_all_extents() -> None:
    with pytest.raises(AnalysisError, match=r"^a capacity needs the extent of every rank, but P has none"):
        analyse(zoo.load("attention")).plain_plan({"E": 1, "F": 1, "M": 1}, 100)


KEYS = "rank E, M, P, W\ninput Q[e:E, p:P], K[e, m:M], L[w:W]\nQK[m, p] = Q[e, p] * K[e, m]{}\noutput QK"


@pytest.mark.parametrize(
    ("where", "keys", "scores"),
    [
        ("", 64 * 65536, 65536 * 16),
        (" where m >= M - W", 64 * 128, 128 * 16),  # the last W keys
        (" where m <= p", 64 * 16, 136),  # 16 queries see 16 keys at most, 1 + 2 + ... + 16 scores
        (" where p - W < m and m <= p", 64 * 16, 136),
        (" where m <= p + M - P and p + M - P - W < m", 64 * (128 + 15), 128 * 16),  # the last query is at the last key
        (" where m < 5 or m >= M - 3", 64 * 8, 8 * 16),
        (" where m == p", 64 * 16, 16),
    ],
)
def test_elements_that_a_filter_leaves_out_are_not_moved(where: str, keys: int, scores: int) -> None:
    report = analyse(parse(KEYS.format(where)))
    extents = {"E": 64, "M": 65536, "P": 16, "W": 128}
    words = {entry.tensor: evaluate(entry.words, extents) for entry in report.traffic}
    assert words == {"Q": 64 * 16, "K": keys, "QK": scores}


def test_a_filter_that_reads_data_gives_an_upper_bound() -> None:
    text = "rank B, M\ninput X[b:B, m:M], LEN[b]\nY[b] = sum[m](X[b, m]) where m < LEN[b]\noutput Y"
    words = {entry.tensor: (str(entry.words), entry.is_exact) for entry in analyse(parse(text)).traffic}
    assert words == {"X": ("B*M", False), "LEN": ("B", True), "Y": ("B", True)}


@pytest.mark.parametrize(
    ("read", "where", "extents", "expected"),
    [
        (
            "X[3*y + r, 0]",
            "3*y + r < I",
            {"I": 30, "Y": 8, "R": 2, "J": 1},
            16,
        ),  # 8 pairs of neighbours, nothing between
        ("X[y*R + r, r]", "y*R + r < I and r < J", {"I": 12, "J": 4, "Y": 3, "R": 4}, 12),  # a block of its own a head
        ("X[2*y + 3*r, 0]", "2*y + 3*r < I", {"I": 20, "Y": 3, "R": 2, "J": 1}, 6),  # 0, 2, 4 and 3, 5, 7
        ("X[y, 0]", "3*y == 2*r + 1 and y < I", {"I": 10**6, "Y": 10**6, "R": 10**9, "J": 1}, 500_000),  # odd ones
        ("X[y, 0]", "4*y + 2*r < I", {"I": 200_000, "Y": 200_000, "R": 9, "J": 1}, 50_000),  # below a quarter
    ],
)
def test_elements_of_combined_strides(read: str, where: str, extents: dict[str, int], expected: int) -> None:
    text = f"rank I, Y, R\nrank J >= 1\ninput X[i:I, j:J]\nZ[y, r] = {read} where {where}\noutput Z"
    words = {entry.tensor: entry for entry in analyse(parse(text)).traffic}["X"]
    assert (evaluate(words.words, extents), words.is_exact) == (expected, True)


def test_distinct_elements_of_all_points_are_their_number() -> None:
    text = "rank H, D, E\ninput W[e:E, d:D]\nZ[h, d] = W[h*D + d, d] where h*D + d < E\noutput Z"
    assert str(analyse(parse(text)).traffic[0].words) == "Min(E, D*H)"


def random_reads(rng: np.random.Generator) -> tuple[str, list[tuple[str, str, str]]]:
    """Draw Einsums that read X by affine indices under filters: their text, and index, index and filter of each."""
    first = ["m", "p", "m - 1", "m + p", "2*m", "M - 1 - m", "p", "m1*T + t", "2*p + t", "3*m + 2*p", "T*p + c"]
    second = ["c", "c + 1", "m", "C - 1 - c"]
    filters = ["m <= p", "m - W < p", "p >= 2", "m + p < M", "c <= m", "m == p", "t <= m1", "m >= M - W or m < 2"]
    filters += ["2*m == 3*p + 1", "4*m + 2*p < M"]
    drawn: list[tuple[str, str, str]] = []
    for _ in range(int(rng.integers(1, 4))):
        indices = str(rng.choice(first)), str(rng.choice(second))
        inside = [f"0 <= {index} and {index} < {size}" for index, size in zip(indices, ("M", "C"), strict=True)]
        inside = [part.replace("0 <= ", "").replace(" and", " >= 0 and") for part in inside]
        chosen = [str(part) for part in rng.choice(filters, int(rng.integers(0, 3)), replace=False)]
        drawn.append((*indices, " and ".join(f"({part})" for part in [*inside, *chosen])))
    lines = [
        f"Y{at}[m, p, c, m1, t] = X[{i}, {j}] + Z[m, p, c, m1, t] where {where}"
        for at, (i, j, where) in enumerate(drawn)
    ]
    head = "rank M, P, C, T, W\nrank M1 = M / T\ninput X[m:M, c:C], Z[m:M, p:P, c:C, m1:M1, t:T], L[w:W]"
    outputs = ", ".join(f"Y{at}" for at in range(len(drawn)))
    return "\n".join([head, *lines, f"output {outputs}"]), drawn


def test_words_are_those_of_an_enumeration(seed: int) -> None:
    """Elements that some surviving point reads, and points of the results, one by one; no data decides."""
    for number in range(random_count(300)):
        rng = np.random.default_rng([seed, number])
        text, drawn = random_reads(rng)
        sizes = {name: int(rng.integers(1, 6)) for name in ("M", "P", "C", "T", "W")}
        sizes["M1"] = -(-sizes["M"] // sizes["T"])
        reached: set[tuple[int, int]] = set()
        made: list[int] = []
        for i, j, where in drawn:
            points = 0
            for m, p, c, m1, t in product(*(range(sizes[name]) for name in ("M", "P", "C", "M1", "T"))):
                at = sizes | {"m": m, "p": p, "c": c, "m1": m1, "t": t}
                if eval(where, {}, at):
                    reached.add((eval(i, {}, at), eval(j, {}, at)))
                    points += 1
            made.append(points)
        report = analyse(parse(text))
        found = {entry.tensor: (evaluate(entry.words, sizes), entry.is_exact) for entry in report.traffic}
        case = f"case {number} of seed {seed}: {sizes}\n{text}"
        assert found["X"] == (len(reached), True), f"{found['X']} {len(reached)} {case}"
        assert [found[f"Y{at}"] for at in range(len(drawn))] == [(points, True) for points in made], case


def test_bounds_of_given_data_are_those_of_the_data() -> None:
    """Lengths 3 and 5 of at most 6: 8 keys are read and summed, 8 exponentials taken, whatever M is."""
    text = """
        rank B, M
        input X[b:B, m:M], LEN[b]
        S[b, m] = exp(X[b, m]) where m < LEN[b]
        Y[b] = sum[m](S[b, m])
        output Y
    """
    report = analyse(parse(text)).with_data({"B": 2, "M": 6}, {"LEN": np.array([3, 5])})
    assert {(e.tensor, int(str(e.words)), e.is_exact) for e in report.traffic} == {
        ("X", 8, True),
        ("LEN", 2, True),
        ("Y", 2, True),
    }
    assert {(o.operator, int(str(o.count)), o.is_exact) for o in report.operations} == {
        ("exp", 8, True),
        ("+", 8, True),
    }


def test_enumerated_bounds_are_the_formulas_where_no_data_decide(seed: int) -> None:
    """The same random reads under a filter that always holds, by formula and point by point."""
    for number in range(random_count(100)):
        rng = np.random.default_rng([seed, number])
        text, _ = random_reads(rng)
        sizes = {name: int(rng.integers(1, 5)) for name in ("M", "P", "C", "T", "W")}
        sizes["M1"] = -(-sizes["M"] // sizes["T"])
        formulas = {
            entry.tensor: evaluate(entry.words, sizes) for entry in analyse(parse(text)).traffic if entry.is_exact
        }
        data = text.replace("L[w:W]", "L[w:W], ON[m:M]").replace(" where ", " where ON[m] > 0 and ")
        report = analyse(parse(data)).with_data(sizes, {"ON": np.ones(sizes["M"])})
        found = {entry.tensor: evaluate(entry.words, {}) for entry in report.traffic}
        assert {name: found[name] for name in formulas} == formulas, f"case {number} of seed {seed}: {sizes}\n{text}"
