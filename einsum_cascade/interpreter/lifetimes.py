"""How tensors are held while a plan runs, and when they die.

A tensor made in a loop is held in tiles, one per coordinate of the loop variable, as long as later rounds or fixed
indices such as `RM[M1, p]` read them. It is held whole as well if it is an output or if anything reads it otherwise.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.ir import Cascade, Read
from einsum_cascade.interpreter.recurrence import is_local, loop_axis
from einsum_cascade.interpreter.stage_order import Stage, plan_stages

__all__ = ["Death", "ExecutionPlan", "Holding", "Path", "plan"]

type Path = tuple[int, ...]
"""Where a stage stands: its place among the outermost stages, then in the body of that loop, and so on."""


@dataclass(frozen=True, slots=True)
class Holding:
    """How a tensor is held.

    Parameters
    ----------
    cuts
        The variable and the dimension of each loop that cuts the tensor into tiles, the outermost first.
    kept
        For each cut, the fixed indices that the tensor is read at: their tiles outlive the loop.
    is_whole
        Whether it is held in one piece, too.

    """

    cuts: tuple[tuple[str, int], ...] = ()
    kept: tuple[frozenset[Affine], ...] = ()
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Death:
    """After a stage of a loop's body, tiles at the loop's coordinate plus `offset` are not read again.

    Parameters
    ----------
    tensor
        Whose tiles.
    depth
        Which of the tensor's cuts the loop is.
    offset
        Of the coordinate.

    """

    tensor: str
    depth: int
    offset: int


@dataclass(frozen=True)
class ExecutionPlan:
    """Stages, and what is held while they run.

    Parameters
    ----------
    stages
        In order.
    holdings
        How each computed tensor is held.
    deaths
        What dies after the stage at a path inside a loop.
    last_reads
        Tensors that nothing reads after an outermost stage; outputs are never among them.

    """

    stages: tuple[Stage, ...]
    holdings: dict[str, Holding] = field(default_factory=dict[str, Holding])
    deaths: dict[Path, list[Death]] = field(default_factory=dict[Path, list[Death]])
    last_reads: dict[int, frozenset[str]] = field(default_factory=dict[int, frozenset[str]])


def plan(cascade: Cascade) -> ExecutionPlan:
    """Plan the evaluation of a cascade; the plan holds for all extents."""
    stages = plan_stages(cascade)
    layout = _Layout(cascade, stages)
    found = ExecutionPlan(stages, last_reads=layout.last_reads())
    deaths: defaultdict[Path, list[Death]] = defaultdict(list)
    for tensor in cascade.tensors:
        if not tensor.is_given:
            holding = found.holdings[tensor.name] = layout.holding(tensor.name)
            for path, death in layout.deaths(tensor.name, holding):
                deaths[path].append(death)
    found.deaths.update(deaths)
    return found


class _Layout:
    """Where every Einsum of a cascade stands."""

    def __init__(self, cascade: Cascade, stages: tuple[Stage, ...]) -> None:
        self.cascade, self.stages = cascade, stages
        self.path: dict[int, Path] = {}
        self.variable: dict[Path, str] = {}
        self._walk(stages, ())
        self._readers: defaultdict[str, list[tuple[int, Read]]] = defaultdict(list)
        for at, einsum in enumerate(cascade.einsums):
            for read in einsum.reads:
                self._readers[read.tensor].append((at, read))

    def _walk(self, stages: tuple[Stage, ...], above: Path) -> None:
        for place, stage in enumerate(stages):
            path = (*above, place)
            if isinstance(stage, int):
                self.path[stage] = path
            else:
                self.variable[path] = stage.variable
                self._walk(stage.body, path)

    def _writers(self, name: str) -> list[int]:
        return [at for at, einsum in enumerate(self.cascade.einsums) if einsum.tensor == name]

    def last_reads(self) -> dict[int, frozenset[str]]:
        """Return what each outermost stage reads, or only writes, last."""
        last: dict[str, int] = {}
        for at, einsum in enumerate(self.cascade.einsums):
            last[einsum.tensor] = max(last.get(einsum.tensor, 0), self.path[at][0])
        for name, readers in self._readers.items():
            last[name] = max(last.get(name, 0), *(self.path[at][0] for at, _ in readers))
        for name in self.cascade.outputs:
            del last[name]
        return {place: frozenset(name for name, at in last.items() if at == place) for place in range(len(self.stages))}

    def holding(self, name: str) -> Holding:
        """Return how a tensor is held."""
        main = next(at for at in self._writers(name) if not self.cascade.einsums[at].is_init)
        cuts: list[tuple[str, int]] = []
        kept: list[frozenset[Affine]] = []
        is_whole = name in self.cascade.outputs
        for depth in range(1, len(self.path[main])):
            loop = self.path[main][:depth]
            axis = self._cut_axis(name, main, loop)
            if axis is None:
                return Holding()
            cuts.append((self.variable[loop], axis))
            reads = list(self._readers[name])
            kept.append(frozenset(read.indices[axis] for _, read in reads if not read.indices[axis].terms))
            is_whole |= not all(self._is_tile_read(at, read, main, loop, axis) for at, read in reads)
        return Holding(tuple(cuts), tuple(kept), is_whole or not cuts)

    def _cut_axis(self, name: str, main: int, loop: Path) -> int | None:
        """Return the dimension that a loop cuts a tensor along; None if something is written to it all at once."""
        tensor = self.cascade.tensor[name]
        axis = loop_axis(self.cascade, self.cascade.einsums[main], self.variable[loop])
        if tensor.is_declared or axis is None:
            return None
        for at in self._writers(name):
            if self._is_inside(at, loop):
                if loop_axis(self.cascade, self.cascade.einsums[at], self.variable[loop]) == axis:
                    continue
            elif axis == tensor.generation_axis and self.cascade.einsums[at].is_init:
                continue
            return None
        return axis

    def _is_inside(self, at: int, loop: Path) -> bool:
        return self.path[at][: len(loop)] == loop

    def _is_tile_read(self, at: int, read: Read, main: int, loop: Path, axis: int) -> bool:
        if self._is_inside(at, loop):
            return is_local(self.cascade, self.cascade.einsums[main], read, self.variable[loop])
        return not read.indices[axis].terms

    def deaths(self, name: str, holding: Holding) -> Iterator[tuple[Path, Death]]:
        """Yield, for each loop that cuts a tensor, after which stage which tile dies."""
        main = next(at for at in self._writers(name) if not self.cascade.einsums[at].is_init)
        for depth, (variable, axis) in enumerate(holding.cuts):
            if not self._stays_in_rounds(name, main, holding.cuts[:depth]):
                break
            loop = self.path[main][: depth + 1]
            reads = [
                (read.indices[axis].offset.value or 0, at)
                for at, read in self._readers[name]
                if self._is_inside(at, loop) and read.indices[axis].stepped == variable
            ]
            ends = reads or [(self.cascade.einsums[main].indices[axis].offset.value or 0, main)]
            first = min(offset for offset, _ in ends)
            place = max(self.path[at][depth + 1] for offset, at in ends if offset == first)
            yield (*loop, place), Death(name, depth, first)

    def _stays_in_rounds(self, name: str, main: int, cuts: tuple[tuple[str, int], ...]) -> bool:
        """Tell whether tiles are read only in the round of the outer loops that writes them."""
        einsum = self.cascade.einsums[main]
        return all(read.indices[axis] == einsum.indices[axis] for _, axis in cuts for _, read in self._readers[name])
