"""Attention in its four forms against softmax written out in NumPy, on all that makes softmax difficult."""

import numpy as np
import pytest
from attention_cascades import FORMS, attention

from einsum_cascade.cascade import parse
from einsum_cascade.errors import EvaluationError
from einsum_cascade.interpreter import evaluate

EXTENTS = {"E": 3, "F": 5, "M": 10, "P": 7}


def tensors(seed=0, scale=1.0, **extents):
    sizes = EXTENTS | extents
    random = np.random.default_rng(seed)
    shapes = {"Q": "EP", "K": "EM", "V": "FM"}
    found = {name: random.standard_normal([sizes[rank] for rank in ranks]) for name, ranks in shapes.items()}
    found["Q"] *= scale
    return found | {"LEN": random.integers(1, max(sizes["M"], 1) + 1, sizes["P"])}


def softmax_attention(inputs, kept=None):
    """Row by row, over the keys that are kept only."""
    scores = inputs["K"].T @ inputs["Q"]
    result = np.zeros((inputs["V"].shape[0], scores.shape[1]))
    for p in range(scores.shape[1]):
        keys = np.arange(scores.shape[0]) if kept is None else np.flatnonzero(kept[:, p])
        if len(keys):
            weights = np.exp(scores[keys, p] - scores[keys, p].max())
            result[:, p] = inputs["V"][:, keys] @ weights / weights.sum()
    return result


def run(form, inputs, filter_="", otherwise="", extents=None, **options):
    return evaluate(parse(attention(form, filter_, otherwise)), inputs, extents or {}, **options)["AV"]


def positions(inputs):
    m, p = inputs["K"].shape[1], inputs["Q"].shape[1]
    return np.arange(m)[:, None], np.arange(p)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_forms_agree_with_softmax(form, scale):
    # With scale 1e4 the logits reach +-1e4, where exp overflows without the maximum.
    inputs = tensors(scale=scale)
    if scale > 1:
        assert np.abs(inputs["K"].T @ inputs["Q"]).max() > 1e4
    np.testing.assert_allclose(run(form, inputs), softmax_attention(inputs), rtol=1e-12, atol=1e-12)


# M = 10 keys in tiles of 4 leave a tail of 2; tiles of 10 and of 16 are one tile, of 1 are ten.
@pytest.mark.parametrize("form", ["2-pass", "1-pass"])
@pytest.mark.parametrize("tile", [1, 3, 4, 5, 10, 16])
def test_ragged_tiles(form, tile):
    inputs = tensors()
    result = run(form, inputs, extents={"M0": tile})
    np.testing.assert_allclose(result, softmax_attention(inputs), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_causal(form):
    # The first query sees the first key only, so its row is V[:, 0] exactly.
    inputs = tensors()
    m, p = positions(inputs)
    result = run(form, inputs, "{m} <= p")
    np.testing.assert_array_equal(result[:, 0], inputs["V"][:, 0])
    np.testing.assert_allclose(result, softmax_attention(inputs, m <= p), rtol=1e-12, atol=1e-12)


# Query p sees keys p-1, p and p+1. In the tiled forms most tiles are masked as a whole for most queries.
@pytest.mark.parametrize("form", FORMS)
def test_sliding_window(form):
    inputs = tensors()
    m, p = positions(inputs)
    result = run(form, inputs, "{m} >= p - 1 and {m} <= p + 1")
    np.testing.assert_allclose(result, softmax_attention(inputs, abs(m - p) <= 1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_lengths_read_from_an_input(form):
    inputs = tensors()
    m, _ = positions(inputs)
    result = run(form, inputs, "{m} < LEN[p]")
    np.testing.assert_allclose(result, softmax_attention(inputs, m < inputs["LEN"]), rtol=1e-12, atol=1e-12)


# What is masked is not read: NaN and infinity there must not come through as 0 * inf.
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_masked_keys_do_not_leak(form, bad):
    inputs = tensors() | {"LEN": np.array([1, 6, 7, 3, 2, 7, 5])}
    expected = run(form, inputs, "{m} < LEN[p]")
    inputs["K"][:, 7:] = bad
    inputs["V"][:, 7:] = bad
    np.testing.assert_allclose(run(form, inputs, "{m} < LEN[p]"), expected, rtol=1e-13)


@pytest.mark.parametrize("form", FORMS)
def test_nan_stays_in_its_row(form):
    inputs = tensors()
    inputs["Q"][0, 2] = np.nan
    result = run(form, inputs)
    assert np.isnan(result[:, 2]).all()
    others = [p for p in range(7) if p != 2]
    np.testing.assert_allclose(result[:, others], softmax_attention(inputs)[:, others], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_a_row_without_keys_is_an_error_that_names_it(form):
    inputs = tensors() | {"LEN": np.array([3, 3, 3, 0, 3, 0, 3])}
    divisor = {"3-pass": r"SD\[p\]", "deferred": r"SD\[p\]", "2-pass": r"GD\[p\]", "1-pass": r"RD\[M1, p\]"}[form]
    message = rf"must not divide by {divisor} at p = 3: no point of that reduction survives; say with else what the"
    with pytest.raises(EvaluationError, match=rf"^A.* {message} result is$"):
        run(form, inputs, "{m} < LEN[p]")


@pytest.mark.parametrize("form", FORMS)
def test_a_row_without_keys_is_what_else_says(form):
    inputs = tensors() | {"LEN": np.array([3, 3, 3, 0, 3, 0, 3])}
    m, _ = positions(inputs)
    result = run(form, inputs, "{m} < LEN[p]", "where p >= 0 else 0")
    np.testing.assert_allclose(result, softmax_attention(inputs, m < inputs["LEN"]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_padded_queries_are_left_out(form):
    # A filter on the query alone makes its whole row absent: nothing is divided, and the output is written as 0.
    inputs = tensors() | {"LEN": np.array([1, 1, 1, 1, 0, 0, 0])}
    result = run(form, inputs, "LEN[p] > 0")
    assert (result[:, 4:] == 0).all()
    np.testing.assert_allclose(result[:, :4], softmax_attention(inputs)[:, :4], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_no_keys_at_all(form):
    with pytest.raises(EvaluationError, match=r"at p = 0: no point of that reduction survives"):
        run(form, tensors(M=0))
    assert (run(form, tensors(M=0), "", "where p >= 0 else 0") == 0).all()
    assert run(form, tensors(M=0, P=0)).shape == (5, 0)


@pytest.mark.parametrize("form", FORMS)
def test_no_features(form):
    # E = 0: every score is a reduction over nothing, and so is all that is made of scores alone.
    with pytest.raises(EvaluationError, match=r"at p = 0: no point of that reduction survives"):
        run(form, tensors(E=0))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bf16", 0.05), ("fp16", 0.005), ("e5m7", 0.05)])
def test_formats(form, dtype, tolerance):
    inputs = tensors()
    result = run(form, inputs, dtype=dtype)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, softmax_attention(inputs), rtol=tolerance, atol=tolerance)
