"""What the analyses ask of a cascade again and again, worked out once."""

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from einsum_cascade.analysis.boxes import Side, constant_side
from einsum_cascade.analysis.coordinates import Coordinates
from einsum_cascade.analysis.loops import Nest, RecurrentLoop, loop_nest, loop_variables
from einsum_cascade.analysis.positions import Order, Position, position_of
from einsum_cascade.cascade.affine import Affine, affine_constant, affine_variable
from einsum_cascade.cascade.extent import ONE, ZERO, Extent, symbol
from einsum_cascade.cascade.ir import Cascade, Einsum, Read, reads_of

if TYPE_CHECKING:
    from einsum_cascade.analysis.availability import State
    from einsum_cascade.analysis.counting import PointCount
    from einsum_cascade.analysis.points import Point
    from einsum_cascade.analysis.precedence import Ordering
    from einsum_cascade.analysis.traversals import FoundTiming, Tail

__all__ = ["Facts", "Left", "ReadFacts"]


@dataclass(frozen=True, slots=True)
class ReadFacts:
    """One read, with its indices understood.

    Parameters
    ----------
    tensor
        What is read.
    indices
        The affine indices.
    positions
        Where each runs along its dimension.
    generation
        For an iterative tensor the variable (or "") and offset of the generation, None if it is another kind of index.
    generation_axis
        Its iterative dimension, if any.

    """

    tensor: str
    indices: tuple[Affine, ...]
    positions: tuple[Position, ...]
    generation: tuple[str, int] | None
    generation_axis: int | None

    def side(self, axis: int, side: Side) -> Side | None:
        """Express an interval around the coordinate of a dimension by the reader's variables; None for everything."""
        index = self.indices[axis]
        if not index.terms:
            constant = constant_side(index.offset)
            return Side(constant.reference, side.low + constant.low, side.high + constant.high)
        if index.stepped is None or index.offset.value is None:
            return None
        return side.shifted(index.offset.value, index.stepped)

    def reach(self, axis: int, coordinates: Coordinates, *, is_descending: bool) -> Extent:
        """Return how far the coordinate read may be ahead of its first variable's, in the order of a traversal."""
        position = self.positions[axis]
        if position.order is Order.TILES:
            return ZERO
        rest = self.indices[axis] - affine_variable(position.variables[0])
        ahead = -rest if is_descending else rest
        reach = ahead.extreme(lambda other: coordinates.extent(other) - ONE, is_upper=True)
        return ONE if reach is None else reach * coordinates.stride(position.variables[0])

    def is_final(self, axis: int) -> bool:
        """Tell whether the read is of the last generation of an iterative dimension."""
        return axis == self.generation_axis and self.positions[axis].order is Order.END


@dataclass(frozen=True, slots=True)
class Left:
    """The left side of an Einsum: where each variable goes.

    Parameters
    ----------
    slots
        By variable: the dimension it stands alone in, and the offset.
    tiles
        By tuple of variables, outermost first: the dimension that they count through together.

    """

    slots: dict[str, tuple[int, int]]
    tiles: dict[tuple[str, ...], int]

    def carrier(self, position: Position) -> tuple[int, ...] | None:
        """Return the dimensions in which a position's variables survive, outermost first; None if one is lost."""
        if position.order not in (Order.ALONG, Order.TILES):
            return None
        if position.variables in self.tiles:
            return (self.tiles[position.variables],)
        if all(name in self.slots for name in position.variables):
            return tuple(self.slots[name][0] for name in position.variables)
        return None

    def slot(self, variable: str) -> tuple[int, int] | None:
        """Return the dimension that a variable runs along, and by how much its index is ahead of it; None if lost."""
        tiled = next((slot for names, slot in self.tiles.items() if names[0] == variable), None)
        return self.slots.get(variable) or (None if tiled is None else (tiled, 0))


def _branches(einsum: Einsum) -> tuple[tuple[int, ...], ...]:
    """Return what points of the expression read, and those of an `else` that reads; what a filter reads, both do."""
    first, last, count = len(tuple(reads_of(einsum.expression))), len(einsum.reads), len(einsum.all_reads)
    filtering = range(last, count)
    own = (*range(first), *filtering)
    return (own, (*range(first, last), *filtering)) if first < last else (own,)


class Facts:
    """Facts of one cascade."""

    def __init__(self, cascade: Cascade) -> None:
        """Understand every read and every left side."""
        self.cascade = cascade
        self.nest: Nest = loop_nest(cascade)
        self.accesses = tuple(tuple(map(self._access, einsum.all_reads)) for einsum in cascade.einsums)
        self.branches = tuple(map(_branches, cascade.einsums))
        self.operands = tuple(frozenset(access.tensor for access in accesses) for accesses in self.accesses)
        self.is_iterative = tuple(cascade.tensor[e.tensor].generation_axis is not None for e in cascade.einsums)
        self.readers: defaultdict[str, list[int]] = defaultdict(list)
        for at, accesses in enumerate(self.accesses):
            for name in dict.fromkeys(access.tensor for access in accesses):
                self.readers[name].append(at)
        self.last_reader = {name: readers[-1] for name, readers in self.readers.items()}
        self.producer = {einsum.tensor: at for at, einsum in enumerate(cascade.einsums)}
        self.coordinates = Coordinates(cascade)
        self.points: dict[tuple[int, int, tuple[Position, ...], bool], Point] = {}
        self.made: dict[str, PointCount] = {}
        self.reaches: dict[tuple[int, int, bool], Extent] = {}
        self.orderings: dict[tuple[int, int | None, bool], Ordering] = {}
        self.states: dict[tuple[int, State, tuple[int, ...]], State] = {}
        self.evaluations: dict[tuple[Hashable, ...], FoundTiming] = {}
        self.tails: dict[tuple[Hashable, ...], Tail] = {}
        self._left = {id(einsum): self._left_side(einsum) for einsum in cascade.einsums}

    def _access(self, read: Read) -> ReadFacts:
        tensor = self.cascade.tensor[read.tensor]
        pairs = zip(read.indices, tensor.dimensions, strict=True)
        positions = tuple(position_of(self.cascade, index, dimension.rank) for index, dimension in pairs)
        axis = tensor.generation_axis
        generation = None
        if axis is not None:
            index = read.indices[axis]
            if index.offset.value is not None and (not index.terms or index.stepped):
                generation = index.stepped or "", index.offset.value
        return ReadFacts(read.tensor, read.indices, positions, generation, axis)

    def _left_side(self, einsum: Einsum) -> Left:
        slots: dict[str, tuple[int, int]] = {}
        tiles: dict[tuple[str, ...], int] = {}
        for slot, (index, dimension) in enumerate(
            zip(einsum.indices, self.cascade.tensor[einsum.tensor].dimensions, strict=True)
        ):
            position = position_of(self.cascade, index, dimension.rank)
            if index.stepped is not None and self._same_base(index.stepped, dimension.rank):
                slots[index.stepped] = slot, index.offset.value or 0
            elif position.order is Order.TILES:
                tiles[position.variables] = slot
        return Left(slots, tiles)

    def _same_base(self, variable: str, rank: str) -> bool:
        return self.cascade.base_rank(self.cascade.rank_of[variable]) == self.cascade.base_rank(rank)

    @cached_property
    def is_straight(self) -> bool:
        """Tell whether every Einsum is met once, in order of the source, and makes a tensor of its own."""
        return self.nest == tuple(range(len(self.accesses))) and len(self.producer) == len(self.accesses)

    @cached_property
    def order(self) -> dict[str, int]:
        """The tensors by name: which one it is."""
        return {tensor.name: at for at, tensor in enumerate(self.cascade.tensors)}

    @cached_property
    def _aliases(self) -> dict[str, Extent]:
        return {rank.name: symbol(rank.alias_of) for rank in self.cascade.ranks if rank.alias_of is not None}

    def plain(self, extent: Extent) -> Extent:
        """Write an extent without aliases: ranks of the same coordinates by one name."""
        return extent.substitute(self._aliases)

    def plain_affine(self, index: Affine) -> Affine:
        """Write the extents in an affine expression without aliases."""
        total = affine_constant(self.plain(index.offset))
        for name, coefficient in index.terms:
            total += affine_variable(name).scaled(self.plain(coefficient))
        return total

    @cached_property
    def loop_variables(self) -> tuple[str, ...]:
        """Variables of the loops that iterative ranks force."""
        return tuple(dict.fromkeys(loop_variables(self.nest)))

    def left_of(self, einsum: Einsum) -> Left:
        """Return the left side of an Einsum of the cascade."""
        return self._left[id(einsum)]

    def is_declared(self, tensor: str) -> bool:
        """Tell whether several equations may write a tensor."""
        return self.cascade.tensor[tensor].is_declared

    def tensors_in(self, nest: Nest) -> frozenset[str]:
        """Return the tensors that a part of the loop nest computes."""
        found: set[str] = set()
        for node in nest:
            found |= (
                self.tensors_in(node.body) if isinstance(node, RecurrentLoop) else {self.cascade.einsums[node].tensor}
            )
        return frozenset(found)
