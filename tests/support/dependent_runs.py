"""Small cascades run point by point in the order of a mapping: does every reader find what it reads complete?

It shares no code with `einsum_cascade.mapping`: points, writes and reads of every Einsum are written down by hand.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np

from einsum_cascade.cascade.extent import constant
from einsum_cascade.mapping.ir import Block, Compute, Keep, Loop, Mapping

__all__ = ["CHAINS", "Chain", "random_chain", "runs_well"]


@dataclass(frozen=True)
class Chain:
    """A cascade, and by hand: of every Einsum its variables in order, what it writes and what computed it reads."""

    text: str
    ranks: dict[str, str]
    tasks: dict[str, tuple[str, Callable, Callable]]


CHAINS = {
    # Two products: the first is reduced over e, the second over m.
    "products": Chain(
        "rank E, F, M, P\ninput Q[e:E, p:P], K[e:E, m:M], V[f:F, m:M]\n"
        "S[m, p] = Q[e, p] * K[e, m]\nT[f, p] = S[m, p] * V[f, m]\noutput T",
        {"e": "E", "f": "F", "m": "M", "p": "P"},
        {
            "S": ("m p e", lambda m, p, e: ("S", m, p), lambda m, p, e: []),
            "T": ("f p m", lambda f, p, m: ("T", f, p), lambda f, p, m: [("S", m, p)]),
        },
    ),
    # A maximum over m between two readers of S.
    "barrier": Chain(
        "rank M, P\ninput X[m:M, p:P]\nS[m, p] = X[m, p] * 2\nG[p] = max[m](S[m, p])\nN[m, p] = exp(S[m, p] - G[p])\n"
        "D[p] = sum[m](N[m, p])\noutput D",
        {"m": "M", "p": "P"},
        {
            "S": ("m p", lambda m, p: ("S", m, p), lambda m, p: []),
            "G": ("p m", lambda p, m: ("G", p), lambda p, m: [("S", m, p)]),
            "N": ("m p", lambda m, p: ("N", m, p), lambda m, p: [("S", m, p), ("G", p)]),
            "D": ("p m", lambda p, m: ("D", p), lambda p, m: [("N", m, p)]),
        },
    ),
    # Readers behind and ahead of the writer.
    "shifts": Chain(
        "rank I, P\ninput X[i:I, p:P]\nY[i, p] = X[i, p] * 2\nB[i, p] = Y[i - 2, p] where i >= 2\n"
        "A[i, p] = Y[i + 1, p] * 3 where i < I - 1\noutput A, B",
        {"i": "I", "p": "P"},
        {
            "Y": ("i p", lambda i, p: ("Y", i, p), lambda i, p: []),
            "B": ("i p", lambda i, p: ("B", i, p), lambda i, p: [("Y", i - 2, p)]),
            "A": ("i p", lambda i, p: ("A", i, p), lambda i, p: [("Y", i + 1, p)]),
        },
    ),
    # Running maxima, read as they grow and at the end.
    "running": Chain(
        "rank I, P\ninput X[i:I, p:P]\ninit R[0, p] = -inf\nR[i+1, p] = max(R[i, p], X[i, p])\n"
        "D[i, p] = exp(R[i, p] - R[i+1, p])\nO[p] = R[I, p] * 2\noutput D, O",
        {"i": "I", "p": "P"},
        {
            "R": ("i p", lambda i, p: ("R", i + 1, p), lambda i, p: [("R", i, p)]),
            "D": ("i p", lambda i, p: ("D", i, p), lambda i, p: [("R", i, p), ("R", i + 1, p)]),
            "O": ("p", lambda p: ("O", p), lambda p: [("R", "last", p)]),
        },
    ),
    # A tensor read along an alias.
    "alias": Chain(
        "rank I\nrank J = I\ninput X[i:I, j:J]\nY[i, j] = X[i, j] * 2\nZ[i, j] = Y[j, i] * 3\noutput Z",
        {"i": "I", "j": "J"},
        {
            "Y": ("i j", lambda i, j: ("Y", i, j), lambda i, j: []),
            "Z": ("i j", lambda i, j: ("Z", i, j), lambda i, j: [("Y", j, i)]),
        },
    ),
}


def random_chain(rng: np.random.Generator, chain: Chain, extents: dict[str, int]) -> Mapping:
    """Draw a mapping whose order, loops and fusion may be right or wrong; all tensors are kept all the time."""
    names = list(chain.tasks)
    if rng.random() < 0.2:
        rng.shuffle(names)
    tensors = tuple(n for n in names if n not in chain.text.split("output ")[1])
    steps = (Keep("buffer", tensors),) if tensors else ()
    return Mapping("random", Block(steps, _grouped(rng, chain, names, extents, {})))


def _grouped(rng, chain, names, extents, tiles):
    """Cut a row of Einsums into groups, each with loops of its own."""
    cuts = sorted(set(rng.integers(0, len(names), int(rng.integers(0, 3))).tolist()) - {0})
    groups = [names[a:b] for a, b in zip([0, *cuts], [*cuts, len(names)], strict=True)]
    return tuple(_group(rng, chain, group, extents, tiles) for group in groups)


def _group(rng, chain, names, extents, tiles):
    own, loops = dict(tiles), []
    common = set.intersection(*(set(chain.tasks[name][0].split()) for name in names))
    if rng.random() < 0.1:
        common = set.union(*(set(chain.tasks[name][0].split()) for name in names))
    for variable in rng.permutation(sorted(common)).tolist():
        most = own.get(variable, extents[chain.ranks[variable]])
        if most > 1 and rng.random() < 0.7:
            own[variable] = int(rng.integers(1, most))
            loops.append(Loop(variable, constant(own[variable])))
    if len(names) == 1:
        return Block(tuple(loops), (Compute(names[0], "pes"),)) if loops else Compute(names[0], "pes")
    if len(loops) == 0 and len(tiles) == len(own) and rng.random() < 0.5:
        return Block((), tuple(Compute(name, "pes") for name in names))
    return Block(tuple(loops), _grouped(rng, chain, names, extents, own))


def runs_well(chain: Chain, mapping: Mapping, extents: dict[str, int]) -> bool:
    """Run a mapping: whether every point runs once, and every element is complete before it is read."""
    run = _Run(chain, extents)
    ranges = {variable: range(extents[rank]) for variable, rank in chain.ranks.items()}
    run.node(mapping.root, ranges, ())
    return run.is_well and set(run.points.values()) <= {1}


class _Run:
    def __init__(self, chain, extents):
        self.chain, self.extents = chain, extents
        self.is_well = True
        self.points, self.written = Counter(), Counter()
        self.wanted = Counter(
            write(*point)
            for variables, write, _ in chain.tasks.values()
            for point in product(*(range(extents[chain.ranks[v]]) for v in variables.split()))
        )

    def node(self, node, ranges, finished):
        if isinstance(node, Compute):
            self.task(node.task, ranges, finished)
        else:
            self.steps(node, [step for step in node.steps if isinstance(step, Loop)], ranges, finished)

    def steps(self, block, loops, ranges, finished):
        if not loops:
            for part in block.body:
                self.node(part, ranges, finished)
            return
        loop, *inner = loops
        own, tile = ranges[loop.variable], loop.tile.evaluate({})
        for start in range(0, len(own), tile):
            self.steps(block, inner, {**ranges, loop.variable: own[start : start + tile]}, finished)

    def task(self, name, ranges, finished):
        variables, write, reads = self.chain.tasks[name]
        for point in product(*(ranges[variable] for variable in variables.split())):
            self.points[name, point] += 1
            for element in reads(*point):
                self.read(element)
            self.written[write(*point)] += 1

    def read(self, element):
        if "last" in element:
            element = tuple(self.extents["I"] if part == "last" else part for part in element)
        self.is_well = self.is_well and self.written[element] >= self.wanted.get(element, 0)
