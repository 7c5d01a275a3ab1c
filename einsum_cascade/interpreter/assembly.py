"""Tensors that are written in regions: by several equations, or by the rounds of a loop."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from einsum_cascade.cascade.ir import Einsum
from einsum_cascade.interpreter.space import Array, Mask, Space
from einsum_cascade.interpreter.tensor_values import Condition, TensorValue, together
from einsum_cascade.interpreter.views import ORIGIN, Line, stays_inside, view

__all__ = ["Assembly"]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A region of a tensor that one equation wrote, for the masks that are made when they are needed."""

    lines: tuple[Line, ...]
    space: Space
    mask: Mask | None
    masks: dict[frozenset[int], Mask]
    empty: Mask | None


@dataclass(slots=True)
class Assembly:
    """A tensor that is written in regions.

    If several equations write it, its absence is one condition on all its dimensions; otherwise, only a loop has taken
    it apart, and every condition is about the dimensions that its equation says.
    """

    array: Array
    is_joined: bool
    pieces: list[_Piece] = field(default_factory=list[_Piece])

    def write(self, einsum: Einsum, lines: tuple[Line, ...], space: Space, value: TensorValue) -> None:
        """Take what an equation gives over the space of its left side."""
        mask = together([condition.mask for condition in value.conditions])
        for line, extent in zip(lines, self.array.shape, strict=True):
            if space.size and not stays_inside(line, extent):
                inside = (line.positions(space) >= 0) & (line.positions(space) < extent)
                mask = inside if mask is None else mask & inside
        masks = {} if self.is_joined else dict(_by_dimensions(einsum, lines, value.conditions))
        piece = _Piece(lines, space, mask, masks, value.empty)
        self.pieces.append(piece)
        _fill(self.array, piece, value.array)

    def written(self) -> Mask:
        """Return which elements some region covers, present or not."""
        covered = np.zeros(self.array.shape, np.bool_)
        for piece in self.pieces:
            _fill(covered, piece, np.ones((), np.bool_))
        return covered

    def value(self) -> TensorValue:
        """Return the tensor."""
        empty = None
        if any(piece.empty is not None for piece in self.pieces):
            empty = np.zeros(self.array.shape, np.bool_)
            for piece in self.pieces:
                _fill(empty, piece, np.zeros((), np.bool_) if piece.empty is None else piece.empty)
        return TensorValue(self.array, tuple(self._conditions()), empty, is_owned=True)

    def _conditions(self) -> Iterator[Condition]:
        size = sum(piece.space.size for piece in self.pieces)
        if self.is_joined and (size < self.array.size or any(piece.mask is not None for piece in self.pieces)):
            present = np.zeros(self.array.shape, np.bool_)
            for piece in self.pieces:
                _fill(present, piece, np.ones((), np.bool_) if piece.mask is None else piece.mask)
            yield Condition(present, frozenset(range(self.array.ndim)))
        for dimensions in {dimensions for piece in self.pieces for dimensions in piece.masks}:
            shape = [extent if at in dimensions else 1 for at, extent in enumerate(self.array.shape)]
            mask = np.ones(shape, np.bool_)
            for piece in self.pieces:
                if dimensions in piece.masks:
                    lines = tuple(line if at in dimensions else ORIGIN for at, line in enumerate(piece.lines))
                    view(mask, lines, piece.space, is_writable=True)[...] = piece.masks[dimensions]
            yield Condition(mask, dimensions)


def _by_dimensions(
    einsum: Einsum, lines: tuple[Line, ...], conditions: tuple[Condition, ...]
) -> Iterator[tuple[frozenset[int], Mask]]:
    """Yield conditions on elements by the dimensions that they are about."""
    found: dict[frozenset[int], Mask] = {}
    for condition in conditions:
        dimensions = frozenset(
            at
            for at, (index, line) in enumerate(zip(einsum.indices, lines, strict=True))
            if condition.loops.intersection(index.variables) or any(axis in condition.axes for axis, _ in line.steps)
        )
        found[dimensions] = found[dimensions] & condition.mask if dimensions in found else condition.mask
    yield from found.items()


def _fill(target: Array, piece: _Piece, values: Array) -> None:
    """Write values to a region; where the region leaves the tensor, only the elements that are present."""
    space = piece.space
    if not space.size:
        return
    if all(map(stays_inside, piece.lines, target.shape)):
        view(target, piece.lines, space, is_writable=True)[...] = values
        return
    assert piece.mask is not None
    chosen = np.broadcast_to(piece.mask, space.counts)
    places = tuple(np.broadcast_to(line.positions(space), space.counts)[chosen] for line in piece.lines)
    target[places] = np.broadcast_to(values, space.counts)[chosen]
