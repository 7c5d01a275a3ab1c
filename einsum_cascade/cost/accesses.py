"""Accesses per level and tensor: fills, reads, updates and drains.

A level is filled from the level outside it and drained back to it; it is read and updated from the inside. A partial
sum that comes back to be added to is read as well, except for the first time. A drain reads the level that it leaves:
here we differ from reference flows that count a drain only where it arrives.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from einsum_cascade.arch.ir import Architecture, Engine
from einsum_cascade.cost.counting import Moves, count_moves
from einsum_cascade.mapping.counts import Count
from einsum_cascade.mapping.footprint import Footprint, footprint_of
from einsum_cascade.mapping.ir import Axis, Loop, Step
from einsum_cascade.mapping.nest import Nests
from einsum_cascade.mapping.sites import Site, Sites, Use
from einsum_cascade.mapping.workload import Access, Task, Workload

__all__ = ["AccessCounter", "Accesses", "count_accesses"]


@dataclass(frozen=True, slots=True)
class Accesses:
    """Elements that a level moves for a tensor.

    Parameters
    ----------
    fills
        Written, coming from the level outside.
    reads
        Read, going inside.
    updates
        Written, coming from the inside.
    drains
        Read, going to the level outside.

    """

    fills: Count = 0
    reads: Count = 0
    updates: Count = 0
    drains: Count = 0

    @property
    def read(self) -> Count:
        """All elements read."""
        return cast(Any, self.reads) + self.drains

    @property
    def written(self) -> Count:
        """All elements written."""
        return cast(Any, self.fills) + self.updates

    def plus(self, **more: Count) -> "Accesses":
        """Return a sum with further moves."""
        return replace(self, **{name: getattr(self, name) + value for name, value in more.items()})


type Table = dict[tuple[str, str], Accesses]


def count_accesses(workload: Workload, architecture: Architecture, sites: Sites, values: Mapping[str, Count]) -> Table:
    """Return the accesses by level and tensor.

    Parameters
    ----------
    workload, architecture, sites
        What is mapped, onto what, and where its tensors are.
    values
        Extents of the ranks and values of the parameters; an array for a value that differs between mappings.

    """
    return AccessCounter(workload, architecture, sites, values).count(sites)


class AccessCounter:
    """Counts accesses of a mapping as a whole and in parts, each move once.

    Parameters
    ----------
    workload, architecture, sites
        What is mapped, onto what, and where its tensors are.
    values
        Extents of the ranks and values of the parameters.

    """

    def __init__(
        self, workload: Workload, architecture: Architecture, sites: Sites, values: Mapping[str, Count]
    ) -> None:
        """Take a mapping; nothing is counted yet."""
        self.workload, self.architecture, self.values = workload, architecture, values
        self.engine_of = {use.task.name: use.engine for use in sites.uses}
        self._nests = Nests(workload, values)
        self._footprints: dict[Access, Footprint] = {}
        self._known: dict[_Move, Moves] = {}

    def count(self, sites: Sites) -> Table:
        """Return the accesses of all sites and uses of the mapping, or of some, by level and tensor."""
        table = _Table(self)
        for use in sites.uses:
            table.count_use(use)
        for site in sites.sites:
            if site.outer is not None:
                table.count_site(site, site.outer)
        for site in sites.sites:
            if site.share:
                table.count_spills(site)
        return table.entries

    def unique(self, access: Access) -> Count:
        """Return the elements of an access over the whole iteration space."""
        return self._footprint(access).elements(self._nests.sizes)

    def moves(self, path: tuple[Step, ...], access: Access, engine: str, *, is_write: bool, is_held: bool) -> Moves:
        """Return what moves between a level and what is inside a path: the PEs of an engine, or what they compute."""
        found = self.architecture.engine(engine)
        shared = _shared(found, is_write=is_write) if found is not None else frozenset[Axis]()
        loops = tuple(step for step in path if isinstance(step, Loop))
        footprint, variables = self._footprint(access), access.variables
        key = loops, footprint, variables.intersection(loop.variable for loop in loops), shared, is_held
        if key not in self._known:
            nest, sizes, cut = self._nests.of(loops), self._nests.sizes, self._nests.split
            self._known[key] = count_moves(
                nest, footprint, variables, sizes, shared=shared, is_held=is_held, splitter=cut
            )
        return self._known[key]

    def _footprint(self, access: Access) -> Footprint:
        if access not in self._footprints:
            self._footprints[access] = footprint_of(access, self.workload.parts, self.values)
        return self._footprints[access]


type _Move = tuple[tuple[Step, ...], Footprint, frozenset[str], frozenset[Axis], bool]
"""What decides how often a tile moves: its loops, its size, what indexes it, who shares it, whether it is held."""


class _Table:
    def __init__(self, counter: AccessCounter) -> None:
        self.counter, self.workload = counter, counter.workload
        self.entries: Table = {}

    def count_use(self, use: Use) -> None:
        """Count what the operations of a task read from or write to the level that holds the tensor."""
        if use.site is None:
            return
        moves = self.counter.moves(use.path, use.access, use.engine, is_write=use.is_write, is_held=False)
        if not use.is_write:
            self._add(use.site, reads=moves.outer)
            return
        again = cast(Any, moves.outer) - self.counter.unique(use.access)
        self._add(use.site, updates=moves.outer, reads=again)

    def count_site(self, site: Site, outer: Site) -> None:
        """Count what moves between two levels that hold a tensor."""
        tasks = [self.workload.task[name] for name in sorted(site.tasks)]
        writers = [task for task in tasks if task.write.tensor == site.tensor]
        reads = _distinct(access for task in tasks for access in task.reads if access.tensor == site.tensor)
        if not writers or self._is_generation(site, writers):
            for access in reads:
                moves = self._site_moves(site, access, is_write=False)
                self._add(outer, reads=moves.outer)
                self._add(site, fills=moves.inner)
        for task in writers if self._is_needed_outside(site) else ():
            moves = self._site_moves(site, task.write, is_write=True)
            again = cast(Any, moves.outer) - self.counter.unique(task.write)
            self._add(outer, updates=moves.outer, reads=again)
            self._add(site, drains=moves.inner, fills=again)

    def count_spills(self, site: Site) -> None:
        """Count the accesses to what does not fit: it is read and written in the level outside."""
        names = [memory.name for memory in self.counter.architecture.memories]
        level = names[max(0, names.index(site.level) - 1)] if site.level in names else names[-1]
        own = self.entries.get((site.level, site.tensor), Accesses())
        spilled = 1 - cast(Any, self.counter.values[site.share])
        more = Accesses(reads=cast(Any, own.reads) * spilled, updates=cast(Any, own.updates) * spilled)
        old = self.entries.get((level, site.tensor), Accesses())
        self.entries[level, site.tensor] = old.plus(reads=more.reads, updates=more.updates)

    def _add(self, site: Site, **more: Count) -> None:
        key = site.level, site.tensor
        self.entries[key] = self.entries.get(key, Accesses()).plus(**more)

    def _is_generation(self, site: Site, writers: list[Task]) -> bool:
        """Tell whether a site holds one generation only, so that the one before comes from outside."""
        axis = self.workload.cascade.tensor[site.tensor].generation_axis
        if axis is None:
            return False
        stepped = {task.write.indices[axis].stepped for task in writers}
        return any(isinstance(step, Loop) and step.variable in stepped for step in site.path)

    def _is_needed_outside(self, site: Site) -> bool:
        if site.tensor in self.workload.homes_outside:
            return True
        readers = {task.name for task in self.workload.readers[site.tensor]}
        return not readers <= site.tasks or self._is_generation(site, list(self.workload.writers[site.tensor]))

    def _site_moves(self, site: Site, access: Access, *, is_write: bool) -> Moves:
        engine = self.counter.engine_of[min(site.tasks)]
        return self.counter.moves(site.path, access, engine, is_write=is_write, is_held=True)


def _shared(engine: Engine, *, is_write: bool) -> frozenset[Axis]:
    """Return the axes along which PEs share one transfer: rows are joined by what runs along a column."""
    links = {"reduce"} if is_write else {"broadcast", "shift"}
    found: list[Axis] = []
    if links & engine.along_columns:
        found.append("rows")
    if links & engine.along_rows:
        found.append("columns")
    return frozenset(found)


def _distinct(accesses: Iterable[Access]) -> list[Access]:
    """Return one of each group of accesses that touch the same tile, whatever the generation."""
    found: dict[tuple[frozenset[str], ...], Access] = {}
    for access in accesses:
        found.setdefault(tuple(frozenset(index.variables) for index in access.indices), access)
    return list(found.values())
