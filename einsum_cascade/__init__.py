"""Attention algorithms as cascades of Einsums: what any implementation must do, proved before any hardware is chosen.

Examples
--------
>>> from einsum_cascade import analyse, cascade
>>> @cascade
... def norm(c, M, P):
...     m, p = c.ranks(m=M, p=P)
...     X = c.input("X", m, p)
...     c.S[p] = X[m, p].sum(m)
...     c.Y[m, p] = X[m, p] / c.S[p]
...     return c.Y
>>> analyse(norm).of("X", "M").count
2

"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from einsum_cascade.analysis.bounds import Bounds, analyse
    from einsum_cascade.analysis.passes import passes
    from einsum_cascade.arch.ir import Architecture
    from einsum_cascade.arch.presets import load_architecture
    from einsum_cascade.cascade import parse
    from einsum_cascade.cascade.builder import CascadeBuilder, cascade, where
    from einsum_cascade.cascade.extents import resolve_extents
    from einsum_cascade.cascade.functions import (
        absolute,
        clamp,
        cos,
        exp,
        expsub,
        floor,
        gelu,
        log,
        maximum,
        minimum,
        operator,
        relu,
        rsqrt,
        select,
        sigmoid,
        sin,
        sqrt,
        square,
        tanh,
    )
    from einsum_cascade.cascade.ir import Cascade
    from einsum_cascade.formats import Format
    from einsum_cascade.interpreter import evaluate, random_inputs

__all__ = [
    "Architecture",
    "Bounds",
    "Cascade",
    "CascadeBuilder",
    "Format",
    "__version__",
    "absolute",
    "analyse",
    "cascade",
    "clamp",
    "cos",
    "evaluate",
    "exp",
    "expsub",
    "floor",
    "gelu",
    "load_architecture",
    "log",
    "maximum",
    "minimum",
    "operator",
    "parse",
    "passes",
    "random_inputs",
    "relu",
    "resolve_extents",
    "rsqrt",
    "select",
    "sigmoid",
    "sin",
    "sqrt",
    "square",
    "tanh",
    "where",
]

__version__ = "0.1.0"

_HOMES = {
    "Architecture": "arch.ir",
    "Bounds": "analysis.bounds",
    "Cascade": "cascade.ir",
    "CascadeBuilder": "cascade.builder",
    "Format": "formats",
    "analyse": "analysis.bounds",
    "evaluate": "interpreter",
    "load_architecture": "arch.presets",
    "parse": "cascade",
    "passes": "analysis.passes",
    "random_inputs": "interpreter",
    "resolve_extents": "cascade.extents",
    "where": "cascade.builder",
}
"""The modules of the public names; those not listed are operators, in `cascade.functions`."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that importing the package costs nothing."""
    if name == "cascade":
        return import_module("einsum_cascade.cascade")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'cascade.functions')}"), name)


def __dir__() -> list[str]:
    """Return the public names, imported or not."""
    return sorted(__all__)
