"""Values: arrays with what is known of their elements.

Elements that are absent hold 0.
"""

from dataclasses import dataclass

from einsum_cascade.interpreter.space import Array, Mask, Space
from einsum_cascade.interpreter.views import Line, flattened, view

__all__ = ["Condition", "TensorValue", "mask_view", "together"]


@dataclass(frozen=True, slots=True)
class Condition:
    """What elements or points need to be present.

    Parameters
    ----------
    mask
        One dimension per axis, of length 1 where the condition does not depend on it.
    axes
        The axes that the condition is about. They come from the equations and not from the numbers: an axis of extent 1
        may be among them.
    loops
        The variables that it is about, too, but that enclosing loops have fixed.

    """

    mask: Mask
    axes: frozenset[int]
    loops: frozenset[str] = frozenset()


@dataclass(slots=True)
class TensorValue:
    """A tensor, or a tile of one.

    Parameters
    ----------
    array
        The elements.
    conditions
        Elements that fail one are absent.
    empty
        Which elements are reductions over nothing; None if none is.
    is_owned
        Whether nothing else holds the memory, so that it may be overwritten when the tensor dies.

    """

    array: Array
    conditions: tuple[Condition, ...] = ()
    empty: Mask | None = None
    is_owned: bool = False


def together(masks: list[Mask]) -> Mask | None:
    """Return where all masks hold; None if there are none."""
    total = None
    for mask in masks:
        total = mask if total is None else total & mask
    return total


def mask_view(mask: Mask, lines: tuple[Line, ...], space: Space) -> Mask:
    """Return a mask of a tensor along the axes of a space that reads it."""
    return view(mask, flattened(lines, mask.shape), space)
