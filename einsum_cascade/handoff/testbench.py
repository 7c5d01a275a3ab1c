"""The test bench of a design: Verilog that needs nothing but the files beside it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files

from einsum_cascade.array.capabilities import capabilities
from einsum_cascade.array.registers import offset_of
from einsum_cascade.handoff.images import Images, writes_of

__all__ = ["bench_text"]

_REGISTERS = "control", "status", "interrupt", "interrupt_enable"


def bench_text(images: Sequence[Images], names: Sequence[Mapping[str, str]], top: str, limit_cycles: int) -> str:
    """Return `tb.v`.

    Parameters
    ----------
    images
        The programs, in the order in which they run.
    names
        Of each, the files of `writes`, `memory` and `expected`.
    top
        The module that is tested.
    limit_cycles
        After which a run is given up.

    """
    shape = images[0].program.shape
    values = {
        "beat_bytes": shape.beat_bytes,
        "beats": max(each.memory.size for each in images) // shape.beat_bytes,
        "writes": max(len(writes_of(each.program)) for each in images),
        "results": max(len(each.expected) for each in images),
        "limit": limit_cycles,
        "top": top,
        **{name: f"32'h{offset_of(name):04x}" for name in _REGISTERS},
        "require": _lines(
            f"require(32'h{offset_of(name):04x}, 32'h{value:08x});" for name, value in capabilities(shape).items()
        ),
        "runs": _lines(line for each, own in zip(images, names, strict=True) for line in _run(each, own)),
    }
    text = (files("einsum_cascade.handoff") / "bench.v").read_text(encoding="utf-8")
    return re.sub(r"@(\w+)@", lambda found: str(values[found[1]]), text)


def _run(images: Images, names: Mapping[str, str]) -> list[str]:
    writes, results = len(writes_of(images.program)), len(images.expected)
    beats = images.memory.size // images.program.shape.beat_bytes
    return [
        f'$readmemh("{names["memory"]}", memory, 0, {beats - 1});',
        f'$readmemh("{names["writes"]}", loaded, 0, {2 * writes - 1});',
        f'$readmemh("{names["expected"]}", expected, 0, {2 * results - 1});',
        f"run({writes}, {results});",
    ]


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(f"        {line}" for line in lines)
