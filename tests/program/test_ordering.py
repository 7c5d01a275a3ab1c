"""Mappings of an array: which loops it has, and whether keys stay."""

import re

import pytest
from array_cases import prepared

from einsum_cascade import load_architecture, resolve_extents, zoo
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
