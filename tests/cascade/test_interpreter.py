import re

import numpy as np
import pytest

from einsum_cascade import Format, evaluate, parse, zoo
from einsum_cascade.errors import EvaluationError

FORMS = ("attention", "attention-deferred", "attention-2pass", "attention-1pass")


def draw(seed: int, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.standard_normal(shape) for shape in shapes]


def value(text: str, name: str = "Y", **inputs: object) -> np.ndarray:
    arrays = {key: np.asarray(array) for key, array in inputs.items()}
    return evaluate(parse(text), arrays)[name]


def test_a_product_is_summed_over_what_is_missing_on_the_left() -> None:
    """Y[i, k] = sum_j A[i, j] B[j, k]: the matrix product."""
    a, b = draw(0, (3, 4), (4, 5))
    text = "rank I, J, K\ninput A[i:I, j:J], B[j:J, k:K]\nY[i, k] = A[i, j] * B[j, k]\noutput Y"
    np.testing.assert_allclose(value(text, A=a, B=b), a @ b, rtol=1e-12)


def test_broadcast_scalars_extents_and_coordinates() -> None:
    """Y[m, p] = 2 X[p] + m - p + P / sqrt(4), with P = 3."""
    text = "rank M, P\ninput X[p:P], Z[m:M]\nY[m, p] = 2 * X[p] + (m - p) + P / sqrt(4) + 0 * Z[m]\noutput Y"
    m, p = np.arange(2)[:, None], np.arange(3)[None, :]
    np.testing.assert_allclose(value(text, X=[1, 2, 3], Z=[0, 0]), 2 * np.array([1, 2, 3]) + m - p + 1.5)


def test_affine_reads() -> None:
    """A diagonal, a reversal, a shift, a Toeplitz index and tiles, each written out by hand."""
    text = """
        rank M, P
        rank R = M + P - 1
        rank M0 = 2*1
        rank M1 = M / M0
        input S[i:M, m:M], X[m:M], C[r:R]
        D[m] = S[m, m]
        B[m] = X[M - 1 - m]
        F[m] = X[m + 1] where m + 1 < M
        T[m, p] = C[m - p + P - 1]
        L[m1] = max[m0](X[m1*M0 + m0])
        output D, B, F, T, L
    """
    s, x, c = np.arange(9.0).reshape(3, 3), np.array([5.0, 7.0, 6.0]), np.arange(4.0)
    found = evaluate(parse(text), {"S": s, "X": x, "C": c}, {"P": 2})
    np.testing.assert_array_equal(found["D"], [0, 4, 8])
    np.testing.assert_array_equal(found["B"], [6, 7, 5])
    np.testing.assert_array_equal(found["F"], [7, 6, 0])  # the last point is absent, written as 0
    np.testing.assert_array_equal(found["T"], [[1, 0], [2, 1], [3, 2]])
    np.testing.assert_array_equal(found["L"], [7, 6])  # the second tile has one element


def test_regions_of_a_declared_tensor() -> None:
    """Concatenation, and a sum that sees both parts."""
    text = """
        rank M, S
        rank L = M + S
        input A[m:M], B[s:S]
        tensor C[l:L]
        C[m] = A[m]
        C[M + s] = B[s]
        Y[] = sum[l](C[l])
        output C, Y
    """
    found = evaluate(parse(text), {"A": [1.0, 2.0], "B": [3.0]})
    np.testing.assert_array_equal(found["C"], [1, 2, 3])
    assert found["Y"] == 6


def test_generations() -> None:
    """Fibonacci numbers, a scan that is an output with n + 1 generations, and a nested recurrence."""
    text = """
        rank N, M
        input X[n:N, m:M]
        init F[0] = 0
        init F[1] = 1
        F[n+2] = F[n+1] + F[n]
        init R[n, 0] = 0
        R[n, m+1] = R[n, m] + X[n, m]
        init H[0] = 1
        H[n+1] = H[n] * R[n, M]
        output F, H
    """
    x = np.arange(1.0, 9.0).reshape(4, 2)
    found = evaluate(parse(text), {"X": x})
    np.testing.assert_array_equal(found["F"], [0, 1, 1, 2, 3])
    np.testing.assert_array_equal(found["H"], np.cumprod([1, *x.sum(1)]))


@pytest.mark.parametrize("name", FORMS)
def test_logits_of_ten_thousand(name: str) -> None:
    """No overflow: the running reference is the maximum."""
    q, k, v = draw(1, (4, 5), (4, 9), (3, 9))
    q = 5e3 * np.sign(q)
    scores = k.T @ q
    weights = np.exp(scores - scores.max(0))
    found = evaluate(zoo.load(name), {"Q": q, "K": k, "V": v}, {"M0": 4} if "pass" in name else {})["AV"]
    np.testing.assert_allclose(found, v @ (weights / weights.sum(0)), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", FORMS)
def test_no_keys_at_all(name: str) -> None:
    """M = 0: every denominator is a sum over nothing, and dividing by it is refused in all forms alike."""
    q, k, v = draw(2, (2, 3), (2, 0), (1, 0))
    with pytest.raises(EvaluationError, match=r"must not divide by .* at .*p = 0"):
        evaluate(zoo.load(name), {"Q": q, "K": k, "V": v}, {"M0": 4} if "pass" in name else {})


def test_a_row_without_keys_names_its_coordinate_unless_else_says_what_it_gives() -> None:
    text = """
        rank B, M
        input S[b:B, m:M], LEN[b:B]
        E[b, m] = exp(S[b, m]) where m < LEN[b]
        D[b] = sum[m](E[b, m])
        N[b] = sum[m](E[b, m] * m)
        Y[b] = N[b] / D[b]{}
        output Y, D
    """
    inputs = {"S": np.zeros((3, 4)), "LEN": np.array([4, 0, 2])}
    with pytest.raises(EvaluationError, match=r"^Y\[b\] must not divide by D\[b\] at b = 1"):
        evaluate(parse(text.format("")), inputs)
    found = evaluate(parse(text.format(" where b >= 0 else -1")), inputs)
    np.testing.assert_array_equal(found["Y"], [1.5, -1, 0.5])
    np.testing.assert_array_equal(found["D"], [4, 0, 2])


def test_other_zeros_divide_as_numpy_does() -> None:
    text = "rank M\ninput A[m:M], B[m:M]\nY[m] = A[m] / B[m]\noutput Y"
    np.testing.assert_array_equal(value(text, A=[0.0, 1.0], B=[0.0, 0.0]), [np.nan, np.inf])


def test_nan_propagates_where_it_is_present_only() -> None:
    filtered = "Y[p] = sum[m](X[m, p]) where m <= p\nG[p] = max[m](X[m, p]) where m < p"
    text = f"rank M, P\ninput X[m:M, p:P]\n{filtered}\noutput Y, G"
    x = np.array([[1.0, 2.0], [np.nan, 3.0]])
    found = evaluate(parse(text), {"X": x})
    np.testing.assert_array_equal(found["Y"], [1, 5])  # the NaN at m = 1, p = 0 is filtered away
    np.testing.assert_array_equal(found["G"], [-np.inf, 2])  # a maximum over nothing is its identity
    x[0, 0] = np.nan
    np.testing.assert_array_equal(evaluate(parse(text), {"X": x})["Y"], [np.nan, 5])


def test_infinities_do_not_leak_from_absent_points() -> None:
    """0 * inf would be NaN if an absent score were taken as 0."""
    text = "rank M, P\ninput A[m:M, p:P], B[m:M]\nS[m, p] = A[m, p] where m <= p\nY[p] = S[m, p] * B[m]\noutput Y"
    np.testing.assert_array_equal(value(text, A=np.ones((2, 2)), B=[1.0, np.inf]), [1, np.inf])


def test_extents_of_zero() -> None:
    text = (
        "rank M, P\ninput X[m:M, p:P]\nY[p] = sum[m](X[m, p])\nG[p] = max[m](X[m, p])\nZ[m] = X[m, p]\noutput Y, G, Z"
    )
    found = evaluate(parse(text), {"X": np.zeros((0, 2))})
    np.testing.assert_array_equal(found["Y"], [0, 0])
    np.testing.assert_array_equal(found["G"], [-np.inf, -np.inf])
    assert found["Z"].shape == (0,)


@pytest.mark.parametrize(
    ("inputs", "settings", "message"),
    [
        ({"A": [1.0]}, {}, r"input 'B' must be given"),
        ({"A": [1.0], "B": [1.0], "C": [1.0]}, {}, r"input 'C' must be declared by the cascade"),
        ({"A": [1.0, 2.0], "B": [1.0]}, {}, r"rank 'K' must have one extent"),
        ({"A": [[1.0]], "B": [1.0]}, {}, r"input 'A' must have 1 dimension"),
        ({"A": [1.0], "B": [1.0]}, {"K": 2}, r"rank 'K' must have one extent"),
        ({"A": ["x"], "B": [1.0]}, {}, r"input 'A' must"),
    ],
)
def test_wrong_inputs(inputs: dict[str, object], settings: dict[str, int], message: str) -> None:
    cascade = parse("rank K\ninput A[k:K], B[k:K]\nY[] = A[k] * B[k]\noutput Y")
    with pytest.raises(EvaluationError, match=f"^{message}"):
        evaluate(cascade, inputs, settings)  # pyright: ignore[reportArgumentType] - wrong on purpose


def test_an_index_that_leaves_where_the_filter_lets_it() -> None:
    text = "rank M\ninput X[m:M]\nY[m] = X[m + 2] where m > 0\noutput Y"
    with pytest.raises(EvaluationError, match=r"m \+ 2.*m = 1"):
        value(text, X=[1.0, 2.0, 3.0])


def test_formats_round_every_tensor_once() -> None:
    """In bf16 (8 significant bits) 256 + 1 = 257 rounds to 256, and the sum of one Einsum rounds only at its end."""
    text = "rank M\ninput X[m:M]\nS[] = sum[m](X[m])\nY[] = S[] - 256\noutput S, Y"
    cascade, x = parse(text), {"X": [256.0, 1.0, 1.0, 1.0, 1.0]}
    assert evaluate(cascade, x, dtype="bf16")["S"] == 260
    assert evaluate(cascade, {"X": [256.0, 1.0]}, dtype="bf16")["Y"] == 0
    assert evaluate(cascade, {"X": [256.0, 1.0]}, dtype="float32")["Y"] == 1
    assert evaluate(cascade, {"X": [1.0, 0.06]}, dtype=Format(4, 3))["S"] == 1.0


def test_nothing_is_materialised_that_the_equations_do_not_need() -> None:
    """One pass over 64 tiles: the scores of one tile, never all of them."""
    import tracemalloc

    q, k, v = draw(3, (8, 256), (8, 4096), (8, 4096))
    inputs = {"Q": q, "K": k, "V": v}
    cascade = zoo.load("attention-1pass")
    evaluate(cascade, inputs, {"M0": 64})
    tracemalloc.start()
    evaluate(cascade, inputs, {"M0": 64})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4096 * 256 * 8 / 4  # all scores would be 8 MiB


def test_messages_are_one_sentence() -> None:
    cascade = parse("rank K\ninput A[k:K], B[k:K]\nY[] = A[k] * B[k]\noutput Y")
    with pytest.raises(EvaluationError) as raised:
        evaluate(cascade, {"A": [1.0]})
    assert not re.search(r"\n", str(raised.value))
