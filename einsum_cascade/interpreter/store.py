"""The tensors that exist while a cascade is evaluated."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from einsum_cascade.cascade.ir import Cascade, Einsum, Read
from einsum_cascade.interpreter.assembly import Assembly
from einsum_cascade.interpreter.lifetimes import Death, ExecutionPlan
from einsum_cascade.interpreter.space import Array, Mask, Space
from einsum_cascade.interpreter.tensor_values import Condition, TensorValue, together
from einsum_cascade.interpreter.views import IndexNumbers

__all__ = ["Store"]


class Store:
    """Every tensor by name: inputs, finished tensors, tiles, and tensors still being written."""

    def __init__(
        self, cascade: Cascade, plan: ExecutionPlan, numbers: IndexNumbers, inputs: Mapping[str, Array], dtype: Any
    ) -> None:
        """Hold the inputs."""
        self.cascade, self.plan, self.numbers, self.dtype = cascade, plan, numbers, dtype
        self.fixed: dict[str, int] = {}
        self.unfinished: set[str] = set()
        self._whole = {name: TensorValue(array) for name, array in inputs.items()}
        self._assemblies: dict[str, Assembly] = {}
        self._tiles: dict[str, dict[tuple[int, ...], TensorValue]] = {}

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor, generations counted from 0 to n."""
        extents = self.numbers.extents
        return tuple(extents[d.rank] + d.is_generational for d in self.cascade.tensor[name].dimensions)

    def tile(self, read: Read) -> TensorValue | None:
        """Return the tile that a read falls into, if the tensor has it as a tile."""
        tiles = self._tiles.get(read.tensor)
        if not tiles:
            return None
        key = self._key(read, [axis for _, axis in self.plan.holdings[read.tensor].cuts])
        return None if key is None else tiles.get(key)

    def whole(self, name: str) -> TensorValue:
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

    def write(self, einsum: Einsum, space: Space, value: TensorValue) -> None:
        """Take the result of an Einsum over the space of its left side."""
        tensor = self.cascade.tensor[einsum.tensor]
        holding = self.plan.holdings[tensor.name]
        is_iterative = tensor.generation_axis is not None
        if holding.cuts:
            axes = [axis for _, axis in holding.cuts]
            key = self._key(einsum, axes)
            if key is not None:  # a loop that never runs has no tiles
                tile = _joined(value, frozenset(variable for variable, _ in holding.cuts)) if is_iterative else value
                self._tiles.setdefault(tensor.name, {})[key] = tile
        if not holding.is_whole:
            return
        if holding.cuts or is_iterative or tensor.is_declared:
            lines = tuple(self.numbers.line(index, space) for index in einsum.indices)
            self._assembly(tensor.name).write(einsum, lines, space, value)
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

    def _assembly(self, name: str) -> Assembly:
        if name not in self._assemblies:
            tensor = self.cascade.tensor[name]
            is_joined = tensor.is_declared or tensor.generation_axis is not None
            self._assemblies[name] = Assembly(np.zeros(self.shape(name), self.dtype), is_joined)
        return self._assemblies[name]


def _joined(value: TensorValue, loops: frozenset[str]) -> TensorValue:
    """Make the conditions one on all dimensions, as they are for every tensor that several equations write."""
    mask = together([condition.mask for condition in value.conditions])
    if mask is None:
        return value
    axes = frozenset(range(value.array.ndim))
    return TensorValue(value.array, (Condition(mask, axes, loops),), value.empty, value.is_owned)
