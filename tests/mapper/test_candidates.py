"""Which mappings are tried: presets by what a cascade is, the plain mapping where none is legal."""

from dataclasses import replace

import pytest

from einsum_cascade import load_architecture, parse, zoo
from einsum_cascade.errors import MappingError
from einsum_cascade.mapper.candidates import candidates, preset_mappings
from einsum_cascade.mapping.workload import Workload


@pytest.mark.parametrize("name", ["attention", "attention-1pass"])
def test_a_preset_is_for_a_cascade_by_any_name(name: str) -> None:
    """Neither the name nor the documentation decides; an equation does."""
    cascade = zoo.load(name)
    mine = parse(str(replace(cascade, name="mine", documentation="of my own")))
    assert preset_mappings(mine) == preset_mappings(cascade) != ()
    assert preset_mappings(parse(str(cascade).replace("exp(", "tanh(", 1))) == ()
    assert preset_mappings(zoo.load("softmax")) == ()


def test_preferred_presets_come_first() -> None:
    names = [mapping.name for mapping in preset_mappings(zoo.load("attention-1pass"), ("cascade", "unfused"))]
    assert names == ["cascade", "architecture", "array", "binding"]


def test_the_plain_mapping_is_taken_where_no_preset_is_legal() -> None:
    """FLAT's array takes no maxima, which the presets of the 1-pass cascade but one need there."""
    workload, presets = Workload(zoo.load("attention-1pass")), preset_mappings(zoo.load("attention-1pass"))
    extents = {"E": 8, "F": 8, "M": 512, "P": 512, "M0": 256, "M1": 2}
    flat = load_architecture("flat-cloud")
    assert [mapping.name for mapping in candidates(workload, flat, extents, presets)] == ["cascade"]
    others = replace(flat, engines=tuple(replace(engine, name=f"my-{engine.name}") for engine in flat.engines))
    assert [mapping.name for mapping in candidates(workload, others, extents, presets)] == ["plain"]
    with pytest.raises(
        MappingError, match=r"^every rank must have an extent of at least 1 to be mapped, but 'M' has 0"
    ):
        candidates(workload, others, extents | {"M": 0}, presets)
