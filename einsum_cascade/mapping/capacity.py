"""Where a legal mapping demands more than the architecture has: infeasible is a value, with what would make it fit."""

from collections.abc import Mapping
from dataclasses import dataclass

from einsum_cascade.arch.ir import Architecture
from einsum_cascade.errors import InfeasibleMappingError
from einsum_cascade.mapping import ir
from einsum_cascade.mapping.demand import demands
from einsum_cascade.mapping.remedy import remedy
from einsum_cascade.mapping.workload import Workload

__all__ = ["Infeasibility", "check_capacity", "infeasibilities"]


@dataclass(frozen=True, slots=True)
class Infeasibility:
    """A demand that exceeds its bound.

    Parameters
    ----------
    constraint
        What is bounded.
    demand, bound
        How much the mapping needs, and how much there is.
    unit
        Of both.
    remedy
        What would make it fit.

    """

    constraint: str
    demand: int
    bound: int
    unit: str
    remedy: str

    def __str__(self) -> str:
        """Return one sentence."""
        return (
            f"{self.constraint} must be at most {self.bound} {self.unit}, not {self.demand} {self.unit}; {self.remedy}"
        )


def infeasibilities(
    workload: Workload, architecture: Architecture, mapping: ir.Mapping, extents: Mapping[str, int]
) -> tuple[Infeasibility, ...]:
    """Return the demands of a legal mapping that exceed their bounds; none if it is feasible.

    Parameters
    ----------
    workload, architecture, mapping
        What is mapped, onto what, and how.
    extents
        Of all ranks.

    """
    return tuple(
        Infeasibility(
            demand.constraint,
            demand.amount,
            demand.bound,
            demand.unit,
            remedy(workload, architecture, mapping, extents, demand),
        )
        for demand in demands(workload, architecture, mapping, extents)
        if demand.bound is not None and demand.amount > demand.bound
    )


def check_capacity(
    workload: Workload, architecture: Architecture, mapping: ir.Mapping, extents: Mapping[str, int]
) -> None:
    """Refuse a mapping that is not feasible; parameters are those of `infeasibilities`.

    Raises
    ------
    InfeasibleMappingError
        With an `Infeasibility` for every demand that exceeds its bound.

    """
    found = infeasibilities(workload, architecture, mapping, extents)
    if found:
        raise InfeasibleMappingError(found)
