"""The text form of a cascade, read into unchecked syntax.

Every line is parsed on its own, so that all the lines that are not in the grammar are reported together.
"""

import math
import re
from collections.abc import Iterable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput, UnexpectedToken
from lark import v_args as _v_args  # pyright: ignore[reportUnknownVariableType] - typed only in part
from lark.tree import Meta

from einsum_cascade.cascade import syntax
from einsum_cascade.cascade.syntax import Expression, Module, Statement
from einsum_cascade.errors import MOST_TOLD, CheckError, Diagnostic, ParseError, Span
from einsum_cascade.units import MOST_DIGITS, long_number

__all__ = ["parse_module", "parse_value"]

_TERMINALS = {
    "NAME": "a name",
    "NUMBER": "a number",
    "COMPARE": "a comparison",
    "SUM": "'+' or '-'",
    "PRODUCT": "'*' or '/'",
    "ROLE": "'input', 'param' or 'tensor'",
    "INIT": "'init'",
    "LPAR": "'('",
    "RPAR": "')'",
    "LSQB": "'['",
    "RSQB": "']'",
    "COMMA": "','",
    "COLON": "':'",
    "EQUAL": "'='",
    "$END": "the end of the line",
    "value": "an expression",
}
_EXPRESSION = frozenset({"LPAR", "SUM", "INF", "PI", "NAME", "NUMBER"})
"""What an expression may begin with."""


@cache
def _grammar() -> Any:
    """Return the parser; lark publishes types only in part."""
    text = resources.files("einsum_cascade.cascade").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(text, parser="lalr", start=["statement", "value"], propagate_positions=True, maybe_placeholders=True)


def parse_module(text: str, file: str = "<text>") -> Module:
    """Parse the text form of a cascade.

    Parameters
    ----------
    text
        The source, one statement a line, comments with `#`.
    file
        Its name in error messages; its stem, made an identifier, is the default name of the cascade.

    Raises
    ------
    ParseError
        Some lines are not in the grammar; each is reported.

    """
    name, documentation = _default_name(file), list[str]()
    statements: list[Statement] = []
    problems: list[Diagnostic] = []
    for number, line in enumerate(text.splitlines(), start=1):
        code, mark, comment = line.partition("#")
        if not code.strip():
            if mark and not statements:
                documentation.append(comment.strip())
            continue
        if long := long_number(code):
            problems.append(_too_long(long, Span(file, number, 0, 0, line)))
            continue
        try:
            found: str | list[Statement] = _built(_Builder(file, number, line), code, "statement")
        except UnexpectedInput as error:
            place = Span(file, number, 0, 0, line)
            is_told = len(problems) < MOST_TOLD
            problems.append(_diagnose(error, code, place) if is_told else Diagnostic("this is not a statement", place))
            continue
        if isinstance(found, str):
            problems += [_late_name(file, number, line)] if statements else []
            name = found
        else:
            statements += found
    if problems:
        raise ParseError(problems)
    return Module(name, tuple(statements), "\n".join(documentation).strip(), Span(file, 1))


def parse_value(text: str, span: Span) -> Expression:
    """Parse one expression.

    Parameters
    ----------
    text
        The expression.
    span
        Where it stands, on a line that is known.

    Raises
    ------
    ParseError
        It is not in the grammar.
    CheckError
        A number in it is too long.

    """
    code = " " * (max(span.column, 1) - 1) + text
    if long := long_number(code):
        raise CheckError([_too_long(long, span)])
    try:
        return _built(_Builder(span.file, span.line, span.text), code, "value")
    except UnexpectedInput as error:
        raise ParseError([_diagnose(error, code, span)]) from error


def _built(builder: Any, code: str, start: str) -> Any:
    """Return what a line is turned into: its statements or the name of the cascade, or an expression."""
    return builder.transform(_grammar().parse(code, start=start))


def _too_long(number: re.Match[str], line: Span) -> Diagnostic:
    message = f"a number must have at most {MOST_DIGITS} digits, but this one has {len(number[1])}; give a smaller one"
    return Diagnostic(message, Span(line.file, line.line, number.start(1) + 1, number.end(1) + 1, line.text))


def _default_name(file: str) -> str:
    name = re.sub(r"\W", "_", Path(file).stem).strip("_") or "cascade"
    return f"_{name}" if name[0].isdigit() else name


def _late_name(file: str, number: int, line: str) -> Diagnostic:
    message = "'cascade' must be the first statement of a file; move it up, or put each cascade in its own file"
    return Diagnostic(message, Span(file, number, 1, len(line) + 1, line))


def _diagnose(error: UnexpectedInput, code: str, line: Span) -> Diagnostic:
    """Say in one sentence what the parser met and what it could have gone on with."""
    details: Any = error  # lark types the details of its errors only in part
    found, column, length = "the end of the line", len(code.rstrip()) + 1, 1
    is_token = isinstance(error, UnexpectedToken)
    allowed: set[str] = details.accepts if is_token else details.allowed or set[str]()
    if is_token and details.token.type != "$END":
        found, column, length = repr(str(details.token)), details.column, len(details.token)
    elif not is_token:
        found, column = repr(details.char), details.column
    if allowed >= _EXPRESSION:
        allowed = allowed - _EXPRESSION | {"value"}
    expected = sorted({_TERMINALS.get(terminal, repr(terminal.lower())) for terminal in allowed})
    message = f"{found} cannot stand here" + (f", only {_alternatives(expected)} can" if expected else "")
    return Diagnostic(message, Span(line.file, line.line, column, column + length, line.text))


def _alternatives(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


@_v_args(meta=True)
class _Builder(Transformer[Token, Any]):
    """Turn the tree of one line into syntax; method names are the grammar's."""

    def __init__(self, file: str, line: int, text: str) -> None:
        super().__init__()
        self._file, self._line, self._text = file, line, text

    def _span(self, place: Meta | Token) -> Span:
        return Span(self._file, self._line, place.column or 1, place.end_column or 1, self._text)

    def _name(self, token: Token) -> syntax.Name:
        return syntax.Name(str(token), self._span(token))

    def _names(self, tokens: Iterable[Token]) -> tuple[syntax.Name, ...]:
        return tuple(self._name(token) for token in tokens)

    def cascade(self, meta: Meta, children: list[Token]) -> str:
        return str(children[0])

    def operator(self, meta: Meta, children: list[Token]) -> list[Statement]:
        return [syntax.OperatorStatement(self._names(children))]

    def outputs(self, meta: Meta, children: list[Token]) -> list[Statement]:
        return [syntax.OutputStatement(self._names(children))]

    def variables(self, meta: Meta, children: list[Token]) -> list[Statement]:
        *names, rank = self._names(children)
        return [syntax.VariableStatement(tuple(names), rank)]

    def ranks(self, meta: Meta, children: list[Statement]) -> list[Statement]:
        return children

    def rank(self, meta: Meta, children: list[Any]) -> Statement:
        return syntax.RankStatement(self._name(children[0]), children[1])

    def relation(self, meta: Meta, children: list[Any]) -> Statement:
        left, operator, right = children
        return syntax.RelationStatement(syntax.Call(str(operator), (left, right), None, self._span(meta)))

    def tensors(self, meta: Meta, children: list[Any]) -> list[Statement]:
        role, *tensors = children
        return [syntax.TensorStatement(str(role), name, bindings) for name, bindings in tensors]

    def tensor(self, meta: Meta, children: list[Any]) -> tuple[syntax.Name, tuple[syntax.Binding, ...]]:
        return self._name(children[0]), tuple(binding for binding in children[1:] if binding)

    def binding(self, meta: Meta, children: list[Token | None]) -> syntax.Binding:
        first, second = str(children[0]), children[1]
        if second is None:
            is_rank = first[:1].isupper()
            return syntax.Binding("" if is_rank else first, first if is_rank else "", self._span(meta))
        return syntax.Binding(first, str(second), self._span(meta))

    def equation(self, meta: Meta, children: list[Any]) -> list[Statement]:
        init, left, right, where = children
        predicate, otherwise = where or (None, None)
        return [syntax.EquationStatement(left, right, predicate, otherwise, init is not None, self._span(meta))]

    def filter(self, meta: Meta, children: list[Expression | None]) -> tuple[Expression | None, Expression | None]:
        return children[0], children[1]

    def infix(self, meta: Meta, children: list[Any]) -> Expression:
        left, operator, right = children
        return syntax.Call(str(operator), (left, right), None, self._span(meta))

    def or_(self, meta: Meta, children: list[Expression]) -> Expression:
        return syntax.Call("or", tuple(children), None, self._span(meta))

    def and_(self, meta: Meta, children: list[Expression]) -> Expression:
        return syntax.Call("and", tuple(children), None, self._span(meta))

    def not_(self, meta: Meta, children: list[Expression]) -> Expression:
        return syntax.Call("not", tuple(children), None, self._span(meta))

    def sign(self, meta: Meta, children: list[Any]) -> Expression:
        sign, operand = children
        return operand if sign == "+" else syntax.negate(operand, self._span(meta))

    def number(self, meta: Meta, children: list[Token]) -> Expression:
        return syntax.Number(_number(str(children[0])), self._span(meta))

    def infinity(self, meta: Meta, children: list[Token]) -> Expression:
        return syntax.Number(math.inf, self._span(meta))

    def pi(self, meta: Meta, children: list[Token]) -> Expression:
        return syntax.Number(math.pi, self._span(meta))

    def name(self, meta: Meta, children: list[Token]) -> Expression:
        return self._name(children[0])

    def subscript(self, meta: Meta, children: list[Any]) -> Expression:
        indices = tuple(child for child in children[1:] if child is not None)
        return syntax.Subscript(str(children[0]), indices, self._span(meta))

    def call(self, meta: Meta, children: list[Any]) -> Expression:
        return syntax.Call(str(children[0]), tuple(children[1:]), None, self._span(meta))

    def reduction(self, meta: Meta, children: list[Any]) -> Expression:
        head, *arguments = children
        return syntax.Call(head.tensor, tuple(arguments), head.indices, self._span(meta))


def _number(text: str) -> float:
    return int(text) if text.isdigit() else float(text)
