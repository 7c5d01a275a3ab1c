"""The table of changes fits the code: each text stands once in its file, and the tests are there.

That the tests fail of the changes is seen by `make mutants`, a part of `make nightly`.
"""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent.parent


def _run() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutant_run", Path(__file__).parent / "run.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RUN = _run()


@pytest.mark.parametrize("mutant", RUN.mutants(), ids=lambda mutant: f"{Path(mutant.file).stem}: {mutant.why[:40]}")
def test_the_change_can_be_made(mutant) -> None:
    text = (ROOT / mutant.file).read_text(encoding="utf-8")
    changed = mutant.applied(text)
    assert changed != text
    compile(changed, mutant.file, "exec")
    assert abs(len(changed) - len(text)) <= 20
    assert mutant.why and all((ROOT / test).is_file() for test in mutant.tests)


def test_a_change_that_does_not_fit_is_told() -> None:
    with pytest.raises(ValueError, match=r"^a\.py must have 'x' once, but has it 2 times$"):
        RUN.Mutant("", "a.py", "x", "y", ()).applied("x = x")
