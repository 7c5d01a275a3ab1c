"""Files keep what they say: values through writing and reading, comments and layout through a change."""

import re
from fractions import Fraction

import pytest
from hypothesis import given, settings
from random_architectures import architectures
from random_counts import random_count

from einsum_cascade.arch.codec import change, parse_architecture, to_yaml
from einsum_cascade.arch.ir import Architecture, Component, Engine, Memory, Operation, RegisterFile
from einsum_cascade.arch.presets import preset_text
from einsum_cascade.arch.validation import check
from einsum_cascade.errors import ArchitectureError
from einsum_cascade.preset_files import preset_files

BY_HAND = """\
# A machine to read by hand.
name: small
clock: 1 GHz      # round
word: 16 b

memories:
  dram: {capacity: unlimited, access: 64 b, bandwidth: 64 GB/s, energy: published}

  buffer:
    capacity: 64 KiB  # half of what fits
    access: 512 b
    instances: 2
    read_bandwidth: 128 B/cycle
    write_bandwidth: unlimited
    read_energy: 0.5 nJ
    write_energy: 600 pJ
    area: 0.25 mm2
    source: 'measured, once'

engines:
  "2d":
    rows: 8
    columns: 4
    contexts: 3
    along_columns: [shift, reduce]
    registers: {words: 4, word: 2 B, read_energy: 1 pJ, write_energy: 2 pJ, area: 10 um2}
    operations:
      mac: {interval_cycles: 1, latency_cycles: 3, components: {mac: 1}}
      "-": {interval_cycles: 2, latency_cycles: 2, components: {}}

components:
  mac: {energy: 17 pJ, area: 1545 um2, source: >-
    one
    two}
"""
# What the text above says, value by value: 128 B/cycle at 1 GHz are 128e9 B/s, 0.5 nJ are 500 pJ, 0.25 mm2 250000 um2.
VALUE = Architecture(
    "small",
    10**9,
    16,
    (
        Memory("dram", None, 64, Fraction(64 * 10**9), Fraction(64 * 10**9), True, 1, 249.6, 249.6, None, "published"),
        Memory("buffer", 65536, 512, Fraction(128 * 10**9), None, False, 2, 500.0, 600.0, 250000.0, "measured, once"),
    ),
    (
        Engine(
            "2d",
            8,
            4,
            (Operation("mac", 1, 3, (("mac", 1),)), Operation("-", 2, 2, ())),
            RegisterFile(4, 16, 1.0, 2.0, 10.0),
            3,
            frozenset(),
            frozenset({"reduce", "shift"}),
        ),
    ),
    (Component("mac", 17.0, 1545.0, "one two"),),
)


def test_file_by_hand() -> None:
    text = BY_HAND.replace("energy: published}", "energy: published, source: published}").replace(
        ">-\n    one\n    two", "one two"
    )
    assert parse_architecture(text) == VALUE
    assert parse_architecture(to_yaml(VALUE)) == VALUE


@settings(max_examples=random_count(500))
@given(architectures())
def test_reading_gives_back_what_was_written(architecture: Architecture) -> None:
    assert check(architecture) is architecture
    assert parse_architecture(to_yaml(architecture)) == architecture


@pytest.mark.parametrize("name", preset_files("arch"))
def test_presets_survive_in_full(name: str) -> None:
    value = parse_architecture(preset_text(name))
    assert parse_architecture(to_yaml(value)) == value


@pytest.mark.parametrize(
    ("path", "value", "before", "after"),
    [
        (("memories", "buffer", "capacity"), "128 KiB", "64 KiB  # half", "128 KiB  # half"),
        (("clock",), "2 GHz", "1 GHz      # round", "2 GHz      # round"),
        (("memories", "dram", "bandwidth"), "unlimited", "64 GB/s, energy", "unlimited, energy"),
        (("engines", "2d", "rows"), 16, "rows: 8", "rows: 16"),
        (("engines", "2d", "along_columns", 1), "broadcast", "[shift, reduce]", "[shift, broadcast]"),
        (("memories", "buffer", "source"), "a: b # c", "'measured, once'", '"a: b # c"'),
    ],
)
def test_change_touches_one_value(path: tuple[str | int, ...], value: str | int, before: str, after: str) -> None:
    text = BY_HAND.replace("source: >-\n    one\n    two}", "source: one}")
    assert change(text, path, value) == text.replace(before, after)


def test_every_scalar_of_a_preset_can_be_written_over_with_itself() -> None:
    # Load and save is the identity: every value is replaced by its own text.
    text = preset_text("fusemax-cloud")
    for key, value in re.findall(r"^    (\w+): ([\w. ]*\w)", text, re.MULTILINE):
        for memory in ("dram", "buffer"):
            try:
                changed = change(text, ("memories", memory, key), value)
            except (ValueError, ArchitectureError):
                continue
            assert changed.count("#") == text.count("#")
    assert change(text, ("clock",), "940 MHz") == text


def test_change_refuses() -> None:
    text = BY_HAND.replace("source: >-\n    one\n    two}", "source: one}")
    with pytest.raises(
        ValueError, match=r"^the path \('memories',\) must lead to one value that stands on its own in <text>"
    ):
        change(text, ("memories",), "1")
    with pytest.raises(ValueError, match=r"^the path \('clok',\) must lead"):
        change(text, ("clok",), "1")
    with pytest.raises(
        ArchitectureError, match=r"^<text>:3:8: 'clock' of the architecture must be above 0 Hz, not 0 Hz"
    ):
        change(text, ("clock",), "0 Hz")


def test_an_alias_may_share_a_value() -> None:
    text = preset_text("flat-cloud").replace("registers: {words: 4", "registers: &file {words: 16", 1)
    text = text.replace("registers: {words: 16, word: 16 b, energy: published, area: published}", "registers: *file")
    value = parse_architecture(text)
    assert value.engines[0].registers == value.engines[1].registers
