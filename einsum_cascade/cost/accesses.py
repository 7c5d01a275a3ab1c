"""Accesses per level and tensor: fills, reads, updates and drains.

A level is filled from the level outside it and drained back to it; it is read and updated from the inside. A partial
sum that comes back to be added to is read as well, except for the first time. A drain reads the level that it leaves:
here we differ from reference flows that count a drain only where it arrives. What a level holds a share of is accessed
there for that share, and further out for the rest.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from einsum_cascade.analysis.symbolic import is_expression
from einsum_cascade.arch.ir import Architecture, Engine
from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cost.tile_moves import Moves, count_moves
from einsum_cascade.mapping.counts import Count, maximum, minimum
from einsum_cascade.mapping.ir import Axis, Loop, Step
from einsum_cascade.mapping.live import Live, left_of
from einsum_cascade.mapping.nest import Nests
from einsum_cascade.mapping.residency import OperandUse, Site, Sites
from einsum_cascade.mapping.spread import copies_apart
from einsum_cascade.mapping.tile_footprint import TileFootprint, footprint_of
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
        return self.reads + self.drains

    @property
    def written(self) -> Count:
        """All elements written."""
        return self.fills + self.updates

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
    live
        What masks leave; those of the cascade, without data, if not given.

    """

    def __init__(
        self,
        workload: Workload,
        architecture: Architecture,
        sites: Sites,
        values: Mapping[str, Count],
        live: Live | None = None,
    ) -> None:
        """Take a mapping; nothing is counted yet."""
        self.live = live or Live(workload, values)
        self.workload, self.architecture, self.values = workload, architecture, values
        self.uses = sites.uses
        self.engine_of = {use.task.name: use.engine for use in sites.uses}
        self._nests = Nests(workload, values)
        self._footprints: dict[_Ways, TileFootprint] = {}
        self._known: dict[_Move, Moves] = {}
        self._transfers: dict[tuple[tuple[int, ...], str], tuple[_Transfer, ...]] = {}

    def count(self, sites: Sites) -> Table:
        """Return the accesses of all sites and uses of the mapping, or of some, by level and tensor."""
        table = _Table(self)
        for use in sites.uses:
            table.count_use(use)
        for site in sites.sites:
            if site.outer is not None:
                table.count_site(site, site.outer)
        return table.entries

    def transfers(self, site: Site) -> "tuple[_Transfer, ...]":
        """Return what moves between a site and the one outside."""
        key = site.position, site.tensor
        if key not in self._transfers:
            self._transfers[key] = tuple(_transfers(self, site))
        return self._transfers[key]

    def unique(self, accesses: "_Ways") -> Count:
        """Return the elements of accesses over the whole iteration space."""
        return self._footprint(accesses).elements(self._nests.sizes)

    def first_share(self, site: Site, path: tuple[Step, ...]) -> Any:
        """Return the share of what moves between a site and the level outside that is in the first tile, at most 1.

        The first tile is whole: what a filter leaves out is missing from those after it.

        Parameters
        ----------
        site
            The site.
        path
            The steps above the tile: its own, or more where it is filled in parts.

        """
        sizes: dict[str, Count] = dict(self._nests.sizes)
        for loop in self._nests.of(path):
            if loop.axis is None:
                sizes[loop.range] = minimum(sizes[loop.range], loop.tile)
        first = [self._footprint(own.ways).elements(sizes) for own in self.transfers(site)]
        moved = [self.left_moves(site, own, own.moves.outer) for own in self.transfers(site)]
        shares = [_quotient(own, whole) for own, whole in zip(first, moved, strict=True)]
        return minimum(reduce(maximum, shares, 0), 1)

    def moves(self, path: tuple[Step, ...], accesses: "_Ways", engine: str, *, is_write: bool, is_held: bool) -> Moves:
        """Return what moves between a level and what is inside a path: the PEs of an engine, or what they compute."""
        found = self.architecture.find_engine(engine)
        shared = _shared(found, is_write=is_write) if found is not None else frozenset[Axis]()
        loops = tuple(step for step in path if isinstance(step, Loop))
        footprint, variables = self._footprint(accesses), accesses[0].variables
        key = loops, footprint, variables.intersection(loop.variable for loop in loops), shared, is_held
        if key not in self._known:
            nest, sizes, cut = self._nests.of(loops), self._nests.sizes, self._nests.split
            self._known[key] = count_moves(
                nest, footprint, variables, sizes, shared=shared, is_held=is_held, splitter=cut
            )
        return self._known[key]

    def _footprint(self, accesses: "_Ways") -> TileFootprint:
        if accesses not in self._footprints:
            self._footprints[accesses] = footprint_of(accesses[0], self.workload.parts, self.values, accesses[1:])
        return self._footprints[accesses]

    def copies_apart(self, site: Site, access: Access) -> Any:
        """Return how many instances of a memory have each element of a tile, because their PEs use it."""
        memory = self.architecture.find_memory(site.level)
        if memory is None or memory.instances == 1:
            return 1
        uses = [use for use in self.uses if use.task.name in site.tasks and use.access.tensor == site.tensor]
        inside = (use.path[len(site.path) :] for use in uses)
        left = max(1, memory.instances // self._pes_of(site.path))
        return reduce(maximum, (copies_apart(self._nests, left, steps, access.variables) for steps in inside), 1)

    def _pes_of(self, path: tuple[Step, ...]) -> int:
        pes = self._nests.pes(path)
        return pes if isinstance(pes, int) else 1

    def left_moves(self, site: Site, transfer: "_Transfer", count: Any) -> Any:
        """Return how much of what moves between a site and the level outside is needed, where masks leave points out.

        What moves in is what some point inside uses; what moves out, what is made there.

        Parameters
        ----------
        site, transfer
            Where, and what.
        count
            What moves without a mask.

        """
        ways, is_write = transfer.ways, transfer.is_write
        path = site.path
        tasks = [self.workload.task[name] for name in site.tasks]
        users = [task.name for task in tasks if site.tensor in _moved_by(task, is_write=is_write)]
        loops = ((at, step) for at, step in enumerate(path) if isinstance(step, Loop) and step.axis is None)
        moving = [at for at, step in loops if step.variable in ways[0].variables]
        end = moving[-1] + 1 if moving else 0
        return left_of(count, self.live.share(users, path[:end], ways, is_made=is_write))

    def further_out(self, site: Site) -> str:
        """Return the level that has what a site holds no share of."""
        if site.outer is not None:
            return site.outer.level
        names = [memory.name for memory in self.architecture.memories]
        return names[max(0, names.index(site.level) - 1)] if site.level in names else names[-1]


type _Ways = tuple[Access, ...]
"""Accesses that differ by constants: a holder has what any of them touches."""


type _Move = tuple[tuple[Step, ...], TileFootprint, frozenset[str], frozenset[Axis], bool]
"""What decides how often a tile moves: its loops, its size, what indexes it, who shares it, whether it is held."""


class _Table:
    def __init__(self, counter: AccessCounter) -> None:
        self.counter, self.workload = counter, counter.workload
        self.entries: Table = {}

    def count_use(self, use: OperandUse) -> None:
        """Count what the operations of a task read from or write to the level that holds the tensor."""
        if use.site is None:
            return
        moves = self.counter.moves(use.path, (use.access,), use.engine, is_write=use.is_write, is_held=False)
        live, what = self.counter.live, ((use.task.name,), use.path, (use.access,))
        points = live.share(*what, is_whole=True)
        if not use.is_write:
            self._access(use.site, reads=left_of(moves.outer, points))
            return
        unique = self.counter.unique((use.access,))
        updates, again = left_of(moves.outer, points), left_of(moves.outer - unique, points)
        made = live.share(*what, is_whole=True, is_made=True)
        if made is not points:  # reductions over nothing, whose results are written all the same
            updates = maximum(updates, left_of(unique, made))
        self._access(use.site, updates=updates, reads=again)

    def count_site(self, site: Site, outer: Site) -> None:
        """Count what moves between two levels that hold a tensor: of what is held, the share that is."""
        for own in self.counter.transfers(site):
            share = self._share(site) * (1 if own.is_write else self.counter.copies_apart(site, own.ways[0]))
            there, here = (
                share * self.counter.left_moves(site, own, getattr(own.moves, side)) for side in ("outer", "inner")
            )
            if not own.is_write:
                self._access(outer, reads=there)
                self._add(site.level, site.tensor, fills=here)
                continue
            count = own.moves.outer - self.counter.unique(own.ways)
            again = share * self.counter.left_moves(site, own, count)
            self._access(outer, updates=there, reads=again)
            self._add(site.level, site.tensor, drains=here, fills=again)

    def _access(self, site: Site, **more: Any) -> None:
        """Add accesses from the inside: of what a site holds a share of, the rest goes further out instead."""
        share = self._share(site)
        self._add(site.level, site.tensor, **{name: share * value for name, value in more.items()})
        if not site.share:
            return
        rest = {name: (1 - share) * value for name, value in more.items()}
        if site.outer is not None:
            self._access(site.outer, **rest)
        else:
            self._add(self.counter.further_out(site), site.tensor, **rest)

    def _share(self, site: Site) -> Any:
        return self.counter.values[site.share] if site.share else 1

    def _add(self, level: str, tensor: str, **more: Count) -> None:
        key = level, tensor
        self.entries[key] = self.entries.get(key, Accesses()).plus(**more)


@dataclass(frozen=True, slots=True)
class _Transfer:
    """What moves between a site and the one outside: of which accesses, how much without a mask, whether out."""

    ways: _Ways
    moves: Moves
    is_write: bool


def _moved_by(task: Task, *, is_write: bool) -> frozenset[str]:
    """Return the tensors that a task makes, or all that it uses."""
    return frozenset(each.tensor for each in (task.write, *(() if is_write else task.reads)))


def _transfers(counter: AccessCounter, site: Site) -> Iterator[_Transfer]:
    workload = counter.workload
    tasks = [workload.task[name] for name in sorted(site.tasks)]
    writers = [task for task in tasks if task.write.tensor == site.tensor]
    engine = counter.engine_of[min(site.tasks)]
    if not writers or _is_generation(workload, site, writers):
        for ways in _ways_of(workload, site, tasks):
            moves = counter.moves(site.path, ways, engine, is_write=False, is_held=True)
            yield _Transfer(ways, moves, is_write=False)
    for task in writers if _is_needed_outside(workload, site) else ():
        moves = counter.moves(site.path, (task.write,), engine, is_write=True, is_held=True)
        yield _Transfer((task.write,), moves, is_write=True)


def _ways_of(workload: Workload, site: Site, tasks: Iterable[Task]) -> Iterator[_Ways]:
    """Yield the reads of a site, those that differ by constants together, whatever the generation."""
    axis = workload.cascade.tensor[site.tensor].generation_axis
    found: dict[tuple[object, ...], dict[Access, None]] = {}
    for access in (access for task in tasks for access in task.reads if access.tensor == site.tensor):
        indices = access.indices if axis is None else _of_one_generation(access.indices, axis)
        found.setdefault(tuple(index.terms for index in indices), {})[Access(access.tensor, indices)] = None
    yield from (tuple(ways) for ways in found.values())


def _of_one_generation(indices: Sequence[Affine], axis: int) -> tuple[Affine, ...]:
    """Return indices without the offset of the generation."""
    return (*indices[:axis], Affine(indices[axis].terms), *indices[axis + 1 :])


def _is_generation(workload: Workload, site: Site, writers: Iterable[Task]) -> bool:
    """Tell whether a site holds one generation only, so that the one before comes from outside."""
    axis = workload.cascade.tensor[site.tensor].generation_axis
    if axis is None:
        return False
    stepped = {task.write.indices[axis].stepped for task in writers}
    return any(isinstance(step, Loop) and step.variable in stepped for step in site.path)


def _is_needed_outside(workload: Workload, site: Site) -> bool:
    if site.tensor in workload.homes_outside:
        return True
    readers = {task.name for task in workload.readers[site.tensor]}
    return not readers <= site.tasks or _is_generation(workload, site, workload.writers[site.tensor])


def _shared(engine: Engine, *, is_write: bool) -> frozenset[Axis]:
    """Return the axes along which PEs share one transfer: rows are joined by what runs along a column."""
    links = {"reduce"} if is_write else {"broadcast", "shift"}
    found: list[Axis] = []
    if links & engine.along_columns:
        found.append("rows")
    if links & engine.along_rows:
        found.append("columns")
    return frozenset(found)


def _quotient(part: Any, whole: Any) -> Any:
    """Return a share of a count; 1 of nothing."""
    if is_expression(whole) or is_expression(part):
        return part / whole
    return part / maximum(whole, 1)
