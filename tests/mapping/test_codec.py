"""Mapping files: what is read is what was written, and comments survive a change."""

import numpy as np
import pytest
from random_counts import random_count
from random_mappings import CASES, random_extents, random_mapping

from einsum_cascade.cascade.extent import ceil_div, constant, symbol
from einsum_cascade.errors import MappingFileError
from einsum_cascade.mapping.codec import change, parse_mapping, read_mapping, to_yaml
from einsum_cascade.mapping.ir import Block, Compute, Keep, Loop, Mapping
from einsum_cascade.mapping.presets import load_mapping, mapping_names, mapping_text

TEXT = """\
name: two stages  # of a chain
cascade: chain
parameters: {P1: 4, P0: 16}
words: {S: 32 b}
order: overlap
steps:
  - for p by P1*P0  # what the buffer holds
  - keep Q, S in buffer
body:
  - steps: [for m by M/4, "keep K, V in buffer x2", for p by P0]
    order: lock-step
    body:
      - {steps: [for m on rows, for p on columns, for e], compute: S on 2d, stage: 1, overhead_cycles: 2*P0 + 1}
      - {compute: T on 2d, stage: 2}
  - T#2 on 1d
"""


def test_a_file_is_the_tree_that_it_shows() -> None:
    p1_p0, m_quarter = symbol("P1") * symbol("P0"), ceil_div(symbol("M"), constant(4))
    score = Block(
        (Loop("m", axis="rows"), Loop("p", axis="columns"), Loop("e")),
        (Compute("S", "2d", 1, constant(2) * symbol("P0") + constant(1)),),
    )
    inner = Block(
        (Loop("m", m_quarter), Keep("buffer", ("K", "V"), 2), Loop("p", symbol("P0"))),
        (score, Compute("T", "2d", 2)),
        "lock-step",
    )
    root = Block((Loop("p", p1_p0), Keep("buffer", ("Q", "S"))), (inner, Compute("T#2", "1d")), "overlap")
    wanted = Mapping("two stages", root, (("P1", 4), ("P0", 16)), (("S", 32),), "chain")
    assert parse_mapping(TEXT) == wanted
    assert parse_mapping(to_yaml(wanted)) == wanted


def test_an_einsum_alone_needs_no_body() -> None:
    alone = parse_mapping("name: a\ncompute: Z on pes\n")
    assert alone.root == Block((), (Compute("Z", "pes"),))
    assert parse_mapping(to_yaml(alone)) == alone


def test_a_change_keeps_comments() -> None:
    changed = change(TEXT, ("parameters", "P1"), 8)
    changed = change(changed, ("body", 0, "steps", 1), "keep K, V in buffer")
    assert dict(parse_mapping(changed).parameters) == {"P1": 8, "P0": 16}
    assert changed.splitlines()[0] == "name: two stages  # of a chain"
    assert changed.splitlines()[6] == "  - for p by P1*P0  # what the buffer holds"
    with pytest.raises(ValueError, match=r"^the path \('steps', 9\) must lead to one value"):
        change(TEXT, ("steps", 9), "for m")


@pytest.mark.parametrize("name", CASES)
def test_random_mappings_survive_a_file(name: str, seed: int) -> None:
    case = CASES[name]
    for number in range(random_count(500)):
        rng = np.random.default_rng([seed, number])
        mapping = _varied(rng, random_mapping(rng, case, random_extents(rng, case)))
        assert parse_mapping(to_yaml(mapping)) == mapping, f"case {number} of seed {seed}\n{to_yaml(mapping)}"


def _varied(rng: np.random.Generator, mapping: Mapping) -> Mapping:
    """Give a mapping what the random ones do not have: symbols, stages, copies, orders, names that need quotes."""

    def part(node: Block | Compute) -> Block | Compute:
        if isinstance(node, Compute):
            return Compute(node.task, node.engine, int(rng.integers(3)), tiles[rng.integers(3)])
        steps = tuple(
            Loop(s.variable, s.tile * tiles[rng.integers(1, 4)], s.axis)
            if isinstance(s, Loop)
            else Keep(s.level, s.tensors * int(rng.integers(1, 3)), int(rng.integers(1, 4)))
            for s in node.steps
        )
        order = ("sequence", "overlap", "lock-step")[rng.integers(3)]
        return Block(steps, tuple(map(part, node.body)), order)

    tiles = [constant(0), symbol("P1") * symbol("P0") + constant(3), ceil_div(symbol("M"), symbol("P0")), constant(7)]
    root = part(mapping.root)
    name = ("x", "1e3", "true", "a: b # c", '"', "é\n")[rng.integers(6)]
    assert isinstance(root, Block)
    return Mapping(name, root, (("P0", int(rng.integers(9))), ("P1", -1)), (("Z", 8),), "", name)


def test_a_preset_is_found_by_name_and_a_file_by_path(tmp_path) -> None:
    assert {"output-stationary", "weight-stationary"} <= set(mapping_names())
    for name in mapping_names():
        assert load_mapping(name).name == name
        (tmp_path / "own.yaml").write_text(mapping_text(name), encoding="utf-8")
        assert load_mapping(str(tmp_path / "own.yaml")) == load_mapping(name)
        assert parse_mapping(to_yaml(load_mapping(name))) == load_mapping(name)


def test_unknown_names_list_the_known_ones(tmp_path) -> None:
    with pytest.raises(MappingFileError, match=r"^weight: mapping 'weight' must be a preset .*'output-stationary'"):
        load_mapping("weight")
    with pytest.raises(MappingFileError, match=r"did you mean 'weight-stationary'\?$"):
        load_mapping("weight-stationery")
    with pytest.raises(ValueError, match=r"^a preset file must be one of .*'weight-stationary'.*, not 'x'$"):
        mapping_text("x")
    (tmp_path / "own.txt").write_text("")
    with pytest.raises(MappingFileError, match=r"a mapping file must end in '\.yaml', unlike '.*own\.txt'; rename it$"):
        load_mapping(str(tmp_path / "own.txt"))


def test_a_file_that_cannot_be_read(tmp_path) -> None:
    with pytest.raises(MappingFileError, match=r"missing\.yaml: a mapping file must be .*, but No such file"):
        read_mapping(tmp_path / "missing.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: \xe9\n")
    with pytest.raises(MappingFileError, match=r"latin\.yaml: a mapping file must be .*, but it is not in UTF-8$"):
        read_mapping(tmp_path / "latin.yaml")
