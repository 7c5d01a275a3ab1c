"""Extents: settings, shapes of inputs, defaults, and every message."""

from itertools import product
from random import Random

import pytest
from random_counts import random_count

from einsum_cascade.cascade import parse
from einsum_cascade.cascade.extents import resolve_extents
from einsum_cascade.cascade.reach import is_partition
from einsum_cascade.errors import EvaluationError

TILED = """
rank M, P, M0 = 4
rank M1 = M / M0
input K[m:M, p:P]
BK[m1, m0, p] = K[m1*M0 + m0, p]
output BK
"""
ALIAS = """
rank N, M = N, W = 2
input X[n:N], Y[m:M]
Z[n, m] = X[n] * Y[m]
T[n, w] = X[n] * w
output Z, T
"""
WINDOW = """
rank M, S = 3
rank L = M + S - 1
input X[l:L], F[s:S]
Y[m] = X[m + s] * F[s]
output Y
"""
HALVES = """
rank H
rank E = 2*H
input X[e:E]
Y[h] = X[h] * X[h + H]
output Y
"""
JOINED = """
rank M, S
rank L = M + S
input X[m:M], Z[s:S]
tensor KL[l:L]
KL[m] = X[m]
KL[M + s] = Z[s]
output KL
"""
STRIDES = """
rank M, M0 = 4
rank M1 = M / 4
input K[m:M]
B[m1, m0] = K[m1*4 + m0]
output B
"""


def test_defaults_follow_what_they_are_made_of():
    # M1 = ceil(10 / 4) = 3; with M0 = 5 it is 2; M1 itself may be set, and then it is not recomputed.
    cascade = parse(TILED)
    assert resolve_extents(cascade, {"M": 10, "P": 2}) == {"M": 10, "P": 2, "M0": 4, "M1": 3}
    assert resolve_extents(cascade, {"M": 10, "P": 2, "M0": 5})["M1"] == 2
    assert resolve_extents(cascade, {"M": 10, "P": 2, "M1": 7})["M1"] == 7


def test_shapes_give_the_free_ranks():
    assert resolve_extents(parse(TILED), {}, {"K": (9, 2)}) == {"M": 9, "P": 2, "M0": 4, "M1": 3}
    assert resolve_extents(parse(ALIAS), {}, {"Y": (5,)}) == {"N": 5, "M": 5, "W": 2}


FREE_TILES = """
rank M, M1, M0, T
input X[m:M]
Y[m1, m0] = X[m1*M0 + m0]
output Y
"""


def test_tiles_must_cover_what_they_are_tiles_of():
    # Nothing but the numbers says how many tiles there are: 2 of 4 leave out the last two of ten coordinates.
    cascade = parse(FREE_TILES.replace(", T", ""))
    for tiles, each in ((3, 4), (4, 4), (2, 5), (10, 1), (1, 12)):
        assert resolve_extents(cascade, {"M": 10, "M1": tiles, "M0": each})["M1"] == tiles
    message = (
        r"^rank 'M' must be reached as a whole by the tiles of index 'm1\*M0 \+ m0', but with M = 10 and M1 = 2 "
        r"coordinate 8 of 'X' is never read; set M1 = 3, or give it a default: rank M1 = M/M0$"
    )
    with pytest.raises(EvaluationError, match=message):
        resolve_extents(cascade, {"M": 10, "M1": 2, "M0": 4})
    # What others read of it is no omission.
    rest = FREE_TILES.replace("input", "rank M >= M0*M1 + T\ninput").replace("output", "Z[t] = X[M1*M0 + t]\noutput Z,")
    assert resolve_extents(parse(rest), {"M": 10, "M1": 2, "M0": 4, "T": 2})["T"] == 2


def test_tiles_that_are_accepted_reach_every_coordinate(seed):
    """Three ranks of a partition, and two levels of it: what is accepted leaves nothing out, what is refused does."""
    deep = "rank M, A, B, C\ninput X[m:M]\nY[a, b, c] = X[a*B*C + b*C + c]\noutput Y"
    for number in range(random_count(400)):
        random = Random(f"{seed} {number}")
        sizes = {name: random.randint(1, most) for name, most in (("M", 24), ("A", 4), ("B", 4), ("C", 4))}
        reached = {
            a * sizes["B"] * sizes["C"] + b * sizes["C"] + c
            for a, b, c in product(*(range(sizes[name]) for name in "ABC"))
        }
        try:
            resolve_extents(parse(deep), sizes)
            is_accepted = True
        except EvaluationError:
            is_accepted = False
        assert is_accepted == (set(range(sizes["M"])) <= reached), f"case {number} of seed {seed}: {sizes}"


def test_extents_of_zero_are_allowed():
    assert resolve_extents(parse(TILED), {"M": 0, "P": 0})["M1"] == 0


@pytest.mark.parametrize(
    ("text", "settings", "shapes", "message"),
    [
        (TILED, {"MM": 3}, {}, r"^rank 'MM' must be declared to be set; did you mean 'M'\?$"),
        (
            ALIAS,
            {"M": 3},
            {},
            r"^rank 'M' is an alias of 'N' and must not be set; set 'N' instead \(--set N=3\)$",
        ),
        (TILED, {"M": -1}, {}, r"^rank 'M' must have an extent of at least 0, not -1 \(--set M=-1\)$"),
        (
            TILED,
            {},
            {},
            r"^every rank must have an extent, but ranks 'M' and 'P' have none; give --set M=\.\.\. --set P=\.\.\., "
            r"or inputs whose shapes tell$",
        ),
        (
            TILED,
            {"M": 3},
            {},
            r"^every rank must have an extent, but rank 'P' has none; give --set P=\.\.\., or inputs",
        ),
        (
            TILED,
            {"M": 3},
            {"K": (4, 2)},
            r"^rank 'M' must have one extent, but has 3 from --set M=3 and 4 in input 'K'; change one of them$",
        ),
        (
            ALIAS,
            {},
            {"X": (4,), "Y": (5,)},
            r"^rank 'M' must have one extent, but has 4 from input 'X' and 5 in input 'Y'; change one of them$",
        ),
        (
            WINDOW,
            {"M": 4},
            {"F": (4,)},
            r"^rank 'S' must have one extent, but has 3 from its default 3 and 4 in input 'F'; change one of them$",
        ),
        (TILED, {}, {"K": (4,)}, r"^input 'K' must have 2 dimensions \(M, P\), but has 1 in shape \(4,\)$"),
        (TILED, {}, {"Q": (4,)}, r"^input 'Q' must be declared by the cascade to be given; known are 'K'$"),
        (TILED, {}, {"BK": (4,)}, r"^tensor 'BK' is computed and must not be given; remove it from the inputs$"),
        (
            TILED,
            {"M": 4, "P": 1, "M0": 0},
            {},
            r"^the extent of rank 'M1' must not divide by 0, but is M/M0 with M = 4, M0 = 0; "
            r"change --set M=\.\.\. --set M0=\.\.\.$",
        ),
        (
            WINDOW,
            {"M": 0, "S": 0},
            {},
            r"^rank 'L' must have an extent of at least 0, not M \+ S - 1 = -1 with M = 0, S = 0; change --set M=",
        ),
        (
            WINDOW,
            {"M": 4, "L": 4},
            {},
            r"^index 'm \+ s' of X\[m \+ s\] in Y\[m\] must stay inside rank 'L', but reaches 5 where the last "
            r"coordinate is 3; change an extent, or filter the points with where$",
        ),
        (
            TILED,
            {"M": 10, "P": 2, "M1": 2},
            {},
            r"^rank 'M' must be reached as a whole by index 'm1\*M0 \+ m0', as it is by default \(M1 = M/M0 = 3\), but "
            r"with --set M1=2 coordinate 8 of 'K' is never read; drop --set M1=2$",
        ),
        (
            HALVES,
            {"H": 4, "E": 9},
            {},
            r"^rank 'E' must be reached as a whole by index 'h \+ H', as it is by default \(E = 2\*H = 8\), but with "
            r"--set E=9 coordinate 8 of 'X' is never read; drop --set E=9$",
        ),
        (
            JOINED,
            {"M": 4, "S": 2, "L": 7},
            {},
            r"^rank 'L' must be reached as a whole by index 's \+ M', as it is by default \(L = M \+ S = 6\), but with "
            r"--set L=7 coordinate 6 of 'KL' is never written; drop --set L=7$",
        ),
        (
            # Tiles of 2 at every fourth coordinate: 0, 1, 4, 5, 8, 9, ... leave out 2, although they reach the end.
            STRIDES,
            {"M": 14, "M0": 2},
            {},
            r"^rank 'M' must be reached as a whole by index '4\*m1 \+ m0', as it is by default \(M0 = 4\), but with "
            r"--set M0=2 coordinate 2 of 'K' is never read; drop --set M0=2$",
        ),
    ],
)
def test_messages(text, settings, shapes, message):
    with pytest.raises(EvaluationError, match=message):
        resolve_extents(parse(text), settings, shapes)


def test_an_extent_must_be_a_whole_number():
    with pytest.raises(TypeError):
        resolve_extents(parse(TILED), {"M": 4.5, "P": 1})


def test_a_filtered_index_is_left_to_the_evaluation():
    cascade = parse("rank M, W = M\ninput X[m:M]\nY[m] = X[m + 3] where m + 3 < M\noutput Y".replace(", W = M", ""))
    assert resolve_extents(cascade, {"M": 1}) == {"M": 1}


def test_a_partition_needs_numbers_that_agree():
    # m1*4 + m0 counts through tiles while M0 = 4; with M0 = 8 the tiles overlap, and what leaves K is an error.
    cascade = parse("rank M, M0 = 4\nrank M1 = M / M0\ninput K[m:M]\nB[m1, m0] = K[m1*4 + m0]\noutput B")
    index = cascade.einsums[0].reads[0].indices[0]
    assert is_partition(cascade, index, resolve_extents(cascade, {"M": 10}))
    with pytest.raises(
        EvaluationError, match=r"^index '4\*m1 \+ m0' of K\[4\*m1 \+ m0\] in B\[m1, m0\] must stay inside"
    ):
        resolve_extents(cascade, {"M": 10, "M0": 8})
