"""`rtl` and `simulate` as a user runs them."""

import json
from pathlib import Path

import numpy as np
import pytest

from einsum_cascade.cli import main

pytestmark = pytest.mark.xdist_group("cosim")

CASE = ["attention-1pass", "--arch", "fusemax-4x4", "--set", "E=8,F=8,M=12,P=6"]


def _run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(str(ended.value.code))


def test_simulate_prints_what_the_issue_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "q.npy", np.ones((8, 6)))
    given = ["--input", f"Q={tmp_path / 'q.npy'}", "--output", str(tmp_path / "out"), "--json"]
    assert _run("simulate", *CASE, *given, "--memory-latency", "20", "--backpressure", "3") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["verilator"].startswith("Verilator 5.")
    assert (found["rows"], found["columns"]) == (4, 4)
    assert found["cycles"]["model"] == found["cycles"]["rtl"]
    assert found["cycles"]["rtl"] - sum(found["stalls"].values()) == found["cycles"]["schedule"]
    assert found["values"]["compared"] == 48 and found["values"]["mismatched"] == 0
    assert found["values"]["rounded"] == 2 * 8 * 12  # the queries are ones
    assert 0 < found["values"]["max_abs_error"] < 0.05
    assert {"util_2d", "util_1d", "build_s", "run_s", "max_rel_error"} <= found.keys() | found["values"].keys()
    assert np.load(tmp_path / "out" / "AV.npy").shape == (8, 6)


def test_linear_attention_is_two_programs(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--arch", "fusemax-4x4", "--set", "E=8,F=5,M=12,P=6"]
    assert _run("simulate", "attention-linear", *sizes, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [step["outputs"] for step in found["steps"]] == [["KV", "KS"], ["AV"]]
    assert found["values"]["mismatched"] == 0 and found["cycles"]["model"] == found["cycles"]["rtl"]
    assert 0 < found["values"]["max_rel_error"] < 0.01


def test_rtl_writes_a_design(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("rtl", *CASE, "--output", str(tmp_path), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["interval_cycles"] == 25 and found["proof"] == "bound"
    assert {Path(path).name for path in found["files"].values()} == {path.name for path in tmp_path.iterdir()}
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["architecture"] == "fusemax-4x4"
    assert manifest["shape"]["numbers"]["accumulation"] == "e8m23"


def test_sums_are_narrower_if_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Told in manifest and program; the PE is another one, and nothing else is."""
    folders = {name: tmp_path / name for name in ("fp32", "bf16")}
    for name, folder in folders.items():
        assert _run("rtl", *CASE, "--output", str(folder), "--accumulation", name) == 0
        assert f"array.accumulation {name}\n" in (folder / "program.txt").read_text()
    capsys.readouterr()
    manifest = json.loads((folders["bf16"] / "manifest.json").read_text())
    assert manifest["shape"]["numbers"]["accumulation"] == "e8m7"
    names = [path.name for path in folders["fp32"].glob("*.v")]
    changed = [name for name in names if (folders["fp32"] / name).read_text() != (folders["bf16"] / name).read_text()]
    assert changed == ["pe.v"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["attention-2pass", *CASE[1:]], 2, "but GM[p] needs max over m1 in this place"),
        ([*CASE[:2], "systolic", *CASE[3:]], 1, "must have an engine '2d' with 'mac' and contexts"),
        ([*CASE, "--operands", "fp32", "--multiplier", "narrow"], 2, "need the wide multiplier"),
        (["attention-sigmoid", *CASE[1:]], 2, "on its wide multiplier, but has the narrow one; use the wide one"),
        ([*CASE, "--operands", "half"], 2, "a number format must be one of"),
        ([*CASE, "--accumulation", "half"], 2, "a number format must be one of"),
        ([*CASE, "--accumulation", "fp64"], 2, "the accumulation format must fit into fp32, with the bias and"),
        ([*CASE, "--accumulation", "fp8_e4m3"], 2, "choose fp32, bf16, fp16, or widths such as e8m10"),
        ([*CASE, "--wave", "run.ghw"], 2, "must end in .fst or .vcd, not 'run.ghw'"),
        ([*CASE, "--wave", "no/such/run.fst"], 2, "must be in a folder that exists, not 'no/such/run.fst'"),
        ([*CASE, "--memory-bandwidth", "0"], 2, "--memory-bandwidth above 0"),
        ([*CASE[:3], "--set", "E=5000,F=8,M=12,P=6"], 1, "product_steps of an array must be from 1 to 4096, not 5056"),
        ([*CASE, "--mapping", "binding"], 2, "the loops around 'BQK' must be p by 4"),
        (
            [*CASE[:3], "--set", "E=8,F=8,M=12,P=6,M0=3"],
            1,
            "a tile of keys must have a coordinate for each of the 4 rows",
        ),
    ],
)
def test_what_cannot_be_simulated(
    arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run("simulate", *arguments) == code
    assert message in capsys.readouterr().err
