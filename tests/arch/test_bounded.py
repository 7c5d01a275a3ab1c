"""What a file may ask for is bounded: its bytes, its nodes with every alias written out, their depth, what is told."""

import difflib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from einsum_cascade.arch import tree
from einsum_cascade.arch.codec import parse_architecture, read_architecture
from einsum_cascade.arch.presets import preset_text
from einsum_cascade.arch.tree import read_tree
from einsum_cascade.errors import ArchitectureError, MappingFileError
from einsum_cascade.mapping.codec import parse_mapping, read_mapping

LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
"""Of 240 nodes and aliases, which stand for more than 2^60."""


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names for which close matches are looked for."""
    names: list[str] = []
    found = difflib.get_close_matches

    def noted(name: str, *arguments: Any, **options: Any) -> list[str]:
        names.append(name)
        return found(name, *arguments, **options)

    monkeypatch.setattr(difflib, "get_close_matches", noted)
    return names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            LAUGHS,
            r"^f:15:18: the text must have at most 100000 keys and values, with every alias written out, but has "
            r"131069 up to here; leave out what is not needed\n",
        ),
        ("a: [" + "0, " * 100_000 + "0]\n", r"^f:1:\d+: the text must have at most 100000 keys and values, .* 100001 "),
        ("#" * 2**20 + "\n", r"^f: the text must have at most 1 MiB \(1048576 B\), but has 1048577 B; leave out .*d$"),
        ("é" * 2**19 + "\n", r"^f: the text must have at most 1 MiB \(1048576 B\), but has 1048577 B; leave out .*d$"),
        ("a: " + "[" * 500_000, r"^f:1:10\d: values must be nested at most 100 deep, but are deeper here\n"),
        ("".join(f"{' ' * n}a:\n" for n in range(500)), r"^f:100:100: values must be nested at most 100 deep, "),
        # Aliases of aliases: few nodes, written without depth.
        (
            "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 300)),
            r"^f:99:12: values must be nested at most 100 deep, but are deeper here\n",
        ),
        ("a: &a {b: &b [*a, *b]}\n", r"^f:1:15: a value must not be part of itself; write it out instead of the al"),
    ],
    ids=["laughs", "nodes", "bytes", "utf-8", "flow", "block", "aliases", "cycle"],
)
@pytest.mark.parametrize("parse", [parse_architecture, parse_mapping])
def test_too_much(parse: Callable[[str, str], Any], text: str, message: str) -> None:
    with pytest.raises((ArchitectureError, MappingFileError), match=message) as raised:
        parse(text, "f")
    assert len(raised.value.diagnostics) == 1


def test_an_alias_is_counted_and_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refusing 2^60 nodes takes no more steps than the text has nodes."""
    steps: list[int] = []
    found = tree._BoundedComposer.check
    monkeypatch.setattr(tree._BoundedComposer, "check", lambda self, event: (steps.append(1), found(self, event))[1])
    assert read_tree(LAUGHS, "f").places == {}
    assert len(steps) < 240 * 2


def test_what_is_allowed_is_read() -> None:
    """Exactly 10^5 nodes: the mapping, ten keys with their lists, and in all but one list 9999 aliases or values."""
    lists = "a0: &x [" + ", ".join(["x"] * 9_997) + "]\n" + "".join(f"a{n}: *x\n" for n in range(1, 10))
    assert read_tree(lists, "f").diagnostics == ()
    spare = 10**5 - (1 + 10 * (9_997 + 2))
    assert read_tree(lists + f"b: [{', '.join(['y'] * (spare - 2))}]\n", "f").diagnostics == ()
    (refused,) = read_tree(lists + f"b: [{', '.join(['y'] * (spare - 1))}]\n", "f").diagnostics
    assert "but has 100001 up to here" in refused.message
    assert read_tree("[" * 100 + "]" * 100, "f").diagnostics == ()


@pytest.mark.parametrize(("read", "error"), [(read_architecture, ArchitectureError), (read_mapping, MappingFileError)])
def test_a_large_file_is_not_read(read: Callable[[Path], Any], error: type[Exception], tmp_path: Path) -> None:
    """Of a file of 1 TiB, which has no blocks on the disk."""
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(error, match=r"large\.yaml: the text must have at most 1 MiB \(1048576 B\), but has 109951162"):
        read(path)


def test_many_unknown_keys(counted: list[str]) -> None:
    """Each unknown key is compared with the known ones once to see what it is meant for, and once to be told."""
    with pytest.raises(ArchitectureError, match=r"\n    \^+\nand 1980 more mistakes$") as raised:
        parse_architecture(preset_text("flat-cloud") + "".join(f"key{n}: 1\n" for n in range(2000)), "f")
    assert len(raised.value.diagnostics) == 2000
    assert len(re.findall("^f:", str(raised.value), re.MULTILINE)) == 20
    assert len(counted) <= 2 * 2000


def test_many_mistakes_of_a_mapping() -> None:
    text = "name: x\nbody:\n" + "".join(f"  - Z{n} at pes\n" for n in range(21))
    with pytest.raises(MappingFileError, match=r"\n    +\^+\nand 1 more mistake$"):
        parse_mapping(text, "f")


def test_of_a_long_line_the_part_about_the_mistake_is_shown() -> None:
    with pytest.raises(ArchitectureError) as raised:
        parse_architecture("a: [" + "x, " * 500 + "}", "f")
    _, shown, carets = str(raised.value).split("\n")
    assert len(shown) < 340
    assert shown[carets.index("^")] == "}"


def test_of_a_long_value_both_ends_are_told() -> None:
    with pytest.raises(ArchitectureError) as raised:
        parse_architecture(preset_text("flat-cloud").replace("940 MHz", f"'{'x' * 50_000}'"), "f")
    said, *_ = str(raised.value).split("\n")
    assert re.fullmatch(
        r"f:\d+:\d+: 'clock' of the architecture must be .* x{10,} \.\.\. x{10,}'", said.replace("'x", " x")
    )
    assert len(said) < 4100
