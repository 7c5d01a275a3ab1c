"""Every rule is broken once, by hand, in a schedule of a graph that has all of them."""

import dataclasses

import pytest

from einsum_cascade.schedule.graph import Context, Dependence, Hold, OperationGraph, Resource, TileOperation
from einsum_cascade.schedule.ir import Placement, Schedule
from einsum_cascade.schedule.modulo import modulo_schedule
from einsum_cascade.schedule.operation import Cycles
from einsum_cascade.schedule.replay import check_schedule

GRAPH = OperationGraph(
    (Resource("A"), Resource("B"), Resource("words", 8)),
    (
        TileOperation("x", "A", 3, holds=(Hold("words", 4),)),
        TileOperation("y", "B", 2),
        TileOperation("p", "B", slots=4, spacing=2),
        TileOperation("q", "A", slots=4),
    ),
    (
        Dependence("x", "y", 1),
        Dependence("y", "x", 1, 1),
        Dependence("p", "q", 1, 0, "stream"),
        Dependence("x", "q", 0, 1, "stream"),
    ),
    (Context("score", 2, "x", ("y",)),),
)
# x takes A at 0..2 and q at 3..7 where p lets it, 2 apart; y follows at 4; p fits into B around y.
LEGAL: dict[str, tuple[Cycles, ...]] = {"x": (0,), "y": (4,), "p": (1, 3, 6, 8), "q": (4, 5, 7, 9)}


def scheduled(interval: Cycles = 12, **starts: tuple[Cycles, ...]) -> Schedule:
    placements = tuple(Placement(name, own) for name, own in {**LEGAL, **starts}.items())
    return dataclasses.replace(modulo_schedule(GRAPH), interval=interval, placements=placements)


def test_a_legal_schedule() -> None:
    assert check_schedule(GRAPH, scheduled()) == ()


@pytest.mark.parametrize(
    ("schedule", "messages"),
    [
        (scheduled(q=(4, 5, 7)), ["Operation 'q' must have 4 starts, not 3."]),
        (scheduled(p=(1, 2, 6, 8)), ["Slots of 'p' must be 2 cycles apart, but start at 1 and 2."]),
        (scheduled(z=(0,)), ["Operation 'z' must be both in the graph and in the schedule."]),
        (scheduled(0), ["The interval must be above 0, not 0."]),
        (scheduled(q=(2, 5, 7, 9), p=(0, 2, 6, 8)), ["Resource 'A' must have 2 units in cycle 2, but has 1."]),
        (scheduled(p=(1, 3, 5, 8)), ["Resource 'B' must have 2 units in cycle 5, but has 1."]),
        (
            scheduled(y=(3,), p=(1, 6, 8, 10), q=(4, 7, 9, 11)),
            ["The start of 'y' in tile 0 must not be before cycle 4, because of 'x' in tile 0, but is at 3."],
        ),
        (
            scheduled(q=(4, 5, 6, 9)),
            ["Slot 2 of 'q' in tile 0 must not be before cycle 7, because of 'p' in tile 0, but is at 6."],
        ),
        (
            scheduled(y=(11,)),
            ["The start of 'x' in tile 1 must not be before cycle 14, because of 'y' in tile 0, but is at 12."],
        ),
        (
            scheduled(13, y=(30,)),
            [
                "Buffer 'words' must hold 12 units in cycle 26, but has 8.",
                "The start of 'x' in tile 1 must not be before cycle 33, because of 'y' in tile 0, but is at 13.",
                "Context 'score' must have 3 copies in cycle 26, but has 2.",
            ],
        ),
    ],
)
def test_a_broken_rule_is_reported(schedule: Schedule, messages: list[str]) -> None:
    assert [str(violation) for violation in check_schedule(GRAPH, schedule)] == messages


def test_a_collision_of_tiles_far_apart_is_found() -> None:
    """Use of A at 0 and at 30 by the same operation, interval 10: tiles 0 and 3 meet."""
    operations = TileOperation("x", "A"), TileOperation("y", "A")
    graph = OperationGraph((Resource("A"),), operations)
    schedule = dataclasses.replace(
        modulo_schedule(graph), interval=10, placements=(Placement("x", (0,)), Placement("y", (30,)))
    )
    (violation,) = check_schedule(graph, schedule)
    assert (violation.kind, violation.subject, violation.tile, violation.cycle) == ("resource", "A", 3, 30)
    assert check_schedule(graph, schedule, tiles=3) == ()
