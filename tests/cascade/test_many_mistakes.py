"""Of many mistakes the first twenty are told, and how many more there are; the others take no time to be worded."""

import difflib
import re
from typing import Any

import pytest

from einsum_cascade import parse
from einsum_cascade.cascade import parser
from einsum_cascade.errors import IllegalMappingError, InfeasibleMappingError, SourceError

HEAD = "cascade many\nrank M, P\ninput X0[m:M, p:P]\n"
MANY = range(1, 401)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return for what a message was worded that needs more than a sentence."""
    found: list[str] = []

    def noted(module: Any, name: str) -> None:
        original = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, **kw: (found.append(name), original(*args, **kw))[1])

    noted(difflib, "get_close_matches")
    noted(parser, "_diagnose")
    return found


@pytest.mark.parametrize(
    ("line", "more"),
    [
        ("X{n}[m, p] = = X0[m, p]", 380),
        ("X{n}[m, p] = unknown{n}(X0[m, p])", 380),
        ("X{n}[m, p] = X0[m, q{n}]", 380),
        ("Tensor{n}[m, p] = exp(Tenosr{n}[m, p])", 1),  # those past the first twenty are told as one
        ("X{n}[m, p] = X0[m + 1, p]", 380),
    ],
    ids=["syntax", "operators", "variables", "tensors", "indices"],
)
def test_twenty_are_told(line: str, more: int, steps: list[str]) -> None:
    lines = "".join(line.format(n=n) + "\n" for n in MANY)
    plural = "s" if more > 1 else ""
    with pytest.raises(SourceError, match=rf"\n +\^+\nand {more} more mistake{plural}$") as raised:
        parse(f"{HEAD}{lines}output {'Tensor1' if 'Tensor' in line else 'X1'}\n")
    assert len(re.findall("^<text>:", str(raised.value), re.MULTILINE)) == 20
    assert len(raised.value.diagnostics) == 20 + more
    assert len(steps) <= 20


def test_of_many_names_the_first_are_told() -> None:
    text = HEAD + "".join(f"X{n}[m, p] = exp(Other{n}y[m, p])\n" for n in MANY) + "output X1\n"
    message = r"tensors ('Other\d+y', ){99}'Other100y' and 300 more must be given or defined, but never are; known are"
    with pytest.raises(SourceError, match=message):
        parse(text)


def test_reasons_and_violations_are_told_alike() -> None:
    sentences = [f"sentence {n}" for n in range(22)]
    assert str(IllegalMappingError(sentences)) == "\n".join([*sentences[:20], "and 2 more mistakes"])
    assert str(InfeasibleMappingError(sentences)) == "\n".join([*sentences[:20], "and 2 more reasons"])
    assert str(InfeasibleMappingError(sentences[:20])) == "\n".join(sentences[:20])
