"""The plain mapping: a default for any cascade on any architecture, Einsum after Einsum. It is not optimised.

Einsums run in order, those that depend on one another in loops that they share. Each runs on the engine that does it
fastest, spread over its rows and columns, in the largest tiles that fit. A tensor that several Einsums use stays on the
chip where it fits as a whole; all else goes through the outermost memory. No engine or memory is known by its name.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction

from einsum_cascade.arch.ir import Architecture
from einsum_cascade.cascade.extent import constant
from einsum_cascade.mapper.fitting import Level, bits_at, spatial_loops, tiled
from einsum_cascade.mapper.planning import check_extents
from einsum_cascade.mapper.recurrences import Recurrence, members, ordered_tasks
from einsum_cascade.mapper.spreading import Spreading, spreadings
from einsum_cascade.mapping.demand import demands
from einsum_cascade.mapping.ir import Block, Compute, Keep, Loop, normalised
from einsum_cascade.mapping.ir import Mapping as Tree
from einsum_cascade.mapping.workload import Task, Workload

__all__ = ["PLAIN", "plain_mapping"]

PLAIN = "plain"
"""The name of the plain mapping."""

_SHARES = (Fraction(1, 2), Fraction(1, 8), Fraction(0))
"""Of what a memory has left, how much whole tensors may take before tiles: the first share with which all fits."""

type _Part = Task | Recurrence


def plain_mapping(workload: Workload, architecture: Architecture, extents: Mapping[str, int]) -> Tree:
    """Return the plain mapping of a cascade.

    Parameters
    ----------
    workload, architecture
        What runs, and on what.
    extents
        Of all ranks, each at least 1.

    Raises
    ------
    IllegalMappingError
        No engine can do an Einsum, or Einsums depend on one another in a way that no loop carries.
    MappingError
        A rank has no coordinate.

    """
    check_extents(extents)
    parts = ordered_tasks(workload, extents)
    ways = spreadings(workload, architecture, extents, _single(parts, frozenset()))
    found = Tree(PLAIN, Block((), ()))
    for share in _SHARES:
        root = _Builder(workload, architecture, extents, ways, share).root(parts)
        found = Tree(
            PLAIN, normalised(root), cascade=workload.cascade.name, source="Einsum after Einsum, not optimised"
        )
        needs = demands(workload, architecture, found, extents)
        if all(need.bound is None or need.amount <= need.bound for need in needs):
            break
    return found


def _single(parts: Iterable[_Part], around: frozenset[str]) -> dict[str, frozenset[str]]:
    """Return by task the variables of the loops that it shares."""
    found: dict[str, frozenset[str]] = {}
    for part in parts:
        if isinstance(part, Task):
            found[part.name] = around
        else:
            found |= _single(part.parts, around | {part.variable})
    return found


class _Builder:
    """Builds the tree from the root inwards; what is held outside and what levels have left go along."""

    def __init__(
        self,
        workload: Workload,
        architecture: Architecture,
        extents: Mapping[str, int],
        ways: Mapping[str, Spreading],
        share: Fraction,
    ) -> None:
        self.workload, self.architecture, self.extents = workload, architecture, extents
        self.ways, self.share = ways, share

    def root(self, parts: tuple[_Part, ...]) -> Block:
        """Return the tree."""
        memories = self.architecture.memories
        levels = tuple(
            Level(memory.name, at, None if memory.capacity_bytes is None else 8 * memory.capacity_bytes)
            for at, memory in enumerate(memories)
            if at
        )
        held = dict.fromkeys(self.workload.homes_outside, 0)
        keeps, levels, held = self._kept(self._shared(parts), parts, (), levels, held)
        return Block(keeps, self._body(parts, (), levels, held))

    def _body(
        self, parts: tuple[_Part, ...], around: tuple[Loop, ...], levels: tuple[Level, ...], held: Mapping[str, int]
    ) -> tuple[Block | Compute, ...]:
        return tuple(
            tiled(self.workload, self.architecture, self.extents, part, self.ways[part.name], around, levels, held)
            if isinstance(part, Task)
            else self._recurrence(part, around, levels, held)
            for part in parts
        )

    def _recurrence(
        self, part: Recurrence, around: tuple[Loop, ...], levels: tuple[Level, ...], held: Mapping[str, int]
    ) -> Block:
        """Return a loop with what is kept above it, because iterations share it, and what is kept within one."""
        loop = Loop(part.variable)
        above, levels, held = self._kept(self._lasting(part), (part,), around, levels, held)
        within = [name for name in self._shared(part.parts) if name not in held]
        below, levels, held = self._kept(within, part.parts, (*around, loop), levels, held)
        body = self._body(part.parts, (*around, loop), levels, held)
        return Block((*above, loop, *below), body)

    def _shared(self, parts: tuple[_Part, ...]) -> list[str]:
        """Return the tensors that several parts use."""
        users = [_tensors(part) for part in parts]
        return [name for name in self.workload.tensors if sum(name in used for used in users) > 1]

    def _lasting(self, part: Recurrence) -> list[str]:
        """Return the tensors that iterations share: what they carry, and what does not have the variable."""
        tasks = members(part)
        accesses = [access for task in tasks for access in (*task.reads, task.write)]
        moving = {access.tensor for access in accesses if part.variable in access.variables}
        used = _tensors(part)
        return [name for name in self.workload.tensors if name in used and (name in part.carried or name not in moving)]

    def _kept(
        self,
        names: Iterable[str],
        parts: tuple[_Part, ...],
        around: tuple[Loop, ...],
        levels: tuple[Level, ...],
        held: Mapping[str, int],
    ) -> tuple[tuple[Keep, ...], tuple[Level, ...], dict[str, int]]:
        """Return what is kept around some parts, and what levels have left and who holds what inside.

        The smallest tensors come first, each as far in as it fits. One that has no home and fits nowhere is kept in the
        outermost memory.
        """
        held, taken = dict(held), dict.fromkeys((level.number for level in levels), 0)
        chosen: dict[str, int] = {}
        found = {name: self._bits(name, parts, around) for name in names}
        for name, bits in sorted(found.items(), key=lambda item: item[1][-1]):
            fitting = (
                level.number
                for level in levels
                if level.number > held.get(name, 0)
                and level.has_room(taken[level.number] + bits[level.number], self.share)
            )
            number = max(fitting, default=None if name in held else 0)
            if number is not None:
                chosen[name] = number
                taken = {other: own + bits[other] * (other == number) for other, own in taken.items()}
        left = tuple(level.without(taken[level.number]) for level in levels)
        return self._keeps(chosen), left, {**held, **chosen}

    def _bits(self, name: str, parts: tuple[_Part, ...], around: tuple[Loop, ...]) -> list[int]:
        """Return by the number of a memory what it takes to keep a tensor there around some parts."""
        body = tuple(self._skeleton(part) for part in parts)
        return [
            bits_at(
                self.workload,
                self.architecture,
                Block((*around, Keep(memory.name, (name,))), body),
                self.extents,
                number,
            )
            for number, memory in enumerate(self.architecture.memories)
        ]

    def _skeleton(self, part: _Part) -> Block:
        """Return a part with its loops in space and those that are shared: how tiles are cut is not known yet."""
        if isinstance(part, Recurrence):
            return Block((Loop(part.variable),), tuple(self._skeleton(inner) for inner in part.parts))
        way = self.ways[part.name]
        space = spatial_loops(self.workload, part, way)
        tiles = (Loop(loop.variable, constant(way.width(loop.variable))) for loop in space)
        return Block((*tiles, *space), (Compute(part.name, way.engine.name),))

    def _keeps(self, chosen: Mapping[str, int]) -> tuple[Keep, ...]:
        """Return the steps that keep tensors in memories by their numbers, outer memories first."""
        kept = {
            memory.name: tuple(name for name in self.workload.tensors if chosen.get(name) == number)
            for number, memory in enumerate(self.architecture.memories)
        }
        return tuple(Keep(level, names) for level, names in kept.items() if names)


def _tensors(part: _Part) -> frozenset[str]:
    """Return the tensors that a part reads or writes."""
    return frozenset(access.tensor for task in members(part) for access in (*task.reads, task.write))
