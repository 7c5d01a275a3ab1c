"""Synthesise the parts of the array and write docs/synthesis.md: `make synthesis` runs this.

Fails if any part has a latch, a combinational loop, or a wire without a driver.
"""

import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from fpga import fpga_section, shipped_files
from netlists import Figures, Kept, cells_by_part, check_the_checks, mapped_area_um2, measure, measure_kept
from shapes import STAGES, shape_of
from yosys_runs import YosysError

from einsum_cascade.array.numbers import Multiplier
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl.array import array_files
from einsum_cascade.rtl.top import design_files

PAGE = Path(__file__).parents[2] / "docs/synthesis.md"
LIBERTY, ROUTER = (Path(name) for name in sys.argv[1:])
MULTIPLIERS: tuple[Multiplier, ...] = ("narrow", "mixed", "wide")
LEAVES = "pe row_feeder column_top vector_lane"
# What a PE has for the exponential: pieces and constants before the multiply-add, clamp, split and scaling behind it,
# the rounding to the score format.
EXPONENTIAL = ("slot", "after", "rounder")


@dataclass(frozen=True)
class Row:
    """A part that was synthesised."""

    part: str
    shape: ArrayShape
    figures: Figures
    area_um2: float | None


def parts() -> list[tuple[str, str, ArrayShape]]:
    """Name what is synthesised: a name, its module, the array that it is of."""
    depths = [(name, stages) for name in MULTIPLIERS for stages in (STAGES if name == "narrow" else (1, 4, 8))]
    elements = [("PE", "pe", shape_of(stages, name)) for name, stages in depths]
    lanes = [("vector lane", "vector_lane", shape_of(stages, "narrow")) for stages in (1, 4, 8)]
    mapped = [
        ("PE with a feature map", "pe", shape_of(1, "narrow", has_feature_map=True)),
        ("PE with a sigmoid", "pe", shape_of(1, "wide", has_sigmoid=True)),
    ]
    return [
        *elements,
        *mapped,
        *lanes,
        ("array", "array", shape_of(1, "narrow")),
        ("whole design", "top", shape_of(1, "narrow")),
    ]


def rows(folder: Path) -> list[Row]:
    """Synthesise everything; mapping the whole design to a library takes long, and says what the array says."""
    found: list[Row] = []
    for part, module, shape in parts():
        files = array_files(shape) if module != "top" else design_files(shape)
        leaves = LEAVES if module in {"array", "top"} else ""
        figures = measure(files, module, folder, leaves)
        area = mapped_area_um2(files, module, folder, LIBERTY, leaves) if LIBERTY.exists() and module != "top" else None
        found.append(Row(part, shape, figures, area))
        print(table_row(found[-1]), flush=True)
    return found


def shipped(folder: Path) -> Kept:
    """Synthesise the design of the repository, with its memories; they stay memories, however large they are."""
    found = measure_kept(shipped_files(), "top", folder)
    print(found, flush=True)
    return found


def shares(folder: Path) -> dict[str, dict[str, int]]:
    """Return the cells of the parts of a PE of one stage, by multiplier."""
    return {name: cells_by_part(array_files(shape_of(1, name)), "pe", folder) for name in MULTIPLIERS}


def table_row(row: Row) -> str:
    """Return a row of the table of parts; the area is the last column, if there is one."""
    figures, multiplier = row.figures, row.shape.numbers.multiplier if row.part != "vector lane" else "wide"
    path = f"`{figures.start}` to `{figures.end}`"
    area = "" if row.area_um2 is None else f" {row.area_um2:,.0f} |"
    counts = f"{figures.cells:,} | {figures.flip_flops:,} | {figures.levels}"
    return f"| {row.part} | {multiplier} | {row.shape.stages} | {counts} | {path} |{area}"


def share_rows(cells: dict[str, dict[str, int]]) -> list[str]:
    """Return the rows of the table of shares."""
    return [
        f"| {name} | {sum(found.values()):,} | {found['multiply_add']:,} | "
        + " | ".join(f"{found[part]:,}" for part in EXPONENTIAL)
        + f" | {sum(found[part] for part in EXPONENTIAL) / sum(found.values()):.0%} |"
        for name, found in cells.items()
    ]


def page(table: list[Row], cells: dict[str, dict[str, int]], kept: Kept, fpga: str) -> str:
    """Return docs/synthesis.md."""
    has_area = table[0].area_um2 is not None
    area = (
        f"The area is that of the cells of {LIBERTY.name} (Debian: qflow-tech-osu018), mapped by ABC's default script."
    )
    no_area = f"Without {LIBERTY.name} (Debian: qflow-tech-osu018) there is no area in um2."
    return f"""# Synthesis

What the Verilog of the array becomes in gates. `make synthesis` writes this page and fails if there is a latch, a
combinational loop, or a wire without a driver, in a PE, a lane, the array of 4 x 4, or the whole design of it; that it
would find a latch and a loop is tried first. This run: pyosys {version("pyosys")} from PyPI, with its own ABC.

Gates are generic: inverters, gates with two inputs, multiplexers. Memories are flip-flops, and so the array has small
ones: E = F = 16, 2 slots. Enables and resets are gates too. A level is a gate on the longest path between flip-flops or
ports, as `ltp` counts them, whatever its delay or load: levels compare pipelines, they are not a clock period.

{area if has_area else no_area}

| part | multiplier | stages | cells | flip-flops | levels | longest path |{" um2 |" if has_area else ""}
|---|---|---|---|---|---|---|{"---|" if has_area else ""}
{"\n".join(table_row(row) for row in table)}

The multiplier of a lane is always wide. {deepest(table)}

The design that rtl/fusemax-4x4 describes, E = F = 64, its memories kept as such:
{kept.cells:,} cells as wide as words, {kept.flip_flop_bits:,} bits of flip-flops,
{kept.memory_bits:,} bits of memories.

What the exponential costs a PE: pieces and constants in front of the multiply-add (`slot`), clamp, split and scaling
behind it (`after`), and the rounding to the score format (`rounder`). Cells of a PE of one stage, each submodule
synthesised by itself, which gives more of them than above; the rest are contexts, the maximum, and what chooses.

| multiplier | PE | multiply-add | `slot` | `after` | `rounder` | the last three |
|---|---|---|---|---|---|---|
{"\n".join(share_rows(cells))}

{fpga}"""


def deepest(table: list[Row]) -> str:
    """Say what stages are good for."""
    said: list[str] = []
    for name in MULTIPLIERS:
        elements = [row for row in table if row.part == "PE" and row.shape.numbers.multiplier == name]
        said.append(f"{name}: " + ", ".join(f"{row.figures.levels} with {row.shape.stages}" for row in elements))
    return f"Levels of a PE by its stages are, {'; '.join(said)}."


def main() -> int:
    """Return 1 if a check fails."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            check_the_checks(folder)
            # What takes minutes comes before what takes most of an hour.
            cells, kept = shares(folder), shipped(folder)
            PAGE.write_text(page(rows(folder), cells, kept, fpga_section(folder, ROUTER, LIBERTY)))
        except YosysError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
