"""Mappings of an array: which loops it has, and whether keys stay."""

import re

import pytest
from array_cases import prepared

from einsum_cascade import load_architecture, parse, resolve_extents, zoo
from einsum_cascade.array.program import Program
from einsum_cascade.errors import IllegalMappingError
from einsum_cascade.mapping.codec import parse_mapping, to_yaml
from einsum_cascade.mapping.presets import load_mapping
from einsum_cascade.study.preparation import prepare

EXTENTS = {"E": 8, "F": 8, "M": 24, "P": 20, "M0": 4}


def test_keys_that_are_kept_around_the_queries_stay() -> None:
    text = to_yaml(load_mapping("array"))
    assert _program(text).is_resident
    assert prepared("attention-1pass", EXTENTS, "fusemax-4x4").lowered.program.is_resident


def test_keys_that_are_kept_within_are_read_anew() -> None:
    text = to_yaml(load_mapping("array"))

    without = re.sub(r"^ *- keep K, V in buffer\n", "", text, flags=re.MULTILINE)
    assert without != text
    streaming = re.sub(r"^( *)- for m1\n", r"\1- for m1\n\1- keep K, V in buffer\n", without, flags=re.MULTILINE)
    assert streaming != without
    assert not _program(streaming).is_resident


BLOCKS = """
name: blocks
cascade: attention-1pass
parameters: {PE: columns of 2d}
order: overlap
steps: ["keep RM, RD, RNV in dram"]
body:
  - steps: [for m1 by 2, "keep K, V in buffer", for p by PE, keep Q in buffer, "keep RM, RD, RNV in 1d"]
    body:
      - steps: [for m1, "keep BQK, SLN in 2d", "keep LM, PRM, SPD, SPNV, SLD, SLNV in 1d"]
        body:
          - {steps: [for m0 on rows, for p on columns, for e], compute: BQK on 2d}
          - {steps: [for m0 on rows, for p on columns], compute: LM on 2d}
          - {steps: [for p on columns], compute: RM on 1d}
          - {steps: [for m0 on rows, for p on columns], compute: SLN on 2d}
          - {steps: [for m0 on rows, for p on columns], compute: SLD on 2d}
          - {steps: [for p on columns], compute: PRM on 1d}
          - {steps: [for p on columns], compute: SPD on 1d}
          - {steps: [for m0 on rows, for p on columns, for f], compute: SLNV on 2d}
          - {steps: [for p on columns, for f], compute: SPNV on 1d}
          - {steps: [for p on columns], compute: RD on 1d}
          - {steps: [for p on columns, for f], compute: RNV on 1d}
  - steps: [for p by PE, "keep RD, RNV in buffer"]
    body:
      - {steps: [for p on columns, for f], compute: AV on 1d}
"""


def _program(text: str) -> Program:
    cascade = zoo.load("attention-1pass")
    extents = resolve_extents(cascade, EXTENTS)
    return prepare(cascade, load_architecture("fusemax-4x4"), extents, mapping=parse_mapping(text)).lowered.program


def test_a_loop_over_keys_around_the_queries_is_one_over_blocks() -> None:
    """6 tiles of keys, 2 a block: 3 blocks. Blocks of all 6 are no blocks, and nothing leaves between them."""
    program = _program(BLOCKS)
    assert (program.is_resident, program.block_tiles, program.has_state) == (True, 2, True)
    assert [block.keys for block in program.blocks] == [range(2), range(2, 4), range(4, 6)]
    whole = _program(BLOCKS.replace("m1 by 2", "m1 by 6"))
    assert (whole.is_resident, whole.has_blocks, whole.state) == (True, False, None)


def test_a_block_that_no_query_sees_is_refused() -> None:
    """Keys m >= p + 8 are kept, so that no query has one of the first two tiles."""
    text = str(zoo.load("attention-1pass"))
    scores = "BQK[m1, m0, p] = Q[e, p] * BK[e, m1, m0]"
    assert text.count(scores) == 1
    cascade = parse(text.replace(scores, f"{scores} where m1*M0 + m0 >= p + 8"))
    extents = resolve_extents(cascade, EXTENTS)
    message = (
        "a block must have keys for a tile of queries, but all keys of its tiles 0 to 1 are masked; leave them out, or "
        "read keys anew"
    )
    with pytest.raises(IllegalMappingError, match=rf"\A{message}\Z"):
        prepare(cascade, load_architecture("fusemax-4x4"), extents, mapping=parse_mapping(BLOCKS))


def test_blocks_of_keys_must_be_kept_around_the_queries() -> None:
    inside = BLOCKS.replace('"keep K, V in buffer", for p by PE', 'for p by PE, "keep K, V in buffer"')
    outside = BLOCKS.replace('for m1 by 2, "keep K, V in buffer"', '"keep K, V in buffer", for m1 by 2')
    for text in (inside, outside):
        assert text != BLOCKS
        message = r"the mapping must keep 'K' in the buffer around p, block by block"
        with pytest.raises(IllegalMappingError, match=rf"\A<text>:\d+:\d+: {message}\n.*\n *\^{{19}}\Z"):
            _program(text)


def test_other_loops_are_refused() -> None:
    cascade = zoo.load("attention-1pass")
    extents = resolve_extents(cascade, EXTENTS)
    message = (
        r"the loops around 'BQK' must be p by 4, then M:M1\*M0 by 1 for the array, with or without M:M1\*M0 by a "
        r"multiple of 1 around them, not p by 20, [^\n]*"
    )
    with pytest.raises(IllegalMappingError, match=rf"\A\S*binding\.yaml:\d+:\d+: {message}\n.*\n *\^+\Z"):
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
