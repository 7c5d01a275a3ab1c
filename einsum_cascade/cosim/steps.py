"""One program on an array: its RTL in Verilator beside the model, on the same operands."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.cosim.build import Build
from einsum_cascade.cosim.run import Case, Run, run_case
from einsum_cascade.cosim.timing import MemoryTiming
from einsum_cascade.program.lowering import Lowered, sizes_of
from einsum_cascade.program.memory import pack, unpack
from einsum_cascade.program.operands import from_array, to_array
from einsum_cascade.program.recognition import ArrayWork
from einsum_cascade.sim.timing import CycleTrace, MemoryModel, run_timing
from einsum_cascade.sim.values import Results, evaluate_program

__all__ = ["STALLS", "Step", "StepResult", "run_step"]

STALLS = "keys", "queries", "drain"

_COUNTERS = "total_cycles", "stalls_keys", "stalls_queries", "stalls_drain", "matrix_busy", "vector_busy"
"""Registers that the model predicts, beside `cycles`; a trace has them under the same names."""


@dataclass(frozen=True)
class Step:
    """One program of a cascade, ready to run.

    Parameters
    ----------
    work
        What of the cascade it does.
    lowered
        The program and its schedule.
    extents
        Of all ranks.

    """

    work: ArrayWork
    lowered: Lowered
    extents: Mapping[str, int]

    @property
    def queries(self) -> int:
        """Queries of a head, or columns of the scores that are given."""
        return sizes_of(self.work, self.extents)[self.work.columns]

    def operands(self, stored: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the operands of the array, `program.operands.to_array`, from tensors of the operand format."""
        program = self.lowered.program
        return to_array(self.work, stored, program.shape.columns, program.keys)

    def results(self, output: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Return the tensors that the results of the array are, by name."""
        return from_array(self.work, output, sizes_of(self.work, self.extents))

    @cached_property
    def schedule_cycles(self) -> int:
        """Cycles of the schedule, from the first instruction to the last lane having done the last."""
        program = self.lowered.program
        tiles = sum(1 for _ in program.tiles())
        return int(self.lowered.schedule.cycles(tiles)) + program.shape.depth_cycles


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
    outputs
        The RTL's, as the tensors that the program makes, by name.
    mismatched
        How many of its elements differ from the model's in a bit.
    model
        The model's results.
    run_seconds
        Of the simulator.
    wave
        File that has the waveforms.

    """

    step: Step
    memory: MemoryTiming
    run: Run
    outputs: Mapping[str, NDArray[np.float32]]
    mismatched: int
    model: Results
    run_seconds: float
    wave: Path | None

    @property
    def stalls(self) -> dict[str, int]:
        """Cycles that the array stood still, by what it waited for."""
        return {name: self.run.registers[f"stalls_{name}"] for name in STALLS}

    @cached_property
    def trace(self) -> CycleTrace:
        """The model's times, on memory of this latency and bandwidth; random pauses are not in them."""
        return run_timing(self.step.lowered.program, MemoryModel(self.memory.latency_cycles, self.memory.rate))

    @property
    def model_cycles(self) -> int:
        """Cycles of the model: its own number, which it knows without the array.

        Random pauses of memory are the exception, for a model cannot know them: with these, it stands still as long as
        the array did.
        """
        trace = self.trace
        if self.memory.backpressure is None:
            return trace.cycles
        own = trace.stalls_keys + trace.stalls_queries + trace.stalls_drain
        return trace.cycles - own + sum(self.stalls.values())

    @property
    def has_ended_well(self) -> bool:
        """Whether the array says that it is done, and reports no error."""
        return self.run.has_ended and not self.run.error

    @property
    def is_agreed(self) -> bool:
        """Whether RTL and model agree in every bit and every cycle, and the array says that it is done.

        Without random pauses, that is so for each of the counters and for the cycles from start to done.
        """
        registers, trace = self.run.registers, self.trace
        is_timed = registers["cycles"] == self.model_cycles
        if self.memory.backpressure is None:
            is_timed = is_timed and all(registers[name] == getattr(trace, name) for name in _COUNTERS)
        is_counted = registers["empty_columns"] == self.model.empty_columns
        return self.has_ended_well and not self.mismatched and is_timed and is_counted

    def to_json(self) -> dict[str, Any]:
        """Return the kernel, the tensors that it makes, and its cycles, as plain values."""
        work, registers = self.step.work, self.run.registers
        return {
            "kernel": work.kernel.name,
            "outputs": [operand.tensor for operand in work.results],
            "cycles": {
                "schedule": self.step.schedule_cycles,
                "model": self.model_cycles,
                "rtl": registers["cycles"],
                "total": registers["total_cycles"],
            },
        } | ({"wave": str(self.wave)} if self.wave else {})


def run_step(
    step: Step, build: Build, tensors: Mapping[str, NDArray[Any]], memory: MemoryTiming, wave: Path | None
) -> StepResult:
    """Run the RTL of a design and the model on the same operands.

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
    program, operands = step.lowered.program, step.operands(tensors)
    model = evaluate_program(program, operands)
    found = run_case(build, Case.of(program, pack(program, operands), memory), wave)
    (run,) = found.runs
    outputs, modelled = (step.results(own) for own in (unpack(program, found.memory), model.output))
    differ = (outputs[name].view(np.uint32) != values.view(np.uint32) for name, values in modelled.items())
    mismatched = sum(int(each.sum()) for each in differ)
    return StepResult(step, memory, run, outputs, mismatched, model, found.seconds, wave)
