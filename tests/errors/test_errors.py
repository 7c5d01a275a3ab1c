from pathlib import Path

import pytest

from einsum_cascade import parse
from einsum_cascade.errors import SourceError

HERE = Path(__file__).parent
REFUSED = sorted(path.stem for path in HERE.glob("*.cascade"))


@pytest.mark.parametrize("name", REFUSED)
def test_refused_text(name: str, request: pytest.FixtureRequest) -> None:
    """Each refused text is a pair of files: NAME.cascade and the whole of what the user is told, NAME.txt."""
    source = HERE / f"{name}.cascade"
    expected = HERE / f"{name}.txt"
    with pytest.raises(SourceError) as raised:
        parse(source.read_text(encoding="utf-8"), source.name)
    if request.config.getoption("--update-golden"):
        expected.write_text(f"{raised.value}\n", encoding="utf-8")
    assert f"{raised.value}\n" == expected.read_text(encoding="utf-8")


def test_every_sentence_has_a_text() -> None:
    assert sorted(path.stem for path in HERE.glob("*.txt")) == REFUSED
