"""Place and route a module on an ECP5, an FPGA whose tools are free, and tell its clock and what it takes.

All ports are behind flip-flops, inputs in a chain and outputs in a sum, so that every path counts and pins do not.
"""

import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yosys_runs import run_yosys

__all__ = ["DEVICE", "Routed", "Taken", "emptied", "route", "taken"]

DEVICE = "LFE5U-85F of speed grade 8"
_OPTIONS = ("--85k", "--speed", "8", "--package", "CABGA756", "--freq", "100", "--seed", "1", "--timing-allow-fail")


@dataclass(frozen=True)
class Taken:
    """What a module takes of the device.

    Parameters
    ----------
    luts
        Tables of four inputs: logic, carries (two each), and small memories (four for 16 words of 4 bits).
    flip_flops, multipliers, blocks
        Flip-flops, multipliers of 18 x 18 bits, block memories of 18 Kibit.

    """

    luts: int
    flip_flops: int
    multipliers: int
    blocks: int


@dataclass(frozen=True)
class Routed:
    """The clock of a routed module in MHz, and where its longest path begins and ends."""

    clock_mhz: float
    start: str
    end: str


def taken(files: Mapping[str, str], top: str, folder: Path) -> Taken:
    """Synthesise a module for the device and count what it takes."""
    _write(files, folder)
    read = [f"read_verilog {' '.join(files)}", f"synth_ecp5 -top {top}"]
    run_yosys([*read, "tee -q -o taken.json stat -json"], folder)
    cells = json.loads((folder / "taken.json").read_text())["design"]["num_cells_by_type"]
    luts = cells.get("LUT4", 0) + 2 * cells.get("CCU2C", 0) + 4 * cells.get("TRELLIS_DPR16X4", 0)
    return Taken(luts, *(cells.get(name, 0) for name in ("TRELLIS_FF", "MULT18X18D", "DP16KD")))


def route(files: Mapping[str, str], top: str, folder: Path, router: Path) -> Routed:
    """Synthesise, place and route a module with flip-flops around it, by the program that is told."""
    _write(files, folder)
    read = [f"read_verilog {' '.join(files)}"]
    (folder / "routed.v").write_text(_wrapper(top, _ports_of(files, top, folder)))
    run_yosys([*read, "read_verilog routed.v", "synth_ecp5 -top routed -json routed.json"], folder)
    command = [str(router.absolute()), *_OPTIONS, "--json", "routed.json", "--report", "report.json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"routing of {top} ended with code {done.returncode}:\n{done.stderr[-2000:]}")
    report = json.loads((folder / "report.json").read_text())
    (clock,) = report["fmax"].values()
    path = next(each for each in report["critical_paths"] if each["from"] == each["to"])["path"]
    return Routed(clock["achieved"], *(_plain(at["cell"]) for at in (path[0]["from"], path[-1]["to"])))


def emptied(files: Mapping[str, str], modules: Iterable[str], folder: Path) -> dict[str, str]:
    """Return a design in which nothing but flip-flops is left of some modules: each output is made of all inputs."""
    _write(files, folder)
    found = dict(files)
    for name in modules:
        ports = _ports_of(files, name, folder)
        (own,) = (file for file, text in files.items() if f"module {name}(" in text)
        found[own] = _module_of_flip_flops(name, ports)
    return found


def _ports_of(files: Mapping[str, str], module: str, folder: Path) -> Mapping[str, Any]:
    """Return the ports of a module by name, as Yosys tells them."""
    commands = [f"read_verilog {' '.join(files)}", f"hierarchy -top {module}", "proc", "write_json ports.json"]
    run_yosys(commands, folder)
    return json.loads((folder / "ports.json").read_text())["modules"][module]["ports"]


def _module_of_flip_flops(name: str, ports: Mapping[str, Any]) -> str:
    """Return a module that keeps all inputs, and makes each output of them in a later cycle."""
    widths = {port: len(own["bits"]) for port, own in ports.items()}
    heads = [f"{own['direction']} [{widths[port] - 1}:0] \\{port} " for port, own in ports.items()]
    inputs = [port for port, own in ports.items() if own["direction"] == "input" and port not in ("clk", "rst")]
    outputs = [port for port, own in ports.items() if own["direction"] == "output"]
    kept = [f"  reg [{widths[port] - 1}:0] kept_{at}; reg mixed_{at};" for at, port in enumerate(inputs)]
    made = [f"  reg [{widths[port] - 1}:0] made_{at}; assign \\{port} = made_{at};" for at, port in enumerate(outputs)]
    mixed = ", ".join(f"mixed_{at}" for at in range(len(inputs)))
    steps = [f"    kept_{at} <= \\{port} ; mixed_{at} <= ^kept_{at};" for at, port in enumerate(inputs)]
    steps += [f"    made_{at} <= {{made_{at}, ^{{{mixed}}}}};" for at in range(len(outputs))]
    lines = [f"module {name}({', '.join(heads)});", *kept, *made]
    return "\n".join([*lines, "  always @(posedge \\clk ) begin", *steps, "  end", "endmodule", ""])


def _plain(cell: str) -> str:
    """Return the name of a register as it is in the Verilog."""
    return re.split(r"_TRELLIS|\$", cell.removeprefix("inner."))[0]


def _write(files: Mapping[str, str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def _wrapper(top: str, ports: Mapping[str, Any]) -> str:
    """Return a module that has another one between flip-flops."""
    connected, at = ["    .clk(clk), .rst(rst)"], {"input": 0, "output": 0}
    for name, port in ports.items():
        if name not in ("clk", "rst"):
            kind = port["direction"]
            begin, at[kind] = at[kind], at[kind] + len(port["bits"])
            signal = "given" if kind == "input" else "found"
            connected.append(f"    .\\{name} ({signal}[{at[kind] - 1}:{begin}])")
    return f"""module routed(input clk, input rst, input i, output reg o);
  reg [{at["input"] - 1}:0] given;
  wire [{at["output"] - 1}:0] found;
  reg [{at["output"] - 1}:0] kept;
  always @(posedge clk) begin
    given <= {{given, i}};
    kept <= found;
    o <= ^kept;
  end
  {top} inner(
{",\n".join(connected)}
  );
endmodule
"""
