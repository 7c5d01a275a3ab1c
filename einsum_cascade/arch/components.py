"""What actions cost and what units occupy: the published figures, and what follows from them by a stated rule.

All figures are of 45 nm. This is the one place that holds them; files of architectures say `published` or `scaled`.

References
----------
Nayak et al., "FuseMax: Leveraging Extended Einsums to Optimize Attention Accelerator Design", MICRO 2024 (arXiv
2406.10491): the energies and areas of its evaluation. The energy of its buffer is that of one bank, which cannot be
accessed as often as its evaluation does: `arch.sram` has the figures of one that can.

"""

import math
from dataclasses import dataclass
from fractions import Fraction

from einsum_cascade.arch.ir import Component

__all__ = [
    "CITATION",
    "PUBLISHED_COMPONENTS",
    "PUBLISHED_MEMORIES",
    "REGISTER_FILE_DEPTHS",
    "Energies",
    "PublishedMemory",
    "published_memory",
    "register_file_area_um2",
    "register_file_energies",
    "scaled_memory",
]

CITATION = "FuseMax (arXiv 2406.10491), 45 nm"

PUBLISHED_COMPONENTS = {
    component.name: component
    for component in (
        Component("mac", 17.1645, 1545.0, CITATION),
        Component("add", 8.3395, 0.0, f"{CITATION}; its area is inside that of mac"),
        Component("max", 0.028036, 49.29, CITATION),
        Component("divide", 36.251153, 23740.94, CITATION),
        Component("exp", 94.6475, 8240.0, CITATION),
    )
}
"""The functional units by name; `exp` is FLAT's unit for the exponential."""


@dataclass(frozen=True, slots=True)
class Energies:
    """Energy of a read and of a write, per access or word, and where the two are from."""

    read_pj: float
    write_pj: float
    source: str


@dataclass(frozen=True, slots=True)
class PublishedMemory:
    """A memory whose energies are published.

    Parameters
    ----------
    name
        By which a file may ask for it (`energy: sram-16MiB-4096b`).
    capacity_bytes
        None if it is not limited.
    access_bits
        Width of an access.
    energies
        Per access.

    """

    name: str
    capacity_bytes: int | None
    access_bits: int
    energies: Energies


_MEBIBYTE = 1 << 20
PUBLISHED_MEMORIES = {
    memory.name: memory
    for memory in (
        PublishedMemory("dram-64b", None, 64, Energies(249.6, 249.6, CITATION)),
        PublishedMemory("sram-16MiB-4096b", 16 * _MEBIBYTE, 4096, Energies(12512.760572, 15751.460572, CITATION)),
        PublishedMemory("sram-32MiB-4096b", 32 * _MEBIBYTE, 4096, Energies(23854.664592, 27097.564592, CITATION)),
    )
}
"""The memories by name. A file that says `published` has the first of its capacity and width."""

REGISTER_FILE_DEPTHS = (4, 12, 16, 32)
"""Depths of the register files whose energies are published."""


def published_memory(capacity_bytes: int | None, access_bits: int) -> PublishedMemory | None:
    """Return the published memory of a capacity and a width; None if there is none."""
    wanted = capacity_bytes, access_bits
    found = PUBLISHED_MEMORIES.values()
    return next((memory for memory in found if (memory.capacity_bytes, memory.access_bits) == wanted), None)


def scaled_memory(capacity_bytes: int, access_bits: int) -> Energies:
    """Return the energies of an SRAM of any size, scaled from the published 16 MiB with rows of 4096 b.

    An access moves `access_bits` over wires as long as the memory's side, so its energy is taken as proportional to
    `access_bits * sqrt(capacity_bytes)`. CACTI's figures for 45 nm are within 4 % of that for 512 KiB with rows of
    512 b, and up to 40 % above it for others: its energies jump where its layout changes.

    Parameters
    ----------
    capacity_bytes
        What the memory holds.
    access_bits
        Width of an access.

    Examples
    --------
    >>> round(scaled_memory(512 * 1024, 512).read_pj, 1)
    276.5

    """
    reference = PUBLISHED_MEMORIES["sram-16MiB-4096b"].energies
    factor = float(Fraction(access_bits, 4096)) * math.sqrt(Fraction(capacity_bytes, 16 * _MEBIBYTE))
    source = (
        f"not published: scaled from 16 MiB with rows of 4096 b of {CITATION}, by bits of an access x sqrt(capacity)"
    )
    return Energies(reference.read_pj * factor, reference.write_pj * factor, source)


def register_file_energies(words: int) -> Energies:
    """Return the energies per word of a register file.

    The four published pairs lie on one line in the number of address bits; so does what is not published.

    Parameters
    ----------
    words
        Its depth.

    Examples
    --------
    >>> register_file_energies(12).read_pj, register_file_energies(32).write_pj
    (2.190435, 1.906455)

    """
    bits = _address_bits(words)
    # Ends of the published line: 2 address bits (4 words) and 5 (32 words), 0.00402 pJ apart for each bit.
    read, write = 2.182395 + 0.00402 * (bits - 2), 1.894395 + 0.00402 * (bits - 2)
    source = f"not published: extended from 4 to 32 words of {CITATION}, along the address bits"
    if words in REGISTER_FILE_DEPTHS:
        source = CITATION
    elif min(REGISTER_FILE_DEPTHS) < words < max(REGISTER_FILE_DEPTHS):
        source = f"not published: between register files of {CITATION}, along the address bits"
    return Energies(round(read, 6), round(write, 6), source)


def register_file_area_um2(words: int) -> float:
    """Return the area of a register file of words of up to 32 bits, by the published formula.

    Files of less than 64 words are as large as one of 64. The formula has words of 32 bits, whatever is kept in them.

    Parameters
    ----------
    words
        Its depth.

    Examples
    --------
    >>> round(register_file_area_um2(12), 2)
    16837.58

    """
    return (5.98 * 32 + 71) * max(64, words) + 2 * 5.81742 * _address_bits(words)


def _address_bits(words: int) -> int:
    """Return ceil(log2 words), exactly."""
    if words < 1:
        raise ValueError(f"a register file must have at least one word, not {words}")
    return (words - 1).bit_length()
