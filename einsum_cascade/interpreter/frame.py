"""One Einsum over one space, with every read resolved to an array and numeric indices."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.ir import Cascade, Einsum, Read
from einsum_cascade.formats import Format
from einsum_cascade.interpreter.equation_facts import EquationFacts
from einsum_cascade.interpreter.space import Array, Mask, Space
from einsum_cascade.interpreter.store import Store
from einsum_cascade.interpreter.tensor_values import Condition, TensorValue, mask_view, together
from einsum_cascade.interpreter.views import IndexNumbers, Line, stays_inside, view

__all__ = ["Frame", "RunContext", "SpaceRead"]


@dataclass(frozen=True, slots=True)
class RunContext:
    """What every Einsum of one evaluation is run with.

    Parameters
    ----------
    cascade, numbers, store
        The cascade, its extents and its tensors.
    form
        The format that tensors are stored in.
    facts
        What the equations say by themselves.
    controls
        Inputs as they were given, for filters: a length or an index must not be rounded.
    allows_empty
        Whether to divide by a reduction over nothing.

    """

    cascade: Cascade
    numbers: IndexNumbers
    store: Store
    form: Format
    facts: EquationFacts
    controls: Mapping[str, Array]
    allows_empty: bool = False


@dataclass(frozen=True, slots=True)
class SpaceRead:
    """A read over a space.

    Parameters
    ----------
    value
        The tensor or the tile that is read.
    lines
        Its index in each dimension.
    tails
        Dimensions whose index counts through tiles, so that what leaves them is absent.
    written
        Which elements exist, while a loop is still writing them; None if all do.
    is_lost
        Whether there is no element at all: a fixed index has left the tensor.
    indices, cuts
        The index of each dimension as the equation has it, and of those that loops have cut off, by their variables.
    is_inside
        Whether no index leaves the tensor at any point.

    """

    value: TensorValue
    lines: tuple[Line, ...]
    tails: frozenset[int] = frozenset()
    written: Mask | None = None
    is_lost: bool = False
    indices: tuple[Affine, ...] = ()
    cuts: Mapping[str, Affine] = field(default_factory=dict[str, Affine])
    is_inside: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether everything that is read is there, and no reduction over nothing."""
        return self.is_inside and not self.value.conditions and self.value.empty is None and self.written is None

    def elements(self, space: Space) -> Array:
        """Return what is read at each point; 0 in the tail of a partition, anything where an index goes astray."""
        array = view(self.value.array, self.lines, space)
        inside = None if self.is_inside else self._inside(space, self.tails)
        return array if inside is None else np.where(inside, array, np.zeros((), array.dtype))

    def conditions(self, space: Space) -> list[Condition]:
        """Return when the elements are present."""
        found: list[Condition] = []
        for condition in self.value.conditions:
            axes = frozenset(axis for at in condition.axes for axis, _ in self.lines[at].steps)
            mask = mask_view(condition.mask, self.lines, space)
            inside = self._inside(space, condition.axes - self.tails)
            # What an index that goes astray would meet is not read: the filter excludes those points.
            indices = [self.indices[at] for at in condition.axes] + [self.cuts[name] for name in condition.loops]
            loops = space.loops(name for index in indices for name in index.variables)
            found.append(Condition(mask if inside is None else mask | ~inside, axes, loops))
        for at in () if self.is_inside else self.tails:
            axes = frozenset(axis for axis, _ in self.lines[at].steps)
            if (inside := self._inside_dimension(space, at)) is not None:
                found.append(Condition(inside, axes, space.loops(self.indices[at].variables)))
        return found

    def empty(self, space: Space) -> Mask | None:
        """Return which elements are reductions over nothing."""
        return None if self.value.empty is None else mask_view(self.value.empty, self.lines, space)

    def astray(self, space: Space) -> Mask | None:
        """Return where an index leaves the tensor other than by a tail, or meets what is not written yet."""
        if self.is_lost:
            return np.ones((1,) * len(space.names), np.bool_)
        if self.is_inside and self.written is None:
            return None
        inside = self._inside(space, frozenset(range(len(self.lines))) - self.tails)
        if self.written is not None:
            written = mask_view(self.written, self.lines, space)
            inside = written if inside is None else inside & written
        return None if inside is None else ~inside

    def _inside(self, space: Space, dimensions: frozenset[int]) -> Mask | None:
        masks = (self._inside_dimension(space, at) for at in dimensions)
        return together([mask for mask in masks if mask is not None])

    def _inside_dimension(self, space: Space, at: int) -> Mask | None:
        line, extent = self.lines[at], self.value.array.shape[at]
        if stays_inside(line, extent):
            return None
        positions = line.positions(space)
        return (positions >= 0) & (positions < extent)


class Frame:
    """An Einsum over a space.

    Parameters
    ----------
    context
        The evaluation.
    einsum
        The Einsum.
    space
        All its points, or a block of them.
    dying
        Tensors that nothing reads after this Einsum.

    """

    def __init__(self, context: RunContext, einsum: Einsum, space: Space, dying: frozenset[str] = frozenset()) -> None:
        """Resolve nothing yet."""
        self.context, self.einsum, self.space, self.dying = context, einsum, space, dying
        self._accesses: dict[tuple[int, bool], SpaceRead] = {}
        self.presence: Any = None

    @cached_property
    def is_plain(self) -> bool:
        """Whether every point is present and nothing read is a reduction over nothing."""
        if self.einsum.where is not None:
            return False
        return all([self.access(read).is_plain for read in self.context.facts.reads(self.einsum.expression)])

    def over(self, space: Space) -> "Frame":
        """Return the same Einsum over a block."""
        return Frame(self.context, self.einsum, space)

    def access(self, read: Read, *, is_control: bool = False) -> SpaceRead:
        """Resolve a read of an expression or, with `is_control`, of a filter."""
        key = (id(read), is_control)
        found = self._accesses.get(key)
        if found is None:
            found = self._accesses[key] = self._control(read) if is_control else self._resolve(read)
        return found

    def _control(self, read: Read) -> SpaceRead:
        return self._access(read, TensorValue(self.context.controls[read.tensor]), (), None)

    def _resolve(self, read: Read) -> SpaceRead:
        store = self.context.store
        holding = store.plan.holdings.get(read.tensor)
        if holding is not None and (tile := store.tile(read)) is not None:
            return self._access(read, tile, holding.cuts, None)
        if holding is not None and not holding.is_whole:
            return SpaceRead(TensorValue(np.zeros((), store.dtype)), (), is_lost=True)
        return self._access(read, store.whole(read.tensor), (), store.written(read.tensor))

    def _access(
        self, read: Read, value: TensorValue, cuts: tuple[tuple[str, int], ...], written: Mask | None
    ) -> SpaceRead:
        numbers = self.context.numbers
        indices, cut_off, tails = self.context.facts.dimensions(read, cuts, numbers)
        lines = tuple([numbers.line(index, self.space) for index in indices])
        is_inside = all(map(stays_inside, lines, value.array.shape))
        return SpaceRead(value, lines, tails, written, False, indices, cut_off, is_inside)
