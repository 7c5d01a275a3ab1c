"""The array of an architecture: how much of its buffer the banks of the array have."""

from dataclasses import replace

import pytest

from einsum_cascade import load_architecture
from einsum_cascade.arch.ir import Architecture
from einsum_cascade.errors import InfeasibleMappingError
from einsum_cascade.lowering.shapes import shape_of


def with_buffer(capacity_bytes: int | None) -> Architecture:
    machine = load_architecture("fusemax-4x4")
    *others, buffer = machine.memories
    return replace(machine, memories=(*others, replace(buffer, capacity_bytes=capacity_bytes)))


@pytest.mark.parametrize(
    ("capacity_bytes", "slots"),
    [
        (512 << 10, 512),  # a key and a value of 64 operands of 2 bytes in each of 4 rows: 1 KiB
        (1 << 10, 1),
        (16 << 20, 16384),
        (64 << 30, 1 << 18),  # banks of 2^23 beats, 32 a tile
    ],
)
def test_the_buffer_holds_as_many_tiles_as_fit(capacity_bytes: int, slots: int) -> None:
    assert shape_of(with_buffer(capacity_bytes)).slots == slots


@pytest.mark.parametrize(
    ("capacity_bytes", "message"),
    [
        (1000, r"^the buffer of 'fusemax-4x4' must hold a tile, but has 1000 B; give it more$"),
        (None, r"^the buffer of 'fusemax-4x4' must have a capacity for the array to be built; give it one$"),
    ],
)
def test_a_buffer_that_cannot_be(capacity_bytes: int | None, message: str) -> None:
    with pytest.raises(InfeasibleMappingError, match=message):
        shape_of(with_buffer(capacity_bytes))


@pytest.mark.parametrize(("steps", "rows"), [(64, 512), (256, 1024), (1024, 4096)])
def test_the_kernel_table_grows_with_keys_and_values(steps: int, rows: int) -> None:
    """A kernel has a row for each of their operands, and some for exponentials: a power of two, 512 at least."""
    shape = shape_of(load_architecture("fusemax-16x16"), product_steps=steps, output_steps=steps)
    assert shape.kernel_rows == rows
