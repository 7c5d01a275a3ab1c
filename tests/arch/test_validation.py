"""Values made in Python keep the same rules as files; the mistake is told at the line of the caller."""

import re
from dataclasses import replace
from fractions import Fraction

import pytest

from einsum_cascade.arch.fusemax import fusemax
from einsum_cascade.arch.ir import Architecture, Component, Operation
from einsum_cascade.arch.presets import load_architecture
from einsum_cascade.arch.validation import check
from einsum_cascade.errors import ArchitectureError

GOOD = load_architecture("flat-edge")
DRAM, BUFFER = GOOD.memories
ARRAY, VECTOR = GOOD.engines
MAC = Component("mac", 1.0, 1.0)


def with_buffer(**changes: object) -> Architecture:
    return replace(GOOD, memories=(DRAM, replace(BUFFER, **changes)))


def with_array(**changes: object) -> Architecture:
    return replace(GOOD, engines=(replace(ARRAY, **changes), VECTOR))


def operation(*changes: object) -> Operation:
    return Operation(*{**dict(enumerate(("mac", 1, 1, (("mac", 1),)))), **dict(enumerate(changes))}.values())


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (replace(GOOD, name=""), r"the name of the architecture must be letters, .*, unlike ''"),
        (replace(GOOD, memories=()), r"there must be at least one memory level of the architecture"),
        (replace(GOOD, engines=()), r"there must be at least one engine of the architecture"),
        (replace(GOOD, memories=(DRAM, DRAM)), r"memory 'dram' must have a name of its own; rename one of the two"),
        (replace(GOOD, engines=(ARRAY, ARRAY)), r"engine '2d' must have a name of its own"),
        (replace(GOOD, components=(*GOOD.components, MAC)), r"component 'mac' must have a name of its own"),
        (replace(GOOD, word_bits=-16), r"'word' of the architecture must be above 0 b, not -16 b"),
        (with_buffer(capacity_bytes=100), r"memory 'buffer' must hold whole rows of 512 b, unlike 100 B; .* is 128 B"),
        (
            with_buffer(access_bits=24, capacity_bytes=300),
            r"an access of memory 'buffer' must hold whole words of 16 b, unlike 24 b",
        ),
        (
            with_buffer(read_bytes_per_s=Fraction(3)),
            r"reads and writes of memory 'buffer' share .* not 3 B/s and None B/s",
        ),
        (with_buffer(is_shared=False, write_bytes_per_s=Fraction(0)), r"'write_bandwidth' of .* must be above 0 B/s"),
        (
            with_buffer(read_pj=float("nan")),
            r"'read_energy' of memory 'buffer' must be a finite number of pJ .* not nan",
        ),
        (with_buffer(area_um2=-1.0), r"'area' of memory 'buffer' must be a finite number of um2 from 0 up, not -1\.0"),
        (with_buffer(instances=0), r"'instances' of memory 'buffer' must be above 0, not 0"),
        (with_array(contexts=0), r"'contexts' of engine '2d' must be above 0, not 0"),
        (
            with_array(along_rows=frozenset({"multicast"})),
            r"'along_rows' of engine '2d' must be of .* unlike 'multicast'",
        ),
        (
            with_array(operations=(operation(), operation())),
            r"operation 'mac' of engine '2d' must have a name of its own",
        ),
        (with_array(operations=(operation("add"),)), r"operation 'add' .* unlike 'add'; did you mean '\+'\?"),
        (
            with_array(operations=(operation("mac", 1, 1, (("fma", 1),)),)),
            r".* must use declared components, unlike 'fma'",
        ),
        (
            with_array(operations=(operation("mac", 1, 1, (("mac", 1), ("mac", 2))),)),
            r"operation 'mac' of engine '2d' must name component 'mac' once, with a count",
        ),
    ],
)
def test_broken_rule(wrong: Architecture, sentence: str) -> None:
    with pytest.raises(ArchitectureError) as raised:
        check(wrong)
    (diagnostic, *_) = raised.value.diagnostics
    assert re.match(sentence, diagnostic.message), diagnostic.message
    assert diagnostic.span.file == __file__
    assert diagnostic.span.text.strip() == "check(wrong)"


def test_all_mistakes_at_once() -> None:
    with pytest.raises(ArchitectureError) as raised:
        check(replace(with_array(rows=0, columns=0), clock_hz=0, engines=(replace(ARRAY, rows=0, columns=-1),)))
    assert len(raised.value.diagnostics) == 3


def test_what_is_checked_is_what_is_returned() -> None:
    assert check(GOOD) is GOOD


def test_mistakes_of_the_family_are_told_at_the_call() -> None:
    with pytest.raises(
        ArchitectureError, match=r"memory 'buffer' must hold whole rows of 256 b, unlike 1000 B"
    ) as raised:
        fusemax(16, buffer_bytes=1000)
    assert raised.value.diagnostics[0].span.file == __file__
    with pytest.raises(ValueError, match=r"^stages of a fusemax array must be at least 1, not 0$"):
        fusemax(16, stages=0)
