"""Words of sentences that many modules make: lists, counts, and what a mistyped name may have meant."""

import difflib
from collections.abc import Iterable, Sequence

__all__ = ["counted", "did_you_mean", "enumerated", "listed", "nearest", "quoted"]

_MOST_NAMES = 100
"""How many names a message has at most."""


def quoted(names: Iterable[str]) -> str:
    """Return names in quotes, separated by commas."""
    return ", ".join(map(repr, names))


def enumerated(names: Sequence[str]) -> str:
    """Return names in quotes, separated by commas; of very many, the first ones and how many more there are."""
    more = len(names) - _MOST_NAMES
    return quoted(names) if more <= 0 else f"{quoted(names[:_MOST_NAMES])} and {more} more"


def listed(names: Iterable[str]) -> str:
    """Return names in quotes, the last after `and`; of very many, the first ones and how many more there are.

    Examples
    --------
    >>> print(listed(["M", "N", "P"]), listed([]))
    'M', 'N' and 'P' none

    """
    found = [*names]
    if not found:
        return "none"
    if len(found) > _MOST_NAMES:
        return enumerated(found)
    *first, last = map(repr, found)
    return f"{', '.join(first)} and {last}" if first else last


def counted(count: int, noun: str) -> str:
    """Return a count and its noun, in the plural where there is not one."""
    plural = "indices" if noun == "index" else f"{noun}s"
    return f"{count} {noun if count == 1 else plural}"


def nearest(name: str, known: Iterable[str], most: int = 1) -> list[str]:
    """Return the known names that a mistyped one is near to: those that differ in case alone, then the nearest."""
    names = sorted(set(known))
    same = [each for each in names if each.lower() == name.lower()]
    return [*dict.fromkeys((*same, *difflib.get_close_matches(name, names, n=most)))][:most]


def did_you_mean(name: str, known: Iterable[str], most: int = 1) -> str:
    """Return the end of a sentence about a name that is not known: the nearest ones, or all there are, or nothing.

    Parameters
    ----------
    name
        What was asked for.
    known
        What there is.
    most
        How many are told that are near.

    Examples
    --------
    >>> did_you_mean("2D", ["2d", "1d"])
    "; did you mean '2d'?"
    >>> did_you_mean("lanes", ["2d", "1d"])
    "; known are '1d', '2d'"

    """
    names = sorted(set(known))
    if near := nearest(name, names, most):
        return f"; did you mean {' or '.join(map(repr, near))}?"
    return f"; known are {enumerated(names)}" if names else ""
