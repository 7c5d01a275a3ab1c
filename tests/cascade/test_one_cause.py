"""One cause, one message: a zoo cascade with one mistake in it is refused with one sentence."""

import random
import re

from random_counts import random_count

from einsum_cascade import parse, zoo
from einsum_cascade.errors import SourceError

STREAM = 1303
WORDS = frozenset({"rank", "input", "param", "tensor", "var", "output", "init", "where", "and", "else", "cascade"})


def renamed(rng: random.Random, lines: list[str], at: int) -> str | None:
    """Misspell a name, where it is defined or where it is used."""
    names = [m for m in re.finditer(r"\b[A-Za-z_]\w*\b", lines[at]) if m.group() not in WORDS]
    return None if not names else _replaced(lines[at], m := rng.choice(names), f"{m.group()}x")


def without_index(rng: random.Random, lines: list[str], at: int) -> str | None:
    """Drop an index or a declared dimension."""
    found = list(re.finditer(r"(?<=[\[ ])\w+(:\w+)?, (?=[^\[]*\])", lines[at]))
    return None if not found else _replaced(lines[at], rng.choice(found), "")


def with_other_sign(rng: random.Random, lines: list[str], at: int) -> str | None:
    """Write one operator for another, or none."""
    found = list(re.finditer(r" [-+*/] ", lines[at]))
    return None if not found else _replaced(lines[at], rng.choice(found), rng.choice([" + ", " * ", " / ", " "]))


def deleted(rng: random.Random, lines: list[str], at: int) -> str | None:
    """Forget an equation."""
    return "" if re.match(r"(init )?\w+\[.*\] *= ", lines[at]) else None


def _replaced(line: str, match: re.Match[str], new: str) -> str:
    return line[: match.start()] + new + line[match.end() :]


def test_a_single_mistake_is_told_once(seed: int) -> None:
    rng = random.Random(f"{seed} {STREAM}")
    texts = [str(zoo.load(name)) for name in zoo.names()]
    refused = 0
    for _ in range(random_count(6000)):
        lines = rng.choice(texts).split("\n")
        at = rng.choice([at for at, line in enumerate(lines) if at and not line.startswith("#")])
        make = rng.choice([renamed, without_index, with_other_sign, deleted])
        if (line := make(rng, lines, at)) is None:
            continue
        lines[at] = line
        try:
            parse("\n".join(lines))
        except SourceError as error:
            refused += 1
            assert len(error.diagnostics) == 1, "\n".join(lines) + f"\n\n{error}"
    assert refused > random_count(2000)
