"""Words of sentences that many modules make: lists, and what a mistyped name may have meant."""

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean", "listed"]


def listed(names: Iterable[str]) -> str:
    """Return names as a sentence has them.

    Examples
    --------
    >>> listed(["2d", "1d"]), listed([])
    ("'2d', '1d'", 'none')

    """
    return ", ".join(map(repr, names)) or "none"


def did_you_mean(name: str, known: Iterable[str], most: int = 1) -> str:
    """Return the end of a sentence about a name that is not known: the nearest ones, or all there are.

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
    "did you mean '2d'?"
    >>> did_you_mean("lanes", ["2d", "1d"])
    "known are '2d', '1d'"

    """
    names = list(known)
    near = difflib.get_close_matches(name, names, n=most) or [each for each in names if each.lower() == name.lower()]
    return f"did you mean {' or '.join(map(repr, near))}?" if near else f"known are {listed(names)}"
