"""Simulate a cascade on an array: its RTL in Verilator beside the model, on the user's tensors.

Programs of a sequence run one after the other on the same design. What one makes, the host reads back, rounds to the
operands of the array and lays out anew for those that read it; the model of a program gets the same operands. In a
chain, what only programs read stays in memory instead, rounded by the array, and the host has no part in it. What no
program does, the host does between them, in float64.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.array.memory import Roundings
from einsum_cascade.array.registers import WAITS, ErrorCode, Waiting
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.cascade.extents import resolve_extents
from einsum_cascade.cosim.accuracy import Accuracy, accuracy_of
from einsum_cascade.cosim.build import Build, Trace, build_design, trace_of
from einsum_cascade.cosim.memory_timing import MemoryTiming
from einsum_cascade.cosim.run import Run
from einsum_cascade.cosim.step_runs import Compared, StepResult, run_submission
from einsum_cascade.cosim.verilog import verilog_of
from einsum_cascade.interpreter import evaluate
from einsum_cascade.interpreter.inputs import check_inputs
from einsum_cascade.lowering.prepared import Prepared
from einsum_cascade.lowering.steps import Step
from einsum_cascade.recognition.sequence import HostWork
from einsum_cascade.rtl.top import design_ports
from einsum_cascade.sim.timing import CycleTrace

__all__ = ["CosimResult", "build_array", "hierarchical_modules", "simulate"]

_HIERARCHICAL_FROM = 12
"""Rows from which the parts of the array are compiled once for all, which builds several times faster."""

_FLAT_FROM_CYCLES = 1_000_000
"""Cycles from which a flat build pays however large the array is: its run saves more than its build takes. Measured at
16 x 16: 185 s more of build, 0.2 ms less for a cycle."""

_HIERARCHICAL = ("pe", "vector_lane", "row_feeder", "column_top")


@dataclass(frozen=True, repr=False)
class CosimResult:
    """What the RTL and the model did with the same tensors.

    Parameters
    ----------
    prepared
        What ran.
    build
        The design.
    steps
        What came of each program, up to the first that did not end well.
    outputs
        Of the RTL and of the host, by name; those that were made.
    inputs
        What became of inputs that are no operands of the array.
    handed
        What became of results that programs or the host made, where programs read them.
    accuracies
        Of each work of the array, on its own operands.
    max_abs_error, max_rel_error
        Of the outputs against the float64 interpreter on the rounded inputs, where both are finite; None if none are.

    """

    prepared: Prepared
    build: Build
    steps: tuple[StepResult, ...]
    outputs: Mapping[str, NDArray[Any]]
    inputs: Roundings
    handed: Roundings
    accuracies: tuple[Accuracy, ...]
    max_abs_error: float | None
    max_rel_error: float | None

    def __repr__(self) -> str:
        return f"<CosimResult of {self.prepared.cascade.name}: {len(self.steps)} programs>"

    @property
    def run_seconds(self) -> float:
        """Of the simulator, over all programs."""
        return sum(step.run_seconds for step in self.steps)

    @property
    def run(self) -> Run:
        """How the last run ended: of the first program that did not end well, else of the last program."""
        return self.steps[-1].run

    @property
    def output(self) -> NDArray[Any]:
        """The output of a cascade that has one."""
        (output,) = self.outputs.values()
        return output

    @property
    def compared(self) -> int:
        """Results of all programs."""
        return sum(step.step.compared for step in self.steps)

    @property
    def mismatched(self) -> int:
        """Results of all programs that differ from the model's in a bit."""
        return sum(step.mismatched for step in self.steps)

    @property
    def stalls(self) -> dict[str, int]:
        """Cycles that the array stood still, by what it waited for."""
        return {name: sum(step.stalls[name] for step in self.steps) for name in WAITS}

    @property
    def trace(self) -> CycleTrace:
        """The model's times, of a cascade that is one program."""
        (step,) = self.steps
        return step.trace

    @property
    def model_cycles(self) -> int:
        """Cycles of the model, `StepResult.model_cycles` of all programs."""
        return sum(step.model_cycles for step in self.steps)

    @property
    def is_agreed(self) -> bool:
        """Whether all programs ran, and RTL and model agree on every one, `StepResult.is_agreed`."""
        return len(self.steps) == len(self.prepared.steps) and all(step.is_agreed for step in self.steps)

    @property
    def beyond(self) -> int:
        """Results that are farther from float64 than the formats allow."""
        return sum(each.beyond for each in self.accuracies)

    @property
    def is_right(self) -> bool:
        """Whether RTL and model agree, and no result is farther from float64 than the formats allow."""
        return self.is_agreed and not self.beyond

    @property
    def queries_without_keys(self) -> int:
        """Queries of all programs to which filters leave no key; the array gives them 0."""
        return sum(step.step.queries_without_keys for step in self.steps)

    @property
    def undefined_queries(self) -> int:
        """Those of them for which the interpreter would divide by a sum over nothing, so that it refuses."""
        return sum(s.step.queries_without_keys for s in self.steps if s.step.is_undefined_without_keys)

    @property
    def zero_sums(self) -> int:
        """Queries of all programs that have keys, the sum of whose weights is 0 for the array; it gives them 0."""
        return sum(step.model.zero_sums for step in self.steps)

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values; counts are those of all programs."""
        run, shape = self.run, self.prepared.shape
        waits = [wait.name.lower() for wait in Waiting if run.registers["waiting"] & wait]
        cycles = max(1, self._counted("cycles"))
        programs = [step.lowered.program for step in self.prepared.steps]
        queries = [step.queries for step in self.prepared.steps]
        columns = sum(-(-count // shape.columns) * shape.columns for count in queries)
        return {
            "verilator": self.build.verilator,
            "rows": shape.rows,
            "columns": shape.columns,
            "status": {"error": ErrorCode(run.error).name.lower(), "waiting": waits if run.error else []},
            "cycles": {
                "schedule": self.prepared.schedule_cycles,
                "model": self.model_cycles,
                "rtl": self._counted("cycles"),
                "total": self._counted("total_cycles"),
            },
            "values": {
                "compared": self.compared,
                "mismatched": self.mismatched,
                "rounded": self.inputs.rounded,
                "overflowed": self.inputs.overflowed,
                "handed_overflowed": self.handed.overflowed,
                "beyond": self.beyond,
                "unknown": sum(each.unknown for each in self.accuracies),
                "max_abs_error": self.max_abs_error,
                "max_rel_error": self.max_rel_error,
                "empty": self._counted("empty_columns"),
                "without_keys": self.queries_without_keys,
                "zero_sums": self.zero_sums,
            },
            "util_2d": self._counted("matrix_busy") / cycles,
            "util_1d": self._counted("vector_busy") / cycles,
            "occupied_rows": sum(p.keys for p in programs) / sum(p.key_tiles * shape.rows for p in programs),
            "occupied_columns": sum(queries) / columns,
            "stalls": self.stalls,
            "steps": [*self._told_steps()],
            "submissions": self.prepared.submissions,
            "through_host": dict(self.prepared.reasons),
            "build_s": self.build.seconds,
            "run_s": self.run_seconds,
        }

    def _told_steps(self) -> Iterator[dict[str, Any]]:
        """Yield what was done, by the array and by the host, in order, up to what did not end well."""
        for work in self.prepared.works:
            if isinstance(work, HostWork):
                yield work.to_json()
                continue
            done = [step for step in self.steps if step.step.work is work]
            yield from (step.to_json() for step in done)
            if not done or not done[-1].has_ended_well:
                return

    def _counted(self, register: str) -> int:
        return sum(step.run.registers[register] for step in self.steps)


def build_array(shape: ArrayShape, trace: Trace | None = None, cycles: int = 0) -> Build:
    """Return the built RTL of an array, for a run of so many cycles."""
    inputs, outputs = design_ports(shape)
    hierarchical = () if trace else hierarchical_modules(shape, cycles)
    return build_design(verilog_of(shape), inputs, outputs, hierarchical=hierarchical, trace=trace)


def hierarchical_modules(shape: ArrayShape, cycles: int = 0) -> tuple[str, ...]:
    """Return what is compiled once for all its instances: nothing where a flat build pays, for it runs faster."""
    return () if shape.rows < _HIERARCHICAL_FROM or cycles >= _FLAT_FROM_CYCLES else _HIERARCHICAL


def simulate(
    prepared: Prepared,
    inputs: Mapping[str, NDArray[Any]],
    memory: MemoryTiming | None = None,
    wave: Path | None = None,
) -> CosimResult:
    """Run the RTL and the model on the same tensors, program by program; what the RTL made is read by those after.

    None runs after one that did not end well.

    Parameters
    ----------
    prepared
        What runs.
    inputs
        The inputs of the cascade, by name.
    memory
        How memory behaves.
    wave
        File that gets the waveforms, .fst or .vcd; each submission has its own, numbered, if there are several.

    Raises
    ------
    EvaluationError
        An input is missing, holds no real numbers, or has another shape than was prepared for.
    ValueError
        The file of waveforms has another suffix.
    ToolMissingError, ToolFailedError
        A tool is missing or fails.

    """
    inputs = check_inputs(prepared.cascade, inputs)
    resolve_extents(prepared.cascade, prepared.extents, {name: array.shape for name, array in inputs.items()})
    build = build_array(prepared.shape, trace_of(wave) if wave else None, prepared.schedule_cycles)
    stored = prepared.stored(inputs)
    results: list[StepResult] = []
    accuracies: list[Accuracy] = []

    pending: dict[int, Compared] = {}

    def execute(number: int, tensors: Mapping[str, NDArray[Any]]) -> NDArray[np.float32] | None:
        if number not in pending:
            numbers = prepared.submission_of(number)
            own = [prepared.steps[at] for at in numbers]
            file = _wave_of(wave, own[0].submission, prepared.submissions)
            pending.update(
                zip(numbers, run_submission(own, build, tensors, memory or MemoryTiming(), file), strict=False)
            )
        result = pending.pop(number)(tensors)
        results.append(result)
        return result.output if result.has_ended_well else None

    def judge(
        steps: Sequence[Step], tensors: Mapping[str, NDArray[Any]], found: Mapping[str, NDArray[np.float32]]
    ) -> None:
        accuracies.append(accuracy_of(steps, tensors, found))

    made = prepared.run(stored, execute, judge)
    outputs = {name: made[name] for name in prepared.cascade.outputs if name in made}
    errors = _errors(prepared, stored, outputs)
    roundings = prepared.roundings(inputs), prepared.roundings(made)
    return CosimResult(prepared, build, tuple(results), outputs, *roundings, tuple(accuracies), *errors)


def _wave_of(wave: Path | None, number: int, count: int) -> Path | None:
    """Return the file of the waveforms of a program; its number is in the name if there are several."""
    return wave if wave is None or count == 1 else wave.with_stem(f"{wave.stem}-{number + 1}")


def _errors(
    prepared: Prepared, inputs: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]
) -> tuple[float | None, float | None]:
    """Return the largest absolute error of an output, and the largest relative to the largest value of its output."""
    if {*outputs} != {*prepared.cascade.outputs}:
        return None, None
    exact = evaluate(prepared.cascade, inputs, prepared.extents, allows_empty=True)
    errors: list[float] = []
    relative: list[float] = []
    for name, values in exact.items():
        kept = np.isfinite(values) & np.isfinite(outputs[name])
        if kept.any():
            errors.append(float(np.abs(outputs[name][kept] - values[kept]).max()))
            largest = float(np.abs(values[kept]).max())
            relative += [errors[-1] / largest] if largest else []
    return max(errors, default=None), max(relative, default=None)
