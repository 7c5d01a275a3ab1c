"""Run a program on the simulated array: a case is written down, the simulator started, and its findings read back."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import find_libpython
import numpy as np
from cocotb_tools.config import libs_dir, pygpi_entry_point
from numpy.typing import NDArray

from einsum_cascade.array.instruction import encode
from einsum_cascade.array.program import Program
from einsum_cascade.cosim.build import Build
from einsum_cascade.cosim.memory_timing import MemoryTiming, limit_of
from einsum_cascade.errors import ToolFailedError, ToolMissingError
from einsum_cascade.sim.timing import MemoryModel, run_timing
from einsum_cascade.watching import is_watched, tell

__all__ = ["Case", "Run", "RunResult", "run_case"]

_CYCLES = "cycles"
"""What a run is told to be far in."""

_LOOK_S = 0.5
"""Seconds between two looks at it."""


@dataclass(frozen=True)
class Case:
    """What is run.

    Parameters
    ----------
    registers
        Values by name.
    kernel
        The two words of every row.
    content
        Memory to begin with.
    memory
        How memory behaves.
    runs
        How often it is started, one after the other.
    spoilt
        Registers that have other values in the first run.
    limit_cycles
        After which the bench gives up on a run.
    expected_cycles
        Cycles that it takes by the model, to tell how far a run is; 0 if nobody said so.
    following
        Cases that run after it, each once, on the memory as the one before leaves it, unless that one did not end well.
        Of them, only registers, kernel and limit count.

    """

    registers: Mapping[str, int]
    kernel: tuple[tuple[int, int], ...]
    content: NDArray[np.uint8]
    memory: MemoryTiming = field(default_factory=MemoryTiming)
    runs: int = 1
    spoilt: Mapping[str, int] = field(default_factory=dict[str, int])
    limit_cycles: int = 1_000_000
    expected_cycles: int = 0
    following: tuple["Case", ...] = ()

    @staticmethod
    def of(
        program: Program,
        content: NDArray[np.uint8],
        memory: MemoryTiming | None = None,
        limit_cycles: int | None = None,
    ) -> "Case":
        """Return the case of a program, which may take several times as long as the model says, unless told."""
        kernel = tuple((encode(row.matrix), encode(row.vector)) for row in program.kernel)
        timing = memory or MemoryTiming()
        limit = limit_cycles
        if limit is None:
            model = MemoryModel(timing.latency_cycles, timing.rate)
            limit = limit_of(program, run_timing(program, model).total_cycles, timing)
        return Case(program.registers, kernel, content, timing, limit_cycles=limit)

    def loads(self) -> Iterator[dict[str, Any]]:
        """Yield what is loaded and started, one after the other, as plain values."""
        for number in range(self.runs):
            yield self._load({} if number else self.spoilt)
        for each in self.following:
            yield {**each._load({}), "follows": True}

    def _load(self, changed: Mapping[str, int]) -> dict[str, Any]:
        registers = {**self.registers, **changed}
        return {"registers": registers, "kernel": self.kernel, "limit_cycles": self.limit_cycles, "follows": False}


@dataclass(frozen=True)
class Run:
    """How one run of a case ended.

    Parameters
    ----------
    has_ended
        Whether the array said that it is done.
    registers
        What the array wrote.
    limit_cycles
        After which the bench would have given up, and has if the array did not say so.

    """

    has_ended: bool
    registers: Mapping[str, int]
    limit_cycles: int = 0

    @property
    def error(self) -> int:
        """The error code of the status."""
        return self.registers["status"] >> 8 & 0xFF

    @property
    def has_ended_well(self) -> bool:
        """Whether the array says that it is done, and reports no error."""
        return self.has_ended and not self.error

    @property
    def is_settled(self) -> bool:
        """Whether the next start would be taken."""
        return not self.registers["status"] & 4


@dataclass(frozen=True)
class RunResult:
    """What came of a case.

    Parameters
    ----------
    runs
        One after the other, up to one that did not end well and that others follow.
    memory
        Memory at the end.
    seconds
        Of the simulator.

    """

    runs: tuple[Run, ...]
    memory: NDArray[np.uint8]
    seconds: float


def run_case(build: Build, case: Case, wave: Path | None = None) -> RunResult:
    """Run a case on a built design.

    Parameters
    ----------
    build
        The design.
    case
        What is run.
    wave
        File that gets the waveforms; the design must be built for its format.

    Raises
    ------
    ToolMissingError
        This Python has no shared library, which the simulator needs.
    ToolFailedError
        The simulator ended without a result.

    """
    with tempfile.TemporaryDirectory(prefix="einsum-cascade-") as name:
        folder = Path(name)
        (folder / "memory.bin").write_bytes(case.content.tobytes())
        loads = [*case.loads()]
        plain = {"memory": asdict(case.memory), "loads": loads}
        (folder / "case.json").write_text(json.dumps(plain))
        start = time.perf_counter()
        _simulate(build, folder, wave, case.expected_cycles + sum(each.expected_cycles for each in case.following))
        seconds = time.perf_counter() - start
        statuses: list[dict[str, Any]] = json.loads((folder / "status.json").read_text())
        runs = tuple(
            Run(bool(status.pop("has_ended")), status, load["limit_cycles"])
            for status, load in zip(statuses, loads, strict=False)
        )
        return RunResult(runs, np.frombuffer((folder / "memory-after.bin").read_bytes(), np.uint8), seconds)


def _simulate(build: Build, folder: Path, wave: Path | None, expected_cycles: int) -> None:
    library = find_libpython.find_libpython()
    if library is None:
        raise ToolMissingError("libpython", "simulating needs a Python with a shared library (Debian: libpython3-dev)")
    environment = {
        **os.environ,
        "COCOTB_TEST_MODULES": "einsum_cascade.cosim.bench",
        "COCOTB_TOPLEVEL": "top",
        "TOPLEVEL_LANG": "verilog",
        "PYGPI_PYTHON_BIN": sys.executable,
        "GPI_USERS": f"{library};{pygpi_entry_point()}",
        "COCOTB_TRUST_INERTIAL_WRITES": "1",
        "COCOTB_RESULTS_FILE": str(folder / "results.xml"),
        "COCOTB_LOG_LEVEL": "WARNING",
        "PATH": os.pathsep.join([os.environ.get("PATH", ""), str(libs_dir)]),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONWARNINGS": "ignore",
        "EINSUM_CASCADE_CASE": str(folder),
    }
    command = [str(build.program)]
    if wave is not None:
        command += ["--trace", "--trace-file", str(wave.resolve())]
    if is_watched():
        environment["EINSUM_CASCADE_PROGRESS"] = str(folder / "cycle")
    with (folder / "output").open("w+") as output:
        with subprocess.Popen(command, env=environment, cwd=folder, stdout=output, stderr=output) as running:
            code = _awaited(running, folder / "cycle", expected_cycles)
        output.seek(0)
        said = output.read()
    if code or not (folder / "status.json").exists() or not (folder / "memory-after.bin").exists():
        raise ToolFailedError(build.program.name, code, said[-4000:])


def _awaited(running: subprocess.Popen[bytes], cycle: Path, expected_cycles: int) -> int:
    """Wait until the simulator has ended, tell how far it is meanwhile, and return its code."""
    try:
        while is_watched():
            try:
                return running.wait(_LOOK_S)
            except subprocess.TimeoutExpired:
                done = int(cycle.read_text()) if cycle.exists() else 0
                tell(_CYCLES, done, max(expected_cycles, done + 1) if expected_cycles else None)
        return running.wait()
    except BaseException:
        running.kill()
        raise
    finally:
        tell(_CYCLES, 1, 1)
