"""When each element can exist, counted in traversals of one fiber: the abstract interpretation behind pass counts.

For one target (a tensor T and a rank R) every tensor gets, per set of T's fibers, the number of the traversal that it
needs and the phase within it: available at the start, along with the traversal, or only at its end. A point that reads
the family of T fires at its own position, so an operand that exists only at the end of a traversal puts it into the
next one. Iterative ranks other than R are stepped through, generation by generation, until nothing changes.

Source: FuseMax (arXiv 2406.10491), Sec. III, for what a pass is. We differ in counting per fiber, in treating
composites by their outermost sub-rank, and in letting generations stream.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from einsum_cascade.analysis.boxes import Box, Side, covers, hull, is_constant, meet, renamed
from einsum_cascade.analysis.facts import Access, Facts, Left
from einsum_cascade.analysis.loops import Loop, Nest
from einsum_cascade.analysis.positions import Order, Phase, Position
from einsum_cascade.analysis.target import Target
from einsum_cascade.cascade.ir import Einsum

__all__ = ["Barrier", "Piece", "PointTime", "State", "Timing", "time_cascade"]


@dataclass(frozen=True, slots=True)
class Barrier:
    """One link of a witness chain: why a traversal had to end before the next one could begin.

    Parameters
    ----------
    ended
        Position of the Einsum that needs the whole fiber.
    operand
        The tensor that carries its result to the reader.
    reader
        Position of the Einsum that reads the family again.
    number
        The pass that begins with it.
    previous
        The link before.

    """

    ended: int
    operand: str
    reader: int
    number: int
    previous: "Barrier | None"

    def chain(self) -> "tuple[Barrier, ...]":
        """Return the links from the first one to this one."""
        return (*(self.previous.chain() if self.previous else ()), self)


@dataclass(frozen=True, slots=True)
class Piece:
    """Availability with respect to the fibers of a box: traversal `number`, at `phase`."""

    box: Box
    number: int
    phase: Phase
    ended: int = field(default=-1, compare=False)
    cause: Barrier | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class State:
    """What is known of a tensor.

    Parameters
    ----------
    pieces
        Its availability; none if it does not depend on the target.
    carriers
        Dimensions that carry R, outermost first, one tuple per variable by which R came in; none outside the family.
    lineage
        The fibers that its elements come from, if it is in the family.
    stream
        Dimensions along which it becomes available.

    """

    pieces: tuple[Piece, ...] = ()
    carriers: tuple[tuple[int, ...], ...] = ()
    lineage: tuple[Box, ...] = ()
    stream: tuple[int, ...] = ()


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

    """

    number: int
    fires: Phase
    phase: Phase
    reads_family: bool
    cause: Barrier | None = None


@dataclass(slots=True)
class Timing:
    """The result: times of Einsums, states of tensors, what kept the count from being exact, loops that grow."""

    points: dict[int, PointTime] = field(default_factory=dict[int, PointTime])
    generations: dict[str, list[State]] = field(default_factory=dict[str, list[State]])
    doubts: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    growing: set[str] = field(default_factory=set[str])

    def state(self, tensor: str) -> State:
        """Return the last state of a tensor."""
        states = self.generations.get(tensor)
        return states[-1] if states else State()

    @property
    def count(self) -> int:
        """The number of passes: the last traversal in which a point reads the family."""
        return max((time.number for time in self.points.values() if time.reads_family), default=0)


def time_cascade(
    facts: Facts, target: Target, via: frozenset[tuple[str, ...]], iterations: Mapping[str, int]
) -> Timing:
    """Time every Einsum with respect to a target.

    Parameters
    ----------
    facts
        Of the cascade.
    target
        The tensor and its rank.
    via
        The reads of the tensor that count: those by these rank variables, and those at constants.
    iterations
        How many generations to step through at most, by iterative rank.

    """
    timer = _Timer(facts, target, via, iterations)
    timer.run(facts.nest)
    return timer.timing


@dataclass(slots=True)
class _Operand:
    """What one Einsum reads, in terms of its own rank variables."""

    lineage: list[Box] = field(default_factory=list[Box])
    positions: list[Position] = field(default_factory=list[Position])
    pieces: list[tuple[Piece, frozenset[str], str]] = field(default_factory=list[tuple[Piece, frozenset[str], str]])


class _Timer:
    def __init__(
        self, facts: Facts, target: Target, via: frozenset[tuple[str, ...]], iterations: Mapping[str, int]
    ) -> None:
        self.facts, self.target, self.via, self.iterations = facts, target, via, iterations
        tensor = facts.cascade.tensor[target.tensor]
        self.other_axes = tuple(axis for axis in range(len(tensor.dimensions)) if axis not in target.axes)
        self.timing = Timing()
        self.at: dict[str, int] = {}

    def run(self, nest: Nest) -> None:
        for node in nest:
            if isinstance(node, Loop):
                self._run_loop(node)
            else:
                self._time(node)

    def _run_loop(self, loop: Loop) -> None:
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
        operand = self._operand(number)
        if not operand.lineage and not operand.pieces:
            self._store(einsum, State())
            return
        point = _Point.of(self.facts, einsum, operand)
        self.timing.doubts |= point.doubts
        pieces = _latest(_fired(operand, point, number))
        self._store(einsum, _state(self.facts, einsum, operand, point, pieces))
        self._note(number, operand, pieces)

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

    def _note(self, number: int, operand: _Operand, pieces: list[Piece]) -> None:
        own = [p for p in pieces if not operand.lineage or any(covers(box, p.box) for box in operand.lineage)]
        last = max(own, key=lambda piece: (piece.number, piece.phase))
        old = self.timing.points.get(number)
        if old is None or (old.number, old.phase) < (last.number, last.phase):
            inputs = [piece.phase for piece, _, _ in operand.pieces if piece.number == last.number]
            fires = Phase.ALONG if operand.lineage else max(inputs)
            self.timing.points[number] = PointTime(last.number, fires, last.phase, bool(operand.lineage), last.cause)

    def _operand(self, number: int) -> _Operand:
        operand = _Operand()
        for access in self.facts.accesses[number]:
            if access.tensor == self.target.tensor:
                self._read_target(access, operand)
            state = self._state_read(access)
            if state.pieces:
                self._read_state(access, state, operand)
        return operand

    def _read_target(self, access: Access, operand: _Operand) -> None:
        position = _joined(tuple(access.positions[axis] for axis in self.target.axes))
        variables = tuple(dict.fromkeys(name for axis in self.target.axes for name in access.positions[axis].variables))
        if variables and variables not in self.via:
            return
        operand.positions.append(position)
        operand.lineage.append(tuple(access.side(axis, Side(axis, 0, 0)) for axis in self.other_axes))

    def _read_state(self, access: Access, state: State, operand: _Operand) -> None:
        def rename(side: Side) -> Side | None:
            return access.side(side.reference, side) if isinstance(side.reference, int) else side

        joined = [_joined(tuple(access.positions[slot] for slot in carrier)) for carrier in state.carriers]
        is_kept = any(map(access.is_final, state.stream)) or any(access.is_alien(slots[0]) for slots in state.carriers)
        if joined and not is_kept:
            operand.positions += joined
            operand.lineage += [renamed(box, rename) for box in state.lineage]
        along = frozenset(name for slot in state.stream for name in access.positions[slot].variables[:1])
        phase = max((access.phase(slot) for slot in state.stream), default=Phase.ALONG)
        for piece in state.pieces:
            is_along = piece.phase is Phase.ALONG
            ended = self.facts.producer[access.tensor] if is_along and phase is Phase.END else piece.ended
            seen = Piece(
                renamed(piece.box, rename), piece.number, phase if is_along else piece.phase, ended, piece.cause
            )
            operand.pieces.append((seen, along if seen.phase is Phase.ALONG else frozenset(), access.tensor))

    def _state_read(self, access: Access) -> State:
        """Return the state of the generation that a read reaches."""
        states = self.timing.generations.get(access.tensor)
        if not states:
            return State()
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
            state = _united(old[-1], state)
        self.timing.generations[einsum.tensor] = [*old, state] if is_later else [state]


@dataclass(frozen=True, slots=True)
class _Point:
    """How the points of an Einsum sit on the fiber.

    Parameters
    ----------
    along
        Variables whose order the traversal follows.
    loose
        Variables that go in another order.
    constants
        Constant positions.
    left
        Variables on the left side.
    phase
        When the result is complete, for the fibers of the lineage.

    """

    along: frozenset[str]
    loose: frozenset[str]
    constants: frozenset[Order]
    left: frozenset[str]
    phase: Phase
    doubts: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, facts: Facts, einsum: Einsum, operand: _Operand) -> "_Point":
        ordered = (Order.ALONG, Order.TILES)
        along = frozenset(p.variables[0] for p in operand.positions if p.order in ordered)
        loose = frozenset(v for p in operand.positions if p.order is Order.LOOSE for v in p.variables)
        constants = frozenset(p.order for p in operand.positions if p.order in (Order.START, Order.END))
        left = frozenset(einsum.left_variables)
        phase = _phase(facts, along, loose, constants, left)
        return cls(along, loose, constants, left, phase, _doubts(facts, einsum, along, loose, constants))

    def delays(self, phase: Phase) -> bool:
        """Tell whether an operand of that phase puts the point into the next traversal."""
        is_at_end = not (self.along or self.loose) and self.constants == frozenset({Order.END})
        return phase is Phase.END and not is_at_end


def _ends(along: frozenset[str], left: frozenset[str]) -> bool:
    """Tell whether a result waits for the end of the traversal: no variable that goes along it is left.

    Of several, which make the count a lower bound, one that is left is taken to be enough.
    """
    return not along <= left if len(along) <= 1 else not along & left


def _phase(
    facts: Facts, along: frozenset[str], loose: frozenset[str], constants: frozenset[Order], left: frozenset[str]
) -> Phase:
    gone = (along | loose) - left
    if not along | loose:
        return Phase.END if Order.END in constants else Phase.START
    if not gone or (not loose and not _ends(along, left)):
        return Phase.ALONG
    if gone <= loose and loose & left:
        return Phase.START
    is_prefix = any(facts.is_entangled(name, left) for name in gone)
    return Phase.START if is_prefix else Phase.END


def _doubts(
    facts: Facts, einsum: Einsum, along: frozenset[str], loose: frozenset[str], constants: frozenset[Order]
) -> frozenset[tuple[str, str]]:
    """Return why a count may be only a lower bound: pairs of a reason and the tensor that gives it."""
    found: set[tuple[str, str]] = set()
    if loose:
        found.add(("read in another order", einsum.tensor))
    if (along and constants) or len(along) > 1:
        found.add(("read at two positions at once", einsum.tensor))
    rank_of = facts.cascade.rank_of
    for name in along | loose:
        if any(rank_of[other] == rank_of[name] and other != name for other in einsum.variables):
            found.add((f"read with two variables of rank {rank_of[name]}", einsum.tensor))
    return frozenset(found)


def _joined(positions: tuple[Position, ...]) -> Position:
    """Return the position of a composite read from those of its sub-ranks."""
    first = positions[0]
    if len(positions) == 1 or first.order not in (Order.ALONG, Order.TILES):
        return first
    if all(position.order in (Order.ALONG, Order.TILES) for position in positions):
        return Position(Order.TILES, tuple(name for position in positions for name in position.variables))
    return Position(Order.TILES, (*first.variables, ""))


def _fired(operand: _Operand, point: _Point, number: int) -> Iterator[Piece]:
    """Yield the availability of an Einsum's result: of the lineage at its position, of all else as it comes."""
    has_ended = point.phase is Phase.END
    lineage = tuple(dict.fromkeys(operand.lineage))
    for box in lineage:
        yield Piece(box, 1, point.phase, number if has_ended else -1)
    for piece, along, tensor in operand.pieces:
        is_complete = piece.phase is Phase.ALONG and _ends(along, point.left)
        phase = Phase.END if is_complete else piece.phase
        yield Piece(piece.box, piece.number, phase, number if is_complete else piece.ended, piece.cause)
        for box in lineage:
            common = meet(box, piece.box)
            if common is None:
                continue
            if point.delays(piece.phase):
                cause = Barrier(piece.ended, tensor, number, piece.number + 1, piece.cause)
                yield Piece(common, piece.number + 1, point.phase, number if has_ended else -1, cause)
            else:
                again = max(piece.number, 1)
                yield Piece(common, again, point.phase, number if has_ended else piece.ended, piece.cause)


def _state(facts: Facts, einsum: Einsum, operand: _Operand, point: _Point, pieces: Iterable[Piece]) -> State:
    left = facts.left_of(einsum)
    carriers = _carriers(left, operand.positions)

    def rename(side: Side) -> Side | None:
        if not isinstance(side.reference, str) or side.reference not in left.slots:
            return side if is_constant(side) else None
        slot, offset = left.slots[side.reference]
        return side.shifted(-offset, slot)

    kept = _pruned(
        Piece(renamed(piece.box, rename), piece.number, piece.phase, piece.ended, piece.cause) for piece in pieces
    )
    streams = point.along | point.loose if operand.lineage else frozenset[str]()
    streams = streams.union(*(along for _, along, _ in operand.pieces))
    stream = tuple(sorted(left.stream_slots(streams)))
    lineage = tuple(dict.fromkeys(renamed(box, rename) for box in operand.lineage)) if carriers else ()
    return State(kept, carriers, lineage, stream)


def _carriers(left: Left, positions: list[Position]) -> tuple[tuple[int, ...], ...]:
    """Return the dimensions that carry R in the result; none for a way of reading R of which it loses a part."""
    found = (left.carrier(position) for position in positions)
    return tuple(dict.fromkeys(slots for slots in found if slots is not None))


def _latest(pieces: Iterable[Piece]) -> list[Piece]:
    """Keep the latest piece of every box."""
    best: dict[Box, Piece] = {}
    for piece in pieces:
        other = best.get(piece.box)
        if other is None or (other.number, other.phase) < (piece.number, piece.phase):
            best[piece.box] = piece
    return list(best.values())


def _pruned(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """Drop what another piece implies, and join neighbours."""
    pieces = _latest(pieces)
    if len(pieces) == 1:
        return tuple(pieces)
    kept: list[Piece] = []
    for piece in sorted(pieces, key=lambda p: (-p.number, -p.phase)):
        if any(covers(other.box, piece.box) for other in kept):
            continue
        for at, other in enumerate(kept):
            whole = hull(other.box, piece.box) if (other.number, other.phase) == (piece.number, piece.phase) else None
            if whole is not None:
                kept[at] = Piece(whole, other.number, other.phase, other.ended, other.cause)
                break
        else:
            kept.append(piece)
    return tuple(sorted(kept, key=lambda p: (-p.number, -p.phase, repr(p.box))))


def _united(first: State, second: State) -> State:
    """Return the state of a tensor that two equations write in parts."""
    carriers = first.carriers if first.carriers == second.carriers else first.carriers or second.carriers
    return State(
        _pruned((*first.pieces, *second.pieces)),
        carriers,
        tuple(dict.fromkeys((*first.lineage, *second.lineage))),
        tuple(sorted({*first.stream, *second.stream})),
    )
