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


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about a name that is not known: the nearest one, or all there are.

    Examples
    --------
    >>> did_you_mean("2D", ["2d", "1d"])
    "did you mean '2d'?"
    >>> did_you_mean("lanes", ["2d", "1d"])
    "known are '2d', '1d'"

    """
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1) or [each for each in names if each.lower() == name.lower()]
    return f"did you mean {near[0]!r}?" if near else f"known are {listed(names)}"
