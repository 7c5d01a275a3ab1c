"""One name, one thing: names of classes and of files in the package."""

import re
from collections import Counter
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "einsum_cascade"

# What every language of files has: the checked values, their reader, reading and writing, what comes with the package.
PARALLEL = {"__init__", "ir", "reader", "codec", "presets"}


def several(names: list[str]) -> set[str]:
    return {name for name, count in Counter(names).items() if count > 1}


def test_no_classes_share_a_name() -> None:
    texts = (path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    assert several([name for text in texts for name in re.findall(r"^class ([A-Z]\w*)", text, re.MULTILINE)]) == set()


def test_no_files_share_a_name() -> None:
    assert several([path.stem for path in PACKAGE.rglob("*.py")]) <= PARALLEL
