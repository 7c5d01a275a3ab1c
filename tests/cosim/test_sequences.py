"""Cascades that are several programs: each agrees with its model on the operands that the RTL made for it."""

import json
from pathlib import Path

import numpy as np
import pytest

from einsum_cascade import load_architecture, parse, random_inputs, resolve_extents, zoo
from einsum_cascade.array.memory import rounded
from einsum_cascade.array.registers import ErrorCode
from einsum_cascade.cli import main
from einsum_cascade.cosim.memory_timing import MemoryTiming
from einsum_cascade.cosim.simulation import CosimResult, simulate
from einsum_cascade.study.preparation import prepare

SMALL, MEDIUM = "fusemax-4x4", "fusemax-8x8-4stages"
CHAIN = """
cascade chain
rank M, K, N, L
input A[m:M, k:K], B[k:K, n:N], C[n:N, l:L]
Y[m, n] = A[m, k] * B[k, n]
Z[m, l] = Y[m, n] * C[n, l]
output Z
"""
# Two heads, weights that all have or one has; results between are outputs, and the filter's zeros are added up.
BATCHED = """
cascade batched
rank H, M, K, N, L, J
input A[h:H, m:M, k:K], B[k:K, n:N], C[h:H, n:N, l:L], D[l:L, j:J]
Y[h, n, m] = A[h, m, k] * B[k, n] where n <= m
Z[h, m, l] = Y[h, n, m] * C[h, n, l]
W[h, j, m] = Z[h, m, l] * D[l, j]
output W, Y, Z
"""
BOTH = str(zoo.load("attention-causal")).replace("output AV", "output AV, A")
LINEAR = str(zoo.load("attention-linear"))
# Heads of queries share keys and values, and sums leave as well.
HEADS = """
cascade heads
rank B, H, E, F, M, P
input Q[b:B, h:H, e:E, p:P], K[b:B, e:E, m:M], V[b:B, f:F, m:M]
PK[b, e, m] = exp(min(0, K[b, e, m])) + max(0, K[b, e, m])
KS[b, e] = sum[m](PK[b, e, m])
KV[b, e, f] = V[b, f, m] * PK[b, e, m]
PQ[b, h, e, p] = relu(Q[b, h, e, p]) + exp(min(Q[b, h, e, p], 0))
NV[b, h, f, p] = PQ[b, h, e, p] * KV[b, e, f]
ND[b, h, p] = PQ[b, h, e, p] * KS[b, e]
AV[b, h, f, p] = NV[b, h, f, p] / ND[b, h, p]
output AV, KS
"""
CASES = [
    (CHAIN, {"M": 6, "K": 5, "N": 9, "L": 7}, ["product", "product"]),
    (BATCHED, {"H": 2, "M": 6, "K": 3, "N": 5, "L": 4, "J": 10}, ["product"] * 3),
    (BOTH, {"E": 5, "F": 6, "M": 11, "P": 9}, ["softmax", "product"]),
    (str(zoo.load("attention-self")), {"D": 6, "E": 4, "F": 7, "N": 9}, [*["product"] * 3, "softmax", "product"]),
    (
        str(zoo.load("attention-1pass-self")),
        {"D": 6, "E": 8, "F": 5, "N": 17, "M0": 0},
        [*["product"] * 3, "attention"],
    ),
    (
        str(zoo.load("attention-deferred-self")),
        {"D": 9, "E": 8, "F": 3, "N": 10},
        [*["product"] * 3, "two-pass attention"],
    ),
]


def _simulated(text: str, extents: dict[str, int], name: str, memory: MemoryTiming | None = None) -> CosimResult:
    cascade, machine = parse(text), load_architecture(name)
    if "M0" in extents:
        extents = {**extents, "M0": machine.engines[0].rows}
    extents = resolve_extents(cascade, extents)
    inputs = random_inputs(cascade, extents, 3)
    return simulate(prepare(cascade, machine, extents, inputs=inputs), inputs, memory)


# PEs with a feature map are another design: `make test` has the small one.
FEATURES = [
    (LINEAR, {"E": 5, "F": 6, "M": 11, "P": 9}, ["feature sums", "linear attention"], SMALL),
    (HEADS, {"B": 2, "H": 3, "E": 6, "F": 3, "M": 9, "P": 5}, ["feature sums", "linear attention"], SMALL),
]


@pytest.mark.parametrize(
    ("text", "extents", "kernels", "name"),
    [*((*case, name) for case in CASES for name in (SMALL, MEDIUM)), *FEATURES],
    ids=lambda each: str(each)[:24].split("\n")[0],
)
def test_every_program_agrees(text: str, extents: dict[str, int], kernels: list[str], name: str) -> None:
    result = _simulated(text, extents, name)
    assert result.run.error == ErrorCode.NONE
    assert [step.step.work.kernel.name for step in result.steps] == kernels
    assert result.is_agreed and all(step.is_agreed for step in result.steps)
    # bf16 has 8 bits: each rounding of a result is off by 2^-9 of it at most, of which there are at most three.
    assert result.max_rel_error is not None and result.max_rel_error < 0.02
    assert [*result.outputs] == [*result.prepared.cascade.outputs]
    found = result.to_json()
    assert found["values"]["compared"] == sum(step.step.compared for step in result.steps)
    for count in ("schedule", "model", "rtl", "total"):
        assert found["cycles"][count] == sum(step["cycles"][count] for step in found["steps"])
    assert found["cycles"]["rtl"] - sum(found["stalls"].values()) == found["cycles"]["schedule"]


def test_results_are_rounded_for_those_that_read_them() -> None:
    """The second product is that of the rounded results of the first, in order of the keys, rounded once a step."""
    cascade = parse(CHAIN)
    prepared = prepare(cascade, load_architecture(SMALL), resolve_extents(cascade, {"M": 6, "K": 5, "N": 3, "L": 7}))
    inputs = random_inputs(cascade, prepared.extents, 3)
    result = simulate(prepared, inputs)
    first, second = result.steps
    form = prepared.shape.numbers.operand
    read, weights = rounded(first.output[0], form).astype(np.float64), rounded(inputs["C"], form).astype(np.float64)
    total = np.zeros((6, 7), np.float32)
    for n in range(3):
        # Products of two bf16 and their sum with a float32 are exact in float64, or nearly so: rounded once.
        total = (read[:, n, None] * weights[n] + total).astype(np.float32)
    assert np.array_equal(second.output[0], total)


def test_stalls_of_all_programs_are_counted() -> None:
    fast, slow = (
        _simulated(*CASES[0][:2], SMALL, memory) for memory in (MemoryTiming(0, 4.0), MemoryTiming(40, 1.5, 11))
    )
    assert fast.is_agreed and slow.is_agreed
    assert np.array_equal(fast.output, slow.output)
    assert sum(slow.stalls.values()) > sum(fast.stalls.values())
    assert slow.model_cycles == slow.prepared.schedule_cycles + sum(slow.stalls.values())


@pytest.mark.parametrize(
    ("name", "scores", "filtered", "kernel"),
    [
        ("attention-1pass-gqa", "BK[b, g, e, m1, m0]", "m1*M0 + m0 < LEN[b]", "attention"),
        ("attention-deferred-gqa", "K[b, g, e, m]", "m < LEN[b]", "two-pass attention"),
        ("attention-gqa", "K[b, g, e, m]", "m < LEN[b] and m <= p + LEN[b] - P", "softmax"),
    ],
)
def test_sequences_of_different_lengths_are_programs(name: str, scores: str, filtered: str, kernel: str) -> None:
    """Three sequences with two heads of keys each; the last two are of a length that bf16 does not have."""
    text = (
        str(zoo.load(name)).replace("input ", "input LEN[b:B], ").replace(f"* {scores}", f"* {scores} where {filtered}")
    )
    cascade, machine = parse(text), load_architecture(SMALL)
    sizes = {"B": 3, "G": 2, "R": 2, "E": 3, "F": 4, "M": 268, "P": 5} | ({"M0": 4} if "1pass" in name else {})
    inputs = random_inputs(cascade, extents := resolve_extents(cascade, sizes), 3, {"LEN": np.array([5, 257, 257])})
    result = simulate(prepare(cascade, machine, extents, inputs=inputs), inputs)
    assert result.is_agreed, result.to_json()
    found = [(step["kernel"], step["heads"]) for step in result.to_json()["steps"]]
    assert found[:2] == [(kernel, [0, 2]), (kernel, [2, 6])]
    assert found[2:] == ([("product", [0, 6])] if kernel == "softmax" else [])
    assert [step.step.lowered.program.keys for step in result.steps[:2]] == [5, 257]
    assert result.max_rel_error is not None and result.max_rel_error < 0.02


def test_nothing_runs_after_a_program_that_failed() -> None:
    result = _simulated(*CASES[0][:2], SMALL, MemoryTiming(failing_read=8))
    assert not result.is_agreed
    assert len(result.steps) == 1 and not result.outputs
    found = result.to_json()
    assert found["status"]["error"] == "read_error" and found["values"]["max_abs_error"] is None


def test_every_program_has_waveforms_of_its_own(tmp_path: Path) -> None:
    cascade, machine = parse(CHAIN), load_architecture(SMALL)
    prepared = prepare(cascade, machine, resolve_extents(cascade, {"M": 4, "K": 2, "N": 3, "L": 2}))
    result = simulate(prepared, random_inputs(cascade, prepared.extents, 3), wave=tmp_path / "run.vcd")
    assert result.is_agreed
    assert [step["wave"] for step in result.to_json()["steps"]] == [str(tmp_path / f"run-{at}.vcd") for at in (1, 2)]
    assert all("$enddefinitions" in path.read_text() for path in tmp_path.iterdir())


def _main(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(str(ended.value.code))


ARGUMENTS = ["--arch", SMALL, "--set", "M=6,K=5,N=9,L=7"]


def test_the_command_line_simulates_a_sequence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "chain.cascade"
    file.write_text(CHAIN.replace("output Z", "output Z, Y"))
    assert _main("simulate", str(file), *ARGUMENTS, "--output", str(tmp_path / "out"), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [(step["kernel"], step["outputs"]) for step in found["steps"]] == [("product", ["Y"]), ("product", ["Z"])]
    assert np.load(tmp_path / "out" / "Y.npy").shape == (6, 9) and np.load(tmp_path / "out" / "Z.npy").shape == (6, 7)
    assert _main("simulate", str(file), *ARGUMENTS) == 0
    text = capsys.readouterr().out
    assert "product Y" in text and "product Z" in text and "agree in every bit" in text


def test_the_command_line_writes_one_design_and_all_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "chain.cascade"
    file.write_text(CHAIN)
    assert _main("rtl", str(file), *ARGUMENTS, "--output", str(tmp_path / "rtl"), "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["programs"]) == 2
    names = {path.name for path in (tmp_path / "rtl").iterdir()}
    assert {"top.v", "program-1.txt", "program-2.txt"} <= names and "program.txt" not in names
    manifest = json.loads((tmp_path / "rtl" / "manifest.json").read_text())
    # Keys of 5 and of 9 operands: two kernels.
    assert len({step["schedule_sha256"] for step in manifest["steps"]}) == 2


def test_the_array_is_made_for_the_longest_of_all_programs() -> None:
    cascade = parse(CHAIN)
    prepared = prepare(cascade, load_architecture(SMALL), resolve_extents(cascade, {"M": 4, "K": 65, "N": 130, "L": 4}))
    assert {step.lowered.program.shape for step in prepared.steps} == {prepared.shape}
    # In steps of 64.
    assert prepared.shape.product_steps == 192
