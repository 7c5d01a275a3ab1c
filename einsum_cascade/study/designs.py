"""The report of `rtl`, and the files of a design: Verilog, programs, and what runs them elsewhere."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.array.listing import to_text
from einsum_cascade.array.memory import memory_bytes
from einsum_cascade.array.numbers import OPERANDS, Multiplier, Numbers
from einsum_cascade.cosim.memory_timing import MemoryTiming, limit_of
from einsum_cascade.cosim.verilog import verilog_of
from einsum_cascade.errors import UsageError
from einsum_cascade.formats import parse_format
from einsum_cascade.handoff.folder import IMAGES, handoff_files
from einsum_cascade.handoff.images import Images, images_of
from einsum_cascade.interpreter import random_inputs
from einsum_cascade.interpreter.inputs import as_real
from einsum_cascade.lowering.prepared import Prepared
from einsum_cascade.rtl.manifest import WAIVERS, manifest_of
from einsum_cascade.rtl.top import design_files
from einsum_cascade.sim.program_values import evaluate_program
from einsum_cascade.sim.timing import MemoryModel, run_timing
from einsum_cascade.study.files import write_whole
from einsum_cascade.study.report import Report
from einsum_cascade.study.tables import Note, Table

__all__ = [
    "ProgramInterval",
    "RtlReport",
    "drawn_inputs",
    "host_lines",
    "numbers_of",
    "report_of_design",
    "write_design",
]


@dataclass(frozen=True, slots=True)
class ProgramInterval:
    """The schedule of a program: what it makes, cycles from tile to tile, and whether that is proved to be best."""

    output: str
    interval_cycles: float
    proof: str


@dataclass(frozen=True, repr=False)
class RtlReport(Report):
    """A design that was written.

    Parameters
    ----------
    cascade, architecture
        What it is for.
    rows, columns, stages, contexts
        Of the array.
    programs
        In the order in which they run.
    host
        What the host does, as plain values.
    sentences
        Likewise, in words.
    files
        By what they are, the paths that were written.

    """

    kind: ClassVar[str] = "rtl"

    cascade: str
    architecture: str
    rows: int
    columns: int
    stages: int
    contexts: int
    programs: tuple[ProgramInterval, ...]
    host: tuple[Mapping[str, Any], ...]
    sentences: tuple[str, ...]
    files: Mapping[str, str]

    @property
    def headline(self) -> str:
        """The array."""
        return f"{self.rows} x {self.columns} PEs, {self.stages} stages, {self.contexts} contexts"

    def parts(self) -> tuple[Table | Note, ...]:
        """Return the array, its intervals, what the host does, and the files."""
        rows = tuple((each.output, each.interval_cycles, each.proof) for each in self.programs)
        table = Table("programs", "programs", ("makes", "cycles from tile to tile", "proof"), rows)
        host = (Note(line.strip(), 1 if line.startswith(" ") else 0) for line in self.sentences)
        return (Note(self.headline), table, *host, *(Note(path, 1) for path in self.files.values()))


def report_of_design(prepared: Prepared, architecture: str, files: Mapping[str, str]) -> RtlReport:
    """Return the report of a design that was written."""
    shape = prepared.shape
    schedules = {step.work.output.tensor: step.lowered.schedule for step in prepared.steps}
    return RtlReport(
        prepared.cascade.name,
        architecture,
        *(shape.rows, shape.columns, shape.stages, shape.contexts),
        tuple(ProgramInterval(name, float(each.interval), each.proof) for name, each in schedules.items()),
        tuple(work.to_json() for work in prepared.host_works),
        tuple(host_lines(prepared)),
        files,
    )


def numbers_of(operands: str, scores: str | None, multiplier: Multiplier | None, accumulation: str) -> Numbers:
    """Return number formats by their names: scores like operands, the narrowest multiplier that takes both.

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
        raise UsageError(f"operands, scores, multiplier, accumulation: {error}") from None


def host_lines(prepared: Prepared) -> list[str]:
    """Return what the host does, an Einsum a line, and why the array does not."""
    reasons = [reason for work in prepared.host_works for reason in work.reasons.values()]
    head = "The host does the rest in float64, in cycles that are not counted (--strict refuses that):"
    return [head, *(f"  {reason}" for reason in reasons)] if reasons else []


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
        files = design_files(prepared.shape, prefix) if prefix else verilog_of(prepared.shape)
    except ValueError as error:
        raise UsageError(f"prefix: {error}") from None
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
            write_whole(folder / name, text)
    except OSError as error:
        raise UsageError(f"output {str(folder)!r} must be a folder that can be written: {error.strerror}") from None
    return {name: str(folder / name) for name in everything}


_PAUSED = MemoryTiming(backpressure=0)
"""The memory of the bench that is written: it pauses at random."""

_NUMBERED = "program.txt", "program-*.txt", *(f"{what}{which}.hex" for what in IMAGES for which in ("", "-*"))
"""Files of which another work, with another number of programs, may have left some."""


def _handoff(prepared: Prepared, inputs: Mapping[str, NDArray[Any]], sources: list[str], prefix: str) -> dict[str, str]:
    """Return what runs the programs elsewhere; results are those of the model."""
    images: list[Images] = []
    programs = [step.lowered.program for step in prepared.steps]

    def execute(number: int, tensors: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        step = prepared.steps[number]
        program, operands = step.lowered.program, step.operands(tensors)
        output = evaluate_program(program, operands).output
        images.append(images_of(program, operands, output))
        return output

    prepared.run(prepared.stored(inputs), execute)
    limits = (limit_of(each, run_timing(each, MemoryModel()).total_cycles, _PAUSED) for each in programs)
    return handoff_files(images, sources, prefix, max(limits))
