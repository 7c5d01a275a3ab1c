"""Cascades that the array runs, with any heads, any order of axes, and a filter."""

import numpy as np

__all__ = ["KINDS", "random_kernel"]

_FEATURE = "relu({x}) + exp(min({x}, 0))"
_WEIGHTS = {
    "softmax": ["G{d} = max[m](S{s})", "T{s} = exp(S{s} - G{d})", "D{d} = sum[m](T{s})", "A{s} = T{s} / D{d}"],
    "attention": ["G{d} = max[m](S{s})", "T{s} = exp(S{s} - G{d})", "D{d} = sum[m](T{s})"],
    "sigmoid": ["T{s} = sigmoid(S{s} / 2)"],
    "features": [f"T{{s}} = {_FEATURE.format(x='S{s}')}", "D{d} = sum[m](T{s})"],
    "weighted": [f"T{{s}} = {_FEATURE.format(x='S{s}')}", "D{d} = T{s} * Z{z}"],
}
_COMBINED = "N{n} = T{s} * V{v}"
_DIVIDED = ["N{n} = T{s} * V{v}", "A{n} = N{n} / D{d}"]
_RESULTS = {
    "product": ([], "S"),
    "softmax": ([], "A"),
    "attention": (_DIVIDED, "A"),
    "sigmoid": ([_COMBINED], "N"),
    "features": ([_COMBINED], "N, D"),
    "weighted": (_DIVIDED, "A"),
}
_LINEAR = [
    f"B{{q}} = {_FEATURE.format(x='Q{q}')}",
    f"C{{k}} = {_FEATURE.format(x='K{k}')}",
    "X{x} = C{k} * V{v}",
    "Y{y} = sum[m](C{k})",
    "N{n} = B{q} * X{x}",
    "D{d} = B{q} * Y{y}",
    "A{n} = N{n} / D{d}",
]
KINDS = (*_RESULTS, "linear")


def random_kernel(random: np.random.Generator, kind: str) -> str:
    """Draw a cascade of a kind: heads that queries share with keys, or values only in part, or that only they have."""
    shared, group = ([name for name in names if random.random() < 0.4] for names in ("ab", "gh"))
    some = [name for name in shared if random.random() < 0.7]
    orders = {
        "q": [*shared, *group, "e", "p"],
        "k": [*shared, "e", "m"],
        "v": [*some, "f", "m"],
        "z": [*some, "m"],
        "s": [*shared, *group, "m", "p"],
        "n": [*shared, *group, "f", "p"],
        "d": [*shared, *group, "p"],
        "x": [*shared, "e", "f"],
        "y": [*shared, "e"],
    }
    axes = {name: [str(each) for each in random.permutation(order)] for name, order in orders.items()}
    inputs = {"Q": axes["q"], "K": axes["k"], "V": axes["v"], "Z": axes["z"], "LEN": shared}
    length = f"m < LEN[{', '.join(shared)}]"
    filtered = str(random.choice(["", " where m <= p", f" where {length}", f" where m <= p + 1 and {length}"]))
    if kind == "linear":
        lines, results = _LINEAR, "A"
    else:
        rest, results = _RESULTS[kind]
        lines = [f"S{{s}} = Q{{q}} * K{{k}}{filtered}", *_WEIGHTS.get(kind, []), *rest]
    indexed = {name: f"[{', '.join(order)}]" for name, order in axes.items()}
    body = [line.format(**indexed) for line in lines]
    read = {name: order for name, order in inputs.items() if any(f"{name}[" in line for line in body)}
    declared = (f"{name}[{', '.join(f'{each}:{each.upper()}' for each in order)}]" for name, order in read.items())
    ranks = dict.fromkeys(each.upper() for order in read.values() for each in order)
    return "\n".join([f"rank {', '.join(ranks)}", f"input {', '.join(declared)}", *body, f"output {results}"])
