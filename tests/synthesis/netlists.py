"""Synthesise a module to generic gates, or to the cells of a Liberty file, and measure what comes out."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from yosys_runs import YosysError, run_yosys

__all__ = ["Figures", "cells_by_part", "check_the_checks", "mapped_area_um2", "measure"]

# Depth first: balanced trees (`if -g`), then the structural choices of both forms. ABC's default script is for area,
# and leaves carry chains as they come.
_ABC = "abc -script +strash;ifraig;scorr;dc2;strash;if,-g;strash;dch,-f;map"
_LATCHES = "t:$dlatch* t:$adlatch* t:$sr t:$_DLATCH* t:$_SR_*"
# `check` also reports wires with two drivers, and with none.
_CHECKS = ("check -assert", f"select -assert-none {_LATCHES}", "scc -expect 0")


@dataclass(frozen=True)
class Figures:
    """What a netlist has.

    Parameters
    ----------
    cells, flip_flops
        Cells of one bit each, flip-flops among them.
    levels
        Gates on the longest path between flip-flops or ports.
    start, end
        Of that path.

    """

    cells: int
    flip_flops: int
    levels: int
    start: str
    end: str


def measure(files: Mapping[str, str], top: str, folder: Path, leaves: str = "") -> Figures:
    """Synthesise and measure; a latch, a combinational loop or a wire without a driver is a `YosysError`.

    A part is synthesised flat. If it has `leaves`, these are, each once, and what is between them; then all is joined.
    """
    flatten = [f"flatten {leaves}"] if leaves else ["flatten"]
    commands = [*_load(files, top, folder), *flatten, *_map(top), _ABC, "flatten", "opt_clean", *_CHECKS]
    run_yosys(
        [*commands, "delete t:$scopeinfo", "tee -q -o stat.json stat -json", "tee -q -o path.txt ltp -noff"], folder
    )
    types = json.loads((folder / "stat.json").read_text())["design"]["num_cells_by_type"]
    levels, start, end = _path((folder / "path.txt").read_text())
    flip_flops = sum(count for name, count in types.items() if "DFF" in name)
    return Figures(sum(types.values()), flip_flops, levels, start, end)


@dataclass(frozen=True)
class Kept:
    """What a netlist of words has.

    Parameters
    ----------
    cells
        Cells, of any width; memories apart.
    flip_flop_bits, memory_bits
        Bits that are kept.

    """

    cells: int
    flip_flop_bits: int
    memory_bits: int


def measure_kept(files: Mapping[str, str], top: str, folder: Path) -> Kept:
    """Synthesise to cells as wide as words, memories kept as such, so that they may be large; checks likewise."""
    commands = [
        *_load(files, top, folder),
        f"synth -top {top} -flatten -run begin:fine",
        *_CHECKS,
        "delete t:$scopeinfo",
    ]
    run_yosys([*commands, "tee -q -o stat.json stat -width -json", "write_json kept.json"], folder)
    types = json.loads((folder / "stat.json").read_text())["design"]["num_cells_by_type"]
    cells = json.loads((folder / "kept.json").read_text())["modules"][top]["cells"].values()
    sizes = [each["parameters"] for each in cells if each["type"].startswith("$mem")]
    memory = sum(int(each["SIZE"], 2) * int(each["WIDTH"], 2) for each in sizes)
    flip_flops = sum(int(each["parameters"]["WIDTH"], 2) for each in cells if "dff" in each["type"])
    return Kept(sum(types.values()) - len(sizes), flip_flops, memory)


def cells_by_part(files: Mapping[str, str], top: str, folder: Path) -> dict[str, int]:
    """Synthesise every submodule by itself and return the cells of each that `top` has, and of `top` itself."""
    commands = [*_load(files, top, folder), *_map(top), _ABC, "opt_clean", "delete t:$scopeinfo"]
    run_yosys([*commands, "tee -q -o stat.json stat -json"], folder)
    parts: dict[str, int] = {}
    modules = json.loads((folder / "stat.json").read_text())["modules"]
    for name, module in modules.items():
        # A module with parameters is named after its values and itself.
        found = re.fullmatch(rf"\\{top}(?:\.([a-z_]+))?.*|\$paramod.*\\([a-z_]+)", name)
        assert found, name
        part = found[1] or found[2] or top
        counts = module["num_cells_by_type"].items()
        submodules = sum(count for kind, count in counts if kind in modules or f"\\{kind}" in modules)
        parts[part] = parts.get(part, 0) + module["num_cells"] - submodules
    return parts


def mapped_area_um2(files: Mapping[str, str], top: str, folder: Path, liberty: Path, leaves: str = "") -> float:
    """Synthesise likewise to the cells of a Liberty file and return their area."""
    flatten = [f"flatten {leaves}"] if leaves else ["flatten"]
    commands = [*_load(files, top, folder), *flatten, *_map(top), f"dfflibmap -liberty {liberty}"]
    commands += [f"abc -liberty {liberty}", "flatten", "opt_clean"]
    run_yosys([*commands, f"tee -q -o area.json stat -json -liberty {liberty}"], folder)
    return float(json.loads((folder / "area.json").read_text())["design"]["area"])


def check_the_checks(folder: Path) -> None:
    """Make sure that a latch and a loop are found: both are in modules written for it."""
    latch = "module bad (input e, input d, output reg q); always @* if (e) q = d; endmodule"
    loop = "module bad (input d, output q); wire r; assign q = ~(d & r); assign r = ~(d | q); endmodule"
    for name, text in (("latch", latch), ("loop", loop)):
        try:
            measure({"bad.v": text}, "bad", folder)
        except YosysError:
            continue
        raise AssertionError(f"a {name} was not found")


def _load(files: Mapping[str, str], top: str, folder: Path) -> Iterable[str]:
    """Write the files and return the commands that read and check them: what is optimised away later counts too."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    flat = ["proc", "design -save read", "flatten", "opt_clean", *_CHECKS, "design -load read"]
    return [f"read_verilog {' '.join(files)}", f"hierarchy -check -top {top}", *flat]


def _map(top: str) -> Iterable[str]:
    """Return the commands down to gates; enables and resets are gates too, as ABC treats apart what differs in them."""
    return [f"synth -noabc -top {top}", "dffunmap"]


def _path(text: str) -> tuple[int, str, str]:
    """Read the report of `ltp`: numbered wires, and the flip-flop behind the last."""
    length = re.search(r"length=(\d+)", text)
    wires = re.findall(r"^ *(?:\d+|ff): \\?(\S+)", text, re.MULTILINE)
    assert length and wires, text
    start, end = (re.sub(r"\$\d+|\[\d+\]", "", wires[place]) for place in (0, -1))
    return int(length[1]), start, end
