"""Cascades with extents for arrays, fixed and drawn at random."""

from collections.abc import Iterator
from random import Random

from array_programs import PRODUCT, SOFTMAX

from einsum_cascade import load_architecture, parse, resolve_extents, zoo
from einsum_cascade.array.numbers import Numbers
from einsum_cascade.lowering.prepared import Prepared
from einsum_cascade.study.preparation import prepare

__all__ = ["MATRIX_PRODUCT", "SCALED", "cases", "draw_case", "prepared", "scaled"]

MATRIX_PRODUCT = parse(PRODUCT)
_WINDOW = SOFTMAX.replace("rank E, M, P", "rank E, M, P, W").replace("K[e, m])", "K[e, m]) where p < m + W and m <= p")
_OWN = {"product": MATRIX_PRODUCT, "scores": parse(SOFTMAX), "scores-window": parse(_WINDOW)}
_OTHERS = "product", "softmax", "scores", "scores-window"


def cases(n: int) -> Iterator[tuple[str, dict[str, int]]]:
    """Yield cascades of every kind: plain, ragged, masked, grouped, decode, a product; none is longer than needed."""
    yield "attention-1pass", {"E": 7, "F": 9, "M": 5 * n + 1, "P": 2 * n + 3, "M0": n}
    yield "attention-1pass-causal", {"E": 8, "F": 8, "M": 4 * n + 1, "P": 4 * n + 2, "M0": n}
    yield "attention-1pass-window", {"E": 8, "F": 8, "M": 6 * n, "P": 5 * n + 1, "M0": n, "W": n + 2}
    yield "attention-1pass-gqa", {"B": 2, "G": 1, "R": 2, "E": 8, "F": 5, "M": 3 * n - 1, "P": n + 1, "M0": n}
    yield "attention-1pass", {"E": 8, "F": 8, "M": 5 * n, "P": 1, "M0": n}
    yield "attention-1pass", {"E": 3, "F": 16, "M": 1, "P": 3 * n, "M0": n}
    yield "product", {"M": 3 * n + 1, "N": 2 * n + 3, "K": 11}
    yield "attention-deferred-causal", {"E": 8, "F": 5, "M": 3 * n + 1, "P": 2 * n + 3}
    yield "attention-deferred-gqa", {"B": 1, "G": 2, "R": 2, "E": 8, "F": 9, "M": 2 * n - 1, "P": n + 1}
    yield "softmax", {"M": 2 * n + 3, "P": 3 * n + 1}
    yield "softmax", {"M": n - 1, "P": n - 1}
    yield "scores", {"E": 6, "M": 3 * n + 1, "P": 2 * n + 3}


def draw_case(random: Random, n: int) -> tuple[str, dict[str, int]]:
    """Draw a cascade and its extents; of those with a mask, later queries may have no key."""
    masks = "", "-causal", "-window"
    running = [f"attention-1pass{mask}" for mask in masks]
    name = random.choice([*running, random.choice(["attention-deferred" + mask for mask in masks]), *_OTHERS])
    sizes = {"M": random.randint(1, 5 * n), "P": random.randint(1, 4 * n)}
    match name:
        case "softmax":
            return name, sizes
        case "scores" | "scores-window":
            window = {"W": random.randint(1, 2 * n)} if name.endswith("window") else {}
            return name, {"E": random.randint(1, 20), **sizes} | window
        case "product":
            return name, {"M": sizes["M"], "N": sizes["P"], "K": random.randint(1, 20)}
        case _:
            extents = {"E": random.randint(1, 20), "F": random.randint(1, 20), **sizes}
    extents |= {"M0": n} if name in running else {}
    return name, extents | ({"W": random.randint(1, 2 * n)} if name.endswith("window") else {})


def prepared(name: str, extents: dict[str, int], architecture: str, numbers: Numbers | None = None) -> Prepared:
    """Return a case ready to run."""
    cascade = _OWN[name] if name in _OWN else zoo.load(name)
    return prepare(cascade, load_architecture(architecture), resolve_extents(cascade, extents), numbers)


SCALED = {
    "attention-1pass-causal": ("= Q[e, p] * BK[e, m1, m0]", "= {} * Q[e, p] * BK[e, m1, m0]"),
    "attention-deferred": ("= Q[e, p] * K[e, m]", "= Q[e, p] * K[e, m] * {}"),
    "scores": ("exp(QK[m, p] - GM[p])", "exp((QK[m, p] - GM[p]) * {})"),
    "softmax": ("exp(X[m, p] - GM[p])", "exp({} * X[m, p] - GM[p] * {})"),
}
"""Cascades whose scores may be multiplied, and what is written for it, once in every kernel with maxima."""


def scaled(
    name: str, scale: float, architecture: str, extents: dict[str, int], numbers: Numbers | None = None
) -> Prepared:
    """Return a case ready to run whose scores are multiplied; of the extents, those that it has."""
    old, new = SCALED[name]
    text = str(_OWN[name] if name in _OWN else zoo.load(name))
    assert text.count(old) == 1, text
    cascade = parse(text.replace(old, new.replace("{}", repr(scale))))
    own = {rank: extents[rank] for rank in cascade.free_ranks}
    return prepare(cascade, load_architecture(architecture), resolve_extents(cascade, own), numbers)
