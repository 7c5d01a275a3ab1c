"""What the parts of the array take of an FPGA, at which clock, and how much more that is than a plain array takes."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from netlists import mapped_area_um2
from plain_element import PlainElement
from routing import DEVICE, Routed, Taken, emptied, route, taken
from shapes import STAGES, shape_of

from einsum_cascade.arch.presets import load_architecture
from einsum_cascade.lowering.shapes import shape_of as array_of
from einsum_cascade.rtl.array import array_files
from einsum_cascade.rtl.module_text import module_text
from einsum_cascade.rtl.top import design_files

__all__ = ["fpga_section", "shipped_files"]

_SIDES = 4, 16, 64, 256
_BLOCKS = 208
"""Block memories of the device."""


@cache
def shipped_files() -> dict[str, str]:
    """Return the design that rtl/fusemax-4x4 describes: its Verilog by name of the file."""
    return design_files(array_of(load_architecture("fusemax-4x4")))


@dataclass(frozen=True)
class _Row:
    part: str
    stages: int
    taken: Taken
    routed: Routed | None

    def __str__(self) -> str:
        own, routed = self.taken, self.routed
        counts = " | ".join(f"{n:,}" for n in (own.luts, own.flip_flops, own.multipliers, own.blocks))
        path = f"{routed.clock_mhz:.1f} | `{routed.start}` to `{routed.end}`" if routed else "does not fit |"
        return f"| {self.part} | {self.stages} | {counts} | {path} |"


def fpga_section(folder: Path, router: Path, liberty: Path) -> str:
    """Return the part of docs/synthesis.md about the FPGA, and about the area beside that of a plain array."""
    rows = list(_rows(folder, router))
    return f"""## On an FPGA

{DEVICE}, an ECP5: Yosys's `synth_ecp5`, placed and routed by nextpnr with seed 1; every port is behind a flip-flop.
LUTs have four inputs; a carry counts two, and 16 words of 4 bits count four. Multipliers are of 18 x 18 bits, blocks of
18 Kibit, of which there are {_BLOCKS}. PEs have the narrow multiplier, lanes the wide one. The control is a whole
design of 4 x 4 of which PEs and lanes are nothing but flip-flops: sequencer, jobs, reader, drain, ports, feeders. It is
that of any size, and routing it takes minutes where a whole design of this size was not routed in an hour.

| part | stages | LUTs | flip-flops | multipliers | blocks | MHz | longest path |
|---|---|---|---|---|---|---|---|
{"\n".join(map(str, rows))}

## Beside an array for matrix products

How much larger PEs and lanes are than PEs that only multiply and add: the same multiply-add, contexts and links, no
exponential, maximum or mask, and no lanes. Feeders, buffer and drain are the same for both and not counted.

| stages | counted in | PE | plain PE | lane | {" | ".join(f"{side} x {side}" for side in _SIDES)} |
|---|---|---|---|---|{"---|" * len(_SIDES)}
{"\n".join(_ratios(folder, liberty))}
"""


def _rows(folder: Path, router: Path) -> Iterator[_Row]:
    """Yield what is routed, and print each as it is there, for it takes a while."""
    for part, module, depths in (("PE", "pe", STAGES), ("vector lane", "vector_lane", (1, 4, 8))):
        for stages in depths:
            yield _row(part, stages, array_files(shape_of(stages, "narrow")), module, folder, router)
    control = emptied(design_files(shape_of(1, "narrow")), ("pe", "vector_lane"), folder)
    yield _row("control, 4 x 4", 1, control, "top", folder, router)
    yield _row("`rtl/fusemax-4x4`", 1, shipped_files(), "top", folder, router)


def _row(part: str, stages: int, files: dict[str, str], module: str, folder: Path, router: Path) -> _Row:
    found = taken(files, module, folder)
    fits = found.blocks <= _BLOCKS
    row = _Row(part, stages, found, route(files, module, folder, router) if fits else None)
    print(row, flush=True)
    return row


def _ratios(folder: Path, liberty: Path) -> Iterator[str]:
    for stages in (1, 4, 8):
        shape = shape_of(stages, "narrow")
        files = array_files(shape) | {"plain.v": module_text(PlainElement(shape), "plain")}
        modules = "pe", "plain", "vector_lane"
        yield _ratio(stages, "LUTs", *(taken(files, module, folder).luts for module in modules))
        if liberty.exists():
            yield _ratio(stages, "um2", *(mapped_area_um2(files, module, folder, liberty) for module in modules))


def _ratio(stages: int, unit: str, element: float, plain: float, lane: float) -> str:
    """Return a row of the table: of N x N PEs and N lanes, PE and an N-th of a lane for each PE."""
    ratios = " | ".join(f"{(element + lane / side) / plain:.2f}" for side in _SIDES)
    return f"| {stages} | {unit} | {element:,.0f} | {plain:,.0f} | {lane:,.0f} | {ratios} |"
