"""Results against float64: what is wrong is found, and what is not finite hides nothing else."""

from typing import Any

import numpy as np
import pytest
from model_runs import modelled
from numpy.typing import NDArray

from einsum_cascade import load_architecture, parse, random_inputs, resolve_extents, zoo
from einsum_cascade.cosim.accuracy import Accuracy, accuracy_of
from einsum_cascade.lowering.prepared import Prepared
from einsum_cascade.study.preparation import prepare

ARRAY = load_architecture("fusemax-4x4")
PRODUCT = "rank M, N, K\ninput A[m:M, k:K], B[k:K, n:N]\nZ[m, n] = A[m, k] * B[k, n]\noutput Z"


def prepared(name: str, **sizes: int) -> Prepared:
    cascade = parse(PRODUCT) if name == "product" else zoo.load(name)
    return prepare(cascade, ARRAY, resolve_extents(cascade, sizes))


def judged(case: Prepared, inputs: dict[str, NDArray[Any]], change: Any = lambda found: found) -> Accuracy:
    """Return how near the model's results are, after a change of them."""
    accuracies: list[Accuracy] = []

    stored = case.stored(inputs)
    modelled(case, stored, lambda *each: accuracies.append(accuracy_of(*each)), lambda results: change(results.output))
    return accuracies[-1]


CASES = {
    "product": {"M": 6, "N": 5, "K": 7},
    "attention-1pass": {"E": 4, "F": 3, "M": 9, "P": 6, "M0": 4},
    "softmax": {"M": 6, "P": 5},
    "attention-linear": {"E": 4, "F": 3, "M": 9, "P": 6},
}


@pytest.mark.parametrize("name", CASES)
def test_results_are_near_and_reversed_ones_are_not(name: str) -> None:
    case = prepared(name, **CASES[name])
    inputs = random_inputs(case.cascade, case.extents, 0)
    right, wrong = judged(case, inputs), judged(case, inputs, lambda found: found[..., ::-1].copy())
    assert (right.beyond, right.unknown) == (0, 0)
    assert wrong.beyond > 0.5 * wrong.compared
    assert abs(wrong.found - wrong.exact) > wrong.bound


def test_a_result_that_is_not_finite_is_wrong() -> None:
    case = prepared("product", **CASES["product"])

    def spoil(found: NDArray[np.float32]) -> NDArray[np.float32]:
        found[0, 0, 0] = np.nan
        return found

    assert judged(case, random_inputs(case.cascade, case.extents, 0), spoil).beyond == 1


def test_one_operand_that_is_not_finite_hides_what_depends_on_it_alone() -> None:
    """A NaN in row 2 of A leaves the other 5 x 5 products compared."""
    case = prepared("product", **CASES["product"])
    inputs = random_inputs(case.cascade, case.extents, 0)
    inputs["A"][2, 3] = np.nan
    found = judged(case, inputs)
    assert (found.compared, found.unknown, found.beyond) == (25, 5, 0)


def test_a_query_without_keys_hides_no_other() -> None:
    """Of 8 queries with a window of 2 over 5 keys, 6 and 7 have none: their 2 words each have no value."""
    case = prepared("attention-window", E=3, F=2, M=5, P=8, W=2)
    found = judged(case, random_inputs(case.cascade, case.extents, 0))
    assert found.beyond == 0 and found.compared > 0


@pytest.mark.parametrize("name", ["attention-1pass", "attention-deferred"])
def test_scaled_scores_are_compared_with_their_factor(name: str) -> None:
    """The program has the factor in its exponentials; without it, scores of standard deviation 8 give other weights."""
    text = str(zoo.load(name)).replace("= Q[e, p] *", "= Q[e, p] / sqrt(E) *")
    assert "sqrt" in text
    cascade = parse(text)
    sizes = {"E": 16, "F": 3, "M": 9, "P": 6} | ({"M0": 4} if "1pass" in name else {})
    case = prepare(cascade, ARRAY, resolve_extents(cascade, sizes))
    assert case.lowered.program.scale == 0.25
    inputs = random_inputs(case.cascade, case.extents, 0)
    inputs["Q"] *= 8
    found = judged(case, inputs)
    assert (found.beyond, found.unknown) == (0, 0)
