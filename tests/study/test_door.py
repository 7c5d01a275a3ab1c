"""The door: everything that the command line does, from Python, in one line each."""

import re
from pathlib import Path

import numpy as np
import pytest

import einsum_cascade as ec
from einsum_cascade.arch.codec import to_yaml
from einsum_cascade.errors import CascadeError, EvaluationError, ToolMissingError, UsageError

LENGTHS = {"E": 4, "F": 4, "M": 8, "P": 4}


def test_names_and_values_are_taken_alike(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(to_yaml(ec.architecture("fusemax-8x8")))
    lengths = {"E": 64, "F": 64, "M": "1K", "P": 256}
    named = ec.study("attention-1pass", "fusemax-8x8", "array", **lengths)
    whole = ec.study(ec.zoo["attention-1pass"], ec.architecture("fusemax-8x8"), extents=lengths)
    from_file = ec.study("attention-1pass", str(file), "array", **lengths)
    assert named.cost() == whole.cost() == from_file.cost()
    assert repr(named) == "<Study: attention_1pass on fusemax-8x8, E = 64, F = 64, M = 1024, P = 256>"


def test_the_zoo_is_a_mapping_of_names_to_cascades() -> None:
    assert list(ec.zoo) == list(ec.zoo.names())
    assert len(ec.zoo) == len(list(ec.zoo))
    assert "softmax" in ec.zoo and "softmx" not in ec.zoo
    with pytest.raises(ValueError, match="did you mean 'softmax'"):
        ec.zoo["softmx"]


def test_a_study_of_a_cascade_of_ones_own() -> None:
    @ec.cascade
    def norm(c, M, P):
        m, p = c.ranks(m=M, p=P)
        X = c.input("X", m, p)
        c.S[p] = X[m, p].sum(m)
        c.Y[m, p] = X[m, p] / c.S[p]
        return c.Y

    case = ec.study(norm, M=4, P=2)
    assert case.bounds().of("X", "M").count == 2
    X = np.arange(1.0, 9.0).reshape(4, 2)
    assert np.array_equal(case.run({"X": X}).tensors["Y"], X / X.sum(0))


def test_inputs_of_the_study_are_those_of_all_that_is_asked() -> None:
    """Their shapes are extents; what filters read decides how much there is to do."""
    text = "rank B, M\ninput X[b:B, m:M], LEN[b:B]\nY[b] = sum[m](X[b, m]) where m < LEN[b]\noutput Y\n"
    lengths = np.array([1.0, 4, 6])
    case = ec.study(ec.parse(text), inputs={"LEN": lengths, "X": np.ones((3, 8))})
    assert np.array_equal(case.run().tensors["Y"], lengths)
    assert {words.tensor: words.words for words in case.bounds().traffic}["X"] == 11


def test_a_simulation_gives_tensors_and_a_verdict() -> None:
    rng = np.random.default_rng(3)
    Q, K, V = (rng.standard_normal(shape) for shape in ((4, 4), (4, 8), (4, 8)))
    case = ec.study("attention-1pass", "fusemax-4x4", **LENGTHS)
    report = case.simulate({"Q": Q, "K": K, "V": V}, options=ec.ArrayOptions(operands="fp16"))
    assert report.is_right and "agree in every bit" in report.headline
    exact = case.run({"Q": Q, "K": K, "V": V}).tensors["AV"]
    assert report.tensors["AV"] == pytest.approx(exact, rel=0.02, abs=0.02)
    assert type(report).from_json(report.to_json()).cycles == report.cycles
    assert report.cycles.rtl == report.cycles.model


def test_a_design_is_written(tmp_path: Path) -> None:
    report = ec.study("attention-1pass", "fusemax-4x4", **LENGTHS).write_rtl(tmp_path / "rtl", prefix="mine_")
    assert (report.rows, report.columns) == (4, 4)
    assert (tmp_path / "rtl" / "manifest.json").is_file() and "module mine_" in (
        tmp_path / "rtl/mine_top.v"
    ).read_text()
    assert type(report).from_json(report.to_json()) == report


@pytest.mark.parametrize(
    ("ask", "error", "sentence"),
    [
        (lambda: ec.study("softmx"), UsageError, "did you mean 'softmax'"),
        (lambda: ec.study("softmax", M="64k"), UsageError, "extent of rank 'M' must be a count, .* not '64k'"),
        (lambda: ec.study("softmax", M=4, Z=2).run(), EvaluationError, "'Z'"),
        (lambda: ec.study("softmax").run(), EvaluationError, "every rank must have an extent"),
        (lambda: ec.study("softmax").cost(), UsageError, "a machine must be given to study 'softmax' on one"),
        (lambda: ec.study("softmax", "fusmax-8x8"), CascadeError, "must be a preset"),
        (lambda: ec.study("softmax", M=4, P=2).run(seed=-1), UsageError, "seed must be at least 0, not -1"),
        (lambda: ec.study("softmax").bounds("16"), UsageError, "capacity: a size must be"),
        (lambda: ec.study("attention", "flat-cloud", model="BERT").cost(), UsageError, "model and seq must be given"),
        (lambda: ec.architecture("fusemax-8x8").engine("2D"), UsageError, "has no '2D'; did you mean '2d'?"),
        (lambda: ec.architecture("fusemax-8x8").memory("cache"), UsageError, "no 'cache'; known are 'buffer', 'dram'"),
    ],
)
def test_mistakes_are_a_sentence(ask, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        ask()


def test_what_a_plain_install_lacks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "amaranth", None)
    case = ec.study("attention-1pass", "fusemax-4x4", **LENGTHS)
    for ask in (case.simulate, lambda: case.write_rtl("build/none")):
        with pytest.raises(ToolMissingError, match=re.escape("pip install 'einsum-cascade[hardware]'")):
            ask()


def test_public_values_are_short_when_they_are_shown() -> None:
    case = ec.study("attention-1pass", "fusemax-8x8", E=64, F=64, M=1024, P=256)
    values = [case, case.cascade, case.machine, case.plan, case.plan.estimate, case.plan.mapping, case.prepared()[0]]
    for value in [*values, ec.analyse(case.cascade), case.cost(), case.bounds(), case.schedule()]:
        assert len(repr(value)) <= 12 * 80, type(value)


def test_all_names_of_the_package_are_there() -> None:
    assert {"study", "zoo", "architecture", "cascade", "parse", "Study"} <= {*dir(ec)}
    for name in ec.__all__:
        assert getattr(ec, name) is not None
