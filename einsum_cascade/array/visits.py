"""The order in which query tiles go over blocks of keys: head of keys, block, query head of the group, query tile.

A visit is a query tile with the key tiles that it has in a block. Where all keys of a head are one block, these are all
that the query tile has.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import overload

__all__ = ["KeyBlock", "Visit", "Visits"]


@dataclass(frozen=True, slots=True)
class KeyBlock:
    """Key tiles next to each other, and the query tiles that have one of them.

    Parameters
    ----------
    keys, queries
        Their numbers.

    """

    keys: range
    queries: range

    def part_of(self, keys: range) -> range:
        """Return those of some key tiles, which are next to each other, that are in the block."""
        return range(max(keys.start, self.keys.start), min(keys.stop, self.keys.stop))


@dataclass(frozen=True, slots=True)
class Visit:
    """A query tile in a block of keys.

    Parameters
    ----------
    key_head, head
        Head of keys, and head of queries.
    query_tile
        Which.
    keys
        Its key tiles in the block.
    block
        The key tiles of the block.
    is_resumed, is_continued
        Whether the query tile has key tiles in an earlier block, or in a later one.
    ends_block
        Whether no other visit of the head is in the block.

    """

    key_head: int
    head: int
    query_tile: int
    keys: range
    block: range
    is_resumed: bool
    is_continued: bool
    ends_block: bool


class Visits(Sequence[Visit]):
    """All visits of a program, in order of execution, each found without those before it.

    Parameters
    ----------
    blocks
        Of a head of keys, in order.
    keys_of
        The key tiles of a query tile, which are next to each other.
    key_heads, group
        Heads of keys, and query heads for each.

    """

    def __init__(self, blocks: Sequence[KeyBlock], keys_of: Callable[[int], range], key_heads: int, group: int) -> None:
        """Count the visits before each block."""
        self._blocks, self._keys_of, self._key_heads, self._group = blocks, keys_of, key_heads, group
        self._starts = [*accumulate((group * len(block.queries) for block in blocks), initial=0)]
        # Of each block, those that go on are its first ones; the block before has them, too.
        before = [blocks[0].queries.start, *(block.queries.stop for block in blocks[:-1])]
        self._common = [max(0, end - block.queries.start) for end, block in zip(before, blocks, strict=True)]
        self._resumed = [*accumulate((group * count for count in self._common), initial=0)]

    def __len__(self) -> int:
        """Return how many there are."""
        return self._key_heads * self._starts[-1]

    @property
    def resumed_count(self) -> int:
        """How many visits go on with a query tile."""
        return self._key_heads * self._resumed[-1]

    def resumed(self, ordinal: int) -> int:
        """Return the number of a visit that goes on with a query tile, counted from 0 among those that do."""
        key_head, within = divmod(ordinal, self._resumed[-1])
        at = bisect_right(self._resumed, within) - 1
        member, place = divmod(within - self._resumed[at], self._common[at])
        return key_head * self._starts[-1] + self._starts[at] + member * len(self._blocks[at].queries) + place

    @overload
    def __getitem__(self, number: int) -> Visit: ...
    @overload
    def __getitem__(self, number: slice) -> list[Visit]: ...
    def __getitem__(self, number: int | slice) -> Visit | list[Visit]:
        """Return a visit by its number, from 0."""
        if isinstance(number, slice):
            return [self._visit(each) for each in range(*number.indices(len(self)))]
        if not 0 <= number < len(self):
            raise IndexError(f"a program has visits 0 to {len(self) - 1}, not {number}")
        return self._visit(number)

    def _visit(self, number: int) -> Visit:
        key_head, within = divmod(number, self._starts[-1])
        at = bisect_right(self._starts, within) - 1
        block = self._blocks[at]
        member, place = divmod(within - self._starts[at], len(block.queries))
        query_tile = block.queries[place]
        own = self._keys_of(query_tile)
        keys = block.part_of(own)
        return Visit(
            key_head,
            key_head * self._group + member,
            query_tile,
            keys,
            block.keys,
            is_resumed=keys.start > own.start,
            is_continued=keys.stop < own.stop,
            ends_block=within + 1 == self._starts[at + 1],
        )
