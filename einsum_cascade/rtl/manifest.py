"""What is written down beside generated Verilog: what it was made from, and digests that tell whether it still is."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from einsum_cascade import __version__
from einsum_cascade.program.instruction import encode
from einsum_cascade.program.ir import Program

__all__ = ["WAIVERS", "manifest_of"]

WAIVERS = """`verilator_config
// Verilog made from Amaranth compares and assigns numbers of different widths on purpose; their values fit.
lint_off -rule WIDTHEXPAND
lint_off -rule WIDTHTRUNC
// Fields of instructions that a part does not need, and outputs that nobody reads.
lint_off -rule UNUSEDSIGNAL
// Named blocks of conditions are tidy enough in generated text.
lint_off -rule DECLFILENAME
lint_off -rule CASEINCOMPLETE
lint_off -rule EOFNEWLINE
lint_off -rule GENUNNAMED
"""


def manifest_of(files: Mapping[str, str], program: Program, architecture: str) -> dict[str, Any]:
    """Return what generated files were made from.

    Parameters
    ----------
    files
        By name.
    program
        What the array was made for.
    architecture
        Its name.

    """
    shape = asdict(program.shape)
    numbers = program.shape.numbers
    shape["numbers"] = {"operand": str(numbers.operand), "score": str(numbers.score), "multiplier": numbers.multiplier}
    kernel = [[encode(row.matrix), encode(row.vector)] for row in program.kernel]
    return {
        "generator": f"einsum-cascade {__version__}",
        "architecture": architecture,
        "shape": shape,
        "interval_cycles": program.interval,
        "schedule_sha256": _digest(str(kernel)),
        "files": {name: _digest(text) for name, text in sorted(files.items())},
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
