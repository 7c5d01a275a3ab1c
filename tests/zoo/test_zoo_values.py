"""What the zoo computes, against plain NumPy, and that forms of one algorithm agree.

Queries and keys (and tokens and projections) are multiples of a power of two, small enough that every score is exact in
float64, whatever the order of summation: what is compared is the softmax, not the rounding of a score of 10^4.
"""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from einsum_cascade import zoo
from einsum_cascade.errors import EvaluationError
from einsum_cascade.interpreter import evaluate

type Array = NDArray[np.float64]
type Arrays = dict[str, Array]
type Extents = dict[str, int]

TOLERANCE = 1e-12
FORMS = ("", "-deferred", "-2pass", "-1pass")
# E, F, M, P, M0: whole tiles; a ragged last tile; one tile that is longer than M; tiles of one key; a single point.
SHAPES = [(3, 2, 8, 5, 4), (4, 3, 7, 6, 3), (2, 3, 3, 4, 5), (3, 2, 5, 5, 1), (1, 1, 1, 1, 1), (4, 2, 11, 13, 2)]
# Scores of a few units, and up to 4 * 50^2 = 10^4 of either sign.
LARGEST = {"small": (1.0, 1 / 16), "large": (50.0, 1.0)}


def drawn(rng: np.random.Generator, largest: float, unit: float, *shape: int) -> Array:
    return rng.integers(-round(largest / unit), round(largest / unit), shape, endpoint=True) * unit


def softmax_attention(Q: Array, K: Array, V: Array, keep: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Q[..., e, p], K[..., e, m], V[..., f, m] and keep[m, p] to AV[..., f, p] and the log-sum-exp [..., p]."""
    scores = np.where(keep, np.swapaxes(K, -1, -2) @ Q, -np.inf)
    top = scores.max(axis=-2, keepdims=True)
    weights = np.exp(scores - top)
    total = weights.sum(axis=-2, keepdims=True)
    return V @ (weights / total), (top + np.log(total))[..., 0, :]


def assert_close(actual: Array, expected: Array, scale: float, what: str) -> None:
    assert actual.shape == expected.shape, what
    assert np.max(np.abs(actual - expected), initial=0.0) <= TOLERANCE * scale, what


def given(rng: np.random.Generator, logits: str, extents: Extents, q: str = "", kv: str = "") -> Arrays:
    batch = {"q": tuple(extents[r] for r in q), "kv": tuple(extents[r] for r in kv)}
    E, F, M, P = (extents[r] for r in "EFMP")
    return {
        "Q": drawn(rng, *LARGEST[logits], *batch["q"], E, P),
        "K": drawn(rng, *LARGEST[logits], *batch["kv"], E, M),
        "V": rng.standard_normal((*batch["kv"], F, M)),
    }


def check_forms(setting: str, inputs: Arrays, extents: Extents, expected: Array) -> None:
    """Run the four forms in a setting: against NumPy, and against one another."""
    results: Arrays = {}
    for form in FORMS:
        own = {name: value for name, value in extents.items() if name != "M0" or form in ("-2pass", "-1pass")}
        cascade = zoo.load(f"attention{form}{setting}")
        results[form] = evaluate(cascade, inputs, own)["AV"]
        assert_close(results[form], expected, np.abs(expected).max(), cascade.name)
    for first, second in combinations(FORMS, 2):
        assert_close(results[first], results[second], np.abs(expected).max(), f"{first}, {second}")


@pytest.fixture(params=SHAPES, ids=str)
def extents(request: pytest.FixtureRequest) -> Extents:
    return dict(zip(("E", "F", "M", "P", "M0"), request.param, strict=True))


@pytest.fixture(params=LARGEST)
def logits(request: pytest.FixtureRequest) -> str:
    return request.param


def meeting(extents: Extents, keep: Callable[[Array, Array], Array]) -> NDArray[np.bool_]:
    m, p = np.ogrid[: extents["M"], : extents["P"]]
    return np.broadcast_to(keep(m, p), (extents["M"], extents["P"]))


def test_forms_agree(extents: Extents, logits: str, seed: int) -> None:
    inputs = given(np.random.default_rng([seed, 1]), logits, extents)
    expected, _ = softmax_attention(**inputs, keep=meeting(extents, lambda m, p: m == m))
    check_forms("", inputs, extents, expected)


def test_causal_forms_agree(extents: Extents, logits: str, seed: int) -> None:
    inputs = given(np.random.default_rng([seed, 2]), logits, extents)
    expected, _ = softmax_attention(**inputs, keep=meeting(extents, lambda m, p: m <= p))
    np.testing.assert_array_equal(
        expected[:, 0], inputs["V"][:, 0]
    )  # the first query meets one key, so its weight is 1
    check_forms("-causal", inputs, extents, expected)


@pytest.mark.parametrize("W", [1, 2, 3, 20])
def test_window_forms_agree(extents: Extents, logits: str, W: int, seed: int) -> None:
    # Queries past M + W - 2 meet no key. W < M0 and P > M0 + W make tiles without any key, at both ends.
    extents = {**extents, "P": min(extents["P"], extents["M"] + W - 1), "W": W}
    inputs = given(np.random.default_rng([seed, 3]), logits, extents)
    expected, _ = softmax_attention(**inputs, keep=meeting(extents, lambda m, p: (p - W < m) & (m <= p)))
    check_forms("-window", inputs, extents, expected)


@pytest.mark.parametrize("form", FORMS)
def test_query_without_keys_is_refused_in_every_form(form: str, seed: int) -> None:
    # M = 3 and W = 2: the window of query 4 is the keys 3 and 4, which do not exist (docs/decisions/0002).
    extents = {"E": 2, "F": 2, "M": 3, "P": 5, "W": 2, "M0": 2}
    inputs = given(np.random.default_rng([seed, 14]), "small", extents)
    own = {name: value for name, value in extents.items() if name != "M0" or form in ("-2pass", "-1pass")}
    with pytest.raises(EvaluationError, match=r"must not divide by .* at .*p = 4"):
        evaluate(zoo.load(f"attention{form}-window"), inputs, own)


def test_grouped_query_forms_agree(extents: Extents, logits: str, seed: int) -> None:
    extents = {"B": 2, "G": 2, "R": 3, **extents}
    inputs = given(np.random.default_rng([seed, 4]), logits, extents, "BGR", "BG")
    keep = meeting(extents, lambda m, p: m == m)
    expected, _ = softmax_attention(inputs["Q"], inputs["K"][:, :, None], inputs["V"][:, :, None], keep)
    check_forms("-gqa", inputs, extents, expected)


def test_self_attention_forms_agree(extents: Extents, logits: str, seed: int) -> None:
    rng = np.random.default_rng([seed, 5])
    D, E, F, N = 3, extents["E"], extents["F"], extents["M"]
    largest = {"small": (1.0, 1 / 8), "large": (4.0, 1 / 8)}[logits]
    inputs = {"X": drawn(rng, *largest, D, N), "WQ": drawn(rng, *largest, D, E), "WK": drawn(rng, *largest, D, E)}
    inputs["WV"] = drawn(rng, *largest, D, F)
    Q, K, V = (inputs[name].T @ inputs["X"] for name in ("WQ", "WK", "WV"))
    expected, _ = softmax_attention(Q, K, V, np.ones((N, N), bool))
    check_forms("-self", inputs, {"D": D, "E": E, "F": F, "N": N, "M0": extents["M0"]}, expected)


def test_log_sum_exp_agrees(extents: Extents, logits: str, seed: int) -> None:
    inputs = given(np.random.default_rng([seed, 6]), logits, extents)
    expected, lse = softmax_attention(**inputs, keep=meeting(extents, lambda m, p: m == m))
    untiled = {name: value for name, value in extents.items() if name != "M0"}
    for name, own in (("attention-lse", untiled), ("attention-1pass-lse", extents)):
        outputs = evaluate(zoo.load(name), inputs, own)
        assert_close(outputs["AV"], expected, np.abs(expected).max(), name)
        assert_close(outputs["LSE"], lse, max(1.0, np.abs(lse).max()), name)


def test_linear_attention(extents: Extents, seed: int) -> None:
    rng = np.random.default_rng([seed, 7])
    del extents["M0"]
    inputs = {name: 5 * value for name, value in given(rng, "small", extents).items()}
    weights = phi(inputs["K"]).T @ phi(inputs["Q"])
    expected = inputs["V"] @ (weights / weights.sum(axis=0))
    assert_close(evaluate(zoo.load("attention-linear"), inputs, extents)["AV"], expected, 10.0, "attention-linear")


def test_causal_linear_attention(extents: Extents, seed: int) -> None:
    rng = np.random.default_rng([seed, 8])
    own = {"E": extents["E"], "F": extents["F"], "N": extents["M"]}
    inputs = {name: 5 * value for name, value in given(rng, "small", {**extents, "P": extents["M"]}).items()}
    weights = np.triu(phi(inputs["K"]).T @ phi(inputs["Q"]))
    expected = inputs["V"] @ (weights / weights.sum(axis=0))
    name = "attention-linear-causal"
    assert_close(evaluate(zoo.load(name), inputs, own)["AV"], expected, 10.0, name)


def phi(x: Array) -> Array:
    return np.where(x > 0, x + 1, np.exp(np.minimum(x, 0)))  # elu(x) + 1


def test_sigmoid_attention(extents: Extents, logits: str, seed: int) -> None:
    del extents["M0"]
    inputs = given(np.random.default_rng([seed, 9]), logits, extents)
    scores = inputs["K"].T @ inputs["Q"] / np.sqrt(extents["E"]) - np.log(extents["M"])
    expected = inputs["V"] @ (0.5 + 0.5 * np.tanh(scores / 2))
    actual = evaluate(zoo.load("attention-sigmoid"), inputs, extents)["AV"]
    assert_close(actual, expected, 10.0, "attention-sigmoid")


def test_aaren_gives_attention_at_every_prefix(extents: Extents, logits: str, seed: int) -> None:
    N = extents["M"]
    inputs = given(np.random.default_rng([seed, 10]), logits, {**extents, "P": 1})
    inputs["Q"] = inputs["Q"][:, 0]
    queries = np.repeat(inputs["Q"][:, None], N, axis=1)
    expected, _ = softmax_attention(queries, inputs["K"], inputs["V"], np.triu(np.ones((N, N), bool)))
    actual = evaluate(zoo.load("attention-aaren"), inputs, {"E": extents["E"], "F": extents["F"], "N": N})["O"]
    assert_close(actual, expected, np.abs(expected).max(), "attention-aaren")


def test_softmax(extents: Extents, logits: str, seed: int) -> None:
    own = {"M": extents["M"], "P": extents["P"]}
    X = drawn(np.random.default_rng([seed, 11]), *{"small": (4.0, 1 / 16), "large": (1e4, 1.0)}[logits], *own.values())
    expected, _ = softmax_attention(X[:, :], np.eye(own["M"]), np.eye(own["M"]), np.ones(X.shape, bool))
    assert_close(evaluate(zoo.load("softmax"), {"X": X}, own)["A"], expected, 1.0, "softmax")


def test_normalizations(extents: Extents, seed: int) -> None:
    rng = np.random.default_rng([seed, 12])
    own = {"D": extents["M"], "N": extents["P"]}
    X, GAMMA, BETA = (
        rng.standard_normal((own["D"], own["N"])),
        rng.standard_normal(own["D"]),
        rng.standard_normal(own["D"]),
    )
    W = rng.standard_normal((3, own["D"]))
    scaled = GAMMA[:, None] * (X - X.mean(axis=0)) / np.sqrt(X.var(axis=0) + 1e-5) + BETA[:, None]
    root = GAMMA[:, None] * X / np.sqrt(np.mean(X**2, axis=0) + 1e-5)
    inputs = {"X": X, "GAMMA": GAMMA, "BETA": BETA}
    assert_close(evaluate(zoo.load("layernorm"), inputs, own)["Y"], scaled, 100.0, "layernorm")
    assert_close(evaluate(zoo.load("rmsnorm"), {"X": X, "GAMMA": GAMMA}, own)["Y"], root, 100.0, "rmsnorm")
    actual = evaluate(zoo.load("layernorm-matmul"), inputs | {"W": W}, own | {"O": 3})["Z"]
    assert_close(actual, W @ scaled, 1000.0, "layernorm-matmul")


@pytest.mark.parametrize("K", [1, 2, 9])
def test_pedagogical_cascades_agree(K: int, seed: int) -> None:
    rng = np.random.default_rng([seed, 13])
    A, B = rng.uniform(0.5, 2.0, K), rng.uniform(0.5, 2.0, K)  # positive: no partial sum of A * B is 0
    expected = np.asarray((A @ B) * A.sum())
    for name in ("pedagogical-2pass", "pedagogical-deferred", "pedagogical-iterative"):
        actual = evaluate(zoo.load(name), {"A": A, "B": B}, {"K": K})["Z"]
        assert_close(np.asarray(actual), expected, float(expected), name)
