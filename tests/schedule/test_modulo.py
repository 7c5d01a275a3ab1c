from fractions import Fraction

import pytest
from attention_tile import attention_tile, slot_tile

from einsum_cascade.errors import ScheduleError
from einsum_cascade.schedule import modulo
from einsum_cascade.schedule.graph import Context, Dependence, Hold, OperationGraph, Resource, TileOperation, Use
from einsum_cascade.schedule.modulo import modulo_schedule
from einsum_cascade.schedule.placement import place
from einsum_cascade.schedule.problem import Problem
from einsum_cascade.schedule.replay import check_schedule

A, B = Resource("A"), Resource("B")


def test_two_engines_in_a_row() -> None:
    """Load takes 3 of A, add 2 of B: one tile every 3 cycles, 5 cycles each, so ten take 5 + 9 * 3."""
    graph = OperationGraph((A, B), (TileOperation("x", "A", 3), TileOperation("y", "B", 2)), (Dependence("x", "y"),))
    found = modulo_schedule(graph)
    assert (found.interval, found.proof, found.gap, found.obstacle) == (3, "bound", 0, "")
    assert (found.starts("x"), found.starts("y")) == ((0,), (3,))
    assert (found.latency_cycles, found.tiles_in_flight) == (5, 2)
    assert (found.prologue_cycles, found.epilogue_cycles) == (3, 2)
    assert [found.cycles(tiles) for tiles in (0, 1, 10)] == [0, 5, 32]
    assert found.busy_cycles("A") == 3


def test_the_recurrence_bounds() -> None:
    """x (3) -> y (2) -> x of two tiles later with latency 4: 9 cycles per 2 tiles, so 5 whole ones per tile."""
    edges = (Dependence("x", "y"), Dependence("y", "x", 4, 2))
    found = modulo_schedule(OperationGraph((A, B), (TileOperation("x", "A", 3), TileOperation("y", "B", 2)), edges))
    assert found.recurrence_bound.cycles == Fraction(9, 2)
    assert set(found.recurrence_bound.operations) == {"x", "y"}
    assert (found.resource_bound.cycles, found.resource_bound.resource) == (3, "A")
    assert (found.bound, found.interval, found.proof) == (5, 5, "bound")


def test_an_operation_on_its_own_past() -> None:
    graph = OperationGraph((A,), (TileOperation("x", "A", 2),), (Dependence("x", "x", 1, 1),))
    found = modulo_schedule(graph)
    assert (found.interval, found.recurrence_bound.operations) == (3, ("x",))


def test_an_interval_above_both_bounds_is_proved_by_refuting_all_below() -> None:
    """y starts at least 3 after x and at most 2 * interval - 5: at interval 4 exactly 3, running into the next x.

    Both bounds are 4: A does 2 + 2 cycles, and the cycle takes 3 + 5 for two tiles. At 5, y fits 3 after x.
    """
    edges = (Dependence("x", "y", 1), Dependence("y", "x", 3, 2))
    found = modulo_schedule(OperationGraph((A,), (TileOperation("x", "A", 2), TileOperation("y", "A", 2)), edges))
    assert (found.resource_bound.cycles, found.recurrence_bound.cycles) == (4, 4)
    assert (found.interval, found.proof, found.floor, found.gap) == (5, "exhausted", 5, 0)
    assert found.obstacle == "No order of the operations meets interval 4."


def test_one_after_the_other_is_tried_where_a_stream_ends_early() -> None:
    """x keeps A for 3 cycles, then B for 2; y keeps A for 6, and B in its first.

    In 10 cycles y begins on A 3 or 4 after x, where x has B; in 11, 5 after it. That y, as a stream, need not end
    before x does saves nothing.
    """
    x, y = TileOperation("x", "A", 3, uses=(Use("B", 3, 2),)), TileOperation("y", "A", 6, uses=(Use("B", 0, 1),))
    found = modulo_schedule(OperationGraph((A, B), (x, y), (Dependence("x", "y", 1, 0, "stream"),)))
    assert (found.bound, found.interval, found.proof) == (9, 11, "exhausted")


def test_refuted_intervals() -> None:
    """x takes A now and 2 cycles later: at interval 2 both fall together, so 3, though A is only half used at 4."""
    found = modulo_schedule(OperationGraph((A,), (TileOperation("x", "A", 1, uses=(Use("A", 2),)),)))
    assert (found.bound, found.interval, found.proof, found.floor) == (2, 3, "exhausted", 3)
    assert found.obstacle == "An operation meets itself in another tile at interval 2."


def test_an_interval_without_a_proof_says_so() -> None:
    """The same graph, where the search may not visit a single branch."""
    edges = (Dependence("x", "y", 1), Dependence("y", "x", 3, 2))
    graph = OperationGraph((A,), (TileOperation("x", "A", 2), TileOperation("y", "A", 2)), edges)
    found = modulo_schedule(graph, effort=0)
    assert (found.interval, found.proof, found.floor, found.gap) == (5, "open", 4, 1)
    assert found.obstacle == "Interval 4 was neither met by placing nor refuted by searching."


def test_units_of_a_resource() -> None:
    """Three blocks of 2 on two units: 3 cycles a tile."""
    operations = tuple(TileOperation(name, "A", 2) for name in "xyz")
    assert modulo_schedule(OperationGraph((Resource("A", 2),), operations)).interval == 3


def test_contexts_limit_the_tiles_in_flight() -> None:
    """A tile keeps its context for 3 + 10 + 2 cycles: 15 per tile with one copy, 7.5 hence 8 with two, 3 with five."""
    edges = (Dependence("x", "y", 10),)
    for count, interval in ((1, 15), (2, 8), (5, 3)):
        context = Context("score", count, "x", ("y",))
        graph = OperationGraph((A, B), (TileOperation("x", "A", 3), TileOperation("y", "B", 2)), edges, (context,))
        found = modulo_schedule(graph)
        assert (found.interval, found.proof) == (interval, "bound")
        assert found.lifetime_cycles("score") == 15
        assert found.contexts_needed("score") == count
        assert found.recurrence_bound.contexts == ("score",)


def test_a_buffer_holds_the_tiles_in_flight() -> None:
    """x's result of 4 words is held from its start to y's end, 15 cycles: two at a time need an interval of 8."""
    operations = TileOperation("x", "A", 3, holds=(Hold("words", 4),)), TileOperation("y", "B", 2)
    for capacity, interval in ((20, 3), (8, 8), (4, 15)):
        graph = OperationGraph((A, B, Resource("words", capacity)), operations, (Dependence("x", "y", 10),))
        found = modulo_schedule(graph)
        assert (found.interval, check_schedule(graph, found)) == (interval, ())


def test_a_buffer_that_is_too_small() -> None:
    operations = tuple(TileOperation(name, "A", 3, holds=(Hold("words", 4),)) for name in "xyz")
    edges = (Dependence("x", "z"), Dependence("y", "z"))
    graph = OperationGraph((A, Resource("words", 8)), operations, edges)
    with pytest.raises(ScheduleError, match=r"^Buffer 'words' must hold at most its 8 units, but .* need 12 .*\.$"):
        modulo_schedule(graph)


def test_what_fills_a_buffer_happens_late() -> None:
    """z starts when y ends, at 10, so x may start at 7: its 5 words are held for 4 cycles, and not for 11."""
    operations = (
        TileOperation("x", "A", 3, holds=(Hold("words", 5),)),
        TileOperation("y", None, 10),
        TileOperation("z", "B", 1),
    )
    graph = OperationGraph((A, B, Resource("words", 5)), operations, (Dependence("x", "z"), Dependence("y", "z")))
    found = modulo_schedule(graph)
    assert (found.interval, found.starts("x")) == (4, (7,))
    assert check_schedule(graph, found) == ()


def test_slots_interleave() -> None:
    """Two chains of 4 slots, 2 apart, fill A: 8 cycles a tile, where blocks of 7 would take 14."""
    operations = tuple(TileOperation(name, "A", slots=4, spacing=2) for name in "xy")
    found = modulo_schedule(OperationGraph((A,), operations))
    assert (found.interval, found.proof) == (8, "bound")
    assert {start % 8 for name in "xy" for start in found.starts(name)} == set(range(8))


def test_a_stream_follows_slot_by_slot() -> None:
    """y's k-th slot is 5 after x's: it ends 5 after x, at 8 + 5, and not after 8 + 5 + 8."""
    operations = TileOperation("x", "A", slots=8), TileOperation("y", "B", slots=8)
    graph = OperationGraph((A, B), operations, (Dependence("x", "y", 5, kind="stream"),))
    assert modulo_schedule(graph).latency_cycles == 13


def test_a_stream_between_chains_of_different_lengths() -> None:
    """A slot of y takes the share of two of x: it waits for the second of them."""
    operations = TileOperation("x", "A", slots=8), TileOperation("y", "B", slots=4)
    found = modulo_schedule(OperationGraph((A, B), operations, (Dependence("x", "y", 1, kind="stream"),)))
    assert found.starts("y") == (2, 4, 6, 8)


@pytest.mark.parametrize(("m1", "interval"), [(None, 138), (4, 154), (8, 146), (64, 139)])
def test_the_attention_tile(m1: int | None, interval: int) -> None:
    """The vector array does RM 1, PRM 7, SPD 1, SPNV 64, RD 1, RNV 64 = 138, and AV 64 / M1; the 2D array 137.

    These are the intervals that CP-SAT proves least (reference of tests/certificates); 203 is its latency.
    """
    found = modulo_schedule(attention_tile(64, 64, m1))
    assert (found.interval, found.proof, found.resource_bound.resource) == (interval, "bound", "1D")
    assert found.busy_cycles("2D") == 137
    assert found.tiles_in_flight == 2
    if m1 is None:
        assert found.latency_cycles == 203


def test_av_done_once_per_seven_tiles_has_a_seventh() -> None:
    assert modulo_schedule(attention_tile(64, 64, 7)).interval == 138 + Fraction(64, 7)


def test_multiply_add_moves_the_bound_to_the_2d_array() -> None:
    """SPD into RD and SPNV into RNV: the vector array has F + 9 = 73, the 2D array E + F + 9 = 137."""
    found = modulo_schedule(attention_tile(64, 64, is_added=True))
    assert (found.busy_cycles("1D"), found.busy_cycles("2D")) == (73, 137)
    assert (found.interval, found.proof, found.resource_bound.resource) == (137, "bound", "2D")
    assert found.tiles_in_flight == 2


@pytest.mark.parametrize("stages", [1, 2, 3, 4])
@pytest.mark.parametrize("rows", [16, 64, 256])
def test_slots_of_the_attention_tile(rows: int, stages: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interval is E + F + 9 whatever the pipeline and the array, if there are contexts enough.

    The first interval that is tried is met by placing alone, without a search.
    """
    graph = slot_tile(64, 64, rows, stages, contexts=12)
    placed: list[int] = []

    def noted(problem: Problem, interval: int) -> list[int] | None:
        placed.append(interval)
        return place(problem, interval)

    monkeypatch.setattr(modulo, "place", noted)
    monkeypatch.setattr(modulo, "search", None)  # it would take a step for every order of hundreds of slots
    found = modulo_schedule(graph)
    assert placed == [137]
    assert (found.interval, found.proof) == (137, "bound")
    assert check_schedule(graph, found) == ()


def test_the_number_of_tiles_must_not_be_negative() -> None:
    found = modulo_schedule(OperationGraph((A,), (TileOperation("x", "A"),)))
    with pytest.raises(ValueError, match=r"^the number of tiles must be at least 0, not -1$"):
        found.cycles(-1)
