"""Cascades of which the array does a part and the host the rest, in the interpreter."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_runs import modelled
from numpy.typing import NDArray
from random_counts import random_count

from einsum_cascade import evaluate, load_architecture, parse, random_inputs, resolve_extents, zoo
from einsum_cascade.array.memory import rounded
from einsum_cascade.array.numbers import BFLOAT16
from einsum_cascade.cli import main
from einsum_cascade.cosim.accuracy import Accuracy, accuracy_of
from einsum_cascade.errors import EvaluationError, IllegalMappingError
from einsum_cascade.lowering.prepared import Prepared
from einsum_cascade.recognition.sequence import HostWork
from einsum_cascade.study.preparation import prepare

ARRAY = load_architecture("fusemax-4x4")
type Array = NDArray[Any]


def run(
    case: Prepared, stored: Mapping[str, Array]
) -> tuple[dict[str, Array], list[Accuracy], list[Mapping[str, Array]]]:
    """Return what the model and the host make, how near the model is, and the tensors that its works read."""
    accuracies: list[Accuracy] = []
    seen: list[Mapping[str, Array]] = []

    def judge(steps: Any, tensors: Mapping[str, Array], found: Mapping[str, Any]) -> None:
        seen.append(tensors)
        accuracies.append(accuracy_of(steps, tensors, found))

    return modelled(case, stored, judge), accuracies, seen


def is_near(found: Array, exact: Array) -> bool:
    """Tell whether results differ by less than five roundings to bf16 of the largest."""
    return bool(np.abs(found - exact).max() <= 5 * 2**-9 * np.abs(exact).max())


@dataclass(frozen=True)
class Edge:
    """What is done before or after a kernel: its inputs and Einsums, and the same in NumPy on axes `name`."""

    inputs: str
    text: str
    value: Callable[..., Array]


def befores(axes: str, reduced: str) -> list[Edge]:
    """Return what makes `T` from `XT`, along axes, one of which a norm is over."""
    names = axes.replace(", ", "")
    at, rest = names.index(reduced), ", ".join(name for name in names if name != reduced)

    def norm(x: Array, r: Array) -> Array:
        centred = x - x.mean(at, keepdims=True)
        return centred / np.sqrt((centred**2).mean(at, keepdims=True) + 1e-5)

    return [
        Edge("", f"T[{axes}] = tanh(XT[{axes}])", lambda x, r: np.tanh(x)),
        Edge("R", f"T[{axes}] = 0.5*XT[{axes}] + R[{axes}]", lambda x, r: 0.5 * x + r),
        Edge(
            "",
            f"MU[{rest}] = sum[{reduced}](XT[{axes}])\n"
            f"XC[{axes}] = XT[{axes}] - MU[{rest}] / {reduced.upper()}\n"
            f"SS[{rest}] = sum[{reduced}](XC[{axes}] * XC[{axes}])\n"
            f"T[{axes}] = XC[{axes}] / sqrt(SS[{rest}] / {reduced.upper()} + 1e-5)",
            norm,
        ),
    ]


def afters(axes: str) -> list[Edge]:
    """Return what makes `Y` from `Z`, along axes."""
    names = axes.replace(", ", "")
    return [
        Edge("", f"Y[{axes}] = exp(Z[{axes}])", lambda z, w: np.exp(z)),
        Edge("W", f"Y[{axes}] = Z[{axes}] + W[{axes}]", lambda z, w: z + w),
        # A product over all axes but the first: two reductions or more where there are heads.
        Edge(
            "W",
            f"Y[{axes[0]}] = sum[{axes[3:]}](W[{axes}] * Z[{axes}])",
            lambda z, w: np.einsum(f"{names},{names}->{names[0]}", w, z),
        ),
    ]


# The kernel's name, an input with its axes and the one that a norm is over, the output with its axes.
KERNELS = {
    "attention-deferred": ("Q", "e, p", "e", "AV", "f, p"),
    "attention-1pass": ("K", "e, m", "e", "AV", "f, p"),
    "attention-1pass-causal": ("V", "f, m", "m", "AV", "f, p"),
    "attention-deferred-gqa": ("Q", "b, g, r, e, p", "e", "AV", "b, g, r, f, p"),
    "attention-linear": ("K", "e, m", "m", "AV", "f, p"),
    "softmax": ("X", "m, p", "m", "A", "m, p"),
}


@pytest.mark.parametrize("name", KERNELS)
def test_the_array_does_its_part_and_the_host_the_rest(name: str, seed: int) -> None:
    """What the host makes is NumPy's, of what the array made; what the array makes is as near as its formats allow."""
    given, own, reduced, output, axes = KERNELS[name]
    for number in range(random_count(40)):
        rng = np.random.default_rng([seed, number])
        options = befores(own, reduced), afters(axes)
        before, after = (each[int(rng.integers(len(each)))] for each in options)
        kept = [bool(rng.integers(2)) for _ in range(2)]
        kept[0] |= not kept[1]
        text = _around(str(zoo.load(name)), name, before if kept[0] else None, after if kept[1] else None)
        cascade = parse(text)
        sizes = {each.name: int(rng.integers(2, 7)) for each in cascade.ranks if each.extent is None} | (
            {"M0": 4} if "M0" in cascade.rank else {}
        )
        told = f"case {number} of seed {seed}: {sizes}\n{text}"
        extents = resolve_extents(cascade, sizes)
        case = prepare(cascade, ARRAY, extents)
        inputs = random_inputs(cascade, extents, number)
        stored = case.stored(inputs)
        made, accuracies, seen = run(case, stored)
        assert [each.beyond for each in accuracies] == [0] * len(accuracies), told
        assert {each.kernel.name for each in case.works if hasattr(each, "kernel")} <= _kernels_of(name), told
        operand = before.value(stored[f"X{given}"], stored.get("R")) if kept[0] else inputs[given]
        # A work of the array reads what the host made, or the user gave, rounded to the operand format.
        read = next(tensors[given] for tensors in seen if given in tensors)
        assert np.allclose(read, rounded(operand, BFLOAT16), rtol=2**-7, atol=1e-12), told
        if kept[1]:
            assert np.allclose(made["Y"], after.value(made[output].astype(float), stored.get("W")), rtol=1e-12), told
        exact = evaluate(cascade, stored, extents)
        found = {each: made[each] for each in cascade.outputs}
        for each, values in exact.items():
            # Operands, weights and what linear attention hands on are rounded to 8 bits, each to 2^-9.
            assert np.abs(found[each] - values).max() <= 0.1 * max(1.0, np.abs(values).max()), told


def _kernels_of(name: str) -> set[str]:
    cascade = zoo.load(name)
    extents = {each.name: 4 for each in cascade.ranks if each.extent is None} | ({"M0": 4} if "1pass" in name else {})
    prepared = prepare(cascade, ARRAY, resolve_extents(cascade, extents))
    # What is before may cut a product off linear attention's queries; nothing else is another kernel.
    return {step.work.kernel.name for step in prepared.steps}


def _around(text: str, name: str, before: Edge | None, after: Edge | None) -> str:
    """Return a cascade of the zoo with Einsums before one of its inputs, and after its output."""
    given, own, _, output, axes = KERNELS[name]
    lines = text.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("input"))
    if before is not None:
        lines[at] = lines[at].replace(f"{given}[", f"X{given}[")
        declared = ", ".join(f"{each}:{each.upper()}" for each in own.split(", "))
        lines[at] += f", R[{declared}]" if before.inputs else ""
        lines.insert(at + 1, before.text.replace("XT[", f"X{given}[").replace("T[", f"{given}["))
    if after is not None:
        declared = ", ".join(f"{each}:{each.upper()}" for each in axes.split(", "))
        lines[at] += f", W[{declared}]" if after.inputs else ""
        lines[-1:] = [after.text.replace("Z[", f"{output}["), "output Y"]
    return "\n".join(lines)


SOFT_CAP = """
rank E, F, M, P
input Q[e:E, p:P], K[e:E, m:M], V[f:F, m:M]
S[m, p] = Q[e, p] * K[e, m]
T[m, p] = 5 * tanh(S[m, p] / 5)
GM[p] = max[m](T[m, p])
SN[m, p] = exp(T[m, p] - GM[p])
SD[p] = sum[m](SN[m, p])
SNV[f, p] = SN[m, p] * V[f, m]
AV[f, p] = SNV[f, p] / SD[p]
output AV, GM
"""
CAUSAL = SOFT_CAP.replace("* K[e, m]", "* K[e, m] where m <= p")


def test_what_a_filter_leaves_out_of_the_arrays_results_is_absent_for_the_host() -> None:
    """All scores are below 0, and so is each maximum over the keys m <= p; the zeros in memory are no scores."""
    cascade = parse(CAUSAL)
    extents = resolve_extents(cascade, {"E": 3, "F": 2, "M": 5, "P": 5})
    inputs = random_inputs(cascade, extents, 0)
    inputs["Q"], inputs["K"] = np.abs(inputs["Q"]) + 1, -np.abs(inputs["K"]) - 1
    case = prepare(cascade, ARRAY, extents)
    stored = case.stored(inputs)
    made, _, _ = run(case, stored)
    assert (made["S"][2, :2] == 0).all() and (made["GM"] < -1).all()
    for name, values in evaluate(cascade, stored, extents).items():
        assert is_near(made[name], values), name


def test_the_tail_of_the_last_tile_is_absent_for_the_host() -> None:
    """7 keys in tiles of 4: the array's product has a row of zeros where there is no key, which no sum takes in."""
    cascade = zoo.load("attention-1pass-lse")
    extents = resolve_extents(cascade, {"E": 3, "F": 2, "M": 7, "P": 5, "M0": 4})
    case = prepare(cascade, ARRAY, extents)
    stored = case.stored(random_inputs(cascade, extents, 0))
    made, _, _ = run(case, stored)
    for name, values in evaluate(cascade, stored, extents).items():
        assert is_near(made[name], values), name


def test_what_only_the_host_reads_is_not_rounded() -> None:
    """A third is no number of bf16; the array reads B, the host C."""
    cascade = parse(
        "rank M, N, K\ninput A[m:M, k:K], B[k:K, n:N], C[m:M]\n"
        "Y[m, n] = A[m, k] * B[k, n]\nZ[m, n] = Y[m, n] + C[m]\noutput Z"
    )
    case = prepare(cascade, ARRAY, {"M": 2, "N": 2, "K": 2})
    stored = case.stored({"A": np.eye(2), "B": np.full((2, 2), 1 / 3), "C": np.full(2, 1 / 3)})
    made, _, _ = run(case, stored)
    third = float(rounded(np.array(1 / 3), BFLOAT16))
    assert third != 1 / 3 and (made["Z"] == third + 1 / 3).all()


def test_the_host_divides_by_nothing_as_little_as_the_interpreter_does() -> None:
    """Queries 0 and 1 have no key m <= p - 2."""
    cascade = parse(CAUSAL.replace("m <= p", "m <= p - 2"))
    case = prepare(cascade, ARRAY, resolve_extents(cascade, {"E": 3, "F": 2, "M": 5, "P": 5}))
    stored = case.stored(random_inputs(cascade, case.extents, 0))
    with pytest.raises(EvaluationError) as interpreted:
        evaluate(cascade, stored, case.extents)
    with pytest.raises(EvaluationError) as divided:
        run(case, stored)
    assert str(divided.value) == str(interpreted.value)


# A product whose keys are made by a recurrence through it.
CIRCLE = """
rank I, N
rank M = N
input A[m:M, n:N], X0[n:N, b:M]
init X[0, n, b] = X0[n, b]
Y[i, m, b] = A[m, n] * X[i, n, b]
X[i + 1, n, b] = tanh(Y[i, n, b])
"""


def test_a_recurrence_through_a_kernel_is_the_hosts() -> None:
    message = (
        r"(?m)^Y\[i, m, b\] must be done as a whole for the array, but is made from X\[i \+ 1, n, b\] step by step, and"
    )
    for text, expected in (("output X", []), ("B[m, b] = A[m, n] * X0[n, b]\noutput X, B", ["B"])):
        cascade = parse(CIRCLE + text)
        extents = resolve_extents(cascade, {"I": 3, "N": 4})
        if not expected:
            with pytest.raises(IllegalMappingError, match=message):
                prepare(cascade, ARRAY, extents)
            continue
        case = prepare(cascade, ARRAY, extents)
        stored = case.stored(random_inputs(cascade, extents, 0))
        made, _, _ = run(case, stored)
        assert [step.work.output.tensor for step in case.steps] == expected
        assert np.allclose(made["X"], evaluate(cascade, stored, extents)["X"], rtol=1e-12)


def _main(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(str(ended.value.code))


CASES = {
    "cap": (CAUSAL, ["product", "host", "product", "host"]),
    "norm": (str(zoo.load("layernorm-matmul")), ["host", "product"]),
}


@pytest.mark.parametrize("name", CASES)
def test_simulate_says_what_the_host_does(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, kernels = CASES[name]
    file = tmp_path / f"{name}.cascade"
    file.write_text(text)
    sizes = ",".join(f"{rank}=6" for rank in parse(text).free_ranks)
    arguments = [str(file), "--arch", "fusemax-4x4", "--set", sizes]
    assert _main("simulate", *arguments, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [step["kernel"] for step in found["steps"]] == kernels
    hosts = [step for step in found["steps"] if step["kernel"] == "host"]
    assert all(step["cycles"] is None for step in hosts)
    assert found["values"]["mismatched"] == 0 and found["values"]["max_rel_error"] < 0.02
    told = {each["einsum"]: each["reason"] for step in hosts for each in step["einsums"]}
    cause = {"cap": "T[m, p]", "norm": "MU[n]"}[name]
    assert f"but {cause} needs" in told[cause]
    assert sum("must be able to do" in reason for reason in told.values()) == 1
    assert _main("simulate", *arguments) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "not counted" in printed and "--strict" in printed and all(each in printed for each in told.values())
    assert _main("simulate", *arguments, "--strict") == 2
    assert f"but {cause} needs" in capsys.readouterr().err


LAYER = """S{n}[m, p] = {score}
T{n}[m, p] = 0.25 * S{n}[m, p]
GM{n}[p] = max[m](T{n}[m, p])
SN{n}[m, p] = exp(T{n}[m, p] - GM{n}[p])
SS{n}[p] = sum[m](SN{n}[m, p])
SNV{n}[e, p] = SN{n}[m, p] * V[e, m]
"""
LAYERS = (
    "rank E, M, P\ninput Q[e:E, p:P], K[e:E, m:M], V[e:E, m:M]\n"
    + LAYER.replace("{n}", "1")
    + "AV[e, p] = SNV1[e, p] / SS1[p]\n"
    + LAYER.replace("{n}", "2").replace("{score}", "{score2}")
    + "SD[p] = SS2[p] + exp(1 - GM2[p])\nO[e, p] = SNV2[e, p] / SD[p]\noutput O"
)


@pytest.mark.parametrize("factor", ["", "0.5 * "])
def test_the_host_raises_scores_with_their_factors(factor: str) -> None:
    """The factors of the first attention are those of its exponentials; the host, with a sink, multiplies by its own.

    A product loses its factor either way, and is the array's.
    """
    text = LAYERS.replace("{score}", f"{factor}Q[e, p] * K[e, m]").replace("{score2}", f"{factor}AV[e, p] * K[e, m]")
    cascade = parse(text)
    extents = resolve_extents(cascade, {"E": 4, "M": 6, "P": 5})
    case = prepare(cascade, ARRAY, extents)
    inputs = random_inputs(cascade, extents, 0)
    inputs["Q"] *= 16
    inputs["V"] *= 4
    stored = case.stored(inputs)
    made, accuracies, _ = run(case, stored)
    kernels = ["host" if isinstance(work, HostWork) else work.kernel.name for work in case.works]
    assert kernels == ["two-pass attention", "product", "host", "product", "host"]
    assert not any(each.beyond for each in accuracies)
    for name, values in evaluate(cascade, stored, extents).items():
        assert is_near(made[name], values), name
