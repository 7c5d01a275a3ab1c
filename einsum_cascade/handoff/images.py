"""A program as words that a bench or a driver reads: what is written to registers, what is in memory, what comes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.array.instruction import encode
from einsum_cascade.array.memory import pack
from einsum_cascade.array.program import Program
from einsum_cascade.array.registers import KERNEL_OFFSET, offset_of

__all__ = ["Images", "images_of", "writes_of"]


@dataclass(frozen=True)
class Images:
    """A program, its operands and its results.

    Parameters
    ----------
    program
        The program.
    memory
        Its bytes at the start.
    expected
        The results, address and bits of every word.

    """

    program: Program
    memory: NDArray[np.uint8]
    expected: tuple[tuple[int, int], ...]

    def files(self) -> dict[str, str]:
        """Return `writes`, `memory` and `expected` as text that `$readmemh` reads.

        A write and a result are two words, the address first; a line of memory is a beat, its last byte first.
        """
        beats = self.memory.reshape(-1, self.program.shape.beat_bytes)
        return {
            "writes": _pairs(writes_of(self.program)),
            "memory": "".join(f"{beat[::-1].tobytes().hex()}\n" for beat in beats),
            "expected": _pairs(self.expected),
        }


def images_of(program: Program, operands: Mapping[str, NDArray[Any]], output: NDArray[np.float32]) -> Images:
    """Return the images of a program, from its operands and the results (H, F, P) that a model has for it."""
    shape, layout = program.shape, program.output
    expected: list[tuple[int, int]] = []
    for (head, row, query), bits in np.ndenumerate(output.view(np.uint32)):
        tile, column = divmod(query, shape.columns)
        address = layout.address + head * layout.head_stride_bytes + row * layout.stride_bytes
        expected.append((address + tile * shape.result_bytes + 4 * column, int(bits)))
    return Images(program, pack(program, operands), tuple(expected))


def writes_of(program: Program) -> list[tuple[int, int]]:
    """Return address and data of all writes that load a program, in order; the start is not among them."""
    found = [(offset_of(name), value & 0xFFFFFFFF) for name, value in program.registers.items()]
    for number, row in enumerate(program.kernel):
        for half, field in enumerate((row.matrix, row.vector)):
            found.append((KERNEL_OFFSET + 8 * number + 4 * half, encode(field)))
    return found


def _pairs(words: Iterable[tuple[int, int]]) -> str:
    return "".join(f"{address:08x} {data:08x}\n" for address, data in words)
