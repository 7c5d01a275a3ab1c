"""From a mapping to the graph of operations of one tile, which the schedulers take.

A tile is an iteration of the block whose parts overlap or run in lock-step. A task that runs less often, such as the
division after the last tile of keys, takes its share of a tile; so do ragged tiles. On an engine whose operations are
pipelined, a task is a chain of unit slots, as far apart as the pipeline is deep where each needs the one before: then
others fit in between. The skew of an array, in which neighbours work later, is not in it; `program.kernel` has it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from einsum_cascade.arch.ir import Architecture
from einsum_cascade.mapping.binding import Bound
from einsum_cascade.mapping.ir import Block, Compute, Loop, Step, leaves
from einsum_cascade.mapping.nest import count_steps, nest_of, range_sizes
from einsum_cascade.mapping.operations import cover
from einsum_cascade.mapping.workload import Access, Task, Workload
from einsum_cascade.schedule.graph import Context, Dependence, Operation, OperationGraph, Resource

__all__ = ["TileGraph", "tile_graphs"]


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

    """

    graph: OperationGraph
    tiles: int
    stages: tuple[tuple[str, ...], ...]


def tile_graphs(
    workload: Workload,
    architecture: Architecture,
    root: Block,
    bounds: tuple[Bound, ...],
    values: Mapping[str, int],
) -> tuple[TileGraph, ...]:
    """Return a graph for every block of a mapping whose parts overlap or run in lock-step, outermost such blocks.

    Where an engine limits the tiles that its PEs hold in flight, a tile keeps a context from its first operation on the
    engine to its last.
    """
    by_task = {bound.task: bound for bound in bounds}
    return tuple(_graph(workload, architecture, block, above, by_task, values) for block, above in _blocks(root, ()))


def _blocks(node: Block | Compute, above: tuple[Step, ...]) -> Iterator[tuple[Block, tuple[Step, ...]]]:
    if isinstance(node, Compute):
        return
    if node.order != "sequence":
        yield node, above
        return
    for part in node.body:
        yield from _blocks(part, (*above, *node.steps))


def _graph(
    workload: Workload,
    architecture: Architecture,
    block: Block,
    above: tuple[Step, ...],
    bounds: Mapping[str, Bound],
    values: Mapping[str, int],
) -> TileGraph:
    own = [bounds[leaf.task] for leaf in leaves(block)]
    shared = _shared(block, above)
    tiles = int(count_steps(nest_of(workload, shared, values), range_sizes(workload, values)))
    engines = dict.fromkeys(bound.engine for bound in own)
    depths = {bound.task: _depth(workload, architecture, bound) for bound in own}
    operations = {bound.task: _operation(workload, bound, tiles, depths[bound.task]) for bound in own}
    edges = dict.fromkeys(_dependences(workload, shared, own, values))
    dependences = tuple(_pipelined(edge, operations, depths) for edge in edges)
    contexts = {engine.name: engine.contexts for engine in architecture.engines if engine.contexts is not None}
    numbers = sorted({bound.stage for bound in own})
    stages = tuple(tuple(b.task for b in own if b.stage == n) for n in numbers) if numbers != [0] else ()
    held = tuple(_context(name, count, own) for name, count in contexts.items() if name in engines)
    graph = OperationGraph(tuple(map(Resource, engines)), tuple(operations.values()), dependences, held)
    return TileGraph(graph, tiles, stages)


def _operation(workload: Workload, bound: Bound, tiles: int, depth: int) -> Operation:
    """Return a block, or a chain where the engine is pipelined and a tile has a whole number of slots."""
    cycles = _whole(Fraction(int(bound.busy_cycles), tiles))
    if depth == 1 or not isinstance(cycles, int):
        return Operation(bound.task, bound.engine, cycles)
    spacing = depth if bound.slots > 1 or _accumulates(workload, bound) else 1
    return Operation(bound.task, bound.engine, slots=cycles, spacing=spacing)


def _depth(workload: Workload, architecture: Architecture, bound: Bound) -> int:
    """Return the cycles from a slot to the one that needs its result."""
    engine = architecture.engine(bound.engine)
    assert engine is not None, bound.engine
    covered = cover(workload.cascade.einsums[workload.task[bound.task].number], engine)
    return max((-(-op.latency_cycles // op.interval_cycles) for op, _ in covered.operations), default=1)


def _accumulates(workload: Workload, bound: Bound) -> bool:
    """Tell whether a slot adds to what the slot before has made: a reduction is a loop in time."""
    reduction = workload.cascade.einsums[workload.task[bound.task].number].reduction
    in_time = {step.variable for step in bound.path if isinstance(step, Loop) and step.axis is None}
    return reduction is not None and not in_time.isdisjoint(reduction.variables)


def _pipelined(edge: Dependence, operations: Mapping[str, Operation], depths: Mapping[str, int]) -> Dependence:
    """Return a dependence with what the producer's pipeline adds; chains of equal length go slot by slot."""
    producer, consumer, depth = operations[edge.producer], operations[edge.consumer], depths[edge.producer]
    if producer.is_chain and producer.slots == consumer.slots and producer.spacing == consumer.spacing == 1:
        return replace(edge, latency=depth, kind="stream")
    return replace(edge, latency=depth - 1)


def _context(engine: str, count: int, own: list[Bound]) -> Context:
    tasks = [bound.task for bound in own if bound.engine == engine]
    return Context(engine, count, tasks[0], tuple(tasks))


def _shared(block: Block, above: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return the steps around a tile: those of the block, and of the part of it that has the most Einsums below."""
    path = (*above, *block.steps)
    node = block
    while len(inner := [part for part in node.body if isinstance(part, Block) and len(part.body) > 1]) > 0:
        node = max(inner, key=lambda part: sum(1 for _ in leaves(part)))
        path = (*path, *node.steps)
    return path


def _whole(value: Fraction) -> int | Fraction:
    return value.numerator if value.denominator == 1 else value


def _dependences(
    workload: Workload, path: tuple[Step, ...], own: list[Bound], values: Mapping[str, int]
) -> Iterator[Dependence]:
    """Yield which task waits for which, and how many tiles apart."""
    names = {bound.task for bound in own}
    for bound in own:
        reader = workload.task[bound.task]
        for access in reader.reads:
            for writer in workload.writers[access.tensor]:
                if writer.name in names and (writer.name != reader.name or _is_earlier(workload, writer, access)):
                    yield Dependence(
                        writer.name, reader.name, distance=_distance(workload, path, writer, access, values)
                    )


def _is_earlier(workload: Workload, writer: Task, access: Access) -> bool:
    return workload.cascade.tensor[access.tensor].generation_axis is not None


def _distance(
    workload: Workload, path: tuple[Step, ...], writer: Task, access: Access, values: Mapping[str, int]
) -> int:
    """Return how many tiles later a generation is read: its distance along the loop, times the tiles in between."""
    axis = workload.cascade.tensor[access.tensor].generation_axis
    if axis is None:
        return 0
    written, read = writer.write.indices[axis], access.indices[axis]
    if written.stepped is None or written.stepped != read.stepped:
        return 0
    apart = (written.offset - read.offset).value or 0
    loops = [at for at, step in enumerate(path) if isinstance(step, Loop) and step.variable == written.stepped]
    if not apart or not loops:
        return 0
    whole, outer = (
        int(count_steps(nest_of(workload, path[:end], values), range_sizes(workload, values)))
        for end in (len(path), loops[-1] + 1)
    )
    return apart * max(1, whole // outer)
