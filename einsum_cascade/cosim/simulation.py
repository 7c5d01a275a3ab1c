"""Simulate a cascade on an array: its RTL in Verilator beside the model, on the user's tensors."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.arch.ir import Architecture
from einsum_cascade.cascade.interpreter import evaluate
from einsum_cascade.cascade.ir import Cascade, Einsum
from einsum_cascade.cosim.build import Build, Trace, build_design, trace_of
from einsum_cascade.cosim.run import Case, Run, RunResult, run_case
from einsum_cascade.cosim.timing import MemoryTiming
from einsum_cascade.cosim.verilog import verilog_of
from einsum_cascade.cost.planning import plan_mapping
from einsum_cascade.errors import EvaluationError, IllegalMappingError
from einsum_cascade.mapping.ir import Mapping as Tree
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.program.kernel import MATRIX
from einsum_cascade.program.lowering import Lowered, extents_of, lower_program, sizes_of
from einsum_cascade.program.machine import shape_of
from einsum_cascade.program.memory import pack, rounded, unpack
from einsum_cascade.program.numbers import Numbers
from einsum_cascade.program.operands import from_array, to_array
from einsum_cascade.program.ordering import keeps_keys
from einsum_cascade.program.recognition import ArrayWork, recognise
from einsum_cascade.program.registers import ErrorCode, Waiting
from einsum_cascade.program.shape import ArrayShape
from einsum_cascade.rtl.top import design_ports
from einsum_cascade.sim.timing import CycleTrace, MemoryModel, run_timing
from einsum_cascade.sim.values import Results, evaluate_program

__all__ = ["HIERARCHICAL", "CosimResult", "Prepared", "build_array", "prepare", "simulate"]

_HIERARCHICAL_FROM = 8
"""Rows from which the parts of the array are compiled once for all, which builds several times faster."""

HIERARCHICAL = ("pe", "vector_lane", "row_feeder", "column_top")

_STEP = 64

_COUNTERS = "total_cycles", "stalls_keys", "stalls_queries", "stalls_drain", "matrix_busy", "vector_busy"
"""Registers that the model predicts, beside `cycles`; a trace has them under the same names."""


@dataclass(frozen=True)
class Prepared:
    """A cascade ready to run on an array.

    Parameters
    ----------
    cascade
        The cascade.
    work
        What of it the array does.
    lowered
        The program and its schedule.
    extents
        Of all ranks.

    """

    cascade: Cascade
    work: ArrayWork
    lowered: Lowered
    extents: Mapping[str, int]

    @property
    def shape(self) -> ArrayShape:
        """The array."""
        return self.lowered.program.shape

    @property
    def queries(self) -> int:
        """Queries of a head, or columns of the scores that are given."""
        return sizes_of(self.work, self.extents)[self.work.columns]

    def stored(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """Return the inputs of the cascade rounded to the operands of the array."""
        return {name: rounded(np.asarray(values), self.shape.numbers.operand) for name, values in inputs.items()}

    def operands(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the operands of the array, `program.operands.to_array`, from the inputs of the cascade."""
        return to_array(self.work, self.stored(inputs), self.shape.columns)

    @cached_property
    def schedule_cycles(self) -> int:
        """Cycles of the schedule, from the first instruction to the last lane having done the last."""
        tiles = sum(1 for _ in self.lowered.program.tiles())
        return int(self.lowered.schedule.cycles(tiles)) + self.shape.depth_cycles


@dataclass(frozen=True)
class CosimResult:
    """What the RTL and the model did with the same tensors.

    Parameters
    ----------
    prepared
        What ran.
    build
        The design.
    memory
        How memory behaved.
    run
        How the run ended.
    output
        The RTL's, as the cascade's output.
    compared, mismatched
        Results, and how many of them differ from the model's in a bit.
    rounded
        Inputs that are no operands of the array and were rounded.
    max_abs_error, max_rel_error
        Against the float64 interpreter on the rounded inputs; None where that has no value.
    model
        The model's results.
    run_seconds
        Of the simulator.

    """

    prepared: Prepared
    build: Build
    memory: MemoryTiming
    run: Run
    output: NDArray[np.float32]
    compared: int
    mismatched: int
    rounded: int
    max_abs_error: float | None
    max_rel_error: float | None
    model: Results
    run_seconds: float

    @property
    def stalls(self) -> dict[str, int]:
        """Cycles that the array stood still, by what it waited for."""
        return {name: self.run.registers[f"stalls_{name}"] for name in ("keys", "queries", "drain")}

    @cached_property
    def trace(self) -> CycleTrace:
        """The model's times, on memory of this latency and bandwidth; random pauses are not in them."""
        return run_timing(self.prepared.lowered.program, MemoryModel(self.memory.latency_cycles, self.memory.rate))

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
    def is_agreed(self) -> bool:
        """Whether RTL and model agree in every bit and every cycle, and the array says that it is done.

        Without random pauses, that is so for each of the counters and for the cycles from start to done.
        """
        registers, trace = self.run.registers, self.trace
        is_timed = registers["cycles"] == self.model_cycles
        if self.memory.backpressure is None:
            is_timed = is_timed and all(registers[name] == getattr(trace, name) for name in _COUNTERS)
        is_counted = registers["empty_columns"] == self.model.empty_columns
        return self.run.has_ended and not self.run.error and not self.mismatched and is_timed and is_counted

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values."""
        registers, shape = self.run.registers, self.prepared.shape
        cycles = max(1, registers["cycles"])
        waits = [wait.name.lower() for wait in Waiting if registers["waiting"] & wait]
        program, queries = self.prepared.lowered.program, self.prepared.queries
        return {
            "verilator": self.build.verilator,
            "rows": shape.rows,
            "columns": shape.columns,
            "status": {"error": ErrorCode(self.run.error).name.lower(), "waiting": waits if self.run.error else []},
            "cycles": {
                "schedule": self.prepared.schedule_cycles,
                "model": self.model_cycles,
                "rtl": registers["cycles"],
                "total": registers["total_cycles"],
            },
            "values": {
                "compared": self.compared,
                "mismatched": self.mismatched,
                "rounded": self.rounded,
                "max_abs_error": self.max_abs_error,
                "max_rel_error": self.max_rel_error,
                "empty": registers["empty_columns"],
            },
            "util_2d": registers["matrix_busy"] / cycles,
            "util_1d": registers["vector_busy"] / cycles,
            "occupied_rows": program.keys / (program.key_tiles * shape.rows),
            "occupied_columns": queries / (-(-queries // shape.columns) * shape.columns),
            "stalls": self.stalls,
            "build_s": self.build.seconds,
            "run_s": self.run_seconds,
        }


def prepare(
    cascade: Cascade,
    architecture: Architecture,
    extents: Mapping[str, int],
    numbers: Numbers | None = None,
    mapping: Tree | None = None,
) -> Prepared:
    """Return the program of a cascade on an architecture's array.

    Parameters
    ----------
    cascade
        The cascade.
    architecture
        With an array of PEs that hold contexts, such as `fusemax-8x8`.
    extents
        Of all ranks.
    numbers
        The number formats of the array.
    mapping
        Says whether keys and values stay in the buffer; if not given, they do where they fit.

    Raises
    ------
    IllegalMappingError
        The array cannot do an Einsum, or the filter.
    InfeasibleMappingError
        The work does not fit the array.

    """
    work = recognise(cascade)
    if "sigmoid" in work.tasks:
        numbers = _with_sigmoid(work.tasks["sigmoid"], numbers or Numbers())
    sizes = sizes_of(work, extents)
    array = architecture.engine(MATRIX)
    # Scores that are given are products with the identity of as many columns as the array has.
    steps = sizes[work.steps] if work.steps else 1 if array is None else array.columns
    outputs = sizes[work.outputs] if work.outputs else 1
    shape = shape_of(
        architecture,
        numbers,
        product_steps=-(-steps // _STEP) * _STEP,
        output_steps=-(-outputs // _STEP) * _STEP,
    )
    is_resident = None
    if mapping is not None:
        values = plan_mapping(Workload(cascade), architecture, [mapping], extents).values
        is_resident = keeps_keys(work, mapping, values, shape)
    lowered = lower_program(work, extents_of(work, extents, shape), shape, is_resident=is_resident)
    return Prepared(cascade, work, lowered, extents)


def _with_sigmoid(einsum: Einsum, numbers: Numbers) -> Numbers:
    if numbers.multiplier != "wide":
        raise IllegalMappingError(
            [
                f"the array must do the sigmoid of {einsum} on its wide multiplier, but has the {numbers.multiplier} "
                "one; use the wide one (--multiplier wide)"
            ]
        )
    return replace(numbers, has_sigmoid=True)


def build_array(shape: ArrayShape, trace: Trace | None = None) -> Build:
    """Return the built RTL of an array."""
    hierarchical = HIERARCHICAL if shape.rows >= _HIERARCHICAL_FROM and trace is None else ()
    inputs, outputs = design_ports(shape)
    return build_design(verilog_of(shape), inputs, outputs, hierarchical=hierarchical, trace=trace)


def simulate(
    prepared: Prepared,
    inputs: Mapping[str, NDArray[Any]],
    memory: MemoryTiming | None = None,
    wave: Path | None = None,
) -> CosimResult:
    """Run the RTL and the model on the same tensors.

    Parameters
    ----------
    prepared
        What runs.
    inputs
        The inputs of the cascade, by name.
    memory
        How memory behaves.
    wave
        File that gets the waveforms, .fst or .vcd.

    Raises
    ------
    ValueError
        The file of waveforms has another suffix.
    ToolMissingError, ToolFailedError
        A tool is missing or fails.

    """
    program, stored = prepared.lowered.program, prepared.stored(inputs)
    inexact = sum(int((stored[name] != np.asarray(values)).sum()) for name, values in inputs.items())
    operands = prepared.operands(stored)
    model = evaluate_program(program, operands)
    build = build_array(prepared.shape, trace_of(wave) if wave else None)
    timing = memory or MemoryTiming()
    result = run_case(build, Case.of(program, pack(program, operands), timing), wave)
    sizes = sizes_of(prepared.work, prepared.extents)
    output, modelled = (from_array(prepared.work, own, sizes) for own in (unpack(program, result.memory), model.output))
    errors = _errors(prepared, stored, output)
    is_equal = output.view(np.uint32) == modelled.view(np.uint32)
    return CosimResult(
        prepared,
        build,
        timing,
        _only(result),
        output,
        output.size,
        int((~is_equal).sum()),
        inexact,
        *errors,
        model,
        result.seconds,
    )


def _only(result: RunResult) -> Run:
    (run,) = result.runs
    return run


def _errors(
    prepared: Prepared, inputs: Mapping[str, NDArray[Any]], output: NDArray[np.float32]
) -> tuple[float | None, float | None]:
    """Return the largest absolute error, and the largest relative to the largest value."""
    try:
        (exact,) = evaluate(prepared.cascade, inputs, prepared.extents).values()
    except EvaluationError:  # a row without a key has no value
        return None, None
    if not np.isfinite(exact).all() or not exact.size:
        return None, None
    error = float(np.abs(output - exact).max())
    largest = float(np.abs(exact).max())
    return error, error / largest if largest else None
