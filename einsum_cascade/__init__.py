"""Attention algorithms as cascades of Einsums: what any implementation must do, and what machines make of it.

Examples
--------
A cascade of one's own, and what any implementation of it must do:

>>> from einsum_cascade import cascade
>>> @cascade
... def norm(c, M, P):
...     m, p = c.ranks(m=M, p=P)
...     X = c.input("X", m, p)
...     c.S[p] = X[m, p].sum(m)
...     c.Y[m, p] = X[m, p] / c.S[p]
...     return c.Y
>>> from einsum_cascade import study
>>> study(norm).bounds().of("X", "M").count
2

One of the zoo on a machine; `compare`, `schedule`, `simulate` and `write_rtl` work alike:

>>> import einsum_cascade as ec
>>> found = ec.study(ec.zoo["attention-1pass"], ec.architecture("fusemax-8x8"), E=64, F=64, M=1024, P=256)
>>> found.cost().cycles
561241

"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from einsum_cascade.version import __version__

if TYPE_CHECKING:
    from einsum_cascade import zoo
    from einsum_cascade.analysis.bounds import Bounds, analyse
    from einsum_cascade.analysis.passes import passes
    from einsum_cascade.arch.ir import Architecture
    from einsum_cascade.arch.presets import load_architecture
    from einsum_cascade.arch.presets import load_architecture as architecture
    from einsum_cascade.cascade import parse
    from einsum_cascade.cascade.builder import CascadeBuilder, cascade, where
    from einsum_cascade.cascade.extents import resolve_extents
    from einsum_cascade.cascade.functions import operator
    from einsum_cascade.cascade.ir import Cascade
    from einsum_cascade.formats import Format
    from einsum_cascade.interpreter import evaluate, random_inputs
    from einsum_cascade.study.door import ArrayOptions, Study, study

__all__ = [
    "Architecture",
    "ArrayOptions",
    "Bounds",
    "Cascade",
    "CascadeBuilder",
    "Format",
    "Study",
    "__version__",
    "analyse",
    "architecture",
    "cascade",
    "evaluate",
    "load_architecture",
    "operator",
    "parse",
    "passes",
    "random_inputs",
    "resolve_extents",
    "study",
    "where",
    "zoo",
]

_HOMES = {
    "Architecture": "arch.ir",
    "ArrayOptions": "study.door",
    "Bounds": "analysis.bounds",
    "Cascade": "cascade.ir",
    "CascadeBuilder": "cascade.builder",
    "Format": "formats",
    "Study": "study.door",
    "analyse": "analysis.bounds",
    "evaluate": "interpreter",
    "load_architecture": "arch.presets",
    "operator": "cascade.functions",
    "parse": "cascade",
    "passes": "analysis.passes",
    "random_inputs": "interpreter",
    "resolve_extents": "cascade.extents",
    "where": "cascade.builder",
}
"""The modules of the public names; the operators of the registry are in `cascade.functions`."""

_MODULES = "cascade", "study", "zoo"
"""Public names that are modules which can be called, or asked for a name, themselves."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that importing the package costs nothing."""
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name == "architecture":
        return import_module(f"{__name__}.arch.presets").load_architecture
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    if not name.startswith("_") and name in _operators():
        return getattr(import_module(f"{__name__}.cascade.functions"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names, imported or not, those of the operators as well."""
    return sorted((*__all__, *_operators()))


def _operators() -> dict[str, str]:
    return import_module(f"{__name__}.cascade.functions").names()
