"""Count passes by simulating the streaming of one fiber on the element graph, at concrete small extents.

The element graph has one point per surviving iteration point of every Einsum and one element per coordinate of every
tensor. `passes_at` gives every element a time (traversal, position), written as the number traversal * N + position,
in one topological sweep per fiber of the tensor; see `_sweep`, which is the whole definition.

Interpretations
---------------
Existence
    A point is absent if its filter fails and has no `else`, if an index leaves its tensor, or if an operand is absent.
    Without a reduction the element is absent with its point. With one, an element without points exists as the
    identity, unless a conjunct of the filter, an index or an operand free of reduced variables excludes it.
Values
    There are none. A comparison that reads a tensor holds; with an `else`, its points read both branches. What a filter
    reads are operands like any other.
Reading along R
    An alias names the same coordinates. An index reads along R if it has a variable of the dimension's own rank or of
    an alias of it, up to an offset; else by the variables of `m1*M0 + m0` together, outermost first; else (`p + s`) by
    the variable whose rank's extent is made from the dimension's. Constant indices (a final generation, `X[0]`) do not
    read along R: these elements persist like any other.
Family
    (T, axes), and every (tensor, axes) whose equation has on the left all the variables by which it reads a member
    along R. Of their elements those count that derive from the fiber by such reads and all of whose points sit at one
    position, later generations of an iterative tensor included, whichever of its fibers they are.
Position
    The value of the outermost variable; where some read of the family is by `m1*M0 + m0` and another by `m`, the latter
    sits at its tile. A point that reads the fiber's family by several variables sits at the latest of their positions,
    and so does what reads its result, whichever of them the result carries.
One thread of several (`thread`)
    Where an equation reads the family by several variables, only the reads by this one count, and what else it reads of
    the fiber's family is there from the start, as if it came from another tensor.
Other variables
    Reads of T by variables not asked for read elements that persist.
Aliases of a fiber's coordinate
    Aliases are independent, so a coordinate read by an alias' variable may be the fiber's own, at every position: if T
    has another axis of rank D and H[t, d] is read as H[t, j] with J = D, the point waits for H at the fiber's
    coordinate as well, provided that the Einsum has the point there. (Otherwise the diagonal of a recurrent weight
    matrix W[d, j] would be special, and W/J about T/2 instead of T.)
Nothing reads the family
    The count is 0.
"""

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from graphlib import TopologicalSorter
from itertools import product

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.ir import (
    And,
    Apply,
    Cascade,
    Comparison,
    Constant,
    Coordinate,
    Einsum,
    Expression,
    Not,
    Or,
    Predicate,
    RankExtent,
    Read,
    conjuncts,
    predicate_variables,
    reads_of,
    reads_of_predicate,
)

__all__ = ["all_extents", "passes_at", "threads_of"]

type Coordinates = tuple[int, ...]
type Axes = tuple[int, ...]
type Names = tuple[str, ...]
type Function = Callable[[Coordinates], float]
type Index = tuple[int, tuple[tuple[int, int], ...]]

_INFIX: dict[str, Callable[..., float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "max": max,
    "min": min,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def all_extents(cascade: Cascade, extents: dict[str, int]) -> dict[str, int]:
    """Complete the extents of the free ranks by those of aliases and defaults."""
    known = dict(extents)
    for rank in cascade.ranks:
        if rank.alias_of is not None:
            known[rank.name] = known[rank.alias_of]
        elif rank.name not in known:
            if rank.extent is None:
                raise ValueError(f"rank {rank.name} has no extent")
            known[rank.name] = rank.extent.evaluate(known)
    return known


def passes_at(
    cascade: Cascade,
    extents: dict[str, int],
    tensor: str,
    axes: tuple[int, ...],
    variables: tuple[str, ...] | None = None,
    thread: str | None = None,
) -> int:
    """Count the traversals of one fiber of a tensor that its readers need, the most over all fibers.

    `axes` are the tensor's axes that carry the rank, of a composite rank the outermost first. `variables` restricts the
    tensor's reads along it to those by these rank variables only; None takes all.
    """
    graph = _graph_of(cascade, tuple(sorted(all_extents(cascade, extents).items())))
    family = _Family(graph, tensor, axes, variables, thread)
    if not family.along:
        return 0
    plan = _plan(graph, family)
    free = [range(size) for axis, size in enumerate(graph.shapes[tensor]) if axis not in axes]
    return max((_sweep(graph, plan, tensor, axes, fiber) for fiber in product(*free)), default=0)


def threads_of(cascade: Cascade, extents: dict[str, int], tensor: str, axes: tuple[int, ...]) -> frozenset[str]:
    """Name the variables by which an equation reads the family that reads it by several."""
    graph = _graph_of(cascade, tuple(sorted(all_extents(cascade, extents).items())))
    return frozenset().union(*(names for names in _Family(graph, tensor, axes, None).read_by() if len(names) > 1))


# The element graph


@dataclass(slots=True)
class _Read:
    """A read of an Einsum, its indices compiled to integers."""

    read: Read
    indices: tuple[Index, ...]
    branch: str  # "then", "else" or "where"


@dataclass(slots=True)
class _Equation:
    """An Einsum, compiled for fixed extents."""

    einsum: Einsum
    variables: tuple[str, ...]
    reads: list[_Read]
    left: tuple[Index, ...]
    filter: Function | None
    is_data_dependent: bool


@dataclass(slots=True)
class _Point:
    """A surviving iteration point: what it reads (an element per read of the equation, or -1) and what it makes."""

    equation: int
    at: Coordinates
    operands: list[int]
    out: int


@dataclass
class _Graph:
    cascade: Cascade
    extents: dict[str, int]
    equations: list[_Equation] = field(default_factory=list)
    shapes: dict[str, Coordinates] = field(default_factory=dict)
    base: dict[str, int] = field(default_factory=dict)
    size: int = 0
    points: list[_Point] = field(default_factory=list)  # in topological order
    found: dict[tuple[int, Coordinates], _Point] = field(default_factory=dict)

    def element(self, tensor: str, at: Sequence[int]) -> int:
        """Number an element; -1 if it lies outside the tensor."""
        number = 0
        for coordinate, size in zip(at, self.shapes[tensor], strict=True):
            if not 0 <= coordinate < size:
                return -1
            number = number * size + coordinate
        return self.base[tensor] + number


@lru_cache(maxsize=4)
def _graph_of(cascade: Cascade, extents: tuple[tuple[str, int], ...]) -> _Graph:
    graph = _Graph(cascade, dict(extents))
    for tensor in cascade.tensors:
        shape = tuple(d.extent.evaluate(graph.extents) for d in tensor.dimensions)
        graph.shapes[tensor.name], graph.base[tensor.name] = shape, graph.size
        graph.size += _volume(shape)
    graph.equations = [_compile(einsum, graph.extents) for einsum in cascade.einsums]
    _Builder(graph).build()
    return graph


def _volume(shape: Coordinates) -> int:
    volume = 1
    for size in shape:
        volume *= size
    return volume


def _compile(einsum: Einsum, extents: dict[str, int]) -> _Equation:
    variables = einsum.variables
    slot = {name: number for number, name in enumerate(variables)}
    parts = [("then", read) for read in reads_of(einsum.expression)]
    parts += [("else", read) for read in (reads_of(einsum.otherwise) if einsum.otherwise else ())]
    parts += [("where", read) for read in (reads_of_predicate(einsum.where) if einsum.where else ())]
    reads = [_Read(r, tuple(_index(i, slot, extents) for i in r.indices), branch) for branch, r in parts]
    return _Equation(
        einsum,
        variables,
        reads,
        tuple(_index(i, slot, extents) for i in einsum.indices),
        None if einsum.where is None else _predicate(einsum.where, slot, extents),
        any(branch == "where" for branch, _ in parts),
    )


def _index(index: Affine, slot: dict[str, int], extents: dict[str, int]) -> Index:
    return index.offset.evaluate(extents), tuple((slot[name], c.evaluate(extents)) for name, c in index.terms)


def _at(indices: tuple[Index, ...], at: Coordinates) -> list[int]:
    return [offset + sum(at[slot] * factor for slot, factor in terms) for offset, terms in indices]


def _predicate(predicate: Predicate, slot: dict[str, int], extents: dict[str, int]) -> Function:
    match predicate:
        case Comparison(symbol, left, right):
            if any(True for _ in reads_of_predicate(predicate)):
                return lambda at: True
            compare, a, b = _INFIX[symbol], _value(left, slot, extents), _value(right, slot, extents)
            return lambda at: compare(a(at), b(at))
        case Not(operand):
            inner = _predicate(operand, slot, extents)
            if any(True for _ in reads_of_predicate(operand)):
                return lambda at: True
            return lambda at: not inner(at)
        case And(operands):
            parts = [_predicate(part, slot, extents) for part in operands]
            return lambda at: all(part(at) for part in parts)
        case Or(operands):
            parts = [_predicate(part, slot, extents) for part in operands]
            return lambda at: any(part(at) for part in parts)


def _value(expression: Expression, slot: dict[str, int], extents: dict[str, int]) -> Function:
    match expression:
        case Constant(value):
            return lambda at: value
        case RankExtent(rank):
            return lambda at: extents[rank]
        case Coordinate(variable):
            number = slot[variable]
            return lambda at: at[number]
        case Apply(op, arguments):
            function, parts = _INFIX[op.name], [_value(part, slot, extents) for part in arguments]
            return lambda at: function(*(part(at) for part in parts))
        case Read():
            raise AssertionError("comparisons that read a tensor are not evaluated")


class _Builder:
    """Finds which elements exist, depth first, and puts their points in topological order."""

    def __init__(self, graph: _Graph) -> None:
        self._graph = graph
        self._candidates: dict[int, list[_Point]] = {}
        self._exists: dict[int, bool] = {}
        self._open: set[int] = set()
        self._excluded: set[int] = set()

    def build(self) -> None:
        for number, equation in enumerate(self._graph.equations):
            self._enumerate(number, equation)
        for tensor in self._graph.cascade.tensors:
            if not tensor.is_given:
                base = self._graph.base[tensor.name]
                for element in range(base, base + _volume(self._graph.shapes[tensor.name])):
                    self._visit(element)
        for point in self._graph.points:
            self._graph.found[point.equation, point.at] = point

    def _enumerate(self, number: int, equation: _Equation) -> None:
        graph, einsum = self._graph, equation.einsum
        sizes = [graph.extents[graph.cascade.rank_of[name]] for name in equation.variables]
        for at in product(*map(range, sizes)):
            out = graph.element(einsum.tensor, _at(equation.left, at))
            branches = _branches(equation, at)
            operands = [
                graph.element(r.read.tensor, _at(r.indices, at)) if r.branch in branches else -2 for r in equation.reads
            ]
            if out >= 0:
                point = _Point(number, at, operands if branches else [], out)
                self._candidates.setdefault(out, []).append(point)

    def _visit(self, element: int) -> bool:
        known = self._exists.get(element)
        if known is not None:
            return known
        if element not in self._candidates:
            return self._exists.setdefault(element, element < self._first_computed())
        if element in self._open:
            raise ValueError("the element graph has a cycle")
        self._open.add(element)
        found = self._settle(element)
        self._open.discard(element)
        self._exists[element] = found
        return found

    def _first_computed(self) -> int:
        computed = (self._graph.base[t.name] for t in self._graph.cascade.tensors if not t.is_given)
        return min(computed, default=self._graph.size)

    def _settle(self, element: int) -> bool:
        candidates = self._candidates[element]
        alive = [point for point in candidates if self._survives(point)]
        self._graph.points += alive
        return bool(alive) or any(self._is_identity(point) for point in candidates)

    def _survives(self, point: _Point) -> bool:
        equation = self._graph.equations[point.equation]
        if not point.operands and (equation.reads or not _branches(equation, point.at)):
            return False
        return all(operand == -2 or (operand >= 0 and self._visit(operand)) for operand in point.operands)

    def _is_identity(self, point: _Point) -> bool:
        """Tell whether nothing but what involves the reduced variables makes the point absent."""
        graph, equation = self._graph, self._graph.equations[point.equation]
        if equation.einsum.reduction is None:
            return False
        reduced = set(equation.einsum.reduction.variables)
        slot = {name: number for number, name in enumerate(equation.variables)}
        for part in conjuncts(equation.einsum.where):
            if not predicate_variables(part) & reduced and not _predicate(part, slot, graph.extents)(point.at):
                return False
        for part in equation.reads:
            if part.branch == "then" and not any(set(i.variables) & reduced for i in part.read.indices):
                operand = graph.element(part.read.tensor, _at(part.indices, point.at))
                if operand < 0 or not self._visit(operand):
                    return False
        return True


def _branches(equation: _Equation, at: Coordinates) -> tuple[str, ...]:
    """Name what a point reads: its expression, its `else` (both if it depends on data), its filter."""
    if equation.filter is None:
        return ("then",)
    if not equation.filter(at):
        return ("else", "where") if equation.einsum.otherwise is not None else ()
    return ("then", "where", "else") if equation.is_data_dependent else ("then", "where")


# The family


class _Family:
    """Which reads of every equation are along R, and by which variables."""

    def __init__(
        self, graph: _Graph, tensor: str, axes: Axes, variables: tuple[str, ...] | None, thread: str | None = None
    ) -> None:
        self._graph, self._cascade = graph, graph.cascade
        self.tensor, self.axes, self._variables, self.thread = tensor, axes, variables, thread
        self._members: dict[str, set[Axes]] = {tensor: {axes}}
        self.along: dict[tuple[int, int], set[tuple[Names, Axes]]] = {}
        self.carried: dict[tuple[int, Names], Axes] = {}
        for _ in range(2 * len(graph.equations)):
            before = self._members, self.along
            self._grow()
            if before == (self._members, self.along):
                break

    def _grow(self) -> None:
        """Find the reads of the members known so far, and the members that follow from them."""
        known = self._members
        self._members, self.along, self.carried = {self.tensor: {self.axes}}, {}, {}
        for number, equation in enumerate(self._graph.equations):
            found = [
                (place, by, axes)
                for place, part in enumerate(equation.reads)
                for axes in known.get(part.read.tensor, ())
                if (by := self._read_by(part.read, axes, part.read.tensor == self.tensor and axes == self.axes))
            ]
            is_torn = self.thread in (names := {by[0] for _, by, _ in found}) and len(names) > 1
            for place, by, axes in found:
                self.along.setdefault((number, place), set()).add((by, axes))
                if not is_torn or by[0] == self.thread:
                    self._inherit(number, equation.einsum, by)

    def read_by(self) -> list[set[str]]:
        """Name for every equation the variables by which it reads the family."""
        found: list[set[str]] = [set() for _ in self._graph.equations]
        for (number, _), ways in self.along.items():
            found[number] |= {by[0] for by, _ in ways}
        return found

    def _read_by(self, read: Read, axes: Axes, is_root: bool) -> Names:
        parts = [self._variables_of(read, axis) for axis in axes]
        if not all(parts):
            return ()
        by = tuple(name for part in parts for name in part)
        if is_root and self._variables is not None and not set(by) <= set(self._variables):
            return ()
        return by

    def _variables_of(self, read: Read, axis: int) -> Names:
        index, cascade = read.indices[axis], self._cascade
        rank = cascade.tensor[read.tensor].dimensions[axis].rank
        own = [name for name in index.variables if cascade.rank_of[name] == rank]
        if own:
            return (own[0],)
        alias = [n for n in index.variables if cascade.base_rank(cascade.rank_of[n]) == cascade.base_rank(rank)]
        if alias:
            return (alias[0],)
        factors = {name: c.evaluate(self._graph.extents) for name, c in index.terms}
        if any(c.value != 1 for _, c in index.terms):
            return tuple(sorted(factors, key=lambda name: -abs(factors[name])))
        made = [name for name in factors if self._is_made_from(cascade.rank_of[name], rank)]
        return tuple(made[:1] or sorted(factors, key=lambda n: -self._graph.extents[cascade.rank_of[n]])[:1])

    def _is_made_from(self, rank: str, source: str) -> bool:
        extent = self._cascade.rank[rank].extent
        return extent is not None and source in extent.names

    def _inherit(self, number: int, einsum: Einsum, by: Names) -> None:
        whole = [axis for axis, i in enumerate(einsum.indices) if len(by) > 1 and set(i.variables) == set(by)]
        single = [next((a for a, i in enumerate(einsum.indices) if self._carries(einsum, a, name)), -1) for name in by]
        axes = (whole[0],) if whole else tuple(single)
        if -1 not in axes:
            self.carried[number, by] = axes
            if (einsum.tensor, axes) != (self.tensor, self.axes):
                self._members.setdefault(einsum.tensor, set()).add(axes)

    def _carries(self, einsum: Einsum, axis: int, name: str) -> bool:
        cascade = self._cascade
        rank = cascade.tensor[einsum.tensor].dimensions[axis].rank
        is_alike = cascade.base_rank(cascade.rank_of[name]) == cascade.base_rank(rank)
        return einsum.indices[axis].stepped == name and is_alike


# The sweep


@dataclass(slots=True)
class _Along:
    """An operand read along R: at which coordinate, by which of its axes, and the axes of the result that carry it."""

    operand: int
    at: int
    axes: Axes
    carrier: Axes | None


@dataclass(slots=True)
class _Step:
    """A point downstream of T: what it reads along R, of that what counts (in a thread), and all else that it reads."""

    point: _Point
    family: list[_Along]
    uncounted: list[int]
    others: list[int]


@dataclass(slots=True)
class _Plan:
    steps: list[_Step]
    positions: int
    smeared: dict[int, list[tuple[int, int, str]]]  # equation: (read, axis, variable) read by an alias


def _plan(graph: _Graph, family: _Family) -> _Plan:
    places = [_places(graph, family, number) for number in range(len(graph.equations))]
    downstream = _downstream(graph, family)
    steps = [_step(point, places[point.equation]) for point in graph.points if point.out in downstream]
    positions = 1 + max((part.at for step in steps for part in step.family), default=0)
    smeared = {number: found for number in range(len(places)) if (found := list(_alias_reads(graph, family, number)))}
    return _Plan(steps, positions, smeared)


def _downstream(graph: _Graph, family: _Family) -> set[int]:
    base = graph.base[family.tensor]
    found = set(range(base, base + _volume(graph.shapes[family.tensor])))
    made: set[int] = set()
    for point in graph.points:
        if not found.isdisjoint(point.operands):
            found.add(point.out)
            made.add(point.out)
    return made


type _Places = dict[int, list[tuple[int, int, Axes, Axes | None]]]


def _places(graph: _Graph, family: _Family, number: int) -> _Places:
    """Give for every read along R the slots and tile sizes of its positions, and the axes that it reads and writes."""
    slots = {name: slot for slot, name in enumerate(graph.equations[number].variables)}
    tile = _tile(graph, family)
    is_torn = len(names := family.read_by()[number]) > 1 and family.thread in names
    found: _Places = {}
    for (owner, place), ways in family.along.items():
        if owner == number:
            found[place] = [
                (slots[by[0]], 1 if len(by) > 1 else tile, axes, family.carried.get((number, by)))
                for by, axes in ways
                if not is_torn or by[0] == family.thread
            ]
    return found


def _tile(graph: _Graph, family: _Family) -> int:
    """Return the tile size of the composite index by which some read of the family goes, 1 if none does."""
    if len(family.axes) > 1:
        return 1
    tiles = [1]
    for (number, place), ways in family.along.items():
        for by, _ in ways:
            for index in graph.equations[number].reads[place].read.indices:
                if len(by) > 1 and set(by) <= set(index.variables):
                    tiles.append(index.coefficient(by[0]).evaluate(graph.extents))
    return max(tiles)


def _step(point: _Point, places: _Places) -> _Step:
    step = _Step(point, [], [], [])
    for number, operand in enumerate(point.operands):
        if operand >= 0 and number not in places:
            step.others.append(operand)
        elif operand >= 0:
            sources = places[number]
            step.family += [_Along(operand, point.at[s] // tile, axes, carrier) for s, tile, axes, carrier in sources]
            step.uncounted += [] if sources else [operand]
    return step


def _alias_reads(graph: _Graph, family: _Family, number: int) -> Iterator[tuple[int, int, str]]:
    """Yield (read, axis, variable) of the reads outside the family that have an alias' variable at an axis."""
    cascade, equation = graph.cascade, graph.equations[number]
    for place, part in enumerate(equation.reads):
        if (number, place) in family.along or part.read.tensor == family.tensor:
            continue
        for axis, dimension in enumerate(cascade.tensor[part.read.tensor].dimensions):
            name = part.read.indices[axis].plain
            if name is not None and cascade.rank_of[name] != dimension.rank:
                yield place, axis, name


def _sweep(graph: _Graph, plan: _Plan, tensor: str, axes: Axes, fiber: Coordinates) -> int:
    """Stream one fiber: give every element its time, and return the number of the last traversal that is needed.

    A point that reads the fiber's family at position x fires at the first time (k, x) that is not before the time of
    any other operand, with k not before the traversal of any operand in the family. Any other point fires as soon as
    its operands exist. An element whose points sit at several positions persists from the last of them on; one that
    sits later than its own coordinate, because its points read by several variables, is read there.
    """
    size = plan.positions
    time: dict[int, int] = {}
    place: dict[int, int] = dict.fromkeys(_fiber_elements(graph, tensor, axes, fiber), -1)
    beyond: dict[tuple[int, Axes], int] = {}
    scattered: set[int] = set()
    extra = _smear(graph, plan, tensor, axes, fiber)
    count = 0
    for step in _reordered(plan.steps, extra) if extra else plan.steps:
        out = step.point.out
        family = [part for part in step.family if part.operand in place]
        others = [part.operand for part in step.family if part.operand not in place]
        others += [operand for operand in step.uncounted if operand not in place]
        begin = max((time.get(o, 0) for o in (*step.others, *extra.get(id(step), ()), *others)), default=0)
        if family:
            begin = max(begin, *(time.get(part.operand, 0) // size * size for part in family))
            position = max(part.at + beyond.get((part.operand, part.axes), 0) for part in family)
            begin += (position - begin) % size
            count = max(count, begin // size + 1)
            for part in family:
                if part.carrier is not None and out not in scattered:
                    beyond[out, part.carrier] = position - part.at
                    if place.setdefault(out, position) != position:
                        scattered.add(out)
                        del place[out]
        if begin and begin > time.get(out, 0):
            time[out] = begin
    return count


def _fiber_elements(graph: _Graph, tensor: str, axes: Axes, fiber: Coordinates) -> Iterator[int]:
    fixed = iter(fiber)
    shape = graph.shapes[tensor]
    ranges = [range(size) if axis in axes else (next(fixed),) for axis, size in enumerate(shape)]
    return (graph.element(tensor, at) for at in product(*ranges))


def _smear(graph: _Graph, plan: _Plan, tensor: str, axes: Axes, fiber: Coordinates) -> dict[int, list[int]]:
    """Find for points that read by an alias what they would read there at the fiber's coordinate."""
    if not plan.smeared:
        return {}
    cascade = graph.cascade
    free = [d.rank for axis, d in enumerate(cascade.tensor[tensor].dimensions) if axis not in axes]
    extra: dict[int, list[int]] = {}
    for step in plan.steps:
        for place, axis, name in plan.smeared.get(step.point.equation, ()):
            point = step.point
            rank = cascade.tensor[graph.equations[point.equation].reads[place].read.tensor].dimensions[axis].rank
            for coordinate in (c for r, c in zip(free, fiber, strict=True) if r == rank):
                slot = graph.equations[point.equation].variables.index(name)
                twin = graph.found.get((point.equation, (*point.at[:slot], coordinate, *point.at[slot + 1 :])))
                if twin is not None and twin.operands[place] >= 0:
                    extra.setdefault(id(step), []).append(twin.operands[place])
    return extra


def _reordered(steps: list[_Step], extra: dict[int, list[int]]) -> list[_Step]:
    """Sort the steps so that each follows the makers of the extra operands as well."""
    needs: dict[int, set[int]] = {}
    for step in steps:
        operands = (*(part.operand for part in step.family), *step.uncounted, *step.others, *extra.get(id(step), ()))
        needs.setdefault(step.point.out, set()).update(operands)
    rank = {element: number for number, element in enumerate(TopologicalSorter(needs).static_order())}
    return sorted(steps, key=lambda step: rank[step.point.out])
