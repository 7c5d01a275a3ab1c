"""Each refused file is a pair: NAME.yaml and the whole of what the user is told, NAME.txt."""

from pathlib import Path

import pytest

from einsum_cascade.arch.codec import parse_architecture, read_architecture
from einsum_cascade.errors import ArchitectureError

HERE = Path(__file__).parents[1] / "errors" / "arch"
REFUSED = sorted(path.stem for path in HERE.glob("*.yaml"))


@pytest.mark.parametrize("name", REFUSED)
def test_refused_file(name: str, request: pytest.FixtureRequest) -> None:
    source, expected = HERE / f"{name}.yaml", HERE / f"{name}.txt"
    with pytest.raises(ArchitectureError) as raised:
        parse_architecture(source.read_text(encoding="utf-8"), source.name)
    if request.config.getoption("--update-golden"):
        expected.write_text(f"{raised.value}\n", encoding="utf-8")
    assert f"{raised.value}\n" == expected.read_text(encoding="utf-8")


def test_every_sentence_has_a_file() -> None:
    assert sorted(path.stem for path in HERE.glob("*.txt")) == REFUSED


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ArchitectureError, match=r"missing\.yaml: an architecture file must be .*, but No such file"):
        read_architecture(tmp_path / "missing.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: \xe9\n")
    with pytest.raises(
        ArchitectureError, match=r"latin\.yaml: an architecture file must be .*, but it is not in UTF-8$"
    ):
        read_architecture(tmp_path / "latin.yaml")
