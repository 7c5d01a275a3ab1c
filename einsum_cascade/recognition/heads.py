"""Masks that differ between heads of keys: heads next to each other whose masks are the same are one program."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.recognition.head_masks import Band, HeadMask
from einsum_cascade.recognition.works import ArrayWork

__all__ = ["Heads", "heads_of"]


@dataclass(frozen=True, slots=True)
class Heads:
    """Heads of keys that have the same mask.

    Parameters
    ----------
    numbers
        Which, in the order of `ArrayWork.shared`.
    band
        What of their scores is kept.

    """

    numbers: range
    band: Band


def heads_of(
    work: ArrayWork,
    sizes: Mapping[str, int],
    extents: Mapping[str, int],
    inputs: Mapping[str, NDArray[Any]] | None = None,
) -> Iterator[Heads]:
    """Yield the heads of a work, in order, as few times as their masks allow.

    Parameters
    ----------
    work
        What the array does.
    sizes
        Coordinates of every range.
    extents
        Of all ranks.
    inputs
        What the filter may read, by name.

    Raises
    ------
    KernelError
        The filter of a head is no mask of the array.
    IllegalMappingError
        It reads what is not given.

    """
    shape = [sizes[name] for name in work.shared]
    if work.scores.where is None:
        yield Heads(range(math.prod(shape)), Band())
        return
    bands, first = (_band(work, at, extents, inputs or {}) for at in np.ndindex(*shape)), 0
    for band, own in groupby(bands):
        count = sum(1 for _ in own)
        yield Heads(range(first, first + count), band)
        first += count


def _band(
    work: ArrayWork, head: tuple[int, ...], extents: Mapping[str, int], inputs: Mapping[str, NDArray[Any]]
) -> Band:
    parts, coordinates = work.workload.parts, dict(zip(work.shared, head, strict=True))
    own = {
        name: coordinates[part.range] // part.unit.evaluate(extents) % part.limit.evaluate(extents)
        for name, part in parts.items()
        if part.range in coordinates
    }
    return HeadMask(work.scores, parts, work.rows, work.columns, extents, own, inputs).band
