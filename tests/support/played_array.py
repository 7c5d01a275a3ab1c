"""An array, compiled, and a sequencer of the simplest kind: one tile after the other, each step as early as it may be.

The distances between the steps are the least ones of docs/decisions/0006-the-array-and-its-program.md, so that a cycle
more or less anywhere in the array makes the results wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from amaranth.lib import data
from verilated import Columns, Verilated, compile_text

from einsum_cascade.array.instruction import MatrixOp, VectorOp
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl.array import OUTPUTS, array_files, port_widths
from einsum_cascade.rtl.links import corner_layout

__all__ = ["Player", "attention_tile", "compile_array"]

_RETURN = 2
"""R: cycles from a lane executing MAXIMUM to the top of the column having it."""


def compile_array(shape: ArrayShape) -> Verilated:
    """Compile an array behind a module that cuts wide ports into parts of 64 bits, `name_0` the lowest."""
    widths = {name: bits for name, bits in port_widths(shape).items() if name not in ("clk", "rst")}
    declared, connected = [], []
    parts: dict[str, list[str]] = {"input": [], "output": []}
    for name, bits in widths.items():
        names = [f"{name}_{at}" for at in range(-(-bits // 64))]
        direction = "output" if name in OUTPUTS else "input"
        parts[direction] += names
        declared += [f"{direction} [{min(64, bits - 64 * at) - 1}:0] {part};" for at, part in enumerate(names)]
        connected.append(f".{name}({{{', '.join(reversed(names))}}})")
    ports = ", ".join(["clk", "rst", *parts["input"], *parts["output"]])
    instance = f"array array(.clk(clk), .rst(rst), {', '.join(connected)});"
    top = "\n".join([f"module top({ports});", "input clk;", "input rst;", *declared, instance, "endmodule"])
    # Few cycles run: what takes time is compiling.
    return compile_text("\n".join([top, *array_files(shape).values()]), parts["input"], parts["output"], "-O0")


def packed(layout: data.StructLayout, fields: dict[str, Any]) -> int:
    """A struct as an integer."""
    word = 0
    for name, value in fields.items():
        member = layout[name]
        bits = packed(member.shape, value) if isinstance(value, dict) else value & ((1 << member.width) - 1)
        word |= bits << member.offset
    return word


@dataclass
class Player:
    """Collects what goes into the ports of an array, by cycle."""

    shape: ArrayShape
    inputs: dict[tuple[str, int], int] = field(default_factory=dict)
    constants: dict[str, int] = field(default_factory=dict)
    """What ports have in every cycle."""

    def put(self, cycle: int, **ports: int) -> None:
        self.inputs |= {(name, cycle): value for name, value in ports.items()}

    def issue(
        self,
        cycle: int,
        row: dict[str, int],
        query_address: int = 0,
        vector: dict[str, int] | None = None,
        queue: int = 0,
    ) -> None:
        fields = {"row": row, "query_address": query_address, "queue": queue, "vector": vector or {}}
        assert ("corner", cycle) not in self.inputs
        self.put(cycle, corner=packed(corner_layout(self.shape), fields))

    def fill(self, write: str, select: str, start: int, operands: np.ndarray, first_beat: int) -> int:
        """Write rows of operand bits, one beat a cycle; return the cycle after the last one."""
        width, per_beat = self.shape.numbers.operand.width_bits, self.shape.beat_operands
        cycle = start
        for line, values in enumerate(operands.tolist()):
            for at in range(0, len(values), per_beat):
                bits = sum(value << width * place for place, value in enumerate(values[at : at + per_beat]))
                ports = {"enable": 1, select: line, "address": first_beat + at // per_beat, "data": bits}
                self.put(cycle, **{f"{write}_{name}": value for name, value in ports.items()})
                cycle += 1
        return cycle

    def run(self, compiled: Verilated, cycles: int) -> Columns:
        columns: Columns = {}
        for name, bits in port_widths(self.shape).items():
            for part in range(-(-bits // 64)):
                columns[f"{name}_{part}"] = np.zeros(cycles, np.uint64)
        for name, value in self.constants.items():
            columns[f"{name}_0"][:] = value
        for (name, cycle), value in self.inputs.items():
            for part in range(-(-port_widths(self.shape)[name] // 64)):
                columns[f"{name}_{part}"][cycle] = value >> 64 * part & (2**64 - 1)
        return compiled.run(columns)


def attention_tile(
    player: Player,
    start: int,
    steps: tuple[int, int],
    base: tuple[int, int],
    row: dict[str, int],
    vector: dict[str, int],
) -> int:
    """Issue a tile from a cycle on; return that of its last instruction. `base` is the first beat of key and query."""
    shape, (products, outputs), (bank, query) = player.shape, steps, base
    spacing, across = shape.stages, shape.stages * shape.rows
    per_beat = 1 << (shape.beat_operands - 1).bit_length()
    cycle = start
    for at in range(products):
        fields = {"op": MatrixOp.PRODUCT, "is_first": int(at == 0), "address": bank * per_beat + at, **row}
        player.issue(cycle, fields, query * per_beat + at)
        cycle += spacing
    player.issue(cycle, {"op": MatrixOp.MAXIMUM, **row}, 0, {"op": VectorOp.MAXIMUM, **vector})
    cycle += across + _RETURN
    for slot in range(7):
        fields = {"op": VectorOp.CORRECTION, "index": slot, **vector}
        player.issue(cycle, {"op": MatrixOp.EXPONENTIAL, "slot": slot, **row}, 0, fields, vector["queue"])
        cycle += spacing
    player.issue(cycle, {"op": MatrixOp.SUM, **row}, 0, {"op": VectorOp.DENOMINATOR, **vector})
    values = (bank + shape.key_beats) * per_beat
    for at in range(outputs):
        cycle += 1
        is_done = int(vector["captures"] and at == outputs - 1)
        fields = {"op": VectorOp.NUMERATOR, "index": at, "is_done": is_done, **vector}
        player.issue(cycle, {"op": MatrixOp.COMBINE, "address": values + at, **row}, 0, fields)
    return cycle


def columns_of(words: Sequence[int], dividers: int) -> list[int]:
    """The 32-bit words of a wide port."""
    return [words[at // 2] >> 32 * (at % 2) & 0xFFFFFFFF for at in range(dividers)]
