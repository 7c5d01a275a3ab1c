"""Filters as bands of diagonals, against every coordinate."""

import numpy as np
import pytest
from attention_cascades import attention
from random_counts import random_count

from einsum_cascade import parse
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.errors import IllegalMappingError
from einsum_cascade.lowering.lowered import extents_of, sizes_of
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.recognition.head_masks import Band, HeadMask
from einsum_cascade.recognition.heads import heads_of
from einsum_cascade.recognition.works import recognise

EXTENTS = {"E": 4, "F": 4, "M0": 4, "M": 12, "M1": 3, "P": 10}


def band(filter_: str, extents: dict[str, int] = EXTENTS) -> Band:
    work = recognise(parse(attention("1-pass", filter_)))
    return HeadMask(work.tasks["product"], Workload(work.cascade).parts, work.rows, work.columns, extents).band


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ("", Band()),
        ("{m} <= p", Band(high=0)),
        ("p >= {m}", Band(high=0)),
        ("{m} < p", Band(high=-1)),
        ("p > {m}", Band(high=-1)),
        ("p < {m}", Band(low=1)),
        ("p <= {m}", Band(low=0)),
        ("{m} <= p + 3", Band(high=3)),
        ("{m} - p <= M - P", Band(high=2)),
        ("{m} == p", Band(0, 0)),
        ("p + 2 == {m}", Band(2, 2)),
        ("p - 4 < {m} and {m} <= p", Band(-3, 0)),
        ("{m} <= p and {m} < p + 7 and p - 3 <= {m}", Band(-3, 0)),
        ("{m} < 5", Band(keys=5)),
        ("{m} + 1 <= M - 2", Band(keys=10)),
        ("7 > {m} and {m} <= p", Band(high=0, keys=7)),
        ("{m} >= 0", Band()),
        ("{m} == 0", Band(keys=1)),
        ("{m} < 0", Band(keys=0)),
        ("not {m} <= p", Band(low=1)),
        ("not ({m} > p or {m} < p - 3)", Band(-3, 0)),
        ("not (not {m} < 5 or {m} > p)", Band(high=0, keys=5)),
    ],
)
def test_bands(filter_: str, expected: Band) -> None:
    assert band(filter_) == expected


@pytest.mark.parametrize(
    "filter_",
    [
        "{m} <= p or {m} < 3",
        "not {m} == p",
        "{m} < LEN[p]",
        "{m} != p",
        "2*({m}) <= p",
        "{m} <= 2*p",
        "{m} + p <= 5",
        "p < 3",
        "m1 <= p",
        "m0 <= p",
        "{m} >= 2",
        "{m} < inf",
        "{m} <= p + 0.5",
    ],
)
def test_what_is_no_band_is_refused(filter_: str) -> None:
    with pytest.raises(
        IllegalMappingError,
        match=r"^the filter of BQK\[m1, m0, p\] must be a band of diagonals for the array to mask it \(keys "
        r"compared with queries plus or minus a whole number, or less than one, of the head or not, joined by `and`\), "
        r"but is not; compute it elsewhere$",
    ):
        band(filter_)


@pytest.mark.parametrize(
    ("whole", "found"),
    [
        (Band(-100, 1 << 40), Band()),
        (Band(-6, 9), Band()),  # p + low is 0 at most, p + high the last key at least
        (Band(-5, 8, 3), Band(-5, 8, 3)),
        (Band(50, None), Band(10, None)),
        (Band(None, -50), Band(None, -7)),
    ],
)
def test_bounds_far_outside_keep_the_same(whole: Band, found: Band) -> None:
    keys, queries = 10, 7
    assert whole.of(keys, queries) == found
    kept = [
        [(b.low is None or m >= p + b.low) and (b.high is None or m <= p + b.high) for m in range(keys)]
        for b in (whole, found)
        for p in range(queries)
    ]
    assert kept[:queries] == kept[queries:]


def test_random_bands_keep_what_their_predicates_keep(seed: int) -> None:
    """Up to three comparisons, either way round, terms on either side."""
    random = np.random.default_rng([seed, 430])
    operators = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal}
    m, p = np.ogrid[: EXTENTS["M"], : EXTENTS["P"]]
    for _ in range(random_count(300)):
        texts, keeps = [], np.ones((EXTENTS["M"], EXTENTS["P"]), bool)
        for _ in range(int(random.integers(1, 4))):
            operator, constant = str(random.choice(list(operators))), int(random.integers(-13, 14))
            texts.append(
                (
                    f"{{m}} {operator} p + {constant}",
                    f"{{m}} - p {operator} {constant}",
                    f"{{m}} - {constant} {operator} p",
                )[random.integers(3)]
            )
            keeps &= operators[operator](m - p, constant)
        if random.random() < 0.3:
            keys = int(random.integers(0, 14))
            texts.append(f"{{m}} < {keys}")
            keeps &= m < keys
        found = band(" and ".join(texts))
        kept = np.ones_like(keeps)
        kept &= True if found.low is None else m >= p + found.low
        kept &= True if found.high is None else m <= p + found.high
        kept &= True if found.keys is None else m < found.keys
        assert np.array_equal(kept, keeps), texts


@pytest.mark.parametrize(("bound", "keys", "high"), [(5, 5, None), (20, 12, None), (0, 1, -10), (-3, 1, -10)])
def test_a_bound_on_keys_shortens_them(bound: int, keys: int, high: int | None) -> None:
    """A head has one key at the least; where none is kept, it is masked for all 10 queries: m > p - 10."""
    work = recognise(parse(attention("1-pass", f"{{m}} < {bound}")))
    (heads,) = heads_of(work, sizes_of(work, EXTENTS), EXTENTS)
    found = extents_of(work, EXTENTS, ArrayShape(4, 4, product_steps=4, output_steps=4), heads)
    assert (found.keys, found.band.high) == (keys, high)
