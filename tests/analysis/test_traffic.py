import pytest

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


def extra(name: str, capacity_words: int, **settings: int) -> dict[tuple[str, str], int]:
    report = analyse(zoo.load(name))
    extents = resolve_extents(report.cascade, settings)
    entries = report.capacity_traffic(extents, capacity_words)
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
    (entry,) = report.capacity_traffic({"K": 1000}, 100)
    assert (entry.tensor, evaluate(entry.words, {})) == ("A", 1000)
    assert entry.reason == "read again for pass 2 over A along K"


def test_a_capacity_that_nothing_fits_says_so() -> None:
    found = extra("attention", 4, E=8, F=8, M=64, P=16)
    assert found == {("Q", "no order of the passes fits 4 words"): 0}


def test_a_capacity_needs_all_extents() -> None:
    with pytest.raises(AnalysisError, match=r"^a capacity needs the extent of every rank, but P has none"):
        analyse(zoo.load("attention")).capacity_traffic({"E": 1, "F": 1, "M": 1}, 100)
