"""The report of `simulate`: cycles, values and use of an array, and whether RTL and model agree."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from einsum_cascade.cosim.build import trace_of
from einsum_cascade.cosim.memory_timing import MemoryTiming
from einsum_cascade.cosim.simulation import CosimResult
from einsum_cascade.errors import UsageError
from einsum_cascade.lowering.prepared import Prepared
from einsum_cascade.study.designs import host_lines
from einsum_cascade.study.report import ARRAYS, Report
from einsum_cascade.study.tables import Cell, Figure, Note, Table

__all__ = [
    "Cycles",
    "SimulationReport",
    "Status",
    "Values",
    "check_wave",
    "memory_of",
    "report_of_simulation",
]


@dataclass(frozen=True, slots=True)
class Status:
    """How the last run ended: the array's error, and what it was waiting for then."""

    error: str
    waiting: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cycles:
    """Cycles as the schedule, the model and the RTL have them, and from start to done."""

    schedule: int
    model: int
    rtl: int
    total: int


@dataclass(frozen=True, slots=True)
class Values:
    """What was compared.

    Parameters
    ----------
    compared, mismatched
        Results, and those that differ from the model's in a bit.
    rounded, overflowed
        Inputs that are no operands of the array, and those beyond its greatest.
    handed_overflowed
        Results that programs read that are beyond it.
    beyond, unknown
        Results that are farther from float64 than the formats allow, and those that have no bound.
    max_abs_error, max_rel_error
        Against float64, and that of the largest value; None if nothing finite is there.
    empty, without_keys, zero_sums
        Columns without a query, queries without a key, queries with keys whose sum is 0.

    """

    compared: int
    mismatched: int
    rounded: int
    overflowed: int
    handed_overflowed: int
    beyond: int
    unknown: int
    max_abs_error: float | None
    max_rel_error: float | None
    empty: int
    without_keys: int
    zero_sums: int


@dataclass(frozen=True, repr=False)
class SimulationReport(Report):
    """What RTL and model did with the same tensors.

    Parameters
    ----------
    cascade, verilator
        What ran, and in what.
    rows, columns
        The array.
    status, cycles, values
        Of all programs.
    util_2d, util_1d
        Share of cycles in which PEs, and lanes, compute.
    occupied_rows, occupied_columns
        Share of rows that hold a key, and of columns that hold a query.
    stalls
        Cycles that the array stood still, by what it waited for.
    steps
        What was done, by the array and by the host, in order.
    submissions
        How often the host started the array.
    through_host
        Why results go through the host that were to stay, by name.
    build_s, run_s
        Seconds of the build and of the simulator.
    sentences
        What the host does, what was rounded, and what of it is not as the cascade says.
    is_right, verdict
        Whether RTL and model agree and no result is farther from float64 than the formats allow, and a sentence.
    files, waves
        What was written.
    tensors
        Output tensors of the RTL and of the host, by name.

    """

    kind: ClassVar[str] = "simulation"

    cascade: str
    verilator: str
    rows: int
    columns: int
    status: Status
    cycles: Cycles
    values: Values
    util_2d: float
    util_1d: float
    occupied_rows: float
    occupied_columns: float
    stalls: Mapping[str, int]
    steps: tuple[Mapping[str, Any], ...]
    submissions: int
    through_host: Mapping[str, str]
    build_s: float
    run_s: float
    sentences: tuple[str, ...]
    is_right: bool
    verdict: str
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    waves: tuple[str, ...] = ()
    tensors: Mapping[str, Any] = field(default_factory=dict[str, Any], compare=False, metadata=ARRAYS)

    @property
    def headline(self) -> str:
        """The verdict."""
        return f"{self.cascade} on {self.rows} x {self.columns} PEs, {self.cycles.rtl:,} cycles: {self.verdict}"

    def parts(self) -> tuple[Table | Note, ...]:
        """Return cycles, values and use, and a sentence that says whether RTL and model agree."""
        notes = (Note(text.strip(), 1 if text.startswith(" ") else 0) for text in (*self.sentences, self.verdict))
        written = (Note(path, 1) for path in (*self.files.values(), *self.waves))
        table = Table("simulation", f"{self.cascade} in {self.verilator}", ("figure", "value"), tuple(self._rows()))
        return (table, *notes, *written)

    def _rows(self) -> Iterator[tuple[str, Cell]]:
        values = self.values
        yield "array", f"{self.rows} x {self.columns}"
        yield "cycles of the schedule", self.cycles.schedule
        yield "cycles of the model", self.cycles.model
        yield "cycles of the RTL", self.cycles.rtl
        yield "cycles from start to done", self.cycles.total
        for name, count in self.stalls.items():
            yield f"cycles that {name} were waited for", count
        yield "values compared", values.compared
        yield "values mismatched", values.mismatched
        yield "inputs rounded", values.rounded
        yield "inputs overflowed", values.overflowed
        yield "largest error against float64", values.max_abs_error
        yield "largest error, of the largest value", values.max_rel_error
        yield "values beyond what formats allow", values.beyond
        yield "values without a bound", values.unknown
        yield "queries without keys", values.without_keys
        yield "queries with a sum of 0", values.zero_sums
        yield "2d use", Figure(self.util_2d, "%")
        yield "1d use", Figure(self.util_1d, "%")
        yield "columns in use", Figure(self.occupied_columns, "%")
        yield "build", Figure(self.build_s, "s")
        yield "run", Figure(self.run_s, "s")
        if len(self.steps) > 1:
            yield "submissions", self.submissions
            yield from ((f"cycles of {_step_name(step)}", _step_cycles(step)) for step in self.steps)


def report_of_simulation(
    result: CosimResult, files: Mapping[str, str] | None = None, waves: tuple[str, ...] = ()
) -> SimulationReport:
    """Return the report of a simulation, with the files that were written."""
    sentences = (*host_lines(result.prepared), *_hand_overs(result), *_zeros(result), *_overflows(result))
    told = {
        "schema": SimulationReport.schema_name(),
        "cascade": result.prepared.cascade.name,
        **result.to_json(),
        "sentences": sentences,
        "is_right": result.is_right,
        "verdict": _verdict(result),
        "files": files or {},
        "waves": waves,
        "tensors": dict(result.outputs),
    }
    return SimulationReport.from_json(told)


def _step_name(step: Mapping[str, Any]) -> str:
    name = f"{step['kernel']} {', '.join(step['outputs'])}"
    first, after = step.get("heads", (0, 0))
    return name if step.get("is_whole", True) else f"{name}, heads {first} to {after - 1}"


def _step_cycles(step: Mapping[str, Any]) -> Cell:
    return "not counted" if step["cycles"] is None else step["cycles"]["rtl"]


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
