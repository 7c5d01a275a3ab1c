"""A mapping with what it maps, onto what, and for which extents: what the rules of legality look at.

Names may be unknown: `Mapped.branches` are the Einsums that are known, and the rules about loops and levels speak of
these alone. That a name is unknown is told by `names`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from einsum_cascade.arch.ir import Architecture
from einsum_cascade.cascade.extent import Extent, constant
from einsum_cascade.mapping import ir
from einsum_cascade.mapping.ir import Block, Compute, Loop, Step
from einsum_cascade.mapping.residency import completed
from einsum_cascade.mapping.workload import Task, Workload

__all__ = ["Branch", "Mapped", "Placed", "Position", "blocks_of", "branches_of", "loops_of", "shared_steps"]

type Position = tuple[int, ...]
"""Of each node on the way from the root: its number in the body, after the steps of the block around it."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A step and where it stands."""

    position: Position
    step: Step


@dataclass(frozen=True, slots=True)
class Branch:
    """An Einsum of the tree with the steps above it, outermost first."""

    leaf: Compute
    position: Position
    steps: tuple[Placed, ...]


@dataclass(frozen=True)
class Mapped:
    """What the rules look at.

    Parameters
    ----------
    workload, architecture, mapping
        What is mapped, onto what, and how.
    extents
        Of all ranks; None if the mapping is looked at for all extents.

    """

    workload: Workload
    architecture: Architecture
    mapping: ir.Mapping
    extents: Mapping[str, int] | None = None

    @cached_property
    def branches(self) -> dict[str, Branch]:
        """The branches of the Einsums that are known, by name; of one bound twice, the first."""
        found: dict[str, Branch] = {}
        for branch in branches_of(self.mapping.root):
            if branch.leaf.task in self.workload.task:
                found.setdefault(branch.leaf.task, branch)
        return found

    @cached_property
    def levels(self) -> dict[str, int]:
        """How far in each level is: memories from the outermost, then the register files of the engines."""
        memories = {memory.name: at for at, memory in enumerate(self.architecture.memories)}
        return memories | {engine.name: len(memories) for engine in self.architecture.engines}

    @cached_property
    def ranks(self) -> frozenset[str]:
        """The names of all ranks."""
        return frozenset(self.workload.cascade.rank)

    @cached_property
    def positive(self) -> frozenset[str]:
        """The names of ranks and parameters, which are at least 1."""
        return self.ranks | {name for name, _ in self.mapping.parameters}

    @cached_property
    def values(self) -> dict[str, int] | None:
        """The numbers of ranks and parameters, if there are extents."""
        return None if self.extents is None else {**self.mapping.numbers, **self.extents}

    def task(self, branch: Branch) -> Task:
        """Return the task of a branch."""
        return self.workload.task[branch.leaf.task]

    def number(self, extent: Extent) -> int | None:
        """Return the value of an expression; None if it has none, or none is known."""
        known = self.mapping.numbers if self.values is None else self.values
        try:
            return extent.evaluate(known)
        except (KeyError, ZeroDivisionError):
            return None

    def is_nonnegative(self, extent: Extent) -> bool:
        """Tell whether an expression is provably not negative, for these extents or for all that are at least 1."""
        number = self.number(extent)
        if number is not None:
            return number >= 0
        known = {name: constant(value) for name, value in self.mapping.numbers.items()}
        return extent.substitute(known).is_nonnegative(self.positive)

    def is_single(self, position: Position, steps: tuple[Placed, ...]) -> bool:
        """Tell whether the loop at a position of a path has one iteration; False where no extents are known."""
        covered: dict[str, int] = {}
        for place, loop in loops_of(steps):
            part, tile = self.workload.parts.get(loop.variable), self.number(loop.tile)
            limit = None if part is None or self.extents is None else self.number(part.limit)
            if tile is None or limit is None:
                continue
            size = covered.get(loop.variable, limit)
            if place == position:
                return size <= tile
            covered[loop.variable] = min(size, tile)
        return False

    def whole_steps(self, branch: Branch) -> tuple[Placed, ...]:
        """Return the steps of a branch with the loops that its path leaves out."""
        known = self.workload.parts
        path = tuple(p.step for p in branch.steps if not isinstance(p.step, Loop) or p.step.variable in known)
        more = completed(path, self.task(branch), self.workload)[len(path) :]
        return (*branch.steps, *(Placed((*branch.position, at), step) for at, step in enumerate(more)))


def loops_of(steps: tuple[Placed, ...]) -> Iterator[tuple[Position, Loop]]:
    """Yield the loops among some steps, with their positions."""
    for placed in steps:
        if isinstance(placed.step, Loop):
            yield placed.position, placed.step


def branches_of(root: Block) -> Iterator[Branch]:
    """Yield every Einsum of a tree, in order, with the steps above it."""
    yield from _branches(root, (), ())


def _branches(node: Block | Compute, position: Position, above: tuple[Placed, ...]) -> Iterator[Branch]:
    if isinstance(node, Compute):
        yield Branch(node, position, above)
        return
    steps = tuple(Placed((*position, at), step) for at, step in enumerate(node.steps))
    for at, part in enumerate(node.body):
        yield from _branches(part, (*position, len(node.steps) + at), (*above, *steps))


def blocks_of(node: Block | Compute) -> Iterator[Block]:
    """Yield every block of a tree, outer ones first."""
    if isinstance(node, Block):
        yield node
        for part in node.body:
            yield from blocks_of(part)


def shared_steps(one: Branch, other: Branch) -> tuple[Placed, ...]:
    """Return the steps that stand above two Einsums."""
    return tuple(a for a, b in zip(one.steps, other.steps, strict=False) if a.position == b.position)
