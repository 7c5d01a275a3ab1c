"""When each element can exist, counted in traversals of one fiber: the abstract interpretation behind pass counts.

For one target (a tensor T and a rank R) every tensor gets, per set of T's fibers, the number of the traversal that it
needs and the phase within it: available at the start, along with the traversal, or only at its end. A point that reads
the family of T fires at its own position, so an operand that exists only at the end of a traversal puts it into the
next one. Iterative ranks other than R are stepped through, generation by generation, until nothing changes.

Source: FuseMax (arXiv 2406.10491), Sec. III, for what a pass is. We differ in counting per fiber, in treating
composites by their outermost sub-rank, and in letting generations stream.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from einsum_cascade.analysis.availability import AvailabilityPiece, Barrier, State, alike, either, latest, united
from einsum_cascade.analysis.boxes import Box, Side, covers, merged, renamed
from einsum_cascade.analysis.facts import Facts, ReadFacts
from einsum_cascade.analysis.loops import Nest, RecurrentLoop
from einsum_cascade.analysis.points import Doubts, OwnRead, Point, fired, joined, state_of
from einsum_cascade.analysis.positions import Order, Phase, Position
from einsum_cascade.analysis.precedence import ordering_of
from einsum_cascade.analysis.target import Target
from einsum_cascade.cascade.extent import Extent
from einsum_cascade.cascade.ir import Einsum

__all__ = ["FoundTiming", "PointTime", "Reading", "Tail", "Timing", "time_cascade"]


@dataclass(frozen=True, slots=True)
class PointTime:
    """When the points of an Einsum fire at the latest.

    Parameters
    ----------
    number, fires
        The traversal, and the phase in it in which the points fire.
    phase
        The phase in which the result is complete.
    reads_family
        Whether the points read the family, and so sit at a position.
    cause
        The last barrier that they wait for.
    positions
        The variables at the latest of whose coordinates they fire.
    delaying
        Further such variables: what the points read comes along with them, within a bounded offset after the positions,
        which the count takes for no wait at all.

    """

    number: int
    fires: Phase
    phase: Phase
    reads_family: bool
    cause: Barrier | None = None
    positions: frozenset[str] = frozenset()
    delaying: frozenset[str] = frozenset()

    @property
    def latest(self) -> frozenset[str]:
        """All variables at the latest of whose coordinates they fire."""
        return self.positions | self.delaying


@dataclass(slots=True)
class Timing:
    """The result: times of Einsums, states of tensors, what kept the count from being exact, loops that grow.

    `torn` are the variables of points that sit at several positions. What follows a certain Einsum may be shared with
    other targets: the `tail`.
    """

    points: dict[int, PointTime] = field(default_factory=dict[int, PointTime])
    generations: dict[str, list[State]] = field(default_factory=dict[str, list[State]])
    doubts: Doubts = field(default_factory=set[tuple[str, str]])
    growing: set[str] = field(default_factory=set[str])
    torn: set[str] = field(default_factory=set[str])
    tail: "Tail | None" = None
    known_count: int | None = None

    def state(self, tensor: str) -> State:
        """Return the last state of a tensor."""
        states = self.generations.get(tensor)
        return states[-1] if states else State()

    def delayed_axes(self, facts: Facts, tensor: str) -> frozenset[int]:
        """Return the dimensions of a computed tensor whose coordinates the points that make it are delayed by."""
        producer = facts.producer.get(tensor, -1)
        made = self.points.get(producer)
        if made is None or not made.delaying:
            return frozenset()
        left = facts.left_of(facts.cascade.einsums[producer])
        slots = (left.slot(name) for name in made.delaying)
        return frozenset(slot[0] for slot in slots if slot is not None)

    @property
    def count(self) -> int:
        """The number of passes: the last traversal in which a point reads the family."""
        if self.known_count is None:
            self.known_count = max((time.number for time in self.points.values() if time.reads_family), default=0)
        return self.known_count

    @property
    def own_points(self) -> list[int]:
        """The Einsums that are not in the tail, in order."""
        return list(self.points)[: None if self.tail is None else len(self.points) - self.tail.points]

    @property
    def own_tensors(self) -> list[str]:
        """The tensors with a state that are not in the tail, in order."""
        return list(self.generations)[: None if self.tail is None else len(self.generations) - self.tail.tensors]


@dataclass(slots=True, eq=False)
class Tail:
    """What follows an Einsum from which on all that depends on a target does so through one tensor, of one state.

    It is the same for all targets of which that is so.

    Parameters
    ----------
    timing
        Of one of these targets.
    points, tensors
        How many of the last points and of the last tensors of the timing are in the tail.
    rest
        A tail that this one ends with; none if there is none.
    derived
        What has been derived of the tail.

    """

    timing: Timing
    points: int
    tensors: int
    rest: "Tail | None"
    derived: dict[str, tuple[Any, ...]] = field(default_factory=dict[str, tuple[Any, ...]])

    def append_to(self, timing: Timing) -> None:
        """Complete a timing."""
        points, generations = self.timing.points, self.timing.generations
        timing.points.update(islice(points.items(), len(points) - self.points, None))
        timing.generations.update(islice(generations.items(), len(generations) - self.tensors, None))
        timing.tail = self

    @property
    def own_tensors(self) -> list[str]:
        """The tensors that are not in the rest, in order."""
        end = len(self.timing.generations) - (self.rest.tensors if self.rest else 0)
        return list(islice(self.timing.generations, len(self.timing.generations) - self.tensors, end))

    @property
    def own_points(self) -> list[int]:
        """The Einsums that are not in the rest, in order."""
        end = len(self.timing.points) - (self.rest.points if self.rest else 0)
        return list(islice(self.timing.points, len(self.timing.points) - self.points, end))

    def derive(self, what: str, of: "Callable[[Tail], Iterable[Any]]") -> tuple[Any, ...]:
        """Return what is derived of the tail, worked out once: of its own part, and then of the rest."""
        missing: list[Tail] = []
        tail: Tail | None = self
        while tail is not None and what not in tail.derived:
            missing.append(tail)
            tail = tail.rest
        found = () if tail is None else tail.derived[what]
        for each in reversed(missing):
            own = tuple(of(each))
            each.derived[what] = found = (*own, *found) if own else found
        return found


@dataclass(frozen=True, slots=True)
class Reading:
    """Which reads of a target count, and in which order the traversal runs.

    Parameters
    ----------
    via
        The reads of the tensor that count: those by these rank variables, and those at constants.
    thread
        Where points sit at several positions, only reads by this variable count, if there are such.
    is_descending
        Whether the traversal runs from the last position to the first.

    """

    via: frozenset[tuple[str, ...]]
    thread: str = ""
    is_descending: bool = False


def time_cascade(facts: Facts, target: Target, reading: Reading, iterations: Mapping[str, int]) -> Timing:
    """Time every Einsum with respect to a target.

    Parameters
    ----------
    facts
        Of the cascade.
    target
        The tensor and its rank.
    reading
        Which reads of the tensor count, and how.
    iterations
        How many generations to step through at most, by iterative rank.

    """
    timer = _Timer(facts, target, reading, iterations)
    if facts.is_straight:
        timer.run_straight()
    else:
        timer.run(facts.nest)
    if timer.timing.tail is None:  # what is in a tail is not delayed
        _pass_on_delays(facts, timer.timing)
    return timer.timing


def _pass_on_delays(facts: Facts, timing: Timing) -> None:
    """Let points that read what is delayed be delayed, too, until nothing changes."""
    points, count = timing.points, -1
    while count != (count := sum(len(time.delaying) for time in points.values())) and count:
        for number, time in points.items():
            read = (name for access in facts.accesses[number] for name in _delaying(facts, timing, time, access))
            points[number] = replace(time, delaying=(time.delaying | frozenset(read)) - time.positions)


def _delaying(facts: Facts, timing: Timing, time: PointTime, access: ReadFacts) -> Iterator[str]:
    """Yield the variables that what is read is delayed by, in the same traversal."""
    made = timing.points.get(facts.producer.get(access.tensor, -1))
    if made is not None and made.number == time.number:
        for axis in timing.delayed_axes(facts, access.tensor):
            yield from access.positions[axis].variables[:1]


@dataclass(slots=True)
class _Seen:
    """What one read tells: positions and fibers if it is of the family, and availability."""

    positions: list[Position] = field(default_factory=list[Position])
    lineage: list[Box] = field(default_factory=list[Box])
    pieces: list[tuple[AvailabilityPiece, str]] = field(default_factory=list[tuple[AvailabilityPiece, str]])

    @property
    def variables(self) -> frozenset[str]:
        """The variables by which it is read along the fiber."""
        return frozenset(position.variables[0] for position in self.positions if position.variables)


@dataclass(slots=True)
class FoundTiming:
    """What was worked out of one Einsum from states: that of its result, when its points fire, what is to be noted."""

    states: tuple[State, ...]
    state: State = field(default_factory=State)
    time: PointTime | None = None
    doubts: Doubts = field(default_factory=set[tuple[str, str]])
    torn: set[str] = field(default_factory=set[str])


_UNRELATED = State()
"""Of tensors that do not depend on the target."""


_PHASES = {Order.START: Phase.START, Order.LOOSE: Phase.START, Order.END: Phase.END}
"""When elements exist that are read so; along with the traversal otherwise."""


class _Timer:
    """Steps through the cascade; an Einsum that reads the same states as before is not worked out again."""

    def __init__(self, facts: Facts, target: Target, reading: Reading, iterations: Mapping[str, int]) -> None:
        self.facts, self.target, self.reading, self.iterations = facts, target, reading, iterations
        tensor = facts.cascade.tensor[target.tensor]
        self.other_axes = tuple(axis for axis in range(len(tensor.dimensions)) if axis not in target.axes)
        self.timing = Timing()
        self.at: dict[str, int] = {}
        self.states: dict[tuple[int, State], State] = {}
        self.known: dict[tuple[Hashable, ...], FoundTiming] = {}

    def run(self, nest: Nest) -> None:
        for node in nest:
            if isinstance(node, RecurrentLoop):
                self._run_loop(node)
            else:
                self._time(node)

    def run_straight(self) -> None:
        """Time Einsums in order up to one from which on all is as it was for another target."""
        facts, timing = self.facts, self.timing
        awaited: dict[str, State] = {}  # what depends on the target and is read further on
        met: list[tuple[tuple[Hashable, ...], int, int]] = []
        first = facts.readers[self.target.tensor][0] if facts.readers[self.target.tensor] else len(facts.accesses)
        last = facts.last_reader.get(self.target.tensor, -1)
        for number in range(first, len(facts.accesses)):
            if not self._may_depend(number):
                continue
            self._time(number)
            name = facts.cascade.einsums[number].tensor
            awaited[name] = timing.state(name)
            awaited = {name: state for name, state in awaited.items() if facts.last_reader.get(name, -1) > number}
            if number < last or len(awaited) != 1:
                continue
            ((name, state),) = awaited.items()
            if not _is_before_barriers(state):
                continue
            key = number, name, id(state), self.reading.thread, self.reading.is_descending
            if key in facts.tails:
                facts.tails[key].append_to(timing)
                break
            met.append((key, len(timing.points), len(timing.generations)))
        if any(timing.points[at].delaying for at in timing.own_points):
            timing.tail = None  # delays are passed on into it
            return
        if timing.doubts or timing.torn:
            return
        points, tensors = len(timing.points), len(timing.generations)
        rest = timing.tail
        for key, done, made in reversed(met):
            facts.tails[key] = rest = Tail(timing, points - done, tensors - made, rest)

    def _run_loop(self, loop: RecurrentLoop) -> None:
        rank = self.facts.cascade.rank_of[loop.variable]
        tensors = self.facts.tensors_in(loop.body)
        longest_step = max(self.facts.cascade.step(name) or 1 for name in tensors)
        before: dict[str, State] = {}
        settled = 0
        for iteration in range(self.iterations[rank]):
            self.at[loop.variable] = iteration
            self.run(loop.body)
            after = {name: self.timing.state(name) for name in tensors}
            settled = settled + 1 if after == before else 0
            if settled == longest_step:
                break
            before = after
        else:
            self.timing.growing.add(rank)
        del self.at[loop.variable]

    def _time(self, number: int) -> None:
        einsum = self.facts.cascade.einsums[number]
        if not self._may_depend(number) or self._is_past_the_end(einsum):
            return
        states = tuple(map(self._state_read, self.facts.accesses[number]))
        found = self._found(number, states)
        self.timing.doubts |= found.doubts
        self.timing.torn |= found.torn
        self._store(einsum, found.state)
        old = self.timing.points.get(number)
        if found.time is not None and (old is None or (old.number, old.phase) < (found.time.number, found.time.phase)):
            self.timing.points[number] = found.time

    def _found(self, number: int, states: tuple[State, ...]) -> FoundTiming:
        """Work out an Einsum, or find that it reads the same states as before.

        Before their first barrier many targets are alike. Inside a loop only what belongs to this one is.
        """
        is_shared = self.target.tensor not in self.facts.operands[number] and all(map(_is_before_barriers, states))
        if not is_shared and not self.at:
            return self._evaluated(number, states)
        known = self.facts.evaluations if is_shared else self.known
        key = number, self.reading.thread, self.reading.is_descending, *map(id, states)
        if key not in known:
            known[key] = self._evaluated(number, states)
        return known[key]

    def _as_one(self, number: int, state: State) -> State:
        """Return the one object that stands for all equal states of the result of an Einsum."""
        if _is_before_barriers(state):
            return self.facts.states.setdefault((number, state, tuple(piece.ended for piece in state.pieces)), state)
        return self.states.setdefault((number, state), state) if self.at else state

    def _evaluated(self, number: int, states: tuple[State, ...]) -> FoundTiming:
        """Work out an Einsum.

        Points of the expression and of the `else` are apart, since the filter orders their variables differently.
        """
        found = FoundTiming(states)
        branches = (self._branch(number, branch, states, found) for branch in range(len(self.facts.branches[number])))
        known = [result for result in branches if result is not None]
        if known:
            found.state, found.time = known[0]
        for other, later in known[1:]:
            if not alike(found.state, other):
                reason = "different on the two sides of an else"
                found.doubts.add((reason, self.facts.cascade.einsums[number].tensor))
            found.state = either(found.state, other)
            found.time = max(found.time or later, later, key=lambda one: (one.number, one.phase))
        found.state = self._as_one(number, found.state)
        return found

    def _branch(
        self, number: int, branch: int, states: tuple[State, ...], found: FoundTiming
    ) -> tuple[State, PointTime] | None:
        """Return the state of a result and when its points fire, for those of one branch; None if unrelated."""
        einsum = self.facts.cascade.einsums[number]
        operand = self._operand(number, branch, states, found)
        if not operand.lineage and not operand.pieces:
            return None
        point = self._point(number, branch, tuple(dict.fromkeys(operand.positions)))
        found.doubts |= point.doubts
        pieces = latest(fired(operand, point, number, einsum.tensor, found.doubts))
        state = state_of(self.facts, einsum, operand, point, pieces)
        return state, _point_time(operand, pieces, point)

    def _point(self, number: int, branch: int, positions: tuple[Position, ...]) -> Point:
        """Return how the points of an Einsum sit, worked out once for all targets."""
        key = number, branch, positions, self.reading.is_descending
        if key not in self.facts.points:
            ordering = ordering_of(self.facts, number, branch, is_descending=self.reading.is_descending)
            self.facts.points[key] = Point.of(self.facts, self.facts.cascade.einsums[number], ordering, positions)
        return self.facts.points[key]

    def _may_depend(self, number: int) -> bool:
        """Tell whether an Einsum may read what depends on the target; states of iterative tensors are always noted."""
        operands = self.facts.operands[number]
        return (
            self.target.tensor in operands
            or not self.timing.generations.keys().isdisjoint(operands)
            or self.facts.is_iterative[number]
        )

    def _is_past_the_end(self, einsum: Einsum) -> bool:
        """Tell whether an update would write beyond the last generation, as steps above 1 do at the end."""
        axis = self.facts.cascade.tensor[einsum.tensor].generation_axis
        variable = None if axis is None else einsum.indices[axis].stepped
        if axis is None or variable not in self.at:
            return False
        rank = self.facts.cascade.rank_of[variable]
        return self.at[variable] + (einsum.indices[axis].offset.value or 0) > self.iterations[rank]

    def _operand(self, number: int, branch: int, states: tuple[State, ...], found: FoundTiming) -> OwnRead:
        accesses = self.facts.accesses[number]
        branches = self.facts.branches[number][branch]
        seen = self._thread([self._seen(accesses[at], states[at], found) for at in branches], found)
        operand = OwnRead()
        for one in seen:
            operand.positions += one.positions
            operand.lineage += one.lineage
            operand.pieces += one.pieces
        operand.lineage = list(merged(operand.lineage))
        return operand

    def _thread(self, seen: list[_Seen], found: FoundTiming) -> list[_Seen]:
        """Keep the reads of the family by one variable only, where there are several and it is one of them."""
        variables = frozenset[str]().union(*(one.variables for one in seen))
        thread = self.reading.thread
        if len(variables) > 1:
            found.torn |= variables
        if len(variables) < 2 or thread not in variables:
            return seen
        kept = [one for one in seen if not one.positions or thread in one.variables]
        for one in kept:
            one.positions = [position for position in one.positions if position.variables[:1] == (thread,)]
        return kept

    def _seen(self, access: ReadFacts, state: State, found: FoundTiming) -> _Seen:
        seen = _Seen()
        if access.tensor == self.target.tensor:
            self._see_target(access, seen)
        if state.pieces:
            self._see_state(access, state, seen, found)
        return seen

    def _see_target(self, access: ReadFacts, seen: _Seen) -> None:
        variables = tuple(dict.fromkeys(name for axis in self.target.axes for name in access.positions[axis].variables))
        if not variables or variables in self.reading.via:
            seen.positions.append(self._position(access, self.target.axes))
            seen.lineage.append(tuple(access.side(axis, Side(axis, 0, 0)) for axis in self.other_axes))

    def _position(self, access: ReadFacts, axes: tuple[int, ...]) -> Position:
        position = joined(tuple(access.positions[axis] for axis in axes))
        if not self.reading.is_descending:
            return position
        turned = {Order.START: Order.END, Order.END: Order.START}
        return Position(turned.get(position.order, position.order), position.variables)

    def _see_state(self, access: ReadFacts, state: State, seen: _Seen, found: FoundTiming) -> None:
        def rename(side: Side) -> Side | None:
            return access.side(side.reference, side) if isinstance(side.reference, int) else side

        if state.carriers and not any(access.is_final(slot) for carrier in state.carriers for slot in carrier):
            carriers = (*state.carriers, *((slot,) for slot in state.later_slots))
            positions = [self._position(access, carrier) for carrier in carriers]
            seen.positions += (p for at, p in enumerate(positions) if p.variables or at < len(state.carriers))
            seen.lineage += [renamed(box, rename) for box in state.lineage]
        seen.pieces += (
            (self._piece(access, piece, renamed(piece.box, rename), found), access.tensor) for piece in state.pieces
        )

    def _piece(self, access: ReadFacts, piece: AvailabilityPiece, box: Box, found: FoundTiming) -> AvailabilityPiece:
        """Express a piece of a tensor's availability by the variables of the Einsum that reads it."""
        phases = [self._phase(access, int(slot), found) for slot, _ in piece.along]
        if piece.phase is not Phase.ALONG or Phase.END in phases:
            is_whole = piece.phase is Phase.ALONG
            ended = self.facts.producer[access.tensor] if is_whole else piece.ended
            return AvailabilityPiece(box, piece.number, Phase.END if is_whole else piece.phase, ended, piece.cause)
        along: dict[str | int, Extent] = {}
        for (slot, lag), phase in zip(piece.along, phases, strict=True):
            if phase is Phase.ALONG:
                name, reach = self._reach(access, int(slot))
                along[name] = max(along.get(name, lag + reach), lag + reach, key=lambda value: value.value or 0)
        stream = tuple(sorted(along.items(), key=str))
        return AvailabilityPiece(
            box, piece.number, Phase.ALONG if along else Phase.START, piece.ended, piece.cause, stream
        )

    def _phase(self, access: ReadFacts, slot: int, found: FoundTiming) -> Phase:
        """Return when the elements read exist, of a tensor that becomes available along a dimension."""
        order = self._position(access, (slot,)).order
        if order is Order.LOOSE:
            found.doubts.add(("read in another order", access.tensor))
        return _PHASES.get(order, Phase.ALONG)

    def _reach(self, access: ReadFacts, slot: int) -> tuple[str, Extent]:
        """Return the variable along which a dimension is read, and how far the elements read are ahead of it."""
        key = id(access), slot, self.reading.is_descending
        if key not in self.facts.reaches:
            self.facts.reaches[key] = access.reach(slot, self.facts.coordinates, is_descending=key[2])
        return access.positions[slot].variables[0], self.facts.reaches[key]

    def _state_read(self, access: ReadFacts) -> State:
        """Return the state of the generation that a read reaches."""
        states = self.timing.generations.get(access.tensor)
        if not states:
            return _UNRELATED
        last = len(states) - 1
        if access.generation is None:
            return states[last]
        variable, offset = access.generation
        coordinate = self.at.get(variable, last - 1) if variable else 0
        return states[min(last, coordinate + offset)]

    def _store(self, einsum: Einsum, state: State) -> None:
        axis = self.facts.cascade.tensor[einsum.tensor].generation_axis
        is_later = axis is not None and einsum.indices[axis].offset.value != 0
        old = self.timing.generations.get(einsum.tensor, [])
        if axis is None and old and self.facts.is_declared(einsum.tensor):
            state = united(old[-1], state)
        self.timing.generations[einsum.tensor] = [*old, state] if is_later else [state]


def _is_before_barriers(state: State) -> bool:
    return all(piece.cause is None for piece in state.pieces)


def _point_time(operand: OwnRead, pieces: list[AvailabilityPiece], point: Point) -> PointTime:
    """Return when the points of an Einsum fire at the latest, given the availability of its result."""
    own = [p for p in pieces if not operand.lineage or any(covers(box, p.box) for box in operand.lineage)]
    last = max(own, key=lambda piece: piece.time)
    inputs = [piece for piece, _ in operand.pieces if piece.number == last.number]
    fires = Phase.ALONG if operand.lineage else max(piece.phase for piece in inputs)
    awaited = frozenset(str(name) for piece in inputs for name, _ in piece.along)
    delaying = frozenset(name for piece in inputs for name in point.delayed_by(piece))
    at = point.positions if operand.lineage else awaited if fires is Phase.ALONG else frozenset[str]()
    return PointTime(last.number, fires, last.phase, bool(operand.lineage), last.cause, at, delaying)
