"""How long tiles take whose stages a mapping gives: whole stages, from the first one that a tile has to the last.

All engines begin a stage together and wait for the slowest, from the first tile on. Written over counts, so that many
mappings are looked at together: which tile a stage works on does not depend on how long it takes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, reduce
from itertools import accumulate
from typing import Any

import numpy as np

from einsum_cascade.mapping.counts import ceil_div, maximum
from einsum_cascade.schedule.graph import Context, OperationGraph
from einsum_cascade.schedule.lockstep import lockstep_schedule
from einsum_cascade.schedule.lowering import TileGraph

__all__ = ["Staging", "stage_loads", "staging_of"]


@dataclass(frozen=True, slots=True)
class Staging:
    """The stages of a tile.

    Parameters
    ----------
    stage_of
        By operation, its stage, from 0.
    lags
        By operation, how many tiles behind the newest one it is.
    places
        Tensors that are kept for a tile, with the operations that have them.

    """

    stage_of: Mapping[str, int]
    lags: Mapping[str, int]
    places: tuple[Context, ...]

    def turns(self, loads: Sequence[Any]) -> Any:
        """Return after how many periods the next tile begins: more than one where it has to wait for a place.

        Parameters
        ----------
        loads
            Cycles of every stage, of one tile or of all.

        """
        whole, before = sum(loads), [0, *accumulate(loads)]
        found: Any = 1
        for place in self.places:
            last = max(place.released_by, key=self._at)
            begin = self.lags[place.taken_by] * whole + before[self.stage_of[place.taken_by]]
            end = self.lags[last] * whole + before[self.stage_of[last] + 1]
            found = maximum(found, _periods(end - begin, whole * place.count))
        return found

    def latency(self, loads: Sequence[Any]) -> Any:
        """Return the cycles from the first stage of a tile to the end of its last, of one tile or of all."""
        whole, before = sum(loads), [0, *accumulate(loads)]
        first, last = min(self.lags, key=self._at), max(self.lags, key=self._at)
        begin = self.lags[first] * whole + before[self.stage_of[first]]
        return self.lags[last] * whole + before[self.stage_of[last] + 1] - begin

    def total(self, loads: Sequence[Any], tiles: Any) -> Any:
        """Return the cycles of all tiles, given those of every stage of all tiles together."""
        return ceil_div(self.latency(loads) + (tiles - 1) * sum(loads) * self.turns(loads), tiles)

    def _at(self, name: str) -> tuple[int, int]:
        return self.lags[name], self.stage_of[name]


def staging_of(tile: TileGraph) -> Staging:
    """Return the stages that a mapping gives a tile.

    Raises
    ------
    ScheduleError
        They are none of lock-step.

    """
    free = replace(tile.graph, contexts=(), operations=tuple(replace(o, duration=1) for o in tile.graph.operations))
    places = tuple(own for own in tile.graph.contexts if own.name not in tile.graph.resource)
    stage_of = {name: at for at, stage in enumerate(tile.stages) for name in stage}
    return Staging(stage_of, dict(_lags(free, tile.stages)), places)


def _periods(lifetime: Any, period: Any) -> Any:
    """Return how many periods a lifetime takes, begun ones included."""
    if isinstance(period, np.ndarray):
        return -(-lifetime // maximum(period, 1))
    return math.ceil(Fraction(lifetime) / period) if period else 1


@cache
def _lags(graph: OperationGraph, stages: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, int], ...]:
    """Return by operation the tile that it works on, which does not depend on durations."""
    found = lockstep_schedule(graph, stages)
    return tuple((staged.operation, staged.lag) for stage in found.stages for staged in stage.operations)


def stage_loads(tile: TileGraph) -> list[Any]:
    """Return the cycles of every stage of a tile: of the engine with the most to do in it."""
    found: list[Any] = []
    for stage in tile.stages:
        busy: dict[str | None, Any] = {}
        for name in stage:
            operation = tile.graph.operation[name]
            busy[operation.resource] = busy.get(operation.resource, 0) + operation.duration
        found.append(reduce(maximum, busy.values()))
    return found
