"""Whatever is done to a file, the reader answers with an architecture or with places, never with a traceback."""

import re
from random import Random

import pytest
from random_counts import random_count

from einsum_cascade.arch.codec import parse_architecture, to_yaml
from einsum_cascade.arch.presets import load_architecture, preset_text
from einsum_cascade.errors import ArchitectureError

TEXTS = [preset_text("fusemax-cloud"), preset_text("systolic"), to_yaml(load_architecture("fusemax-4x4"))]
TOKENS = [
    "0",
    "-1",
    "1.5",
    "true",
    "null",
    "[]",
    "{}",
    "''",
    "published",
    "scaled",
    "unlimited",
    "&a",
    "*a",
    "? ",
    "- ",
    "|",
]
TOKENS += [
    "16 MiB",
    "1/0 B",
    "1 B/cycle",
    "9e999 B",
    "!!int x",
    "<<",
    ":",
    "#",
    "\t",
    "\u2028",
    "\x85",
    "%YAML 1.1\n---\n",
    "é",
]


def mutated(text: str, random: Random) -> str:
    for _ in range(random.choice([1, 1, 2, 5])):
        words = list(re.finditer(r"\S+", text))
        word = random.choice(words)
        match random.randrange(5):
            case 0:  # another word
                text = text[: word.start()] + random.choice(TOKENS) + text[word.end() :]
            case 1:  # a word less
                text = text[: word.start()] + text[word.end() :]
            case 2:  # a word from elsewhere
                text = text[: word.start()] + random.choice(words)[0] + text[word.end() :]
            case 3:  # a character less
                at = random.randrange(len(text))
                text = text[:at] + text[at + 1 :]
            case _:  # a line less
                lines = text.split("\n")
                del lines[random.randrange(len(lines))]
                text = "\n".join(lines)
    return text


def test_mutated_files(seed: int) -> None:
    random = Random(seed * 31 + 7)
    accepted = 0
    for _ in range(random_count(3000)):
        text = mutated(random.choice(TEXTS), random)
        try:
            value = parse_architecture(text, "file.yaml")
        except ArchitectureError as error:
            lines = text.count("\n") + 1
            for diagnostic in error.diagnostics:
                assert 1 <= diagnostic.span.line <= lines + 1
                assert str(diagnostic).startswith(f"file.yaml:{diagnostic.span.line}:{diagnostic.span.column}: ")
                assert diagnostic.message.count("\n") == 0
        except Exception:
            pytest.fail(f"the reader does not answer to:\n{text}")
        else:
            accepted += 1
            assert parse_architecture(to_yaml(value)) == value
    assert accepted > 0
