"""Numbers that have names, and a sentence each: for the documentation, and for what is generated from it."""

from enum import IntEnum

__all__ = ["ToldEnum", "told"]


class _Told(int):
    """A number with a sentence."""

    text: str = ""


def told(number: int, text: str) -> int:
    """Return a number that a sentence is kept with."""
    found = _Told(number)
    found.text = text
    return found


class ToldEnum(IntEnum):
    """Members are written as `NAME = told(number, "What it means.")`."""

    text: str

    def __new__(cls, number: int) -> "ToldEnum":
        """Make a member of a number, and keep its sentence."""
        assert isinstance(number, _Told)
        member = int.__new__(cls, number)
        member._value_ = int(number)
        member.text = number.text
        return member
