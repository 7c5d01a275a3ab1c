import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy

from einsum_cascade import evaluate, zoo
from einsum_cascade.cli import app, main


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run the command line in this process; return exit code, output and errors."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


def read_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    code, out, err = call(capsys, *arguments, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def test_zoo(capsys: pytest.CaptureFixture[str]) -> None:
    entries = read_json(capsys, "zoo")["rows"]
    assert [entry["name"] for entry in entries] == list(zoo.names())
    assert all(entry["citation"] and entry["title"] for entry in entries)
    code, out, _ = call(capsys, "zoo")
    assert code == 0
    assert "attention-1pass" in out


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "show", "attention")
    assert code == 0
    assert out.strip() == str(zoo.load("attention"))
    assert call(capsys, "show", "attention", "--format", "latex")[1].startswith("$$")
    assert call(capsys, "show", "attention", "--format", "html")[1].startswith("<div>")
    found = read_json(capsys, "show", "attention-1pass", "--set", "M=10,M0=4")
    assert found["extents"] == {"M": 10, "M0": 4, "M1": 3}
    assert found["inputs"] == ["Q", "K", "V"]


def test_bounds_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The shape that other programs rely on."""
    found = read_json(capsys, "bounds", "attention")
    assert found["cascade"] == "attention"
    by_name = {(row["tensor"], row["rank"]): row for row in found["passes"]}
    keys = by_name["K", "M"]
    assert (keys["count"], keys["exact"]) == (3, True)
    assert keys["via"] == [{"variables": ["m"], "count": 3}]
    assert keys["witness"] == [
        "GM[p] needs every QK[m, p] before the first SN[m, p]: pass 2 begins",
        "SD[p] needs every SN[m, p] before the first A[m, p]: pass 3 begins",
    ]
    assert keys["einsums"] == [["QK", "GM"], ["SN", "SD"], ["A", "AV"]]
    first = next(row for row in found["footprints"] if (row["tensor"], row["rank"], row["number"]) == ("K", "M", 1))
    assert (first["elements"], first["depends_on_rank"], first["words_if_not_kept"]) == ("M + 1", True, "2*M*P")
    assert {"einsum": "QK[m, p]", "operator": "*", "count": "E*M*P", "exact": True} in found["operations"]
    assert {"tensor": "K", "words": "E*M", "reason": "compulsory read", "exact": True} in found["traffic"]


def test_bounds_with_extents(capsys: pytest.CaptureFixture[str]) -> None:
    """2 EMP + 2 FMP + 5 MP operations over (E + F) M + E P + F P words."""
    found = read_json(capsys, "bounds", "attention", "--set", "E=4,F=2", "--set", "M=100,P=10")
    counts = {(row["einsum"], row["operator"]): row["count"] for row in found["operations"]}
    assert counts["QK[m, p]", "*"] == 4 * 100 * 10
    assert counts["A[m, p]", "/"] == 1000
    total = 2 * 4000 + 2 * 2000 + 5 * 1000
    assert found["intensity"] == pytest.approx(total / (4 * 10 + 4 * 100 + 2 * 100 + 2 * 10))


def test_bounds_composite_and_partial_extents(capsys: pytest.CaptureFixture[str]) -> None:
    found = read_json(capsys, "bounds", "attention-2pass", "--set", "M0=16")
    counts = [(row["tensor"], row["rank"], row["count"]) for row in found["passes"] if row["tensor"] in ("K", "BK")]
    assert ("K", "M", 2) in counts
    assert ("BK", "M", 2) in counts
    assert ("BK", "M1", 3) in counts
    assert ("BK", "M0", 3) in counts


def test_bounds_of_an_overridden_extent(capsys: pytest.CaptureFixture[str]) -> None:
    """Four tiles of 4 reach all of 10 keys, as the default's three do; two reach 8, and that is no answer."""
    extents = "E=1,F=1,M=10,P=1,M0=4"
    for tiles in ((), ("--set", "M1=4")):
        found = read_json(capsys, "bounds", "attention-2pass", "--set", extents, *tiles)
        assert next(row for row in found["operations"] if row["einsum"].startswith("BQK"))["count"] == 10
    for command in ("bounds", "run", "show"):
        code, out, err = call(capsys, command, "attention-2pass", "--set", extents, "--set", "M1=2")
        assert (code, out) == (2, "")
        assert err == (
            "einsum-cascade: rank 'M' must be reached as a whole by index 'm1*M0 + m0', as it is by default "
            "(M1 = M/M0 = 3), but with --set M1=2 coordinate 8 of 'K' is never read; drop --set M1=2\n"
        )


def test_bounds_with_capacity(capsys: pytest.CaptureFixture[str]) -> None:
    extents = ["--set", "E=64,F=64,M=65536,P=65536"]
    plenty = read_json(capsys, "bounds", "attention", *extents, "--capacity", "1TiB")
    little = read_json(capsys, "bounds", "attention", *extents, "--capacity", "1MiB")
    assert all(row["reason"].startswith("compulsory") for row in plenty["traffic"])
    assert plenty["plan"] == []
    assert any("spilled for pass 2" in row["reason"] for row in little["plan"])
    assert little["traffic"] == plenty["traffic"]
    none = read_json(capsys, "bounds", "attention", *extents, "--capacity", "2KiB")
    assert none["traffic"][-1] == {
        "tensor": "K",
        "words": 2 * (65536 - 1024),
        "reason": "again for 3 passes along M: at most 1024 positions are held between two",
        "exact": True,
    }


def test_bounds_table(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "bounds", "attention-window")
    assert code == 0
    assert "GM[p] needs every QK[m, p] before the first SN[m, p]: pass 2 begins" in out
    assert "arithmetic intensity" in out


def test_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    tensors = {"Q": (4, 3), "K": (4, 7), "V": (2, 7)}
    arrays = {name: random.standard_normal(shape) for name, shape in tensors.items()}
    arguments = ["run", "attention", "--output", str(tmp_path / "out")]
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
        arguments += ["--input", f"{name}={tmp_path / name}.npy"]
    found = read_json(capsys, *arguments)
    assert found["extents"] == {"E": 4, "F": 2, "M": 7, "P": 3}
    assert found["random_inputs"] == []
    written = np.load(tmp_path / "out" / "AV.npy")
    np.testing.assert_array_equal(written, evaluate(zoo.load("attention"), arrays)["AV"])
    assert found["outputs"]["AV"]["shape"] == [2, 3]


def test_lists_and_suffixes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A list of inputs is what several --input are; 1.5K is 1536, and K and Ki are both 1024."""
    Q, K = np.ones((4, 3)), np.ones((4, 7))
    for name, array in (("Q", Q), ("K,1", K)):
        np.save(tmp_path / f"{name}.npy", array)
    inputs = ("--input", f"Q={tmp_path / 'Q.npy'},K={tmp_path / 'K,1.npy'}")
    found = read_json(capsys, "show", "attention", *inputs, "--set", "F=1.5K")
    assert found["extents"] == {"E": 4, "F": 1536, "M": 7, "P": 3}
    sizes = read_json(capsys, "show", "attention", "--set", "E=64,F=2Ki,M=1Mi,P=64K")["extents"]
    assert sizes == {"E": 64, "F": 2048, "M": 1 << 20, "P": 1 << 16}


def test_run_says_what_is_no_number(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """1/0 is inf, -1/0 is -inf, 0/0 twice is NaN; a result of numbers gets no line."""
    path = tmp_path / "quotients.cascade"
    path.write_text("rank M\ninput X[m:M], Y[m:M]\nZ[m] = X[m] / Y[m]\nT[] = sum[m](Y[m])\noutput Z, T\n")
    for name, values in (("X", [1.0, -1.0, 0.0, 0.0, 3.0]), ("Y", [0.0, 0.0, 0.0, 0.0, 2.0])):
        np.save(tmp_path / f"{name}.npy", np.array(values))
    inputs = ("--input", f"X={tmp_path / 'X.npy'},Y={tmp_path / 'Y.npy'}")
    found = read_json(capsys, "run", str(path), *inputs)["outputs"]
    assert (found["Z"]["inf"], found["Z"]["nan"], found["T"]["inf"], found["T"]["nan"]) == (2, 2, 0, 0)
    code, out, _ = call(capsys, "run", str(path), *inputs)
    assert code == 0
    assert out.endswith("of the 5 elements of Z, 2 are infinite and 2 are not a number (NaN)\n")
    assert "elements of T" not in out


def test_run_draws_inputs_from_the_seed(capsys: pytest.CaptureFixture[str]) -> None:
    extents = ("--set", "E=4,F=2,M=9,P=3")
    first, again, other = (
        read_json(capsys, "run", "attention-causal", *extents, "--seed", seed) for seed in ("1", "1", "2")
    )
    assert first == again
    assert first["outputs"] != other["outputs"]
    assert first["random_inputs"] == ["Q", "K", "V"]


def test_run_in_a_format(capsys: pytest.CaptureFixture[str]) -> None:
    extents = ("--set", "E=4,F=2,M=9,P=3")
    exact = read_json(capsys, "run", "attention", *extents)["outputs"]["AV"]["mean"]
    rounded = read_json(capsys, "run", "attention", *extents, "--dtype", "bf16")["outputs"]["AV"]["mean"]
    assert exact != rounded
    assert exact == pytest.approx(rounded, abs=0.05)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bounds", "atention"], r"einsum-cascade: cascade 'atention' must be in the zoo, but is not; did you mean"),
        (["bounds", "none.cascade"], r"einsum-cascade: cascade file 'none.cascade' must be readable"),
        (["bounds", "file.py"], r"einsum-cascade: a Python file must be followed by the name of its cascade"),
        (["bounds", "file.py:x"], r"einsum-cascade: Python file 'file.py' must exist"),
        (["bounds", "attention", "--set", "M"], r"einsum-cascade: --set must be given as RANK=NUMBER"),
        (["bounds", "attention", "--set", "M=x"], r"einsum-cascade: --set must be given as RANK=NUMBER"),
        (["bounds", "attention", "--set", "M=1.3K"], r"einsum-cascade: --set must be given as RANK=NUMBER"),
        (
            ["bounds", "attention", "--set", "M=3", "--set", "P=2,M=3"],
            r"einsum-cascade: rank 'M' must be set once, but is set twice: --set M=3 and M=3$",
        ),
        (["run", "attention", "--input", "Q=q.npy,K"], r"einsum-cascade: input 'Q' must be a readable .npy file, but "),
        (["bounds", "attention", "--set", "N=3"], r"einsum-cascade: rank 'N' must be declared to be set"),
        (["bounds", "attention", "--set", "M=-3"], r"einsum-cascade: rank 'M' must have an extent of at least 0"),
        (["bounds", "attention-self", "--set", "M=3"], r"einsum-cascade: rank 'M' is an alias of 'N'"),
        (
            ["bounds", "attention", "--capacity", "16"],
            r"einsum-cascade: capacity: a size must be a number with a unit",
        ),
        (["bounds", "attention", "--capacity", "1MiB"], r"einsum-cascade: a capacity needs the extent of every rank"),
        (["bounds", "attention", "--word-bytes", "0", "--capacity", "1MiB"], r"einsum-cascade: word_bytes must be"),
        (["run", "attention"], r"einsum-cascade: every rank must have an extent"),
        (["run", "attention", "--input", "Q"], r"einsum-cascade: --input must be given as NAME=FILE.npy"),
        (["run", "attention", "--input", "Q=no.npy"], r"einsum-cascade: input 'Q' must be a readable .npy file"),
        (["run", "attention", "--set", "E=1,F=1,M=1,P=1", "--dtype", "int3"], r"einsum-cascade: .*int3"),
        (["fly"], r"einsum-cascade: Unknown command"),
        (["bounds"], r"einsum-cascade: .*CASCADE|einsum-cascade: Command .bounds."),
        (["run", "attention", "--seed", "x"], r"einsum-cascade: "),
    ],
)
def test_mistakes_end_with_one_sentence(
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert re.match(message, err), err
    assert "Traceback" not in err
    assert err.count("\n") == 1


def test_mistakes_in_a_file_name_their_places(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "wrong.cascade"
    path.write_text("rank M\ninput X[m:M]\nY[m] = expp(X[m])\nZ[m] = X[m, m]\noutput Y\n")
    code, _, err = call(capsys, "show", str(path))
    assert code == 2
    assert f"{path}:3:8: operator 'expp' is unknown; did you mean 'exp'?" in err
    assert f"{path}:4:8: tensor 'X' must be read with 1 index (M), not 2" in err


def test_python_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from einsum_cascade import cascade\n\n@cascade\ndef total(c, M):\n    (m,) = c.ranks(m=M)\n"
        "    X = c.input('X', m)\n    c.S[()] = X[m].sum(m)\n    return c.S\n"
    )
    assert call(capsys, "show", f"{path}:total")[0] == 0
    code, _, err = call(capsys, "show", f"{path}:sum")
    assert (code, err) == (2, f"einsum-cascade: '{path}' must define a cascade 'sum'; it defines total\n")
    path.write_text("x = 1\nboom()\n")
    code, _, err = call(capsys, "show", f"{path}:total")
    assert (code, err) == (2, f"einsum-cascade: {path}:2: NameError: name 'boom' is not defined\n")
    path.write_text(
        "from einsum_cascade import cascade\n\n@cascade\ndef total(c, M):\n    (m,) = c.ranks(m=M)\n"
        "    X = c.input('X', m)\n    c.S[()] = X[m, m].sum(m)\n    return c.S\n"
    )
    code, _, err = call(capsys, "show", f"{path}:total")
    assert code == 2
    assert err.startswith(f"{path}:7: tensor 'X' must be read with 1 index (M), not 2")


def test_version_imports_nothing_heavy() -> None:
    """`--version` must stay quick: neither NumPy nor sympy nor the language is loaded."""
    code = (
        "import sys; from einsum_cascade.cli import main\ntry: main(['--version'])\nfinally: print(sorted(sys.modules))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.startswith("0.1.0")
    for heavy in ("'numpy'", "'sympy'", "'networkx'", "'lark'", "'einsum_cascade.cascade'"):
        assert heavy not in printed


def test_a_file_with_a_byte_order_mark_is_read(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "bom.cascade"
    path.write_text("rank M\ninput X[m:M]\nY[m] = exp(X[m])\noutput Y\n", encoding="utf-8-sig")
    assert read_json(capsys, "bounds", str(path))["cascade"] == "bom"


def test_what_cannot_be_done_is_told_in_a_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "deep.cascade"
    path.write_text("rank M\ninput X[m:M]\nY[m] = " + " + ".join(["X[m]"] * 5000) + "\noutput Y\n")
    small = ("--set", "E=2,F=2,M=3,P=2")
    for arguments, sentence in (
        (("bounds", str(path)), "an expression must not be nested this deeply; give parts of it names\n"),
        (("run", "attention", "--set", "E=64,F=64,M=999999999999,P=1"), "the tensors must fit into memory, but do not"),
        (("run", "attention", *small, "--seed", "-1"), "seed must be at least 0, not -1\n"),
    ):
        code, _, err = call(capsys, *arguments)
        assert (code, err[: len(sentence) + 16]) == (2, f"einsum-cascade: {sentence}")


def test_reproduce(capsys: pytest.CaptureFixture[str]) -> None:
    """The shape that other programs rely on, and quirks by name and by number."""
    found = read_json(capsys, "reproduce", "fusemax")
    assert found.keys() >= {"attention", "linear", "averages", "averages_geometric", "quirks"}
    row = found["attention"][-1]
    assert (row["configuration"], row["model"], row["seq"]) == ("binding", "XLM", "1M")
    by_number, by_name = (
        read_json(capsys, "reproduce", "fusemax", "--quirk", f"{quirk}=off") for quirk in ("2", "one-register-file")
    )
    assert by_number["averages"] == by_name["averages"] != found["averages"]
    assert [quirk["on"] for quirk in by_name["quirks"]] == [True, False, *[True] * 6]
    audited = read_json(capsys, "reproduce", "fusemax", "--audited")
    assert audited["effects"][0]["averages"] == found["averages"]
    assert not any(quirk["on"] for quirk in audited["quirks"])


def test_reproduce_refuses_unknown_names(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, sentence in (
        (("--quirk", "nonsense=off"), r"--quirk must name one of overflow, .*, not 'nonsense'"),
        (("--quirk", "overflow"), r"--quirk must be given as overflow=off or overflow=on, not 'overflow'"),
        (("--refine", "x"), r"--refine must name one of banked-buffer, fp32-state, not 'x'"),
    ):
        code, _, err = call(capsys, "reproduce", "fusemax", *arguments)
        assert code == 2
        assert re.fullmatch(rf"einsum-cascade: {sentence}\n", err)


FUSEMAX = ("attention-1pass", "--arch", "fusemax-cloud")
BERT = ("--model", "BERT", "--seq", "1K")


def test_cost(capsys: pytest.CaptureFixture[str]) -> None:
    """BERT at 1K on FuseMax: the 1D array decides; every number has its formula.

    A run is 16 tiles of 154 cycles and 81 to fill and drain the engines. Q comes before anything runs, the first of
    four tiles of K and V, too, and AV leaves in 4 x 71.7 cycles, of which the 1D array computes in 64: with
    131,072 B each at 400 GiB/s, that is 16 * 154 + 81 cycles, 1 + 1/4 + 1/4 transfers, and 1 transfer less 256 cycles.
    """
    found = read_json(capsys, "cost", *FUSEMAX, *BERT, "--explain")
    assert found["mapping"] == "binding"
    transfer = 131_072 / (400 * 2**30)
    assert found["cycles"] == 768 * (16 * 154 + 81)
    assert found["latency_s"] == pytest.approx(768 * ((16 * 154 + 81 - 256) / 940e6 + 2.5 * transfer), rel=1e-8)
    assert (found["limit"], found["infeasible"]) == ("1d", [])
    assert sum(found["energy_pj_by_part"].values()) == pytest.approx(found["energy_pj"])
    items = [each["value"] for each in found["formulas"] if each["number"].endswith(", pJ")]
    assert sum(items) == pytest.approx(found["energy_pj"])
    code, out, _ = call(capsys, "cost", *FUSEMAX, *BERT)
    assert code == 0
    assert "bound by 1d, which is busy 97 % of the time" in out


def put_in(formula: str, values: dict[str, float]) -> float:
    """Read a formula as sympy does, and put the numbers in."""
    symbols = {name: sympy.Symbol(name) for name in values}
    return float(
        sympy.sympify(formula, symbols).xreplace({symbols[name]: sympy.Rational(values[name]) for name in values})
    )


@pytest.mark.parametrize(
    ("arguments", "extents"),
    [
        (
            (*FUSEMAX, "--set", "E=64,F=32,M=1000,P=999", "--repeat", "3"),
            {"E": 64, "F": 32, "M": 1000, "P": 999, "M0": 256},
        ),
        (
            (*FUSEMAX, "--set", "E=8,F=8,M=500,P=100,M0=128,M1=5"),
            {"E": 8, "F": 8, "M": 500, "P": 100, "M0": 128, "M1": 5},
        ),
        (
            ("attention", "--arch", "flat-cloud", "--set", "E=64,F=64,M=65536,P=3000"),
            {"E": 64, "F": 64, "M": 65536, "P": 3000},
        ),
    ],
)
def test_formulas_give_the_numbers(capsys: pytest.CaptureFixture[str], arguments, extents) -> None:
    """Extents and the plan's parameters put into every formula give the number beside it."""
    found = read_json(capsys, "cost", *arguments, "--explain")
    values = {**extents, **found["parameters"]}
    for row in found["formulas"]:
        assert row.keys() == {"number", "formula", "parts", "value"}
        assert put_in(row["formula"], values) == pytest.approx(row["value"], rel=1e-9), row
    by_name = {row["number"]: row["value"] for row in found["formulas"]}
    for number, figure in (("latency (s)", "latency_s"), ("energy (pJ)", "energy_pj"), ("dram (B)", "traffic_bytes")):
        assert by_name[number] == pytest.approx(found[figure])


def test_formulas_in_extents(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A tile takes E cycles for QK; K is read for every block of P1 tiles of PE queries, unless it is one tile."""
    found = {row["number"]: row for row in read_json(capsys, "cost", *FUSEMAX, *BERT, "--explain")["formulas"]}
    assert found["BQK on 2d, cycles"]["formula"] == "E*ceiling(M/M0)*ceiling(P/PE)"
    assert found["BQK on 2d, cycles"]["parts"].startswith("1024 steps of (for p by P1*PE for m1 ")
    assert found["reads of K in dram, words"]["formula"] == "Piecewise((E*M, M <= M0), (E*M*ceiling(P/(P1*PE)), True))"
    assert found["write of AV in dram, pJ"]["formula"] == "47923.2*F*P"  # 768 heads x 249.6 pJ / 4 words
    assert not any(row["value"] == 0 and row["formula"] == "0" for row in found.values())
    monkeypatch.setenv("COLUMNS", "160")
    code, out, _ = call(capsys, "cost", *FUSEMAX, *BERT, "--explain")
    assert code == 0
    assert "where every number comes from (PE = 256, P1 = 4, FILL1 = 81)" in out
    assert re.search(r"BQK on 2d, cycles +E\*ceiling\(M/M0\)\*ceiling\(P/PE\) +1024 steps of .* 1024 *\n", out)
    assert re.search(r"reads of LM in buffer, words +P\*ceiling\(M/M0\) +4096", out)


def test_cost_of_extents_that_are_set(capsys: pytest.CaptureFixture[str]) -> None:
    """One head instead of 768, and lengths that no tile divides."""
    one = read_json(capsys, "cost", *FUSEMAX, "--set", "E=64,F=64,M=1024,P=1024")
    many = read_json(capsys, "cost", *FUSEMAX, "--set", "E=64,F=64,M=1024,P=1024", "--repeat", "768")
    assert many["latency_s"] == pytest.approx(768 * one["latency_s"])
    ragged = read_json(capsys, "cost", *FUSEMAX, "--set", "E=64,F=64,M=1000,P=999")
    assert ragged["traffic_bytes"] < one["traffic_bytes"]


def test_compare(capsys: pytest.CaptureFixture[str]) -> None:
    """The published ratio of latencies is 6.65; with filling, draining and waiting for transfers, both take longer."""
    found = read_json(capsys, "compare", *FUSEMAX, "--baseline", "flat", *BERT)
    assert found["ratios"]["speedup"] == found["baseline"]["latency_s"] / found["ours"]["latency_s"]
    assert 0.85 < found["ratios"]["speedup"] / (0.0133860766 / 0.00201314043) < 1
    assert (found["ours"]["mapping"], found["baseline"]["mapping"]) == ("binding", "flat-on-chip")
    code, out, _ = call(capsys, "compare", *FUSEMAX, "--baseline", "flat", *BERT)
    assert code == 0
    assert f"{found['ratios']['speedup']:.4g} x less" in out


def test_schedule(capsys: pytest.CaptureFixture[str]) -> None:
    """154 cycles a tile as published, proved; 137 where products are multiplied as they are added."""
    (found,) = read_json(capsys, "schedule", *FUSEMAX, *BERT)["blocks"]
    assert (found["interval_cycles"], found["proof"]) == (154, "bound")
    assert found["lockstep"]["given"]["interval_cycles"] == found["lockstep"]["found"]["interval_cycles"] == 154
    (better,) = read_json(capsys, "schedule", *FUSEMAX, *BERT, "--multiply-add")["blocks"]
    assert (better["interval_cycles"], better["resource_bound"]["what"]) == (137, ["2d"])
    code, out, _ = call(capsys, "schedule", *FUSEMAX, *BERT)
    assert code == 0
    assert "as 1d is busy all the time, no schedule is faster" in out
    assert "B BQK" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("cost", "attention-1pass", "--arch", "fusemax"), r"architecture 'fusemax' must be .*"),
        (("cost", *FUSEMAX, "--model", "BERT"), r"model and seq must be given together, .*"),
        (("cost", *FUSEMAX, "--model", "GPT", "--seq", "1K"), r"a model must be one of BERT, TrXL, T5, XLM, not 'GPT'"),
        (("cost", *FUSEMAX, *BERT, "--mapping", "bindin"), r"mapping 'bindin' must be a preset .*"),
        (("cost", *FUSEMAX, *BERT, "--repeat", "0"), r"repeat must be at least 1, not 0"),
        (
            ("cost", *FUSEMAX, "--set", "E=64,F=64,M=0,P=5"),
            r"every rank must have an extent of at least 1 to be mapped, but 'M' has 0; set it",
        ),
        (("compare", *FUSEMAX, "--baseline", "falt", *BERT), r"baseline must be one of .*, not 'falt'"),
        (
            ("cost", "attention-sigmoid", "--arch", "fusemax-cloud", *BERT),
            r"Einsum 'SN' must have an engine of fusemax-cloud that can do all of it, but none can: .*; add 'sigmoid'",
        ),
        (
            ("schedule", "attention", "--arch", "flat-cloud", "--mapping", "flat-on-chip", "--set", "E=64"),
            r"every rank must have an extent, .*",
        ),
    ],
)
def test_mistakes_in_costs(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], sentence: str) -> None:
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (2, "")
    assert re.search(rf"^(einsum-cascade|\S+?): {sentence}", err), err


def test_every_cascade_has_a_cost(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A cascade without a preset is mapped plainly, which is said; one that a preset maps has it under any name."""
    code, out, _ = call(capsys, "cost", "attention-aaren", "--arch", "fusemax-cloud", "--set", "E=64,F=64,N=4096")
    assert code == 0
    assert "mapping plain is a default, Einsum after Einsum, not optimised" in out
    code, text, _ = call(capsys, "show", "attention-1pass")
    file = tmp_path / "mine.cascade"
    file.write_text(text.replace("cascade attention_1pass", "cascade mine"))
    code, out, _ = call(capsys, "cost", str(file), "--arch", "fusemax-cloud", *BERT)
    assert code == 0
    assert "binding on fusemax-cloud" in out
    assert "not optimised" not in out


def test_a_plan_that_does_not_fit_is_no(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A buffer of 16 MiB does not hold all scores of 4096 x 4096: exit 1, the reason, every figure marked."""
    file = tmp_path / "all.yaml"
    text = (Path(__file__).parents[1] / "mappings/flat-off-chip.yaml").read_text()
    file.write_text(
        text.replace("keep Q, AV in buffer", "keep Q, AV, SD, QK, SN in buffer").replace(
            '"keep QK, SN in buffer", ', ""
        )
    )
    arguments = ("attention", "--arch", "flat-cloud", "--mapping", str(file), "--set", "E=64,F=64,M=65536,P=4096")
    code, out, _ = call(capsys, "cost", *arguments)
    assert code == 1
    assert "flat-off-chip on flat-cloud: does not fit" in " ".join(out.split())
    assert re.search(r"latency +\S+ ms \* *\n", out)
    assert re.search(r"flat-off-chip does not fit: what 'buffer' holds at once", out)
    code, out, _ = call(capsys, "cost", *arguments, "--json")
    assert code == 1
    assert json.loads(out)["infeasible"][0].startswith("what 'buffer' holds at once")
    code, out, err = call(capsys, "schedule", *arguments)
    assert (code, err) == (1, "")
    assert out.count("flat-off-chip does not fit: what 'buffer' holds at once") == 1
    code, out, _ = call(
        capsys,
        "compare",
        "attention-1pass",
        "--arch",
        "fusemax-cloud",
        "--baseline",
        "unfused",
        "--set",
        "E=64,F=64,M=1048576,P=1048576",
    )
    assert code == 1
    assert "does not fit" in out


def test_a_search_without_a_candidate_is_no(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("attention", "--arch", "flat-cloud", "--mapping", "flat-off-chip", "--set", "E=64,F=64,M=1024,P=1")
    code, out, err = call(capsys, "cost", *arguments)
    assert (code, out) == (1, "")
    assert "parameter ROWS of flat-off-chip, the best of 1024, 512, 256 up to P, must have one of these values" in err


def batched(tmp_path: Path, extra: str = "") -> tuple[Path, Path]:
    """Attention with running maxima of batches, and FuseMax's binding around a loop over them."""
    lines = [line for line in str(zoo.load("attention-1pass")).splitlines() if not line.startswith("#")]
    text = "\n".join(lines).replace("rank E,", f"rank B, {extra}E,")
    for name in (
        "Q",
        "K",
        "V",
        "BK",
        "BV",
        "BQK",
        "RM",
        "RD",
        "RNV",
        "LM",
        "SLN",
        "SLD",
        "SLNV",
        "PRM",
        "SPD",
        "SPNV",
        "AV",
    ):
        text = re.sub(rf"\b{name}\[", f"{name}[b, ", text)
    text = re.sub(r"(?m)^(input .*)$", lambda line: line[1].replace("[b,", "[b:B,"), text)
    cascade, mapping = tmp_path / "batched.cascade", tmp_path / "batched.yaml"
    cascade.write_text(text)
    preset = (Path(__file__).parents[1] / "mappings/binding.yaml").read_text()
    mapping.write_text(preset.replace("steps:\n  - for p by P1*PE", "steps:\n  - for b\n  - for p by P1*PE", 1))
    return cascade, mapping


def test_compare_compares_equal_work(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Three batches of 2 runs: the baseline, which has no batches, runs 6 times."""
    cascade, mapping = batched(tmp_path)
    arguments = ("--arch", "fusemax-cloud", "--baseline", "flat", "--set", "E=64,F=64,M=1024,P=1024")
    own = (str(cascade), "--mapping", str(mapping), *arguments)
    once = read_json(capsys, "compare", *FUSEMAX, "--baseline", "flat", "--set", "E=64,F=64,M=1024,P=1024")
    many = read_json(capsys, "compare", *own, "--set", "B=3", "--repeat", "2")
    for figure in ("latency_s", "energy_pj", "traffic_bytes"):
        assert many["baseline"][figure] == pytest.approx(6 * once["baseline"][figure])
    assert many["ours"]["traffic_bytes"] == pytest.approx(6 * once["ours"]["traffic_bytes"])
    assert many["ours"]["energy_pj"] == pytest.approx(6 * once["ours"]["energy_pj"])


def test_compare_carries_the_filter_over(capsys: pytest.CaptureFixture[str]) -> None:
    """Half of the scores are there in both; a window is of no published configuration."""
    lengths = ("--set", "E=64,F=64,M=4096,P=4096")
    causal = (
        "attention-1pass-causal",
        "--arch",
        "fusemax-cloud",
        "--mapping",
        "binding",
        "--baseline",
        "flat",
        *lengths,
    )
    masked = read_json(capsys, "compare", *causal)
    dense = read_json(capsys, "compare", *FUSEMAX, "--baseline", "flat", *lengths)
    for side in ("ours", "baseline"):
        assert 0.4 < masked[side]["energy_pj"] / dense[side]["energy_pj"] < 0.65


def test_a_rank_that_cannot_be_carried_over_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """B multiplies all of the work, D a part of it that the baseline does not do."""
    cascade, mapping = batched(tmp_path, "D, ")
    text = cascade.read_text().replace("input ", "input W[b:B, d:D], ", 1)
    cascade.write_text(text.replace("output AV", "WS[b, d] = W[b, d] * 2\noutput AV, WS"))
    mapping.write_text(mapping.read_text() + "  - {compute: WS on 1d, stage: 1}\n")
    arguments = ("--arch", "fusemax-cloud", "--baseline", "flat", "--set", "B=2,D=3,E=64,F=64,M=1024,P=1024")
    code, out, err = call(capsys, "compare", str(cascade), "--mapping", str(mapping), *arguments)
    assert (code, out) == (2, "")
    sentence = (
        r"rank 'D' must be one of baseline 'flat' \(E, F, M, P\) or of every Einsum of 'attention_1pass', so that it"
    )
    assert re.match(rf"einsum-cascade: {sentence} multiplies the work, but is neither; compare without it", err), err


def test_ratios_below_one_have_their_words(capsys: pytest.CaptureFixture[str]) -> None:
    """Unfused against itself is the same; FLAT against FuseMax takes more, never `0.1 x less`."""
    flat = ("attention", "--arch", "flat-cloud", *BERT)
    code, out, _ = call(capsys, "compare", *flat, "--baseline", "binding")
    assert code == 0
    assert " x more" in out
    assert not re.search(r"\b0\.\d+ x less", out)
    _, out, _ = call(capsys, "compare", *flat, "--baseline", "flat")
    assert "the same" in out


def test_the_energies_of_all_accountings_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    found = read_json(capsys, "compare", *FUSEMAX, "--baseline", "flat", *BERT)["energy_elsewhere"]
    _, out, _ = call(capsys, "compare", *FUSEMAX, "--baseline", "flat", *BERT)
    text = " ".join(out.split())
    assert f"{found['published']:.3f} as published and {found['audited']:.3f} audited (reproduce fusemax)" in text


def test_cost_and_schedule_tell_the_same_cycles(capsys: pytest.CaptureFixture[str]) -> None:
    """On FuseMax's machine of a block, and of a causal program of the array, whose RTL takes 651 cycles."""
    lengths = ("--set", "E=64,F=64,M=1000,P=999")
    for arguments in (
        (*FUSEMAX, *lengths),
        ("attention", "--arch", "flat-cloud", *lengths),
        ("attention-1pass-causal", "--arch", "fusemax-4x4", "--mapping", "array", "--set", "E=16,F=16,M=40,P=20"),
    ):
        (scheduled,) = read_json(capsys, "schedule", *arguments)["blocks"]
        assert read_json(capsys, "cost", *arguments)["cycles"] == scheduled["cycles"]
    assert scheduled["cycles"] == 651
    _, out, _ = call(capsys, "schedule", *arguments)
    assert "651 cycles in all, 7 of them from the first PE of the array to the last" in out


def test_lengths_of_heads_are_given_as_inputs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Rows of 1, 4 and 6 of 8: 11 points of 24, whose sums take as many cycles one after the other."""
    cascade, mapping, lengths = (tmp_path / name for name in ("rows.cascade", "rows.yaml", "lengths.npy"))
    cascade.write_text("rank B, M\ninput X[b:B, m:M], LEN[b:B]\nY[b] = sum[m](X[b, m]) where m < LEN[b]\noutput Y\n")
    mapping.write_text("name: rows\nsteps: [for b]\nbody: [Y on 1d]\n")
    np.save(lengths, np.array([1, 4, 6]))
    arguments = (str(cascade), "--arch", "fusemax-cloud", "--mapping", str(mapping), "--set", "M=8")
    assert read_json(capsys, "cost", *arguments, "--input", f"LEN={lengths}")["cycles"] == 11
    assert read_json(capsys, "cost", *arguments, "--set", "B=3")["cycles"] == 24


def test_what_a_plain_install_lacks_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in (["rtl", "attention-1pass", "--output", "x"], ["simulate", "attention-1pass"]):
        for module in [*sys.modules]:
            if module.startswith(("amaranth", "einsum_cascade.rtl", "einsum_cascade.cosim", "einsum_cascade.terminal")):
                monkeypatch.delitem(sys.modules, module)
        monkeypatch.setitem(sys.modules, "amaranth", None)
        code, out, err = call(capsys, *command, "--arch", "fusemax-4x4", "--set", "E=4,F=4,M=4,P=4")
        expected = "einsum-cascade: amaranth must be installed: pip install 'einsum-cascade[hardware]'\n"
        assert (code, out, err) == (3, "", expected)


def test_a_mistake_of_ours_is_one_sentence_and_a_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong() -> None:
        raise KeyError("nowhere")

    monkeypatch.setattr(zoo, "entries", wrong)
    code, out, err = call(capsys, "zoo")
    assert (code, out) == (4, "")
    found = re.fullmatch(
        r"einsum-cascade: this is a mistake of ours \(KeyError: 'nowhere'\); please report it with (\S+)\n", err
    )
    assert found is not None
    log = Path(found[1])
    assert "in wrong" in log.read_text()
    log.unlink()


def test_a_full_device_is_told() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "einsum_cascade", "zoo"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (2, "einsum-cascade: what is printed: No space left on device\n")


def test_public_names_are_listed_before_they_are_imported() -> None:
    command = "import einsum_cascade as ec; assert {*ec.__all__, 'exp'} <= {*dir(ec)}; print('evaluate' in dir(ec))"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def _examples() -> list[str]:
    found: list[str] = []
    for command in app:
        text = str(app[command].help_epilogue or "")
        found += [line.strip() for line in text.splitlines() if line.strip().startswith("einsum-cascade ")]
    return found


@pytest.mark.parametrize("line", _examples())
def test_examples_of_the_help_pages_run(
    line: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capsys, *line.split()[1:])
    assert (code, err) == (0, "") and out


def test_every_command_has_an_example() -> None:
    commands = {name for name in app if not name.startswith("-")}
    assert {line.split()[1] for line in _examples()} == commands


def test_lists_of_extents_give_a_table(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A row for each combination, the last list fastest, with the figures of the single ones."""
    arguments = ("cost", *FUSEMAX, "--mapping", "binding", "--set", "E=64,F=64,M0=256,M=1K,3K..6K", "--set", "P=512,1K")
    found = read_json(capsys, *arguments)
    assert [(row["extents"]["M"], row["extents"]["P"]) for row in found["rows"]] == [
        (m, p) for m in (1024, 3072, 6144) for p in (512, 1024)
    ]
    single = read_json(capsys, *arguments[:-3], "E=64,F=64,M0=256,M=3K,P=1K")
    row = next(row for row in found["rows"] if (row["extents"]["M"], row["extents"]["P"]) == (3072, 1024))
    assert row["figures"]["latency"] == single["latency_s"]
    assert row["figures"]["energy"] == single["energy_pj"]
    code, out, _ = call(capsys, *arguments, "--csv", str(tmp_path / "costs.csv"))
    lines = (tmp_path / "costs.csv").read_text().splitlines()
    assert code == 0 and len(lines) == 7 and lines[0].startswith("E,F,M0,M,P,latency (s)")
    assert out.count("binding") == 6
    ratios = read_json(capsys, "compare", *FUSEMAX, "--baseline", "flat", "--set", "E=64,F=64,M=4K,8K,P=4K")
    assert len(ratios["rows"]) == 2 and all(row["figures"]["speedup"] > 1 for row in ratios["rows"])
    words = read_json(capsys, "bounds", "softmax", "--set", "M=8..32,P=2")
    assert [row["figures"]["words"] for row in words["rows"]] == [32, 64, 128]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ("M=4,8", "--set must give one number for M here; bounds, cost and compare take lists"),
        ("M=8..4", "--set must be given as RANK=NUMBER[,...], such as M=4096,P=1K,2K..16K, not 'M=8..4'"),
        ("M=0..4", "--set must be given as"),
        ("4,M=2", "--set must be given as"),
        ("M==4", "--set must be given as"),
    ],
)
def test_lists_where_one_number_is_needed_or_none_is_given(
    capsys: pytest.CaptureFixture[str], settings: str, sentence: str
) -> None:
    code, out, err = call(capsys, "run", "softmax", "--set", settings, "--set", "P=2")
    assert (code, out) == (2, "") and err.startswith(f"einsum-cascade: {sentence}")


def test_tables_are_written_whole(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    case = ("cost", "attention-1pass", "--arch", "fusemax-8x8", "--set", "E=64,F=64,M=1K,P=256")
    code, _, _ = call(capsys, *case, "--csv", str(tmp_path / "a.csv"), "--latex", str(tmp_path / "a.tex"))
    assert code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "a-energy.csv", "a.tex"}
    assert (tmp_path / "a.csv").read_text().splitlines()[:2] == ["figure,value,unit", "latency,0.0005972937754529586,s"]
    assert (tmp_path / "a.tex").read_text().count(r"\begin{tabular}") == 2
    code, out, err = call(capsys, *case, "--csv", str(tmp_path / "none" / "a.csv"))
    assert (code, out) == (2, "")
    assert err.startswith("einsum-cascade: --csv ") and err.endswith(
        "must be a file that can be written: No such file or directory\n"
    )


def test_operators_of_the_users_are_taken_by_every_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    operators, cascade = tmp_path / "mine.py", tmp_path / "mine.cascade"
    operators.write_text("from einsum_cascade import operator\n\ncube = operator('cube_of_cli', lambda x: x**3)\n")
    cascade.write_text("rank M\ninput X[m:M]\nY[m] = cube_of_cli(X[m])\noutput Y\n")
    mapping = tmp_path / "mine.yaml"
    mapping.write_text("name: mine\nsteps: [for m on columns]\ncompute: Y on 1d\n")
    for command in ("show", "bounds", "run"):
        code, out, err = call(capsys, command, str(cascade), "--set", "M=4", "--operators", str(operators))
        assert (code, err) == (0, "") and out
