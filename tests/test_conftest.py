"""The rules that conftest.py adds to a run, each tried on a small run of its own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from random_counts import random_count

TESTS = Path(__file__).parent


@pytest.fixture
def run(tmp_path: Path):
    """Run pytest on one test module beside copies of conftest.py and support/."""
    shutil.copy(TESTS / "conftest.py", tmp_path)
    shutil.copytree(TESTS / "support", tmp_path / "support", ignore=shutil.ignore_patterns("__pycache__"))
    settings = "[tool.pytest.ini_options]\naddopts = '--import-mode=importlib'\npythonpath = 'support'\n"
    (tmp_path / "pyproject.toml").write_text(settings)

    def run(module: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "test_it.py").write_text(module)
        inherited = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_ADDOPTS")}
        command = [sys.executable, "-m", "pytest", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=inherited | environment, capture_output=True, text=True, check=False
        )

    return run


SKIPS = {
    "mark": "import pytest\n@pytest.mark.skip('yosys is missing')\ndef test(): pass\n",
    "call": "import pytest\ndef test(): pytest.skip('yosys is missing')\n",
    "module": "import pytest\npytest.skip('yosys is missing', allow_module_level=True)\ndef test(): pass\n",
}


@pytest.mark.parametrize("skip", SKIPS)
def test_a_skip_fails_only_in_ci(run, skip: str) -> None:
    assert "1 skipped" in run(SKIPS[skip]).stdout
    in_ci = run(SKIPS[skip], CI="true")
    assert in_ci.returncode != 0
    assert "yosys is missing (a skip is a failure in CI)" in in_ci.stdout
    assert "skipped" not in in_ci.stdout.splitlines()[-1]


def test_an_expected_failure_passes_in_ci(run) -> None:
    assert run("import pytest\n@pytest.mark.xfail\ndef test(): assert False\n", CI="true").returncode == 0


def test_golden_compares_and_rewrites(run, tmp_path: Path) -> None:
    module = "def test(golden): golden('a/b', {!r})\n"
    missing = run(module.format("one\n"))
    assert missing.returncode == 1
    assert "`make golden` writes it" in missing.stdout
    assert run(module.format("one\n"), "--update-golden").returncode == 0
    assert (tmp_path / "golden/a/b.txt").read_text() == "one\n"
    assert run(module.format("one\n")).returncode == 0
    assert "`make golden` rewrites it" in run(module.format("two\n")).stdout


def test_workers_share_the_drawn_seed_and_the_header_tells_it(run, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("EINSUM_CASCADE_SEED")
    module = (
        "import os, pathlib\ndef test(seed): pathlib.Path(os.environ['PYTEST_XDIST_WORKER']).write_text(str(seed))\n"
    )
    result = run(module, "-n2", "--dist=each")
    told = re.search(r"EINSUM_CASCADE_SEED=(\d+)", result.stdout)
    assert told, result.stdout
    assert [path.read_text() for path in tmp_path.glob("gw*")] == [told[1]] * 2


def test_a_given_seed_is_used(run) -> None:
    result = run("def test(seed): assert seed == 7\n", EINSUM_CASCADE_SEED="7")
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(("name", "count"), [("quick", 3), ("full", 25), ("nightly", 250)])
def test_counts_follow_the_mode(monkeypatch, name: str, count: int) -> None:
    # A tenth of 25 is rounded up, so that no test runs zero cases.
    monkeypatch.setenv("EINSUM_CASCADE_COUNTS", name)
    assert random_count(25) == count


def test_an_unknown_mode_is_refused(monkeypatch) -> None:
    monkeypatch.setenv("EINSUM_CASCADE_COUNTS", "some")
    with pytest.raises(ValueError, match=r"^EINSUM_CASCADE_COUNTS must be quick, full or nightly, not 'some'$"):
        random_count(25)
