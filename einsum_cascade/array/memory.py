"""Tensors in the memory of an array: packing operands into bytes, and results out of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.array.program import STATE_WORDS, Layout, Program
from einsum_cascade.formats import LIBRARY_TYPES, Format, round_to

__all__ = [
    "Roundings",
    "memory_bytes",
    "operand_bits",
    "operand_values",
    "pack",
    "rounded",
    "store",
    "unpack",
    "unpack_operands",
]

type Array = NDArray[Any]


def rounded(values: Array, form: Format, *, saturates: bool = False) -> NDArray[np.float32]:
    """Return values rounded to an operand format, as the array reads them: subnormals of 8-bit exponents are zero.

    What is beyond the greatest number of the format is infinite, or NaN where the format has no infinity; if it
    saturates, finite values become that number.
    """
    exact = np.asarray(values, np.float64)
    if saturates:
        exact = np.where(np.isfinite(exact), np.clip(exact, -form.greatest, form.greatest), exact)
    found = round_to(exact, form).astype(np.float32)
    if form.exponent_bits < 8:
        return found
    return np.where(np.abs(found) < np.float32(2.0**-126), np.copysign(np.float32(0), found), found)


@dataclass(frozen=True, slots=True)
class Roundings:
    """What rounding to an operand format did to values, which were finite or not.

    Parameters
    ----------
    rounded
        Finite ones that are others now, but finite; those that were saturated are among them.
    overflowed
        Finite ones that are beyond the greatest number of the format.

    """

    rounded: int = 0
    overflowed: int = 0

    @classmethod
    def of(cls, before: Array, after: Array, form: Format) -> "Roundings":
        """Count what became of values; what was not finite before is no rounding."""
        exact = np.asarray(before, np.float64)
        is_finite = np.isfinite(exact)
        is_beyond = is_finite & ~np.isfinite(round_to(exact, form))
        is_other = is_finite & np.isfinite(after) & (after != exact)
        return cls(int(is_other.sum()), int(is_beyond.sum()))

    def __add__(self, other: "Roundings") -> "Roundings":
        """Return the counts of both."""
        return Roundings(self.rounded + other.rounded, self.overflowed + other.overflowed)


def operand_bits(values: Array, form: Format) -> NDArray[Any]:
    """Return the bits of values of an operand format, in the narrowest unsigned type."""
    kind = np.dtype(LIBRARY_TYPES[form])
    return np.asarray(values, np.float32).astype(kind).view(np.dtype(f"u{kind.itemsize}"))


def operand_values(bits: Array, form: Format) -> NDArray[np.float32]:
    """Return the values that bits of an operand format are; the inverse of `operand_bits`."""
    return np.asarray(bits).view(np.dtype(LIBRARY_TYPES[form])).astype(np.float32)


def memory_bytes(program: Program) -> int:
    """Return the bytes from address 0 to the end of the tensors of a program, in pages."""
    heads, results = program.key_heads * program.group, program.head_rows
    parts = [
        (program.query, heads, program.queries),
        (program.key, program.key_heads, program.keys),
        (program.value, program.key_heads, program.keys),
        (program.output, heads, program.queries if program.has_operand_rows else results),
        (program.state, heads, program.output_steps + STATE_WORDS),
    ]
    end = max(
        layout.address + (count - 1) * layout.head_stride_bytes + rows * layout.stride_bytes
        for layout, count, rows in parts
        if layout is not None
    )
    return -(-end // 4096) * 4096


def pack(program: Program, tensors: Mapping[str, Array]) -> NDArray[np.uint8]:
    """Return the memory that a program starts from.

    Parameters
    ----------
    program
        Says where tensors lie.
    tensors
        `query` (H, P, E), `key` (G, M, E), `value` (G, M, F), values of the operand format.

    Returns
    -------
    NDArray[np.uint8]
        Of `memory_bytes(program)` bytes; what holds no tensor is 0.

    """
    memory = np.zeros(memory_bytes(program), np.uint8)
    store(memory, program, tensors)
    return memory


def store(memory: NDArray[np.uint8], program: Program, tensors: Mapping[str, Array]) -> None:
    """Put operands of a program, as of `pack`, where it reads them; those that are not given stay as they are."""
    layouts = {"query": program.query, "key": program.key, "value": program.value}
    for name, layout in layouts.items():
        if layout is not None and name in tensors:
            bits = operand_bits(tensors[name], program.shape.numbers.operand)
            for head, rows in enumerate(bits):
                for number, row in enumerate(rows):
                    own = np.ascontiguousarray(row).view(np.uint8)
                    memory[_row(layout, head, number, own.size)] = own


def _row(layout: Layout, head: int, number: int, size: int) -> slice:
    """Return the bytes of a row of a tensor."""
    start = layout.address + head * layout.head_stride_bytes + number * layout.stride_bytes
    return slice(start, start + size)


def unpack(program: Program, memory: Array) -> NDArray[np.float32]:
    """Return the results (H, F, P) in a memory, with two rows more for statistics; (H, M, P) where scores leave."""
    heads, rows = program.key_heads * program.group, program.head_rows
    found = np.empty((heads, rows, program.queries), np.float32)
    pitch = program.shape.result_bytes
    for head in range(heads):
        for row in range(rows):
            tiles = memory[_row(program.output, head, row, program.query_tiles * pitch)].view(np.float32)
            columns = tiles.reshape(-1, pitch // 4)[:, : program.shape.columns]
            found[head, row] = columns.ravel()[: program.queries]
    return found


def unpack_operands(program: Program, memory: Array) -> NDArray[Any]:
    """Return the bits of results (H, F, P) that lie in a memory as operands, a row for each query; or (H, M, P)."""
    heads, size = program.key_heads * program.group, program.head_rows * program.shape.operand_bytes
    kind = np.dtype(f"u{program.shape.operand_bytes}")
    rows = [
        memory[_row(program.output, head, query, size)].view(kind)
        for head in range(heads)
        for query in range(program.queries)
    ]
    return np.stack(rows).reshape(heads, program.queries, -1).swapaxes(1, 2)
