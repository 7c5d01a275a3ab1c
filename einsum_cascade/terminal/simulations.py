"""From arguments to a simulation and its files, and how its result looks in the terminal."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Group, RenderableType
from rich.text import Text

from einsum_cascade.arch.presets import load_architecture
from einsum_cascade.array.memory import memory_bytes
from einsum_cascade.array.numbers import OPERANDS, Multiplier, Numbers
from einsum_cascade.array.text import to_text
from einsum_cascade.cosim.build import trace_of
from einsum_cascade.cosim.run import Case
from einsum_cascade.cosim.simulation import CosimResult
from einsum_cascade.cosim.timing import MemoryTiming
from einsum_cascade.errors import UsageError
from einsum_cascade.formats import parse_format
from einsum_cascade.handoff.folder import IMAGES, handoff_files
from einsum_cascade.handoff.images import Images, images_of
from einsum_cascade.interpreter import random_inputs
from einsum_cascade.interpreter.inputs import as_real
from einsum_cascade.lowering.prepared import Prepared
from einsum_cascade.mapping.presets import load_mapping
from einsum_cascade.rtl.manifest import WAIVERS, manifest_of
from einsum_cascade.rtl.top import design_files
from einsum_cascade.sim.values import evaluate_program
from einsum_cascade.study.preparation import prepare
from einsum_cascade.terminal.arguments import load_cascade
from einsum_cascade.terminal.cases import sized
from einsum_cascade.terminal.tables import new_table

__all__ = [
    "check_wave",
    "drawn_inputs",
    "host_lines",
    "memory_of",
    "numbers_of",
    "prepared_case",
    "simulation_table",
    "write_design",
]


def check_wave(wave: Path | None) -> None:
    """Refuse a file that cannot get waveforms, before anything is built for it.

    Raises
    ------
    UsageError
        Its suffix names no format, its folder is none, or it cannot be written.

    """
    if wave is None:
        return
    try:
        trace_of(wave)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if not wave.parent.is_dir():
        raise UsageError(f"a file of waveforms must be in a folder that exists, not {str(wave)!r}")
    is_new = not wave.exists()
    try:
        wave.open("ab").close()
    except OSError as error:
        raise UsageError(f"a file of waveforms must be one that can be written: {wave}: {error.strerror}") from None
    if is_new:
        wave.unlink()


_LEAST_BANDWIDTH = 0.01


def memory_of(prepared: Prepared, latency: int, bandwidth: float | None, backpressure: int | None) -> MemoryTiming:
    """Return the memory that arguments describe.

    Raises
    ------
    UsageError
        A number is out of its range, or the array's watchdog would end a run that waits for the first beat.

    """
    if latency < 0 or (bandwidth is not None and not _LEAST_BANDWIDTH <= bandwidth < math.inf):
        raise UsageError(
            f"--memory-latency must be at least 0, and --memory-bandwidth a number of at least {_LEAST_BANDWIDTH}, not "
            f"{latency} and {bandwidth}"
        )
    watchdog = min(step.lowered.program.watchdog_cycles for step in prepared.steps)
    if latency >= watchdog // 2:
        raise UsageError(
            f"--memory-latency must be below {watchdog // 2}, half of what the array's watchdog waits, not {latency}"
        )
    return MemoryTiming(latency, bandwidth or 0.0, backpressure)


def numbers_of(operands: str, scores: str | None, multiplier: Multiplier | None, accumulation: str) -> Numbers:
    """Return the number formats that arguments name: scores like operands, the narrowest multiplier that takes both.

    Raises
    ------
    UsageError
        A format is unknown, or does not fit the multiplier, or fp32.

    """
    try:
        operand = parse_format(operands)
        score = operand if scores is None else parse_format(scores)
        if operand not in OPERANDS.values():
            raise ValueError(f"operands must be one of {', '.join(OPERANDS)}, not {operands!r}")
        sums = parse_format(accumulation)
        widths: tuple[Multiplier, ...] = ("narrow", "mixed", "wide") if multiplier is None else (multiplier,)
        for width in widths[:-1]:
            try:
                return Numbers(operand, score, width, sums)
            except ValueError:
                continue
        return Numbers(operand, score, widths[-1], sums)
    except ValueError as error:
        raise UsageError(f"--operands, --scores, --multiplier, --accumulation: {error}") from None


def prepared_case(
    cascade: str,
    architecture: str,
    settings: Mapping[str, int],
    given: Mapping[str, NDArray[Any]],
    numbers: Numbers,
    mapping: str | None = None,
    seed: int | None = None,
    *,
    is_strict: bool = False,
    saturates: bool = False,
    is_chained: bool = False,
) -> tuple[Prepared, Mapping[str, NDArray[Any]]]:
    """Return the cascade that arguments name, ready to run on the array that they name, and its inputs.

    Inputs that are not given are drawn if there is a seed.
    """
    machine = load_architecture(architecture)
    found = load_cascade(cascade)
    given = {name: as_real(name, array) for name, array in given.items()}
    tree = None if mapping is None else load_mapping(mapping)
    extents = sized(found, machine, settings, {name: array.shape for name, array in given.items()})
    inputs = {**given} if seed is None else {**random_inputs(found, extents, seed, given), **given}
    found_case = prepare(
        *(found, machine, extents, numbers, tree, inputs),
        is_strict=is_strict,
        saturates=saturates,
        is_chained=is_chained,
    )
    return found_case, inputs


_MOST_IMAGE_BYTES = 1 << 24
"""Of the memory of all programs: larger images are not written, for simulators of Verilog would take hours."""


def drawn_inputs(prepared: Prepared, given: Mapping[str, NDArray[Any]], seed: int) -> Mapping[str, NDArray[Any]] | None:
    """Return the inputs of a cascade, those drawn that are not given; None if images of them would be too large."""
    if sum(memory_bytes(step.lowered.program) for step in prepared.steps) > _MOST_IMAGE_BYTES:
        return None
    given = {name: as_real(name, array) for name, array in given.items()}
    return {**random_inputs(prepared.cascade, prepared.extents, seed, given), **given}


def write_design(
    prepared: Prepared,
    architecture: str,
    folder: Path,
    prefix: str = "",
    inputs: Mapping[str, NDArray[Any]] | None = None,
) -> dict[str, str]:
    """Write the Verilog of an array, its waivers, its manifest, its programs and all to run them; return the files.

    A program that is the only one is in program.txt, several are numbered in the order in which they run.

    Parameters
    ----------
    prepared
        What runs on the array.
    architecture
        Its name.
    folder
        Gets the files.
    prefix
        What the names of modules begin with.
    inputs
        The inputs of the cascade: with them, register maps, memory images, a test bench and a driver are written, too.

    Raises
    ------
    UsageError
        The folder cannot be written, or no name can begin with the prefix.

    """
    try:
        files = design_files(prepared.shape, prefix)
    except ValueError as error:
        raise UsageError(f"--prefix: {error}") from None
    programs = [step.lowered.program for step in prepared.steps]
    names = ["program.txt"] if len(programs) == 1 else [f"program-{at}.txt" for at in range(1, len(programs) + 1)]
    texts = dict(zip(names, map(to_text, programs), strict=True))
    manifest = json.dumps(manifest_of(files, programs, architecture), indent=2) + "\n"
    everything = {**files, "waivers.vlt": WAIVERS, **texts, "manifest.json": manifest}
    if inputs is not None:
        everything |= _handoff(prepared, inputs, [*files], prefix)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for stale in {path for pattern in _NUMBERED for path in folder.glob(pattern)}:
            stale.unlink()
        for name, text in everything.items():
            (folder / name).write_text(text)
    except OSError as error:
        raise UsageError(f"--output {str(folder)!r} must be a folder that can be written: {error.strerror}") from None
    return {name: str(folder / name) for name in everything}


_NUMBERED = "program.txt", "program-*.txt", *(f"{what}{which}.hex" for what in IMAGES for which in ("", "-*"))
"""Files of which another work, with another number of programs, may have left some."""


def _handoff(prepared: Prepared, inputs: Mapping[str, NDArray[Any]], sources: list[str], prefix: str) -> dict[str, str]:
    """Return what runs the programs elsewhere; results are those of the model."""
    images: list[Images] = []

    def execute(number: int, tensors: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        step = prepared.steps[number]
        program, operands = step.lowered.program, step.operands(tensors)
        output = evaluate_program(program, operands).output
        images.append(images_of(program, operands, output))
        return output

    prepared.run(prepared.stored(inputs), execute)
    paused = MemoryTiming(backpressure=0)
    limit = max(Case.of(each.program, each.memory, paused).limit_cycles for each in images)
    return handoff_files(images, sources, prefix, limit)


def simulation_table(result: CosimResult) -> RenderableType:
    """Return cycles, values and use, and a sentence that says whether RTL and model agree."""
    found = result.to_json()
    cycles, values = found["cycles"], found["values"]
    table = new_table(f"{result.prepared.cascade.name} in {found['verilator']}", "", "value", right=("value",))
    rows = {
        "array": f"{found['rows']} x {found['columns']}",
        "cycles: schedule, model, RTL": _cycles(cycles),
        "cycles from start to done": f"{cycles['total']:,}",
        f"stalls: {', '.join(found['stalls'])}": ", ".join(f"{count:,}" for count in found["stalls"].values()),
        "values compared, mismatched": f"{values['compared']:,}, {values['mismatched']:,}",
        "inputs rounded, overflowed": f"{values['rounded']:,}, {values['overflowed']:,}",
        "largest error against float64": _number(values["max_abs_error"]),
        "  of the largest value": _number(values["max_rel_error"]),
        "beyond what formats allow, without a bound": f"{values['beyond']:,}, {values['unknown']:,}",
        "queries without keys, with a sum of 0": f"{values['without_keys']:,}, {values['zero_sums']:,}",
        "2d use": f"{100 * found['util_2d']:.2f} %",
        "1d use": f"{100 * found['util_1d']:.2f} %",
        "columns in use": f"{100 * found['occupied_columns']:.1f} %",
        "build, run (s)": f"{found['build_s']:.1f}, {found['run_s']:.1f}",
    }
    if len(result.prepared.steps) > 1:
        rows["submissions"] = f"{found['submissions']:,}"
    if len(found["steps"]) > 1:
        rows |= {_step_name(step): _cycles(step["cycles"]) for step in found["steps"]}
    for name, value in rows.items():
        table.add_row(name, value)
    return Group(
        table,
        *map(Text, (*host_lines(result.prepared), *_hand_overs(result), *_zeros(result), *_overflows(result))),
        Text(_verdict(result)),
    )


def _hand_overs(result: CosimResult) -> list[str]:
    """Say why programs that were to run in one submission do not."""
    reasons = result.prepared.reasons
    head = "The host hands these from program to program:"
    return [head, *(f"  {name}: {reason}" for name, reason in reasons.items())] if reasons else []


def _overflows(result: CosimResult) -> list[str]:
    """Say how many numbers are beyond the operand format, and what became of them."""
    numbers = result.prepared.shape.numbers
    form = numbers.operand
    became = f"{form.greatest:g}" if result.prepared.saturates else ("infinite" if form.specials == "ieee" else "NaN")
    counts = {"inputs": result.inputs.overflowed, "results that programs read": result.handed.overflowed}
    told = f"went beyond {form.greatest:g}, the greatest number of the operand format, and became {became}"
    remedy = "" if result.prepared.saturates else " (--saturate makes them that number)"
    return [f"{count:,} of the {what} {told}{remedy}." for what, count in counts.items() if count]


def _zeros(result: CosimResult) -> list[str]:
    """Say for which queries the array gives 0 and the cascade does not say so."""
    found: list[str] = []
    if count := result.undefined_queries:
        have = "query has" if count == 1 else "queries have"
        found.append(f"{count:,} {have} no key; the array gives 0, `run` refuses to divide by a sum over nothing.")
    if count := result.zero_sums:
        have = "query has keys, but a sum" if count == 1 else "queries have keys, but sums"
        found.append(f"{count:,} {have} of weights that the array rounds to 0; it gives 0 in place of a quotient.")
    return found


def host_lines(prepared: Prepared) -> list[str]:
    """Return what the host does, an Einsum a line, and why the array does not."""
    reasons = [reason for work in prepared.host_works for reason in work.reasons.values()]
    head = "The host does the rest in float64, in cycles that are not counted (--strict refuses that):"
    return [head, *(f"  {reason}" for reason in reasons)] if reasons else []


def _step_name(step: Mapping[str, Any]) -> str:
    name = f"  {step['kernel']} {', '.join(step['outputs'])}"
    first, after = step.get("heads", (0, 0))
    return name if step.get("is_whole", True) else f"{name}, heads {first} to {after - 1}"


def _cycles(found: Mapping[str, int] | None) -> str:
    return "not counted" if found is None else f"{found['schedule']:,}, {found['model']:,}, {found['rtl']:,}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"


def _excess(result: CosimResult) -> str:
    """Say which result is farthest beyond what the formats allow."""
    worst = next(each for each in result.accuracies if each.beyond)
    at = ", ".join(map(str, worst.at or ()))
    return (
        f"{result.beyond:,} results differ from float64 by more than the formats allow, such as {worst.tensor}[{at}], "
        f"which is {worst.found:.6g} and must be within {worst.bound:.2g} of {worst.exact:.6g}"
    )


def _verdict(result: CosimResult) -> str:
    if result.is_agreed:
        agreed = "RTL and model agree in every bit and every cycle"
        return f"{agreed}." if result.is_right else f"{agreed}, but are wrong: {_excess(result)}."
    status = result.to_json()["status"]
    if not result.run.has_ended:
        limit, expected = result.run.limit_cycles, result.steps[-1].trace.total_cycles
        return (
            f"The array did not say that it is done: the bench gave up after {limit:,} cycles, where the model takes "
            f"{expected:,}."
        )
    if result.run.error:
        waits = f", waiting for {', '.join(status['waiting'])}" if status["waiting"] else ""
        return f"The array ended with {status['error']}{waits}."
    if result.mismatched:
        return f"RTL and model differ in {result.mismatched:,} of {result.compared:,} values."
    counters = ", ".join(
        f"{name} ({model:,} in the model, {rtl:,} in the RTL)"
        for step in result.steps
        for name, (model, rtl) in step.differing_counters.items()
    )
    return f"RTL and model agree in every bit; counters differ: {counters}."
