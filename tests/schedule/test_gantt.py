from collections.abc import Callable

import pytest
from attention_tile import attention_tile, slot_tile

from einsum_cascade.schedule.gantt import to_text
from einsum_cascade.schedule.graph import OperationGraph, Resource, TileOperation
from einsum_cascade.schedule.lockstep import lockstep_schedule
from einsum_cascade.schedule.modulo import modulo_schedule


def test_golden(golden: Callable[[str, str], None]) -> None:
    drawn = [
        to_text(modulo_schedule(attention_tile(16, 16, 4)), width=110),
        to_text(lockstep_schedule(attention_tile(16, 16, 4)), tiles=3, width=110),
        to_text(modulo_schedule(slot_tile(8, 8, rows=4, stages=2, contexts=3)), width=180),
    ]
    golden("gantt", "\n\n".join(drawn) + "\n")


@pytest.mark.parametrize("width", [20, 60, 100, 200])
def test_lines_keep_to_the_width(width: int) -> None:
    schedule = modulo_schedule(attention_tile(64, 64, 4))
    rows = to_text(schedule, tiles=9, width=width).splitlines()[2:5]
    assert max(map(len, rows)) <= width


def test_each_column_is_a_cycle_where_there_is_room() -> None:
    """Every cycle of every operation is drawn once: 3 tiles of 3 cycles of x and 2 of y."""
    operations = TileOperation("x", "A", 3), TileOperation("y", "A", 2)
    text = to_text(modulo_schedule(OperationGraph((Resource("A"),), operations)), tiles=3)
    row = next(line for line in text.splitlines() if line.startswith("A "))
    assert (row.count("X"), row.count("Y")) == (9, 6)


def test_units_have_a_line_each() -> None:
    operations = tuple(TileOperation(name, "A", 2) for name in "xyz")
    text = to_text(modulo_schedule(OperationGraph((Resource("A", 2),), operations)), tiles=4)
    bodies = [line[2:] for line in text.splitlines()[3:5]]
    assert sum(body.count(letter) for body in bodies for letter in "XYZ") == 4 * 6


def test_more_operations_than_letters() -> None:
    operations = tuple(TileOperation(f"operation {number}", "A") for number in range(70))
    text = to_text(modulo_schedule(OperationGraph((Resource("A"),), operations)), tiles=1)
    assert text.endswith("+ any other   · idle")


def test_wrong_arguments() -> None:
    schedule = modulo_schedule(OperationGraph((Resource("A"),), (TileOperation("x", "A"),)))
    with pytest.raises(ValueError, match=r"^width must be at least 20 characters, not 3$"):
        to_text(schedule, width=3)
    with pytest.raises(ValueError, match=r"^tiles must be at least 1, not 0$"):
        to_text(schedule, tiles=0)
