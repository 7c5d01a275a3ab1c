"""Numbers have at most 1000 digits wherever they are written, and what is computed from them is written whole.

Python refuses to turn more than 4300 digits into a number or back, with an error of its own.
"""

import json

import pytest

from einsum_cascade import cascade, parse
from einsum_cascade.analysis.symbolic import as_text, number
from einsum_cascade.arch.codec import parse_architecture
from einsum_cascade.arch.presets import preset_text
from einsum_cascade.cascade.extents import known_extents, resolve_extents
from einsum_cascade.cli import main
from einsum_cascade.errors import ArchitectureError, BuilderError, EvaluationError, MappingFileError, SourceError
from einsum_cascade.mapping.codec import parse_mapping
from einsum_cascade.units import BYTES, parse_count, written

LONG, LONGEST, TOO_LONG = 1001, "9" * 1000, "9" * 5000
HEAD = "rank M, P\ninput X[m:M, p:P]\n"
END = "Y[m, p] = X[m, p]\noutput Y\n"
SQUARES = ", ".join(f"Q{n} = Q{n - 1}*Q{n - 1}" for n in range(1, 60))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f"{HEAD}Y[m, p] = X[m, p] * {TOO_LONG}\noutput Y\n",
            r"f:3:21: a number must have at most 1000 digits, but .*5000",
        ),
        (
            f"{HEAD}Y[m, p] = X[m, p] * {'2' * 309}\noutput Y\n",
            r"f:3:21: a number that is no extent must be below 1\.8e308",
        ),
        (f"{HEAD}Y[m, p] = X[m + {TOO_LONG}, p]\noutput Y\n", r"f:3:17: a number must have at most 1000 digits"),
        (f"rank M, P = {TOO_LONG}\ninput X[m, p]\n{END}", r"f:1:13: a number must have at most 1000 digits"),
        (
            f"rank M, P = {LONGEST}*{LONGEST}\ninput X[m, p]\n{END}",
            r"f:1:13: a number of an extent must have at most 1000 digits; use smaller ones",
        ),
        (
            f"rank M, Q0 = 2, {SQUARES}, P = Q59\ninput X[m, p]\n{END}",
            r"f:1:\d+: the extent of rank 'Q12' must have at most 1000 digits, but has more; make it of smaller ones",
        ),
        (
            f"rank M, Q0, {SQUARES}, P = Q59\ninput X[m, p]\n{END}",
            r"f:1:\d+: the extent of rank 'Q6' must be a product of at most 32 ranks, but is one of 64; make it",
        ),
    ],
    ids=["value", "float", "index", "extent", "product", "squares", "symbols"],
)
def test_texts(text: str, message: str) -> None:
    with pytest.raises(SourceError, match=rf"^{message}"):
        parse(text, "f")


def test_a_thousand_digits_are_read() -> None:
    assert parse_count(LONGEST) == int(LONGEST)
    found = parse(f"rank M, P = {LONGEST}\ninput X[m, p]\n{END}")
    assert resolve_extents(found, {"M": int(LONGEST)}) == {"M": int(LONGEST), "P": int(LONGEST)}
    assert parse(str(found)) == found


def test_extents_in_python() -> None:
    with pytest.raises(
        EvaluationError, match=r"^rank 'M' must be set to a number of at most 1000 digits; set a smalle"
    ):
        resolve_extents(parse(HEAD + END), {"M": 10**5000, "P": 1})
    squared = parse("rank M, P = M*M\ninput X[m, p]\n" + END)
    message = r"^the extent of rank 'P' must have at most 1000 digits, but M\*M has more; change --set M=\.\.\.$"
    with pytest.raises(EvaluationError, match=message):
        known_extents(squared, {"M": int(LONGEST)})


def test_the_builder() -> None:
    with pytest.raises(BuilderError, match="a number must have at most 1000 digits, but this one has more; give a sma"):

        @cascade
        def long(c, M):
            (m,) = c.ranks(m=M)
            X = c.input("X", m)
            c.Y[m] = X[m] * 10**5000
            return c.Y


@pytest.mark.parametrize("digits", [TOO_LONG, "9_" * LONG, "0x" + "f" * LONG])
def test_architectures(digits: str) -> None:
    text = preset_text("flat-cloud")
    for changed in (text.replace("rows: 256", f"rows: {digits}", 1), text.replace("32 MiB", f"{digits} MiB", 1)):
        assert changed != text
        with pytest.raises(
            ArchitectureError, match=r"^f:\d+:\d+: a number must have at most 1000 digits, but this one ha"
        ):
            parse_architecture(changed, "f")


@pytest.mark.parametrize(
    "line",
    [
        f"parameters: {{A: {TOO_LONG}}}",
        f"steps: [for p by {TOO_LONG}]",
        f"steps: [keep K in buffer x{TOO_LONG}]",
        f"overhead_cycles: {TOO_LONG}",
        f"words: {{K: {TOO_LONG} b}}",
    ],
)
def test_mappings(line: str) -> None:
    with pytest.raises(
        MappingFileError, match=r"^f:2:\d+: a number must have at most 1000 digits, but this one has 5000;"
    ):
        parse_mapping(f"name: x\n{line}\nbody: [QK on 2d]\n", "f")


def test_quantities() -> None:
    with pytest.raises(ValueError, match=r"^a size must be a number of at most 1000 digits, not 5000$"):
        BYTES.parse(f"{TOO_LONG} MiB")
    with pytest.raises(ValueError, match=r"^a count must be a number of at most 1000 digits, not 5000$"):
        parse_count(f"{TOO_LONG}K")


def test_what_is_longer_is_written() -> None:
    assert written(-(10**5000)) == f"-1{'0' * 5000}"
    assert as_text(number(10**5000)) == f"1{'0' * 5000}"


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Six extents of 1000 digits make a tensor of 6000; JSON has such numbers as texts."""
    with pytest.raises(SystemExit, match="2"):
        main(["bounds", "attention", "--set", f"M={TOO_LONG}"])
    said = "einsum-cascade: --set M must be given a number of at most 1000 digits, not 5000; set a smaller one\n"
    assert capsys.readouterr().err == said
    ranks = ("B", "G", "R", "F", "P", "E", "M")
    settings = ",".join(f"{rank}={LONGEST}" for rank in ranks)
    for arguments in (["--json"], []):
        with pytest.raises(SystemExit, match="0"):
            main(["bounds", "attention-gqa", "--set", settings, *arguments])
        out, err = capsys.readouterr()
        assert err == ""
        if arguments:
            found = json.loads(out)
            longest = max(len(str(row["words"])) for row in found["traffic"])
            assert longest == 5000
            assert "inf" not in out
