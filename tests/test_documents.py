import contextlib
import io
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"```python\n(.*?)```\n(?:\nprints\n\n```\n(.*?)```\n)?", re.DOTALL)
LINK = re.compile(r"\]\(([\w./-]+(?:\.md|/))\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_of_a_page_prints_what_the_page_says(page: Path) -> None:
    for code, expected in BLOCK.findall(page.read_text(encoding="utf-8")):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(page), "exec"), {"__name__": page.stem})
        if expected:
            assert printed.getvalue() == expected


@pytest.mark.parametrize("page", [*PAGES, ROOT / "GLOSSARY.md", ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_layers_of_the_page_are_those_that_are_checked() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = contracts[0]["layers"]
    assert "```\n" + "\n".join(layers) + "\n```" in text
    # Every package has its line in the table.
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ", text, re.MULTILINE)
    told = sorted(name for row in rows for name in re.findall(r"`(\w+)`", row))
    packages = sorted(path.parent.name for path in (ROOT / "einsum_cascade").glob("*/__init__.py"))
    assert told == sorted([*packages, "cli"])


def test_the_two_commands_are_in_the_readme() -> None:
    text = PAGES[0].read_text(encoding="utf-8")
    assert "make demo" in text
    assert "make test" in text


def test_commands_of_the_readme_work() -> None:
    """Every einsum-cascade line of the README runs."""
    lines = re.findall(r"^\.venv/bin/einsum-cascade ([^#\n]+)", PAGES[0].read_text(encoding="utf-8"), re.MULTILINE)
    assert len(lines) >= 4
    for line in lines:
        command = [sys.executable, "-c", "from einsum_cascade.cli import main; main()", *line.split()]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, f"{line}: {done.stderr}"


def test_the_demo_runs() -> None:
    """It shows both cascades, their bounds, and that their values agree."""
    done = subprocess.run(
        [sys.executable, "examples/demo.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    assert done.returncode == 0, done.stderr
    assert "GM[p] needs every QK[m, p] before the first SN[m, p]: pass 2 begins" in done.stdout
    assert re.search(r"1M +3 +2 MiB .*1 +132 B", done.stdout)
    agreement = re.search(r"largest difference (\S+) of the largest value", done.stdout)
    assert agreement is not None
    assert float(agreement[1]) < 1e-12
