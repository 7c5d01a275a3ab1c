from pathlib import Path

import numpy as np
import pytest

from einsum_cascade import parse
from einsum_cascade.cascade.operators import OPERATORS, register
from einsum_cascade.errors import SourceError

HERE = Path(__file__).parent
WITH_MISH = OPERATORS.copy()
register("mish", lambda x: x * np.tanh(np.logaddexp(0, x)), registry=WITH_MISH)
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


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_told_to_do_is_accepted(name: str) -> None:
    """NAME.remedies holds the text after each way of following the sentences of NAME.txt, with --- between them."""
    for text in (HERE / f"{name}.remedies").read_text(encoding="utf-8").split("---\n"):
        cascade = parse(text, operators=WITH_MISH)
        assert parse(str(cascade), operators=WITH_MISH) == cascade


@pytest.mark.parametrize("suffix", ["txt", "remedies"])
def test_every_sentence_has_a_text(suffix: str) -> None:
    assert sorted(path.stem for path in HERE.glob(f"*.{suffix}")) == REFUSED
