"""Write expressions and equations in a notation: one walk, three notations.

The base class writes the text form; `latex` and `html` override how the pieces look, never where parentheses go.
"""

import math

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.ir import (
    And,
    Apply,
    Comparison,
    Constant,
    Coordinate,
    Einsum,
    Expression,
    Not,
    Or,
    Predicate,
    RankExtent,
    Read,
    expression_variables,
    is_product,
)

__all__ = ["ATOM", "PRODUCT", "SUM", "UNARY", "Renderer"]

SUM, PRODUCT, UNARY, ATOM = range(4)
_LEVEL = {"+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "neg": UNARY}


class Renderer:
    """The text notation; every method returns a piece of text."""

    reduced_level = SUM
    """What binds weaker stands in parentheses under a reduction."""

    def equation(self, einsum: Einsum) -> tuple[str, str]:
        """Return the left and the right side of an equation, `init` left out."""
        return self.access(einsum.tensor, einsum.indices), self.right_side(einsum)

    def right_side(self, einsum: Einsum) -> str:
        """Return what follows the equals sign."""
        text = self.expression(einsum.expression)
        if einsum.reduction and not self._is_implied(einsum):
            body = self.expression(einsum.expression, self.reduced_level)
            text = self.reduction(einsum.reduction.operator.reduces_as, einsum.reduction.variables, body)
        if einsum.where is None:
            return text
        text += self.filter(self.predicate(einsum.where))
        return text if einsum.otherwise is None else text + self.otherwise(self.expression(einsum.otherwise))

    @staticmethod
    def _is_implied(einsum: Einsum) -> bool:
        """Tell whether a reader sees the sum without being told: a product or a quotient."""
        return (
            einsum.reduction is not None
            and einsum.reduction.operator.name == "+"
            and isinstance(einsum.expression, Apply)
            and is_product(einsum.expression)
            and frozenset(einsum.reduction.variables) <= frozenset(expression_variables(einsum.expression))
        )

    def expression(self, expression: Expression, level: int = SUM) -> str:
        """Return an expression, in parentheses if it binds weaker than `level`."""
        match expression:
            case Constant(value):
                is_signed = value < 0 or math.copysign(1, value) < 0
                return self._grouped(self.number(value), UNARY if is_signed else ATOM, level)
            case RankExtent(name) | Coordinate(name):
                return self.name(name)
            case Read(tensor, indices):
                return self.access(tensor, indices)
            case Apply(operator, (operand,)) if operator.name == "neg":
                return self._grouped("-" + self.expression(operand, UNARY), UNARY, level)
            case Apply(operator, (left, right)) if operator.name in _LEVEL:
                own = _LEVEL[operator.name]
                text = self.infix(operator.name, self.expression(left, own), self.expression(right, own + 1))
                return self._grouped(text, own, level)
            case Apply(operator, arguments):
                name = operator.reduces_as if operator.name in _LEVEL else operator.name
                return self.call(name, [self.expression(argument) for argument in arguments])

    def _grouped(self, text: str, own: int, level: int) -> str:
        return text if own >= level else f"({text})"

    def predicate(self, predicate: Predicate, *, is_inner: bool = False) -> str:
        """Return a filter's predicate."""
        match predicate:
            case Comparison(operator, left, right):
                return self.comparison(operator, self.expression(left), self.expression(right))
            case And(operands) | Or(operands):
                word = "and" if isinstance(predicate, And) else "or"
                text = self.connective(word).join(self.predicate(operand, is_inner=True) for operand in operands)
                return f"({text})" if is_inner else text
            case Not(operand):
                return self.negation(self.predicate(operand, is_inner=True))

    def number(self, value: float) -> str:
        """Return a literal."""
        sign = "-" if math.copysign(1, value) < 0 else ""
        for constant, text in ((math.inf, self.constant("inf")), (math.pi, self.constant("pi"))):
            if abs(value) == constant:
                return sign + text
        return repr(value)

    def constant(self, name: str) -> str:
        """Return a named number."""
        return name

    def name(self, name: str) -> str:
        """Return a rank or a rank variable."""
        return name

    def access(self, tensor: str, indices: tuple[Affine, ...]) -> str:
        """Return a tensor with its indices."""
        return f"{tensor}[{', '.join(map(str, indices))}]"

    def infix(self, operator: str, left: str, right: str) -> str:
        """Return a sum, difference, product or quotient."""
        return f"{left} {operator} {right}"

    def comparison(self, operator: str, left: str, right: str) -> str:
        """Return a comparison."""
        return f"{left} {operator} {right}"

    def connective(self, word: str) -> str:
        """Return what stands between predicates."""
        return f" {word} "

    def negation(self, predicate: str) -> str:
        """Return the opposite of a predicate."""
        return f"not {predicate}"

    def call(self, name: str, arguments: list[str]) -> str:
        """Return an operator with its arguments."""
        return f"{name}({', '.join(arguments)})"

    def reduction(self, name: str, variables: tuple[str, ...], body: str) -> str:
        """Return a reduction."""
        return f"{name}[{', '.join(variables)}]({body})"

    def filter(self, predicate: str) -> str:
        """Return the filter of an equation."""
        return f" where {predicate}"

    def otherwise(self, value: str) -> str:
        """Return the value of filtered points."""
        return f" else {value}"
