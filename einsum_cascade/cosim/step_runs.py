"""Programs on an array, one or several on one memory: the RTL in Verilator beside the model, on the same operands."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.array.memory import (
    memory_bytes,
    operand_bits,
    operand_values,
    rounded,
    store,
    unpack,
    unpack_operands,
)
from einsum_cascade.array.registers import WAITS, counters
from einsum_cascade.cosim.build import Build
from einsum_cascade.cosim.memory_timing import MemoryTiming, limit_of
from einsum_cascade.cosim.run import Case, Run, run_case
from einsum_cascade.lowering.steps import Step
from einsum_cascade.sim.program_values import Results, evaluate_program
from einsum_cascade.sim.timing import CycleTrace, MemoryModel, run_timing

__all__ = ["Compared", "StepResult", "run_step", "run_submission"]

_COUNTERS = *counters("corner"), *counters("array")
"""Registers that the model predicts."""


@dataclass(frozen=True)
class StepResult:
    """What the RTL and the model did with the same operands.

    Parameters
    ----------
    step
        What ran.
    memory
        How memory behaved.
    run
        How the run ended.
    output
        The RTL's results, (H, F, P) as `sim.program_values.Results` has them.
    mismatched
        How many of them differ from the model's in a bit.
    model
        The model's results.
    trace
        The model's times, on memory of this latency and bandwidth; random pauses are not in them.
    run_seconds
        Of the simulator.
    wave
        File that has the waveforms.

    """

    step: Step
    memory: MemoryTiming
    run: Run
    output: NDArray[np.float32]
    mismatched: int
    model: Results
    trace: CycleTrace
    run_seconds: float
    wave: Path | None

    @property
    def stalls(self) -> dict[str, int]:
        """Cycles that the array stood still, by what it waited for."""
        return {name: self.run.registers[f"stalls_{name}"] for name in WAITS}

    @property
    def model_cycles(self) -> int:
        """Cycles of the model: its own number, which it knows without the array.

        Random pauses of memory are the exception, for a model cannot know them: with these, it stands still as long as
        the array did.
        """
        trace = self.trace
        if self.memory.backpressure is None:
            return trace.cycles
        return trace.cycles - sum(trace.stalls.values()) + sum(self.stalls.values())

    @property
    def has_ended_well(self) -> bool:
        """Whether the array says that it is done, and reports no error."""
        return self.run.has_ended_well

    @property
    def differing_counters(self) -> dict[str, tuple[int, int]]:
        """What the model and the RTL count, by the name of the register, where they differ.

        With random pauses, which a model cannot know, it predicts only the cycles and the words without keys.
        """
        trace = self.trace
        model = {"cycles": self.model_cycles, "empty_columns": self.model.empty_columns}
        if self.memory.backpressure is None:
            model |= {name: getattr(trace, name) for name in _COUNTERS if name not in model}
        registers = self.run.registers
        return {name: (count, registers[name]) for name, count in model.items() if registers[name] != count}

    @property
    def is_agreed(self) -> bool:
        """Whether RTL and model agree in every bit and every counter, and the array says that it is done."""
        return self.has_ended_well and not self.mismatched and not self.differing_counters

    def to_json(self) -> dict[str, Any]:
        """Return the kernel, what heads of which tensors it makes, and its cycles, as plain values."""
        work, registers = self.step.work, self.run.registers
        return {
            "kernel": work.kernel.name,
            "outputs": [operand.tensor for operand in work.results],
            "heads": [self.step.heads.start, self.step.heads.stop],
            "is_whole": self.step.is_whole,
            "submission": self.step.submission,
            "cycles": {
                "schedule": self.step.cycles,
                "model": self.model_cycles,
                "rtl": registers["cycles"],
                "total": registers["total_cycles"],
            },
            "without_keys": self.step.queries_without_keys,
            "zero_sums": self.model.zero_sums,
            "differing_counters": {
                name: {"model": model, "rtl": rtl} for name, (model, rtl) in self.differing_counters.items()
            },
        } | ({"wave": str(self.wave)} if self.wave else {})


def run_step(
    step: Step, build: Build, tensors: Mapping[str, NDArray[Any]], memory: MemoryTiming, wave: Path | None
) -> StepResult:
    """Run the RTL of a design and the model on the same operands, for a step that is alone on its memory.

    Parameters
    ----------
    step
        What runs.
    build
        The design.
    tensors
        What the program reads, by name, of the operand format.
    memory
        How memory behaves.
    wave
        File that gets the waveforms; the design must be built for its format.

    Raises
    ------
    EvaluationError
        A score that is given is not finite.
    ToolMissingError, ToolFailedError
        A tool is missing or fails.

    """
    (found,) = run_submission([step], build, tensors, memory, wave)
    return found(tensors)


type Compared = Callable[[Mapping[str, NDArray[Any]]], StepResult]
"""Gives what a step and its model did, from all that the step reads, by name."""


def run_submission(
    steps: Sequence[Step], build: Build, tensors: Mapping[str, NDArray[Any]], memory: MemoryTiming, wave: Path | None
) -> list[Compared]:
    """Run the RTL of a design for steps on one memory, one after the other; the host only starts them.

    Parameters and what is raised are those of `run_step`; `tensors` has what the steps do not leave to each other.

    Returns
    -------
    list
        What gives the result of each step, up to the first that did not end well.

    """
    programs = [step.lowered.program for step in steps]
    content = np.zeros(max(map(memory_bytes, programs)), np.uint8)
    for step, program in zip(steps, programs, strict=True):
        store(content, program, step.operands(tensors, step.held))
    traces = [run_timing(program, MemoryModel(memory.latency_cycles, memory.rate)) for program in programs]
    first, *following = (
        replace(
            Case.of(program, content, memory, limit_of(program, trace.total_cycles, memory)),
            expected_cycles=trace.total_cycles,
        )
        for program, trace in zip(programs, traces, strict=True)
    )
    found = run_case(build, replace(first, following=(*following,)), wave)
    seconds = found.seconds / len(found.runs)

    def result_of(number: int, step: Step, run: Run) -> Compared:
        def result(tensors: Mapping[str, NDArray[Any]]) -> StepResult:
            model = evaluate_program(step.lowered.program, step.operands(tensors))
            output, is_other = _results(step, model.output, found.memory)
            mismatched = int(is_other.sum())
            return StepResult(step, memory, run, output, mismatched, model, traces[number], seconds, wave)

        return result

    return [result_of(number, *own) for number, own in enumerate(zip(steps, found.runs, strict=False))]


def _results(
    step: Step, expected: NDArray[np.float32], memory: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the results in a memory, and which differ from those that are expected.

    Of those that left as operands, what they were before they were rounded is not known; where they are as expected,
    that is what they were.
    """
    program, form = step.lowered.program, step.lowered.program.shape.numbers.operand
    if not program.has_operand_rows:
        output = unpack(program, memory)
        return output, output.view(np.uint32) != expected.view(np.uint32)
    found = unpack_operands(program, memory)
    is_other = found != operand_bits(rounded(expected, form, saturates=program.saturates), form)
    return np.where(is_other, operand_values(found, form), expected), is_other
