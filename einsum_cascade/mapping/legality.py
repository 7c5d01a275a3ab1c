"""Whether a mapping does what its cascade says, on engines that can: the rules, all of them told at once.

Legal is not feasible: whether the tiles fit is decided in `capacity`. What is checked without extents holds for all
of them; with extents, a loop that has one iteration is no loop.
"""

from collections.abc import Mapping

from einsum_cascade.arch.ir import Architecture
from einsum_cascade.errors import Diagnostic, IllegalMappingError
from einsum_cascade.mapping import ir
from einsum_cascade.mapping.dependence import dependence_violations
from einsum_cascade.mapping.fusion import pass_violations
from einsum_cascade.mapping.mapped import Mapped
from einsum_cascade.mapping.names import name_violations
from einsum_cascade.mapping.nesting import nesting_violations
from einsum_cascade.mapping.workload import Workload

__all__ = ["check_mapping", "diagnostics", "violations"]


def violations(
    workload: Workload, architecture: Architecture, mapping: ir.Mapping, extents: Mapping[str, int] | None = None
) -> tuple[str, ...]:
    """Return what is wrong with a mapping, one sentence for each rule that is broken; nothing if it is legal.

    Parameters and rules are those of `diagnostics`, which tells the places as well.
    """
    return tuple(dict.fromkeys(each.message for each in diagnostics(workload, architecture, mapping, extents)))


def diagnostics(
    workload: Workload, architecture: Architecture, mapping: ir.Mapping, extents: Mapping[str, int] | None = None
) -> tuple[Diagnostic, ...]:
    """Return what is wrong with a mapping and where in its file, if it was read from one; nothing if it is legal.

    Parameters
    ----------
    workload, architecture, mapping
        What is mapped, onto what, and how.
    extents
        Of all ranks. Without them, a mapping is legal if it is for all extents.

    """
    mapped = Mapped(workload, architecture, mapping, extents)
    refusals = tuple(pass_violations(mapped))
    found = (
        *name_violations(mapped),
        *nesting_violations(mapped),
        *(Diagnostic(refusal.sentence, refusal.span) for refusal in refusals),
        *dependence_violations(mapped, frozenset(refusal.position for refusal in refusals)),
    )
    return tuple(dict.fromkeys(found))


def check_mapping(
    workload: Workload, architecture: Architecture, mapping: ir.Mapping, extents: Mapping[str, int] | None = None
) -> None:
    """Refuse a mapping that is not legal; parameters are those of `diagnostics`.

    Raises
    ------
    IllegalMappingError
        A rule is broken; all that are, are told.

    """
    found = diagnostics(workload, architecture, mapping, extents)
    if found:
        raise IllegalMappingError(found)
