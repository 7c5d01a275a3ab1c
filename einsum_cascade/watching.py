"""How far long work is, told to whoever watches: nobody does unless it is asked for."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["Watcher", "is_watched", "stage", "tell", "tracked", "watched"]

type Watcher = Callable[[str, int, int | None], None]
"""What is done, how much of it, and how much there is: None where that is not known. It ends when all is done."""

_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched(watcher: Watcher) -> Generator[None]:
    """Tell a watcher of all work inside.

    Examples
    --------
    >>> told = []
    >>> with watched(lambda *how_far: told.append(how_far)):
    ...     items = [item for item in tracked("ab", "letters", 2)]
    >>> told
    [('letters', 0, 2), ('letters', 1, 2), ('letters', 2, 2)]

    """
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def is_watched() -> bool:
    """Tell whether anybody watches, so that finding out how far work is pays."""
    return _watcher.get() is not None


def tell(what: str, done: int, total: int | None) -> None:
    """Tell the watcher how far something is."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher(what, done, total)


@contextmanager
def stage(what: str) -> Generator[None]:
    """Tell that something goes on, of which nobody knows how far it is."""
    tell(what, 0, None)
    try:
        yield
    finally:
        tell(what, 1, 1)


def tracked[T](items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """Yield items, and tell how many of so many are done."""
    tell(what, 0, total)
    try:
        for done, item in enumerate(items, 1):
            yield item
            if done < total:
                tell(what, done, total)
    finally:
        tell(what, total, total)
