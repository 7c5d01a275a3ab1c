"""How far long work is: told to who watches, shown on a terminal, and never in the way."""

import io
import time

import pytest
from rich.console import Console

from einsum_cascade import analyse, study, zoo
from einsum_cascade.terminal.bars import Bars
from einsum_cascade.watching import is_watched, stage, tell, tracked, watched


def told(action) -> list[tuple[str, int, int | None]]:
    found: list[tuple[str, int, int | None]] = []
    with watched(lambda *how_far: found.append(how_far)):
        action()
    assert not is_watched()
    return found


def test_nobody_is_told_unless_asked() -> None:
    assert list(tracked([1, 2], "numbers", 2)) == [1, 2]
    tell("numbers", 1, 2)


def test_work_that_is_given_up_ends_all_the_same() -> None:
    def given_up() -> None:
        items = tracked([1, 2, 3], "numbers", 3)
        assert next(items) == 1
        items.close()
        with pytest.raises(ZeroDivisionError), stage("division"):
            _ = 1 / 0

    assert told(given_up) == [("numbers", 0, 3), ("numbers", 3, 3), ("division", 0, None), ("division", 1, 1)]


def ends(found: list[tuple[str, int, int | None]]) -> bool:
    """Whether all that began has ended, and nothing went backwards."""
    last: dict[str, tuple[int, int | None]] = {}
    for what, done, total in found:
        before, of = last.get(what, (0, None))
        assert done >= before or done == total or before == of, (what, done, before)
        last[what] = done, total
    return all(done == total for done, total in last.values())


def test_bounds_tell_of_passes_and_live_state() -> None:
    found = told(lambda: analyse(zoo.load("attention-1pass")))
    assert {what for what, _, _ in found} == {"passes", "live state"}
    assert ends(found)


def test_a_simulation_tells_of_its_cycles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("einsum_cascade.cosim.run._LOOK_S", 0.02)
    case = study("attention-1pass", "fusemax-4x4", E=8, F=8, M=512, P=32)
    found = told(case.simulate)
    cycles = [(done, total) for what, done, total in found if what == "cycles"]
    assert ends(found)
    assert {what for what, _, _ in found} <= {"Verilog", "building the simulator", "cycles"}  # what was made is kept
    assert len({done for done, _ in cycles}) > 2


def shown(bars: Bars, console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_bars_appear_after_a_while_only() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    bars = Bars(0.2, console)
    bars.watch("quick", 0, 2)
    bars.watch("quick", 2, 2)
    assert shown(bars, console) == ""
    bars.watch("slow", 0, 1_000)
    until = time.monotonic() + 30
    while "slow" not in shown(bars, console) and time.monotonic() < until:
        time.sleep(0.01)
    bars.watch("slow", 500, 1_000)
    bars.watch("inside", 0, None)
    while "500 of 1,000" not in shown(bars, console) and time.monotonic() < until:
        time.sleep(0.01)
    bars.stop()
    text = shown(bars, console)
    assert "slow" in text
    assert "500 of 1,000" in text
    assert "quick" not in text
