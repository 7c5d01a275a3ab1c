"""Symbols for the extents and the parameters of a mapping, so that what is counted with them is a formula."""

from collections.abc import Mapping

from einsum_cascade.analysis.symbolic import extent_symbol, share_symbol
from einsum_cascade.mapping.counts import Count, evaluated
from einsum_cascade.mapping.ir import Keep, paths
from einsum_cascade.mapping.ir import Mapping as Tree
from einsum_cascade.mapping.workload import Workload

__all__ = ["symbolic_values"]


def symbolic_values(workload: Workload, mapping: Tree, known: Mapping[str, Count] | None = None) -> dict[str, Count]:
    """Return a symbol for every rank and every parameter.

    A rank whose extent follows from others is an expression in them, an alias is its rank, and a parameter that
    follows a rule is a symbol: which number the rule finds depends on all the others.

    Parameters
    ----------
    workload, mapping
        Whose ranks and parameters.
    known
        What has a value already; the others are symbols, or follow from it.

    Examples
    --------
    >>> from einsum_cascade import zoo
    >>> from einsum_cascade.mapping.presets import load_mapping
    >>> symbolic_values(Workload(zoo.load("attention-1pass")), load_mapping("binding"), {"M0": 256})["M1"]
    ceiling(M/256)

    """
    values: dict[str, Count] = dict(known or {})
    for rank in workload.cascade.ranks:
        if rank.name in values:
            continue
        if rank.alias_of is not None:
            values[rank.name] = values[rank.alias_of]
        elif rank.extent is not None and rank.extent.names:
            values[rank.name] = evaluated(rank.extent, values)
        else:
            values[rank.name] = extent_symbol(rank.name)
    shares = {step.share for path, _ in paths(mapping.root) for step in path if isinstance(step, Keep)}
    for name, _ in mapping.parameters:
        values.setdefault(name, share_symbol(name) if name in shares else extent_symbol(name))
    return values
