"""From arguments to a simulation, and how its result looks in the terminal."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from einsum_cascade.cosim.build import trace_of
from einsum_cascade.cosim.simulation import CosimResult
from einsum_cascade.cosim.timing import MemoryTiming
from einsum_cascade.errors import UsageError
from einsum_cascade.lowering.prepared import Prepared
from einsum_cascade.terminal.designs import host_lines
from einsum_cascade.terminal.tables import new_table

__all__ = ["check_wave", "memory_of", "simulation_table"]


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
