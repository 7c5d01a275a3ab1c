"""What a legal mapping needs of every memory, register file and axis of an architecture.

Tiles of tensors kept at a level, on one path of the tree, are held at once; those of siblings one after another, unless
their block lets them overlap. The first tile of every loop is the largest, so it decides. A tensor kept in registers
above spatial loops is spread over the PEs as the Einsums inside use it. Filters are not looked at.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import cast

from einsum_cascade.arch.ir import Architecture, Engine, Memory
from einsum_cascade.mapping import ir
from einsum_cascade.mapping.counts import Count, evaluated
from einsum_cascade.mapping.ir import Axis, Block, Compute, Keep, Loop, Step, leaves, paths
from einsum_cascade.mapping.mapped import Position, branches_of
from einsum_cascade.mapping.nest import Nests, range_sizes
from einsum_cascade.mapping.spread import part_of
from einsum_cascade.mapping.tiles import Piece, held_elements, whole_elements
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.wording import listed

__all__ = ["Demand", "Held", "demands"]


@dataclass(frozen=True, slots=True)
class Held:
    """A tile of a tensor at a level.

    Parameters
    ----------
    tensor
        The tensor.
    position
        Where it is kept in the tree.
    amount
        What it takes, all copies together: bits of a memory, words of a register file.

    """

    tensor: str
    position: Position
    amount: int


@dataclass(frozen=True, slots=True)
class Demand:
    """What a mapping needs of one resource.

    Parameters
    ----------
    resource
        A memory, an engine's registers, or an axis of an engine.
    amount, unit
        How much.
    bound
        How much there is; None if there is no limit.
    tiles
        What is held when the need is greatest.
    loops
        The spatial loops that make it, of an axis.

    """

    resource: tuple[str, ...]
    amount: int
    unit: str
    bound: int | None
    tiles: tuple[Held, ...] = ()
    loops: tuple[Position, ...] = ()

    @property
    def constraint(self) -> str:
        """What is bounded, in words."""
        match self.resource:
            case ("memory", name):
                return f"what {name!r} holds at once ({listed(dict.fromkeys(held.tensor for held in self.tiles))})"
            case ("registers", name):
                held = listed(dict.fromkeys(held.tensor for held in self.tiles))
                return f"what the registers of a PE of {name!r} hold at once ({held})"
            case (axis, engine, task):
                return f"the iterations of {task!r} spread over the {axis} of {engine!r}"
            case _:
                raise AssertionError(self.resource)


def demands(
    workload: Workload, architecture: Architecture, mapping: ir.Mapping, extents: Mapping[str, int]
) -> Iterator[Demand]:
    """Yield what a legal mapping needs of every memory, register file and axis."""
    measure = _Measure(workload, architecture, mapping, extents)
    for memory in architecture.memories:
        yield measure.memory(memory)
    for engine in architecture.engines:
        yield measure.registers(engine)
    yield from measure.axes()


class _Measure:
    """Walks the tree of a mapping with the number of coordinates that each range covers."""

    def __init__(
        self, workload: Workload, architecture: Architecture, mapping: ir.Mapping, extents: Mapping[str, int]
    ) -> None:
        self.workload, self.architecture, self.mapping = workload, architecture, mapping
        self.extents = extents
        self.values = {**mapping.numbers, **extents}
        self.sizes = cast("dict[str, int]", range_sizes(workload, extents))
        self.bits = dict.fromkeys(workload.tensors, architecture.word_bits) | dict(mapping.word_bits)

    def memory(self, it: Memory) -> Demand:
        """Return the bytes that a memory holds when it is fullest, or the fullest of its instances."""
        tiles = self._peak(self.mapping.root, (), self.sizes, it.name, 1)
        if it == self.architecture.memories[0]:
            tiles = (*self._home(it.instances), *tiles)
        return Demand(("memory", it.name), -(-_total(tiles) // 8), "B", it.capacity_bytes, tiles)

    def registers(self, it: Engine) -> Demand:
        """Return the words that the register file of one PE holds when it is fullest."""
        tiles = self._peak(self.mapping.root, (), self.sizes, it.name, 1)
        return Demand(("registers", it.name), _total(tiles), "words", it.registers.words, tiles)

    def axes(self) -> Iterator[Demand]:
        """Yield for every Einsum the PEs that its spatial loops need along each axis."""
        for branch in branches_of(self.mapping.root):
            engine = self.architecture.engine(branch.leaf.engine)
            needs: dict[Axis, int] = {"rows": 1, "columns": 1}
            loops: dict[Axis, list[Position]] = {"rows": [], "columns": []}
            sizes = self.sizes
            for placed in branch.steps:
                if isinstance(placed.step, Loop):
                    if placed.step.axis is not None:
                        needs[placed.step.axis] *= self.trips(placed.step, sizes)
                        loops[placed.step.axis].append(placed.position)
                    sizes = self.inside(placed.step, sizes)
            bounds: dict[Axis, int] = {"rows": engine.rows, "columns": engine.columns}
            for axis, bound in bounds.items():
                resource = (axis, engine.name, branch.leaf.task)
                yield Demand(resource, needs[axis], "PEs", bound, (), tuple(loops[axis]))

    def trips(self, loop: Loop, sizes: Mapping[str, int]) -> int:
        """Return the iterations of a loop in the largest tile around it."""
        part = self.workload.parts[loop.variable]
        return -(-self._covered(loop, sizes) // self._tile(loop)) if sizes[part.range] else 0

    def inside(self, loop: Loop, sizes: Mapping[str, int]) -> dict[str, int]:
        """Return the coordinates that each range covers in the first iteration of a loop."""
        part = self.workload.parts[loop.variable]
        return {**sizes, part.range: min(self._tile(loop), self._covered(loop, sizes))}

    def _covered(self, loop: Loop, sizes: Mapping[str, int]) -> int:
        part = self.workload.parts[loop.variable]
        return min(sizes[part.range], (part.unit * part.limit).evaluate(self.extents))

    def _tile(self, loop: Loop) -> int:
        """Return the coordinates of its range that an iteration covers."""
        unit = self.workload.parts[loop.variable].unit
        return evaluated(loop.tile, self.values) * unit.evaluate(self.extents)

    def _home(self, instances: int) -> tuple[Held, ...]:
        """Return what is at home, dealt out to the instances."""
        names = (name for name in self.workload.tensors if name in self.workload.homes_outside)
        whole = {n: whole_elements(self.workload, n, self.extents) * self.bits[n] for n in names}
        return tuple(Held(name, (), -(-amount // instances)) for name, amount in whole.items())

    def _peak(
        self, node: Block | Compute, position: Position, sizes: dict[str, int], level: str, pes: int
    ) -> tuple[Held, ...]:
        """Return what a level holds inside a node when it is fullest."""
        if isinstance(node, Compute):
            return ()
        own: list[Held] = []
        for at, step in enumerate(node.steps):
            if isinstance(step, Loop):
                pes *= self.trips(step, sizes) if step.axis else 1
                sizes = self.inside(step, sizes)
            elif step.level == level:
                inside = replace(node, steps=node.steps[at + 1 :])
                amounts = [(name, self._amount(step, name, inside, sizes, pes)) for name in step.tensors]
                if step.share:
                    amounts = [self._shared(step, amounts)]
                own += (Held(name, (*position, at), amount) for name, amount in amounts)
        first = len(node.steps)
        parts = [self._peak(part, (*position, first + at), sizes, level, pes) for at, part in enumerate(node.body)]
        if node.order == "sequence":
            return (*own, *max(parts, key=_total, default=()))
        return (*own, *(held for part in parts for held in part))

    def _amount(self, keep: Keep, tensor: str, inside: Block, sizes: dict[str, int], pes: int) -> int:
        """Return the bits that a memory holds of a tensor, or the words that a register file does."""
        tasks = [self.workload.task[leaf.task] for leaf in leaves(inside)]
        engine = self.architecture.find_engine(keep.level)
        if engine is None:
            is_apart = self._is_apart(inside, tensor, sizes)
            elements = held_elements(Piece(self.workload, self.extents, sizes), tensor, tasks, are_all_asked=is_apart)
            return self._of_one(keep, tensor, inside, elements * keep.copies * self.bits[tensor], sizes, pes)
        names = {n for task in tasks for a in (*task.reads, task.write) if a.tensor == tensor for n in a.variables}
        shares = [self._share(steps, sizes, names) for steps, _ in self._users(inside, tensor, engine)]
        shares = shares or [Piece(self.workload, self.extents, sizes)]
        elements = max(held_elements(share, tensor, tasks) for share in shares)
        return elements * keep.copies * -(-self.bits[tensor] // engine.registers.word_bits)

    def _is_apart(self, inside: Block, tensor: str, sizes: dict[str, int]) -> bool:
        """Tell whether Einsums follow the generations of a tensor apart: what is written, or fetched, is read later.

        Those that share a loop over single generations with the writer, around or inside, ask for the newest ones; so
        does a writer that is alone. A read of a generation at a constant, such as the last, follows none.
        """
        axis = self.workload.cascade.tensor[tensor].generation_axis
        if axis is None:
            return False
        followers: dict[str, frozenset[str]] = {}
        for leaf in leaves(inside):
            task = self.workload.task[leaf.task]
            for access in (*task.reads, task.write):
                if access.tensor == tensor and access.indices[axis].variables:
                    followers[task.name] = followers.get(task.name, frozenset()) | {*access.indices[axis].variables}
        if not followers:
            return False
        shared = frozenset[str].intersection(*followers.values())
        shared = frozenset(name for name in shared if not self._is_single(name, sizes))
        if not shared or followers.keys().isdisjoint(task.name for task in self.workload.writers[tensor]):
            return bool(shared)
        return len(followers) > 1 and not self._is_shared(inside, frozenset(followers), shared)

    def _is_single(self, variable: str, sizes: Mapping[str, int]) -> bool:
        """Tell whether loops around have a variable down to one coordinate."""
        part = self.workload.parts[variable]
        return sizes[part.range] <= part.unit.evaluate(self.extents)

    def _is_shared(self, block: Block, tasks: frozenset[str], variables: frozenset[str]) -> bool:
        """Tell whether a loop over single coordinates of one of some variables is around some tasks."""
        own = (step for step in block.steps if isinstance(step, Loop) and step.axis is None)
        if any(loop.variable in variables and loop.tile.evaluate(self.values) == 1 for loop in own):
            return True
        around = (part for part in block.body if isinstance(part, Block))
        return any(
            self._is_shared(part, tasks, variables) for part in around if tasks <= {leaf.task for leaf in leaves(part)}
        )

    def _of_one(self, keep: Keep, tensor: str, inside: Block, amount: int, sizes: dict[str, int], pes: int) -> int:
        """Return what one instance of a memory has of tiles: of those of several PEs that it serves, all."""
        memory = self.architecture.find_memory(keep.level)
        instances = 1 if memory is None else memory.instances
        if instances == 1:
            return amount * pes
        nests = Nests(self.workload, self.values)
        nests.sizes = dict[str, Count](sizes)
        left = max(1, instances // pes)
        tasks = self.workload.task
        parts = [
            part_of(nests, left, steps, frozenset(access.variables), amount)
            for steps, leaf in paths(inside)
            for access in (*tasks[leaf.task].reads, tasks[leaf.task].write)
            if access.tensor == tensor
        ]
        return max(parts, default=amount) * -(-pes // instances)

    def _shared(self, step: Keep, amounts: list[tuple[str, int]]) -> tuple[str, int]:
        """Return what the share of the largest tensor takes: each of them replaces the one that it is made from."""
        name, amount = max(amounts, key=lambda pair: pair[1])
        return name, int(amount * self.values.get(step.share, 1))

    def _users(self, inside: Block, tensor: str, engine: Engine) -> Iterator[tuple[tuple[Step, ...], Compute]]:
        """Yield the Einsums that use a tensor on an engine, with the steps between."""
        for steps, leaf in paths(inside):
            task = self.workload.task[leaf.task]
            if leaf.engine == engine.name and any(a.tensor == tensor for a in (*task.reads, task.write)):
                yield steps, leaf

    def _share(self, steps: tuple[Step, ...], sizes: dict[str, int], names: set[str]) -> Piece:
        """Return the coordinates that the first PE gets in all iterations of some loops together.

        Only loops over some variables count: one over the inner part of a partition leaves the outer part as it is.
        """
        loops = [step for step in steps if isinstance(step, Loop) and step.variable in names]
        share, scattered = dict(sizes), set[str]()
        for name in sizes:
            parts = [part for own, part in self.workload.parts.items() if own in names and part.range == name]
            most = max(((part.unit * part.limit).evaluate(self.extents) for part in parts), default=sizes[name])
            own = tuple(loop for loop in loops if self.workload.parts[loop.variable].range == name)
            share[name] = self._own(own, min(sizes[name], most))
            if any(one.axis is None and other.axis is not None for one, other in pairwise(own)):
                scattered.add(name)
        return Piece(self.workload, self.extents, share, frozenset(scattered))

    def _own(self, loops: tuple[Loop, ...], size: int) -> int:
        if not loops or not size:
            return size
        tile = self._tile(loops[0])
        if loops[0].axis is not None:
            return self._own(loops[1:], min(tile, size))
        return size // tile * self._own(loops[1:], tile) + self._own(loops[1:], size % tile)


def _total(tiles: tuple[Held, ...]) -> int:
    return sum(held.amount for held in tiles)
