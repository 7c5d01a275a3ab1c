"""The text form of programs: what is written is read again, and every mistake in a text is told at once."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from array_programs import lowered, random_lowered, square
from random_counts import random_count

from einsum_cascade.array.listing import parse_program, to_text
from einsum_cascade.array.numbers import Numbers
from einsum_cascade.errors import ParseError
from einsum_cascade.formats import Format
from einsum_cascade.recognition.head_masks import Band

PROGRAM = lowered(square(4, e=8, f=8, stages=2), e=8, f=8, keys=32, queries=8, band=Band(-3, 0)).program
TEXT = to_text(PROGRAM)
ROW = "row 14: array PRODUCT 7 @0"


def test_the_text_of_a_program(golden: Callable[[str, str], None]) -> None:
    golden("program", TEXT)


def test_what_is_written_is_read(seed: int) -> None:
    random = np.random.default_rng([seed, 480])
    for _ in range(random_count(500)):
        program = random_lowered(random).program
        assert parse_program(to_text(program)) == program


def test_order_comments_and_space_do_not_matter() -> None:
    lines = TEXT.splitlines()
    text = "# A program.\n\n" + "\n".join(f"  {line}  # {number}" for number, line in enumerate(reversed(lines)))
    assert parse_program(text) == PROGRAM


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "keys 32",
            "kyes 32",
            "a line of a program must begin with a name that it has, not with 'kyes'; did you mean 'keys'",
        ),
        (
            "keys 32",
            "zzz 32",
            "a line of a program must begin with a name that it has, not with 'zzz'; remove the line",
        ),
        ("keys 32", "keys 3.5", "keys must be a whole number of at least 0, not '3.5'; write it so"),
        ("keys 32", "keys -1", "keys must be a whole number of at least 0, not '-1'; write it so"),
        ("diagonal_low -3", "diagonal_low x", "diagonal_low must be a whole number, not 'x'; write it so"),
        ("is_divided yes", "is_divided true", "is_divided must be yes or no, not 'true'; write it so"),
        (
            "query 0 16 128",
            "query 0 16",
            "query must be an address, a stride and a stride of heads, whole numbers, not '0 16'; write it so",
        ),
        (
            "array.operand bf16",
            "array.operand bf17",
            "array.operand must be a number format (bf16, fp16, fp8_e4m3, fp8_e5m2, fp32, or as e5m10), not 'bf17'; "
            "write it so",
        ),
        (
            "array.accumulation fp32",
            "array.accumulation fp8_e4m3",
            "the accumulation format must fit into fp32, with the bias and the infinities of IEEE 754, not be "
            "Format(exponent_bits=4, mantissa_bits=3, bias=None, specials='nan'); choose fp32, bf16, fp16, or widths "
            "such as e8m10",
        ),
        (
            "array.multiplier narrow",
            "array.multiplier slim",
            "array.multiplier must be one of narrow, mixed, wide, not 'slim'; write it so",
        ),
        (
            "interval 25",
            "interval 999999",
            "interval must be a whole number of at most 16384, not '999999'; write it so",
        ),
        ("array.rows 4", "array.rows 1", "rows of an array must be from 2 to 512, not 1"),
        (ROW, ROW.replace(":", ""), "a row must be `row NUMBER: ...`, not 'row 14 array PRODUCT 7 @0'; write it so"),
        (
            ROW,
            ROW[:-3],
            "a row must have `array OPERATION INDEX @STAGE`, `lane OPERATION INDEX @STAGE` or both with a | between "
            "them, each with `in PASS ...` after it if it is not in all passes, not 'array PRODUCT 7'; write it so",
        ),
        (
            ROW,
            ROW.replace("PRODUCT", "NUMERATOR"),
            "an operation of the array must be one of NONE, PRODUCT, MAXIMUM, EXPONENTIAL, SUM, COMBINE, OUT, not "
            "'NUMERATOR'; choose one",
        ),
        (ROW, ROW.replace("7", "16384"), "the index of an operation must be from 0 to 16383, not '16384'; change it"),
        (ROW, f"{ROW} in 1 3", "a pass of an operation must be from 0 to 2, not 3; change it"),
        (ROW, ROW.replace("@0", "@64"), "the stage of an operation must be from 0 to 63, not '64'; change it"),
        (ROW, ROW.replace("14", "25"), "a row must be below the interval of 25, not 25; change one of them"),
    ],
)
def test_a_mistake_is_told_with_its_line(old: str, new: str, message: str) -> None:
    lines = TEXT.splitlines()
    (at,) = (number for number, line in enumerate(lines) if line.startswith(old))
    line = lines[at].replace(old, new)
    lines[at] = line
    with pytest.raises(ParseError) as caught:
        parse_program("\n".join(lines), "p.txt")
    # Where a name is wrong, its right one is missing as well.
    (found,) = (each for each in caught.value.diagnostics if each.span.line)
    assert str(found) == f"p.txt:{at + 1}:1: {message}\n    {line}\n    {'^' * len(line)}"


def test_all_mistakes_are_told_at_once() -> None:
    text = (
        TEXT.replace("queries 8", "queries many")
        .replace("group 1", "group 1\ngroup 2")
        .replace("is_resident yes\n", "")
    )
    with pytest.raises(ParseError) as caught:
        parse_program(text, "p.txt")
    first = TEXT.splitlines().index("queries 8") + 1
    assert [(each.span.line, each.message) for each in caught.value.diagnostics] == [
        (0, "a program must say is_resident, but does not; add a line with it"),
        (first, "queries must be a whole number of at least 0, not 'many'; write it so"),
        (first + 3, f"group must be given once, but is in line {first + 2} as well; remove one of them"),
    ]


def test_a_row_twice() -> None:
    with pytest.raises(
        ParseError, match=r"(?m)^<program>:\d+:1: row 0 must be given once, but is in line \d+ as well; "
    ):
        parse_program(f"{TEXT}row 0: lane MAXIMUM 0 @0\n")


def test_a_format_without_a_name_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^the score format must have the bias and the infinities of IEEE 754, or .*$"
    ):
        replace(PROGRAM.shape, numbers=Numbers(score=Format(4, 3, 8, "unsigned_zero")))
