"""The graph of the operations of one tile, checked when it is made."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import networkx as nx

from einsum_cascade.errors import ScheduleError
from einsum_cascade.schedule.operation import Context, Cycles, Dependence, Hold, Resource, TileOperation, Use

__all__ = ["Context", "Dependence", "Hold", "OperationGraph", "Resource", "TileOperation", "Use"]


@dataclass(frozen=True, slots=True)
class OperationGraph:
    """The operations of one tile; every tile has the same ones.

    Parameters
    ----------
    resources
        What operations take up.
    operations
        Blocks and chains.
    dependences
        Between operations of one tile, or of tiles some distance apart.
    contexts
        Limits on the tiles in flight.

    Raises
    ------
    ScheduleError
        Something that must hold does not; all such mistakes, a sentence each.

    """

    resources: tuple[Resource, ...]
    operations: tuple[TileOperation, ...]
    dependences: tuple[Dependence, ...] = ()
    contexts: tuple[Context, ...] = ()

    def __post_init__(self) -> None:
        mistakes = [*_mistakes(self)]
        if not mistakes:
            mistakes = [*_cycles(self)]
        if mistakes:
            raise ScheduleError("\n".join(mistakes))

    @property
    def operation(self) -> dict[str, TileOperation]:
        """The operations by name."""
        return {operation.name: operation for operation in self.operations}

    @property
    def resource(self) -> dict[str, Resource]:
        """The resources by name."""
        return {resource.name: resource for resource in self.resources}


def _mistakes(graph: OperationGraph) -> Iterator[str]:
    if not graph.operations:
        yield "A graph must have an operation, but has none; give at least one."
    for what, names in (
        ("Resource", [resource.name for resource in graph.resources]),
        ("Operation", [operation.name for operation in graph.operations]),
        ("Context", [context.name for context in graph.contexts]),
    ):
        for name, count in Counter(names).items():
            if count > 1:
                yield f"{what} {name!r} must be given once, but is given {count} times; rename all but one."
    for resource in graph.resources:
        yield from _whole(f"The capacity of resource {resource.name!r}", resource.capacity, least=1)
    for operation in graph.operations:
        yield from _operation_mistakes(graph, operation)
    for dependence in graph.dependences:
        yield from _dependence_mistakes(graph, dependence)
    for context in graph.contexts:
        yield from _context_mistakes(graph, context)
    used = {use.resource for operation in graph.operations for use in operation.all_uses}
    held = {hold.resource for operation in graph.operations for hold in operation.holds}
    for name in sorted(used & held):
        yield f"Resource {name!r} must either be taken by operations or hold results, but does both; make it two."


def _operation_mistakes(graph: OperationGraph, operation: TileOperation) -> Iterator[str]:
    where = f"operation {operation.name!r}"
    yield from _time(f"The duration of {where}", operation.duration)
    yield from _whole(f"The number of slots of {where}", operation.slots, least=1)
    yield from _time(f"The spacing of {where}", operation.spacing, least=1)
    if operation.is_chain and operation.duration != 1:
        yield (
            f"The slots of chain {operation.name!r} must last 1 cycle each, not {operation.duration!r}; "
            "leave the duration out, or make it a block of one slot."
        )
    if operation.resource is not None and operation.resource not in graph.resource:
        yield _unknown(f"The resource of {where}", operation.resource, graph.resource)
    for use in operation.uses:
        yield from _use_mistakes(graph, where, use)
    for hold in operation.holds:
        yield from _amount_mistakes(graph, where, hold.resource, hold.amount, "hold")


def _use_mistakes(graph: OperationGraph, where: str, use: Use) -> Iterator[str]:
    yield from _time(f"The offset of {use.resource!r} in {where}", use.offset)
    yield from _time(f"The duration of {use.resource!r} in {where}", use.duration)
    yield from _amount_mistakes(graph, where, use.resource, use.amount, "take")


def _amount_mistakes(graph: OperationGraph, where: str, name: str, amount: int, verb: str) -> Iterator[str]:
    resource = graph.resource.get(name)
    if resource is None:
        yield _unknown(f"The resource of {where}", name, graph.resource)
        return
    yield from _whole(f"The amount of {name!r} in {where}", amount, least=0 if verb == "hold" else 1)
    if amount > resource.capacity:
        yield (
            f"{where.capitalize()} must {verb} at most the {resource.capacity} units that resource {name!r} has, "
            f"not {amount!r}; give the resource more, or split the operation."
        )


def _dependence_mistakes(graph: OperationGraph, dependence: Dependence) -> Iterator[str]:
    where = f"the dependence of {dependence.consumer!r} on {dependence.producer!r}"
    for role, name in (("producer", dependence.producer), ("consumer", dependence.consumer)):
        if name not in graph.operation:
            yield _unknown(f"The {role} in {where}", name, graph.operation)
    yield from _time(f"The latency of {where}", dependence.latency)
    yield from _whole(f"The distance of {where}", dependence.distance, least=0)
    if dependence.kind not in ("finish", "stream"):
        yield f"The kind of {where} must be 'finish' or 'stream', not {dependence.kind!r}; choose one."


def _context_mistakes(graph: OperationGraph, context: Context) -> Iterator[str]:
    where = f"context {context.name!r}"
    yield from _whole(f"The count of {where}", context.count, least=1)
    if not context.released_by:
        yield f"{where.capitalize()} must be released by an operation, but by none is; name the last that needs it."
    for name in (context.taken_by, *context.released_by):
        if name not in graph.operation:
            yield _unknown(f"An operation of {where}", name, graph.operation)


def _cycles(graph: OperationGraph) -> Iterator[str]:
    within: nx.DiGraph[str] = nx.DiGraph()
    within.add_nodes_from(graph.operation)
    within.add_edges_from((edge.producer, edge.consumer) for edge in graph.dependences if edge.distance == 0)
    around: list[str] | None = next(nx.simple_cycles(within), None)
    if around is not None:
        yield (
            "Operations of one tile must not wait for one another in a cycle, but "
            f"{' -> '.join([*around, around[0]])} do; give the dependence that is on an earlier tile its distance."
        )


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    return (
        f"{what} must be one of {', '.join(known) or 'none'}, not {name!r}; add it to the graph, or correct the name."
    )


def _whole(what: str, value: object, least: int) -> Iterator[str]:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        yield f"{what} must be a whole number of at least {least}, not {value!r}; correct it."


def _time(what: str, value: Cycles, least: int = 0) -> Iterator[str]:
    if isinstance(value, bool) or not isinstance(value, int | Fraction) or value < least:  # pyright: ignore[reportUnnecessaryIsInstance]
        yield f"{what} must be an int or a Fraction of at least {least} cycles, not {value!r}; correct it."
