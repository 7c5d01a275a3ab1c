"""Where tensors are held and used in a mapping: for every tensor a tree from its home to the operations."""

from collections.abc import Iterator
from dataclasses import dataclass

from einsum_cascade.arch.ir import Architecture
from einsum_cascade.cascade.extent import ONE
from einsum_cascade.mapping.ir import Block, Compute, Keep, Loop, Mapping, Step, leaves
from einsum_cascade.mapping.workload import Access, Task, Workload

__all__ = ["OperandUse", "Site", "Sites", "completed", "sites_of"]

type Position = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Site:
    """A tensor held at a level.

    Parameters
    ----------
    tensor, level
        What is held, and where.
    path
        The steps above, outermost first.
    tasks
        The tasks inside.
    copies
        Tiles that are held at once.
    share
        Name of the parameter that says which share of a tile fits; empty if all of it does.
    outer
        The site further out that it is filled from; None for the tensor's home.
    position
        Where in the tree it stands.

    """

    tensor: str
    level: str
    path: tuple[Step, ...]
    tasks: frozenset[str]
    copies: int
    share: str
    outer: "Site | None"
    position: Position


@dataclass(frozen=True, slots=True)
class OperandUse:
    """An operation's operand or result.

    Parameters
    ----------
    task, engine
        Whose, and where it runs.
    access
        What is read or written.
    is_write
        Whether it is the result.
    path
        All loops of the task, outermost first.
    site
        The innermost site of the tensor; None if nothing holds it.

    """

    task: Task
    engine: str
    access: Access
    is_write: bool
    path: tuple[Step, ...]
    site: Site | None


@dataclass(frozen=True, slots=True)
class Sites:
    """All sites and uses of a mapping, in order of the tree."""

    sites: tuple[Site, ...]
    uses: tuple[OperandUse, ...]


def sites_of(workload: Workload, architecture: Architecture, mapping: Mapping) -> Sites:
    """Return the sites and the uses of every tensor; tasks and levels that are unknown are left out."""
    finder = _Finder(workload)
    home = architecture.memories[0].name
    tasks = frozenset(leaf.task for leaf in leaves(mapping.root))
    outside = [name for name in workload.tensors if name in workload.homes_outside]
    held = {name: Site(name, home, (), tasks, 1, "", None, ()) for name in outside}
    finder.sites += held.values()
    finder.visit(mapping.root, (), held, ())
    return Sites(tuple(finder.sites), tuple(finder.uses))


def completed(path: tuple[Step, ...], task: Task, workload: Workload) -> tuple[Step, ...]:
    """Add the loops that a path leaves out: over what its tiles still cover, innermost, in order of iteration."""
    last = {step.variable: step.tile for step in path if isinstance(step, Loop)}
    missing = [name for name in task.variables if last.get(name) != ONE]
    return (*path, *(Loop(name) for name in missing))


class _Finder:
    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.sites: list[Site] = []
        self.uses: list[OperandUse] = []

    def visit(self, node: Block | Compute, path: tuple[Step, ...], held: dict[str, Site], position: Position) -> None:
        if isinstance(node, Compute):
            self._use(node, path, held)
            return
        tasks = frozenset(leaf.task for leaf in leaves(node))
        held = dict(held)
        for at, step in enumerate(node.steps):
            if isinstance(step, Keep):
                for site in _kept(step, path, tasks, held, (*position, at)):
                    if site.level != getattr(held.get(site.tensor), "level", None):
                        held[site.tensor] = site
                        self.sites.append(site)
            path = (*path, step)
        for at, part in enumerate(node.body):
            self.visit(part, path, held, (*position, len(node.steps) + at))

    def _use(self, leaf: Compute, path: tuple[Step, ...], held: dict[str, Site]) -> None:
        task = self.workload.task.get(leaf.task)
        if task is None:
            return
        whole = completed(path, task, self.workload)
        accesses = [*((access, False) for access in task.reads), (task.write, True)]
        self.uses += (
            OperandUse(task, leaf.engine, access, is_write, whole, held.get(access.tensor))
            for access, is_write in accesses
        )


def _kept(
    step: Keep, path: tuple[Step, ...], tasks: frozenset[str], held: dict[str, Site], position: Position
) -> Iterator[Site]:
    for name in step.tensors:
        yield Site(name, step.level, path, tasks, step.copies, step.share, held.get(name), position)
