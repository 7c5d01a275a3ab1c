"""Many short runs of a design in one process: a host and a memory in C++ that follow a script, scripted_host.cpp.

The script may be a file, or come line by line from an object that has a bus and a buffer, as the driver wants them.
"""

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from einsum_cascade.array.registers import KERNEL_OFFSET, offset_of
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.cosim.build import Build, build_design
from einsum_cascade.cosim.run import Case
from einsum_cascade.cosim.verilog import verilog_of
from einsum_cascade.rtl.top import design_ports

__all__ = ["SimulatedBus", "follow", "scripted", "writes_of"]

_DRIVER = Path(__file__).with_suffix(".cpp")
_BEAT_BYTES = 8


def scripted(shape: ArrayShape) -> Build:
    """Return a design with the host around it."""
    assert shape.beat_bytes == _BEAT_BYTES
    return build_design(verilog_of(shape), *design_ports(shape), driver=_DRIVER.read_text())


def writes_of(case: Case) -> list[tuple[int, int]]:
    """The address and the data of every write that a program takes, the start apart."""
    found = [(offset_of(name), value & 0xFFFFFFFF) for name, value in case.registers.items()]
    for number, words in enumerate(case.kernel):
        found += [(KERNEL_OFFSET + 8 * number + 4 * half, word) for half, word in enumerate(words)]
    return found


def follow(build: Build, case: Case, script: Sequence[str]) -> list[str]:
    """Run a script on a case, and return what it prints."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "memory").write_bytes(case.content.tobytes())
        (folder / "program").write_text("".join(f"{address} {data}\n" for address, data in writes_of(case)))
        (folder / "script").write_text("\n".join(script) + "\n")
        files = [str(folder / name) for name in ("memory", "program", "script")]
        command = [str(build.program), *files]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


class SimulatedBus:
    """A running simulation with `read32`, `write32`, and a memory that is read and written as slices."""

    def __init__(self, build: Build, folder: Path, memory_bytes: int) -> None:
        (folder / "memory").write_bytes(bytes(memory_bytes))
        (folder / "program").write_text("")
        command = [str(build.program), str(folder / "memory"), str(folder / "program")]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for line in ("arm 0 4", "after", "memory"):
            self._tell(line)

    def _tell(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def _ask(self, line: str) -> str:
        self._tell(line)
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def read32(self, offset: int) -> int:
        return int(self._ask(f"read {offset}"))

    def write32(self, offset: int, value: int) -> None:
        self._tell(f"write {offset} {value}")

    def __setitem__(self, place: slice, content: bytes) -> None:
        self._tell(f"poke {place.start} {content.hex()}")

    def __getitem__(self, place: slice) -> bytes:
        return bytes.fromhex(self._ask(f"peek {place.start} {place.stop - place.start}"))

    def close(self) -> None:
        self.process.communicate()
