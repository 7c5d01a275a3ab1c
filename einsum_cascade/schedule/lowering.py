"""From a mapping to the graph of operations of one tile, which the schedulers take.

A tile is an iteration of the block whose parts overlap or run in lock-step. A task that runs less often, such as the
division after the last tile of keys, takes its share of a tile; so do ragged tiles. A part in another order than the
block is one operation, which nothing divides. On an engine whose operations are pipelined, a task is a chain of unit
slots, as far apart as the pipeline is deep where each needs the one before: then others fit in between. What a level
keeps for a tile has as many places as it has copies. The skew of an array, in which neighbours work later, is not in
it; `lowering.kernel` has it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from einsum_cascade.arch.ir import Architecture
from einsum_cascade.mapping.binding import BoundTask
from einsum_cascade.mapping.covers import cover
from einsum_cascade.mapping.ir import Block, Compute, Keep, Loop, Order, Step, leaves, normalised
from einsum_cascade.mapping.live import Live, left_of
from einsum_cascade.mapping.nest import count_steps, nest_of, range_sizes
from einsum_cascade.mapping.workload import Access, Task, Workload
from einsum_cascade.schedule.graph import Context, Dependence, OperationGraph, Resource, TileOperation, Use
from einsum_cascade.schedule.operation import exact

__all__ = ["TileGraph", "TileGraphs", "parallel_parts", "shared_steps", "tile_graphs"]


@dataclass(frozen=True, slots=True)
class TileGraph:
    """The operations of one tile.

    Parameters
    ----------
    graph
        Blocks and chains on engines, and their dependences.
    tiles
        How many tiles there are.
    stages
        The lock-step stages that the mapping gives; empty if it gives none.
    order
        How the parts of the block run.

    """

    graph: OperationGraph
    tiles: int
    stages: tuple[tuple[str, ...], ...]
    order: Order


def tile_graphs(
    workload: Workload,
    architecture: Architecture,
    root: Block,
    bounds: tuple[BoundTask, ...],
    values: Mapping[str, int],
    cycles_of: Callable[[Block, tuple[Step, ...]], Fraction] | None = None,
    live: Live | None = None,
) -> tuple[TileGraph, ...]:
    """Return a graph for every block of a mapping whose parts overlap or run in lock-step, outermost such blocks.

    Where an engine limits the tiles that its PEs hold in flight, a tile keeps a context from its first operation on the
    engine to its last.

    Parameters
    ----------
    workload, architecture, root
        What runs where.
    bounds
        What each task occupies.
    values
        Of ranks and parameters.
    cycles_of
        The cycles of a part in another order than the block around it, with the steps above it; by default those of
        its tasks together.
    live
        What masks leave; those of the cascade, without data, if not given.

    """
    graphs = TileGraphs(workload, architecture, bounds, values, cycles_of, live)
    return tuple(graphs.of(block, above) for block, above in _blocks(normalised(root), ()))


def _blocks(node: Block | Compute, above: tuple[Step, ...]) -> Iterator[tuple[Block, tuple[Step, ...]]]:
    if isinstance(node, Compute):
        return
    if node.order != "sequence":
        yield node, above
        return
    for part in node.body:
        yield from _blocks(part, (*above, *node.steps))


def parallel_parts(block: Block) -> tuple[Block | Compute, ...]:
    """Return what overlaps, or shares stages, in a block of a normalised tree: its parts, and those of its like."""
    return tuple(part for part, _ in _parts(block, ()))


def _parts(block: Block, above: tuple[Step, ...]) -> Iterator[tuple[Block | Compute, tuple[Step, ...]]]:
    """Yield the parts of a block with the steps above them, blocks of the same order taken apart."""
    for part in block.body:
        path = (*above, *block.steps)
        if isinstance(part, Block) and part.order == block.order and len(part.body) > 1:
            yield from _parts(part, path)
        else:
            yield part, path


@dataclass(frozen=True, slots=True)
class _Unit:
    """A part of a block that is one operation: its name, and its tasks."""

    name: str
    node: Block | Compute
    above: tuple[Step, ...]
    tasks: tuple[BoundTask, ...]

    @property
    def engines(self) -> tuple[str, ...]:
        """Where its tasks run."""
        return tuple(dict.fromkeys(bound.engine for bound in self.tasks))


class TileGraphs:
    """Makes the graphs of the tiles of a mapping.

    Parameters
    ----------
    workload, architecture, bounds, values, cycles_of, live
        As for `tile_graphs`.

    """

    def __init__(
        self,
        workload: Workload,
        architecture: Architecture,
        bounds: Sequence[BoundTask],
        values: Mapping[str, int],
        cycles_of: Callable[[Block, tuple[Step, ...]], Fraction] | None = None,
        live: Live | None = None,
    ) -> None:
        """Take a mapping with numbers."""
        self.live = live or Live(workload, values)
        self.workload, self.architecture, self.values = workload, architecture, values
        self.bounds = {bound.task: bound for bound in bounds}
        self.cycles_of = cycles_of or self._serial

    def of(self, block: Block, above: tuple[Step, ...]) -> TileGraph:
        """Return the graph of a block of a normalised tree, and of the steps above it."""
        units = [self._unit(node, path) for node, path in _parts(block, above)]
        shared = shared_steps(block, above)
        tasks = [bound for unit in units for bound in unit.tasks]
        tiles = max(1, left_of(self._steps(shared), self.live.share((bound.task for bound in tasks), shared)))
        depths = {unit.name: self._depth(unit) for unit in units}
        operations = {unit.name: self._operation(unit, tiles, depths[unit.name], block.order) for unit in units}
        engines = tuple(dict.fromkeys(bound.engine for bound in tasks))
        if block.order == "lock-step" and any(len(unit.engines) > 1 for unit in units):
            # Stages know one engine an operation: what has several has all of them.
            engines = (" and ".join(engines),)
            operations = {name: TileOperation(name, *engines, own.duration) for name, own in operations.items()}
        edges = dict.fromkeys(self._dependences(units, shared))
        is_pipelined = block.order != "lock-step"
        dependences = tuple(_pipelined(edge, operations, depths) if is_pipelined else edge for edge in edges)
        contexts = (*self._engine_contexts(units), *self._places(units, shared))
        graph = OperationGraph(tuple(map(Resource, engines)), tuple(operations.values()), dependences, contexts)
        return TileGraph(graph, tiles, _stages(units), block.order)

    def _steps(self, path: Sequence[Step]) -> int:
        return int(count_steps(nest_of(self.workload, path, self.values), range_sizes(self.workload, self.values)))

    def _serial(self, block: Block, above: tuple[Step, ...]) -> Fraction:
        return sum((Fraction(int(self.bounds[leaf.task].busy_cycles)) for leaf in leaves(block)), Fraction(0))

    def _unit(self, node: Block | Compute, above: tuple[Step, ...]) -> _Unit:
        tasks = tuple(self.bounds[leaf.task] for leaf in leaves(node))
        return _Unit(", ".join(bound.task for bound in tasks), node, above, tasks)

    def _operation(self, unit: _Unit, tiles: int, depth: int, order: Order) -> TileOperation:
        """Return a block, or a chain where the engine is pipelined and a tile has a whole number of slots."""
        bound, *others = unit.tasks
        if others:
            return self._joint(unit, tiles)
        cycles = exact(Fraction(int(bound.busy_cycles), tiles))
        if depth == 1 or not isinstance(cycles, int) or cycles < 1:
            return TileOperation(unit.name, bound.engine, cycles + (depth - 1 if order == "lock-step" else 0))
        spacing = depth if bound.slots > 1 or self._accumulates(bound) else 1
        if order == "lock-step":
            # A stage ends when its results are there.
            return TileOperation(unit.name, bound.engine, (cycles - 1) * spacing + depth)
        return TileOperation(unit.name, bound.engine, slots=cycles, spacing=spacing)

    def _joint(self, unit: _Unit, tiles: int) -> TileOperation:
        """Return a part of several tasks as a block: it has each of its engines from the first use to the last."""
        assert isinstance(unit.node, Block)
        cycles = exact(self.cycles_of(unit.node, unit.above) / tiles)
        engines = unit.engines
        if len(engines) == 1:
            return TileOperation(unit.name, engines[0], cycles)
        uses: dict[str, tuple[Fraction, Fraction]] = {}
        at = Fraction(0)
        has_loops = any(isinstance(step, Loop) and step.axis is None for step in unit.node.steps)
        for part in unit.node.body if unit.node.order == "sequence" and not has_loops else ():
            end = at + self._part_cycles(part, (*unit.above, *unit.node.steps)) / tiles
            for engine in {self.bounds[leaf.task].engine for leaf in leaves(part)}:
                uses[engine] = uses.get(engine, (at, at))[0], end
            at = end
        spans = uses or dict.fromkeys(engines, (Fraction(0), Fraction(cycles)))
        taken = tuple(
            Use(engine, exact(spans[engine][0]), exact(spans[engine][1] - spans[engine][0])) for engine in engines
        )
        return TileOperation(unit.name, None, cycles, uses=taken)

    def _part_cycles(self, part: Block | Compute, above: tuple[Step, ...]) -> Fraction:
        if isinstance(part, Compute):
            return Fraction(int(self.bounds[part.task].busy_cycles))
        return self.cycles_of(part, above)

    def _depth(self, unit: _Unit) -> int:
        """Return the cycles from a slot to the one that needs its result."""
        bound = unit.tasks[-1]
        engine = self.architecture.engine(bound.engine)
        covered = cover(self.workload.cascade.einsums[self.workload.task[bound.task].number], engine)
        return max((-(-op.latency_cycles // op.interval_cycles) for op, _ in covered.operations), default=1)

    def _accumulates(self, bound: BoundTask) -> bool:
        """Tell whether a slot adds to what the slot before has made: a reduction is a loop in time."""
        reduction = self.workload.cascade.einsums[self.workload.task[bound.task].number].reduction
        in_time = {step.variable for step in bound.path if isinstance(step, Loop) and step.axis is None}
        return reduction is not None and not in_time.isdisjoint(reduction.variables)

    def _engine_contexts(self, units: Sequence[_Unit]) -> Iterator[Context]:
        """Yield a context for every engine that limits the tiles in flight."""
        for engine in self.architecture.engines:
            own = tuple(unit.name for unit in units if engine.name in unit.engines)
            if own and engine.contexts is not None:
                yield Context(engine.name, engine.contexts, own[0], own)

    def _places(self, units: Sequence[_Unit], shared: Sequence[Step]) -> Iterator[Context]:
        """Yield a context for every tensor that is kept for a tile: from the first part that has it to the last.

        The PEs of an engine that limits the tiles in flight keep a tile in its context.
        """
        loops = [at for at, step in enumerate(shared) if isinstance(step, Loop) and step.axis is None]
        engines = {engine.name for engine in self.architecture.engines if engine.contexts is not None}
        for step in shared[loops[-1] + 1 :] if loops else ():
            if not isinstance(step, Keep) or step.level in engines:
                continue
            for tensor in step.tensors:
                own = tuple(unit.name for unit in units if any(self._has(bound, tensor) for bound in unit.tasks))
                if len(own) > 1 and self.workload.cascade.tensor[tensor].generation_axis is None:
                    yield Context(f"{tensor} in {step.level}", step.copies, own[0], own)

    def _has(self, bound: BoundTask, tensor: str) -> bool:
        task = self.workload.task[bound.task]
        return any(access.tensor == tensor for access in (*task.reads, task.write))

    def _dependences(self, units: Sequence[_Unit], path: tuple[Step, ...]) -> Iterator[Dependence]:
        """Yield which part waits for which, and how many tiles apart; one on several engines waits for itself."""
        unit_of = {bound.task: unit for unit in units for bound in unit.tasks}
        for name, unit in unit_of.items():
            for access in self.workload.task[name].reads:
                for writer in self.workload.writers[access.tensor]:
                    producer = unit_of.get(writer.name)
                    if producer is None:
                        continue
                    distance = self._distance(path, writer, access)
                    if producer is not unit or distance:
                        yield Dependence(producer.name, unit.name, distance=distance)
        for unit in units:
            if len(unit.engines) > 1:
                yield Dependence(unit.name, unit.name, distance=1)

    def _distance(self, path: tuple[Step, ...], writer: Task, access: Access) -> int:
        """Return how many tiles later a generation is read: its distance along the loop, times the tiles in between."""
        axis = self.workload.cascade.tensor[access.tensor].generation_axis
        if axis is None:
            return 0
        written, read = writer.write.indices[axis], access.indices[axis]
        if written.stepped is None or written.stepped != read.stepped:
            return 0
        apart = (written.offset - read.offset).value or 0
        loops = [at for at, step in enumerate(path) if isinstance(step, Loop) and step.variable == written.stepped]
        if not apart or not loops:
            return 0
        whole, outer = (self._steps(path[:end]) for end in (len(path), loops[-1] + 1))
        return apart * max(1, whole // outer)


def _stages(units: Sequence[_Unit]) -> tuple[tuple[str, ...], ...]:
    """Return the names of the operations by stage; none if the mapping gives no stages."""
    numbers = sorted({unit.tasks[0].stage for unit in units})
    if numbers == [0]:
        return ()
    return tuple(tuple(unit.name for unit in units if unit.tasks[0].stage == number) for number in numbers)


def _pipelined(edge: Dependence, operations: Mapping[str, TileOperation], depths: Mapping[str, int]) -> Dependence:
    """Return a dependence with what the producer's pipeline adds; chains of equal length go slot by slot."""
    producer, consumer, depth = operations[edge.producer], operations[edge.consumer], depths[edge.producer]
    if producer.is_chain and producer.slots == consumer.slots and producer.spacing == consumer.spacing == 1:
        return replace(edge, latency=depth, kind="stream")
    return replace(edge, latency=depth - 1)


def shared_steps(block: Block, above: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return the steps around a tile: those of the block, and of the like of it inside that has the most Einsums."""
    path, node = (*above, *block.steps), block
    while inner := [p for p in node.body if isinstance(p, Block) and p.order == block.order and len(p.body) > 1]:
        node = max(inner, key=lambda part: sum(1 for _ in leaves(part)))
        path = (*path, *node.steps)
    return path
