"""Random mappings of small cascades, with what the walk needs to know of each, written down by hand."""

from dataclasses import dataclass, replace

from loop_walk import Reference

from einsum_cascade import parse
from einsum_cascade.arch.ir import Architecture, Engine, Memory, Operation, RegisterFile
from einsum_cascade.cascade.extent import ONE, constant, symbol
from einsum_cascade.mapping.ir import Block, Compute, Keep, Loop, Mapping

__all__ = ["CASES", "Case", "random_architecture", "random_extents", "random_mapping", "with_parameters"]


def _access(text):
    """`I[2*p+r+3, c]` as a reference."""
    tensor, rest = text.rstrip("]").split("[")
    dims = [[part.strip() for part in dim.split("+")] for dim in rest.split(",")]
    terms = tuple(
        tuple((p.lstrip("0123456789*"), int(p.split("*")[0]) if "*" in p else 1) for p in dim if not p.isdigit())
        for dim in dims
    )
    return Reference(tensor, terms, tuple(sum(int(p) for p in dim if p.isdigit()) for dim in dims))


@dataclass(frozen=True)
class Case:
    """A cascade, and by hand: the tasks, what joins them, the tails of its partitions."""

    text: str
    tasks: dict
    homes: tuple
    kept: tuple
    shared: tuple = ()
    tail: tuple = ()


def _case(text, tasks, homes, kept, shared=(), tail=()):
    parsed = {
        name: {"variables": variables.split(), "write": _access(write), "reads": [_access(r) for r in reads]}
        for name, (variables, write, reads) in tasks.items()
    }
    return Case(text, parsed, homes, kept, shared, tail)


CASES = {
    "matmul": _case(
        "rank M, N, K\ninput A[m:M, k:K], B[k:K, n:N]\nZ[m, n] = A[m, k] * B[k, n]\noutput Z",
        {"Z": ("m n k", "Z[m, n]", ["A[m, k]", "B[k, n]"])},
        ("A", "B", "Z"),
        ("A", "B", "Z"),
    ),
    "convolution": _case(
        "rank P, R, C\nrank W = P + R - 1\ninput I[w:W, c:C], G[r:R, c:C]\nO[p] = I[p + r, c] * G[r, c]\noutput O",
        {"O": ("p r c", "O[p]", ["I[p+r, c]", "G[r, c]"])},
        ("I", "G", "O"),
        ("I", "G", "O"),
    ),
    "strided": _case(
        "rank P, R\nrank W = 3*P + 2*R\ninput I[w:W], G[r:R]\nO[p] = I[3*p + 2*r] * G[r]\noutput O",
        {"O": ("p r", "O[p]", ["I[3*p+2*r]", "G[r]"])},
        ("I", "G", "O"),
        ("I", "G", "O"),
    ),
    "outer": _case(
        "rank M, N, B\ninput X[b:B, m:M], Y[n:N]\nZ[b, m, n] = X[b, m] + Y[n]\noutput Z",
        {"Z": ("b m n", "Z[b, m, n]", ["X[b, m]", "Y[n]"])},
        ("X", "Y", "Z"),
        ("X", "Y", "Z"),
    ),
    "chain": _case(
        "rank E, F, M, P\ninput Q[e:E, p:P], K[e:E, m:M], V[f:F, m:M]\n"
        "S[m, p] = Q[e, p] * K[e, m]\nT[f, p] = S[m, p] * V[f, m]\noutput T",
        {
            "S": ("m p e", "S[m, p]", ["Q[e, p]", "K[e, m]"]),
            "T": ("f p m", "T[f, p]", ["S[m, p]", "V[f, m]"]),
        },
        ("Q", "K", "V", "T"),
        ("Q", "K", "V", "T"),
        shared=("m", "p"),
    ),
    "stencil": _case(
        "rank H, W\nrank Y = H + 3\nrank X = W + 1\ninput I[y:Y, x:X], G[h:H]\n"
        "O[h, w] = I[h, w] + I[h + 1, w] + I[h + 3, w + 1] + G[h]\noutput O",
        {"O": ("h w", "O[h, w]", ["I[h, w]", "I[h+1, w]", "I[h+3, w+1]", "G[h]"])},
        ("I", "G", "O"),
        ("I", "G", "O"),
    ),
    "spread": _case(
        "rank P, R\nrank W = 3*P + 2*R + 4\ninput I[w:W], G[r:R]\n"
        "O[p] = sum[r](I[3*p + 2*r] * G[r] + I[3*p + 2*r + 4] + I[3*p + 2*r + 1])\noutput O",
        {"O": ("p r", "O[p]", ["I[3*p+2*r]", "G[r]", "I[3*p+2*r+4]", "I[3*p+2*r+1]"])},
        ("I", "G", "O"),
        ("I", "G", "O"),
    ),
    "halves": _case(
        "rank H\nrank D = 2*H + 4\nrank S = 2*H + 5\ninput I[d:D], J[s:S]\n"
        "O[h] = I[h] * J[2*h] - I[h + 4] * J[2*h + 1] + J[2*h + 4]\noutput O",
        {"O": ("h", "O[h]", ["I[h]", "J[2*h]", "I[h+4]", "J[2*h+1]", "J[2*h+4]"])},
        ("I", "J", "O"),
        ("I", "J", "O"),
    ),
    "partition": _case(
        "rank N, K\nrank K0 = 3*1\nrank K1 = K / K0\ninput X[k:K, n:N], G[k:K]\n"
        "BX[k1, k0, n] = X[k1*K0 + k0, n]\nBG[k1, k0] = G[k1*K0 + k0]\n"
        "Z[k1, n] = BX[k1, k0, n] * BG[k1, k0]\noutput Z",
        {"Z": ("k1 n k0", "Z[k1, n]", ["X[k1x+k0, n]", "G[k1x+k0]"])},
        ("X", "G", "Z"),
        ("X", "G", "Z"),
        tail=("k1", "k0", "K"),
    ),
}


def random_extents(rng, case):
    """Draw small extents, derived ones included."""
    extents = {name: int(rng.integers(1, 8)) for name in "MNKPRCBEFHW"}
    for rank in parse(case.text).ranks:
        if rank.extent is not None and not case.tail:
            extents[rank.name] = rank.extent.evaluate(extents)
    if case.tail:
        extents |= {"K": int(rng.integers(1, 12)), "K0": int(rng.integers(1, 5))}
        extents["K1"] = -(-extents["K"] // extents["K0"])
    return extents


def random_architecture(rng):
    """Draw a machine whose PEs can or cannot share transfers."""
    memory = {"capacity_bytes": None, "access_bits": 16, "read_bytes_per_s": None, "write_bytes_per_s": None}
    levels = tuple(
        Memory(name=name, is_shared=False, instances=1, read_pj=1.0, write_pj=1.0, **memory)
        for name in ("dram", "buffer")
    )
    links = ["broadcast", "reduce", "shift"]
    rows, columns = (frozenset(link for link in links if rng.random() < 0.4) for _ in range(2))
    operation = Operation("mac", 1, 1, (("mac", 1),))
    engine = Engine("pes", 64, 64, (operation,), RegisterFile(64, 16, 1.0, 1.0, 0.0), None, rows, columns)
    return Architecture("random", 10**9, 16, levels, (engine,), ())


def _loops(rng, names, extents, most):
    """Draw up to `most` nested loops of every variable, in any order that keeps tiles nested."""
    queues = []
    for name in names:
        extent = extents[name.upper()]
        tiles = sorted({int(t) for t in rng.integers(1, extent + 2, int(rng.integers(0, most + 1)))}, reverse=True)
        queues.append([Loop(name, constant(tile)) for tile in tiles])
    found = []
    while any(queues):
        queue = queues[int(rng.choice([at for at, q in enumerate(queues) if q]))]
        found.append(queue.pop(0))
    return found


def _spread(rng, loops):
    """Put some loops onto the axes of the engine."""
    axes = ["rows", "columns"]
    return [
        Loop(loop.variable, loop.tile, str(rng.choice(axes))) if isinstance(loop, Loop) and rng.random() < 0.3 else loop
        for loop in loops
    ]


def _with_keeps(rng, steps, tensors, levels):
    steps = list(steps)
    for tensor in tensors:
        at = 0
        for level in levels:
            if rng.random() < 0.6:
                at = int(rng.integers(at, len(steps) + 1))
                steps.insert(at, Keep(level, (tensor,)))
                at += 1
    return steps


def random_mapping(rng, case, extents):
    """Draw a mapping of a case."""
    if case.shared:
        return _fused(rng, case, extents)
    ((name, task),) = case.tasks.items()
    names = task["variables"]
    loops = _tailed(rng, case, names, extents) if case.tail else _loops(rng, names, extents, 3)
    steps = _with_keeps(rng, _spread(rng, loops), case.kept, ("buffer", "pes"))
    return Mapping("random", Block(tuple(steps), (Compute(name, "pes"),)))


def _tailed(rng, case, names, extents):
    """Loops in which the inner part of a partition comes after the outer part is down to one coordinate."""
    outer, inner, _ = case.tail
    first = _loops(rng, [name for name in names if name != inner], extents, 2)
    first = [loop for loop in first if loop.variable != outer or loop.tile != constant(1)]
    return [*first, Loop(outer), *_loops(rng, [inner], extents, 2)]


def _fused(rng, case, extents):
    shared = _loops(rng, case.shared, extents, 2)
    parts = []
    last = {loop.variable: loop.tile.evaluate({}) for loop in shared}
    for name, task in case.tasks.items():
        inner = {n.upper(): min(last.get(n, extents[n.upper()]), extents[n.upper()]) for n in task["variables"]}
        loops = [loop for loop in _loops(rng, task["variables"], inner, 2)]
        loops = [x for x in loops if x.variable not in last or x.tile.evaluate({}) < last[x.variable]]
        tensors = [t for t in case.kept if any(t == r.tensor for r in [*task["reads"], task["write"]])]
        steps = _with_keeps(rng, _spread(rng, loops), tensors, ("pes",))
        parts.append(Block(tuple(steps), (Compute(name, "pes"),)))
    steps = _with_keeps(rng, shared, case.kept, ("buffer",))
    steps.append(Keep("buffer", ("S",)))
    return Mapping("random", Block(tuple(steps), tuple(parts)))


def with_parameters(rng, node, names):
    """Turn tile sizes into parameters, and collect their names."""
    if isinstance(node, Compute):
        return node

    def own(step):
        if not isinstance(step, Loop) or step.tile == ONE or rng.random() < 0.3:
            return step
        names.append(f"T{len(names)}")
        return replace(step, tile=symbol(names[-1]))

    return Block(tuple(own(s) for s in node.steps), tuple(with_parameters(rng, part, names) for part in node.body))
