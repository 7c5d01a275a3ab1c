"""One name, one thing: public class names of the package, and those that still stand for several."""

import re
from collections import Counter
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "einsum_cascade"

SHARED = {
    *("Access", "Block", "Bound", "Drain", "Facts", "Filter", "Footprint", "Held", "Line", "Live", "Loop", "Machine"),
    *("Memory", "Numbers", "Operand", "Operation", "Piece", "Plan", "Refusal", "Row", "Scene", "Step"),
    *("Target", "Use", "Value", "Workload", "Found"),
}
"""Names that several classes have. It only gets shorter."""


def test_no_more_classes_share_a_name() -> None:
    found = Counter(
        name
        for path in PACKAGE.rglob("*.py")
        for name in re.findall(r"^class ([A-Z]\w*)", path.read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert {name for name, count in found.items() if count > 1} == SHARED
