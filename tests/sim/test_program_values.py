"""The values of the array against attention in float64.

Sources: the bounds are those of the array's design, section 4 ("Numbers"); the contract is
docs/decisions/0006-the-array-and-its-program.md.
"""

from typing import Any

import numpy as np
import pytest
from array_programs import lowered, random_tensors, square
from random_counts import mode

from einsum_cascade.array.numbers import Numbers
from einsum_cascade.formats import parse_format
from einsum_cascade.recognition.head_masks import Band
from einsum_cascade.sim.program_values import evaluate_program

FP32 = parse_format("fp32")
NUMBERS = {"bf16": Numbers(), "fp32 wide": Numbers(score=FP32, multiplier="wide")}
NARROW = {f"sums of {name}": Numbers(accumulation=parse_format(name)) for name in ("bf16", "fp16")}
BOUNDS = {"bf16": (4e-3, 2e-3), "fp32 wide": (5e-6, 5e-6)}
"""Relative Frobenius error, and greatest error over the greatest value."""
LENGTHS = (1024, 16384) if mode() != "quick" else (1024,)


def attention(tensors: dict[str, Any], keeps: Any = None) -> np.ndarray:
    """Softmax attention in float64, (H, F, P); one head of keys."""
    query, key, value = (tensors[name].astype(np.float64) for name in ("query", "key", "value"))
    scores = np.einsum("hpe,gme->hmp", query, key)
    scores = scores if keeps is None else np.where(keeps, scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.einsum("hmp,gmf->hfp", weights / weights.sum(axis=1, keepdims=True), value)


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def program_of(numbers: Numbers, keys: int, queries: int = 16, band: Band | None = None):
    return lowered(square(16, numbers=numbers), keys=keys, queries=queries, band=band).program


@pytest.mark.parametrize("keys", LENGTHS)
@pytest.mark.parametrize("logits", ["normal", "large"])
@pytest.mark.parametrize("name", NUMBERS)
def test_error_of_attention(seed: int, name: str, logits: str, keys: int) -> None:
    """E = F = 64; scores of about N(0, 1), and scores of up to about 50."""
    program = program_of(NUMBERS[name], keys)
    random = np.random.default_rng([seed, 410, keys])
    tensors = random_tensors(random, program)
    tensors["query"] = random_tensors(random, program, 1 / 8 if logits == "normal" else 50 / 8 / 4)["query"]
    found, expected = evaluate_program(program, tensors).output, attention(tensors)
    frobenius, greatest = BOUNDS[name]
    assert relative(found, expected) < frobenius
    assert np.abs(found - expected).max() < greatest * np.abs(tensors["value"]).max()


def deviation(tensors: dict[str, Any], unit: float, rows: int) -> float:
    """Return the root mean square of the relative error that rounding sums to a narrow format causes, at most.

    A sum x that is rounded to nearest is off by at most u |x|, and where it falls between two numbers is as good as
    drawn: its error has mean 0 and at most the variance u^2 x^2 / 3, independent of all others (N. J. Higham and T.
    Mary, SIAM J. Sci. Comput. 41(5), 2019). To first order, an output y = sum w v over weights w, with the sums of
    weights D before they are divided, has the errors

    - of the scores, each the sum over its partial sums S_i: w_m e_i S_i (v_m - y);
    - of the partial sums T down the columns of a tile, which hold w D v: e T / D;
    - of those of the denominator, which hold w D: -e T y / D.

    All else is in single precision.
    """
    query, key, value = (tensors[name][0].astype(np.float64) for name in ("query", "key", "value"))
    partial = np.cumsum(query[None] * key[:, None], axis=2)  # (M, P, E)
    weights = np.exp(partial[:, :, -1] - partial[:, :, -1].max(axis=0))
    weights /= weights.sum(axis=0)
    output = weights.T @ value  # (P, F)
    distance = ((value[:, None] - output[None]) ** 2).sum(axis=2)  # (M, P)
    scores = (weights**2 * (partial**2).sum(axis=2) * distance).sum()
    tiles = weights.reshape(-1, rows, weights.shape[1])
    values = value.reshape(-1, rows, 1, value.shape[1])
    numerators = (np.cumsum(tiles[..., None] * values, axis=1) ** 2).sum()
    denominators = ((np.cumsum(tiles, axis=1) ** 2).sum(axis=(0, 1)) * (output**2).sum(axis=1)).sum()
    return unit * float(np.sqrt((scores + numerators + denominators) / 3 / (output**2).sum()))


@pytest.mark.parametrize("name", ["bf16", "fp16", "e8m10", "e8m13"])
@pytest.mark.parametrize(("logits", "scale"), [("normal", 1 / 8), ("large", 50 / 8 / 4)])
def test_error_of_attention_that_accumulates_in_fewer_bits(seed: int, name: str, logits: str, scale: float) -> None:
    """M = 1024, E = F = 64, scores of N(0, 1) or up to about 50: four deviations at most, an eighth of one at least.

    The square of the error is a sum of squares of normal variables with weights. It is most spread out where there is
    one: above 4 deviations in 1 of 16000 cases, if each error had all the variance that it may have. It has half of
    it, for x lies between the power of 2 that the rounding is in proportion to and its double, and (1 - 1/4) / (2 ln 2)
    = 0.54 is the mean of the square of their ratio: above 5.4 deviations of its own, in 1 of 10^7. Large scores leave
    each of the 16 queries few keys, in all about nine variables: their sum of squares is below (1/8)^2 / 0.54 of its
    mean in 2 of 10^6 cases.
    """
    form = parse_format(name)
    program = program_of(Numbers(score=FP32, multiplier="wide", accumulation=form), 1024)
    random = np.random.default_rng([seed, 416, len(name)])
    tensors = random_tensors(random, program) | {"query": random_tensors(random, program, scale)["query"]}
    error = relative(evaluate_program(program, tensors).output, attention(tensors))
    expected = deviation(tensors, 2.0 ** -(form.mantissa_bits + 1), program.shape.rows)
    assert expected / 8 < error < 4 * expected


@pytest.mark.parametrize("keys", LENGTHS)
def test_equal_logits_give_the_mean(seed: int, keys: int) -> None:
    """All weights are exactly 1, and stay so: p(0) = 1 in every form of the exponential."""
    program = program_of(Numbers(), keys)
    tensors = random_tensors(np.random.default_rng([seed, 411, keys]), program)
    tensors["key"][:] = tensors["key"][:, :1]
    found, expected = evaluate_program(program, tensors).output, attention(tensors)
    # Sums of single precision lose with their number, about sqrt(M) / 2 units of 2^-24 relative to what is summed.
    assert np.abs(found - expected).max() < 1e-6 * np.abs(tensors["value"]).max()


@pytest.mark.parametrize("name", [*NUMBERS, *NARROW])
def test_values_of_one_give_exactly_one(seed: int, name: str) -> None:
    """Numerator and denominator sum up the same rounded weights in the same order, and round alike."""
    program = program_of((NUMBERS | NARROW)[name], 640)
    tensors = random_tensors(np.random.default_rng([seed, 412]), program)
    tensors["value"][:] = 1
    assert np.array_equal(evaluate_program(program, tensors).output, np.ones((1, 64, 16), np.float32))


@pytest.mark.parametrize(("band", "kept"), [(Band(high=0), lambda m, p: m <= p), (Band(-40, -1), None)])
def test_masks(seed: int, band: Band, kept: Any) -> None:
    """Causal attention; and a window p - 40 <= m < p, which leaves the first query no key: counted, and +0."""
    program = program_of(Numbers(), 200, 200, band)
    tensors = random_tensors(np.random.default_rng([seed, 413]), program)
    m, p = np.ogrid[:200, :200]
    keeps = m <= p if kept else (m >= p - 40) & (m < p)
    found = evaluate_program(program, tensors)
    some = keeps.any(axis=0)
    first = {**tensors, "query": tensors["query"][:, some]}
    assert relative(found.output[:, :, some], attention(first, keeps[:, some])) < 4e-3
    assert found.empty_columns == 64 * int((~some).sum()) == (0 if kept else 64)
    assert not found.output[:, :, ~some].view(np.uint32).any()


def test_scores_beyond_the_range_of_masks_stay_inside(seed: int) -> None:
    """A NaN in a key that is masked for a query does not reach it; where it is not masked, it does."""
    program = program_of(Numbers(), 32, 32, Band(high=0))
    tensors = random_tensors(np.random.default_rng([seed, 414]), program)
    for name in ("key", "value"):
        tensors[name][0, 20] = np.nan
    found = evaluate_program(program, tensors).output
    assert np.isfinite(found[:, :, :20]).all()
    assert np.isnan(found[:, :, 20:]).all()


def test_a_matrix_product(seed: int) -> None:
    """(H, M, P): scores leave as they are, and rows and columns that are padding do not."""
    program = lowered(square(16), "product", e=64, keys=40, queries=33, heads=(2, 2)).program
    tensors = random_tensors(np.random.default_rng([seed, 415]), program)
    found = evaluate_program(program, tensors)
    key = np.repeat(tensors["key"], 2, axis=0)
    expected = np.einsum("hpe,hme->hmp", tensors["query"].astype(np.float64), key.astype(np.float64))
    assert found.output.shape == (4, 40, 33)
    assert np.abs(found.output - expected).max() < 64 * 2.0**-24 * np.abs(expected).max()
