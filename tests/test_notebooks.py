"""The notebooks run from top to bottom, and what a cell ends with can be shown."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def _show(value: Any) -> str:
    html = getattr(value, "_repr_html_", None)
    return html() if html else repr(value)


def run_notebook(path: Path) -> list[str]:
    """Run the cells of a notebook in one namespace; return what those show that end with an expression."""
    shown: list[str] = []
    names: dict[str, Any] = {"__name__": path.stem}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        assert not cell["outputs"], "outputs are not kept in the repository"
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, path.name, "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), path.name, "eval"), names)
            shown += [] if value is None else [_show(value)]
    return shown


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = run_notebook(path)
    printed = capsys.readouterr().out
    expected = {
        "bounds-of-your-own-attention": ["3 passes over the keys, exact: True", "True"],
        "from-equation-to-rtl": ["RTL and model agree in every bit and every cycle.", "tb.v"],
    }[path.stem]
    for sentence in expected:
        assert sentence in printed or any(sentence in text for text in shown)


def test_there_are_two() -> None:
    assert len(NOTEBOOKS) == 2
