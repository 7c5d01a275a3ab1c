"""Simulate a cascade on an array: its RTL in Verilator beside the model, on the user's tensors.

Programs of a sequence run one after the other on the same design. What one makes, the host reads back, rounds to the
operands of the array and lays out anew for those that read it; the model of a program gets the same operands. In a
chain, what only programs read stays in memory instead, rounded by the array, and the host has no part in it. What no
program does, the host does between them, in float64.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.arch.ir import Architecture
from einsum_cascade.cascade.extents import resolve_extents
from einsum_cascade.cascade.interpreter import evaluate
from einsum_cascade.cascade.interpreter.inputs import check_inputs
from einsum_cascade.cascade.ir import Cascade
from einsum_cascade.cosim.accuracy import Accuracy, accuracy_of
from einsum_cascade.cosim.build import Build, Trace, build_design, trace_of
from einsum_cascade.cosim.host import run_host
from einsum_cascade.cosim.run import Run
from einsum_cascade.cosim.steps import STALLS, Compared, Step, StepResult, run_submission
from einsum_cascade.cosim.timing import MemoryTiming
from einsum_cascade.cosim.verilog import verilog_of
from einsum_cascade.cost.planning import plan_mapping
from einsum_cascade.mapping.ir import Mapping as Tree
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.program.lowering import Lowered
from einsum_cascade.program.memory import Roundings, rounded
from einsum_cascade.program.numbers import Numbers
from einsum_cascade.program.programs import division_of
from einsum_cascade.program.recognition import ArrayWork
from einsum_cascade.program.registers import ErrorCode, Waiting
from einsum_cascade.program.sequence import HostWork, Work
from einsum_cascade.program.shape import ArrayShape
from einsum_cascade.rtl.top import design_ports
from einsum_cascade.sim.timing import CycleTrace

__all__ = ["CosimResult", "Prepared", "build_array", "hierarchical_modules", "prepare", "simulate"]

_HIERARCHICAL_FROM = 12
"""Rows from which the parts of the array are compiled once for all, which builds several times faster."""

_FLAT_FROM_CYCLES = 1_000_000
"""Cycles from which a flat build pays however large the array is: its run saves more than its build takes. Measured at
16 x 16: 185 s more of build, 0.2 ms less for a cycle."""

_HIERARCHICAL = ("pe", "vector_lane", "row_feeder", "column_top")


type Tensors = Mapping[str, NDArray[Any]]
"""Tensors by name."""

type Execute = Callable[[int, Tensors], NDArray[np.float32] | None]
"""Gives the results of a program, (H, F, P), from its number and all tensors that are there; None ends a run."""

type Judge = Callable[[Sequence[Step], Tensors, Mapping[str, NDArray[np.float32]]], None]
"""Gets the programs of a work, the tensors that were there, and what was made of them."""


@dataclass(frozen=True)
class Prepared:
    """A cascade ready to run on an array.

    Parameters
    ----------
    cascade
        The cascade.
    steps
        Its programs, in the order in which they run, all for one array.
    extents
        Of all ranks.
    works
        What the array and the host do, in the order in which they do it.
    saturates
        Whether what is beyond the operand format becomes its greatest number, in place of infinite or NaN.
    reasons
        Of programs that were to run in one submission, why results that they read go through the host, by name.

    """

    cascade: Cascade
    steps: tuple[Step, ...]
    extents: Mapping[str, int]
    works: tuple[Work, ...]
    saturates: bool = False
    reasons: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def host_works(self) -> tuple[HostWork, ...]:
        """What the host does."""
        return tuple(work for work in self.works if isinstance(work, HostWork))

    @property
    def submissions(self) -> int:
        """How many times the host prepares a memory, starts programs on it, and reads what they made."""
        return len({step.submission for step in self.steps})

    def submission_of(self, number: int) -> range:
        """Return the numbers of the steps that run on one memory from this one on."""
        own = self.steps[number].submission
        end = next((at for at in range(number, len(self.steps)) if self.steps[at].submission != own), len(self.steps))
        return range(number, end)

    @property
    def shape(self) -> ArrayShape:
        """The array."""
        return self.steps[0].lowered.program.shape

    @property
    def lowered(self) -> Lowered:
        """The program and its schedule, of a cascade that is one program."""
        (step,) = self.steps
        return step.lowered

    def stored(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return tensors rounded to the operands of the array; what it does not read stays as it is."""
        form, read = self.shape.numbers.operand, self._operands
        return {
            name: rounded(np.asarray(values), form, saturates=self.saturates) if name in read else np.asarray(values)
            for name, values in inputs.items()
        }

    def roundings(self, tensors: Mapping[str, NDArray[Any]]) -> Roundings:
        """Return what `stored` does to tensors."""
        form, after = self.shape.numbers.operand, self.stored(tensors)
        read = (name for name in tensors if name in self._operands)
        return sum((Roundings.of(np.asarray(tensors[name]), after[name], form) for name in read), Roundings())

    @cached_property
    def _operands(self) -> frozenset[str]:
        """What the array reads; what only filters or the host read are numbers of the host."""
        return frozenset(
            operand.tensor
            for work in self._array_works
            for operand in (work.query, work.key, work.value, work.weight)
            if operand is not None
        )

    def operands(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the operands of the array from the inputs of a cascade that is one program."""
        (step,) = self.steps
        return step.operands(self.stored(inputs))

    def run(
        self,
        stored: Mapping[str, NDArray[Any]],
        execute: Execute,
        judge: Judge | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Return the tensors that programs and host make, one after the other; those after read what those before made.

        Parameters
        ----------
        stored
            The inputs of the cascade, of the operand format.
        execute
            Gives the results of a program.
        judge
            Is told of every work of the array, if given.

        Raises
        ------
        EvaluationError
            The host divides by a sum over nothing.

        """
        exact, tensors, made = {**stored}, {**stored}, dict[str, NDArray[Any]]()
        makers = {operand.tensor: work for work in self._array_works for operand in work.results}
        for work in self.works:
            if isinstance(work, HostWork):
                found = run_host(work, exact, makers, self.extents)
            else:
                found = self._run_array(work, tensors, execute, judge)
            if found is None:
                break
            made |= found
            exact |= found
            tensors |= self.stored(found)
        return made

    def _run_array(
        self,
        work: ArrayWork,
        tensors: Mapping[str, NDArray[Any]],
        execute: Execute,
        judge: Judge | None,
    ) -> dict[str, NDArray[np.float32]] | None:
        """Return what the programs of a work make; None if one did not end well."""
        programs = [(number, step) for number, step in enumerate(self.steps) if step.work is work]
        step = programs[0][1]
        room = step.empty_results()
        for number, each in programs:
            output = execute(number, tensors)
            if output is None:
                return None
            each.place(room, output)
        found = step.tensors(room)
        if judge is not None:
            judge([each for _, each in programs], tensors, found)
        return found

    @property
    def _array_works(self) -> tuple[ArrayWork, ...]:
        return tuple(work for work in self.works if isinstance(work, ArrayWork))

    @property
    def schedule_cycles(self) -> int:
        """Cycles of the schedules of all programs."""
        return sum(step.schedule_cycles for step in self.steps)


@dataclass(frozen=True)
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
        return {name: sum(step.stalls[name] for step in self.steps) for name in STALLS}

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


def prepare(
    cascade: Cascade,
    architecture: Architecture,
    extents: Mapping[str, int],
    numbers: Numbers | None = None,
    mapping: Tree | None = None,
    inputs: Mapping[str, NDArray[Any]] | None = None,
    *,
    is_strict: bool = False,
    saturates: bool = False,
    is_chained: bool = False,
) -> Prepared:
    """Return the programs of a cascade on an architecture's array.

    Parameters
    ----------
    cascade
        The cascade.
    architecture
        With an array of PEs that hold contexts, such as `fusemax-8x8`.
    extents
        Of the ranks, but for those that depend on others.
    numbers
        The number formats of the array.
    mapping
        Says which keys and values stay in the buffer; if not given, all do where they fit, else blocks of them.
    inputs
        What filters read, by name. Heads whose masks differ are programs of their own.
    is_strict
        Whether the array must do all of the cascade; if not, the host does what is in no kernel.
    saturates
        Whether what is beyond the operand format becomes its greatest number, in place of infinite or NaN.
    is_chained
        Whether results that only programs read stay in the array's memory where they can, and programs between which
        the host has nothing to do run in one submission.

    Raises
    ------
    EvaluationError
        Extents are missing, or contradict one another.
    IllegalMappingError
        The array cannot do any Einsum, or not all if it must, or the filter, or a rank has no coordinate.
    InfeasibleMappingError
        The work does not fit the array.

    """
    extents = resolve_extents(cascade, extents)
    values = None if mapping is None else plan_mapping(Workload(cascade), architecture, [mapping], extents).values
    found = division_of(
        *(cascade, architecture, extents, numbers, mapping, values, inputs),
        is_strict=is_strict,
        is_chained=is_chained,
        saturates=saturates,
    )
    steps = (Step(each.work, each.lowered, extents, each.heads, each.submission, each.held) for each in found.programs)
    return Prepared(cascade, tuple(steps), extents, found.works, saturates, found.reasons)


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
