"""Extents from text, where which names there are is somebody else's matter."""

from collections.abc import Iterator

from einsum_cascade.cascade import syntax
from einsum_cascade.cascade.checker.indices import to_extent
from einsum_cascade.cascade.checker.scope import Scope
from einsum_cascade.cascade.extent import Extent
from einsum_cascade.cascade.ir import Rank
from einsum_cascade.cascade.operators import OPERATORS
from einsum_cascade.cascade.parser import parse_value
from einsum_cascade.errors import CheckError, Diagnostic, ParseError, Span

__all__ = ["parse_extent"]

_NOWHERE = Span("<text>", 1)
_RULE = "an extent must be made of ranks and whole numbers with + - * / ( ), where / is the ceiling"


def parse_extent(text: str, span: Span = _NOWHERE) -> Extent:
    """Parse an expression over names and whole numbers with + - * / ( ), where / is the ceiling.

    Parameters
    ----------
    text
        The expression.
    span
        Where it stands, on a line that is known.

    Raises
    ------
    SourceError
        It is not such an expression.

    Examples
    --------
    >>> parse_extent("P1*P0 + 2")
    Extent(terms=((('P0', 'P1'), 1), ((), 2)))

    """
    try:
        expression = parse_value(text, span)
    except ParseError as error:
        raise ParseError([Diagnostic(_RULE, mistake.span) for mistake in error.diagnostics]) from error
    scope = Scope(OPERATORS, ranks={name: Rank(name) for name in _names(expression)})
    extent = to_extent(scope, expression)
    if extent is None:
        raise CheckError(scope.problems)
    return extent


def _names(expression: syntax.Expression) -> Iterator[str]:
    match expression:
        case syntax.Name(name):
            yield name
        case syntax.Call(_, arguments, _):
            for argument in arguments:
                yield from _names(argument)
        case _:
            return
