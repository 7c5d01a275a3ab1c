"""Which partitions have points beyond the end of their rank: of those, the parts are ranges of their own.

The parts of `X[m1*M0 + m0]` run over the coordinates of M together: for what reads or writes by both, the last tile
ends where M does. `Y[m1, m0] = A[m1] * B[m0]` has all points of its last tile.
"""

from collections.abc import Mapping, Set
from functools import lru_cache
from math import prod

from einsum_cascade.analysis.domain import Domain, domains
from einsum_cascade.analysis.facts import Facts
from einsum_cascade.analysis.target import partitions
from einsum_cascade.cascade.affine import Affine, affine_constant, affine_variable
from einsum_cascade.cascade.extent import ONE, ZERO, ceil_div, symbol
from einsum_cascade.cascade.ir import Cascade, Einsum

__all__ = ["overrun_partitions"]


@lru_cache(maxsize=16)
def overrun_partitions(cascade: Cascade) -> frozenset[tuple[str, ...]]:
    """Return the parts, outermost first, of every partition of which some Einsum goes past the end of the rank."""
    found = partitions(cascade)
    if not found:
        return frozenset()
    facts = Facts(cascade)
    parts = [_Partition(facts, ranks, whole) for ranks, whole in found.items()]
    own = tuple(zip(cascade.einsums, domains(facts), strict=True))
    return frozenset(part.ranks for part in parts if not all(part.holds(einsum, domain) for einsum, domain in own))


class _Partition:
    """A rank and its parts, outermost first."""

    def __init__(self, facts: Facts, ranks: tuple[str, ...], whole: str) -> None:
        self.facts, self.ranks, self.whole = facts, ranks, whole

    def holds(self, einsum: Einsum, domain: Domain) -> bool:
        """Tell whether no point of an Einsum is past the end, nor an element that it makes."""
        rank_of = self.facts.cascade.rank_of
        parts = [name for name in einsum.variables if rank_of[name] in self.ranks]
        own = {rank_of[name]: name for name in parts}
        made = own.keys() & {rank_of[name] for name in einsum.left_variables}
        if len(own) < len(parts) or not self._begins_before_end(own.keys()) or not self._begins_before_end(made):
            return False
        return len(own) < len(self.ranks) or self._is_cut(self._index(own), einsum, domain)

    def _begins_before_end(self, ranks: Set[str]) -> bool:
        """Tell whether some parts alone have no coordinate but of tiles that begin before the end."""
        return len(ranks) in (0, len(self.ranks)) or (ranks == {self.ranks[0]} and self._is_outermost_defined)

    @property
    def _is_outermost_defined(self) -> bool:
        """Whether there are as many of the outermost tiles as the rank needs: `rank M1 = M/M0`."""
        tile = prod((symbol(rank) for rank in self.ranks[1:]), start=ONE)
        tiles = self.facts.cascade.rank[self.ranks[0]].extent
        return tiles is not None and self.facts.plain(tiles) == self.facts.plain(ceil_div(symbol(self.whole), tile))

    def _index(self, own: Mapping[str, str]) -> Affine:
        """Return the coordinate of the rank, by the variables of its parts."""
        index, unit = affine_constant(ZERO), ONE
        for rank in reversed(self.ranks):
            index += affine_variable(own[rank]).scaled(unit)
            unit *= symbol(rank)
        return index

    def _is_cut(self, index: Affine, einsum: Einsum, domain: Domain) -> bool:
        """Tell whether the points of an Einsum end with the rank: what it reads or writes by all parts does."""
        dimensions = self.facts.cascade.tensor[einsum.tensor].dimensions
        written = zip(einsum.indices, dimensions, strict=True)
        room = self.facts.plain_affine(affine_constant(symbol(self.whole) - ONE) - index)
        return room in domain.bounds or any(own == index and it.rank == self.whole for own, it in written)
