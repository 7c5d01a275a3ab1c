"""Reports: what they say comes back from JSON, and every form has every number."""

import csv
import io
import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

import einsum_cascade as ec
from einsum_cascade.errors import UsageError
from einsum_cascade.reproduction import effects, reproduce_fusemax
from einsum_cascade.study.bound_reports import BoundsReport
from einsum_cascade.study.costs import CostReport
from einsum_cascade.study.evaluations import report_of_evaluation
from einsum_cascade.study.lists import ListReport
from einsum_cascade.study.rendering import to_html, to_text
from einsum_cascade.study.report import Report
from einsum_cascade.study.sweeps import sweep
from einsum_cascade.study.tables import Figure, Table, cell_text, to_csv, to_latex

LENGTHS = {"E": 64, "F": 64, "M": 1024, "P": 256}


def small(machine="fusemax-8x8", **more):
    return ec.study("attention-1pass", machine, **LENGTHS, **more)


def reports() -> dict[str, Report]:
    """One of every kind, and several of those that differ in what they have."""
    case = small()
    published = ec.study("attention-1pass", "fusemax-cloud", model="BERT", seq="64K")
    bounds = [ec.study(name).bounds() for name in ec.zoo]
    lengths = [ec.study("softmax", M=length, P=2) for length in (4, 8)]
    found = [
        *bounds,
        case.bounds("16KiB"),
        case.cost(),
        case.cost(explain=True),
        published.cost(),
        published.compare("flat"),
        small(mapping="binding").schedule(),
        ec.study("attention", "flat-cloud", mapping="flat-on-chip", **LENGTHS).schedule(),
        ec.study("softmax", M=8, P=2).run(),
        ec.study("softmax", inputs={"X": np.full((3, 2), np.nan)}).run(dtype="bf16"),
        report_of_evaluation(reproduce_fusemax(), tuple(effects())),
        ListReport("cascades", ({"name": "a", "title": "b"},)),
        sweep(lengths, "bounds"),
        sweep([small(), small("fusemax-16x16")], "cost"),
    ]
    return {f"{number}-{report.kind}": report for number, report in enumerate(found)}


REPORTS = reports()
every = pytest.mark.parametrize("report", REPORTS.values(), ids=list(REPORTS))


@every
def test_a_report_comes_back_from_its_json(report: Report) -> None:
    text = json.dumps(report.to_json(), allow_nan=False)
    again = type(report).from_json(json.loads(text))
    assert again == report or '"nan"' in text  # which equals nothing
    assert again.to_json() == report.to_json()
    assert json.loads(text)["schema"] == f"einsum-cascade/{report.kind}/{report.version}"


@every
def test_the_schema_names_what_the_json_has(report: Report) -> None:
    schema, found = type(report).json_schema(), report.to_json()
    assert schema["properties"].keys() == found.keys()
    assert set(schema["required"]) <= found.keys()
    json.dumps(schema)


@every
def test_what_is_missing_or_of_another_kind_is_refused(report: Report) -> None:
    found = report.to_json()
    for name in type(report).json_schema()["required"]:
        less = {key: value for key, value in found.items() if key != name}
        with pytest.raises(UsageError, match=f"a {report.kind} report must .*{name if name != 'schema' else ''}"):
            type(report).from_json(less)
    other = CostReport if not isinstance(report, CostReport) else BoundsReport
    with pytest.raises(UsageError, match=rf"must be 'einsum-cascade/{other.kind}/1', not"):
        other.from_json(found)


@every
def test_every_form_has_every_cell(report: Report) -> None:
    assert report.tables or report.kind == "schedule"
    text, html = str(report), report._repr_html_()
    root = ElementTree.fromstring(f"<div>{html.replace('<br>', ' ')}</div>")
    plain = " ".join("".join(root.itertext()).split())
    for table in report.tables:
        rows = list(csv.reader(io.StringIO(to_csv(table))))
        assert rows[0] == list(table.plain.headers)
        assert rows[1:] == [["" if cell is None else str(cell) for cell in row] for row in table.plain.rows]
        latex = to_latex(table)
        assert latex.count(r"\\") == len(table.rows) + 1 and latex.count("{") == latex.count("}")
        for cell in (cell for row in table.rows for cell in row):
            assert " ".join(cell_text(cell).split()) in plain
            if not isinstance(cell, str):
                assert cell_text(cell) in text


@every
@pytest.mark.parametrize("width", [10, 40, 80])
def test_a_narrow_terminal_breaks_no_number(report: Report, width: int) -> None:
    text = to_text(report.parts(), width)
    for table in report.tables:
        for cell in (cell for row in table.rows for cell in row):
            if not isinstance(cell, str | None):
                assert cell_text(cell) in text


@every
def test_a_report_is_one_line_when_it_is_shown(report: Report) -> None:
    assert re.fullmatch(rf"<{type(report).__name__}: .+>", repr(report))
    assert report.headline


def test_a_data_frame_has_numbers_in_base_units() -> None:
    frame = small().cost().to_dataframe("energy")
    assert list(frame.columns) == ["part", "energy (pJ)", "share (of 1)"]
    assert frame["share (of 1)"].sum() == pytest.approx(1)


def test_without_pandas_a_data_frame_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="needs pandas, which is not installed: pip install pandas"):
        small().cost().to_dataframe()


def test_tables_are_asked_for_by_name() -> None:
    report = small().cost()
    assert report.table("energy").headers == ("part", "energy", "share")
    assert report.table() == report.table("cost")
    with pytest.raises(UsageError, match="must be one of 'cost', 'energy', not 'enrgy'"):
        report.table("enrgy")


def test_units_of_a_column_are_in_its_header_or_beside_it() -> None:
    table = Table("t", "", ("what", "value"), (("a", Figure(2.0, "s")), ("b", Figure(3, "B"))))
    assert table.plain.headers == ("what", "value", "unit")
    assert table.plain.rows == (("a", 2.0, "s"), ("b", 3, "B"))
    alike = Table("t", "", ("what", "value"), (("a", Figure(2.0, "s")), ("b", None)))
    assert alike.plain.headers == ("what", "value (s)")


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (Figure(0, "s"), "0 s"),
        (Figure(999.96e-6, "s"), "1000 us"),
        (Figure(1e-21, "s"), "0.001 as"),
        (Figure(0.5, "B"), "0.5 B"),
        (Figure(1e15, "B"), "1000 TB"),
        (Figure(1e12, "pJ"), "1 J"),
        (Figure(float("inf"), "s"), "inf s"),
        (Figure(0.5, "%", " *"), "50.00 % *"),
        (Figure(10**30, ""), f"{10**30:,}"),
    ],
)
def test_figures_as_one_reads_them(figure: Figure, text: str) -> None:
    assert str(figure) == text


def test_html_is_escaped() -> None:
    table = Table("t", "a < b", ("<i>",), (("<script>",),))
    assert "<script>" not in to_html([table]) and "a &lt; b" in to_html([table])
    assert r"\_\{\}" in to_latex(Table("t", "_{}", ("x",), ()))
