"""Unchecked syntax: what the text parser and the Python builder produce and only the checker reads.

A name is just a name here; what it means (rank, variable, tensor, operator) is the checker's business. Spans take no
part in equality, so that two sources of the same cascade are equal.
"""

from dataclasses import dataclass, field

from einsum_cascade.errors import Span

__all__ = [
    "Binding",
    "Call",
    "EquationStatement",
    "Expression",
    "Module",
    "Name",
    "Number",
    "OperatorStatement",
    "OutputStatement",
    "RankStatement",
    "RelationStatement",
    "Statement",
    "Subscript",
    "TensorStatement",
    "VariableStatement",
    "negate",
]

_NOWHERE = Span("", 0)


@dataclass(frozen=True, slots=True)
class Number:
    """A literal, `inf` and `pi` included."""

    value: float
    span: Span = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Name:
    """A rank, a rank variable, or a mistake."""

    name: str
    span: Span = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Subscript:
    """`T[i, j]`: a read, or the left side of an equation."""

    tensor: str
    indices: tuple["Expression", ...]
    span: Span = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """An operator with arguments; with variables, a reduction.

    Infix operators, comparisons and `and or not` are calls of their sign or word, unary minus is a call of `neg`.
    """

    operator: str
    arguments: tuple["Expression", ...]
    variables: tuple["Expression", ...] | None = None
    span: Span = field(default=_NOWHERE, compare=False)


type Expression = Number | Name | Subscript | Call


def negate(operand: Expression, span: Span) -> Expression:
    """Return `-operand`: a number stays a number."""
    return Number(-operand.value, span) if isinstance(operand, Number) else Call("neg", (operand,), None, span)


@dataclass(frozen=True, slots=True)
class Binding:
    """`v:RANK`, or one name that is a variable or a rank: `variable` or `rank` is then empty."""

    variable: str
    rank: str
    span: Span = field(default=_NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class OperatorStatement:
    """`operator NAME, ...`."""

    names: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class RankStatement:
    """`rank NAME [= expression]`, one of the list."""

    name: Name
    extent: Expression | None


@dataclass(frozen=True, slots=True)
class RelationStatement:
    """`rank EXTENT >= EXTENT`, one of the list: what is known of extents."""

    comparison: Call


@dataclass(frozen=True, slots=True)
class TensorStatement:
    """`input`, `param` or `tensor`, one of the list."""

    role: str
    name: Name
    bindings: tuple[Binding, ...]


@dataclass(frozen=True, slots=True)
class VariableStatement:
    """`var i, j : RANK`."""

    names: tuple[Name, ...]
    rank: Name


@dataclass(frozen=True, slots=True)
class OutputStatement:
    """`output T, ...`."""

    names: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class EquationStatement:
    """`[init] T[indices] = expression [where predicate [else value]]`."""

    left: Subscript
    right: Expression
    where: Expression | None = None
    otherwise: Expression | None = None
    is_init: bool = False
    span: Span = field(default=_NOWHERE, compare=False)


type Statement = (
    OperatorStatement
    | RankStatement
    | RelationStatement
    | TensorStatement
    | VariableStatement
    | OutputStatement
    | EquationStatement
)


@dataclass(frozen=True, slots=True)
class Module:
    """A whole source: a name, its documentation and its statements in order."""

    name: str
    statements: tuple[Statement, ...]
    documentation: str = field(default="", compare=False)
    span: Span = field(default=_NOWHERE, compare=False)
