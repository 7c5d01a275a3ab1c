"""Where the path of a PE or a lane, from what is read to what is written back, is cut into stages."""

from typing import Literal

__all__ = ["Cut", "cuts_of"]

type Cut = Literal["operands", "product", "aligned", "sum", "normal", "rounded", "halved"]
"""Behind what a register stands: the choice of operands, the parts of the multiply-add, and the first half of what
becomes of its result."""

_CUTS: tuple[frozenset[Cut], ...] = (
    frozenset(),
    frozenset({"sum"}),
    frozenset({"aligned", "rounded"}),
    frozenset({"product", "sum", "rounded"}),
    frozenset({"operands", "aligned", "sum", "rounded"}),
    frozenset({"operands", "product", "aligned", "sum", "rounded"}),
    frozenset({"operands", "product", "aligned", "normal", "rounded", "halved"}),
    frozenset({"operands", "product", "aligned", "sum", "normal", "rounded", "halved"}),
)
"""Of 1 stage and more: those that give a PE its best clock on an ECP5 (docs/synthesis.md)."""


def cuts_of(stages: int) -> frozenset[Cut]:
    """Return behind what the path of so many stages, 1 to 8, is cut."""
    return _CUTS[stages - 1]
