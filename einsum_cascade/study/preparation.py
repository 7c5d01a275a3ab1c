"""From a cascade to its programs on the array of an architecture."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from einsum_cascade.arch.ir import Architecture
from einsum_cascade.array.numbers import Numbers
from einsum_cascade.cascade.extents import resolve_extents
from einsum_cascade.cascade.ir import Cascade
from einsum_cascade.lowering.division import division_of
from einsum_cascade.lowering.prepared import Prepared
from einsum_cascade.lowering.steps import Step
from einsum_cascade.mapper.planning import plan_mapping
from einsum_cascade.mapping.ir import Mapping as Tree
from einsum_cascade.mapping.roles import bound_by_role
from einsum_cascade.mapping.workload import Workload

__all__ = ["prepare"]


def prepare(
    cascade: Cascade,
    architecture: Architecture,
    extents: Mapping[str, int],
    numbers: Numbers | None = None,
    mapping: Tree | None = None,
    inputs: Mapping[str, NDArray[Any]] | None = None,
    *,
    is_strict: bool = False,
    saturates: bool = False,
    is_chained: bool = False,
) -> Prepared:
    """Return the programs of a cascade on an architecture's array.

    Parameters
    ----------
    cascade
        The cascade.
    architecture
        With an array of PEs that hold contexts, such as `fusemax-8x8`.
    extents
        Of the ranks, but for those that depend on others.
    numbers
        The number formats of the array.
    mapping
        Says which keys and values stay in the buffer; if not given, all do where they fit, else blocks of them.
    inputs
        What filters read, by name. Heads whose masks differ are programs of their own.
    is_strict
        Whether the array must do all of the cascade; if not, the host does what is in no kernel.
    saturates
        Whether what is beyond the operand format becomes its greatest number, in place of infinite or NaN.
    is_chained
        Whether results that only programs read stay in the array's memory where they can, and programs between which
        the host has nothing to do run in one submission.

    Raises
    ------
    EvaluationError
        Extents are missing, or contradict one another.
    IllegalMappingError
        The array cannot do any Einsum, or not all if it must, or the filter, or a rank has no coordinate.
    InfeasibleMappingError
        The work does not fit the array.

    """
    extents = resolve_extents(cascade, extents)
    mapping = None if mapping is None else bound_by_role(mapping, architecture)
    values = None if mapping is None else plan_mapping(Workload(cascade), architecture, [mapping], extents).values
    found = division_of(
        *(cascade, architecture, extents, numbers, mapping, values, inputs),
        is_strict=is_strict,
        is_chained=is_chained,
        saturates=saturates,
    )
    steps = (
        Step(each.work, each.lowered, each.heads, each.submission, each.held, extents=extents)
        for each in found.programs
    )
    return Prepared(cascade, tuple(steps), extents, found.works, saturates, found.reasons)
