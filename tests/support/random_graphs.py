"""Random graphs of operations."""

from fractions import Fraction

import numpy as np

from einsum_cascade.schedule.graph import Context, Dependence, Hold, OperationGraph, Resource, TileOperation, Use

__all__ = ["random_block_graph", "random_slot_graph"]


def random_block_graph(
    rng: np.random.Generator, operations: int, resources: int, is_plain: bool = False
) -> OperationGraph:
    """Draw blocks with dependences forward within a tile, and any way across tiles.

    `is_plain` leaves out capacities above 1, fractions, further uses, buffers and contexts.
    """
    units = tuple(
        Resource(f"R{at}", 1 if is_plain or rng.random() < 0.8 else int(rng.integers(2, 4))) for at in range(resources)
    )
    blocks = tuple(_block(rng, f"O{at}", units, is_plain) for at in range(operations))
    edges = [
        Dependence(f"O{a}", f"O{b}", int(rng.integers(0, 3)), 0, "stream" if rng.random() < 0.2 else "finish")
        for a in range(operations)
        for b in range(a + 1, operations)
        if rng.random() < 1.5 / operations
    ]
    for _ in range(rng.integers(0, 1 + operations // 2)):
        a, b = rng.integers(0, operations, 2)
        kind = "stream" if rng.random() < 0.2 else "finish"
        edges.append(Dependence(f"O{a}", f"O{b}", int(rng.integers(0, 3)), int(rng.integers(1, 4)), kind))
    contexts = () if is_plain else _contexts(rng, operations)
    buffer = () if is_plain else (Resource("buffer", int(rng.integers(10, 30))),)
    return OperationGraph((*units, *buffer), blocks, tuple(edges), contexts)


def _block(rng: np.random.Generator, name: str, units: tuple[Resource, ...], is_plain: bool) -> TileOperation:
    resource = str(rng.choice([unit.name for unit in units])) if is_plain or rng.random() < 0.9 else None
    duration = int(rng.integers(1, 7))
    if is_plain:
        return TileOperation(name, resource, duration)
    if rng.random() < 0.1:
        duration = Fraction(duration, int(rng.integers(1, 4)))
    uses = tuple(
        Use(unit.name, int(rng.integers(0, 4)), int(rng.integers(1, 3)))
        for unit in units
        if unit.name != resource and rng.random() < 0.1
    )
    holds = (Hold("buffer", int(rng.integers(0, 4))),) if rng.random() < 0.2 else ()
    return TileOperation(name, resource, duration, uses=uses, holds=holds)


def _contexts(rng: np.random.Generator, operations: int) -> tuple[Context, ...]:
    if rng.random() < 0.5:
        return ()
    first, last = sorted(int(at) for at in rng.integers(0, operations, 2))
    return (Context("context", int(rng.integers(1, 4)), f"O{first}", (f"O{last}",)),)


def random_slot_graph(rng: np.random.Generator, chains: int, slots: int) -> OperationGraph:
    """Draw chains on two arrays, one after the other or streaming, with recurrences and a context."""
    units = Resource("A"), Resource("B")
    operations = tuple(
        TileOperation(
            f"O{at}",
            str(rng.choice(["A", "B"])),
            slots=int(rng.integers(1, slots + 1)),
            spacing=int(rng.integers(1, 5)),
        )
        for at in range(chains)
    )
    edges = [
        Dependence(f"O{a}", f"O{b}", int(rng.integers(0, 20)), 0, "stream" if rng.random() < 0.4 else "finish")
        for a in range(chains)
        for b in range(a + 1, chains)
        if rng.random() < 2 / chains
    ]
    edges += [Dependence(f"O{at}", f"O{at}", 1, int(rng.integers(1, 3)), "stream") for at in range(0, chains, 2)]
    contexts = (Context("context", int(rng.integers(1, 5)), "O0", (f"O{chains - 1}",)),) if rng.random() < 0.5 else ()
    return OperationGraph(units, operations, tuple(edges), contexts)
