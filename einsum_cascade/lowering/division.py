"""From a cascade to its programs on the array of an architecture, and the cycles that their schedules take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from einsum_cascade.arch.ir import Architecture
from einsum_cascade.array.numbers import Numbers
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.cascade.ir import Cascade, Einsum
from einsum_cascade.errors import IllegalMappingError, KernelError
from einsum_cascade.lowering.chains import chain_of
from einsum_cascade.lowering.lowered import extents_of, lower_program, sizes_of
from einsum_cascade.lowering.ordering import kept_tiles_of
from einsum_cascade.lowering.shapes import shape_of
from einsum_cascade.lowering.submissions import ArrayProgram, submitted
from einsum_cascade.mapping.ir import Mapping as Tree
from einsum_cascade.recognition.heads import Heads, heads_of
from einsum_cascade.recognition.sequence import Work, divide, recognise_sequence
from einsum_cascade.recognition.works import ArrayWork
from einsum_cascade.recognition.zeros import check_zeros

__all__ = ["Division", "division_of"]

_STEP = 64


@dataclass(frozen=True, slots=True)
class Division:
    """What of a cascade the array does, and what the host.

    Parameters
    ----------
    works
        Of both, in the order in which they are done.
    programs
        Of the array's works, in that order.
    reasons
        Of a chain, why results that programs read go through the host, by name.

    """

    works: tuple[Work, ...]
    programs: tuple[ArrayProgram, ...]
    reasons: Mapping[str, str] = field(default_factory=dict[str, str])


def division_of(
    cascade: Cascade,
    architecture: Architecture,
    extents: Mapping[str, int],
    numbers: Numbers | None = None,
    mapping: Tree | None = None,
    values: Mapping[str, Any] | None = None,
    inputs: Mapping[str, NDArray[Any]] | None = None,
    *,
    is_strict: bool = False,
    is_chained: bool = False,
    saturates: bool = False,
) -> Division:
    """Return what an architecture's array does of a cascade, and what the host.

    Parameters
    ----------
    cascade, architecture
        What runs on which array.
    extents
        Of all ranks.
    numbers
        The number formats of the array.
    mapping, values
        Says which keys and values stay in the buffer, and the values of its parameters; if not given, all do where
        they fit, else blocks of them.
    inputs
        What filters read, by name. Heads whose masks differ are programs of their own.
    is_strict
        Whether the array must do everything.
    is_chained
        Whether results that only programs read stay in the array's memory where they can, in the operand format, and
        programs between which the host has nothing to do run on one memory.
    saturates
        Whether results that stay become the greatest number of the operand format where they are beyond it.

    Raises
    ------
    IllegalMappingError
        The array cannot do any Einsum, or not all if it must, or a rank has no coordinate, or the mapping has other
        loops.
    InfeasibleMappingError
        The work does not fit the array.

    """
    works = recognise_sequence(cascade) if is_strict else _divided(cascade, extents, inputs)
    shape = _shape(_of_array(works), architecture, extents, numbers)
    chain = chain_of(works, extents, shape, cascade.outputs) if is_chained else None
    works = works if chain is None else chain.works
    programs: list[ArrayProgram] = []
    memories = [memory.name for memory in architecture.memories]
    for work in _of_array(works):
        kept = None if mapping is None or values is None else kept_tiles_of(work, mapping, values, shape, memories)
        for heads in _heads(work, extents, inputs):
            lowered = lower_program(work, extents_of(work, extents, shape, heads), shape, kept_tiles=kept)
            programs.append(ArrayProgram(work, lowered, heads.numbers, len(programs)))
    if chain is None:
        return Division(works, (*programs,))
    return Division(works, (*submitted(chain, programs, extents, saturates=saturates),), chain.reasons)


def _of_array(works: Sequence[Work]) -> list[ArrayWork]:
    return [work for work in works if isinstance(work, ArrayWork)]


def _divided(
    cascade: Cascade, extents: Mapping[str, int], inputs: Mapping[str, NDArray[Any]] | None
) -> tuple[Work, ...]:
    """Return the works of a cascade, in which those of the array can be done with these extents and filters."""
    works, refused = divide(cascade), dict[frozenset[str], Sequence[str]]()
    while found := _undoable(_of_array(works), extents, inputs):
        refused |= found
        works = divide(cascade, refused)
    return works


def _undoable(
    works: Sequence[ArrayWork], extents: Mapping[str, int], inputs: Mapping[str, NDArray[Any]] | None
) -> dict[frozenset[str], Sequence[str]]:
    """Return the works that are not for the array with these extents and filters, by what they write, and why."""
    found: dict[frozenset[str], Sequence[str]] = {}
    for work in works:
        try:
            _heads(work, extents, inputs)
        except KernelError as error:
            found[frozenset(task.tensor for task in work.tasks.values())] = error.violations
    return found


def _heads(work: ArrayWork, extents: Mapping[str, int], inputs: Mapping[str, NDArray[Any]] | None) -> Sequence[Heads]:
    sizes = sizes_of(work, extents)
    heads = [*heads_of(work, sizes, extents, inputs)]
    check_zeros(work, heads, sizes, extents, inputs or {})
    return heads


def _shape(
    works: Sequence[ArrayWork], architecture: Architecture, extents: Mapping[str, int], numbers: Numbers | None
) -> ArrayShape:
    """Return an array that all works fit."""
    for work in works:
        if "sigmoid" in work.tasks:
            numbers = _with_sigmoid(work.tasks["sigmoid"], numbers or Numbers())
        if "feature" in work.tasks:
            numbers = replace(numbers or Numbers(), has_feature_map=True)
    # Scores that are given are products with the identity of as many columns as the array has.
    given = architecture.matrix_engine.columns
    sizes = [(work, sizes_of(work, extents)) for work in works]
    steps = max(own[work.steps] if work.steps else given for work, own in sizes)
    outputs = max(own[work.outputs] + work.has_more_values if work.outputs else 1 for work, own in sizes)
    return shape_of(
        architecture,
        numbers,
        product_steps=-(-steps // _STEP) * _STEP,
        output_steps=-(-outputs // _STEP) * _STEP,
    )


def _with_sigmoid(einsum: Einsum, numbers: Numbers) -> Numbers:
    if numbers.multiplier != "wide":
        raise IllegalMappingError(
            [
                f"the array must do the sigmoid of {einsum} on its wide multiplier, but has the {numbers.multiplier} "
                "one; use the wide one (--multiplier wide)"
            ]
        )
    return replace(numbers, has_sigmoid=True)
