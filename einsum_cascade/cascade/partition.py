"""Partitions of ranks: extents written over free ranks, and indices that count through tiles."""

from collections.abc import Mapping

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.extent import ONE, Extent, symbol
from einsum_cascade.cascade.ir import Rank

__all__ = ["definition", "expanded", "partition_of"]


def expanded(extent: Extent, ranks: Mapping[str, Rank]) -> Extent:
    """Write an extent over free ranks: defaults and aliases replaced by what they stand for."""
    values = {name: definition(ranks[name]) for name in extent.names if name in ranks}
    known = {name: value for name, value in values.items() if value != symbol(name)}
    return expanded(extent.substitute(known), ranks) if known else extent


def definition(rank: Rank) -> Extent:
    """Return what a rank's extent is made of: its default, the rank it is an alias of, or itself."""
    return symbol(rank.alias_of or rank.name) if rank.extent is None else rank.extent


def partition_of(index: Affine, rank_of: Mapping[str, str], ranks: Mapping[str, Rank]) -> tuple[str, ...] | None:
    """Return the variables, outermost first, if an index counts through tiles (`m1*M0 + m0`); otherwise None.

    The innermost variable has coefficient 1, and every other one the product of the extents further in.
    """
    if len(index.terms) < 2 or index.offset:
        return None
    found: list[str] = []
    stride, rest = ONE, dict(index.terms)
    while rest:
        wanted = expanded(stride, ranks)
        name = next((name for name, c in rest.items() if expanded(c, ranks) == wanted), None)
        if name is None:
            return None
        del rest[name]
        found.insert(0, name)
        stride *= symbol(rank_of[name])
    return tuple(found)
