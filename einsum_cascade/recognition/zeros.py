"""Queries without keys: the array gives them 0, as a filter with `else 0` of the quotient says that leaves them out."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.cascade.ir import Constant, Einsum
from einsum_cascade.cascade.transform import own_extents, rebuild
from einsum_cascade.errors import IllegalMappingError, KernelError
from einsum_cascade.interpreter import evaluate
from einsum_cascade.recognition.heads import Heads
from einsum_cascade.recognition.layouts import from_operand, index_of
from einsum_cascade.recognition.works import ArrayWork

__all__ = ["check_zeros"]


def check_zeros(
    work: ArrayWork,
    heads: Sequence[Heads],
    sizes: Mapping[str, int],
    extents: Mapping[str, int],
    inputs: Mapping[str, NDArray[Any]],
) -> None:
    """Check that the filter of the quotients leaves out only queries that have no key.

    Parameters
    ----------
    work
        What the array does.
    heads
        All of it, with their masks.
    sizes
        Coordinates of every range.
    extents
        Of all ranks.
    inputs
        What filters may read, by name.

    Raises
    ------
    KernelError
        It leaves out a query that has keys.
    IllegalMappingError
        It reads what is not given.

    """
    einsum = work.quotient
    if einsum is None or einsum.where is None:
        return
    left_out = from_operand(work, _left_out(work, einsum, inputs, extents), extents)
    group = len(left_out) // sum(len(each.numbers) for each in heads)
    has_keys = [~each.band.without_keys(sizes[work.rows], sizes[work.columns]) for each in heads]
    copies = [len(each.numbers) * group for each in heads]
    wrong = left_out & np.repeat(np.stack(has_keys), copies, axis=0)[:, :, None]
    if wrong.any():
        first = tuple(int(at) for at in np.argwhere(wrong)[0])
        at = ", ".join(map(str, index_of(work, first, extents)))
        raise KernelError(
            [
                f"the filter of {einsum} must leave out only queries without a key for the array, whose results are 0, "
                f"but it leaves out {einsum.tensor}[{at}], which has keys; filter the scores instead"
            ]
        )


def _left_out(
    work: ArrayWork, einsum: Einsum, inputs: Mapping[str, NDArray[Any]], extents: Mapping[str, int]
) -> NDArray[Any]:
    """Return 1 for every element of a tensor for which the filter of its Einsum gives the value of `else`."""
    cascade = work.cascade
    told = replace(einsum, expression=Constant(0), otherwise=Constant(1))
    read = {each.tensor for each in told.all_reads}
    missing = sorted(read - inputs.keys())
    if missing:
        what = f"{missing[0]} must be given, for the array leaves results of {einsum} out by it, but is not"
        raise IllegalMappingError([f"{what}; give it as an input"])
    part = rebuild(cascade, (told,), outputs=(einsum.tensor,))
    return evaluate(part, {name: inputs[name] for name in read}, own_extents(part, extents))[einsum.tensor]
