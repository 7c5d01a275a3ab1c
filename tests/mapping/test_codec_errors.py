"""Each refused file is a pair: NAME.yaml and the whole of what the user is told, NAME.txt."""

from pathlib import Path

import pytest

from einsum_cascade.errors import MappingFileError
from einsum_cascade.mapping.codec import parse_mapping

HERE = Path(__file__).parents[1] / "errors" / "mapping"
REFUSED = sorted(path.stem for path in HERE.glob("*.yaml"))


@pytest.mark.parametrize("name", REFUSED)
def test_refused_file(name: str, request: pytest.FixtureRequest) -> None:
    source, expected = HERE / f"{name}.yaml", HERE / f"{name}.txt"
    with pytest.raises(MappingFileError) as raised:
        parse_mapping(source.read_text(encoding="utf-8"), source.name)
    if request.config.getoption("--update-golden"):
        expected.write_text(f"{raised.value}\n", encoding="utf-8")
    assert f"{raised.value}\n" == expected.read_text(encoding="utf-8")


def test_every_sentence_has_a_file() -> None:
    assert REFUSED
    assert sorted(path.stem for path in HERE.glob("*.txt")) == REFUSED
