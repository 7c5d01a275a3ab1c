"""Presets call engines and memories by their roles, whatever a machine calls them."""

from dataclasses import replace

import pytest

from einsum_cascade import architecture, study
from einsum_cascade.mapping.ir import Keep, paths
from einsum_cascade.mapping.presets import load_mapping, mapping_names
from einsum_cascade.mapping.roles import bound_by_role

NAMES = {"2d": "array", "1d": "vector", "buffer": "sram", "dram": "hbm"}


def renamed(name):
    machine = architecture(name)
    engines = tuple(replace(engine, name=NAMES[engine.name]) for engine in machine.engines)
    memories = tuple(replace(memory, name=NAMES[memory.name]) for memory in machine.memories)
    return replace(machine, engines=engines, memories=memories)


@pytest.mark.parametrize(
    ("cascade", "machine", "options"),
    [
        ("attention-1pass", "fusemax-cloud", {"model": "BERT", "seq": "4K"}),
        ("attention-1pass", "fusemax-8x8", {"E": 64, "F": 64, "M": 1024, "P": 256}),
        ("attention", "flat-cloud", {"E": 64, "F": 64, "M": 4096, "P": 4096}),
    ],
)
def test_a_machine_with_other_names_costs_the_same(cascade, machine, options) -> None:
    ours, theirs = (study(cascade, each, **options) for each in (architecture(machine), renamed(machine)))
    first, second = ours.cost(), theirs.cost()
    assert (first.latency_s, first.energy_pj, first.cycles) == (second.latency_s, second.energy_pj, second.cycles)
    assert {NAMES[name]: share for name, share in first.utilisation.items()} == second.utilisation
    assert {NAMES[name]: amount for name, amount in first.needs_bytes.items()} == second.needs_bytes


def test_the_array_is_found_by_its_role() -> None:
    for mapping in (None, "array"):
        cases = (study("attention-1pass", each, mapping, E=16, F=16, M=32, P=8) for each in MACHINES)
        ours, theirs = (case.prepared()[0].lowered.program for case in cases)
        assert ours == theirs


MACHINES = architecture("fusemax-8x8"), renamed("fusemax-8x8")


def test_names_of_the_machine_come_first() -> None:
    """A machine whose vector engine is called `2d` has what a mapping says."""
    machine = architecture("fusemax-8x8")
    swapped = replace(
        machine, engines=tuple(replace(e, name={"2d": "1d", "1d": "2d"}[e.name]) for e in machine.engines)
    )
    for name in mapping_names():
        mapping = load_mapping(name)
        assert bound_by_role(mapping, machine) is mapping
        assert bound_by_role(mapping, swapped) is mapping


def test_every_name_of_a_preset_is_bound() -> None:
    machine = renamed("fusemax-cloud")
    known = {each.name for each in (*machine.engines, *machine.memories)}
    for name in mapping_names():
        mapping = bound_by_role(load_mapping(name), machine)
        for steps, leaf in paths(mapping.root):
            assert leaf.engine in known
            assert {step.level for step in steps if isinstance(step, Keep)} <= known
        assert not any(role in str(rule).split() for role in NAMES for _, rule in mapping.parameters)


def test_roles_of_machines_with_one_engine_or_none_that_is_an_array() -> None:
    machine = architecture("fusemax-8x8")
    assert machine.roles == {"2d": "2d", "1d": "1d", "dram": "dram", "buffer": "buffer"}
    (row,) = (engine for engine in machine.engines if engine.name == "1d")
    alone = replace(machine, engines=(row,))
    assert (alone.matrix_engine, alone.vector_engine) == (row, None)
    assert alone.roles == {"2d": "1d", "dram": "dram", "buffer": "buffer"}
