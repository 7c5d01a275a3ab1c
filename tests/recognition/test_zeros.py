"""Queries without keys: one text runs in the interpreter and on the array, and both give them 0."""

import re
from typing import Any

import numpy as np
import pytest
from model_runs import modelled
from numpy.typing import NDArray
from random_counts import random_count

from einsum_cascade import evaluate, load_architecture, parse, random_inputs, resolve_extents, zoo
from einsum_cascade.errors import IllegalMappingError
from einsum_cascade.lowering.prepared import Prepared
from einsum_cascade.recognition.head_masks import Band
from einsum_cascade.sim.program_values import Results
from einsum_cascade.study.preparation import prepare

ARRAY = load_architecture("fusemax-4x4")


def run(case: Prepared, inputs: dict[str, NDArray[Any]]) -> tuple[dict[str, NDArray[Any]], list[Results]]:
    """Return the tensors that the model makes, and the results of each program."""
    found: list[Results] = []

    def take(results: Results) -> NDArray[np.float32]:
        found.append(results)
        return results.output

    return modelled(case, case.stored(inputs), take=take), found


SOFTMAX = (
    "rank E, M, P\ninput Q[e:E, p:P], K[e:E, m:M]\nS[m, p] = Q[e, p] * K[e, m]\nGM[p] = max[m](S[m, p])\n"
    "SN[m, p] = exp(S[m, p] - GM[p])\nSD[p] = sum[m](SN[m, p])\nA[m, p] = SN[m, p] / SD[p]\noutput A"
)
KERNELS = {
    "one pass": (str(zoo.load("attention-1pass")), "* BK[e, m1, m0]", "m1*M0 + m0", "/ RD[M1, p]"),
    "two passes": (str(zoo.load("attention-deferred")), "* K[e, m]", "m", "/ SD[p]"),
    "softmax": (SOFTMAX, "* K[e, m]", "m", "/ SD[p]"),
}


def filtered(name: str, scores: str, quotient: str) -> str:
    """Return a kernel with a filter of the scores in `{m}` and p, and one of the quotients."""
    text, product, key, sums = KERNELS[name]
    assert text.count(product) == text.count(sums) == 1
    text = text.replace(product, f"{product} where {scores.replace('{m}', key)}")
    return text.replace(sums, f"{sums}{quotient}")


@pytest.mark.parametrize("name", KERNELS)
def test_a_filter_that_leaves_out_queries_without_keys_is_taken(name: str, seed: int) -> None:
    """Whether a query has a key is counted one by one; a filter that leaves one out that has is refused with it."""
    for number in range(random_count(80)):
        rng = np.random.default_rng([seed, number])
        keys, queries = (int(rng.integers(1, 9)) for _ in range(2))
        low, high, edge = (int(each) for each in rng.integers(-4, 5, 3))
        bounds = {"{m} >= p + LOW": lambda m, p: m >= p + low, "{m} <= p + HIGH": lambda m, p: m <= p + high}  # noqa: B023
        chosen = [each for each in bounds if rng.integers(2)] or ["{m} <= p + HIGH"]
        kept = [any(all(bounds[each](m, p) for each in chosen) for m in range(keys)) for p in range(queries)]
        is_above = bool(rng.integers(2))
        stays = [p >= edge if is_above else p < edge for p in range(queries)]
        scores = " and ".join(chosen).replace("LOW", f"({low})").replace("HIGH", f"({high})")
        text = filtered(name, scores, f" where p {'>=' if is_above else '<'} {edge} else 0")
        told = f"case {number} of seed {seed}: {keys} keys, {queries} queries\n{text}"
        cascade = parse(text)
        sizes = {"E": 3, "F": 2, "M": keys, "P": queries, "M0": 4}
        extents = resolve_extents(cascade, {rank: size for rank, size in sizes.items() if rank in cascade.rank})
        wrong = [p for p in range(queries) if kept[p] and not stays[p]]
        if wrong:
            with pytest.raises(IllegalMappingError) as caught:
                prepare(cascade, ARRAY, extents, is_strict=True)
            sentence = str(caught.value)
            at = re.search(r"but it leaves out \w+\[0, (\d+)\], which has keys", sentence)
            assert at is not None and int(at[1]) == wrong[0], f"{sentence}\n{told}"
            continue
        case = prepare(cascade, ARRAY, extents, is_strict=True)
        inputs = random_inputs(cascade, extents, number)
        made, _ = run(case, inputs)
        assert case.steps[0].queries_without_keys == kept.count(False), told
        for output, exact in evaluate(cascade, case.stored(inputs), extents).items():
            assert not made[output][:, [not each for each in kept]].any(), told
            assert np.abs(made[output] - exact).max() <= 0.02 * max(1.0, np.abs(exact).max()), told


def test_what_else_gives_must_be_0() -> None:
    text = filtered("two passes", "{m} <= p - 2", " where p >= 2 else 1")
    with pytest.raises(IllegalMappingError, match=r"but AV\[f, p\] needs /, under its filter and else, in this place"):
        prepare(parse(text), ARRAY, {"E": 3, "F": 2, "M": 5, "P": 5}, is_strict=True)


def test_what_the_filter_of_a_quotient_reads_must_be_given() -> None:
    text = filtered("two passes", "{m} <= p - 2", " where p >= N[] else 0").replace("V[f:F, m:M]", "V[f:F, m:M], N[]")
    cascade = parse(text)
    sizes = {"E": 3, "F": 2, "M": 5, "P": 5}
    with pytest.raises(
        IllegalMappingError, match=r"^N must be given, for the array leaves results of AV\[f, p\] out by it"
    ):
        prepare(cascade, ARRAY, sizes, is_strict=True)
    assert prepare(cascade, ARRAY, sizes, inputs={"N": np.array(2)}, is_strict=True).steps


def test_a_sum_that_is_rounded_to_0_is_counted() -> None:
    """The features of -200 are exp(-200), below 2^-126, hence 0: queries 1 and 4 have keys, and a denominator of 0."""
    cascade = zoo.load("attention-linear")
    extents = resolve_extents(cascade, {"E": 3, "F": 2, "M": 5, "P": 6})
    case = prepare(cascade, ARRAY, extents)
    inputs = random_inputs(cascade, extents, 0)
    inputs["Q"][:, [1, 4]] = -200
    made, results = run(case, inputs)
    assert not made["AV"][:, [1, 4]].any() and made["AV"].any()
    assert [each.zero_sums for each in results] == [0, 2]
    # Both words of each.
    assert [each.empty_columns for each in results] == [0, 4]


@pytest.mark.parametrize("name", KERNELS)
def test_queries_without_keys_are_not_counted_as_such_sums(name: str) -> None:
    case = prepare(
        cascade := parse(filtered(name, "{m} <= p - 3", "")), ARRAY, _extents(cascade, {"E": 3, "F": 2, "M": 9, "P": 7})
    )
    _, (results,) = run(case, random_inputs(cascade, case.extents, 0))
    assert (results.zero_sums, case.steps[0].queries_without_keys) == (0, 3)
    assert case.steps[0].is_undefined_without_keys


def _extents(cascade: Any, sizes: dict[str, int]) -> Any:
    sizes |= {"M0": 4}
    return resolve_extents(cascade, {rank: size for rank, size in sizes.items() if rank in cascade.rank})


def test_bands_count_queries_without_keys(seed: int) -> None:
    """Against all points."""
    for number in range(random_count(2000)):
        rng = np.random.default_rng([seed, number])
        low, high, kept = (int(each) if rng.integers(3) else None for each in rng.integers(-9, 10, 3))
        kept = None if kept is None else max(0, kept)
        keys, queries = (int(each) for each in rng.integers(1, 10, 2))
        wanted = [
            not any(
                (low is None or m >= p + low) and (high is None or m <= p + high) and (kept is None or m < kept)
                for m in range(keys)
            )
            for p in range(queries)
        ]
        assert Band(low, high, kept).without_keys(keys, queries).tolist() == wanted, (low, high, kept, keys, queries)
