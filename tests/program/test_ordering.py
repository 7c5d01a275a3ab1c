"""Mappings of an array: which loops it has, and whether keys stay."""

import re

import pytest
from array_cases import prepared

from einsum_cascade import load_architecture, parse, resolve_extents, zoo
from einsum_cascade.cosim.simulation import prepare
from einsum_cascade.errors import IllegalMappingError
from einsum_cascade.mapping.codec import parse_mapping, to_yaml
from einsum_cascade.mapping.presets import load_mapping

EXTENTS = {"E": 8, "F": 8, "M": 24, "P": 20, "M0": 4}


def _with(text: str) -> bool:
    cascade = zoo.load("attention-1pass")
    extents = resolve_extents(cascade, EXTENTS)
    found = prepare(cascade, load_architecture("fusemax-4x4"), extents, mapping=parse_mapping(text))
    return found.lowered.program.is_resident


def test_keys_that_are_kept_around_the_queries_stay() -> None:
    text = to_yaml(load_mapping("array"))
    assert _with(text)
    assert prepared("attention-1pass", EXTENTS, "fusemax-4x4").lowered.program.is_resident


def test_keys_that_are_kept_within_are_read_anew() -> None:
    text = to_yaml(load_mapping("array"))

    without = re.sub(r"^ *- keep K, V in buffer\n", "", text, flags=re.MULTILINE)
    assert without != text
    streaming = re.sub(r"^( *)- for m1\n", r"\1- for m1\n\1- keep K, V in buffer\n", without, flags=re.MULTILINE)
    assert streaming != without
    assert not _with(streaming)


def test_other_loops_are_refused() -> None:
    cascade = zoo.load("attention-1pass")
    extents = resolve_extents(cascade, EXTENTS)
    message = r"the loops around 'BQK' must be p by 4, then M:M1\*M0 by 1 for the array, not p by 20, .*"
    with pytest.raises(IllegalMappingError, match=rf"\A{message}\Z"):
        prepare(cascade, load_architecture("fusemax-4x4"), extents, mapping=load_mapping("binding"))


CHAIN = """
rank M, K, N, L
input A[m:M, k:K], B[k:K, n:N], C[n:N, l:L]
Y[m, n] = A[m, k] * B[k, n]
Z[m, l] = Y[m, n] * C[n, l]
output Z
"""
CHAIN_ORDER = """
name: chain
parameters: {PE: columns of 2d}
steps: [keep Y in dram]
body:
  - steps: [AROUND for n by PE, keep B in buffer, for m by PE WITHIN]
    body:
      - {steps: [for m on rows, for n on columns, for k], compute: Y on 2d}
  - steps: [keep Y in buffer, for l by PE, keep C in buffer, for m by PE]
    body:
      - {steps: [for m on rows, for l on columns, for n], compute: Z on 2d}
"""


@pytest.mark.parametrize(
    ("around", "within", "expected"),
    [("keep A in buffer,", "", [True, True]), ("", ", keep A in buffer", [False, True])],
)
def test_a_mapping_of_several_programs_says_of_each_what_stays(around: str, within: str, expected: list[bool]) -> None:
    cascade, mapping = parse(CHAIN), parse_mapping(CHAIN_ORDER.replace("AROUND", around).replace("WITHIN", within))
    extents = resolve_extents(cascade, {"M": 6, "K": 5, "N": 9, "L": 7})
    found = prepare(cascade, load_architecture("fusemax-4x4"), extents, mapping=mapping)
    assert [step.lowered.program.is_resident for step in found.steps] == expected
