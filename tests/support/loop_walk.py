"""A mapping run loop by loop with real tiles: fills, reads, updates and drains counted as they happen.

It shares no code with `einsum_cascade.cost`: it walks the tree of a mapping, lets PEs run side by side, and compares
tiles. Tiles are sets of elements, found by running over their points. A PE that gets no part of a tensor's tile, while
others do, keeps nothing of it; where those with the same tile are through before the others, it keeps what it has.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import product

from einsum_cascade.mapping.ir import Block, Compute, Keep, Loop

__all__ = ["Pe", "Reference", "walk_mapping"]


@dataclass(frozen=True)
class Reference:
    """An access in plain terms: for every dimension pairs of a variable and its stride, and an offset."""

    tensor: str
    terms: tuple[tuple[tuple[str, int], ...], ...]
    offsets: tuple[int, ...]

    @property
    def names(self):
        return frozenset(name for terms in self.terms for name, _ in terms)


@dataclass(frozen=True)
class Pe:
    """One of the PEs that run side by side: where it is, which coordinates it has, whether it is done before others."""

    place: tuple[tuple[str, str, int], ...]
    ranges: tuple[tuple[str, tuple[int, int]], ...]
    is_done: bool = False


class Walk:
    def __init__(self, tasks, extents, tails, homes, links):
        self.tasks, self.extents, self.tails, self.homes, self.links = tasks, extents, tails, homes, links
        self.counts = Counter()
        self.resident = {}
        self.touched = {}

    def run(self, node, pes, held, position):
        if isinstance(node, Compute):
            self.complete(node, pes, held, self.missing(node))
            return
        self.steps(node, 0, pes, held, position)

    def steps(self, block, at, pes, held, position):
        if at == len(block.steps):
            for number, part in enumerate(block.body):
                self.run(part, pes, dict(held), (*position, at + number))
            return
        step = block.steps[at]
        if isinstance(step, Keep):
            for tensor in step.tensors:
                if held.get(tensor, (None,))[0] != step.level:
                    self.arrive(tensor, step.level, held.get(tensor), pes, block, (*position, at))
                    held = {**held, tensor: (step.level, block)}
            self.steps(block, at + 1, pes, held, position)
        else:
            for part in self.iterate(step, pes):
                self.steps(block, at + 1, part, held, position)

    def missing(self, leaf):
        """Variables of a task that no loop brings down to one coordinate: they run innermost."""
        return [name for name in self.tasks[leaf.task]["variables"] if name not in self.finished]

    def complete(self, leaf, pes, held, names):
        if not names:
            self.operate(leaf, pes, held)
            return
        for part in self.iterate(Loop(names[0]), pes):
            self.complete(leaf, part, held, names[1:])

    finished = frozenset()

    def iterate(self, loop, pes):
        tile = loop.tile.evaluate(self.extents)
        before = self.finished
        if tile == 1:
            self.finished = before | {loop.variable}
        if loop.axis:
            yield [child for pe in pes for child in self.children(pe, loop, tile)]
        else:
            trips = max(len(self.children(pe, loop, tile)) for pe in pes if not pe.is_done)
            for trip in range(trips):
                yield [self.trip(pe, self.children(pe, loop, tile), trip) for pe in pes]
        self.finished = before

    def trip(self, pe, children, number):
        """What a PE does in an iteration: nothing once it is through with its own."""
        return children[number] if not pe.is_done and number < len(children) else Pe(pe.place, pe.ranges, is_done=True)

    def children(self, pe, loop, tile):
        return [pe] if pe.is_done else list(self.split(pe, loop, tile))

    def split(self, pe, loop, tile):
        ranges = dict(pe.ranges)
        low, high = ranges[loop.variable]
        high = self.clipped(loop.variable, ranges, high)
        for number, start in enumerate(range(low, high, tile)):
            own = {**ranges, loop.variable: (start, min(start + tile, high))}
            place = (*pe.place, (loop.axis, loop.variable, number)) if loop.axis else pe.place
            yield Pe(place, tuple(own.items()))

    def clipped(self, name, ranges, high):
        """Leave out coordinates that no point of the partition's tail has."""
        for outer, inner, whole in self.tails:
            if name == inner and outer in ranges and ranges[outer][1] - ranges[outer][0] == 1:
                high = min(high, whole - ranges[outer][0] * self.extents[inner.upper()])
        return high

    def elements(self, reference, pe):
        """The elements of a tensor that the points of a PE touch."""
        ranges = dict(pe.ranges)
        names = sorted(reference.names)
        found = set()
        for at in product(*(range(*ranges[name]) for name in names)):
            point = dict(zip(names, at, strict=True))
            if all(self.is_present(point, ranges, tail) for tail in self.tails):
                values = (sum(point[name] * stride for name, stride in terms) for terms in reference.terms)
                found.add(tuple(value + offset for value, offset in zip(values, reference.offsets, strict=True)))
        return found

    def is_present(self, point, ranges, tail):
        outer, inner, whole = tail
        if outer in point and inner in point:
            return point[outer] * self.extents[inner.upper()] + point[inner] < whole
        if inner in point and outer not in point:
            low, high = ranges[outer]
            return high - low > 1 or low * self.extents[inner.upper()] + point[inner] < whole
        return True

    def groups(self, pes, names):
        """PEs that need the same tile, by the places that tell them apart."""
        found = {}
        for pe in (pe for pe in pes if not pe.is_done):
            found.setdefault(key_of(pe.place, names), []).append(pe)
        return found

    def transfers(self, group, names, kind):
        """How many transfers serve a group: one for each place along axes that cannot share."""
        apart = {
            tuple(part for part in pe.place if part[1] not in names and part[0] not in self.links[kind]) for pe in group
        }
        return len(apart)

    def references(self, tensor, block, role):
        leaves = list(_leaves(block))
        found = {}
        for leaf in leaves:
            task = self.tasks[leaf.task]
            for reference in task["reads"] if role == "read" else [task["write"]]:
                if reference.tensor == tensor:
                    found.setdefault(reference.terms, {})[reference] = None
        return [tuple(ways) for ways in found.values()]

    def arrive(self, tensor, level, outer, pes, block, position):
        if outer is None:
            return
        writes = self.references(tensor, block, "write")
        reads = [] if writes else self.references(tensor, block, "read")
        users = {leaf.task for leaf in _leaves(block)}
        is_needed = tensor in self.homes or any(
            reference.tensor == tensor and name not in users
            for name, task in self.tasks.items()
            for reference in task["reads"]
        )
        for ways in reads:
            for size, active, transfers, _ in self.changes(ways, pes, (position, tensor, "r"), "read"):
                self.counts[outer[0], tensor, "reads"] += size * transfers
                self.counts[level, tensor, "fills"] += size * active
        for ways in writes if is_needed else []:
            for size, active, transfers, elements in self.changes(ways, pes, (position, tensor, "w"), "write"):
                again = self.again((position, tensor), elements, transfers)
                self.counts[outer[0], tensor, "updates"] += size * transfers
                self.counts[level, tensor, "drains"] += size * active
                self.counts[outer[0], tensor, "reads"] += again
                self.counts[level, tensor, "fills"] += again

    def again(self, key, elements, transfers):
        """How many elements of some transfers were there before."""
        touched = self.touched.setdefault(key, set())
        new = len(elements - touched)
        touched |= elements
        return len(elements) * transfers - new

    def changes(self, ways, pes, key, kind):
        names = ways[0].names
        last = self.resident.get((key, ways), {})
        groups = self.groups(pes, names)
        now = {}
        for group in groups.values():
            ranges = dict(group[0].ranges)
            tile = tuple((name, ranges[name]) for name in sorted(names))
            now |= dict.fromkeys((pe.place for pe in group), tile)
            filled = [pe for pe in group if last.get(pe.place) != tile]
            if filled:
                elements = set().union(*(self.elements(reference, group[0]) for reference in ways))
                yield len(elements), len(filled), self.transfers(filled, names, kind), elements
        done = {key_of(pe.place, names) for pe in pes if pe.is_done}
        kept = {
            place: tile
            for place, tile in last.items()
            if (own := key_of(place, names)) in groups or any(own[: len(key)] == key for key in done)
        }
        self.resident[key, ways] = kept | now

    def operate(self, leaf, pes, held):
        task = self.tasks[leaf.task]
        for reference in task["reads"]:
            if reference.tensor in held:
                for group in self.groups(pes, reference.names).values():
                    count = self.transfers(group, reference.names, "read") * len(self.elements(reference, group[0]))
                    self.counts[held[reference.tensor][0], reference.tensor, "reads"] += count
        write = task["write"]
        if write.tensor in held:
            for group in self.groups(pes, write.names).values():
                transfers = self.transfers(group, write.names, "write")
                elements = self.elements(write, group[0])
                again = self.again(("operate", leaf.task), elements, transfers)
                self.counts[held[write.tensor][0], write.tensor, "updates"] += transfers * len(elements)
                self.counts[held[write.tensor][0], write.tensor, "reads"] += again


def key_of(place, names):
    """The part of a place that tells apart which tile of a tensor a PE gets."""
    return tuple(part for part in place if part[1] in names)


def _leaves(node):
    if isinstance(node, Compute):
        yield node
    else:
        for part in node.body:
            yield from _leaves(part)


def walk_mapping(root: Block, tasks, extents, *, tails=(), homes, home, links):
    """Run a mapping and return its moves by level, tensor and kind.

    `tasks` has for every task its variables, reads and write; `tails` triples of the outer and the inner variable of a
    partition and the extent of the whole; `links` the axes along which reads and writes are shared.
    """
    walk = Walk(tasks, extents, tails, homes, links)
    variables = sorted({name for task in tasks.values() for name in task["variables"]})
    pe = Pe((), tuple((name, (0, extents[name.upper()])) for name in variables))
    walk.run(root, [pe], {name: (home, root) for name in homes}, ())
    return Counter({key: count for key, count in walk.counts.items() if count})
