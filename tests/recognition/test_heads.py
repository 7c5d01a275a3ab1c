"""Masks that differ between heads: neighbours of equal masks are a program."""

import re

import numpy as np
import pytest

from einsum_cascade import parse, zoo
from einsum_cascade.errors import IllegalMappingError
from einsum_cascade.lowering.lowered import sizes_of
from einsum_cascade.recognition.head_masks import Band
from einsum_cascade.recognition.heads import Heads, heads_of
from einsum_cascade.recognition.works import recognise

EXTENTS = {"B": 3, "G": 2, "R": 2, "E": 4, "F": 4, "M0": 4, "M": 12, "M1": 3, "P": 10}
TEXT = re.sub(
    r"^input (.*)$", r"input \1, LEN[b:B], OFF[b:B, g:G], ALL[]", str(zoo.load("attention-1pass-gqa")), flags=re.M
)
SCORES = "Q[b, g, r, e, p] * BK[b, g, e, m1, m0]"


def found(filter_: str, **inputs: list[int] | list[list[int]] | list[float] | int) -> list[Heads]:
    """Return the heads of a filter in which {m} is the key; only what it reads is declared."""
    text = TEXT
    for name in ("LEN", "OFF", "ALL"):
        text = text if name in filter_ else re.sub(rf", {name}\[[^]]*\]", "", text)
    assert SCORES in text
    work = recognise(parse(text.replace(SCORES, f"{SCORES} where {filter_.replace('{m}', 'm1*M0 + m0')}")))
    arrays = {name: np.array(values) for name, values in inputs.items()}
    return [*heads_of(work, sizes_of(work, EXTENTS), EXTENTS, arrays)]


def test_lengths_are_numbers_of_keys() -> None:
    """Heads are those of keys, (b, g) in order: two for each sequence."""
    assert found("{m} < LEN[b]", LEN=[5, 7, 7]) == [Heads(range(2), Band(keys=5)), Heads(range(2, 6), Band(keys=7))]
    assert found("{m} <= LEN[b]", LEN=[5, 5, 5]) == [Heads(range(6), Band(keys=6))]
    # Equal ones that are no neighbours are apart, for the heads of a program follow one another.
    assert [each.numbers for each in found("{m} < LEN[b]", LEN=[5, 7, 5])] == [range(2), range(2, 4), range(4, 6)]


def test_other_bounds_of_a_head() -> None:
    diagonals = found("{m} <= p + OFF[b, g] and {m} < LEN[b]", OFF=[[0, 0], [0, 2], [2, 2]], LEN=[9, 9, 9])
    assert diagonals == [Heads(range(3), Band(high=0, keys=9)), Heads(range(3, 6), Band(high=2, keys=9))]
    assert found("{m} < ALL[]", ALL=4) == [Heads(range(6), Band(keys=4))]
    # A coordinate of a head is a number as well; so is what an index makes of it.
    assert [each.band.keys for each in found("{m} < 4*b + 3")] == [3, 7, 11]


def test_masks_that_are_the_same_are_one_program() -> None:
    assert found("{m} <= p") == [Heads(range(6), Band(high=0))]


@pytest.mark.parametrize(
    ("filter_", "inputs", "message"),
    [
        (
            "{m} < LEN[b]",
            {},
            r"LEN must be given, for the array masks BQK\[.*\] by it, but is not; give it as an input",
        ),
        (
            "{m} < LEN[b]",
            {"LEN": [5.0, 2.5, 7.0]},
            r"LEN must hold whole numbers for the array to mask BQK\[.*\], not 2\.5 at \(1,\); round them",
        ),
        ("LEN[b] < 3", {"LEN": [1, 2, 3]}, r"the filter of BQK\[.*\] must be a band of diagonals .*"),
        ("r < OFF[b, g]", {"OFF": [[1, 1]] * 3}, r"the filter of BQK\[.*\] must be a band of diagonals .*"),
    ],
)
def test_what_is_no_mask_is_refused(filter_: str, inputs: dict[str, list[int]], message: str) -> None:
    with pytest.raises(IllegalMappingError, match=f"^{message}$"):
        found(filter_, **inputs)
