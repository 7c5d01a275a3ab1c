"""What is often asked of the array and is none of its works: the Einsum that is the cause is named, with what to do."""

import re
from collections.abc import Mapping

import numpy as np
import pytest
from model_runs import modelled

from einsum_cascade import evaluate, load_architecture, parse, random_inputs, resolve_extents
from einsum_cascade.errors import IllegalMappingError
from einsum_cascade.recognition.refusals import REFUSALS, refusal_of
from einsum_cascade.recognition.sequence import HostWork, divide, recognise_sequence
from einsum_cascade.recognition.works import ArrayWork
from einsum_cascade.study.preparation import prepare

HEAD = "rank E, F, M, P\ninput Q[e:E, p:P], K[e:E, m:M], V[f:F, m:M]"
ATTENTION = """
S[m, p] = Q[e, p] * K[e, m]
GM[p] = max[m](S[m, p])
SN[m, p] = exp(S[m, p] - GM[p])
SD[p] = sum[m](SN[m, p])
SNV[f, p] = SN[m, p] * V[f, m]
AV[f, p] = SNV[f, p] / SD[p]
output AV"""
RELU = "\nS[m, p] = Q[e, p] * K[e, m]\nR[m, p] = relu(S[m, p])\nAV[f, p] = R[m, p] * V[f, m]\noutput AV"
HEADS = """rank D, H, E, F, N
rank M = N
input X[d:D, n:N], WQ[h:H, e:E, d:D], WK[h:H, e:E, d:D], WV[h:H, f:F, d:D], WO[d:D, h:H, f:F]
Q[h, e, n] = WQ[h, e, d] * X[d, n]
K[h, e, m] = WK[h, e, d] * X[d, m]
V[h, f, m] = WV[h, f, d] * X[d, m]
S[h, m, n] = Q[h, e, n] * K[h, e, m]
GM[h, n] = max[m](S[h, m, n])
SN[h, m, n] = exp(S[h, m, n] - GM[h, n])
SD[h, n] = sum[m](SN[h, m, n])
SNV[h, f, n] = SN[h, m, n] * V[h, f, m]
AV[h, f, n] = SNV[h, f, n] / SD[h, n]
O[d, n] = WO[d, h, f] * AV[h, f, n]
output O"""
NORM = """rank F, E, P
input X[e:E, p:P], W[f:F, e:E]
MU[p] = X[e, p] / E
XC[e, p] = X[e, p] - MU[p]
Y[f, p] = W[f, e] * XC[e, p]
output Y"""


def edited(changes: Mapping[str, str], given: str = "") -> str:
    text = HEAD + given + ATTENTION
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


def between(line: str, scores: str = "T") -> dict[str, str]:
    """Return what puts a line between the scores and the softmax."""
    return {"GM[p] = max[m](S[m": f"{line}\nGM[p] = max[m]({scores}[m", "exp(S[": f"exp({scores}["}


# The Einsum that is the cause, and the programs that the array still runs.
CASES = {
    "bias on scores, or a residual": (
        edited(between("T[m, p] = S[m, p] + B[m, p]"), ", B[m:M, p:P]"),
        "T[m, p]",
        ["S", "SNV"],
    ),
    "soft cap": (edited(between("T[m, p] = 30 * tanh(S[m, p] / 30)")), "T[m, p]", ["S", "SNV"]),
    "dropout, or another mask of weights": (
        edited({"SNV[f, p] = SN[": "SX[m, p] = SN[m, p] * D[m, p]\nSNV[f, p] = SX["}, ", D[m:M, p:P]"),
        "SX[m, p]",
        ["S", "SNV"],
    ),
    "sink": (
        edited({"SNV[f, p] =": "SS[p] = SD[p] + exp(C[] - GM[p])\nSNV[f, p] =", "/ SD": "/ SS"}, ", C[]"),
        "SS[p]",
        ["S", "SNV"],
    ),
    "softmax without a maximum": (
        edited({"GM[p] = max[m](S[m, p])\n": "", "exp(S[m, p] - GM[p])": "exp(S[m, p])"}),
        "SN[m, p]",
        ["S", "SNV"],
    ),
    "relu attention": (HEAD + RELU, "R[m, p]", ["S", "AV"]),
    "product over several ranks": (HEADS, "O[d, n]", ["Q", "K", "V", "AV"]),
    "sum or mean, as of a norm": (
        NORM,
        "MU[p]",
        ["Y"],
    ),
}


def test_every_refusal_has_a_case() -> None:
    assert sorted(CASES) == sorted(each.name for each in REFUSALS)


@pytest.mark.parametrize("name", CASES)
def test_the_cause_is_named(name: str) -> None:
    text, einsum, programs = CASES[name]
    known = next(each for each in REFUSALS if each.name == name)
    with pytest.raises(IllegalMappingError) as caught:
        recognise_sequence(parse(text))
    (sentence,) = caught.value.violations
    expected = f"the array must be able to do every Einsum, but {einsum} needs "
    assert sentence.startswith(expected) and sentence.endswith(f"in this place; {known.reason}; {known.remedy}")
    works = divide(parse(text))
    assert [work.output.tensor for work in works if isinstance(work, ArrayWork)] == programs
    reasons = {name: told for work in works if isinstance(work, HostWork) for name, told in work.reasons.items()}
    cause = einsum.split("[")[0]
    assert reasons.pop(cause) == sentence
    # All else of the host is told of that cause, by its name or its Einsum.
    assert all(re.search(rf"\b{cause}\b", told) for told in reasons.values())


def test_what_the_array_does_is_no_refusal() -> None:
    """The Einsums of attention, of its feature map and of its sums are none of these."""
    feature = f"{HEAD}\nS[m, p] = Q[e, p] * K[e, m]\nW[m, p] = relu(S[m, p]) + exp(min(S[m, p], 0))\noutput W"
    products = ["sum or mean, as of a norm"]
    for text in (HEAD + ATTENTION, feature):
        told = {str(each): refusal_of(each) for each in parse(text).einsums}
        assert [each.name for each in told.values() if each is not None] in ([], products), told


def test_the_remedy_of_a_product_over_several_ranks_is_taken() -> None:
    """Heads and F as one rank: all of it are programs, whose results are those of the interpreter."""
    text = HEADS.replace("rank M = N", "rank M = N\nrank J = H*F\ntensor AV[j:J, n:N]").replace(
        "WO[d:D, h:H, f:F]", "WO[d:D, j:J]"
    )
    text = text.replace("AV[h, f, n] =", "AV[h*F + f, n] =").replace("WO[d, h, f] * AV[h, f, n]", "WO[d, j] * AV[j, n]")
    cascade = parse(text)
    kernels = [work.kernel.name for work in recognise_sequence(cascade)]
    assert kernels == [*["product"] * 3, "two-pass attention", "product"]
    extents = resolve_extents(cascade, {"D": 5, "H": 2, "E": 4, "F": 3, "N": 6})
    case = prepare(cascade, load_architecture("fusemax-4x4"), extents)
    stored = case.stored(random_inputs(cascade, extents, 0))

    found, exact = modelled(case, stored)["O"], evaluate(cascade, stored, extents)["O"]
    assert np.abs(found - exact).max() < 0.02 * np.abs(exact).max()


def taken(
    text: str, sizes: Mapping[str, int], inputs: Mapping[str, np.ndarray], name: str, kernels: list[str]
) -> np.ndarray:
    """Return an output of the array's model, whose kernels are told."""
    cascade = parse(text)
    case = prepare(cascade, load_architecture("fusemax-4x4"), resolve_extents(cascade, sizes))
    assert [step.work.kernel.name for step in case.steps] == kernels
    return modelled(case, case.stored(inputs))[name]


SIZES = {"E": 4, "F": 3, "M": 6, "P": 5}


@pytest.fixture
def drawn(seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng([seed, 481])
    shapes = {"Q": (4, 5), "K": (4, 6), "V": (3, 6), "B": (6,), "C": (), "D": (6,)}
    return {name: np.round(8 * random.standard_normal(shape)) / 8 for name, shape in shapes.items()}


def same(found: np.ndarray, text: str, inputs: Mapping[str, np.ndarray]) -> bool:
    """Whether a result is that of a cascade that the array refuses, as far as bf16 goes."""
    cascade = parse(text)
    exact = evaluate(
        cascade, {each.name: inputs[each.name] for each in cascade.inputs}, resolve_extents(cascade, SIZES)
    )
    return bool(np.abs(found - exact["AV"]).max() < 0.03 * np.abs(exact["AV"]).max())


def test_the_remedy_of_a_bias_is_taken(drawn: dict[str, np.ndarray]) -> None:
    """B[m] is one more operand of the keys, with a 1 of the queries."""
    refused = edited(between("T[m, p] = S[m, p] + B[m]"), ", B[m:M]")
    inputs = {
        "Q": np.vstack([drawn["Q"], np.ones((1, 5))]),
        "K": np.vstack([drawn["K"], drawn["B"]]),
        "V": drawn["V"],
    }
    found = taken(HEAD + ATTENTION, {**SIZES, "E": 5}, inputs, "AV", ["two-pass attention"])
    assert same(found, refused, drawn)


def test_the_remedy_of_a_sink_is_taken(drawn: dict[str, np.ndarray]) -> None:
    """A key whose values are 0; its score C is an operand that other keys have as 0, with a 1 of the queries."""
    refused = edited({"SNV[f, p] =": "SS[p] = SD[p] + exp(C[] - GM[p])\nSNV[f, p] =", "/ SD": "/ SS"}, ", C[]")
    sink = np.array([[0.0]] * 4 + [[float(drawn["C"])]])
    inputs = {
        "Q": np.vstack([drawn["Q"], np.ones((1, 5))]),
        "K": np.hstack([np.vstack([drawn["K"], np.zeros((1, 6))]), sink]),
        "V": np.hstack([drawn["V"], np.zeros((3, 1))]),
    }
    found = taken(HEAD + ATTENTION, {**SIZES, "E": 5, "M": 7}, inputs, "AV", ["two-pass attention"])
    assert same(found, refused, drawn)


def test_the_remedy_of_a_softmax_without_a_maximum_is_taken(drawn: dict[str, np.ndarray]) -> None:
    refused = CASES["softmax without a maximum"][0]
    found = taken(HEAD + ATTENTION, SIZES, drawn, "AV", ["two-pass attention"])
    assert same(found, refused, drawn)


def test_the_remedy_of_dropout_is_taken(drawn: dict[str, np.ndarray]) -> None:
    """What is the same for all queries multiplies the values, which the host does."""
    refused = edited({"SNV[f, p] = SN[": "SX[m, p] = SN[m, p] * D[m]\nSNV[f, p] = SX["}, ", D[m:M]")
    remedied = edited(
        {"SNV[f, p] = SN[m, p] * V[": "VD[f, m] = V[f, m] * D[m]\nSNV[f, p] = SN[m, p] * VD["}, ", D[m:M]"
    )
    found = taken(remedied, SIZES, drawn, "AV", ["two-pass attention"])
    assert same(found, refused, drawn)


def test_the_remedies_of_a_rectifier_are_taken() -> None:
    """Other weights, with the slots that a PE has: the feature map, and a sigmoid on the wide multiplier."""
    for weights in ("relu(S[m, p]) + exp(min(S[m, p], 0))", "sigmoid(S[m, p])"):
        (work,) = recognise_sequence(parse((HEAD + RELU).replace("relu(S[m, p])", weights)))
        assert work.kernel.roles.keys() >= {"product", "combine"}


def test_the_remedy_of_a_mean_is_taken(seed: int) -> None:
    """A sum over e is a product with ones; what divides it is the host's."""
    text = "rank E, J, P\ninput X[e:E, p:P], O[e:E, j:J]\nMU[j, p] = X[e, p] * O[e, j]\noutput MU"
    inputs = {"X": np.round(8 * np.random.default_rng(seed).standard_normal((6, 5))) / 8, "O": np.ones((6, 1))}
    found = taken(text, {"E": 6, "J": 1, "P": 5}, inputs, "MU", ["product"])
    assert np.array_equal(found[0], inputs["X"].sum(axis=0).astype(np.float32))
