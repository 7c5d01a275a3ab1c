"""What FuseMax published, and the eight quirks of its accounting.

Energies, areas, capacities and the clock are those of the architectures `flat-cloud` and `fusemax-cloud`. Here is what
else the evaluation rests on. Sums that say "fitted" are not in the paper: they are what its published energies leave
when everything that is known is taken off, and the same for all rows of a configuration.

References
----------
Nayak et al., "FuseMax: Leveraging Extended Einsums to Optimize Attention Accelerator Design", MICRO 2024 (arXiv
2406.10491), and the figures of its public artifact.

"""

from dataclasses import dataclass

__all__ = ["BANKED", "HEADLINES", "PES", "QUIRKS", "REFINEMENTS", "WRAPS", "Fitted", "Quirk", "fitted"]

PES = 256
"""Rows and columns of the 2D array, PEs of the 1D array, and tokens of a tile either way."""


@dataclass(frozen=True, slots=True)
class Quirk:
    """A peculiarity of the published accounting, which an audit switches off.

    Parameters
    ----------
    name
        What the command line calls it.
    number
        Its number in our documentation.
    published
        What the published accounting does.
    audited
        What it does instead when the quirk is off.

    """

    name: str
    number: int
    published: str
    audited: str


QUIRKS = {
    quirk.name: quirk
    for number, (name, published, audited) in enumerate(
        (
            (
                "overflow",
                "a count of unique elements overflows on long sequences, so first reads of partial results are charged",
                "first reads of partial results are never charged",
            ),
            (
                "one-register-file",
                "register files are charged for one PE of each array",
                "register files are charged for every PE",
            ),
            (
                "free-exponential",
                "+Cascade's exponentials cost no energy, because of a misspelt key",
                "+Cascade's exponentials cost what FLAT's do",
            ),
            (
                "serial-exponential",
                "+Cascade takes 2 cycles for an exponential and its subtraction where FLAT takes 1 on the same machine",
                "+Cascade takes 1 cycle as FLAT does; FuseMax has no such unit and keeps its 7",
            ),
            (
                "small-plan",
                "+Cascade plans its tiles for 16 MiB and is charged a buffer of 32 MiB",
                "+Cascade plans its tiles for the 32 MiB that it has",
            ),
            (
                "costly-buffer",
                "a word of the 32 MiB buffer costs more than one of DRAM",
                "the 32 MiB buffer is two of 16 MiB, and an access costs what it costs in one of them",
            ),
            (
                "unshared-area",
                "the area of register files ignores that files of fewer than 64 words share one of 64",
                "a register file takes its share of one of 64 words",
            ),
            (
                "small-tile",
                "Unfused uses tiles four times too small at 256K tokens",
                "Unfused uses the largest tile that fits",
            ),
        ),
        start=1,
    )
    for quirk in (Quirk(name, number, published, audited),)
}
"""The quirks by name."""

REFINEMENTS = {
    "banked-buffer": "buffers of 16 banks, which can be accessed as often as the arrays need",
    "fp32-state": "running maxima, denominators and numerators take 4 bytes a word",
}
"""What an audit can charge beyond the quirks, by name."""

BANKED = (19650 / 12510, 21580 / 15750)
"""Energy of a read and of a write of 16 banks over that of the published single bank: 16 MiB, rows of 4096 b, CACTI."""

HEADLINES = {
    "attention_speedup_over_flat": 6.7226,
    "attention_energy_over_flat": 0.7875,
    "end_to_end_speedup_over_flat": 5.3017,
    "end_to_end_energy_over_flat": 0.8335,
    "attention_speedup_over_unfused": 10.052,
    "attention_energy_over_unfused": 0.7674,
    "end_to_end_speedup_over_unfused": 7.602,
    "end_to_end_energy_over_unfused": 0.8210,
}
"""The published averages (arithmetic, 24 rows), to compare with."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """Energies that the published rows leave: register files, and vectors of one row, by where they occur.

    Parameters
    ----------
    vector_slot_pj
        Register file of one PE of the 1D array, per issue slot.
    column_pj
        Per 256 queries.

    """

    vector_slot_pj: float
    column_pj: float


fitted = {
    "unfused": Fitted(7.709, 101495.0),
    "flat": Fitted(10.001, 101754.7),
    "flat-off-chip": Fitted(12.296, 101754.7),
    "cascade": Fitted(5.413, 262.0),
    "fusemax": Fitted(3.959, 1850.0),
}

WRAPS = {
    ("unfused", "scores"): 1 << 46,
    ("flat", "scores"): 1 << 40,
    ("flat-off-chip", "scores"): 1 << 46,
    ("cascade", "scores"): 1 << 44,
    ("cascade", "numerator"): 1 << 46,
    ("fusemax", "numerator"): 1 << 43,
}
"""Where counts of unique elements wrap (quirk 1). Only the last one is known; the others are the least that fit."""
