"""A schedule drawn as text: one line per resource, from the first cycle of the first tile.

The start of the run is drawn, prologue and steady state, then the end of the last tile: the epilogue. A column is a
whole number of cycles; what it shows is the operation that has the most of it.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from einsum_cascade.schedule.ir import Schedule
from einsum_cascade.schedule.lockstep import LockstepSchedule
from einsum_cascade.schedule.operation import Cycles

__all__ = ["to_text"]

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_IDLE = "·"
_OTHER = "+"


def to_text(schedule: Schedule | LockstepSchedule, tiles: int | None = None, width: int = 100) -> str:
    """Draw a run of some tiles.

    Parameters
    ----------
    schedule
        What to draw.
    tiles
        How many tiles the run has; by default two more than are in flight, so that there is a steady state.
    width
        Characters per line, at least 20.

    Returns
    -------
    str
        Lines for the phases, the tiles and the resources, and the legend: an operation is a letter, upper-case where
        its name begins with it and the letter is free. Where a resource has several units, it has as many lines.

    Examples
    --------
    >>> from einsum_cascade.schedule.graph import Dependence, TileOperation, OperationGraph, Resource
    >>> from einsum_cascade.schedule.modulo import modulo_schedule
    >>> load, add = TileOperation("load", "port", 3), TileOperation("add", "adder", 2)
    >>> graph = OperationGraph((Resource("port"), Resource("adder")), (load, add), (Dependence("load", "add"),))
    >>> print(to_text(modulo_schedule(graph), tiles=3, width=60))
    3 tiles, 11 cycles: one every 3, each takes 5; 1 cycle a column
          prologue | steady state, 2 tiles in flight | epilogue
          |--|-----|-
    port  LLLLLLLLL··
    adder ···AA·AA·AA
    <BLANKLINE>
    L load   A add   · idle

    """
    if width < 20:
        raise ValueError(f"width must be at least 20 characters, not {width!r}")
    if isinstance(schedule, LockstepSchedule):
        schedule = schedule.schedule
    tiles = schedule.tiles_in_flight + 2 if tiles is None else tiles
    if tiles < 1:
        raise ValueError(f"tiles must be at least 1, not {tiles!r}")
    return _Drawing(schedule, tiles, width).text()


@dataclass(frozen=True, slots=True)
class _Bar:
    """A use of a resource by an operation."""

    letter: str
    begin: Cycles
    end: Cycles


class _Drawing:
    def __init__(self, schedule: Schedule, tiles: int, width: int) -> None:
        self.schedule, self.tiles = schedule, tiles
        taken = {use.resource for operation in schedule.graph.operations for use in operation.all_uses}
        self.resources = [resource.name for resource in schedule.graph.resources if resource.name in taken]
        self.letters = _letters([operation.name for operation in schedule.graph.operations])
        self.margin = max(map(len, self.resources), default=0) + 1
        self.total = schedule.cycles(tiles)
        self.step = max(1, math.ceil(Fraction(self.total) / max(1, width - self.margin)))
        self.columns = math.ceil(Fraction(self.total) / self.step)

    def text(self) -> str:
        return "\n".join([self._title(), *self._phases(), *self._rows(), "", *self._legend()])

    def _title(self) -> str:
        schedule = self.schedule
        tiles = "1 tile" if self.tiles == 1 else f"{self.tiles} tiles"
        cycles = "1 cycle" if self.step == 1 else f"{self.step} cycles"
        return (
            f"{tiles}, {self.total} cycles: one every {schedule.interval}, "
            f"each takes {schedule.latency_cycles}; {cycles} a column"
        )

    def _phases(self) -> Iterator[str]:
        """Yield what the ruler divides, and the ruler."""
        schedule, indent = self.schedule, " " * self.margin
        if self.tiles < schedule.tiles_in_flight:
            yield indent + "too few tiles for a steady state"
            return
        yield indent + f"prologue | steady state, {schedule.tiles_in_flight} tiles in flight | epilogue"
        ruler = ["-"] * self.columns
        for cycle in (0, schedule.prologue_cycles, self.total - schedule.epilogue_cycles):
            ruler[min(int(cycle // self.step), self.columns - 1)] = "|"
        yield indent + "".join(ruler)

    def _rows(self) -> Iterator[str]:
        for resource in self.resources:
            for number, lane in enumerate(_lanes(self._bars(resource))):
                yield (resource if number == 0 else "").ljust(self.margin) + self._row(lane)

    def _bars(self, resource: str) -> list[_Bar]:
        bars: list[_Bar] = []
        for operation in self.schedule.graph.operations:
            uses = [use for use in operation.all_uses if use.resource == resource and use.duration]
            for start in self.schedule.starts(operation.name):
                for use in uses:
                    for tile in range(self.tiles):
                        begin = start + use.offset + tile * self.schedule.interval
                        bar = _Bar(self.letters[operation.name], begin, begin + use.duration)
                        bars += [bar] * use.amount
        return sorted(bars, key=lambda bar: (bar.begin, bar.end, bar.letter))

    def _row(self, lane: Iterable[_Bar]) -> str:
        shares: list[defaultdict[str, Cycles]] = [defaultdict(int) for _ in range(self.columns)]
        for bar in lane:
            for column in range(
                int(bar.begin // self.step), min(self.columns, math.ceil(Fraction(bar.end) / self.step))
            ):
                left, right = column * self.step, (column + 1) * self.step
                shares[column][bar.letter] += min(bar.end, right) - max(bar.begin, left)
        return "".join(_largest(share) for share in shares)

    def _legend(self) -> Iterator[str]:
        shown = [f"{letter} {name}" for name, letter in self.letters.items()]
        if _OTHER in self.letters.values():
            shown = [entry for entry in shown if not entry.startswith(_OTHER)] + [f"{_OTHER} any other"]
        yield "   ".join([*shown, f"{_IDLE} idle"])


def _largest(share: dict[str, Cycles]) -> str:
    """Return the letter with the most of a column; the first in the alphabet of those that have as much."""
    return min(share, key=lambda letter: (-share[letter], letter)) if share else _IDLE


def _lanes(bars: Iterable[_Bar]) -> list[list[_Bar]]:
    """Divide bars in the order of their begins among as few lanes as possible, so that none overlap in one."""
    lanes: list[list[_Bar]] = []
    for bar in bars:
        free = next((lane for lane in lanes if lane[-1].end <= bar.begin), None)
        if free is None:
            lanes.append([bar])
        else:
            free.append(bar)
    return lanes


def _letters(names: Iterable[str]) -> dict[str, str]:
    """Give every name a letter: one that it contains if any is free."""
    letters: dict[str, str] = {}
    for name in names:
        wanted = [*name.upper(), *name.lower(), *_LETTERS]
        free = (letter for letter in wanted if letter in _LETTERS and letter not in letters.values())
        letters[name] = next(free, _OTHER)
    return letters
