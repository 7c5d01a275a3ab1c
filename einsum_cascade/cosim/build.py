"""Builds of Verilog by Verilator, kept by content: what was built once is not built again.

Only the ports of the top are visible to the simulator's interface, which makes a run several times faster.
"""

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cocotb_tools.config import libs_dir, share_dir

from einsum_cascade.cosim.cache import cache_folder, is_whole, keep
from einsum_cascade.cosim.toolchain import Verilator, find_verilator, run_tool
from einsum_cascade.watching import stage

__all__ = ["Build", "Trace", "build_design", "trace_of"]

type Trace = Literal["vcd", "fst"]
"""A format of waveforms."""

_FLAGS = ("--x-assign", "fast", "--x-initial", "fast", "--noassert", "-Wno-fatal", "-O3")
_MAKE = ("CFG_CXXFLAGS_PCH_I=-include", "OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1")
"""The first: the wheel's makefiles name a header that they do not compile. -O1 builds and runs faster than more."""

_STAND_INS = Path(__file__).parent / "fst"
"""Headers with what Verilator's FST writer needs of LZ4 and zlib, whose own are on few systems."""
_EDGE = "VerilatedVpi::callTimedCbs();", "VerilatedVpi::callTimedCbs(); VerilatedVpi::doInertialPuts();"
"""A place in cocotb's main program, and what it becomes: an edge of the clock is there before the design is evaluated,
not after it was in vain, which halves the evaluations. What is called back, and in which order, stays the same."""
_EMPTY_ARCHIVE = "!<arch>\n"
"""A library of nothing, for Verilator's makefile links both."""


@dataclass(frozen=True, slots=True)
class Build:
    """A design that can be run.

    Parameters
    ----------
    program
        The simulator.
    verilator
        Its version.
    seconds
        What building took; 0 if it was there.

    """

    program: Path
    verilator: str
    seconds: float


def build_design(
    files: Mapping[str, str],
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    *,
    hierarchical: tuple[str, ...] = (),
    trace: Trace | None = None,
    driver: str = "",
) -> Build:
    """Build a design for cocotb, unless it was built before.

    Parameters
    ----------
    files
        Verilog by file name; the top module is `top`.
    inputs, outputs
        Ports of the top that the bench drives and reads.
    hierarchical
        Modules that are compiled once for all their instances.
    trace
        The waveforms that it can write.
    driver
        The text of a C++ program that drives the design, instead of cocotb.

    Raises
    ------
    ToolMissingError, ToolFailedError, CacheError
        Verilator or a compiler is missing or fails, or the cache cannot be used.

    """
    tool = find_verilator()
    options = (*_FLAGS, *_MAKE, *_EDGE, tool.version, sys.version, str(libs_dir), str(trace), driver, *hierarchical)
    parts = (*options, *inputs, "-", *outputs, *(part for item in sorted(files.items()) for part in item))
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]
    place = cache_folder() / "designs" / key
    program = place / "simulator"
    seconds = 0.0

    def make(folder: Path) -> None:
        nonlocal seconds
        start = time.perf_counter()
        work = folder / "work"
        work.mkdir()
        with stage("building the simulator"):
            _build(tool, files, (inputs, outputs), work, hierarchical, driver, trace)
        (work / "objects" / "Vtop").rename(folder / program.name)
        shutil.rmtree(work)
        seconds = time.perf_counter() - start

    keep(place, make)
    return Build(program, tool.version, seconds)


def trace_of(wave: Path) -> Trace:
    """Return the format of a file of waveforms, by its suffix.

    Raises
    ------
    ValueError
        It is neither.

    Examples
    --------
    >>> trace_of(Path("run.fst"))
    'fst'

    """
    match wave.suffix:
        case ".vcd":
            return "vcd"
        case ".fst":
            return "fst"
        case _:
            raise ValueError(f"a file of waveforms must end in .fst or .vcd, not {str(wave)!r}")


def _build(
    tool: Verilator,
    files: Mapping[str, str],
    ports: tuple[tuple[str, ...], tuple[str, ...]],
    draft: Path,
    hierarchical: tuple[str, ...],
    driver: str,
    trace: Trace | None,
) -> None:
    for name, text in files.items():
        (draft / name).write_text(text)
    (draft / "ports.vlt").write_text(_visible(*ports, hierarchical))
    command = [tool.program, "--cc", "--exe", "--vpi", "--timescale", "1ns/1ps", "--top-module", "top"]
    command += ["--prefix", "Vtop", "--Mdir", "objects", *_FLAGS]
    command += ["--hierarchical"] if hierarchical else []
    command += [f"--trace-{trace}", "--trace-structs"] if trace else []
    if trace == "fst":
        command += ["-CFLAGS", "-I..", "-LDFLAGS", "-L.."]
        for header, library in (("lz4.h", "liblz4.a"), ("zlib.h", "libz.a")):
            shutil.copy(_STAND_INS / header, draft)
            (draft / library).write_text(_EMPTY_ARCHIVE)
    (draft / "driver.cpp").write_text(driver or _cocotb_driver())
    if not driver:
        command += ["-LDFLAGS", f"-Wl,-rpath,{libs_dir} -L{libs_dir} -lcocotbvpi_verilator"]
    command += ["ports.vlt", *sorted(files), "driver.cpp"]
    run_tool(command, tool.environment, draft)
    makefile = "Vtop_hier.mk" if hierarchical else "Vtop.mk"
    objects = draft / "objects"
    kept = _Runtime(tool, trace)
    kept.restore(objects)
    run_tool(
        ["make", "-C", str(objects), "-f", makefile, *_MAKE, "-j", str(os.cpu_count() or 1)], tool.environment, draft
    )
    kept.save(objects)


def _cocotb_driver() -> str:
    """Return cocotb's main program, faster if it has the place that we know."""
    text = (Path(share_dir) / "lib" / "verilator" / "verilator.cpp").read_text()
    return text.replace(*_EDGE)


def _visible(inputs: tuple[str, ...], outputs: tuple[str, ...], hierarchical: tuple[str, ...]) -> str:
    lines = ["`verilator_config"]
    lines += [f'public_flat_rw -module "top" -var "{name}"' for name in inputs]
    lines += [f'public_flat_rd -module "top" -var "{name}"' for name in outputs]
    lines += [f'hier_block -module "{name}"' for name in hierarchical]
    return "\n".join(lines) + "\n"


class _Runtime:
    """Verilator's own objects, which are most of the build of a small design, kept from one build to the next."""

    def __init__(self, tool: Verilator, trace: Trace | None) -> None:
        key = hashlib.sha256("\0".join((*_MAKE, tool.version, sys.version, str(trace))).encode()).hexdigest()[:20]
        self.folder = cache_folder() / "runtime" / key

    def restore(self, objects: Path) -> None:
        if is_whole(self.folder):
            for file in self.folder.iterdir():
                shutil.copy(file, objects / file.name)  # copied now, hence newer than what it is made of

    def save(self, objects: Path) -> None:
        def make(folder: Path) -> None:
            for file in objects.glob("verilated*.o"):
                shutil.copy(file, folder / file.name)

        keep(self.folder, make)
