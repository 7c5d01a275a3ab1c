"""`rtl` and `simulate` as a user runs them."""

import json
from pathlib import Path

import numpy as np
import pytest

from einsum_cascade import load_architecture, random_inputs, zoo
from einsum_cascade.cli import main
from einsum_cascade.cosim.simulation import simulate as run_simulation
from einsum_cascade.errors import EvaluationError
from einsum_cascade.study.preparation import prepare

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


def test_what_is_beyond_the_format_is_told_and_saturates_on_demand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The greatest number of bf16 is 3.3895e38; a NaN is no number that is rounded, and 1 is one of bf16."""
    queries = np.ones((8, 6))
    queries[0, 0], queries[0, 1], queries[0, 2] = 1e39, np.nan, 1 / 3
    np.save(tmp_path / "q.npy", queries)
    given = ["--input", f"Q={tmp_path / 'q.npy'}"]
    for more in ([], ["--saturate"]):
        _run("simulate", *CASE, *given, *more, "--json")
        found = json.loads(capsys.readouterr().out)
        # All keys and values are drawn.
        assert found["values"]["overflowed"] == 1
        assert found["values"]["rounded"] == 2 * 8 * 12 + 1 + len(more)
        assert found["values"]["mismatched"] == 0
    _run("simulate", *CASE, *given)
    printed = " ".join(capsys.readouterr().out.split())
    assert (
        "1 of the inputs went beyond 3.38953e+38, the greatest number of the operand format, and became infinite"
        in printed
    )


def test_queries_without_keys_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Of 8 queries with a window of 2 over 5 keys, 6 and 7 have none."""
    case = ["attention-window", "--arch", "fusemax-4x4", "--set", "E=3,F=2,M=5,P=8,W=2"]
    assert _run("simulate", *case, "--json") == 0
    values = json.loads(capsys.readouterr().out)["values"]
    assert (values["without_keys"], values["zero_sums"], values["mismatched"]) == (2, 0, 0)
    assert _run("simulate", *case) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "2 queries have no key; the array gives 0, `run` refuses to divide by a sum over nothing." in printed
    assert _run("run", case[0], *case[3:]) == 2


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
    (program,) = found["programs"]
    assert program["interval_cycles"] == 25 and program["proof"] == "bound"
    assert {Path(path).name for path in found["files"].values()} == {path.name for path in tmp_path.iterdir()}
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["architecture"] == "fusemax-4x4"
    assert manifest["shape"]["numbers"]["accumulation"] == "e8m23"


def test_sums_are_narrower_if_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Told in manifest and program; the PE is another one, the top says so in a word, and the bench looks at it."""
    folders = {name: tmp_path / name for name in ("fp32", "bf16")}
    for name, folder in folders.items():
        assert _run("rtl", *CASE, "--output", str(folder), "--accumulation", name) == 0
        assert f"array.accumulation {name}\n" in (folder / "program.txt").read_text()
    capsys.readouterr()
    manifest = json.loads((folders["bf16"] / "manifest.json").read_text())
    assert manifest["shape"]["numbers"]["accumulation"] == "e8m7"
    names = [path.name for path in folders["fp32"].glob("*.v")]
    changed = [name for name in names if (folders["fp32"] / name).read_text() != (folders["bf16"] / name).read_text()]
    assert sorted(changed) == ["pe.v", "tb.v", "top.v"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["attention-2pass", *CASE[1:], "--strict"], 2, "but GM[p] needs max over m1 in this place"),
        ([*CASE[:2], "systolic", *CASE[3:]], 1, "engine '2d' of 'systolic' must have 'mac' and contexts"),
        ([*CASE, "--operands", "fp32", "--multiplier", "narrow"], 2, "need the wide multiplier"),
        (["attention-sigmoid", *CASE[1:]], 2, "on its wide multiplier, but has the narrow one; use the wide one"),
        ([*CASE, "--operands", "half"], 2, "a number format must be one of"),
        ([*CASE, "--accumulation", "half"], 2, "a number format must be one of"),
        ([*CASE, "--accumulation", "fp64"], 2, "the accumulation format must fit into fp32, with the bias and"),
        ([*CASE, "--accumulation", "fp8_e4m3"], 2, "choose fp32, bf16, fp16, or widths such as e8m10"),
        ([*CASE, "--wave", "run.ghw"], 2, "must end in .fst or .vcd, not 'run.ghw'"),
        ([*CASE, "--wave", "no/such/run.fst"], 2, "must be in a folder that exists, not 'no/such/run.fst'"),
        *(
            ([*CASE, "--memory-bandwidth", value], 2, "--memory-bandwidth a number of at least 0.01, not 0 and")
            for value in ("0", "nan", "inf", "1e-320")
        ),
        ([*CASE, "--memory-latency", "60000"], 2, "--memory-latency must be below 50000, half of what the array's"),
        ([*CASE, "--operands", "e4m3"], 2, "operands must be one of bf16, fp16, fp8_e4m3, fp8_e5m2, fp32, not 'e4m3'"),
        *(
            (
                [*CASE[:4], ",".join(f"{name}={0 if name == rank else 6}" for name in "EFMP")],
                2,
                f"rank {rank} must have a coordinate for the array",
            )
            for rank in "EFMP"
        ),
        ([*CASE, "--set", "M1=2"], 2, "rank 'M' must be reached as a whole by index 'm1*M0 + m0', as it is by default"),
        (
            [*CASE[:4], "E=8,F=8,M=12,P=99999999999999999999999"],
            2,
            "input 'Q' must fit into memory, but has the shape (8, 9999",
        ),
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["attention-1pass", "M=4294967297,P=4"], "tiles of keys of a program must be at most 8388607, not 1073741825"),
        (["attention-1pass", "M=4,P=99999999999"], "tiles of queries of a program must be at most 8388607, not"),
        (
            ["attention-1pass-gqa", "B=8,G=8,R=1,E=64,F=64,M=131072,P=131072"],
            "bytes of its tensors of a program must be",
        ),
        (
            ["attention-1pass-gqa", "B=4096,G=4096,R=2,M=4,P=4"],
            "query heads of a program must be at most 16777215, not",
        ),
    ],
)
def test_what_the_registers_cannot_hold_is_not_written(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, sizes = arguments
    setting = ["--set", sizes if "E=" in sizes else f"E=8,F=8,{sizes}"]
    assert _run("rtl", name, *CASE[1:3], *setting, "--output", str(tmp_path / "design")) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "design").exists()


def test_a_window_wider_than_all_keys_masks_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """As the causal mask that it is then; 2^40 is in no register."""
    sizes = ["--arch", "fusemax-4x4", "--json", "--set", "E=8,F=8,M=12,P=6"]
    assert _run("simulate", "attention-1pass-window", *sizes, "--set", f"W={1 << 40}") == 0
    window = json.loads(capsys.readouterr().out)
    assert _run("simulate", "attention-1pass-causal", *sizes) == 0
    causal = json.loads(capsys.readouterr().out)
    assert (window["cycles"], window["values"]) == (causal["cycles"], causal["values"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not one of numbers, whole; write it with numpy.save"),
        (b"PK\x03\x04", "is not one of numbers, whole; write it with numpy.save"),
        (b"\x80\x04N.", "is not one of numbers, whole; write it with numpy.save"),
        (None, "input 'Q' must be a .npy file of one array"),
        (np.ones((8, 6), complex), "input 'Q' must hold real numbers, but has the element type 'complex128'"),
        (np.full((8, 6), "one"), "input 'Q' must hold real numbers, but has the element type '<U3'"),
        (np.zeros((8, 6), "datetime64[s]"), "input 'Q' must hold real numbers, but has the element type"),
    ],
    ids=["empty", "no archive", "pickled", "several", "complex", "text", "dates"],
)
def test_inputs_that_are_no_numbers(
    content: bytes | np.ndarray | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "q.npy"
    if content is None:
        np.savez(tmp_path / "q.npz", a=np.ones(2), b=np.ones(2))
        (tmp_path / "q.npz").rename(file)
    elif isinstance(content, bytes):
        file.write_bytes(content)
    else:
        np.save(file, content)
    assert _run("simulate", *CASE, "--input", f"Q={file}") == 2
    assert message in capsys.readouterr().err


def test_waveforms_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder.fst").mkdir()
    assert _run("simulate", *CASE, "--wave", str(tmp_path / "folder.fst")) == 2
    assert "a file of waveforms must be one that can be written" in capsys.readouterr().err


def test_programs_of_another_work_do_not_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        _run("rtl", "attention-linear", "--arch", "fusemax-4x4", "--set", "E=8,F=5,M=12,P=6", "--output", str(tmp_path))
        == 0
    )
    assert sorted(path.name for path in tmp_path.glob("program*")) == ["program-1.txt", "program-2.txt"]
    assert _run("rtl", *CASE, "--output", str(tmp_path)) == 0
    assert sorted(path.name for path in tmp_path.glob("program*")) == ["program.txt"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Q": np.ones((8, 5))}, "P"),
        ({"K": np.ones((8, 13)), "V": np.ones((8, 13))}, "M"),
        ({"Q": np.ones((9, 6))}, "E"),
        ({"V": None}, "input 'V' must be given"),
    ],
    ids=["fewer queries", "more keys", "longer queries", "no values"],
)
def test_inputs_of_another_shape_than_was_prepared_for(changes: dict[str, np.ndarray | None], message: str) -> None:
    cascade = zoo.load("attention-1pass")
    case = prepare(cascade, load_architecture("fusemax-4x4"), {"E": 8, "F": 8, "M": 12, "P": 6, "M0": 4})
    inputs = {**random_inputs(cascade, case.extents, 0), **changes}
    with pytest.raises(EvaluationError, match=message):
        run_simulation(case, {name: array for name, array in inputs.items() if array is not None})
