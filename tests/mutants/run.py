"""Make every change of mutants.toml in a copy of the checkout, and see that the tests named with it fail.

The copy is of what git knows of, with the changes of the working tree. A change that no test notices ends the run with
an exit code of 1.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


@dataclass(frozen=True)
class Mutant:
    """A change, and the tests that must fail of it."""

    why: str
    file: str
    was: str
    changed: str
    tests: tuple[str, ...]

    def applied(self, text: str) -> str:
        """Return the text of the file with the change."""
        if text.count(self.was) != 1:
            raise ValueError(f"{self.file} must have {self.was!r} once, but has it {text.count(self.was)} times")
        return text.replace(self.was, self.changed)


def mutants() -> list[Mutant]:
    table = tomllib.loads((HERE / "mutants.toml").read_text(encoding="utf-8"))
    return [Mutant(one["why"], one["file"], one["was"], one["is"], tuple(one["tests"])) for one in table["mutant"]]


def copied(folder: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def fails(folder: Path, tests: tuple[str, ...]) -> bool:
    """Tell whether the tests fail in the copy, with a tenth of the random cases and always the same."""
    environment = os.environ | {
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "EINSUM_CASCADE_COUNTS": "quick",
        "EINSUM_CASCADE_SEED": "1",
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    code = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False).returncode
    if code not in (0, 1):
        raise RuntimeError(f"pytest must run {', '.join(tests)}, but ended with exit code {code}")
    return code == 1


def main() -> int:
    every = mutants()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copied(folder)
        where = subprocess.run(
            [sys.executable, "-c", "import einsum_cascade; print(einsum_cascade.__file__)"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(folder)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        if not Path(where).is_relative_to(folder):
            raise RuntimeError(f"the tests must use the copy in {folder}, but use {where}")
        for tests in dict.fromkeys(one.tests for one in every):
            if fails(folder, tests):
                print(f"without any change, {' '.join(tests)} must pass, but fails")
                return 1
        survivors = 0
        for one in every:
            path = folder / one.file
            text = path.read_text(encoding="utf-8")
            path.write_text(one.applied(text), encoding="utf-8")
            is_caught = fails(folder, one.tests)
            path.write_text(text, encoding="utf-8")
            survivors += not is_caught
            print(f"{'caught  ' if is_caught else 'SURVIVES'}  {one.file}: {one.why}", flush=True)
    print(f"{len(every) - survivors} of {len(every)} changes are caught")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
