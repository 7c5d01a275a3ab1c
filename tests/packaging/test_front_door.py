"""The Makefile says in one sentence what is missing before it downloads anything; CI runs tests and checks."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# An interpreter that answers every question with yes but has no module venv, as Debian's without python3-venv.
WITHOUT_VENV = '#!/bin/sh\ncase "$*" in *venv*) exit 1;; esac\n'
# What a version manager leaves on the path for a version that is not selected.
SHIM = "#!/bin/sh\necho 'command not found' >&2\nexit 127\n"


def write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """Make a project of the Makefile alone, and a folder bin/ with all the programs that `make setup` looks for."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("make", "c++", "perl"):
        write_program(programs / name, "#!/bin/sh\n")
    (programs / "python3").symlink_to(sys.executable)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def set_up(bench: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    make = shutil.which("make")
    assert make
    return subprocess.run(
        [make, "setup", *arguments],
        cwd=bench,
        env={"PATH": str(bench / "bin")},
        capture_output=True,
        text=True,
        check=False,
    )


def assert_stops(result: subprocess.CompletedProcess[str], bench: Path, sentence: str) -> None:
    assert result.returncode != 0
    assert re.match(sentence, result.stderr), result.stderr
    assert result.stdout == ""
    assert not (bench / ".venv").exists()


def test_no_python(bench: Path) -> None:
    (bench / "bin/python3").unlink()
    write_program(bench / "bin/python3.12", SHIM)
    assert_stops(set_up(bench), bench, r"make: No Python 3\.12 or newer found; install one, or name it with .*\.\n")


def test_given_python_does_not_start(bench: Path) -> None:
    write_program(bench / "bin/python3.12", SHIM)
    sentence = r"make: No Python 3\.12 or newer found at PYTHON='python3\.12'; install one, or .*\.\n"
    assert_stops(set_up(bench, "PYTHON=python3.12"), bench, sentence)


def test_python_without_venv(bench: Path) -> None:
    (bench / "bin/python3").unlink()
    write_program(bench / "bin/python3.12", WITHOUT_VENV)
    assert_stops(set_up(bench), bench, r"make: 'python3\.12' lacks the module venv; install it \(.*\), or .*\.\n")


def test_no_compiler(bench: Path) -> None:
    (bench / "bin/c++").unlink()
    assert_stops(set_up(bench), bench, r"make: No C\+\+ compiler found \(g\+\+, c\+\+, clang\+\+\); install one .*\.\n")


def test_no_perl(bench: Path) -> None:
    (bench / "bin/perl").unlink()
    assert_stops(set_up(bench), bench, r"make: No 'perl' found, which Verilator needs; install it \(.*\)\.\n")


def test_help_names_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    # The environment is bare because a make above this run would pass its flags on.
    result = subprocess.run(
        ["make", "help"], cwd=ROOT, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True
    )
    assert [line.split()[0] for line in result.stdout.splitlines()] == phony.split()


@pytest.mark.parametrize("failing", [None, "test", "check"])
def test_ci_runs_tests_and_checks(tmp_path: Path, failing: str | None) -> None:
    # A stand-in for make notes each call, and fails at the named target.
    write_program(tmp_path / "make", f'#!/bin/sh\necho "$1 CI=$CI"\n[ "$1" != "{failing}" ]\n')
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    result = subprocess.run(
        [ROOT / ".ci/run"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert result.stdout.splitlines() == ["test CI=true", "check CI=true"]
    assert (result.returncode == 0) == (failing is None)
