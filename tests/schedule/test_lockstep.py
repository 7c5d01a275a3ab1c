from fractions import Fraction

import pytest
from attention_tile import attention_tile, slot_tile

from einsum_cascade.errors import ScheduleError
from einsum_cascade.schedule.graph import Context, Dependence, OperationGraph, Resource, TileOperation, Use
from einsum_cascade.schedule.lockstep import lockstep_schedule
from einsum_cascade.schedule.replay import check_schedule

A, B = Resource("A"), Resource("B")
X, Y = TileOperation("x", "A", 3), TileOperation("y", "B", 2)
PUBLISHED = (("QK", "LM", "RD", "RNV", "AV"), ("RM",), ("SLN", "SLD", "PRM", "SPD"), ("SLNV", "SPNV"))


@pytest.mark.parametrize(("e", "f", "m1"), [(64, 64, 4), (64, 64, 7), (128, 64, 4), (64, 128, 16), (80, 80, 2)])
def test_the_published_binding(e: int, f: int, m1: int) -> None:
    """Source: FuseMax's evaluation: max(QK+LM, RD+RNV+AV) + RM + max(SLN+SLD, PRM+SPD) + max(SLNV, SPNV)."""
    graph = attention_tile(e, f, m1)
    found = lockstep_schedule(graph, PUBLISHED)
    av = Fraction(f, m1)
    assert found.interval == max(e + 1, 1 + f + av) + 1 + max(7 + 1, 7 + 1) + max(f, f)
    assert [stage.cycles for stage in found.stages] == [max(e + 1, 1 + f + av), 1, 8, f]
    assert {staged.operation for stage in found.stages for staged in stage.operations if staged.lag} == {
        "RD",
        "RNV",
        "AV",
    }
    assert (found.proof, found.lag) == ("given", 1)
    assert check_schedule(graph, found.schedule) == ()


@pytest.mark.parametrize("m1", [2, 4, 16])
def test_the_search_finds_the_published_interval(m1: int) -> None:
    """E = F: E + F + 9 + 1 + F / M1, 154 at 64 and M1 = 4. The vector array never waits, so nothing is shorter."""
    graph = attention_tile(64, 64, m1)
    found = lockstep_schedule(graph)
    assert found.interval == 138 + Fraction(64, m1)
    assert (found.proof, found.lag, found.lost_cycles) == ("bound", 1, 0)
    assert check_schedule(graph, found.schedule) == ()


def test_the_search_finds_better_than_published_where_e_is_not_f() -> None:
    """E = 128, F = 64: the published stages take 129 + 1 + 8 + 64, the 2D array alone 128 + 64 + 9."""
    graph = attention_tile(128, 64, 4)
    assert lockstep_schedule(graph, PUBLISHED).interval == 202
    found = lockstep_schedule(graph)
    assert (found.interval, found.proof, found.schedule.resource_bound.resource) == (201, "bound", "2D")


def test_one_tile_at_a_time() -> None:
    """The longest way: QK 64, LM 1, RM 1, SLN + SLD or PRM + SPD 8, SLNV or SPNV 64, RD 1, RNV 64, AV 16."""
    graph = attention_tile(64, 64, 4)
    found = lockstep_schedule(graph, tiles_in_flight=1)
    assert (found.interval, found.proof, found.lag) == (64 + 1 + 1 + 8 + 64 + 1 + 64 + 16, "exhausted", 0)
    assert found.schedule.tiles_in_flight == 1
    assert found.cycles(10) == 10 * found.interval


def test_a_stage_waits_for_its_slowest_engine() -> None:
    """x (3 on A) and z (1 on A) beside y (2 on B) of the tile before: 4 together, 3 + 2 + 1 one after the other."""
    graph = OperationGraph((A, B), (X, Y, TileOperation("z", "A", 1)), (Dependence("x", "y"),))
    found = lockstep_schedule(graph, [["x", "y", "z"]])
    assert (found.interval, found.lag) == (4, 1)
    assert lockstep_schedule(graph, [["x"], ["y"], ["z"]]).interval == 6


def test_a_stream_shares_a_stage() -> None:
    """y follows x within the stage, so it ends when x does, and nothing of another tile is needed."""
    graph = OperationGraph((A, B), (X, Y), (Dependence("x", "y", kind="stream"),))
    found = lockstep_schedule(graph, tiles_in_flight=1)
    assert (found.interval, found.lag) == (3, 0)
    assert (found.schedule.starts("x"), found.schedule.starts("y")) == ((0,), (1,))


def test_a_recurrence_between_engines_is_not_hidden() -> None:
    """x on A, y on B, and x needs y of the tile before: 5 cycles whatever the stages."""
    graph = OperationGraph((A, B), (X, Y), (Dependence("x", "y"), Dependence("y", "x", 0, 1)))
    found = lockstep_schedule(graph)
    assert (found.interval, found.proof) == (5, "bound")
    with pytest.raises(ScheduleError, match=r"^The stages must let every tile follow .*, but x, y wait .*\.$"):
        lockstep_schedule(graph, [["x", "y"]])


@pytest.mark.parametrize(("distance", "interval"), [(1, 9), (2, 6), (3, 3)])
def test_a_recurrence_over_several_tiles(distance: int, interval: int) -> None:
    """x, y, z of 3 cycles on engines of their own, one after the other, and x needs z of some tiles earlier.

    Of one tile earlier, all of a tile is done before the next begins. Of two, z of the tile before runs beside x, and y
    alone. Of three, z works two tiles behind x and y one, all together.
    """
    engines = tuple(Resource(name) for name in "ABC")
    operations = tuple(TileOperation(name, on.name, 3) for name, on in zip("xyz", engines, strict=True))
    edges = Dependence("x", "y"), Dependence("y", "z"), Dependence("z", "x", 0, distance)
    graph = OperationGraph(engines, operations, edges)
    found = lockstep_schedule(graph)
    assert (found.interval, found.lag) == (interval, distance - 1)
    assert check_schedule(graph, found.schedule) == ()


@pytest.mark.parametrize(
    ("stages", "sentence"),
    [
        ([["x"]], r"The stages must name every operation of the graph once, which does not hold for y; name .*\."),
        ([["x"], ["x", "y"]], r"The stages must name every operation .* hold for x; name each in the stage .*\."),
        ([["x", "y", "z"]], r"The stages must name every operation .* hold for z; name each in the stage .*\."),
    ],
)
def test_wrong_stages_are_refused(stages: list[list[str]], sentence: str) -> None:
    with pytest.raises(ScheduleError, match=f"^{sentence}$"):
        lockstep_schedule(OperationGraph((A, B), (X, Y)), stages)


def test_given_stages_keep_to_the_limit_of_tiles() -> None:
    graph = OperationGraph((A, B), (X, Y), (Dependence("x", "y"),))
    with pytest.raises(ScheduleError, match=r"^The given stages must work on at most 1 tiles .*, but need 2; .*\.$"):
        lockstep_schedule(graph, [["x", "y"]], tiles_in_flight=1)
    with pytest.raises(ValueError, match=r"^tiles_in_flight must be at least 1, not 0$"):
        lockstep_schedule(graph, tiles_in_flight=0)


def test_a_search_that_is_cut_off_claims_nothing() -> None:
    """Fourteen operations in a row on two engines in turn: the bound needs fourteen tiles in flight, not two."""
    operations = tuple(TileOperation(f"o{at}", "AB"[at % 2], 1 + at % 3) for at in range(14))
    edges = tuple(Dependence(f"o{at}", f"o{at + 1}") for at in range(13))
    found = lockstep_schedule(OperationGraph((A, B), operations, edges), tiles_in_flight=2, effort=40)
    assert found.proof == "open"
    assert check_schedule(found.schedule.graph, found.schedule) == ()


@pytest.mark.parametrize(
    ("graph", "sentence"),
    [
        (
            slot_tile(8, 8, 4, 1, 2),
            r"Lock-step operations must be blocks on one engine, but 'QK' is a chain of 8",
        ),
        (slot_tile(8, 8, 4, 1, 2), r"Lock-step must not be limited by contexts, but 'score' is given; limit the tiles"),
        (
            OperationGraph((A,), (TileOperation("x"),)),
            r"Lock-step operations must be .*, but 'x' has no resource; use",
        ),
        (
            OperationGraph((A, B), (TileOperation("x", "A", uses=(Use("B"),)),)),
            r"Lock-step operations must be blocks .*, but 'x' takes or holds further resources; use",
        ),
        (
            OperationGraph((Resource("A", 2),), (X,)),
            r"Lock-step engines must do one block at a time, but 'A' has capacity 2; use the modulo scheduler\.",
        ),
        (
            OperationGraph((A, B), (X, Y), (Dependence("x", "y", 4),)),
            r"Lock-step dependences must have latency 0, but that of 'y' on 'x' has 4; add it to a duration\.",
        ),
        (
            OperationGraph((A,), (X,), (), (Context("score", 1, "x", ("x",)),)),
            r"Lock-step must not be limited by contexts, but 'score' is given; limit the tiles in flight instead\.",
        ),
    ],
)
def test_what_lockstep_does_not_know_is_refused(graph: OperationGraph, sentence: str) -> None:
    with pytest.raises(ScheduleError, match=f"(?m)^{sentence}"):
        lockstep_schedule(graph)
