"""Tensors in the memory of an array: packing operands into bytes, and results out of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.cascade.formats import LIBRARY_TYPES, Format, round_to
from einsum_cascade.program.ir import Layout, Program

__all__ = ["Roundings", "memory_bytes", "operand_bits", "pack", "rounded", "unpack"]

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


def memory_bytes(program: Program) -> int:
    """Return the bytes that the tensors of a program take."""
    heads = program.key_heads * program.group
    parts = [(program.query, heads), (program.key, program.key_heads), (program.output, heads)]
    if program.value is not None:
        parts.append((program.value, program.key_heads))
    if program.state is not None:
        parts.append((program.state, heads))
    end = max(layout.address + count * layout.head_stride_bytes for layout, count in parts)
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
    layouts = {"query": program.query, "key": program.key, "value": program.value}
    for name, layout in layouts.items():
        if layout is not None:
            _store(memory, layout, operand_bits(tensors[name], program.shape.numbers.operand))
    return memory


def _store(memory: NDArray[np.uint8], layout: Layout, bits: Array) -> None:
    for head, rows in enumerate(bits):
        for number, row in enumerate(rows):
            start = layout.address + head * layout.head_stride_bytes + number * layout.stride_bytes
            own = np.ascontiguousarray(row).view(np.uint8)
            memory[start : start + own.size] = own


def unpack(program: Program, memory: Array) -> NDArray[np.float32]:
    """Return the results (H, F, P) in a memory, with two rows more for statistics; (H, M, P) where scores leave."""
    heads, rows = program.key_heads * program.group, program.head_rows
    found = np.empty((heads, rows, program.queries), np.float32)
    pitch = program.shape.result_bytes
    for head in range(heads):
        for row in range(rows):
            start = program.output.address + head * program.output.head_stride_bytes + row * program.output.stride_bytes
            tiles = memory[start : start + program.query_tiles * pitch].view(np.float32).reshape(-1, pitch // 4)
            found[head, row] = tiles[:, : program.shape.columns].ravel()[: program.queries]
    return found
