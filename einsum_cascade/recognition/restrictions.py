"""What the array needs of a cascade beyond its operations: which elements are read, where state starts, what leaves."""

import math
from collections.abc import Iterator, Mapping, Sequence

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.extent import ONE
from einsum_cascade.cascade.ir import Constant, Einsum
from einsum_cascade.mapping.workload import Access, Task, Workload

__all__ = ["unmet_restrictions"]

_STARTS = {"running maximum": -math.inf, "running sum": 0.0, "running combine": 0.0}
_TILED = "maximum", "sum", "weighted sum", "combine"


def unmet_restrictions(
    workload: Workload, roles: Mapping[str, Task], results: Sequence[str], *, is_tiled: bool
) -> Iterator[str]:
    """Yield a sentence for everything that the array does otherwise.

    Parameters
    ----------
    workload
        The cascade.
    roles
        Its tasks by what they are to the array, all of a kernel.
    results
        The roles whose results leave.
    is_tiled
        Whether the keys are tiled, and its works on scores go over a tile.

    """
    cascade = workload.cascade
    for role, task in roles.items():
        einsum = cascade.einsums[task.number]
        yield from _indices(workload, einsum, task, leaves=role in results)
        if role == "product":
            yield from _products(workload, einsum, task)
        yield from (_start(each, _STARTS[role]) for each in _wrong_starts(workload, role, task))
        if is_tiled and role in _TILED and workload.parts[task.variables[-1]].unit != ONE:
            yield f"{einsum} must be over the keys of a tile, its inner rank, not over tiles; change the order of ranks"
    yield from _other_keys(workload, roles)
    leaving = [roles[role].write.tensor for role in results]
    if {*cascade.outputs} != {*leaving}:
        names, found = " and ".join(leaving), ", ".join(cascade.outputs)
        yield f"the outputs of {cascade.name!r} must be {names} alone for the array, not {found}"


def _other_keys(workload: Workload, roles: Mapping[str, Task]) -> Iterator[str]:
    """Yield what goes over other ranks than what made the scores does."""
    over = {role: workload.parts[roles[role].variables[-1]].range for role in _TILED if role in roles}
    for role, own in over.items():
        first, wanted = next(iter(over.items()))
        if own != wanted:
            einsum = workload.cascade.einsums[roles[role].number]
            yield f"{einsum} must be over {wanted}, as the {first} of the scores is, not over {own}"
    written = {task.write.tensor: task.write for task in roles.values()}
    for task in roles.values():
        for read in task.reads:
            if read.tensor in written and _along(workload, read) != _along(workload, written[read.tensor]):
                einsum, names = workload.cascade.einsums[task.number], ", ".join(_along(workload, written[read.tensor]))
                yield f"{einsum} must read {read.tensor} along {names}, as it is written, for the array; rewrite it so"


def _along(workload: Workload, access: Access) -> list[str]:
    """Return the ranges that a tensor is accessed along, but for its generations."""
    axis = workload.cascade.tensor[access.tensor].generation_axis
    indices = (index for at, index in enumerate(access.indices) if at != axis)
    return [workload.parts[name].range for index in indices for name in index.variables]


def _wrong_starts(workload: Workload, role: str, task: Task) -> Iterator[Einsum]:
    if role not in _STARTS:
        return
    for einsum in workload.cascade.einsums:
        is_its_own = einsum.is_init and einsum.tensor == task.write.tensor
        if is_its_own and (einsum.where is not None or einsum.expression != Constant(_STARTS[role])):
            yield einsum


def _start(einsum: Einsum, value: float) -> str:
    return f"init {einsum} must start from {value:g}, as the vector row does; rewrite it so"


def _indices(workload: Workload, einsum: Einsum, task: Task, *, leaves: bool) -> Iterator[str]:
    """Yield what of results inside a kernel is read or written at other places than the array has it.

    Inputs are laid out as they are read, and what leaves as it is written.
    """
    for read in task.reads:
        if not workload.cascade.tensor[read.tensor].is_given:
            for index in _uneven(workload, read):
                yield _moved(einsum, "read", read.tensor, index)
    if not leaves:
        for index in _uneven(workload, task.write):
            yield _moved(einsum, "write", task.write.tensor, index)


def _moved(einsum: Einsum, does: str, tensor: str, index: Affine) -> str:
    return (
        f"{einsum} must {does} {tensor} by rank variables alone, for it stays inside the array, not at {index}; change "
        "the indices of inputs or of the output instead"
    )


def _uneven(workload: Workload, access: Access) -> Iterator[Affine]:
    """Yield the indices that are not a variable, generations apart."""
    axis = workload.cascade.tensor[access.tensor].generation_axis
    return (index for at, index in enumerate(access.indices) if at != axis and index.plain is None)


def _products(workload: Workload, einsum: Einsum, task: Task) -> Iterator[str]:
    """Yield what a product of two inputs leaves open: both have what is summed over."""
    # What a filter reads comes last.
    reads = task.reads[: len({*einsum.reads})]
    assert einsum.reduction is not None
    (summed,) = einsum.reduction.variables
    if not all(summed in read.variables for read in reads):
        yield f"{einsum} must read two tensors along {summed}, which it sums over"
    elif len(reads) < 2:
        yield f"{einsum} must read two tensors, or one at two places, not squares of one"
