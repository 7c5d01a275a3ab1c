"""The values of the array against attention in float64.

Sources: the bounds are those of the array's design, section 4 ("Numbers"); the contract is
docs/decisions/0006-the-array-and-its-program.md.
"""

from typing import Any

import numpy as np
import pytest
from array_programs import lowered, random_tensors, square
from random_counts import mode

from einsum_cascade.cascade.formats import parse_format
from einsum_cascade.program.masks import Band
from einsum_cascade.program.numbers import Numbers
from einsum_cascade.sim.values import evaluate_program

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


@pytest.mark.parametrize("name", ["bf16", "fp16", "e8m10", "e8m13"])
@pytest.mark.parametrize(("logits", "scale", "units"), [("normal", 1 / 8, 8), ("large", 50 / 8 / 4, 50)])
def test_error_of_attention_that_accumulates_in_fewer_bits(
    seed: int, name: str, logits: str, scale: float, units: int
) -> None:
    """M = 1024, E = F = 64: the error is in proportion to the unit roundoff u of the format.

    A score is off by about as many u, absolute, as its partial sums have standard deviations, and so is its weight in
    proportion: measured were 5 u for scores of N(0, 1), and 26 to 31 u for those of up to about 50.
    """
    form = parse_format(name)
    program = program_of(Numbers(score=FP32, multiplier="wide", accumulation=form), 1024)
    random = np.random.default_rng([seed, 416, len(name)])
    tensors = random_tensors(random, program) | {"query": random_tensors(random, program, scale)["query"]}
    error = relative(evaluate_program(program, tensors).output, attention(tensors))
    unit = 2.0 ** -(form.mantissa_bits + 1)
    assert 2 * unit < error < units * unit


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
