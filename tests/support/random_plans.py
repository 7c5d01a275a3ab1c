"""Random mappings of chains of Einsums over one to four blocks, nested, on machines with two engines and limits.

They are legal by how they are made, and each run is checked for it where it is used.
"""

from dataclasses import replace
from fractions import Fraction

from einsum_cascade import parse
from einsum_cascade.arch.ir import Architecture, Component, Engine, Memory, Operation, RegisterFile
from einsum_cascade.cascade.extent import ZERO, constant
from einsum_cascade.mapping.ir import Block, Compute, Keep, Loop, Mapping
from einsum_cascade.mapping.workload import Workload

__all__ = ["CHAINS", "plan_extents", "plan_machine", "random_plan", "wrapped"]

_INPUTS = "rank M, P, K\ninput A[m:M, k:K], B[k:K, p:P], X[m:M, p:P]\n"
CHAINS = {
    "two": Workload(parse(_INPUTS + "S[m, p] = A[m, k] * B[k, p]\nT[m, p] = S[m, p] + X[m, p]\noutput T")),
    "three": Workload(
        parse(
            _INPUTS + "S[m, p] = A[m, k] * B[k, p]\nT[m, p] = S[m, p] * X[m, p]\nU[m, p] = T[m, p] + S[m, p]\noutput U"
        )
    ),
    "four": Workload(
        parse(
            _INPUTS + "S[m, p] = A[m, k] * B[k, p]\nT[m, p] = S[m, p] * X[m, p]\nU[m, p] = T[m, p] + S[m, p]\n"
            "V[m, p] = U[m, p] * T[m, p]\noutput V, S"
        )
    ),
}


def plan_extents(rng):
    return {name: int(rng.integers(1, 9)) for name in "MPK"}


def plan_machine(rng):
    """Two engines, DRAM and a buffer with bandwidths of their own, shared by reads and writes or not."""

    def memory(name):
        rates = [None if rng.random() < 0.2 else Fraction(int(rng.integers(1, 12)) * 10**9) for _ in range(2)]
        is_shared = bool(rng.random() < 0.5)
        read, write = rates if None not in rates else (None, None)
        return Memory(name, None, 16, read, read if is_shared else write, is_shared, 1, 1.0, 1.0)

    operations = tuple(Operation(name, 1, 1, (("mac", 1),)) for name in ("mac", "+", "*"))
    engines = tuple(
        Engine(name, 4, 4, operations, RegisterFile(64, 16, 1.0, 1.0, 0.0), None, frozenset(), frozenset())
        for name in ("x", "y")
    )
    return Architecture("random", 10**9, 16, (memory("dram"), memory("buffer")), engines, (Component("mac", 1.0, 0.0),))


def random_plan(rng, workload, extents, overlaps=True):
    """Draw a tree: loops that all share, blocks of neighbouring Einsums inside one another, keeps anywhere above."""
    made = tuple(task.name for task in workload.tasks)
    between = [name for name in made if name not in workload.cascade.outputs]
    steps = [Keep("buffer", (name,), int(rng.integers(1, 3))) for name in between]
    steps += _keeps(rng, ("A", "B", "X"), 0.4)
    rng.shuffle(steps)
    loops = _loops(rng, ("m", "p"), extents)
    at = int(rng.integers(0, len(loops) + 1))
    root = Block((*loops[:at], *steps, *loops[at:]), _grouped(rng, workload, made, extents, loops, steps, overlaps))
    return Mapping("random", replace(root, order=_order(rng, overlaps)))


def _order(rng, overlaps):
    return str(rng.choice(["sequence", "overlap", "lock-step"] if overlaps else ["sequence"]))


def _loops(rng, names, extents):
    found = [
        Loop(name, constant(int(rng.integers(1, extents[name.upper()] + 1)))) for name in names if rng.random() < 0.6
    ]
    rng.shuffle(found)
    return found


def _keeps(rng, names, share):
    return [Keep("buffer", (name,), int(rng.integers(1, 3))) for name in names if rng.random() < share]


def _grouped(rng, workload, names, extents, loops, steps, overlaps):
    """Split neighbours into parts; a part of several is a block, whose keeps are of what is kept nowhere yet."""
    cuts = sorted({int(cut) for cut in rng.integers(1, len(names) + 1, 2)} | {len(names)})
    parts, start = [], 0
    for cut in cuts:
        own = names[start:cut]
        start = cut
        if not own:
            continue
        if len(own) == len(names) or len(own) == 1:
            parts += [_leaf(rng, workload, name, loops, steps) for name in own]
            continue
        inner = [loop for loop in _loops(rng, ("m", "p"), extents) if _is_within(loop, loops)]
        read = {access.tensor for name in own for access in workload.task[name].reads} & {"A", "B", "X"}
        held = {name for step in steps for name in step.tensors}
        keeps = _keeps(rng, sorted(read - held), 0.4)
        body = _grouped(rng, workload, own, extents, [*loops, *inner], [*steps, *keeps], overlaps)
        parts.append(Block((*inner, *keeps), body, _order(rng, overlaps)))
    return tuple(parts)


def _is_within(loop, loops):
    return all(loop.tile.evaluate({}) < own.tile.evaluate({}) for own in loops if own.variable == loop.variable)


def _leaf(rng, workload, name, loops, steps):
    engine = str(rng.choice(["x", "y"]))
    names = [v for v in workload.task[name].variables if rng.random() < 0.4 and _is_within(Loop(v), loops)]
    inner = tuple(Loop(v, axis=str(rng.choice(["rows", "columns"])) if rng.random() < 0.3 else None) for v in names)
    made = (Keep(engine, (name,), int(rng.integers(1, 3))),) if rng.random() < 0.3 else ()
    overhead = constant(int(rng.integers(1, 5))) if rng.random() < 0.2 else ZERO
    leaf = Compute(name, engine, int(rng.integers(0, 4)), overhead)
    return Block((*inner, *made), (leaf,)) if inner or made else leaf


def wrapped(rng, node):
    """Put blocks of no step around parts at random, which group nothing."""
    if isinstance(node, Block):
        node = replace(node, body=tuple(wrapped(rng, part) for part in node.body))
    while rng.random() < 0.4:
        node = Block((), (node,), _order(rng, True))
    return node
