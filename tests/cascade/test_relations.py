"""Relations of extents: stated, relied on by proofs, met by numbers. The rules are docs/decisions/0010."""

import numpy as np
import pytest

from einsum_cascade import evaluate, parse
from einsum_cascade.cascade.builder import CascadeBuilder
from einsum_cascade.cascade.extents import known_extents, resolve_extents
from einsum_cascade.errors import EvaluationError

ROLL = """
cascade roll
rank I, S
rank S <= I
input X[i:I]
tensor Y[i:I]
var u : S
Y[i]         = X[i + S] where i + S < I
Y[u + I - S] = X[u]
output Y
"""


def test_a_roll_is_two_regions_that_never_meet() -> None:
    cascade = parse(ROLL)
    assert str(cascade) == ROLL.strip()
    X = np.arange(5.0)
    for shift in range(6):
        np.testing.assert_array_equal(evaluate(cascade, {"X": X}, {"S": shift})["Y"], np.roll(X, -shift))


def test_interleaved_regions_never_meet() -> None:
    # The rotary embedding's halves, interleaved: 2*h is even, 2*h + 1 odd.
    cascade = parse("rank H\nrank E = 2*H\ninput X[e:E]\ntensor Y[e:E]\nY[2*h] = X[h]\nY[2*h + 1] = X[h + H]\noutput Y")
    np.testing.assert_array_equal(evaluate(cascade, {"X": np.arange(6.0)}, {"H": 3})["Y"], [0, 3, 1, 4, 2, 5])


@pytest.mark.parametrize(
    ("head", "relations"),
    [
        ("rank G >= 2, M", ["G >= 2"]),
        ("rank G, M\nrank G > 1, M < G + 3", ["G > 1", "M < G + 3"]),
        ("rank G, M\nrank 2 <= G", ["2 <= G"]),
        ("rank M\nrank G = 2*M\nrank M >= 1", ["M >= 1"]),
        ("rank M\nrank G == M + 2", ["G == M + 2"]),
        ("rank M, M0\nrank G = M/M0\nrank G >= 2", ["G >= 2"]),
    ],
)
def test_what_is_stated_is_kept_and_relied_on(head: str, relations: list[str]) -> None:
    cascade = parse(f"{head}\ninput S[g:G, m:M]\nY[m] = S[1, m]\noutput Y")
    assert [str(relation) for relation in cascade.relations] == relations
    assert parse(str(cascade)) == cascade
    assert all(relation in cascade._repr_html_().replace("&lt;", "<").replace("&gt;", ">") for relation in relations)


def test_numbers_must_meet_relations() -> None:
    cascade = parse("rank G >= 2, M\nrank N = M/2\nrank N <= G\ninput S[g:G, n:N, m:M]\nY[m, n] = S[1, n, m]\noutput Y")
    assert resolve_extents(cascade, {"G": 2, "M": 4}) == {"G": 2, "M": 4, "N": 2}
    with pytest.raises(EvaluationError, match=r"^the cascade states G >= 2, but G = 1; change --set G=\.\.\.$"):
        resolve_extents(cascade, {"G": 1, "M": 1})
    told = r"^the cascade states N <= G, but G = 2, N = 3; change --set G=\.\.\. --set M=\.\.\. --set N=\.\.\.$"
    with pytest.raises(EvaluationError, match=told):
        resolve_extents(cascade, {"G": 2, "M": 5})
    with pytest.raises(EvaluationError, match=r"^the cascade states G >= 2, but G = 0"):
        known_extents(cascade, {"G": 0})
    with pytest.raises(EvaluationError, match=r"^the cascade states G >= 2, but G = 1"):
        evaluate(cascade, {"S": np.zeros((1, 1, 1))})


def test_a_relation_that_divides_by_zero_is_told() -> None:
    cascade = parse("rank M, M0\nrank M/M0 >= 2\ninput X[m:M, m0:M0]\nY[m] = X[m, m0]\noutput Y")
    with pytest.raises(
        EvaluationError, match=r"^relation 'M/M0 >= 2' must not divide by 0, but is M/M0 - 2 with M = 3, M0"
    ):
        resolve_extents(cascade, {"M": 3, "M0": 0})


def test_relations_in_python() -> None:
    c = CascadeBuilder("second")
    G = c.rank("G")
    c.require(G >= 2)
    X = c.input("X", c.rank_variable("g", G))
    c.Y[()] = X[1]
    c.output("Y")
    assert str(c.build().relations[0]) == "G >= 2"
    with pytest.raises(TypeError, match=r"a relation of extents must be a comparison, as in c\.require\(G >= 2\)"):
        c.require(G + 1)
