"""A driver of the array: loads a program, runs it and compares its results, over whatever reaches its registers.

It needs an object with `read32(offset)` and `write32(offset, value)` for the registers, and a buffer, which is the
memory that the array sees: bytes that are read and written as slices, `buffer[first:end]`.
"""

import time
from pathlib import Path
from typing import Any, Protocol

# Tables.
from einsum_cascade.handoff.register_tables import ERRORS, FIELDS, MAJOR, OFFSETS, WHO

# End of tables.

__all__ = ["Array", "ArrayError", "Bus", "read_pairs"]


class Bus(Protocol):
    """What reaches the registers, 32 bits at a byte offset."""

    def read32(self, offset: int) -> int:
        """Return a register."""
        ...

    def write32(self, offset: int, value: int) -> None:
        """Write a register."""
        ...


class ArrayError(Exception):
    """The array is not one that this driver knows, or a run ended with an error."""


def read_pairs(path: Path) -> list[tuple[int, int]]:
    """Return the pairs of words of a file, one a line: addresses and data."""
    words = [int(word, 16) for word in path.read_text(encoding="utf-8").split()]
    return list(zip(words[::2], words[1::2], strict=True))


class Array:
    """An array.

    Parameters
    ----------
    bus
        To its registers.
    buffer
        The memory that it sees, from address 0 on.
    base
        Of its registers on the bus.

    Raises
    ------
    ArrayError
        There is no such array, or one with another register map.

    """

    def __init__(self, bus: Bus, buffer: Any, base: int = 0) -> None:
        """Look whether it is there."""
        self.bus, self.buffer, self.base = bus, buffer, base
        if self.read("identity") != WHO:
            raise ArrayError(f"the register at {base:#x} must be the identity {WHO:#x}, not {self.read('identity'):#x}")
        if self.field("version", "major") != MAJOR:
            raise ArrayError(
                f"the register map must be of version {MAJOR}, not {self.field('version', 'major')}; use its driver"
            )

    def read(self, name: str) -> int:
        """Return a register."""
        return self.bus.read32(self.base + OFFSETS[name])

    def write(self, name: str, value: int) -> None:
        """Write a register."""
        self.bus.write32(self.base + OFFSETS[name], value & 0xFFFFFFFF)

    def field(self, name: str, field: str) -> int:
        """Return a field of a register."""
        low, bits = FIELDS[name][field]
        return self.read(name) >> low & ((1 << bits) - 1)

    def capabilities(self) -> dict[str, int]:
        """Return the sizes and the formats that the array says it has."""
        names = ("size", "depth", "steps", "tables", "formats")
        return {field: self.field(name, field) for name in names for field in FIELDS[name]}

    def load(self, writes: Path) -> None:
        """Write a program, from a file such as writes.hex."""
        for address, value in read_pairs(writes):
            self.bus.write32(self.base + address, value)

    def fill(self, memory: Path) -> None:
        """Fill the buffer from its beginning, from a file such as memory.hex: a beat a line, its last byte first."""
        content = b"".join(bytes.fromhex(line)[::-1] for line in memory.read_text(encoding="utf-8").split())
        self.buffer[0 : len(content)] = content

    def start(self) -> None:
        """Start a run."""
        self.write("control", 1)

    def wait(self, seconds: float = 60.0) -> None:
        """Wait until a run has ended, and clear its interrupt.

        Raises
        ------
        ArrayError
            It ended with an error, or not in time.

        """
        end = time.monotonic() + seconds
        while not self.field("status", "done"):
            if time.monotonic() > end:
                raise ArrayError(f"a run must end within {seconds} s; the array waits for {self.waiting()}")
        self.write("interrupt", 1)
        code = self.field("status", "error")
        if code:
            name, text = ERRORS.get(code, ("UNKNOWN", "This driver does not know it."))
            raise ArrayError(f"a run must end without an error, not with {name}: {text}")

    def waiting(self) -> list[str]:
        """Return what the array waited for when it last stood still."""
        return [name for name in FIELDS["waiting"] if self.field("waiting", name)]

    def differences(self, expected: Path) -> list[tuple[int, int, int]]:
        """Return the results that are not those of a file such as expected.hex: address, expected and found bits."""
        found: list[tuple[int, int, int]] = []
        for address, bits in read_pairs(expected):
            own = int.from_bytes(bytes(self.buffer[address : address + 4]), "little")
            if own != bits:
                found.append((address, bits, own))
        return found

    def run(self, folder: Path, step: str = "") -> list[tuple[int, int, int]]:
        """Run a program of a folder, and return the results that are not the expected ones.

        Parameters
        ----------
        folder
            Has writes.hex, memory.hex and expected.hex.
        step
            What stands before the suffix of their names, such as "-1", if there are several programs.

        """
        self.fill(folder / f"memory{step}.hex")
        self.load(folder / f"writes{step}.hex")
        self.start()
        self.wait()
        return self.differences(folder / f"expected{step}.hex")
