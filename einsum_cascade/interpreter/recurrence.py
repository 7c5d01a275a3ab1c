"""What a loop over an iterative rank may run together: which reads stay inside the present or earlier rounds."""

from einsum_cascade.cascade.ir import Cascade, Einsum, Read

__all__ = ["is_local", "is_settled", "loop_axis", "stepped_variable"]


def stepped_variable(cascade: Cascade, einsum: Einsum) -> str | None:
    """Return the variable in which an equation gives the next generation; None if it does not."""
    axis = cascade.tensor[einsum.tensor].generation_axis
    return None if axis is None or einsum.is_init else einsum.indices[axis].stepped


def loop_axis(cascade: Cascade, einsum: Einsum, variable: str) -> int | None:
    """Return the dimension of the left side that a loop over a variable walks along; None if there is no one."""
    if stepped_variable(cascade, einsum) == variable:
        return cascade.tensor[einsum.tensor].generation_axis
    axes = [axis for axis, index in enumerate(einsum.indices) if variable in index.variables]
    return axes[0] if len(axes) == 1 and einsum.indices[axes[0]].plain == variable else None


def is_settled(cascade: Cascade, producer: Einsum, read: Read, fixed: frozenset[str]) -> bool:
    """Tell whether a read needs only generations that were finished in earlier rounds of the fixed loops."""
    variable = stepped_variable(cascade, producer)
    if variable is None:
        return False
    axis = cascade.tensor[producer.tensor].generation_axis
    assert axis is not None
    index, step = read.indices[axis], producer.indices[axis].offset.value or 1
    if index.offset.value is None or index.offset.value >= step:
        return False
    return not index.terms or (index.stepped == variable and variable in fixed)


def is_local(cascade: Cascade, producer: Einsum, read: Read, variable: str) -> bool:
    """Tell whether a read in a loop needs only what this round of the loop, or an earlier one, has made."""
    if is_settled(cascade, producer, read, frozenset({variable})):
        return True
    axis = loop_axis(cascade, producer, variable)
    if axis is None or read.indices[axis].stepped != variable:
        return False
    offset, written = read.indices[axis].offset.value, producer.indices[axis].offset.value
    return offset is not None and written is not None and offset <= written
