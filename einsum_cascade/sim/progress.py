"""How far a program is: how many there have been of all that is counted."""

from dataclasses import dataclass, fields

__all__ = ["Ordinals"]


@dataclass(frozen=True, slots=True)
class Ordinals:
    """How many there are of each, hence the numbers of the next ones.

    Parameters
    ----------
    tiles
        Tiles.
    queries
        Visits of tiles of queries (`array.visits`).
    results
        Tiles of results, or of running state, that leave the lanes.
    resumed, spilt
        Visits that go on with running state, and that leave it behind.

    """

    tiles: int = 0
    queries: int = 0
    results: int = 0
    resumed: int = 0
    spilt: int = 0

    def plus(self, other: "Ordinals") -> "Ordinals":
        """Return the sums.

        Examples
        --------
        >>> Ordinals(3, 1).plus(Ordinals(2, spilt=1))
        Ordinals(tiles=5, queries=1, results=0, resumed=0, spilt=1)

        """
        return Ordinals(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def times(self, count: int) -> "Ordinals":
        """Return so many times as many."""
        return Ordinals(*(count * getattr(self, each.name) for each in fields(self)))
