"""The zoo: attention algorithms and their neighbours as cascades, each from its paper.

This module holds the list only. A family is imported, and its cascades checked, when one of them is loaded. It is a
mapping itself: `zoo["attention-1pass"]` is a cascade, and walking over `zoo` gives the names.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from einsum_cascade.cascade.ir import Cascade
from einsum_cascade.wording import did_you_mean

__all__ = ["Entry", "entries", "load", "names"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the list.

    Parameters
    ----------
    name
        What `load` takes.
    title
        What it computes, and how.
    citation
        Where it is from.
    source
        The module of this package and the name in it, joined by a colon.

    """

    name: str
    title: str
    citation: str
    source: str


def _family(module: str, citation: str, titles: dict[str, str]) -> tuple[Entry, ...]:
    return tuple(
        Entry(name, title, citation, f"einsum_cascade.zoo.{module}:{name.replace('-', '_')}")
        for name, title in titles.items()
    )


def _forms(module: str, citation: str, suffix: str, setting: str) -> tuple[Entry, ...]:
    """List the four forms of softmax attention in one setting."""
    forms = {
        "": "three passes",
        "-deferred": "division deferred, two passes",
        "-2pass": "maxima per tile, two passes",
        "-1pass": "running maxima, one pass",
    }
    titles = {f"attention{form}{suffix}": f"{setting}, {title}" for form, title in forms.items()}
    return _family(module, citation, titles)


_ENTRIES: tuple[Entry, ...] = (
    *_family(
        "pedagogical",
        "FuseMax, arXiv 2406.10491, Cascades 1 to 3",
        {
            "pedagogical-2pass": "dot product times sum, two passes",
            "pedagogical-deferred": "dot product times sum, multiplied last, one pass",
            "pedagogical-iterative": "dot product times sum, corrected as it runs, one pass",
        },
    ),
    *_family(
        "attention",
        "FuseMax, arXiv 2406.10491, Cascade 4",
        {
            "attention": "softmax attention, three passes",
            "attention-deferred": "softmax attention, division deferred, two passes",
            "attention-lse": "softmax attention with its log-sum-exp, three passes",
        },
    ),
    *_family(
        "tiled_attention",
        "FuseMax, arXiv 2406.10491, Cascade 5; FlashAttention-2, arXiv 2307.08691",
        {
            "attention-2pass": "softmax attention, maxima per tile, two passes",
            "attention-1pass": "softmax attention, running maxima, one pass",
            "attention-1pass-lse": "softmax attention with its log-sum-exp, running maxima, one pass",
        },
    ),
    *_forms("self_attention", "arXiv 1706.03762, Section 3.2.2", "-self", "self-attention"),
    *_forms("causal_attention", "arXiv 1706.03762, Section 3.2.3", "-causal", "causal attention"),
    *_forms("window_attention", "Longformer, arXiv 2004.05150, Section 3.1", "-window", "sliding-window attention"),
    *_forms("grouped_query_attention", "GQA, arXiv 2305.13245, Section 2.2", "-gqa", "grouped-query attention"),
    *_family(
        "linear_attention",
        "Katharopoulos et al., arXiv 2006.16236",
        {
            "attention-linear": "linear attention, one pass",
            "attention-linear-causal": "linear attention as a recurrence over the tokens, one pass",
        },
    ),
    *_family(
        "sigmoid_attention",
        "Ramapuram et al., arXiv 2409.04431",
        {"attention-sigmoid": "sigmoid in place of softmax, one pass"},
    ),
    *_family(
        "aaren",
        "Feng et al., arXiv 2405.13956",
        {"attention-aaren": "one query, an output at every prefix, one pass"},
    ),
    *_family("normalization", "FuseMax, arXiv 2406.10491, Cascade 4", {"softmax": "stable softmax, three passes"}),
    *_family(
        "normalization",
        "Ba et al., arXiv 1607.06450",
        {
            "layernorm": "layer normalisation, three passes",
            "layernorm-matmul": "layer normalisation and the projection that reads it, three passes",
        },
    ),
    *_family(
        "normalization",
        "Zhang and Sennrich, arXiv 1910.07467",
        {"rmsnorm": "root mean square normalisation, two passes"},
    ),
)


def entries() -> tuple[Entry, ...]:
    """Return the list, family by family."""
    return _ENTRIES


def names() -> tuple[str, ...]:
    """Return the names that `load` takes, family by family.

    Examples
    --------
    >>> "attention-1pass" in names()
    True

    """
    return tuple(entry.name for entry in _ENTRIES)


def load(name: str) -> Cascade:
    """Return the cascade of a name.

    Raises
    ------
    ValueError
        No cascade of the zoo has that name.

    Examples
    --------
    >>> load("softmax").outputs
    ('A',)

    """
    entry = next((entry for entry in _ENTRIES if entry.name == name), None)
    if entry is None:
        raise ValueError(f"cascade {name!r} must be in the zoo, but is not{did_you_mean(name, names(), most=3)}")
    module, attribute = entry.source.split(":")
    cascade = getattr(import_module(module), attribute)
    assert isinstance(cascade, Cascade)
    return cascade


class _Library(ModuleType):
    def __getitem__(self, name: str) -> Cascade:
        return load(name)

    def __iter__(self) -> Iterator[str]:
        return iter(names())

    def __len__(self) -> int:
        return len(_ENTRIES)

    def __contains__(self, name: object) -> bool:
        return name in names()


sys.modules[__name__].__class__ = _Library
