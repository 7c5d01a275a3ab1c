"""What is written down beside generated Verilog: what it was made from, and digests that tell whether it still is."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from einsum_cascade.array.instruction import encode
from einsum_cascade.array.numbers import FORMAT_MEMBERS
from einsum_cascade.array.program import Program
from einsum_cascade.version import __version__

__all__ = ["WAIVERS", "manifest_of"]

_PARTS = ("top", "pe", "row_feeder", "vector_lane")
_ALL_PARTS = (*_PARTS, "column_top", "vector_delay")
_WAIVED = (
    ("WIDTHEXPAND", _PARTS, "Yosys writes additions and shifts of operands that are narrower than the result."),
    ("WIDTHTRUNC", (*_PARTS, "column_top"), "Yosys writes a comparison with zero as the logical negation of a word."),
    ("PROCASSINIT", _ALL_PARTS, "Registers have an initial value, and a reset to the same value."),
    (
        "CASEINCOMPLETE",
        ("top", "pe", "vector_lane", "column_top"),
        "A case follows an assignment of what holds in all cases that it does not name.",
    ),
    ("DECLFILENAME", (*_PARTS, "column_top"), "The file of a component holds the modules that it is made of, too."),
)

WAIVERS = "\n".join(
    [
        "`verilator_config",
        "// Links leave the last row and column to nowhere, Yosys names the fields of every word, and not every bit of",
        "// an intermediate value is used.",
        "lint_off -rule UNUSEDSIGNAL",
        *(
            line
            for rule, parts, reason in _WAIVED
            for line in (f"// {reason}", *(f'lint_off -rule {rule} -file "*{part}.v"' for part in parts))
        ),
        "",
    ]
)
"""A configuration file for `verilator --lint-only -Wall`: what it would say about text that Amaranth has written."""


def manifest_of(files: Mapping[str, str], programs: Sequence[Program], architecture: str) -> dict[str, Any]:
    """Return what generated files were made from.

    Parameters
    ----------
    files
        By name.
    programs
        What the array was made for, in the order in which they run; all are for the same one.
    architecture
        Its name.

    """
    first = programs[0].shape
    shape = asdict(first)
    shape["numbers"] |= {name: str(getattr(first.numbers, name)) for name in FORMAT_MEMBERS}
    return {
        "generator": f"einsum-cascade {__version__}",
        "architecture": architecture,
        "shape": shape,
        "steps": [_schedule(program) for program in programs],
        "files": {name: _digest(text) for name, text in sorted(files.items())},
    }


def _schedule(program: Program) -> dict[str, Any]:
    kernel = [[encode(row.matrix), encode(row.vector)] for row in program.kernel]
    return {"interval_cycles": program.interval, "schedule_sha256": _digest(str(kernel))}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
