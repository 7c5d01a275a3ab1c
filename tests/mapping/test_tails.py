"""Points past the end of a partitioned rank: there for what is not read or written by all parts, and only for that."""

import pytest

from einsum_cascade import load_architecture, parse, resolve_extents
from einsum_cascade.cost.estimate import estimate
from einsum_cascade.interpreter import evaluate, random_inputs
from einsum_cascade.mapper.plain import plain_mapping
from einsum_cascade.mapping.tails import overrun_partitions
from einsum_cascade.mapping.workload import Workload

# Of M = 5 in tiles of 2, three tiles: 5 points where M is read, 6 where it is not.
CASES = {
    "an outer product": (
        "rank M, M0\nrank M1 = M/M0\ninput X[m:M]\nA[m1] = sum[m0](X[m1*M0 + m0])\nB[m0] = sum[m1](X[m1*M0 + m0])\n"
        "D[m1, m0] = A[m1]*B[m0]\nE[m1, m0] = D[m1, m0]*X[m1*M0 + m0]\noutput D, E",
        {"M": 5, "M0": 2},
        {"D": 6},
    ),
    "a declared input": (
        "rank M, M0\nrank M1 = M/M0\ninput X[m:M], Z[a:M1, b:M0]\nD[m1, m0] = Z[m1, m0]*2\n"
        "F[m1] = sum[m0](X[m1*M0 + m0])\noutput D, F",
        {"M": 5, "M0": 2},
        {"D": 6, "F": 3},
    ),
    # Four sums in two of two tiles: the last is over nothing, and there.
    "three parts": (
        "rank M, M0, M1\nrank M2 = M/(M1*M0)\ninput X[m:M]\n"
        "T[m2, m1] = sum[m0](X[m2*(M1*M0) + m1*M0 + m0])\nU[m2, m1] = T[m2, m1]*2\noutput T, U",
        {"M": 5, "M0": 2, "M1": 2},
        {"T": 4, "U": 4},
    ),
    "more tiles than the rank needs": (
        "rank M, M0, M1\ninput X[m:M]\nA[m1] = sum[m0](X[m1*M0 + m0])\noutput A",
        {"M": 5, "M0": 2, "M1": 4},
        {"A": 4},
    ),
    # One tile of 4 over M = 3: the last of four sums is over nothing.
    "a tile longer than the rank": (
        "rank M, M0\nrank M1 = M/M0\ninput X[m:M]\nB[m0] = sum[m1](X[m1*M0 + m0])\noutput B",
        {"M": 3, "M0": 4},
        {"B": 4},
    ),
}
# All read or write by both parts.
CUT = {
    "read": "input X[m:M]\nB[m1, m0] = X[m1*M0 + m0]*2\nC[m1, m0] = exp(B[m1, m0])\noutput C",
    "written": "input A[i:M1], B[j:M0]\ntensor C[m:M]\nC[m1*M0 + m0] = A[m1]*B[m0]\noutput C",
}


def updates(text: str, given: dict[str, int]) -> dict[str, int]:
    """Words of each result that the plain mapping writes to DRAM."""
    cascade, machine = parse(text), load_architecture("flat-cloud")
    workload, extents = Workload(cascade), resolve_extents(cascade, given)
    found = estimate(workload, machine, plain_mapping(workload, machine, extents), extents).accesses
    return {name: int(found["dram", name].updates) for name in cascade.outputs}


@pytest.mark.parametrize("name", CASES)
def test_elements_past_the_end_are_written(name: str) -> None:
    text, given, wanted = CASES[name]
    assert overrun_partitions(parse(text))
    assert {result: words for result, words in updates(text, given).items() if result in wanted} == wanted
    values = evaluate(parse(text), random_inputs(parse(text), given, 1), given)
    assert {result: values[result].size for result in wanted} == wanted


@pytest.mark.parametrize("name", CUT)
def test_a_range_ends_with_its_rank(name: str) -> None:
    text = f"rank M, M0\nrank M1 = M/M0\n{CUT[name]}"
    assert not overrun_partitions(parse(text))
    assert updates(text, {"M": 5, "M0": 2}) == {"C": 5}


def test_tiles_past_the_end_are_left_out() -> None:
    """Of E, 5 points in ten tiles of one coordinate: the last of three tiles that M reaches is fetched as a whole."""
    text = "rank M, M0, M1\ninput X[m:M]\nA[m1] = sum[m0](X[m1*M0 + m0])\nE[m1, m0] = X[m1*M0 + m0]*2\noutput A, E"
    assert updates(text, {"M": 5, "M0": 2, "M1": 5}) == {"A": 5, "E": 6}
