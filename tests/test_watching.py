"""How far long work is: told to who watches, shown on a terminal, and never in the way."""

import io
import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from rich.console import Console

from einsum_cascade import analyse, study, zoo
from einsum_cascade.terminal import bars as terminal_bars
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


class Clock:
    """The clock of the bars, and their timers: time goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, Callable[[], None]]] = []

    def monotonic(self) -> float:
        return self.now

    def timer(self, seconds: float, action: Callable[[], None]) -> SimpleNamespace:
        entry = (self.now + seconds, action)
        return SimpleNamespace(start=lambda: self.due.append(entry), cancel=lambda: self.due.remove(entry))

    def go_on(self, seconds: float) -> None:
        self.now += seconds
        ready = [entry for entry in self.due if entry[0] <= self.now]
        self.due = [entry for entry in self.due if entry not in ready]
        for _, action in ready:
            action()


def test_bars_appear_after_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, file = Clock(), io.StringIO()
    monkeypatch.setattr(terminal_bars, "time", clock)
    monkeypatch.setattr(terminal_bars, "threading", SimpleNamespace(Timer=clock.timer, Lock=threading.Lock))
    bars = terminal_bars.Bars(2.0, Console(file=file, force_terminal=True, width=80))
    bars.watch("quick", 0, 2)
    clock.go_on(1.0)
    bars.watch("quick", 2, 2)
    bars.watch("slow", 0, 1_000)
    clock.go_on(1.5)
    assert file.getvalue() == ""
    clock.go_on(1.0)
    bars.watch("slow", 500, 1_000)
    bars.watch("inside", 0, None)
    bars.stop()
    text = file.getvalue()
    assert "slow" in text
    assert "500 of 1,000" in text
    assert "inside" in text
    assert "quick" not in text
    assert not clock.due
