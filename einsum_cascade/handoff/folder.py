"""The files of a design for a hardware engineer, by name."""

from collections.abc import Sequence

from einsum_cascade.handoff.driver_text import driver_text
from einsum_cascade.handoff.header import header_text
from einsum_cascade.handoff.images import Images
from einsum_cascade.handoff.project import core_text, list_text
from einsum_cascade.handoff.systemrdl import systemrdl_text
from einsum_cascade.handoff.testbench import bench_text

__all__ = ["IMAGES", "handoff_files"]

IMAGES = "writes", "memory", "expected"
"""What every program has a file of."""


def handoff_files(images: Sequence[Images], sources: Sequence[str], prefix: str, limit_cycles: int) -> dict[str, str]:
    """Return register maps, images, test bench, lists and driver.

    Parameters
    ----------
    images
        The programs, in the order in which they run, all on one array.
    sources
        The files of Verilog.
    prefix
        What the names of modules begin with.
    limit_cycles
        After which the test bench gives a run up.

    """
    shape = images[0].program.shape
    steps = [""] if len(images) == 1 else [f"-{number}" for number in range(1, len(images) + 1)]
    names = [{what: f"{what}{step}.hex" for what in IMAGES} for step in steps]
    data = {own[what]: text for each, own in zip(images, names, strict=True) for what, text in each.files().items()}
    found = {
        "regs.h": header_text(shape),
        "regs.rdl": systemrdl_text(shape, f"{prefix}array"),
        "driver.py": driver_text(),
        "files.f": list_text(sources),
        **data,
        "tb.v": bench_text(images, names, f"{prefix}top", limit_cycles),
    }
    return found | {f"{prefix}array.core": core_text(f"{prefix}array", sources, f"{prefix}top", "tb.v", [*data])}
