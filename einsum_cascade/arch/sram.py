"""Energy, area and access rate of an SRAM of any size, by CACTI through hwcomponents (the extra `sram`).

Good for 22 to 90 nm: below, figures would be scaled only, above they are wrong. Leakage and latency are not offered, as
CACTI's are those of cells for low standby power here. CACTI knows no floating point: those figures stay published ones.

References
----------
Balasubramonian et al., "CACTI 7: New Tools for Interconnect Exploration in Innovative Off-Chip Memories", TACO 2017.

"""

import math
import warnings
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from importlib import import_module
from typing import Any

from einsum_cascade.arch.ir import Architecture, Memory
from einsum_cascade.arch.validation import check
from einsum_cascade.errors import ToolFailedError, ToolMissingError

__all__ = ["Sram", "banks_for", "sram", "with_sram"]

_NODES_NM = (22, 90)
_MOST_BANKS = 1024
_REMEDY = "make setup-sram (or: pip install --no-binary hwcomponents-cacti hwcomponents-cacti)"


@dataclass(frozen=True, slots=True)
class Sram:
    """Figures of an SRAM.

    Parameters
    ----------
    capacity_bytes, access_bits, banks, node_nm
        What it is.
    read_pj, write_pj
        Energy per access.
    area_um2
        Area of all banks.
    accesses_per_s
        Accesses a second of all banks together, one port each.

    """

    capacity_bytes: int
    access_bits: int
    banks: int
    node_nm: float
    read_pj: float
    write_pj: float
    area_um2: float
    accesses_per_s: float

    @property
    def source(self) -> str:
        """Where the figures are from."""
        return f"CACTI through hwcomponents, {self.node_nm:g} nm, {self.banks} bank{'s' if self.banks > 1 else ''}"


@lru_cache(maxsize=1024)
def sram(capacity_bytes: int, access_bits: int, *, banks: int = 1, node_nm: float = 45) -> Sram:
    """Ask CACTI for an SRAM.

    Parameters
    ----------
    capacity_bytes
        What all banks hold.
    access_bits
        Width of an access, which goes to one bank.
    banks
        A power of two.
    node_nm
        Technology node, from 22 to 90 nm.

    Raises
    ------
    ValueError
        CACTI does not know such a memory.
    ToolMissingError
        The extra is not installed.
    ToolFailedError
        CACTI failed.

    """
    _demand(capacity_bytes, access_bits, banks, node_nm)
    model = _ask(capacity_bytes, access_bits, banks, node_nm)
    # hwcomponents has joules, seconds and square metres.
    return Sram(
        capacity_bytes,
        access_bits,
        banks,
        node_nm,
        float(model.read_energy) * 1e12,
        float(model.write_energy) * 1e12,
        float(model.cacti_area) * 1e12,
        banks / float(model.cycle_period),
    )


def banks_for(capacity_bytes: int, access_bits: int, accesses_per_s: float, *, node_nm: float = 45) -> int:
    """Return the least number of banks that can be accessed so often, a power of two.

    Raises
    ------
    ValueError
        No number of banks can, or CACTI does not know such a memory.
    ToolMissingError
        The extra is not installed.
    ToolFailedError
        CACTI failed.

    """
    banks, best = 1, 0.0
    while banks <= _MOST_BANKS and (banks == 1 or 8 * capacity_bytes >= 64 * access_bits * banks):
        rate = sram(capacity_bytes, access_bits, banks=banks, node_nm=node_nm).accesses_per_s
        if rate >= accesses_per_s:
            return banks
        best, banks = max(best, rate), 2 * banks
    raise ValueError(
        f"an SRAM of {capacity_bytes} B with rows of {access_bits} b must be accessed at most {best:.3g} times "
        f"a second, not {accesses_per_s:.3g}; make the rows wider"
    )


def with_sram(architecture: Architecture, memory: str, *, banks: int = 1, node_nm: float = 45) -> Architecture:
    """Return the architecture with CACTI's energies, area and access rate for one of its memories.

    Its bandwidth becomes what the banks can deliver, if that is less than it was; reads and writes then share it.

    Parameters
    ----------
    architecture
        The architecture.
    memory
        The name of an on-chip level.
    banks, node_nm
        As for `sram`; FuseMax's published buffer energy is that of one bank, which cannot be accessed as often as the
        arrays of that machine need.

    Raises
    ------
    ValueError
        There is no such level, or CACTI does not know such a memory.
    ToolMissingError
        The extra is not installed.
    ToolFailedError
        CACTI failed.

    """
    level = architecture.find_memory(memory)
    if level is None or level.capacity_bytes is None:
        known = ", ".join(repr(level.name) for level in architecture.memories if level.capacity_bytes is not None)
        raise ValueError(f"memory {memory!r} must be a level of limited capacity of {architecture.name!r}: {known}")
    figures = sram(level.capacity_bytes, level.access_bits, banks=banks, node_nm=node_nm)
    changed = _limited(level, Fraction(round(figures.accesses_per_s)) * level.access_bits / 8)
    changed = replace(
        changed,
        read_pj=figures.read_pj,
        write_pj=figures.write_pj,
        area_um2=figures.area_um2,
        source=figures.source,
    )
    memories = tuple(changed if it is level else it for it in architecture.memories)
    return check(replace(architecture, memories=memories))


def _limited(level: Memory, bandwidth: Fraction) -> Memory:
    """Return a memory whose reads and writes share a bandwidth, unless it has less of it."""
    had = (level.read_bytes_per_s, level.write_bytes_per_s)[: 1 if level.is_shared else 2]
    if None not in had and sum(rate for rate in had if rate is not None) <= bandwidth:
        return level
    return replace(level, read_bytes_per_s=bandwidth, write_bytes_per_s=bandwidth, is_shared=True)


def _demand(capacity_bytes: int, access_bits: int, banks: int, node_nm: float) -> None:
    """Refuse what CACTI has no model of: hwcomponents would scale the figures of another memory."""
    if not _NODES_NM[0] <= node_nm <= _NODES_NM[1]:
        raise ValueError(f"the node of an SRAM must be from {_NODES_NM[0]} to {_NODES_NM[1]} nm, not {node_nm!r} nm")
    if access_bits < 32 or access_bits % 8:
        raise ValueError(f"the rows of an SRAM must be of whole bytes and at least 32 b, not {access_bits!r} b")
    if banks < 1 or banks & (banks - 1) or banks > _MOST_BANKS:
        raise ValueError(f"the banks of an SRAM must be a power of two up to {_MOST_BANKS}, not {banks!r}")
    rows, rest = divmod(8 * capacity_bytes, access_bits)
    if rest or rows < 64 * banks:
        least = 64 * banks * access_bits // 8
        raise ValueError(
            f"an SRAM must hold whole rows of {access_bits} b, at least 64 in each of its {banks} banks ({least} B), "
            f"unlike {capacity_bytes} B"
        )


def _metres(node_nm: float) -> float:
    """Return a number of metres that hwcomponents turns back into this node.

    It multiplies by 1e9, and 90e-9 * 1e9 is above 90, for which it would scale the figures of 22 nm.
    """
    near = node_nm * 1e-9
    candidates = (near, math.nextafter(near, 0), math.nextafter(near, 1))
    return min(
        candidates, key=lambda metres: (not _NODES_NM[0] <= metres * 1e9 <= _NODES_NM[1], abs(metres * 1e9 - node_nm))
    )


def _ask(capacity_bytes: int, access_bits: int, banks: int, node_nm: float) -> Any:
    try:
        model: Any = import_module("hwcomponents_cacti").SRAM
    except ImportError:
        raise ToolMissingError("hwcomponents-cacti", _REMEDY) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # hwcomponents leaves a file open
            return model(tech_node=_metres(node_nm), width=access_bits, size=8 * capacity_bytes, n_banks=banks)
    except Exception as error:  # hwcomponents raises a bare Exception when the program fails
        log = f"{error}\nThe program in the wheel needs a newer C library than some systems have; {_REMEDY} builds it."
        raise ToolFailedError("cacti", int(getattr(error, "errno", None) or 1), log) from error
