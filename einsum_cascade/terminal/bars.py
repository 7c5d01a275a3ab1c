"""Bars on a terminal that say how far long work is, and what time is left."""

import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from einsum_cascade.watching import watched

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

__all__ = ["Bars", "bars_on_terminal"]

_PATIENCE_S = 2.0
"""Seconds of work after which it is shown."""


@contextmanager
def bars_on_terminal() -> Generator[None]:
    """Show how far work inside is once it takes longer than two seconds; nothing where no terminal is."""
    if not sys.stderr.isatty():
        yield
        return
    bars = Bars()
    try:
        with watched(bars.watch):
            yield
    finally:
        bars.stop()


class Bars:
    """Bars of what goes on, one below the other.

    Parameters
    ----------
    patience_s
        After how long something that goes on is shown.
    console
        Where; standard error unless told.

    """

    def __init__(self, patience_s: float = _PATIENCE_S, console: "Console | None" = None) -> None:
        self._patience_s, self._console = patience_s, console
        self._lock = threading.Lock()
        self._open: dict[str, tuple[int, int | None]] = {}
        self._begun = 0.0
        self._timer: threading.Timer | None = None
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def watch(self, what: str, done: int, total: int | None) -> None:
        """Take note of how far something is; once it has been waited for, show it."""
        with self._lock:
            if total is not None and done >= total:
                self._close(what)
                return
            if not self._open:
                self._begun = time.monotonic()
            self._open[what] = done, total
            if self._progress is not None:
                self._show(what)
            elif self._timer is None:
                self._wait(self._patience_s)

    def stop(self) -> None:
        """Take all bars away."""
        with self._lock:
            self._open.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._progress is not None:
                self._progress.stop()
                self._progress = None

    def _wait(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._start)
        self._timer.daemon = True
        self._timer.start()

    def _close(self, what: str) -> None:
        self._open.pop(what, None)
        if self._progress is not None and what in self._tasks:
            self._progress.remove_task(self._tasks.pop(what))

    def _start(self) -> None:
        """Begin to show what goes on, if anything has for long enough."""
        with self._lock:
            self._timer = None
            if not self._open:
                return
            left = self._patience_s - (time.monotonic() - self._begun)
            if left > 0:
                self._wait(left)
                return
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]}")
            console = self._console or Console(stderr=True)
            self._progress = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
            self._progress.start()
            for what in self._open:
                self._show(what)

    def _show(self, what: str) -> None:
        assert self._progress is not None
        done, total = self._open[what]
        count = "" if total is None else f"{done:,} of {total:,}"
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=total, count=count)
        self._progress.update(self._tasks[what], completed=done, total=total, count=count)
