"""The language: syntax, parser, builder, checker, intermediate representation, printers, interpreter.

The module itself can be called: `einsum_cascade.cascade` is both this package and the decorator that turns a function
into a cascade (docs/decisions/0001).
"""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from einsum_cascade.cascade.builder import TensorHandle
    from einsum_cascade.cascade.ir import Cascade
    from einsum_cascade.cascade.operators import Registry

__all__ = ["parse"]


class _CallableModule(ModuleType):
    def __call__(self, function: "Callable[..., TensorHandle | tuple[TensorHandle, ...] | None]") -> "Cascade":
        """Turn a function into the cascade it describes; see `einsum_cascade.cascade.builder.cascade`."""
        from einsum_cascade.cascade.builder import cascade

        return cascade(function)


sys.modules[__name__].__class__ = _CallableModule


def parse(text: str, file: str = "<text>", operators: "Registry | None" = None) -> "Cascade":
    """Parse and check the text form of a cascade.

    Parameters
    ----------
    text
        The source.
    file
        Its name in error messages; its stem is the default name of the cascade.
    operators
        A `Registry`; the default one if None.

    Raises
    ------
    ParseError, CheckError
        With every mistake that was found.

    """
    from einsum_cascade.cascade.checker import check
    from einsum_cascade.cascade.operators import OPERATORS
    from einsum_cascade.cascade.parser import parse_module

    return check(parse_module(text, file), operators or OPERATORS)
