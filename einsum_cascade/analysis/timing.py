"""When each element can exist, counted in traversals of one fiber: the abstract interpretation behind pass counts.

For one target (a tensor T and a rank R) every tensor gets, per set of T's fibers, the number of the traversal that it
needs and the phase within it: available at the start, along with the traversal, or only at its end. A point that reads
the family of T fires at its own position, so an operand that exists only at the end of a traversal puts it into the
next one. Iterative ranks other than R are stepped through, generation by generation, until nothing changes.

Source: FuseMax (arXiv 2406.10491), Sec. III, for what a pass is. We differ in counting per fiber, in treating
composites by their outermost sub-rank, and in letting generations stream.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from einsum_cascade.analysis.availability import Barrier, Piece, State, latest, united
from einsum_cascade.analysis.boxes import Side, covers, renamed
from einsum_cascade.analysis.facts import Access, Facts
from einsum_cascade.analysis.loops import Loop, Nest
from einsum_cascade.analysis.points import TWO_POSITIONS, Operand, Point, fired, joined, state_of
from einsum_cascade.analysis.positions import Phase, Position
from einsum_cascade.analysis.target import Target
from einsum_cascade.cascade.ir import Einsum

__all__ = ["PointTime", "Timing", "time_cascade"]


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

    @property
    def is_torn(self) -> bool:
        """Whether points read the family at two positions at once, so that a chain through both is not proved."""
        return any(reason == TWO_POSITIONS for reason, _ in self.doubts)

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
        point = self._point(number, tuple(dict.fromkeys(operand.positions)))
        self.timing.doubts |= point.doubts
        pieces = latest(fired(operand, point, number))
        self._store(einsum, state_of(self.facts, einsum, operand, point, pieces))
        self._note(number, operand, pieces)

    def _point(self, number: int, positions: tuple[Position, ...]) -> Point:
        """Return how the points of an Einsum sit, worked out once for all targets."""
        points = self.facts.points
        if (number, positions) not in points:
            points[number, positions] = Point.of(self.facts, self.facts.cascade.einsums[number], positions)
        return points[number, positions]

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

    def _note(self, number: int, operand: Operand, pieces: list[Piece]) -> None:
        own = [p for p in pieces if not operand.lineage or any(covers(box, p.box) for box in operand.lineage)]
        last = max(own, key=lambda piece: (piece.number, piece.phase))
        old = self.timing.points.get(number)
        if old is None or (old.number, old.phase) < (last.number, last.phase):
            inputs = [piece.phase for piece, _, _ in operand.pieces if piece.number == last.number]
            fires = Phase.ALONG if operand.lineage else max(inputs)
            self.timing.points[number] = PointTime(last.number, fires, last.phase, bool(operand.lineage), last.cause)

    def _operand(self, number: int) -> Operand:
        operand = Operand()
        for access in self.facts.accesses[number]:
            if access.tensor == self.target.tensor:
                self._read_target(access, operand)
            state = self._state_read(access)
            if state.pieces:
                self._read_state(access, state, operand)
        return operand

    def _read_target(self, access: Access, operand: Operand) -> None:
        position = joined(tuple(access.positions[axis] for axis in self.target.axes))
        variables = tuple(dict.fromkeys(name for axis in self.target.axes for name in access.positions[axis].variables))
        if variables and variables not in self.via:
            return
        operand.positions.append(position)
        operand.lineage.append(tuple(access.side(axis, Side(axis, 0, 0)) for axis in self.other_axes))

    def _read_state(self, access: Access, state: State, operand: Operand) -> None:
        def rename(side: Side) -> Side | None:
            return access.side(side.reference, side) if isinstance(side.reference, int) else side

        ways = [joined(tuple(access.positions[slot] for slot in carrier)) for carrier in state.carriers]
        is_kept = any(map(access.is_final, state.stream)) or any(access.is_alien(slots[0]) for slots in state.carriers)
        if ways and not is_kept:
            operand.positions += ways
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
            state = united(old[-1], state)
        self.timing.generations[einsum.tensor] = [*old, state] if is_later else [state]
