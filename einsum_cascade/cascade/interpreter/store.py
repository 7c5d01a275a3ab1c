"""The tensors that exist while a cascade is evaluated.

A `Value` is an array with what is known of its elements: the conditions under which they are present, and which of them
are reductions over nothing. Elements that are absent hold 0.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from einsum_cascade.cascade.interpreter.lifetimes import Death, Plan
from einsum_cascade.cascade.interpreter.space import Array, Line, Mask, Numbers, Space, flattened, stays_inside, view
from einsum_cascade.cascade.ir import Cascade, Einsum, Read

__all__ = ["Condition", "Store", "Value", "mask_view"]


@dataclass(frozen=True, slots=True)
class Condition:
    """What elements or points need to be present.

    Parameters
    ----------
    mask
        One dimension per axis, of length 1 where the condition does not depend on it.
    axes
        The axes that the condition is about. They come from the equations and not from the numbers: an axis of extent 1
        may be among them.

    """

    mask: Mask
    axes: frozenset[int]


@dataclass(slots=True)
class Value:
    """A tensor, or a tile of one.

    Parameters
    ----------
    array
        The elements.
    conditions
        Elements that fail one are absent.
    empty
        Which elements are reductions over nothing; None if none is.
    is_owned
        Whether nothing else holds the memory, so that it may be overwritten when the tensor dies.

    """

    array: Array
    conditions: tuple[Condition, ...] = ()
    empty: Mask | None = None
    is_owned: bool = False


@dataclass(frozen=True, slots=True)
class _Piece:
    """A region of a tensor that one equation wrote, for the masks that are made when they are needed."""

    lines: tuple[Line, ...]
    space: Space
    mask: Mask | None
    empty: Mask | None


@dataclass(slots=True)
class _Assembly:
    """A tensor that is written in regions."""

    array: Array
    pieces: list[_Piece] = field(default_factory=list[_Piece])

    def write(self, lines: tuple[Line, ...], space: Space, value: Value) -> None:
        mask = _all([condition.mask for condition in value.conditions])
        for line, extent in zip(lines, self.array.shape, strict=True):
            if space.size and not stays_inside(line, extent):
                inside = (line.positions(space) >= 0) & (line.positions(space) < extent)
                mask = inside if mask is None else mask & inside
        piece = _Piece(lines, space, mask, value.empty)
        self.pieces.append(piece)
        _fill(self.array, piece, value.array)

    def written(self) -> Mask:
        """Return which elements some region covers, present or not."""
        covered = np.zeros(self.array.shape, np.bool_)
        for piece in self.pieces:
            _fill(covered, piece, np.ones((), np.bool_))
        return covered

    def value(self) -> Value:
        """Return the tensor; absence of a tensor written in regions is a condition on all its dimensions."""
        axes = frozenset(range(self.array.ndim))
        size = sum(piece.space.size for piece in self.pieces)
        is_whole = size == self.array.size and all(piece.mask is None for piece in self.pieces)
        conditions = () if is_whole else (Condition(self._present(), axes),)
        empty = None
        if any(piece.empty is not None for piece in self.pieces):
            empty = np.zeros(self.array.shape, np.bool_)
            for piece in self.pieces:
                _fill(empty, piece, np.zeros((), np.bool_) if piece.empty is None else piece.empty)
        return Value(self.array, conditions, empty, is_owned=True)

    def _present(self) -> Mask:
        present = np.zeros(self.array.shape, np.bool_)
        for piece in self.pieces:
            _fill(present, piece, np.ones((), np.bool_) if piece.mask is None else piece.mask)
        return present


def _fill(target: Array, piece: _Piece, values: Array) -> None:
    """Write values to a region, where the region is inside and its elements are present."""
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


def _all(masks: list[Mask]) -> Mask | None:
    total = None
    for mask in masks:
        total = mask if total is None else total & mask
    return total


class Store:
    """Every tensor by name: inputs, finished tensors, tiles, and tensors still being written."""

    def __init__(self, cascade: Cascade, plan: Plan, numbers: Numbers, inputs: Mapping[str, Array], dtype: Any) -> None:
        """Hold the inputs."""
        self.cascade, self.plan, self.numbers, self.dtype = cascade, plan, numbers, dtype
        self.fixed: dict[str, int] = {}
        self.unfinished: set[str] = set()
        self._whole = {name: Value(array) for name, array in inputs.items()}
        self._assemblies: dict[str, _Assembly] = {}
        self._tiles: dict[str, dict[tuple[int, ...], Value]] = {}

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor, generations counted from 0 to n."""
        extents = self.numbers.extents
        return tuple(extents[d.rank] + d.is_generational for d in self.cascade.tensor[name].dimensions)

    def tile(self, read: Read) -> tuple[Value, tuple[int, ...]] | None:
        """Return the tile that a read falls into with the dimensions it has, if the tensor has it as a tile."""
        tiles = self._tiles.get(read.tensor)
        if not tiles:
            return None
        axes = [axis for _, axis in self.plan.holdings[read.tensor].cuts]
        key = self._key(read, axes)
        value = None if key is None else tiles.get(key)
        if value is None:
            return None
        return value, tuple(axis for axis in range(len(read.indices)) if axis not in axes)

    def whole(self, name: str) -> Value:
        """Return a tensor in one piece, with all that is written so far."""
        if name in self._whole:
            return self._whole[name]
        value = self._assembly(name).value()
        if name not in self.unfinished:
            self._whole[name] = value
            self._assemblies.pop(name, None)
        return value

    def written(self, name: str) -> Mask | None:
        """Return which elements are written while a loop still writes others; None after it."""
        return self._assembly(name).written() if name in self.unfinished else None

    def write(self, einsum: Einsum, space: Space, value: Value) -> None:
        """Take the result of an Einsum over the space of its left side."""
        tensor = self.cascade.tensor[einsum.tensor]
        holding = self.plan.holdings[tensor.name]
        is_iterative = tensor.generation_axis is not None
        if holding.cuts:
            axes = [axis for _, axis in holding.cuts]
            key = self._key(einsum, axes)
            assert key is not None
            tile = _joined(value) if is_iterative else value
            self._tiles.setdefault(tensor.name, {})[key] = tile
        if not holding.is_whole:
            return
        if holding.cuts or is_iterative or tensor.is_declared:
            lines = tuple(self.numbers.line(index, space) for index in einsum.indices)
            self._assembly(tensor.name).write(lines, space, value)
        else:
            self._whole[tensor.name] = value

    def drop_tile(self, death: Death, coordinate: int) -> None:
        """Forget the tiles at one coordinate of a loop, if no fixed index reads them."""
        for key in self._keys(death):
            if key[death.depth] == coordinate and not self._is_kept(death.tensor, death.depth, coordinate):
                del self._tiles[death.tensor][key]

    def drop_tiles(self, death: Death) -> None:
        """Forget all tiles of a loop that has ended, but those that fixed indices read."""
        for key in self._keys(death):
            if not self._is_kept(death.tensor, death.depth, key[death.depth]):
                del self._tiles[death.tensor][key]

    def drop(self, name: str) -> None:
        """Forget a tensor."""
        for held in (self._whole, self._assemblies, self._tiles):
            held.pop(name, None)

    def is_kept(self, death: Death, coordinate: int) -> bool:
        """Tell whether fixed indices read the tile at a coordinate of a loop."""
        return self._is_kept(death.tensor, death.depth, coordinate)

    def _keys(self, death: Death) -> Iterator[tuple[int, ...]]:
        cuts = self.plan.holdings[death.tensor].cuts
        above = tuple(self.fixed[variable] for variable, _ in cuts[: death.depth])
        return iter([key for key in self._tiles.get(death.tensor, ()) if key[: death.depth] == above])

    def _is_kept(self, name: str, depth: int, coordinate: int) -> bool:
        kept = self.plan.holdings[name].kept[depth]
        return any(self.numbers.constant(index, {}) == coordinate for index in kept)

    def _key(self, access: Read | Einsum, axes: list[int]) -> tuple[int, ...] | None:
        key: list[int] = []
        for axis in axes:
            coordinate = self.numbers.constant(access.indices[axis], self.fixed)
            if coordinate is None:
                return None
            key.append(coordinate)
        return tuple(key)

    def _assembly(self, name: str) -> _Assembly:
        if name not in self._assemblies:
            self._assemblies[name] = _Assembly(np.zeros(self.shape(name), self.dtype))
        return self._assemblies[name]


def _joined(value: Value) -> Value:
    """Make the conditions one on all dimensions, as they are for every tensor that several equations write."""
    mask = _all([condition.mask for condition in value.conditions])
    if mask is None:
        return value
    axes = frozenset(range(value.array.ndim))
    return Value(value.array, (Condition(mask, axes),), value.empty, value.is_owned)


def mask_view(mask: Mask, lines: tuple[Line, ...], space: Space) -> Mask:
    """Return a mask of a tensor along the axes of a space that reads it."""
    return view(mask, flattened(lines, mask.shape), space)
