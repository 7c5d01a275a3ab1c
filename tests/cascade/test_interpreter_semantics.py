"""What is absent, what is empty, what is refused: small cases with their derivations."""

import math
import re

import numpy as np
import pytest

from einsum_cascade.cascade import parse
from einsum_cascade.cascade.operators import OPERATORS, register
from einsum_cascade.errors import EvaluationError
from einsum_cascade.interpreter import evaluate

VECTOR = "rank M\ninput X[m:M]\nvar i : M\n"
MATRIX = "rank M, P\ninput X[m:M, p:P]\n"


def run(text, inputs, extents=None, registry=OPERATORS, **options):
    return evaluate(parse(text, operators=registry), inputs, extents or {}, **options)


def one(text, inputs, extents=None, **options):
    (result,) = run(text, inputs, extents, **options).values()
    return result


def raises(message):
    return pytest.raises(EvaluationError, match=f"^{re.escape(message)}$")


# absence


def test_an_absent_element_is_written_as_zero():
    np.testing.assert_array_equal(one(VECTOR + "Y[m] = X[m] where m > 0\noutput Y", {"X": [5, 6, 7]}), [0, 6, 7])


def test_map_skips_an_absent_operand_whatever_the_operator():
    # Y is absent at 0, so Z is: not 0 + 1, not max(0, 1).
    text = VECTOR + "Y[m] = X[m] where m > 0\nA[m] = Y[m] + 1\nB[m] = max(Y[m], 1)\nC[m] = exp(Y[m])\noutput A, B, C"
    found = run(text, {"X": [5, 6]})
    assert [found[name][0] for name in "ABC"] == [0, 0, 0]
    assert found["A"][1] == 7


@pytest.mark.parametrize(("operator", "expected"), [("sum", 13), ("max", 7), ("min", 6), ("prod", 42)])
def test_a_reduction_does_not_see_absent_points(operator, expected):
    text = VECTOR + f"Y[m] = X[m] where m > 0\nZ[] = {operator}[m](Y[m])\noutput Z"
    assert one(text, {"X": [5, 6, 7]}) == expected


@pytest.mark.parametrize(("operator", "expected"), [("sum", 0), ("max", -math.inf), ("min", math.inf), ("prod", 1)])
def test_a_reduction_over_nothing_gives_the_identity_and_is_present(operator, expected):
    # Row 1 keeps no m. Its reduction is present: 1 is added to the identity. Over an extent of 0 all rows are such.
    text = MATRIX + f"Z[p] = {operator}[m](X[m, p]) where m + p < 1\nY[p] = Z[p] + 1\noutput Y"
    np.testing.assert_array_equal(one(text, {"X": [[3, 4], [5, 6]]}), [4, expected + 1])
    np.testing.assert_array_equal(one(text, {"X": np.zeros((0, 2))}), [expected + 1] * 2)


def test_what_names_no_reduced_variable_removes_elements():
    # QK[m, p] sums over e. The filter names m and p only, so above the diagonal there is no element, and the maximum
    # does not see a 0 there: column 0 has the one score 1 * -1.
    text = """
    rank E, M, P
    input Q[e:E, p:P], K[e:E, m:M]
    QK[m, p] = Q[e, p] * K[e, m] where m <= p
    GM[p] = max[m](QK[m, p])
    output GM"""
    found = one(text, {"Q": [[1, 1]], "K": [[-1, -2]]})
    np.testing.assert_array_equal(found, [-1, -1])


def test_each_part_of_a_filter_counts_for_itself():
    # p < 1 removes element 1; m > 5 leaves element 0 nothing to add: it is the sum over nothing, 0, and present.
    text = MATRIX + "Z[p] = sum[m](X[m, p]) where m > 5 and p < 1\nY[p] = Z[p] + 1\noutput Y"
    np.testing.assert_array_equal(one(text, {"X": np.ones((2, 2))}), [1, 0])


def test_the_tail_of_a_partition_is_absent():
    # 5 elements in tiles of 2: tile 2 has one element. Its product over m0 is X[4] alone.
    text = "rank M, M0 = 2\nrank M1 = M / M0\ninput X[m:M]\nZ[m1] = prod[m0](X[m1*M0 + m0])\noutput Z"
    np.testing.assert_array_equal(one(text, {"X": [1, 2, 3, 4, 5]}), [2, 12, 5])
    # Tiles past the end are tail as well: with M1 = 4 the last product is over nothing.
    np.testing.assert_array_equal(one(text, {"X": [1, 2, 3, 4, 5]}, {"M1": 4}), [2, 12, 5, 1])


def test_tiles_written_by_a_partition_index():
    text = (
        "rank M, M0 = 2\nrank M1 = M / M0\ninput X[m:M]\ntensor Y[m]\nB[m1, m0] = X[m1*M0 + m0] + 1\n"
        "Y[m1*M0 + m0] = B[m1, m0] * 2\noutput Y"
    )
    np.testing.assert_array_equal(one(text, {"X": [1, 2, 3, 4, 5]}), [4, 6, 8, 10, 12])


def test_a_declared_tensor_is_absent_where_nothing_writes():
    # Y has 4 coordinates, 0 is X[0] and 2, 3 are S; the product over all that is there is 3 * 5 * 7.
    text = (
        "rank M, S\nrank L = M + S + 1\ninput X[m:M], W[s:S]\ntensor Y[l:L]\nY[m] = X[m]\nY[M + 1 + s] = W[s]\n"
        "Z[] = prod[l](Y[l])\noutput Y, Z"
    )
    found = run(text, {"X": [3], "W": [5, 7]})
    np.testing.assert_array_equal(found["Y"], [3, 0, 5, 7])
    assert found["Z"] == 105


def test_nothing_leaks_from_points_that_are_not_read():
    # Sum over m < 1 of A[m, p] * B[m]: B[1] is NaN and infinite, once as a product, once inside an operator.
    text = "rank M, P\ninput A[m:M, p:P], B[m:M]\nY[m, p] = A[m, p] where m < 1\n"
    inputs = {"A": [[2.0, 3.0], [0.0, 0.0]]}
    for bad in (math.nan, math.inf):
        given = inputs | {"B": [5.0, bad]}
        np.testing.assert_array_equal(one(text + "Z[p] = Y[m, p] * B[m]\noutput Z", given), [10, 15])
        np.testing.assert_array_equal(one(text + "Z[p] = A[m, p] * B[m] where m < 1\noutput Z", given), [10, 15])
        np.testing.assert_array_equal(one(text + "Z[p] = sum[m](Y[m, p] + B[m])\noutput Z", given), [7, 8])
        np.testing.assert_array_equal(one(text + "Z[m, p] = Y[m, p] * B[m]\noutput Z", given), [[10, 15], [0, 0]])


# else


def test_else_gives_filtered_points_a_value():
    np.testing.assert_array_equal(one(VECTOR + "Y[m] = X[m] where m > 0 else -1\noutput Y", {"X": [5, 6]}), [-1, 6])


def test_else_goes_to_points_before_the_reduction():
    # Points m = 0 and 1 are 10 and the one at 2 is 7: their sum is 27, their maximum 10.
    text = VECTOR + "Y[] = sum[m](X[m]) where m > 1 else 10\nZ[] = max[m](X[m]) where m > 1 else 10\noutput Y, Z"
    found = run(text, {"X": [5, 6, 7]})
    assert (found["Y"], found["Z"]) == (27, 10)


def test_the_filter_decides_before_anything_is_read():
    # Y is absent at 0 and X[m - 1] does not exist there, but the filter sends that point to else.
    text = VECTOR + "Y[m] = X[m] where m > 0\nZ[m] = Y[m] * X[m - 1] where m > 0 else 9\noutput Z"
    np.testing.assert_array_equal(one(text, {"X": [5, 6, 7]}), [9, 30, 42])


def test_an_absent_else_leaves_the_point_absent():
    text = VECTOR + "Y[m] = X[m] where m < 1\nZ[m] = X[m] where m > 1 else Y[m]\nW[m] = Z[m] + 1\noutput W"
    np.testing.assert_array_equal(one(text, {"X": [5, 6, 7]}), [6, 0, 8])


# filters


def test_filters_compare_inputs_exactly_in_any_format():
    # 4097 is not a float16, where it would be 4096; the filter sees what was given.
    text = "rank B, M\ninput X[m:M], LEN[b:B]\nZ[b] = sum[m](X[m] + b*0) where m < LEN[b]\noutput Z"
    assert one(text, {"X": np.eye(1, 4100, 4096)[0], "LEN": [4097]}, dtype="fp16") == 1


@pytest.mark.parametrize(
    "text", ["m + 1 < M and X[m + 1] > 0", "X[m + 1] > 0 and m + 1 < M", "not (X[m + 1] <= 0 or m + 1 >= M)"]
)
def test_a_comparison_past_the_end_is_undecided(text):
    found = one(VECTOR + f"Y[m] = X[m] where {text}\noutput Y", {"X": [3, 0, 5, 7]})
    np.testing.assert_array_equal(found, [0, 0, 5, 0])


def test_a_filter_must_be_decided():
    with raises(
        "X[m + 1] in Y[m] must stay inside X, but 'm + 1' is 2 at m = 1, where the last coordinate is 1; "
        "exclude that point with where"
    ):
        one(VECTOR + "Y[m] = X[m] where X[m + 1] > 0\noutput Y", {"X": [3, 5]})


# indices


def test_an_index_that_a_filter_lets_out_is_refused():
    with raises(
        "X[m - 1] in Y[m] must stay inside X, but 'm - 1' is -1 at m = 0, where the last coordinate is 2; "
        "exclude that point with where"
    ):
        one(VECTOR + "Y[m] = X[m - 1] where m < 2\noutput Y", {"X": [3, 5, 7]})


def test_only_a_partition_has_a_tail():
    # m + s counts a window, not tiles: past the end it is a mistake of the filter.
    with pytest.raises(EvaluationError, match=r"^X\[m \+ s\] in Y\[m\] must stay inside X, but 'm \+ s' is 3 at"):
        one("rank M, S\ninput X[m:M]\nY[m] = sum[s](X[m + s]) where m + s <= M\noutput Y", {"X": [3, 5, 7]}, {"S": 2})


def test_what_would_be_read_past_the_end_is_not_asked_whether_it_is_present():
    # A is absent at the last coordinate, 1. Y[0] reads it and is absent. Y[1] would read A[2]: its filter leaves no
    # point, so it is the sum over nothing, 0, and present.
    text = (
        MATRIX + "A[p] = X[0, p] where p < 1\nY[p] = sum[m](A[p + 1] * X[m, p]) where p + m + 1 < P\n"
        "Z[p] = Y[p] + 1\noutput Z"
    )
    np.testing.assert_array_equal(one(text.replace("X[0, p]", "p + 0.5"), {"X": np.ones((1, 2))}), [0, 1])


def test_affine_reads():
    x = np.arange(12.0).reshape(4, 3)
    text = "rank M, P\ninput X[m:M, p:P], R[i:P, j:P], L[l:L]\nrank L = M + P - 1\n"
    given = {"X": x, "R": np.arange(9.0).reshape(3, 3), "L": np.arange(6.0)}
    cases = {
        "Y[m, p] = X[M - 1 - m, p]": x[::-1],
        "Y[p, m] = X[m, p]": x.T,
        "Y[p] = R[p, p]": [0, 4, 8],
        "Y[m, p] = L[m + p]": np.add.outer(range(4), range(3)),
        "Y[m, p] = L[m - p + P - 1]": np.subtract.outer(range(4), range(3)) + 2,
        "Y[p] = sum[m](X[m, P - 1 - p])": x.sum(axis=0)[::-1],
        "Y[m, p] = m - p + 0.5": np.subtract.outer(range(4), range(3)) + 0.5,
        "Y[m, p] = X[m, p] / sqrt(M)": x / 2,
    }
    for equation, expected in cases.items():
        np.testing.assert_array_equal(one(f"{text}{equation}\noutput Y", given), expected, err_msg=equation)


def test_a_convolution_by_a_sliding_window():
    # Valid correlation of [1, 2, 3, 4] with [1, 10]: 1 + 20, 2 + 30, 3 + 40.
    text = "rank M, S\nrank L = M + S - 1\ninput X[l:L], W[s:S]\nY[m] = X[m + s] * W[s]\noutput Y"
    np.testing.assert_array_equal(one(text, {"X": [1, 2, 3, 4], "W": [1, 10]}, {"M": 3}), [21, 32, 43])


# division


QUOTIENT = MATRIX + "S[p] = sum[m](X[m, p]) where m < p\n"


def test_dividing_by_a_reduction_over_nothing_is_refused():
    message = "must not divide by S[p] at p = 0: no point of that reduction survives; say with else what the result is"
    with raises(f"Y[m, p] {message}"):
        one(QUOTIENT + "Y[m, p] = X[m, p] / S[p]\noutput Y", {"X": np.ones((2, 3))})
    # The dividend may be absent there, and other ranks may be empty.
    with raises(f"Y[m, p] {message}"):
        one(QUOTIENT + "Z[m, p] = X[m, p] where p > 0\nY[m, p] = Z[m, p] / S[p]\noutput Y", {"X": np.ones((2, 3))})
    with raises(f"Y[m, p] {message}"):
        one(QUOTIENT + "Y[m, p] = X[m, p] / S[p]\noutput Y", {"X": np.ones((0, 3))})


def test_a_filter_or_an_else_allows_it():
    # S = [nothing, 1, 2] for ones.
    inputs = {"X": np.ones((2, 3))}
    kept = one(QUOTIENT + "Y[m, p] = X[m, p] / S[p] where p > 0\noutput Y", inputs)
    np.testing.assert_array_equal(kept, [[0, 1, 0.5]] * 2)
    given = one(QUOTIENT + "Y[m, p] = X[m, p] / S[p] where p != 1 else 7\noutput Y", inputs)
    np.testing.assert_array_equal(given, [[7, 7, 0.5]] * 2)


def test_a_product_with_nothing_is_nothing_and_a_sum_hides_it():
    inputs = {"X": np.ones((2, 3))}
    with pytest.raises(EvaluationError, match=r"^Y\[p\] must not divide by T\[p\] at p = 0: "):
        one(QUOTIENT + "T[p] = S[p] * 2\nY[p] = 1 / T[p]\noutput Y", inputs)
    with pytest.raises(EvaluationError, match=r"^Y\[p\] must not divide by S\[p\] at p = 0: "):
        one(QUOTIENT + "Y[p] = 1 / sqrt(S[p])\noutput Y", inputs)
    np.testing.assert_array_equal(one(QUOTIENT + "Y[p] = 1 / (S[p] + 1)\noutput Y", inputs), [1, 1 / 2, 1 / 3])


def test_other_quotients_by_zero_are_those_of_numpy():
    text = VECTOR + "Y[m] = X[m] / X[m]\nZ[m] = 1 / X[m]\noutput Y, Z"
    found = run(text, {"X": [0.0, 2.0]})
    np.testing.assert_array_equal(found["Y"], [math.nan, 1])
    np.testing.assert_array_equal(found["Z"], [math.inf, 0.5])


def test_an_init_with_the_identity_is_a_reduction_over_nothing():
    # After no step the sum that starts from 0 is one over nothing, that from 1 is not.
    text = VECTOR + "init C[0] = START\nC[m + 1] = C[m] + X[m]\nY[] = 1 / C[M]\noutput Y"
    with pytest.raises(EvaluationError, match=r"^Y\[\] must not divide by C\[M\]: no point"):
        one(text.replace("START", "0"), {"X": []})
    assert one(text.replace("START", "1"), {"X": []}) == 1
    assert one(text.replace("START", "0"), {"X": [4]}) == 0.25


# operators of the user


def test_a_users_operator_is_called_on_present_points_only():
    seen = []

    def note(x):
        seen.extend(np.ravel(x))
        return x * 2

    registry = OPERATORS.copy()
    register("note", note, registry=registry)
    found = one(VECTOR + "Y[m] = note(X[m]) where m > 0 else 1\noutput Y", {"X": [0, 3, 4]}, registry=registry)
    np.testing.assert_array_equal(found, [1, 6, 8])
    assert seen == [3, 4]


@pytest.mark.parametrize("function", [np.hypot, lambda a, b: np.sqrt(a * a + b * b), np.frompyfunc(math.hypot, 2, 1)])
def test_a_users_reduction(function):
    registry = OPERATORS.copy()
    register("norm", function, 2, registry=registry, is_associative=True, is_commutative=True, identity=0.0)
    text = VECTOR + "Y[] = norm[m](X[m]) where m != 1\noutput Y"
    assert one(text, {"X": [3, 100, 4, 12]}, registry=registry) == pytest.approx(13)
    assert one(text, {"X": []}, registry=registry) == 0


def test_operators_that_fail_are_named():
    registry = OPERATORS.copy()
    register("sums", lambda x: x.sum(), registry=registry)
    register("breaks", lambda x: 1 // 0, registry=registry)
    with raises("operator 'sums' must work element by element and give shape (2,) in Y[m], but gives ()"):
        one(VECTOR + "Y[m] = sums(X[m])\noutput Y", {"X": [1, 2]}, registry=registry)
    with pytest.raises(EvaluationError, match=r"^operator 'breaks' must work on arrays, but fails in Y\[m\] with Zero"):
        one(VECTOR + "Y[m] = breaks(X[m])\noutput Y", {"X": [1, 2]}, registry=registry)


# formats


def test_tensors_are_rounded_once_when_they_are_populated():
    # bfloat16 has 8 significant bits. 1 + 1/256 as an input is rounded to 1. Inside one Einsum nothing is: the sum of
    # 256 and a hundred quarters is 281, rounded to 280 or 282, to even 280; as a recurrence every 1/4 is lost.
    text = VECTOR + "T[m] = X[m]\nY[] = X[m]\nZ[] = 256 + Y[]\ninit C[0] = 256\nC[m + 1] = C[m] + X[m]\noutput T, Z, C"
    found = run(text, {"X": np.full(100, 0.25 + 2**-12)}, dtype="bf16")
    assert found["T"][0] == 0.25
    assert found["Z"] == 280
    assert found["C"][-1] == 256


# results


def test_results_are_the_callers_own():
    x = np.arange(4.0)
    text = VECTOR + "Y[m] = X[m]\nZ[m] = Y[M - 1 - m]\nA[m] = Y[m] + 1\noutput Y, Z, A"
    found = run(text, {"X": x})
    for array in found.values():
        array += 100
    np.testing.assert_array_equal(x, np.arange(4.0))
    np.testing.assert_array_equal(found["Z"], 103 - np.arange(4.0))
    np.testing.assert_array_equal(found["A"], 101 + np.arange(4.0))


def test_a_tensor_that_is_read_again_is_not_overwritten():
    # A is a view of Y for a while: what is dead may be overwritten, what another tensor still shows may not.
    text = VECTOR + "Y[m] = X[m] + 1\nA[i] = Y[i]\nB[m] = exp(Y[m])\nC[m] = A[m] + B[m]*0\noutput C"
    np.testing.assert_array_equal(one(text, {"X": [1.0, 2.0]}), [2, 3])
