"""The demo: an attention algorithm, how often it must walk over its keys and why, and its one-pass sibling.

Run it with `make demo`, or `make demo WAVE=wave.fst` (or .vcd) to get the waveforms of the simulation.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from einsum_cascade import analyse, evaluate, random_inputs, resolve_extents, study, zoo
from einsum_cascade.analysis.bounds import Bounds
from einsum_cascade.analysis.symbolic import evaluate as number_at
from einsum_cascade.analysis.symbolic import sum_of
from einsum_cascade.errors import UsageError
from einsum_cascade.reproduction import reproduce_fusemax
from einsum_cascade.study.evaluations import report_of_evaluation
from einsum_cascade.study.rendering import print_parts
from einsum_cascade.study.simulations import check_wave
from einsum_cascade.units import parse_bytes

WORD_BYTES = 2
CAPACITY = "16MiB"
BERT = {"E": 64, "F": 64}
TILE = 256
LENGTHS = {"1K": 2**10, "4K": 2**12, "16K": 2**14, "64K": 2**16, "256K": 2**18, "1M": 2**20}
PAIR = ("attention", "attention-1pass")

console = Console(highlight=False)


def main() -> None:
    """Show the two cascades, their bounds side by side, and their values on the same tensors."""
    wave = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    try:
        check_wave(wave)
    except UsageError as error:
        sys.exit(f"demo: {error}")
    reports = {name: analyse(zoo.load(name)) for name in PAIR}
    for name, report in reports.items():
        show_cascade(name, report)
    show_bounds(reports)
    show_values(reports)
    show_hardware()
    show_simulation(wave)
    show_next_steps()


def settings_of(name: str, length: int) -> dict[str, int]:
    """Return the extents to set: BERT's head dimensions, and keys and queries of one length."""
    tiles = {"M0": TILE} if "1pass" in name else {}
    return BERT | {"M": length, "P": length} | tiles


def show_cascade(name: str, report: Bounds) -> None:
    """Print a cascade, and why it makes the passes over its keys that it makes."""
    console.rule(f"[bold]{name}", align="left")
    console.print(str(report.cascade), markup=False, soft_wrap=True)
    keys = report.of("K", "M")
    plural = "pass" if keys.count == 1 else "passes"
    console.print(f"\n[bold]{keys.count} {plural} over the keys K along M, whoever implements this cascade:[/bold]")
    for sentence in report.witness("K", "M"):
        console.print(f"  {sentence}", markup=False)
    if keys.count == 1:
        console.print("  nothing needs a whole fiber of the keys before the keys are read again")
    console.print()


def show_bounds(reports: dict[str, Bounds]) -> None:
    """Print passes, live state and traffic of both cascades at the lengths of the FuseMax paper."""
    title = f"per head, E = F = 64, {WORD_BYTES} bytes a word, {CAPACITY} on chip"
    table = Table(title=f"Bounds side by side: {title}", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("M = P\n")
    for name in PAIR:
        for first, second in ((name.removeprefix("attention-"), "passes"), ("live", "per query"), ("traffic", "")):
            table.add_column(f"{first}\n{second}", justify="right")
    for label, length in LENGTHS.items():
        cells = [cell for name in PAIR for cell in bounds_cells(name, reports[name], length)]
        table.add_row(label, *cells)
    console.print(table)
    console.print(
        "Live state must stay on chip for one query while the keys go by. Traffic is the least of keeping it and of "
        "spilling it. A bound is of this cascade: another one of the same function may do better.\n"
    )


def bounds_cells(name: str, report: Bounds, length: int) -> tuple[str, str, str]:
    """Return passes, live bytes and traffic bytes at one length."""
    extents = resolve_extents(report.cascade, settings_of(name, length))
    live = max(number_at(footprint.elements, extents) for footprint in report.footprints_of("K", "M"))
    extra = report.plain_plan(extents, parse_bytes(CAPACITY) // WORD_BYTES)
    words = number_at(report.total_words, extents) + sum(number_at(entry.words, extents) for entry in extra)
    return str(report.of("K", "M").count), in_bytes(live * WORD_BYTES), in_bytes(words * WORD_BYTES)


def in_bytes(size: float) -> str:
    """Return a size with a binary unit."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.4g} {unit}"


def show_values(reports: dict[str, Bounds]) -> None:
    """Run both cascades on the same random tensors and say what agrees and what differs."""
    length = 1024
    results: dict[str, Any] = {}
    operations: dict[str, dict[str, int]] = {}
    inputs = random_inputs(reports["attention"].cascade, settings_of("attention", length), seed=0)
    for name, report in reports.items():
        extents = resolve_extents(report.cascade, settings_of(name, length))
        results[name] = evaluate(report.cascade, inputs, extents)["AV"]
        operations[name] = operation_totals(report, extents)
    first, second = (results[name] for name in PAIR)
    difference = float(np.max(np.abs(first - second)) / np.max(np.abs(first)))
    console.print(f"[bold]Both on the same random tensors, M = P = {length}, float64[/bold]")
    console.print(f"  the values agree: largest difference {difference:.1e} of the largest value")
    table = Table(box=box.SIMPLE_HEAD, title="what differs: operations", title_justify="left")
    table.add_column("operator")
    for name in PAIR:
        table.add_column(name, justify="right")
    for operator in dict.fromkeys(name for counts in operations.values() for name in counts):
        table.add_row(operator, *(f"{operations[name].get(operator, 0):,}" for name in PAIR))
    console.print(table)


def operation_totals(report: Bounds, extents: dict[str, int]) -> dict[str, int]:
    """Return how often each operator is applied."""
    names = dict.fromkeys(operation.operator for operation in report.operations)
    return {
        name: number_at(sum_of(o.count for o in report.operations if o.operator == name), extents) for name in names
    }


def show_hardware() -> None:
    """Compare the 1-pass cascade on a FuseMax array with FLAT, and the published averages with ours."""
    console.rule("[bold]BERT at 64K tokens: FuseMax against FLAT", align="left")
    print_parts(study("attention-1pass", "fusemax-cloud", model="BERT", seq="64K").compare("flat").parts(), console)
    print_parts([report_of_evaluation(reproduce_fusemax()).headlines], console)
    console.print(
        "The first table is what our engine counts, every register file charged; the second is the published "
        "accounting, regenerated from its rules. docs/fusemax.md says how either comes about.\n"
    )


def show_simulation(wave: Path | None) -> None:
    """Generate an 8 x 8 array, run one head of attention on it in Verilator and in the model, and compare."""
    console.rule("[bold]One head of attention on an 8 x 8 array: RTL in Verilator beside its model", align="left")
    head = study("attention-1pass", "fusemax-8x8", **BERT, M=256, P=32)
    console.print("  building the array (half a minute at the first time)")
    print_parts(head.simulate(wave=wave).parts(), console)
    console.print()


def show_next_steps() -> None:
    """Say where to go from here."""
    console.print("[bold]Where to go next[/bold]")
    for command, purpose in (
        ("zoo", "the cascades that come with the package"),
        ("bounds attention-2pass --set E=64,F=64,M=65536,P=65536,M0=256 --capacity 16MiB", "the full report"),
        ("show attention-1pass --format latex", "a cascade for a paper"),
        ("run attention --set E=64,F=64,M=4096,P=11 --dtype bf16", "numbers, in any format"),
        ("schedule attention-1pass --arch fusemax-cloud --model BERT --seq 1K", "what the arrays do in which cycle"),
        ("simulate attention-1pass-causal --arch fusemax-8x8 --set E=64,F=64,M=64,P=64", "a masked head in Verilator"),
        ("rtl attention-1pass --arch fusemax-16x16 --set E=64,F=64,M=64,P=64 --output build/rtl", "the Verilog"),
        ("reproduce fusemax --audited", "FuseMax's evaluation, and what an honest accounting changes"),
    ):
        console.print(f"  .venv/bin/einsum-cascade {command}\n      {purpose}", markup=False, soft_wrap=True)
    console.print("  README.md: your own cascade in a few lines of Python")


if __name__ == "__main__":
    main()
