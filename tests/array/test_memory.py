"""Tensors in memory: what is packed is what the program reads, and nothing lies on anything else."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from array_programs import as_operands, lowered, random_lowered, random_tensors, square
from random_counts import random_count

from einsum_cascade.array.memory import (
    memory_bytes,
    operand_bits,
    operand_values,
    pack,
    rounded,
    store,
    unpack,
    unpack_operands,
)
from einsum_cascade.array.numbers import Numbers
from einsum_cascade.array.program import Layout, Program
from einsum_cascade.formats import parse_format

FORMATS = ("bf16", "fp16", "fp8_e4m3", "fp8_e5m2", "fp32")
SAMPLES = np.array([0.0, -0.0, 1.0, -2.0, 1.5, 0.4375, 2.0**-9, -(2.0**-14), 240.0, np.nan])
BITS = {
    # By hand: sign, exponent with its bias, mantissa. 0.4375 = 1.75 * 2^-2.
    "bf16": [0, 0x8000, 0x3F80, 0xC000, 0x3FC0, 0x3EE0, 0x3B00, 0xB880, 0x4370],
    "fp16": [0, 0x8000, 0x3C00, 0xC000, 0x3E00, 0x3700, 0x1800, 0x8400, 0x5B80],
    # 2^-9 is the least subnormal of e4m3, 2^-14 below half of it.
    "fp8_e4m3": [0, 0x80, 0x38, 0xC0, 0x3C, 0x2E, 0x01, 0x80, 0x77],
    "fp8_e5m2": [0, 0x80, 0x3C, 0xC0, 0x3E, 0x37, 0x18, 0x84, 0x5C],
    "fp32": [0, 0x80000000, 0x3F800000, 0xC0000000, 0x3FC00000, 0x3EE00000, 0x3B000000, 0xB8800000, 0x43700000],
}


@pytest.mark.parametrize("name", FORMATS)
def test_bits_of_operands(name: str) -> None:
    form = parse_format(name)
    found = operand_bits(rounded(SAMPLES, form), form)
    # 240 is a tie of e5m2: 224 has an odd mantissa, 256 an even one.
    assert found[:-1].tolist() == BITS[name]
    assert found.dtype.itemsize * 8 == form.width_bits
    assert np.isnan(rounded(SAMPLES, form)[-1])


def test_subnormal_operands() -> None:
    """Formats with 8 exponent bits have none; the others keep theirs."""
    values = np.array([2.0**-130, -(2.0**-130), 2.0**-24])
    assert rounded(values, parse_format("bf16")).view(np.uint32).tolist() == [0, 0x80000000, 0x33800000]
    assert rounded(values, parse_format("fp16")).tolist() == [0, -0.0, 2.0**-24]


def test_rounding_is_done_once() -> None:
    """1 + 2^-8 + 2^-40 is just above a tie of bf16; by way of fp32 it would be on it, and be rounded down."""
    assert rounded(np.array([1 + 2.0**-8 + 2.0**-40]), parse_format("bf16")).tolist() == [1 + 2.0**-7]


def test_a_layout_by_hand() -> None:
    """16 x 16, beats of 32 B: 5 queries of 40 B, 3 keys of 40 B, 3 values of 4 B, 2 words of 16 results."""
    program = lowered(square(16, e=32, f=2), e=20, f=2, keys=3, queries=5, heads=(1, 2)).program
    assert program.shape.beat_bytes == 32
    assert program.query == Layout(0, 64, 5 * 64)
    assert program.key == Layout(4096, 64, 3 * 64)
    assert program.value == Layout(8192, 32, 3 * 32)
    assert program.output == Layout(12288, 64, 2 * 64)
    assert memory_bytes(program) == 16384


def regions(program: Program) -> list[tuple[int, int]]:
    heads = program.key_heads * program.group
    parts = [
        (program.query, heads, program.queries, program.product_steps * program.shape.operand_bytes),
        (program.key, program.key_heads, program.keys, program.product_steps * program.shape.operand_bytes),
    ]
    words = program.keys if program.has_tile_results else program.output_steps
    if program.has_operand_rows:
        parts.append((program.output, heads, program.queries, words * program.shape.operand_bytes))
    else:
        parts.append((program.output, heads, words, program.query_tiles * program.shape.result_bytes))
    if program.value is not None:
        width = program.output_steps * program.shape.operand_bytes
        parts.append((program.value, program.key_heads, program.keys, width))
    return [
        (start := layout.address + head * layout.head_stride_bytes + row * layout.stride_bytes, start + width)
        for layout, count, rows, width in parts
        for head in range(count)
        for row in range(rows)
    ]


def test_rows_do_not_overlap_and_begin_with_beats(seed: int) -> None:
    random = np.random.default_rng([seed, 470])
    for _ in range(random_count(200)):
        program = random_lowered(random).program
        own = sorted(regions(program))
        assert all(end <= start for (_, end), (start, _) in pairwise(own))
        assert all(start % program.shape.beat_bytes == 0 for start, _ in own)
        assert own[-1][1] <= memory_bytes(program)
        for name in ("query", "key", "value", "output"):
            layout = getattr(program, name)
            assert layout is None or layout.address % 4096 == 0


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_packed_can_be_read(seed: int, name: str) -> None:
    """Every operand is where its layout says, and results are read from where the drain writes them."""
    form = parse_format(name)
    numbers = Numbers(form, parse_format("bf16"), "wide")
    random = np.random.default_rng([seed, 471])
    program = lowered(square(4, e=6, f=5, numbers=numbers), e=6, f=5, keys=7, queries=9, heads=(2, 2)).program
    tensors = random_tensors(random, program)
    memory = pack(program, tensors)
    for tensor, layout in (("query", program.query), ("key", program.key), ("value", program.value)):
        assert layout is not None
        bits = operand_bits(tensors[tensor], form)
        for (head, row, step), expected in np.ndenumerate(bits):
            at = layout.address + head * layout.head_stride_bytes + row * layout.stride_bytes + step * bits.itemsize
            assert int.from_bytes(memory[at : at + bits.itemsize].tobytes(), "little") == expected
    output = random.standard_normal((4, 5, 9)).astype(np.float32)
    for (head, word, column), value in np.ndenumerate(output):
        layout = program.output
        at = layout.address + head * layout.head_stride_bytes + word * layout.stride_bytes + 4 * column
        memory[at : at + 4] = np.frombuffer(value.tobytes(), np.uint8)
    assert np.array_equal(unpack(program, memory), output)


@pytest.mark.parametrize("name", FORMATS)
def test_results_that_are_operands_are_read_back(seed: int, name: str) -> None:
    """A row for each query: what is read of it is what another program reads as its queries, or as its keys."""
    form = parse_format(name)
    numbers = Numbers(form, parse_format("bf16"), "wide")
    own = lowered(square(4, e=6, f=5, numbers=numbers), e=6, f=5, keys=7, queries=9, heads=(2, 2)).program
    program = as_operands(own)
    values = rounded(np.random.default_rng([seed, 472]).standard_normal((4, 9, 5)), form)
    reader = replace(program, query=program.output, product_steps=5)
    memory = np.zeros(memory_bytes(program), np.uint8)
    store(memory, reader, {"query": values})
    found = unpack_operands(program, memory)
    assert np.array_equal(found, operand_bits(values, form).swapaxes(1, 2))
    assert np.array_equal(operand_values(found, form), values.swapaxes(1, 2))


def test_scores_as_results() -> None:
    program = lowered(square(4, e=6, f=4), "product", e=6, keys=7, queries=9).program
    memory = np.zeros(memory_bytes(program), np.uint8)
    memory[program.output.address + 6 * program.output.stride_bytes :][:4] = [0, 0, 0x80, 0x3F]
    found = unpack(program, memory)
    assert (found.shape, found[0, 6, 0], found.sum()) == ((1, 7, 9), 1, 1)


@pytest.mark.parametrize("name", ["e5m3", "e6m9", "e4m3"])
def test_a_format_without_a_place_in_memory_is_refused(name: str) -> None:
    with pytest.raises(
        ValueError, match=r"^operands of an array must be bf16, fp16, fp8_e4m3, fp8_e5m2 or fp32, not Format\("
    ):
        replace(square(4, e=4, f=4), numbers=Numbers(parse_format(name), parse_format("bf16")))
